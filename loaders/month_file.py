"""The file of a product and month: its columns, its provenance, and the two layouts, dense and sparse.

docs/architecture.md ("A month file") is the contract. The same rows and provenance give the same bytes: nothing about
the time, the machine or the order of loads goes into a file.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from loaders.granule import Window
from loaders.lake import ROW_GROUP, LakeError, encodings, said

if TYPE_CHECKING:
    from loaders.grids import Grid
    from loaders.products import Product

FORMAT = 1
METADATA_KEY = "soilhouse"
_WRITE_GROUPS = 8  # row groups whose pixel_id and obs_date columns are in memory at once

_EPOCH = date(1970, 1, 1).toordinal()


# -- provenance ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Entry:
    """What one granule brought to one month file.

    dates     those in this month, ascending; () in a static file
    window    the cells it covers, None in sparse files
    n_months  how many month files the granule covers: it is present only when that many carry it
    blank     dense: by variable, the fill value that a pixel outside the file's block had here (None is NaN); a pixel
              that is nothing but blank in every granule of the month has no rows
    """

    name: str
    key: str
    version: str
    sha256: str
    variables: tuple[str, ...]
    dates: tuple[date, ...]
    window: Window | None
    n_months: int
    blank: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        plain = {
            "name": self.name,
            "key": self.key,
            "version": self.version,
            "sha256": self.sha256,
            "variables": list(self.variables),
            "dates": [d.isoformat() for d in self.dates],
            "window": None,
            "n_months": self.n_months,
        }
        if self.window is not None:
            w = self.window
            plain["window"] = [w.row, w.column, w.height, w.width]
            plain["blank"] = self.blank
        return plain

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> Entry:
        return cls(
            name=plain["name"],
            key=plain["key"],
            version=plain["version"],
            sha256=plain["sha256"],
            variables=tuple(plain["variables"]),
            dates=tuple(date.fromisoformat(d) for d in plain["dates"]),
            window=Window(*plain["window"]) if plain["window"] is not None else None,
            n_months=plain["n_months"],
            blank=plain.get("blank", {}),
        )


@dataclass(frozen=True)
class Provenance:
    """The `soilhouse` key of a month file. `grid_id` is None for stations."""

    product: str
    grid_id: str | None
    layout: str
    entries: tuple[Entry, ...]

    def to_json(self) -> str:
        plain = {
            "format": FORMAT,
            "product": self.product,
            "grid_id": self.grid_id,
            "layout": self.layout,
            "granules": [e.to_dict() for e in sorted(self.entries, key=lambda e: e.name)],
        }
        return json.dumps(plain, sort_keys=True, separators=(",", ":"))


@dataclass(frozen=True)
class MonthHeader:
    """What a month file says of itself without its rows being read."""

    path: Path
    provenance: Provenance
    n_rows: int


def read_header(path: Path) -> MonthHeader:
    """The provenance and row count of a month file. Raises LakeError when it is damaged or not the lake's."""
    try:
        metadata = pq.read_metadata(path)
        raw = (metadata.metadata or {}).get(METADATA_KEY.encode())
        plain = json.loads(raw) if raw is not None else None
    except (OSError, pa.ArrowException, ValueError) as error:
        raise LakeError(
            f"{path} is damaged ({said(error)}): remove it, then load the files of that month again"
        ) from error
    if plain is None:
        raise LakeError(f"{path} was not written by a load: move it out of the lake")
    if plain["format"] != FORMAT:
        raise LakeError(f"{path} has lake format {plain['format']}, this version reads {FORMAT}: update soilhouse")
    entries = tuple(Entry.from_dict(g) for g in plain["granules"])
    return MonthHeader(
        path, Provenance(plain["product"], plain["grid_id"], plain["layout"], entries), metadata.num_rows
    )


# -- columns ------------------------------------------------------------------------------------------------------------


def arrow_type(dtype: str) -> pa.DataType:
    """The Arrow type of a product variable's dtype (numpy's names, or `string`)."""
    return pa.string() if dtype == "string" else pa.from_numpy_dtype(np.dtype(dtype))


def dense_schema(product: Product, grid: Grid) -> pa.Schema:
    """pixel_id, obs_date (not in static products), then every variable of the product."""
    head = [("pixel_id", grid.pixel_id_type)]
    if product.time_step != "static":
        head.append(("obs_date", pa.date32()))
    return pa.schema([*head, *((v.name, arrow_type(v.dtype)) for v in product.variables)])


def sparse_keys(product: Product, grid: Grid | None) -> list[tuple[str, pa.DataType]]:
    """The columns that say where and when a row is, in the order of sorting."""
    if grid is None:
        # two sensors of one station may lie at one depth
        keys = [("station_id", pa.string()), ("sensor", pa.string())]
        keys += [("layer_top_cm", pa.float64()), ("layer_bottom_cm", pa.float64())]
    else:
        keys = [("pixel_id", grid.pixel_id_type)]
    if product.time_step != "static":
        keys.append(("obs_date", pa.date32()))
    if product.time_step == "instant":
        keys.append(("obs_time", pa.timestamp("us")))
    return keys


def sparse_schema(product: Product, grid: Grid | None) -> pa.Schema:
    """Place and time, every variable of the product, and the granule a row came from."""
    variables = ((v.name, arrow_type(v.dtype)) for v in product.variables)
    return pa.schema([*sparse_keys(product, grid), *variables, ("granule", pa.string())])


# -- dense --------------------------------------------------------------------------------------------------------------


@dataclass
class DenseBlock:
    """A month of a grid: every pixel has every date.

    pixel_ids  ascending, shape (n_pixels,)
    dates      ascending; () in a static file, whose arrays have one row
    values     by variable, native dtype, shape (max(1, n_dates), n_pixels)
    valid      by variable, boolean of the same shape, or None where every value is valid; NaN need not be marked
    """

    pixel_ids: np.ndarray
    dates: tuple[date, ...]
    values: dict[str, np.ndarray]
    valid: dict[str, np.ndarray | None]

    @property
    def n_steps(self) -> int:
        return max(1, len(self.dates))

    @property
    def n_rows(self) -> int:
        return self.pixel_ids.size * self.n_steps


def write_dense(path: Path, block: DenseBlock, schema: pa.Schema, provenance: Provenance) -> None:
    """Write a block to `path`, sorted by pixel, then date. The block's arrays are given up on the way.

    The arrays are transposed one variable at a time; pixel_id and obs_date exist for a few row groups at a time.
    """
    n_steps, n_rows = block.n_steps, block.n_rows
    variables = [f for f in schema if f.name not in ("pixel_id", "obs_date")]
    flat: dict[str, tuple[np.ndarray, np.ndarray | None]] = {}
    for f in variables:
        valid = block.valid.pop(f.name)
        flat[f.name] = (
            np.ascontiguousarray(block.values.pop(f.name).T).reshape(-1),
            None if valid is None else np.ascontiguousarray(valid.T).reshape(-1),
        )
    days = np.array([d.toordinal() - _EPOCH for d in block.dates], np.int32)
    with _writer(path, schema, provenance) as writer:
        for start in range(0, n_rows, _WRITE_GROUPS * ROW_GROUP):
            stop = min(start + _WRITE_GROUPS * ROW_GROUP, n_rows)
            first, last = start // n_steps, -(-stop // n_steps)
            cut = slice(start - first * n_steps, stop - first * n_steps)
            columns = [pa.array(np.repeat(block.pixel_ids[first:last], n_steps)[cut], schema.field("pixel_id").type)]
            if block.dates:
                columns.append(pa.array(np.tile(days, last - first)[cut]).cast(pa.date32()))
            for f in variables:
                values, valid = flat[f.name]
                columns.append(_column(values[start:stop], None if valid is None else valid[start:stop], f.type))
            writer.write_table(pa.Table.from_arrays(columns, schema=schema), row_group_size=ROW_GROUP)


def _column(values: np.ndarray, valid: np.ndarray | None, kind: pa.DataType) -> pa.Array:
    """An Arrow array over numpy's memory; NaN and what is not valid become NULL."""
    if values.dtype.kind == "f":
        missing = np.isnan(values)
        if missing.any():
            valid = ~missing if valid is None else valid & ~missing
    bitmap = None
    if valid is not None and not valid.all():
        bitmap = pa.py_buffer(np.packbits(valid, bitorder="little"))
    return pa.Array.from_buffers(kind, values.size, [bitmap, pa.py_buffer(values)])


def read_dense_block(path: Path, schema: pa.Schema) -> DenseBlock:
    """The block of a dense month file. Raises LakeError when the file is damaged or of another schema."""
    table = _read(path, schema)
    pixel = _numpy(table["pixel_id"])[0]
    dates: tuple[date, ...] = ()
    n_steps = 1
    if "obs_date" in schema.names and table.num_rows:
        changes = np.flatnonzero(pixel[1:] != pixel[:-1])
        n_steps = int(changes[0]) + 1 if changes.size else table.num_rows
        dates = tuple(table["obs_date"].slice(0, n_steps).to_pylist())
    if table.num_rows % n_steps:
        raise LakeError(f"{path} is damaged (pixels of different length): remove it and load its files again")
    values, valid = {}, {}
    for name in schema.names:
        if name in ("pixel_id", "obs_date"):
            continue
        flat, mask = _numpy(table[name])
        values[name] = np.ascontiguousarray(flat.reshape(-1, n_steps).T)
        valid[name] = None if mask is None else np.ascontiguousarray(mask.reshape(-1, n_steps).T)
    return DenseBlock(pixel[::n_steps].copy(), dates, values, valid)


def _numpy(column: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray | None]:
    """(values, valid or None); values under NULL are 0."""
    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], column.type)
    if not array.null_count:
        return array.to_numpy(zero_copy_only=False), None
    valid = pc.is_valid(array).to_numpy(zero_copy_only=False)
    return pc.fill_null(array, 0).to_numpy(zero_copy_only=False), valid


# -- sparse -------------------------------------------------------------------------------------------------------------


def sort_sparse(table: pa.Table, product: Product, grid: Grid | None) -> pa.Table:
    """Rows in the order of a sparse file: place, time, granule; within a granule as delivered."""
    keys = [(name, "ascending") for name, _ in sparse_keys(product, grid)]
    # Arrow's sort is stable: rows that one granule repeats keep their order
    order = pc.sort_indices(table, sort_keys=[*keys, ("granule", "ascending")])
    return table.take(order)


def write_sparse(path: Path, table: pa.Table, provenance: Provenance) -> None:
    """Write rows that are already sorted; the table has the columns of `sparse_schema`."""
    with _writer(path, table.schema, provenance) as writer:
        writer.write_table(table.combine_chunks(), row_group_size=ROW_GROUP)


def read_sparse_table(path: Path, schema: pa.Schema) -> pa.Table:
    """The rows of a sparse month file. Raises LakeError when the file is damaged or of another schema."""
    return _read(path, schema)


# -- both ---------------------------------------------------------------------------------------------------------------


def _writer(path: Path, schema: pa.Schema, provenance: Provenance) -> pq.ParquetWriter:
    writer = pq.ParquetWriter(path, schema, store_schema=False, **encodings(schema))
    writer.add_key_value_metadata({METADATA_KEY: provenance.to_json()})
    return writer


def _read(path: Path, schema: pa.Schema) -> pa.Table:
    try:
        table = pq.read_table(path, use_threads=False, partitioning=None)
    except (OSError, pa.ArrowException) as error:
        raise LakeError(
            f"{path} is damaged ({said(error)}): remove it, then load the files of that month again"
        ) from error
    if table.schema.names != schema.names:
        raise LakeError(
            f"{path} has columns {', '.join(table.schema.names)}, the product now {', '.join(schema.names)}: "
            "load into another lake, or under another name"
        )
    return table.replace_schema_metadata(None).cast(schema)


def distinct_pixels(path: Path) -> np.ndarray:
    """The pixels of a month file, ascending; none for stations."""
    file = pq.ParquetFile(path)
    if "pixel_id" not in file.schema_arrow.names:
        return np.empty(0, np.int64)
    parts: list[np.ndarray] = []
    for batch in file.iter_batches(batch_size=1 << 20, columns=["pixel_id"], use_threads=False):
        ids = batch.column(0).to_numpy(zero_copy_only=False)
        if ids.size:  # rows are sorted by pixel: where the number changes a new one begins
            parts.append(ids[np.concatenate([[True], ids[1:] != ids[:-1]])])
    return union_of(parts)


def union_of(parts: Iterable[np.ndarray]) -> np.ndarray:
    """Ascending distinct values of several ascending arrays of pixel numbers."""
    kept: Sequence[np.ndarray] = [p for p in parts if p.size]
    if not kept:
        return np.empty(0, np.int64)
    # a stable sort merges runs that are already sorted; numpy.unique would hash every value
    ids = np.sort(np.concatenate(kept), kind="stable") if len(kept) > 1 else kept[0]
    return ids[np.concatenate([[True], ids[1:] != ids[:-1]])]
