"""One NetCDF file as maps: which variables lie where and when, and their values as delivered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import netCDF4
import numpy as np

from loaders.granule import BadFile
from loaders.readers._bare import place_bare
from loaders.readers._cf import (
    EXPVER,
    TIME_NAMES,
    Axes,
    all_variables,
    axes_of,
    bare_axes_of,
    centres_of,
    coordinate_of,
    crs_of,
    is_bare,
    packing_of,
    variable_above,
)
from loaders.readers._checks import check_dtype, native_fill, present_variables
from loaders.readers._classic import check_whole
from loaders.readers._dates import decode_times
from loaders.readers._maps import Layout, step_dates, with_fills
from loaders.readers._placement import Axis, place

if TYPE_CHECKING:
    from loaders.grids import Grid
    from loaders.products import Product, Variable
    from loaders.readers._placement import Placement


@dataclass(frozen=True)
class NetCDFLayout(Layout):
    """`axes` of each variable by name."""

    axes: dict[str, Axes]


class NetCDFFile:
    """An open NetCDF file; a `MapFile`. Raises BadFile when it cannot be opened."""

    def __init__(self, path: Path) -> None:
        try:
            check_whole(path)
            self.dataset = netCDF4.Dataset(path)
        except (OSError, RuntimeError) as error:
            said = getattr(error, "strerror", None) or error
            raise BadFile(f"is a damaged or truncated NetCDF file: {said}") from error
        self.dataset.set_auto_maskandscale(False)

    def close(self) -> None:
        self.dataset.close()

    def layout(self, product: Product, grid: Grid | None, filename: str) -> NetCDFLayout:
        everything = all_variables(self.dataset)
        if all(lies.dimensions == (lies.name,) for lies in everything.values()):
            everything = {}  # coordinates alone: an empty subset still has those
        present = present_variables(product, everything)
        options = product.options
        first = self.dataset[present[0].source_name]
        axes: dict[str, Axes] = {}
        is_whole = options.whole_grid and is_bare(first)
        for variable in present:
            lies = self.dataset[variable.source_name]
            if is_whole:
                axes[variable.name] = bare_axes_of(lies, variable.source_name)
            else:
                axes[variable.name] = axes_of(lies, variable.source_name, options.time, variable.level)
            self._check_same_axes(present[0], axes[present[0].name], variable, axes[variable.name], is_whole)
        own = axes[present[0].name]
        placement = place_bare(first, own, grid, options.west) if is_whole else _placement(first, own, product, grid)
        times = tuple(times_of(first, own, options.time))
        return NetCDFLayout(present, placement, times, step_dates(times, product, filename), axes)

    def _check_same_axes(self, first: Variable, axes: Axes, variable: Variable, other: Axes, is_whole: bool) -> None:
        same = (other.x, other.y, other.time) == (axes.x, axes.y, axes.time)
        if is_whole:
            shapes = [
                [self.dataset[v.source_name].shape[self.dataset[v.source_name].dimensions.index(d)] for d in (a.y, a.x)]
                for v, a in ((first, axes), (variable, other))
            ]
            same = shapes[0] == shapes[1]
        if not same:
            raise BadFile(f"{first.source_name} and {variable.source_name} lie on different axes")

    def check(self, variable: Variable) -> None:
        lies = self.dataset[variable.source_name]
        if lies.dtype is str or np.dtype(lies.dtype).kind not in "iuf":
            raise BadFile(f"{variable.source_name} holds no numbers")
        if not _is_unpacked(lies, variable):
            check_dtype(variable, native_dtype(lies), variable.source_name)
            for fill in file_fills(lies):
                native_fill(variable, fill, variable.source_name)

    def read(self, layout: NetCDFLayout, variable: Variable, steps: Sequence[int]) -> np.ndarray:
        lies, own = self.dataset[variable.source_name], layout.axes[variable.name]
        chosen = _as_slice(steps)
        level = {d: (variable.level or 1) - 1 for d, n in zip(lies.dimensions, lies.shape, strict=True) if n > 1}
        index = tuple(
            chosen if d == own.time else level.get(d, 0) if d in own.extra and d != EXPVER else slice(None)
            for d in lies.dimensions
        )
        raw = np.asarray(lies[index])
        kept = [d for d, i in zip(lies.dimensions, index, strict=True) if not isinstance(i, int)]
        front = [d for d in (EXPVER if EXPVER in kept else None, own.time) if d is not None]
        raw = raw.transpose([kept.index(d) for d in (*front, own.y, own.x)])
        raw = raw.astype(raw.dtype.newbyteorder("="), copy=False)
        if raw.dtype != native_dtype(lies):
            raw = np.ascontiguousarray(raw).view(native_dtype(lies))
        values = _as_declared(raw, lies, variable)
        if EXPVER in kept:
            # final where there is one, else preliminary
            values = np.where(variable.is_valid(values[0]), values[0], values[-1])
        return values if own.time is not None else values[np.newaxis]


def _placement(lies: netCDF4.Variable, axes: Axes, product: Product, grid: Grid | None) -> Placement:
    x, units = centres_of(lies, axes.x, "west-east")
    y, _ = centres_of(lies, axes.y, "south-north")
    if units in ("km", "kilometre", "kilometer"):
        x, y = x * 1000, y * 1000
    steps = (grid.cell_width, -grid.cell_height) if grid is not None else (None, None)
    crs = crs_of(lies, axes, units, product.options)
    return place(Axis.of(x, "west-east", steps[0]), Axis.of(y, "south-north", steps[1]), crs, grid, product.name)


def times_of(lies: netCDF4.Variable, axes: Axes, time_name: str | None) -> list[datetime]:
    """The time of each step; of a file without a time dimension that of its scalar time coordinate, or none.

    Raises BadFile when the times are missing, or cannot be read.
    """
    if axes.time is not None:
        coordinate = coordinate_of(lies, axes.time)
        if coordinate is None:
            if lies.shape[lies.dimensions.index(axes.time)] > 1:
                raise BadFile(f"has a time dimension ({axes.time}) without times along it")
            return []
    else:
        found = (variable_above(lies, name) for name in ([time_name] if time_name else TIME_NAMES))
        coordinate = next((c for c in found if c is not None and c.size == 1), None)
        if coordinate is None:
            return []
    values = np.atleast_1d(coordinate[...])
    units = str(getattr(coordinate, "units", ""))
    if values.dtype.kind not in "iuf" or " since " not in units:
        raise BadFile(f"its time axis {coordinate.name} has no units like `days since 1970-01-01` (units {units!r})")
    missing = [f for f in file_fills(coordinate, values.dtype) if f == f]
    if values.size == 0:
        raise BadFile("its time axis is empty")
    if np.isin(values, missing).any() or (values.dtype.kind == "f" and not np.isfinite(values).all()):
        raise BadFile(f"its time axis {coordinate.name} has missing times")
    packing = packing_of(coordinate)
    if packing is not None:
        values = values * packing[0] + packing[1]
    return decode_times(values, units, str(getattr(coordinate, "calendar", "standard")))


def native_dtype(lies: netCDF4.Variable) -> np.dtype:
    """The type of the values; NetCDF 3 has no unsigned integers and says so in an attribute."""
    dtype = np.dtype(lies.dtype).newbyteorder("=")
    if str(getattr(lies, "_Unsigned", "false")).lower() == "true" and dtype.kind == "i":
        return np.dtype(f"u{dtype.itemsize}")
    return dtype


def file_fills(lies: netCDF4.Variable, dtype: np.dtype | None = None) -> list[Any]:
    """What the file itself marks missing values with: _FillValue, missing_value, or NetCDF's default for floats."""
    dtype = dtype or native_dtype(lies)
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


def _as_declared(raw: np.ndarray, lies: netCDF4.Variable, variable: Variable) -> np.ndarray:
    fills = file_fills(lies)
    if not _is_unpacked(lies, variable):
        return with_fills(raw, fills, variable)
    scale, offset = packing_of(lies)
    values = (raw * scale + offset).astype(np.dtype(variable.dtype))
    known = [f for f in variable.fill if f == f]
    values[np.isin(raw, fills)] = known[0] if known else np.nan
    return values


def _as_slice(steps: Sequence[int]) -> slice | list[int]:
    """Steps that follow each other are read in one piece."""
    steps = list(steps)
    if steps == list(range(steps[0], steps[0] + len(steps))):
        return slice(steps[0], steps[0] + len(steps))
    return steps
