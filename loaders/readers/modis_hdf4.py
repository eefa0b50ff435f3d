"""MODIS land products in HDF4-EOS: tiles of the sinusoidal grid, global 30-arc-second maps, and subsets of both.

The extent is the grid's own in StructMetadata, never that of the tile in the file's name, which subsets keep. The date is in
the name; a renamed file gets it from its CoreMetadata. Values are the file's integers: scale factors stay unapplied, because
their meaning differs from product to product (MOD11 and MOD09A1 say what to multiply with, MOD13 and MOD09GA what to
divide by).
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pyhdf.error import HDF4Error
from pyhdf.SD import SD, SDC

from loaders.granule import BadFile, Granule
from loaders.readers import _zip
from loaders.readers._checks import (
    FLAG_UNIT,
    apply_fill,
    check_dtype,
    check_holds_values,
    native_fill,
    present_variables,
)
from loaders.readers._dates import find_date
from loaders.readers._files import as_column, check_start, list_names, sha256_of
from loaders.readers._hdf4_whole import check_directory
from loaders.readers._hdfeos import TILE, EosGrid, delivered_name, grids_of
from loaders.readers._placement import Placement, place

if TYPE_CHECKING:
    from loaders.grids import Grid
    from loaders.products import DeliveredAs, Described, Product, Variable

LAYOUT = "dense"

HDF4_STARTS = (b"\x0e\x03\x13\x01",)
ENDINGS = (".hdf", ".hdf4", ".he4")

_DTYPES = {
    SDC.INT8: "int8", SDC.UINT8: "uint8", SDC.INT16: "int16", SDC.UINT16: "uint16",
    SDC.INT32: "int32", SDC.UINT32: "uint32", SDC.FLOAT32: "float32", SDC.FLOAT64: "float64",
}  # fmt: skip

# The HDF4 library keeps global state: one thread at a time, whatever file.
_lock = threading.RLock()
_BLOCK_CELLS = 1 << 24  # a file of fill is looked through in blocks of so many cells
_UNPACKED = 2  # archives that stay unpacked while their variables are read one after the other
_unpacked: OrderedDict[tuple, tempfile.TemporaryDirectory] = OrderedDict()


def inspect(path: Path, product: Product, grid: Grid | None) -> Granule:
    """The header of one file, or of the one file in a zip archive: its window on `grid` (None: its own), date, variables.

    `name` and `sha256` are those of the HDF4 file, so that an archive and its content are one granule. Raises BadFile for a file
    that is empty, truncated, no HDF4, of another product (name, metadata, variables, types), a swath, in another projection,
    off the grid, without a date in its name and its metadata, or all fill.
    """
    path = Path(path)
    with _open(path) as file:
        present = _present(file, product)
        own = _grid_of(file, present)
        names = _names(file, own, product)
        placement = place(own.x, own.y, own.crs, grid, product.name)
        for variable, dataset in present.items():
            _check_values(file, variable, dataset)
        check_holds_values(list(present), lambda v: _has_valid(file, v, present[v]))
        return Granule(
            path=path,
            name=file.path.name,
            key=names["key"] + _place_in_tile(own, placement),
            version=names["version"],
            sha256=sha256_of(file.path),
            grid=placement.grid,
            window=placement.window,
            dates=() if product.time_step == "static" else (names["date"],),
            variables=tuple(v.name for v in present),
        )


def read_dense(granule: Granule, product: Product, variable: str, dates: Sequence[date]) -> np.ndarray:
    """One variable, shape (1, height, width), dtype as declared, north up and west left.

    Fill values stay; a fill the product does not list becomes its first. Raises BadFile when the file cannot be read to the end.
    """
    with _open(granule.path) as file:
        declared = product.variable(variable)
        present = _present(file, product)
        own = _grid_of(file, present)
        placement: Placement = place(own.x, own.y, own.crs, granule.grid, product.name)
        values = _read(file, declared, present[declared])
    return np.ascontiguousarray(placement.arrange(values))[np.newaxis]


def describe(path: Path, asked: DeliveredAs) -> Described:
    """What a file of no known product holds: the variables of its first grid."""
    from loaders.products import Described, Variable

    with _open(Path(path)) as file:
        first = next(iter(file.grids))
        variables = []
        for name, dataset in file.datasets.items():
            if len(dataset.shape) != 2 or dataset.grid not in (first, None) or dataset.dtype is None:
                continue
            fill = file.attributes(name).get("_FillValue")
            variables.append(
                Variable(
                    name=as_column(name),
                    dataset=name if as_column(name) != name else None,
                    dtype=dataset.dtype,
                    fill=() if fill is None else (fill,),
                    unit=str(file.attributes(name).get("units", "unknown")).strip() or "unknown",
                    description=str(file.attributes(name).get("long_name", "")).strip(),
                )
            )
        if not variables:
            raise BadFile(f"holds no map; it has {list_names(list(file.datasets)) or 'no datasets at all'}")
        is_dated = asked.date_pattern or asked.file_pattern or find_date(file.path.name) or _delivered(file, first)
    return Described(time_step="day" if is_dated else "static", variables=tuple(variables))


# -- the file -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Dataset:
    """An array of the file; `grid` is the name of the grid its axes belong to, None where they do not say."""

    dimensions: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: str | None  # None: characters or another type that is no number
    grid: str | None


@dataclass(frozen=True)
class _File:
    """An open file, and the HDF4 file's own path (inside an archive: where it was unpacked)."""

    sd: Any
    path: Path
    datasets: dict[str, _Dataset]
    grids: dict[str, EosGrid]
    core_metadata: str

    def attributes(self, dataset: str) -> dict[str, Any]:
        return self.sd.select(dataset).attributes()


@contextmanager
def _open(path: Path) -> Iterator[_File]:
    """An open file, for this thread alone, with what makes it unreadable said as BadFile."""
    with _lock:
        inner = _unzipped(path) if _zip.is_zip(path) else path
        check_directory(inner)
        try:
            sd = SD(str(inner), SDC.READ)
        except HDF4Error as error:
            check_start(inner, "an HDF4 file", HDF4_STARTS)
            raise BadFile("is a damaged or truncated HDF4 file") from error
        try:
            yield _describe_file(sd, inner)
        except HDF4Error as error:
            raise BadFile(f"cannot be read to the end, it is truncated or damaged: {error}") from error
        finally:
            sd.end()


def _unzipped(path: Path) -> Path:
    """The HDF4 file of an archive, unpacked to a folder that goes with the process or when other archives are read."""
    state = path.stat()
    key = (str(path.resolve()), state.st_mtime_ns, state.st_size)
    folder = _unpacked.pop(key, None)
    if folder is None:
        member = _zip.only_member(path, ENDINGS, "HDF4 file")
        folder = tempfile.TemporaryDirectory(prefix=f"soilhouse-{os.getpid()}-")
        try:
            _zip.extract(path, member, Path(folder.name))
        except BadFile:
            folder.cleanup()
            raise
    _unpacked[key] = folder
    while len(_unpacked) > _UNPACKED:
        _unpacked.popitem(last=False)[1].cleanup()
    return next(Path(folder.name).iterdir())


def _describe_file(sd: Any, path: Path) -> _File:
    attributes = sd.attributes()

    def joined(name: str) -> str:  # texts above 32,000 characters are continued in .1, .2, ...
        parts = sorted(k for k in attributes if k.rpartition(".")[0] == name and k.rpartition(".")[2].isdigit())
        return "".join(str(attributes[k]) for k in parts)

    grids = grids_of(joined("StructMetadata"))
    if not grids:
        what = "is a swath" if "SwathName" in joined("StructMetadata") else "has no HDF-EOS grid in StructMetadata"
        raise BadFile(f"{what}: its cells lie on no grid")
    datasets = {}
    for name, (dimensions, shape, kind, _) in sd.datasets().items():
        owners = {d.split(":", 1)[1] for d in dimensions if ":" in d}
        datasets[name] = _Dataset(
            tuple(d.split(":", 1)[0] for d in dimensions),
            tuple(shape) if isinstance(shape, Sequence) else (int(shape),),
            _DTYPES.get(kind),
            owners.pop() if len(owners) == 1 else None,
        )
    return _File(sd, path, datasets, grids, joined("CoreMetadata"))


def _present(file: _File, product: Product) -> dict[Variable, str]:
    """The product's variables that the file holds, with the dataset of each.

    A product of one variable takes the only map of a file whatever its name (each MCD43D product holds one layer).
    """
    maps = [name for name, d in file.datasets.items() if len(d.shape) == 2]
    if len(product.variables) == len(maps) == 1:
        return {product.variables[0]: maps[0]}
    return {v: v.source_name for v in present_variables(product, list(file.datasets))}


def _grid_of(file: _File, present: dict[Variable, str]) -> EosGrid:
    """The one grid on which all of the variables lie. Raises BadFile when they lie on several, or do not fill it."""
    names = {file.datasets[dataset].grid for dataset in present.values()}
    if None in names:
        names = (names - {None}) or set(file.grids)
    if len(names) != 1 or not names <= set(file.grids):
        raise BadFile(f"its variables lie on several grids ({list_names([str(n) for n in names])}): take those of one")
    grid = file.grids[names.pop()]
    for variable, name in present.items():
        shape = file.datasets[name].shape
        if len(shape) != 2:
            raise BadFile(f"{name} has {len(shape)} dimensions, a map has two")
        if shape != (grid.y.n, grid.x.n):
            raise BadFile(
                f"{variable.name} has {shape[0]} x {shape[1]} cells, but its grid {grid.y.n} x {grid.x.n}: "
                "it was cut out without its metadata"
            )
    return grid


# -- names and dates ----------------------------------------------------------------------------------------------------


def _delivered(file: _File, grid_name: str) -> str | None:
    return delivered_name(file.core_metadata, file.grids[grid_name].tile)


def _names(file: _File, grid: EosGrid, product: Product) -> dict[str, Any]:
    """Date, key and version from the file's name, or, where it was renamed, from the name it was delivered under."""
    delivered = _delivered(file, grid.name)
    try:
        names = product.parse_name(file.path.name)
        refusal = BadFile("its name carries no date, and neither does its metadata")
    except BadFile as bad:
        names, refusal = None, bad
    is_complete = names is not None and (names["date"] is not None or product.time_step == "static")
    if not is_complete:
        if delivered is None:
            raise refusal
        return product.parse_name(delivered)
    if delivered is not None:
        original = product.parse_name(delivered)  # another product under this one's name is refused here
        if original["date"] != names["date"]:
            raise BadFile(f"its name says {names['date']}, but it was delivered as {delivered}")
    return names


def _place_in_tile(grid: EosGrid, placement: Placement) -> str:
    """What tells the subsets of one tile apart, which all bear the tile's name; nothing for a whole tile."""
    cells_a_tile = round(TILE / abs(grid.x.step)) if grid.tile else 0
    window = placement.window
    if not cells_a_tile or (window.height, window.width) == (cells_a_tile, cells_a_tile):
        return ""
    return f"_r{window.row}c{window.column}"


# -- values -------------------------------------------------------------------------------------------------------------


def _file_fill(file: _File, variable: Variable, name: str) -> float | int | None:
    # Quality words declare 0 as fill, which is also "good": the measured variable says what is missing.
    return None if variable.unit == FLAG_UNIT else file.attributes(name).get("_FillValue")


def _check_values(file: _File, variable: Variable, name: str) -> None:
    dtype = file.datasets[name].dtype
    if dtype is None:
        raise BadFile(f"{name} holds no numbers")
    check_dtype(variable, np.dtype(dtype), name)
    native_fill(variable, _file_fill(file, variable, name), name)


def _has_valid(file: _File, variable: Variable, name: str) -> bool:
    height, width = file.datasets[name].shape
    rows = max(1, _BLOCK_CELLS // width)
    return any(
        variable.has_valid(_read(file, variable, name, top, min(rows, height - top))) for top in range(0, height, rows)
    )


def _read(file: _File, variable: Variable, name: str, top: int = 0, rows: int | None = None) -> np.ndarray:
    height, width = file.datasets[name].shape
    selected = file.sd.select(name)
    values = np.asarray(selected.get(start=(top, 0), count=(height if rows is None else rows, width)))
    selected.endaccess()
    values = values.reshape(-1, width).astype(variable.dtype, copy=False)
    return apply_fill(values, native_fill(variable, _file_fill(file, variable, name), name))
