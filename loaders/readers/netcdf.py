"""Maps on a calendar from NetCDF 3 and 4 (HDF5 too, as far as it is NetCDF) and GRIB: a map a day, a month, or without dates.

Axes are longitude and latitude, or x and y of a projection. South-to-north files are turned, 0..360 longitudes rolled, CF
time axes decoded. Arrays without coordinates (SMAP, AMSR2) are placed on the product's grid where it says `whole_grid`.
Values stay as delivered; only a file that packs what the product declares as floats into integers with a scale and offset
of its own (old ERA5) is unpacked, since those integers mean nothing outside the file. ERA5's preliminary months (`expver`
0005) are kept: a later download with final values replaces them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from loaders.granule import BadFile, Granule
from loaders.readers._cf import all_variables, axes_of, maps_of, packing_of
from loaders.readers._dates import find_date
from loaders.readers._files import as_column, list_names
from loaders.readers._grib import GribFile
from loaders.readers._map_files import open_map_file
from loaders.readers._maps import inspect_maps, read_dense_maps
from loaders.readers._netcdf import NetCDFFile, file_fills, native_dtype, times_of

if TYPE_CHECKING:
    from datetime import datetime

    from loaders.grids import Grid
    from loaders.products import DeliveredAs, Described, Product, Variable

LAYOUT = "dense"


def inspect(path: Path, product: Product, grid: Grid | None) -> Granule:
    """The header of one file: its window on `grid` (None: its own grid), dates and variables.

    Raises BadFile for a file that is empty, truncated, no NetCDF or GRIB, of another product (name, variables, types),
    without any variable (an outage), without a projection, off the grid, with a time axis that is missing, impossible or
    finer than the product, or all fill.
    """
    path = Path(path)
    with open_map_file(path) as file:
        return inspect_maps(path, file, product, grid, is_dense=True)


def read_dense(granule: Granule, product: Product, variable: str, dates: Sequence[date]) -> np.ndarray:
    """One variable, shape (len(dates), height, width) (1 for static), dtype as declared, north up and west left.

    Fill values stay; a fill the product does not list becomes its first (NaN for floats without one).
    Raises BadFile when the file cannot be read to the end.
    """
    with open_map_file(granule.path) as file:
        return read_dense_maps(granule, file, product, variable, dates)


def describe(path: Path, asked: DeliveredAs) -> Described:
    """What a file of no known product holds: every variable that lies on both spatial axes, and how fine its times are."""
    from loaders.products import Described

    path = Path(path)
    with open_map_file(path) as opened:
        file = opened.file
        if isinstance(file, GribFile):
            variables, times = file.describe(), file.times
        else:
            variables, times = _described_variables(file, asked)
        step = _described_step(times, asked, path.name)
    return Described(time_step=step, variables=tuple(variables))


def _described_variables(file: NetCDFFile, asked: DeliveredAs) -> tuple[list[Variable], list[datetime]]:
    from loaders.products import Variable

    variables = []
    maps = maps_of(file.dataset)
    for name, lies in maps.items():
        packed = packing_of(lies) is not None
        variables.append(
            Variable(
                name=as_column(name),
                dataset=name if as_column(name) != name else None,
                dtype="float32" if packed else native_dtype(lies).name,
                fill=() if packed else tuple(_plain(f) for f in file_fills(lies) if f == f),
                unit=str(getattr(lies, "units", "unknown")) or "unknown",
                description=str(getattr(lies, "long_name", "")),
            )
        )
    if not variables:
        has = list_names(list(all_variables(file.dataset))) or "no variables at all"
        raise BadFile(f"holds no map; it has {has}")
    first = next(iter(maps.values()))
    level = next((v.level for v in asked.variables if v.level is not None), None)
    return variables, times_of(first, axes_of(first, first.name, asked.time, level), asked.time)


def _described_step(times: Sequence[datetime], asked: DeliveredAs, filename: str) -> str:
    if len(times) < 2:
        try:
            in_name = find_date(filename) if asked.date_pattern is None and asked.file_pattern is None else None
        except BadFile:
            in_name = None
        if in_name is not None and (in_name[1] == "month" or not times):
            return in_name[1]
        return "day" if times or asked.date_pattern or asked.file_pattern else "static"
    if len({t.date() for t in times}) < len(times):
        return "instant"
    months = {(t.year, t.month) for t in times}
    ordered = sorted(times)
    closest = min((b - a).days for a, b in pairwise(ordered))
    return "month" if len(months) == len(times) and closest >= 28 else "day"


def _plain(value: Any) -> int | float:
    return int(value) if isinstance(value, int) or float(value).is_integer() else float(value)
