"""What files of maps have in common, whatever their format: a layout, and how a granule and its rows come of it.

A format brings a `MapFile` (NetCDF: netcdf.py, GRIB: _grib.py); `inspect_maps`, `read_dense_maps` and `read_rows` do the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pyarrow as pa

from loaders.granule import BadFile, Granule
from loaders.readers._checks import (
    apply_fill,
    calendar_dates,
    check_holds_values,
    check_name_agrees,
    native_fill,
)
from loaders.readers._dates import FIRST_YEAR, LAST_YEAR
from loaders.readers._files import sha256_of

if TYPE_CHECKING:
    from loaders.grids import Grid
    from loaders.products import Product, Variable
    from loaders.readers._placement import Placement

_CELLS_AT_ONCE = 1 << 22  # values of one variable that are read in one piece


@dataclass(frozen=True)
class Layout:
    """What a file is to a product.

    present    those of the product's variables that it holds
    placement  where its maps lie
    times      the time of each step in the file's order; () when it has none
    dates      the date of each step on the product's calendar; () for static, and for instants, whose steps share dates
    """

    present: tuple[Variable, ...]
    placement: Placement
    times: tuple[datetime, ...]
    dates: tuple[date, ...]

    @property
    def n_steps(self) -> int:
        return max(1, len(self.times), len(self.dates))


class MapFile(Protocol):
    """An open file of maps."""

    def layout(self, product: Product, grid: Grid | None, filename: str) -> Layout:
        """What the file is to a product. Raises BadFile."""

    def check(self, variable: Variable) -> None:
        """Raises BadFile when the file's type or fill cannot become what the product declares."""

    def read(self, layout: Layout, variable: Variable, steps: Sequence[int]) -> np.ndarray:
        """Values of some steps in the file's own order of rows and columns, shape (len(steps), n_y, n_x), dtype as declared."""

    def close(self) -> None:
        """Close it."""


def step_dates(times: Sequence[datetime], product: Product, filename: str) -> tuple[date, ...]:
    """`Layout.dates` from the times a file says, and from its name where it says none. Raises BadFile."""
    if product.time_step == "static":
        if len(times) > 1:
            raise BadFile(f"has {len(times)} time steps, but {product.name} does not change with time")
        return ()
    in_name = product.parse_name(filename, guess=False)["date"]
    if product.time_step == "instant":
        _check_instants(times, product)
        check_name_agrees(in_name, sorted({t.date() for t in times}))
        return ()
    if times:
        days = calendar_dates(times, product)
        # a date that only looks like one (of production, of a window's end) is no contradiction
        check_name_agrees(in_name, days)
        return tuple(days)
    in_name = product.parse_name(filename)["date"]
    if in_name is None:
        raise BadFile("has no time: neither a time coordinate nor a date in its name")
    return (in_name,)


def _check_instants(times: Sequence[datetime], product: Product) -> None:
    if not times:
        raise BadFile(f"has no time coordinate, and {product.name} has times of day")
    for t in times:
        if not FIRST_YEAR <= t.year <= LAST_YEAR:
            raise BadFile(f"its time axis says {t}, outside {FIRST_YEAR} to {LAST_YEAR}")
    if len(set(times)) < len(times):
        twice = next(t for t in sorted(times) if times.count(t) > 1)
        raise BadFile(f"has the time {twice:%Y-%m-%d %H:%M} more than once")


def inspect_maps(path: Path, file: MapFile, product: Product, grid: Grid | None, is_dense: bool) -> Granule:
    """The header of an open file of maps; `window` only where `is_dense`."""
    product = product.in_file(path)
    names = product.parse_name(path.name, guess=False)
    layout = file.layout(product, grid, path.name)
    for variable in layout.present:
        file.check(variable)
    order = range(layout.n_steps)
    check_holds_values(layout.present, lambda v: any(v.has_valid(file.read(layout, v, [i])) for i in order))
    days = layout.dates if is_dense else {t.date() for t in layout.times}
    return Granule(
        path=path,
        name=f"{path.parent.name}/{path.name}" if product.names_files_by_folder else path.name,
        key=f"{path.parent.name}/{names['key']}" if product.names_files_by_folder else names["key"],
        version=names["version"],
        sha256=sha256_of(path),
        grid=layout.placement.grid,
        window=layout.placement.window if is_dense else None,
        dates=tuple(sorted(days)),
        variables=tuple(v.name for v in layout.present),
    )


def read_dense_maps(
    granule: Granule, file: MapFile, product: Product, variable: str, dates: Sequence[date]
) -> np.ndarray:
    """One variable on some dates, shape (len(dates), height, width) (1 for static), north up and west left."""
    layout = file.layout(product.in_file(granule.path), granule.grid, granule.path.name)
    by_date = {day: i for i, day in enumerate(layout.dates)}
    steps = [by_date[day] for day in dates] if layout.dates else [0]
    values = file.read(layout, product.variable(variable), steps)
    return np.ascontiguousarray(layout.placement.arrange(values))


def read_rows(granule: Granule, file: MapFile, product: Product) -> pa.Table:
    """Every cell and time in which a variable is not fill: pixel_id, obs_date, obs_time (UTC), the variables as delivered."""
    layout = file.layout(product.in_file(granule.path), granule.grid, granule.path.name)
    placement = layout.placement
    pixel_id = placement.grid.window_pixel_ids(placement.window).ravel()
    at_once = max(1, _CELLS_AT_ONCE // pixel_id.size)
    parts = []
    for start in range(0, layout.n_steps, at_once):
        steps = list(range(start, min(start + at_once, layout.n_steps)))
        values, present = {}, np.zeros((len(steps), pixel_id.size), bool)
        for variable in layout.present:
            maps = placement.arrange(file.read(layout, variable, steps)).reshape(len(steps), -1)
            present |= variable.is_valid(maps)
            values[variable.name] = maps
        step, cell = np.nonzero(present)
        moments = np.array([layout.times[i] for i in steps], "datetime64[us]")[step]
        columns: dict[str, pa.Array] = {
            "pixel_id": pa.array(pixel_id[cell]),
            "obs_date": pa.array(moments.astype("datetime64[D]"), pa.date32()),
            "obs_time": pa.array(moments, pa.timestamp("us")),
        }
        columns |= {name: pa.array(maps[step, cell]) for name, maps in values.items()}
        parts.append(pa.table(columns))
    return pa.concat_tables(parts)


def with_fills(values: np.ndarray, fills: Sequence[float | int], variable: Variable) -> np.ndarray:
    """Values in the declared type, the file's own fills turned into the product's where it does not list them."""
    values = values.astype(np.dtype(variable.dtype), copy=False)
    for fill in fills:
        values = apply_fill(values, native_fill(variable, fill, variable.source_name))
    return values
