"""NetCDF 3 and 4 on regular axes: longitude and latitude, or x and y of a projection.

South-to-north files are turned, 0..360 longitudes rolled, CF time axes decoded. Values stay as delivered; only a file that
packs what the product declares as floats into integers with a scale and offset of its own (old ERA5) is unpacked, since
those integers mean nothing outside the file. ERA5's preliminary months (`expver` 0005) are kept: a later download with
final values replaces them.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import netCDF4
import numpy as np

from loaders.granule import BadFile, Granule
from loaders.readers._cf import (
    EXPVER,
    TIME_NAMES,
    Axes,
    all_variables,
    axes_of,
    centres_of,
    coordinate_of,
    crs_of,
    maps_of,
    packing_of,
)
from loaders.readers._checks import (
    apply_fill,
    calendar_dates,
    check_dtype,
    check_holds_values,
    check_name_agrees,
    native_fill,
    present_variables,
)
from loaders.readers._dates import decode_times, find_date
from loaders.readers._files import NETCDF_STARTS, as_column, check_start, list_names, sha256_of
from loaders.readers._placement import Axis, Placement, place

if TYPE_CHECKING:
    from loaders.grids import Grid
    from loaders.products import DeliveredAs, Described, Product, Variable

LAYOUT = "dense"


# The NetCDF C library is not safe for threads: one reader at a time, whatever file.
_lock = threading.RLock()
_OPEN_FILES = 4
_opened: OrderedDict[tuple, _File] = OrderedDict()


def inspect(path: Path, product: Product, grid: Grid | None) -> Granule:
    """The header of one NetCDF file: its window on `grid` (None: its own grid), dates and variables.

    Raises BadFile for a file that is empty, truncated, no NetCDF, of another product (name, variables, types), without any
    variable (an outage), without a projection, off the grid, with a time axis that is missing, impossible or
    finer than the product, or all fill.
    """
    path = Path(path)
    names = product.parse_name(path.name, guess=False)
    with _open(path) as file:
        dataset, layout = file.dataset, file.layout(product, grid, path.name)
        present = layout.present
        for variable in present:
            _check_values(dataset[variable.source_name], variable)
        order = range(len(layout.dates) or 1)
        check_holds_values(present, lambda v: any(v.has_valid(_read(dataset, layout, v, [i])) for i in order))
    return Granule(
        path=path,
        name=path.name,
        key=names["key"],
        version=names["version"],
        sha256=sha256_of(path),
        grid=layout.placement.grid,
        window=layout.placement.window,
        dates=tuple(sorted(layout.dates)),
        variables=tuple(v.name for v in present),
    )


def read_dense(granule: Granule, product: Product, variable: str, dates: Sequence[date]) -> np.ndarray:
    """One variable, shape (len(dates), height, width) (1 for static), dtype as declared, north up and west left.

    Fill values stay; a fill the product does not list becomes its first (NaN for floats without one).
    Raises BadFile when the file cannot be read to the end.
    """
    declared = product.variable(variable)
    with _open(granule.path) as file:
        dataset = file.dataset
        layout = file.layout(product, granule.grid, granule.path.name)
        by_date = {day: i for i, day in enumerate(layout.dates)}
        steps = [by_date[day] for day in dates] if layout.dates else [0]
        return np.ascontiguousarray(layout.placement.arrange(_read(dataset, layout, declared, steps)))


def describe(path: Path, asked: DeliveredAs) -> Described:
    """What a NetCDF of no known product holds: every variable that lies on both spatial axes."""
    from loaders.products import Described, Variable

    with _open(Path(path)) as file:
        dataset = file.dataset
        variables = []
        maps = maps_of(dataset)
        for name, lies in maps.items():
            packed = packing_of(lies) is not None
            variables.append(
                Variable(
                    name=as_column(name),
                    dataset=name if as_column(name) != name else None,
                    dtype="float32" if packed else _native_dtype(lies).name,
                    fill=() if packed else tuple(_plain(f) for f in _file_fills(lies) if f == f),
                    unit=str(getattr(lies, "units", "unknown")) or "unknown",
                    description=str(getattr(lies, "long_name", "")),
                )
            )
        if not variables:
            raise BadFile(f"holds no map; it has {list_names(list(all_variables(dataset))) or 'no variables at all'}")
        step = _described_step(dataset, next(iter(maps.values())), asked, Path(path).name)
    return Described(time_step=step, variables=tuple(variables))


# -- the file -----------------------------------------------------------------------------------------------------------


@dataclass
class _File:
    """An open dataset and what it is to the products it was asked for: a month's read must not decode the axes again."""

    dataset: netCDF4.Dataset
    state: tuple[int, int]  # modification time and size when it was opened
    layouts: dict[tuple, _Layout] = field(default_factory=dict)

    def layout(self, product: Product, grid: Grid | None, filename: str) -> _Layout:
        key = (product, grid)
        if key not in self.layouts:
            self.layouts[key] = _find_layout(self.dataset, product, grid, filename)
        return self.layouts[key]


@contextmanager
def _open(path: Path) -> Iterator[_File]:
    """An open file, for this thread alone. The last few stay open, since they are read a variable and month at a time."""
    with _lock:
        try:
            stat = path.stat()
        except OSError as error:
            raise BadFile(f"cannot be read: {error.strerror or error}") from error
        # HDF5 knows an open file by its inode: one that was written over must be closed before it is opened again
        key, state = (stat.st_dev, stat.st_ino), (stat.st_mtime_ns, stat.st_size)
        file = _opened.pop(key, None)
        if file is not None and file.state != state:
            file.dataset.close()
            file = None
        file = file or _File(_open_dataset(path), state)
        _opened[key] = file
        while len(_opened) > _OPEN_FILES:
            _opened.popitem(last=False)[1].dataset.close()
        try:
            yield file
        except (RuntimeError, OSError) as error:
            _opened.pop(key).dataset.close()
            raise BadFile(f"cannot be read to the end, it is truncated or damaged: {error}") from error


def _open_dataset(path: Path) -> netCDF4.Dataset:
    check_start(path, "a NetCDF file", NETCDF_STARTS)
    try:
        dataset = netCDF4.Dataset(path)
    except (OSError, RuntimeError) as error:
        raise BadFile(f"is a damaged or truncated NetCDF file: {getattr(error, 'strerror', None) or error}") from error
    dataset.set_auto_maskandscale(False)
    return dataset


# -- layout -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Layout:
    """What a file is to a product: the variables it holds, where they lie, the dates along its time axis in its order."""

    present: tuple[Variable, ...]
    placement: Placement
    axes: Axes
    dates: tuple[date, ...]  # () for static


def _find_layout(dataset, product: Product, grid: Grid | None, filename: str) -> _Layout:
    everything = all_variables(dataset)
    if all(lies.dimensions == (lies.name,) for lies in everything.values()):
        everything = {}  # coordinates alone: an empty subset still has those
    present = present_variables(product, everything)
    time_name = product.options.time
    first = dataset[present[0].source_name]
    axes = axes_of(first, present[0].source_name, time_name)
    for variable in present[1:]:
        other = axes_of(dataset[variable.source_name], variable.source_name, time_name)
        if (other.x, other.y, other.time) != (axes.x, axes.y, axes.time):
            raise BadFile(f"{present[0].source_name} and {variable.source_name} lie on different axes")
    x, units = centres_of(first, axes.x, "west-east")
    y, _ = centres_of(first, axes.y, "south-north")
    if units in ("km", "kilometre", "kilometer"):
        x, y = x * 1000, y * 1000
    steps = (grid.cell_width, -grid.cell_height) if grid is not None else (None, None)
    crs = crs_of(first, axes, units, product.options)
    placement = place(Axis.of(x, "west-east", steps[0]), Axis.of(y, "south-north", steps[1]), crs, grid, product.name)
    return _Layout(present, placement, axes, _dates(first, axes, product, filename))


def _dates(lies: netCDF4.Variable, axes: Axes, product: Product, filename: str) -> tuple[date, ...]:
    times = _times(lies, axes, product.options.time)
    if product.time_step == "static":
        if axes.time is not None and len(times) > 1:
            raise BadFile(f"has {len(times)} time steps, but {product.name} does not change with time")
        return ()
    if times:
        days = calendar_dates(times, product)
        # a date that only looks like one (of production, of a window's end) is no contradiction
        check_name_agrees(product.parse_name(filename, guess=False)["date"], days)
        return tuple(days)
    in_name = product.parse_name(filename)["date"]
    if in_name is None:
        raise BadFile("has no time: neither a time coordinate nor a date in its name")
    return (in_name,)


def _times(lies: netCDF4.Variable, axes: Axes, time_name: str | None) -> list[datetime]:
    """The time of each step; of a file without a time dimension that of its scalar time coordinate, or none."""
    if axes.time is not None:
        coordinate = coordinate_of(lies, axes.time)
        if coordinate is None:
            if lies.shape[lies.dimensions.index(axes.time)] > 1:
                raise BadFile(f"has a time dimension ({axes.time}) without times along it")
            return []
    else:
        variables = lies.group().variables
        wanted = [time_name] if time_name else TIME_NAMES
        coordinate = next((variables[n] for n in wanted if n in variables and variables[n].size == 1), None)
        if coordinate is None:
            return []
    values = np.atleast_1d(coordinate[...])
    units = str(getattr(coordinate, "units", ""))
    if values.dtype.kind not in "iuf" or " since " not in units:
        raise BadFile(f"its time axis {coordinate.name} has no units like `days since 1970-01-01` (units {units!r})")
    missing = [f for f in _file_fills(coordinate, values.dtype) if f == f]
    if values.size == 0:
        raise BadFile("its time axis is empty")
    if np.isin(values, missing).any() or (values.dtype.kind == "f" and not np.isfinite(values).all()):
        raise BadFile(f"its time axis {coordinate.name} has missing times")
    packing = packing_of(coordinate)
    if packing is not None:
        values = values * packing[0] + packing[1]
    return decode_times(values, units, str(getattr(coordinate, "calendar", "standard")))


def _described_step(dataset, lies: netCDF4.Variable, asked: DeliveredAs, filename: str) -> str:
    times = _times(lies, axes_of(lies, lies.name, asked.time), asked.time)
    if len(times) < 2:
        try:
            in_name = find_date(filename) if asked.date_pattern is None and asked.file_pattern is None else None
        except BadFile:
            in_name = None
        if in_name is not None and (in_name[1] == "month" or not times):
            return in_name[1]
        return "day" if times or asked.date_pattern or asked.file_pattern else "static"
    months = {(t.year, t.month) for t in times}
    ordered = sorted(times)
    closest = min((b - a).days for a, b in pairwise(ordered))
    return "month" if len(months) == len(times) and closest >= 28 else "day"


# -- values -------------------------------------------------------------------------------------------------------------


def _native_dtype(lies: netCDF4.Variable) -> np.dtype:
    """The type of the values; NetCDF 3 has no unsigned integers and says so in an attribute."""
    dtype = np.dtype(lies.dtype).newbyteorder("=")
    if str(getattr(lies, "_Unsigned", "false")).lower() == "true" and dtype.kind == "i":
        return np.dtype(f"u{dtype.itemsize}")
    return dtype


def _file_fills(lies: netCDF4.Variable, dtype: np.dtype | None = None) -> list[Any]:
    """What the file itself marks missing values with: _FillValue, missing_value, or NetCDF's default for floats."""
    dtype = dtype or _native_dtype(lies)
    fills = []
    for attribute in ("_FillValue", "missing_value"):
        value = getattr(lies, attribute, None)
        if value is not None and not isinstance(value, str):
            value = np.asarray(value).ravel()[:1]
            if dtype.kind in "iu" and value.dtype.kind in "iu" and value.dtype.itemsize == dtype.itemsize:
                value = value.view(dtype)  # _Unsigned: the attribute has the signed type
            if value.size:
                fills.append(value[0].item())
    if not fills and dtype.kind == "f":
        fills.append(netCDF4.default_fillvals[f"f{dtype.itemsize}"])
    return list(dict.fromkeys(fills))


def _is_unpacked(lies: netCDF4.Variable, variable: Variable) -> bool:
    return packing_of(lies) is not None and np.dtype(variable.dtype).kind == "f"


def _check_values(lies: netCDF4.Variable, variable: Variable) -> None:
    """Raises BadFile when the file's type or fill cannot become what the product declares."""
    if lies.dtype is str or np.dtype(lies.dtype).kind not in "iuf":
        raise BadFile(f"{variable.source_name} holds no numbers")
    if not _is_unpacked(lies, variable):
        check_dtype(variable, _native_dtype(lies), variable.source_name)
        for fill in _file_fills(lies):
            native_fill(variable, fill, variable.source_name)


def _read(file: netCDF4.Dataset, layout: _Layout, variable: Variable, steps: Sequence[int]) -> np.ndarray:
    """Values of some time steps in the file's own order of rows and columns, shape (len(steps), n_y, n_x)."""
    lies, axes = file[variable.source_name], layout.axes
    own = axes_of(lies, variable.source_name, axes.time)
    chosen = _as_slice(steps)
    index = tuple(
        chosen if d == own.time else 0 if d in own.extra and d != EXPVER else slice(None) for d in lies.dimensions
    )
    raw = np.asarray(lies[index])
    kept = [d for d, i in zip(lies.dimensions, index, strict=True) if not isinstance(i, int)]
    front = [d for d in (EXPVER if EXPVER in kept else None, own.time) if d is not None]
    raw = raw.transpose([kept.index(d) for d in (*front, own.y, own.x)])
    raw = raw.astype(raw.dtype.newbyteorder("="), copy=False)
    if raw.dtype != _native_dtype(lies):
        raw = np.ascontiguousarray(raw).view(_native_dtype(lies))
    values = _as_declared(raw, lies, variable)
    if EXPVER in kept:
        values = np.where(
            variable.is_valid(values[0]), values[0], values[-1]
        )  # final where there is one, else preliminary
    return values if own.time is not None else values[np.newaxis]


def _as_declared(raw: np.ndarray, lies: netCDF4.Variable, variable: Variable) -> np.ndarray:
    dtype = np.dtype(variable.dtype)
    fills = _file_fills(lies)
    if _is_unpacked(lies, variable):
        scale, offset = packing_of(lies)
        values = (raw * scale + offset).astype(dtype)
        known = [f for f in variable.fill if f == f]
        values[np.isin(raw, fills)] = known[0] if known else np.nan
        return values
    values = raw.astype(dtype, copy=False)
    for fill in fills:
        values = apply_fill(values, native_fill(variable, fill, variable.source_name))
    return values


def _as_slice(steps: Sequence[int]) -> slice | list[int]:
    """Steps that follow each other are read in one piece."""
    steps = list(steps)
    if steps == list(range(steps[0], steps[0] + len(steps))):
        return slice(steps[0], steps[0] + len(steps))
    return steps


def _plain(value: Any) -> int | float:
    return int(value) if isinstance(value, int) or float(value).is_integer() else float(value)
