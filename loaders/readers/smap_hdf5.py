"""SMAP half orbits (SPL2SMP) and SMAP/Sentinel-1 scenes (SPL2SMAP_S): a row a retrieval, placed by its EASE-Grid row and
column index.

Latitudes and longitudes in SMAP files have holes and are rounded to float32, so cells are never found by them; they only
serve to see that the index belongs to the grid. Flag words stay integers with their own fills. A scene is two-dimensional, its
datasets' names have a suffix, and its time is in the file's name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pyarrow as pa

from loaders.granule import BadFile, Granule
from loaders.readers._checks import (
    apply_fill,
    check_dtype,
    check_holds_values,
    check_name_agrees,
    native_fill,
    present_variables,
)
from loaders.readers._dates import FIRST_YEAR, LAST_YEAR
from loaders.readers._files import HDF5_STARTS, check_start, list_names, sha256_of

if TYPE_CHECKING:
    from datetime import date

    from loaders.grids import Grid
    from loaders.products import Product

LAYOUT = "sparse"

GROUP = "Soil_Moisture_Retrieval_Data"
ROW, COLUMN, TIME = "EASE_row_index", "EASE_column_index", "tb_time_seconds"

# tb_time_seconds counts from the J2000 epoch, 2000-01-01 12:00 terrestrial time. Leap seconds since then (5 by 2017) are
# not taken off, as CF readers of the sister products do not either.
EPOCH = np.datetime64("2000-01-01T11:58:55.816", "us")
PLACE_TOLERANCE_DEGREES = (
    0.004  # float32 coordinates are right to 1e-5; the next cell is 0.3 (36 km) to 0.008 (1 km) away
)


def inspect(path: Path, product: Product, grid: Grid | None) -> Granule:
    """The header of one half orbit: its UTC dates and variables; `window` is None.

    Raises BadFile for a file that is empty, truncated, no HDF5, of another product (name, group, variables, types), on
    another grid, without times, or all fill.
    """
    path = Path(path)
    names = product.parse_name(path.name)
    with _open(path, product) as group:
        if grid is None:
            raise BadFile(f"carries no grid of its own: {product.name} must name one")
        rows = _rows(group, grid, product, path.name)
        present = present_variables(product, _columns(group, rows.kept.shape), f" in the group {group.name.strip('/')}")
        for variable in present:
            dataset = group[variable.source_name]
            check_dtype(variable, dataset.dtype, variable.source_name)
            native_fill(variable, _fill_of(dataset), variable.source_name)
        check_holds_values(present, lambda v: v.has_valid(group[v.source_name][:]))
    _check_date_in_name(names["date"], rows.dates)
    return Granule(
        path=path,
        name=path.name,
        key=names["key"],
        version=names["version"],
        sha256=sha256_of(path),
        grid=grid,
        window=None,
        dates=rows.dates,
        variables=tuple(v.name for v in present),
    )


def read_sparse(granule: Granule, product: Product) -> pa.Table:
    """Every retrieval that has a cell: pixel_id, obs_date, obs_time (TIMESTAMP us, UTC), the product's variables.

    Types and fills as delivered. Rows whose index is fill lie on no cell and are left out.
    """
    with _open(granule.path, product) as group:
        rows = _rows(group, granule.grid, product, granule.path.name)
        columns: dict[str, pa.Array] = {
            "pixel_id": pa.array(rows.pixel_id, granule.grid.pixel_id_type),
            "obs_date": pa.array(rows.time.astype("datetime64[D]"), pa.date32()),
            "obs_time": pa.array(rows.time, pa.timestamp("us")),
        }
        for name in granule.variables:
            variable = product.variable(name)
            dataset = group[variable.source_name]
            values = dataset[:][rows.kept].astype(variable.dtype, copy=False)
            values = apply_fill(values, native_fill(variable, _fill_of(dataset), variable.source_name))
            columns[name] = pa.array(values)
    return pa.table(columns)


@contextmanager
def _open(path: Path, product: Product) -> Iterator[h5py.Group]:
    check_start(path, "an HDF5 file", HDF5_STARTS)
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise BadFile(f"is a damaged or truncated HDF5 file: {error}") from error
    with file:
        wanted = product.options.group or GROUP
        if not file.keys():
            raise BadFile(
                "holds no groups or variables at all: nothing was observed (an outage), or the subset was empty"
            )
        if not isinstance(file.get(wanted), h5py.Group):
            raise BadFile(f"has no group {wanted}; it has {list_names(list(file.keys()))}: is it of another product?")
        try:
            yield file[wanted]
        except (OSError, RuntimeError, KeyError) as error:
            raise BadFile(f"cannot be read to the end, it is truncated or damaged: {error}") from error


@dataclass(frozen=True)
class _Rows:
    """Where and when each kept row is."""

    kept: np.ndarray  # boolean over what was delivered, one- or two-dimensional
    pixel_id: np.ndarray
    time: np.ndarray  # datetime64[us], UTC

    @property
    def dates(self) -> tuple[date, ...]:
        return tuple(day.item() for day in np.unique(self.time.astype("datetime64[D]")))


def _columns(group: h5py.Group, shape: tuple[int, ...]) -> list[str]:
    """The datasets of the group with a value a retrieval."""
    return [name for name, item in group.items() if isinstance(item, h5py.Dataset) and item.shape == shape]


def _index(group: h5py.Group, name: str, n_dimensions: int) -> np.ndarray:
    if not isinstance(group.get(name), h5py.Dataset) or group[name].ndim != n_dimensions:
        has = list_names([k for k, v in group.items() if isinstance(v, h5py.Dataset)]) or "nothing"
        raise BadFile(f"has no {name} with a value a row in the group {group.name.strip('/')}; it has {has}")
    return group[name][:]


def _rows(group: h5py.Group, grid: Grid, product: Product, filename: str) -> _Rows:
    row_name, column_name = ROW + product.options.suffix, COLUMN + product.options.suffix
    is_scene = bool(product.options.suffix)
    row, column = (_index(group, name, 2 if is_scene else 1) for name in (row_name, column_name))
    if not row.size:
        raise BadFile("holds no rows: nothing was observed (an outage), or the subset was empty")
    seconds = None if is_scene else _index(group, TIME, 1)
    if not row.shape == column.shape == (row.shape if seconds is None else seconds.shape):
        n_times = "" if seconds is None else f", {seconds.size}"
        raise BadFile(
            f"{row_name}, {column_name} and times have different lengths ({row.size}, {column.size}{n_times})"
        )
    kept = (row != _fill_of(group[row_name], 65534)) & (column != _fill_of(group[column_name], 65534))
    row, column = row[kept].astype(np.int64), column[kept].astype(np.int64)
    if not row.size:
        raise BadFile("none of its rows has an EASE-Grid index")
    if row.max() >= grid.n_rows or column.max() >= grid.n_cols:
        raise BadFile(
            f"its cells go to row {row.max()} and column {column.max()}, but grid {grid.grid_id} has "
            f"{grid.n_rows} rows and {grid.n_cols} columns: is it on a finer grid?"
        )
    _check_places(group, kept, row, column, grid, product.options.suffix)
    time = np.full(row.size, _time_in_name(product, filename)) if seconds is None else _times(group, seconds[kept])
    return _Rows(kept, grid.pixel_id(row, column), time)


def _time_in_name(product: Product, filename: str) -> np.datetime64:
    """The radiometer's time in a scene's name, to the second.

    Scenes of one half orbit share it and may share cells at their edges: the microseconds say Sentinel-1's second of the day,
    so that no two are the same.
    """
    named = re.search(product.file_pattern or "", filename)
    radiometer, radar = named["time"], named["radar"]
    day = product.parse_name(filename)["date"]
    second, radar_second = (int(t[:2]) * 3600 + int(t[2:4]) * 60 + int(t[4:6]) for t in (radiometer, radar[-6:]))
    if second >= 86400:
        raise BadFile(f"its name says the time {radiometer}, which is none")
    return np.datetime64(day.isoformat(), "us") + np.timedelta64(second * 1_000_000 + radar_second, "us")


def _times(group: h5py.Group, seconds: np.ndarray) -> np.ndarray:
    """datetime64[us] of tb_time_seconds. Raises BadFile when one is missing or impossible."""
    missing = (seconds == _fill_of(group[TIME], -9999)) | ~np.isfinite(seconds)
    if missing.any():
        raise BadFile(f"{int(missing.sum())} of its {seconds.size} rows have no {TIME}")
    time = EPOCH + np.round(seconds * 1e6).astype("timedelta64[us]")
    years = (time.min().astype("datetime64[Y]"), time.max().astype("datetime64[Y]"))
    if years[0] < np.datetime64(str(FIRST_YEAR)) or years[1] > np.datetime64(str(LAST_YEAR)):
        raise BadFile(f"its times run from {years[0]} to {years[1]}, which cannot be")
    return time


def _check_places(
    group: h5py.Group, kept: np.ndarray, row: np.ndarray, column: np.ndarray, grid: Grid, suffix: str
) -> None:
    """Raises BadFile when the file's own latitudes and longitudes are not those of the cells its index names."""
    lat_name, lon_name = "latitude" + suffix, "longitude" + suffix
    if lat_name not in group or lon_name not in group:
        return
    lat, lon = group[lat_name][:][kept], group[lon_name][:][kept]
    cell_lon, cell_lat = grid.lonlat_of(row, column)
    off = np.maximum(np.abs(lat - cell_lat), np.abs((lon - cell_lon + 180) % 360 - 180))
    off = np.where((lat < -90) | (lon < -180), 0, off)  # fill
    worst = int(np.argmax(off))
    if off[worst] > PLACE_TOLERANCE_DEGREES:
        raise BadFile(
            f"its cell at row {row[worst]}, column {column[worst]} is at lon {lon[worst]:.3f}, lat {lat[worst]:.3f}, "
            f"but on grid {grid.grid_id} at lon {cell_lon[worst]:.3f}, lat {cell_lat[worst]:.3f}: is it on another grid?"
        )


def _fill_of(dataset: h5py.Dataset, default: float | None = None):
    fill = dataset.attrs.get("_FillValue", default)
    return fill if fill is None else np.asarray(fill).ravel()[0].item()


def _check_date_in_name(in_name: date | None, dates: tuple[date, ...]) -> None:
    """A half orbit may run past midnight; the date in the name must still be one of its own."""
    if in_name is not None and in_name not in dates:
        check_name_agrees(in_name, dates[:1])
