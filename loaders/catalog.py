"""What the lake says about itself: pixels of a grid, stations, and the catalogue of products, variables and granules.

All of it follows from raw/ (stations: from the station files) and is brought up to date at the end of every load.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from loaders.lake import (
    COLUMN_SCHEMA,
    GRANULE_SCHEMA,
    PIXEL_SCHEMA,
    PRODUCT_SCHEMA,
    STATION_SCHEMA,
    VARIABLE_SCHEMA,
    Lake,
    LakeError,
    said,
    sweep,
    write_atomically,
    write_table,
)
from loaders.month_file import METADATA_KEY, MonthHeader, distinct_pixels, read_header, union_of
from loaders.variables import standard_variables

if TYPE_CHECKING:
    from loaders.granule import Granule
    from loaders.grids import Grid
    from loaders.products import Product


# -- pixels -------------------------------------------------------------------------------------------------------------


def pixel_table(grid: Grid, pixel_ids: np.ndarray) -> pa.Table:
    """`PIXEL_SCHEMA` rows of pixels, in the order given; places outside the projected world are NULL."""
    row, col = grid.row_col(pixel_ids)
    lon, lat = grid.lonlat_of(row, col)
    x, y = grid.metres_of(row, col)
    return pa.table(
        {
            "grid_id": pa.array([grid.grid_id], pa.string()).take(pa.array(np.zeros(row.size, np.int8))),
            "pixel_id": pa.array(row * grid.n_cols + col, pa.int64()),
            "row_index": pa.array(row.astype(np.int32)),
            "col_index": pa.array(col.astype(np.int32)),
            **{
                name: pa.array(np.asarray(v, np.float64), from_pandas=True)
                for name, v in (("lon", lon), ("lat", lat), ("x_m", x), ("y_m", y))
            },
            "area_km2": pa.array(grid.area_km2(row, col), from_pandas=True),
        },
        schema=PIXEL_SCHEMA,
    )


def add_pixels(lake: Lake, grid: Grid, pixel_ids: np.ndarray, of_product: str) -> bool:
    """Make sure that the grid's pixel file has these pixels (ascending); True when it changed.

    A missing or damaged file is made anew from `pixel_ids`, then all there are of `of_product`, and the other products.
    """
    path = lake.pixels_path(grid.grid_id)
    with lake.lock_shared("grids"):
        sweep(path.parent)
        sweep(lake.root / "grids" / "definitions")
        try:
            known = pq.read_table(path, schema=PIXEL_SCHEMA) if path.exists() else None
        except (OSError, pa.ArrowException):
            known = None
        if known is None:
            pixel_ids = union_of([np.asarray(pixel_ids, np.int64), _other_pixels(lake, grid.grid_id, of_product)])
            known = PIXEL_SCHEMA.empty_table()
        old = known["pixel_id"].to_numpy()
        new = np.setdiff1d(np.asarray(pixel_ids, np.int64), old)
        if not new.size:
            return False
        both = pa.concat_tables([known, pixel_table(grid, new)])
        return write_table(both.take(np.argsort(both["pixel_id"].to_numpy())), path)


def has_pixels(lake: Lake, grid: Grid) -> bool:
    """True when the grid's pixel file is there and can be read."""
    try:
        return pq.read_schema(lake.pixels_path(grid.grid_id)) == PIXEL_SCHEMA
    except (OSError, pa.ArrowException):
        return False


def _other_pixels(lake: Lake, grid_id: str, but: str) -> np.ndarray:
    parts = []
    for product in lake.products():
        if product == but:
            continue
        files = list(lake.month_files(product).values())
        if files and read_header(files[0]).provenance.grid_id == grid_id:
            parts.append(product_pixels(files))
    return union_of(parts)


def product_pixels(files: Iterable[Path]) -> np.ndarray:
    """Every pixel of a product's month files, ascending."""
    known = np.empty(0, np.int64)
    for file in files:
        ids = distinct_pixels(file)
        if not np.array_equal(ids, known):
            known = union_of([known, ids.astype(np.int64)])
    return known


# -- catalogue ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Present:
    """A granule as the lake has it, put together from its months."""

    name: str
    key: str
    version: str
    sha256: str
    months: tuple
    n_months: int
    first_date: object
    last_date: object

    @property
    def is_complete(self) -> bool:
        return len(self.months) == self.n_months


def granules_of(headers: dict) -> list[Present]:
    """The granules of a product's month headers (`{month: MonthHeader}`), by name."""
    parts: dict[tuple[str, str], list] = {}
    for month, header in headers.items():
        for entry in header.provenance.entries:
            parts.setdefault((entry.name, entry.sha256), []).append((month, entry))
    found = []
    for (name, sha256), months in sorted(parts.items()):
        entry = months[0][1]
        dates = [d for _, e in months for d in e.dates]
        found.append(
            Present(
                name,
                entry.key,
                entry.version,
                sha256,
                tuple(m for m, _ in months),
                entry.n_months,
                min(dates, default=None),
                max(dates, default=None),
            )
        )
    return found


def write_catalog(lake: Lake, product: Product, grid_id: str | None, headers: dict[object, MonthHeader]) -> None:
    """The product's rows in catalog/products, variables, columns and granules; files that would not change stay."""
    name = product.name
    write_table(
        pa.Table.from_pylist(
            [
                {
                    "product": name,
                    "title": product.title,
                    "format": product.format,
                    "grid_id": grid_id,
                    "time_step": product.time_step,
                    "kind": product.kind,
                    "source": product.source,
                    "citation": product.citation,
                    "verified": product.verified,
                    "shares_input_with": ",".join(product.shares_input_with),
                }
            ],
            schema=PRODUCT_SCHEMA,
        ),
        lake.catalog_path("products", name),
    )
    described = {v.name: v.description for v in product.variables}
    standard = standard_variables()
    write_table(
        pa.Table.from_pylist(
            [
                {
                    "product": name,
                    "variable": d.variable,
                    "layer": d.layer,
                    "unit": d.unit,
                    # The file's words where it calls the variable the same; soil_moisture out of `swvl1` has the standard name's.
                    "description": described.get(d.variable)
                    or (standard[d.variable].long_name if d.variable in standard else ""),
                }
                for d in product.delivers
            ],
            schema=VARIABLE_SCHEMA,
        ),
        lake.catalog_path("variables", name),
    )
    write_table(
        pa.Table.from_pylist(
            [
                {
                    "product": name,
                    "column_name": variable.name,
                    "dtype": variable.dtype,
                    "fill_value": fill,
                    "unit": variable.unit,
                    "description": variable.description,
                }
                for variable in product.variables
                for fill in [float(f) for f in variable.fill if f == f] or [None]
            ],
            schema=COLUMN_SCHEMA,
        ),
        lake.catalog_path("columns", name),
    )
    write_table(
        pa.Table.from_pylist(
            [
                {
                    "product": name,
                    "granule": g.name,
                    "granule_key": g.key,
                    "version": g.version,
                    "sha256": g.sha256,
                    "first_date": g.first_date,
                    "last_date": g.last_date,
                    "n_months": len(g.months),
                }
                for g in granules_of(headers)
            ],
            schema=GRANULE_SCHEMA,
        ),
        lake.catalog_path("granules", name),
    )


def write_definition(lake: Lake, product: Product) -> None:
    """Keep a completed product as YAML, so that the next load needs no mapping."""
    text = product.to_yaml()
    write_atomically(lake.definition_path(product.name), lambda path: path.write_text(text, encoding="utf-8") and None)


# -- stations -----------------------------------------------------------------------------------------------------------


def known_station_files(lake: Lake, product: Product) -> dict[str, dict]:
    """The station files that stations/<product>.parquet was made of: {name: {"key", "version", "sha256"}}."""
    path = lake.stations_path(product.name)
    if not path.exists():
        return {}
    try:
        metadata = pq.read_metadata(path).metadata or {}
        return json.loads(metadata.get(METADATA_KEY.encode(), b'{"granules": {}}'))["granules"]
    except (OSError, ValueError, pa.ArrowException) as error:
        raise LakeError(f"{path} is damaged ({said(error)}): remove it and load the station files again") from error


def add_stations(lake: Lake, product: Product, described: Sequence[tuple[Granule, pa.Table | None]]) -> None:
    """Put the stations of files into stations/<product>.parquet, in the order given.

    A station that is there already is described anew; what the new file does not say of it stays.
    """
    path = lake.stations_path(product.name)
    files = known_station_files(lake, product)
    replaced = {granule.key for granule, _ in described}
    files = {name: f for name, f in files.items() if f["key"] not in replaced}
    rows = {}
    if path.exists():
        rows = {r["station_id"]: r for r in pq.read_table(path, schema=STATION_SCHEMA).to_pylist()}
    for granule, stations in described:
        files[granule.name] = {"key": granule.key, "version": granule.version, "sha256": granule.sha256}
        for row in _station_rows(product, stations).to_pylist():
            before = rows.get(row["station_id"], {})
            rows[row["station_id"]] = {k: before.get(k) if value is None else value for k, value in row.items()}
    table = pa.Table.from_pylist([rows[k] for k in sorted(rows)], schema=STATION_SCHEMA)
    plain = {"format": 1, "product": product.name, "granules": files}
    write_table(table.replace_schema_metadata({METADATA_KEY: json.dumps(plain, sort_keys=True)}), path)


def _station_rows(product: Product, stations: pa.Table | None) -> pa.Table:
    """A reader's stations as `STATION_SCHEMA`."""
    new = STATION_SCHEMA.empty_table()
    if stations is not None and stations.num_rows:
        columns = [
            pa.array([product.name] * stations.num_rows, pa.string())
            if f.name == "product"
            else (
                stations[f.name].cast(f.type)
                if f.name in stations.column_names
                else pa.nulls(stations.num_rows, f.type)
            )
            for f in STATION_SCHEMA
        ]
        new = pa.Table.from_arrays(columns, schema=STATION_SCHEMA)
    return new
