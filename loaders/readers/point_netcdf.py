"""Points in NetCDF 3 and 4: latitude, longitude and variables along one dimension (cut-outs of satellite grids as series).

A row a point, on the cell of the product's grid whose centre it is. The date is the file's: such files carry no times, and
where a file covers several days its name's first day stands for them. A cell may have several rows, one an overpass; they are
kept as delivered.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import netCDF4
import numpy as np
import pyarrow as pa

from loaders.granule import BadFile, Granule
from loaders.readers._checks import check_dtype, check_holds_values, native_fill, present_variables
from loaders.readers._classic import check_whole
from loaders.readers._files import NETCDF_STARTS, check_start, sha256_of
from loaders.readers._map_files import netcdf_lock
from loaders.readers._maps import with_fills
from loaders.readers._netcdf import file_fills, native_dtype

if TYPE_CHECKING:
    from datetime import date

    from loaders.grids import Grid
    from loaders.products import Product, Variable

LAYOUT = "sparse"

_LAT, _LON = ("latitude", "lat"), ("longitude", "lon")


def inspect(path: Path, product: Product, grid: Grid | None) -> Granule:
    """The header of one file: its date and variables; `window` is None.

    Raises BadFile for a file that is empty, truncated, no NetCDF, of another product, without variables (an outage), without
    places, with points off the grid, or all fill.
    """
    path = Path(path)
    names = product.parse_name(path.name)
    if names["date"] is None:
        raise BadFile("its name carries no date")
    with _open(path) as dataset:
        if grid is None:
            raise BadFile(f"carries no grid of its own: {product.name} must name one")
        # the number of a point is no variable: a file of nothing else is what an outage leaves
        held = [name for name, lies in dataset.variables.items() if lies.dimensions != (name,)]
        present = present_variables(product, held)
        _pixel_ids(dataset, grid)
        for variable in present:
            _check(dataset, variable)
        check_holds_values(present, lambda v: v.has_valid(_values(dataset, v)))
    return Granule(
        path=path,
        name=path.name,
        key=names["key"],
        version=names["version"],
        sha256=sha256_of(path),
        grid=grid,
        window=None,
        dates=(names["date"],),
        variables=tuple(v.name for v in present),
    )


def read_sparse(granule: Granule, product: Product) -> pa.Table:
    """Every point: pixel_id, obs_date, the product's variables, types and fills as delivered."""
    with _open(granule.path) as dataset:
        pixel_id = _pixel_ids(dataset, granule.grid)
        day: date = granule.dates[0]
        columns: dict[str, pa.Array] = {
            "pixel_id": pa.array(pixel_id, granule.grid.pixel_id_type),
            "obs_date": pa.array(np.full(pixel_id.size, np.datetime64(day)), pa.date32()),
        }
        for name in granule.variables:
            columns[name] = pa.array(_values(dataset, product.variable(name)))
    return pa.table(columns)


@contextmanager
def _open(path: Path) -> Iterator[netCDF4.Dataset]:
    check_start(path, "a NetCDF file", NETCDF_STARTS)
    with netcdf_lock:
        try:
            check_whole(path)
            dataset = netCDF4.Dataset(path)
        except (OSError, RuntimeError) as error:
            said = getattr(error, "strerror", None) or error
            raise BadFile(f"is a damaged or truncated NetCDF file: {said}") from error
        dataset.set_auto_maskandscale(False)
        try:
            yield dataset
        except (RuntimeError, OSError) as error:
            raise BadFile(f"cannot be read to the end, it is truncated or damaged: {error}") from error
        finally:
            dataset.close()


def _pixel_ids(dataset: netCDF4.Dataset, grid: Grid) -> np.ndarray:
    found = [next((n for n in names if n in dataset.variables), None) for names in (_LAT, _LON)]
    if None in found:
        raise BadFile("has no latitude and longitude")
    lat, lon = (dataset[name] for name in found)
    if lat.ndim != 1 or lat.dimensions != lon.dimensions:
        raise BadFile("holds no points: its latitudes and longitudes do not run along one dimension; is it a map?")
    if not lat.size:
        raise BadFile("holds no points: nothing was observed (an outage), or the subset was empty")
    row, column, _ = grid.locate(np.asarray(lon[:], np.float64), np.asarray(lat[:], np.float64))
    return grid.pixel_id(row, column)


def _check(dataset: netCDF4.Dataset, variable: Variable) -> None:
    lies = dataset[variable.source_name]
    if lies.dtype is str or np.dtype(lies.dtype).kind not in "iuf":
        raise BadFile(f"{variable.source_name} holds no numbers")
    if lies.ndim != 1 or lies.size != next(dataset[n].size for n in _LAT if n in dataset.variables):
        raise BadFile(f"{variable.source_name} has not a value a point")
    check_dtype(variable, native_dtype(lies), variable.source_name)
    for fill in file_fills(lies):
        native_fill(variable, fill, variable.source_name)


def _values(dataset: netCDF4.Dataset, variable: Variable) -> np.ndarray:
    lies = dataset[variable.source_name]
    raw = np.asarray(lies[:])
    return with_fills(raw.astype(raw.dtype.newbyteorder("="), copy=False), file_fills(lies), variable)
