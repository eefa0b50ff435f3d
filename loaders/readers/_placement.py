"""Where a raster lies on a grid: which window, and how its rows and columns turn to run north to south, west to east."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyproj

from loaders.granule import BadFile, Window
from loaders.grids import CORNER_TOLERANCE, GRIDS, LONLAT_CRS, Grid, suggest_grids


@dataclass(frozen=True)
class Placement:
    """The window a raster fills, and what turns the file's array into it."""

    grid: Grid
    window: Window
    flip_rows: bool  # the file runs south to north
    flip_columns: bool  # the file runs east to west
    roll: int  # columns to roll to the right afterwards: a 0..360 map becomes -180..180

    def arrange(self, values: np.ndarray) -> np.ndarray:
        """Values (..., height, width) as in the file, north up and west left; a view where nothing turns."""
        if self.flip_rows:
            values = values[..., ::-1, :]
        if self.flip_columns:
            values = values[..., ::-1]
        if self.roll:
            values = np.roll(values, self.roll, axis=-1)
        return values


@dataclass(frozen=True)
class Axis:
    """A regular axis of cell centres: the first centre, the signed step, how many."""

    first: float
    step: float
    n: int

    @classmethod
    def of(cls, centres: np.ndarray, what: str, default_step: float | None = None) -> Axis:
        """The axis of cell centres. Raises BadFile when they are not finite or not evenly spaced.

        A single centre has no step of its own and takes `default_step`, the grid's.
        """
        centres = np.asarray(centres, np.float64).ravel()
        if centres.size == 0 or not np.isfinite(centres).all():
            raise BadFile(f"its {what} coordinates are empty or not finite")
        if centres.size == 1:
            if default_step is None:
                raise BadFile(f"it has a single {what} coordinate, from which no cell size follows: give --grid")
            return cls(float(centres[0]), default_step, 1)
        step = (centres[-1] - centres[0]) / (centres.size - 1)
        if step == 0:
            raise BadFile(f"its {what} coordinates are all the same")
        departure = np.abs(centres - (centres[0] + step * np.arange(centres.size))).max() / abs(step)
        if departure > CORNER_TOLERANCE:
            raise BadFile(f"its {what} coordinates are not evenly spaced (up to {departure:.2f} of a cell off)")
        return cls(float(centres[0]), float(step), centres.size)

    @property
    def lowest_edge(self) -> float:
        return min(self.first, self.first + self.step * (self.n - 1)) - abs(self.step) / 2


def place(x: Axis, y: Axis, crs: str, grid: Grid | None, own_name: str) -> Placement:
    """Where a raster with these axes lies on `grid`; without one, on the named grid it fits or on its own, `own_name`.

    `crs` is anything pyproj reads. Every geographic CRS is taken for EPSG:4326: spheres of weather models draw the
    same latitudes. Raises BadFile when the CRS or the cells are not the grid's.
    """
    try:
        return _place(x, y, crs, grid, own_name)
    except pyproj.exceptions.CRSError as error:
        raise BadFile(f"its projection is not understood: {error}") from error


@lru_cache(maxsize=64)
def _place(x: Axis, y: Axis, crs: str, grid: Grid | None, own_name: str) -> Placement:
    is_geographic = _is_geographic(crs)
    if grid is not None:
        _check_same_crs(x, y, crs, is_geographic, grid)
    width, height = abs(x.step), abs(y.step)
    left, roll = x.lowest_edge, 0
    top = y.lowest_edge + y.n * height
    if is_geographic and (abs(top) > 90 + height or abs(y.lowest_edge) > 90 + height or abs(left) > 360 + width):
        raise BadFile("its coordinates are not degrees, though its projection says so")
    spans = is_geographic and abs(x.n * width - 360) < CORNER_TOLERANCE * width
    if spans:
        seam = grid.left if grid is not None and grid.spans_all_longitudes else _usual_seam(left, width)
        roll = round((left - seam) / width) % x.n
        left -= width * round((left - seam) / width)
    elif is_geographic:
        left = _in_sense_of(left, x.n * width, grid)
    if grid is None:
        crs = LONLAT_CRS if is_geographic else _named_crs(x, y, crs)
        grid = _own_grid(left, top, width, height, y.n, x.n, crs, own_name)
    window = grid.window_of(left, top, width, height, y.n, x.n)
    return Placement(grid, window, flip_rows=y.step > 0, flip_columns=x.step < 0, roll=roll)


def _usual_seam(left: float, width: float) -> float:
    """The western edge in -180.x for a global map that begins elsewhere, on the map's own lines."""
    return left - width * round((left + 180) / width)


def _in_sense_of(left: float, span: float, grid: Grid | None) -> float:
    """A western edge moved by whole turns to lie inside the grid, or without one inside -180..180."""
    west, east = (grid.left, grid.left + grid.n_cols * grid.cell_width) if grid is not None else (-180.0, 180.0)
    slack = 1e-3 if grid is None else CORNER_TOLERANCE * grid.cell_width
    for turn in (0, -360, 360):
        if left + turn >= west - slack and left + turn + span <= east + slack:
            return left + turn
    if grid is not None and grid.spans_all_longitudes:
        raise BadFile(
            f"it crosses longitude {grid.left % 360 - 360 if grid.left % 360 > 180 else grid.left:g}, "
            f"where grid {grid.grid_id} begins: cut it in two there"
        )
    return left


def _own_grid(left, top, width, height, n_rows, n_cols, crs, own_name) -> Grid:
    named = suggest_grids(left, top, width, height, n_rows, n_cols, crs)
    if named:
        return GRIDS[named[0]]
    try:
        left, width = _tidy(left, width), _tidy(width, width)
        top, height = _tidy(top, height), _tidy(height, height)
        return Grid(own_name, crs, left, top, width, height, n_rows, n_cols)
    except ValueError as error:
        raise BadFile(f"its cells make no grid: {error}") from error


def widened(grid: Grid) -> Grid:
    """A file's own grid, extended on its own lattice over the area its projection is meant for, half as much again on each side.

    Scenes of one satellite differ in extent, but not in lattice. Named grids, grids in degrees and projections that do not say
    what area they are for stay as they are.
    """
    crs = pyproj.CRS.from_user_input(grid.crs)
    authority = (
        crs.to_authority()
    )  # written out in a file, a projection does not say what area it is for; its number does
    area = pyproj.CRS.from_authority(*authority).area_of_use if authority else crs.area_of_use
    if area is None or grid.is_geographic or grid.grid_id in GRIDS:
        return grid
    to_grid = pyproj.Transformer.from_crs(LONLAT_CRS, grid.crs, always_xy=True)
    west, south, east, north = to_grid.transform_bounds(area.west, area.south, area.east, area.north)
    margin = (east - west) / 2
    columns_before = max(0, math.ceil((grid.left - (west - margin)) / grid.cell_width))
    rows_before = max(0, math.ceil((north + margin - grid.top) / grid.cell_height))
    columns = columns_before + max(grid.n_cols, math.ceil((east + margin - grid.left) / grid.cell_width))
    rows = rows_before + max(grid.n_rows, math.ceil((grid.top - (south - margin)) / grid.cell_height))
    left, top = grid.left - columns_before * grid.cell_width, grid.top + rows_before * grid.cell_height
    return Grid(grid.grid_id, grid.crs, left, top, grid.cell_width, grid.cell_height, rows, columns)


def _tidy(value: float, cell: float) -> float:
    """A coordinate to a billionth of a cell: centres and edges computed from each other differ in the last digit."""
    return round(value, max(0, 9 - math.floor(math.log10(cell))))


@lru_cache(maxsize=64)
def _is_geographic(crs: str) -> bool:
    return pyproj.CRS.from_user_input(crs).is_geographic


def _check_same_crs(x: Axis, y: Axis, crs: str, is_geographic: bool, grid: Grid) -> None:
    """Same CRS means that the raster's corners have the same coordinates in both, however each is written."""
    if is_geographic and grid.is_geographic:
        return
    if is_geographic != grid.is_geographic:
        units = "degrees", "metres"
        has, wants = units if is_geographic else units[::-1]
        raise BadFile(f"its coordinates are in {has}, those of grid {grid.grid_id} in {wants} ({_crs_name(grid.crs)})")
    if not _draws_alike(x, y, crs, grid.crs, CORNER_TOLERANCE * min(grid.cell_width, grid.cell_height)):
        raise BadFile(f"its projection is {_crs_name(crs)}, that of grid {grid.grid_id} is {_crs_name(grid.crs)}")


def _draws_alike(x: Axis, y: Axis, crs: str, other: str, tolerance: float) -> bool:
    """True when the corners of a raster have the same coordinates in both projections, to a tolerance in their units."""
    corners_x = np.array([x.first, x.first + x.step * (x.n - 1)])[[0, 0, 1, 1]]
    corners_y = np.array([y.first, y.first + y.step * (y.n - 1)])[[0, 1, 0, 1]]
    there = pyproj.Transformer.from_crs(crs, other, always_xy=True).transform(corners_x, corners_y)
    with np.errstate(invalid="ignore"):
        apart = np.hypot(np.subtract(there[0], corners_x), np.subtract(there[1], corners_y))
    return bool((apart <= tolerance).all())


def _named_crs(x: Axis, y: Axis, crs: str) -> str:
    """The registry's spelling of a projection (tools write MODIS' sinusoidal in a dozen ways), else the file's own."""
    for known in dict.fromkeys(g.crs for g in GRIDS.values() if not g.is_geographic):
        if _draws_alike(x, y, crs, known, CORNER_TOLERANCE * min(abs(x.step), abs(y.step))):
            return known
    return crs


def _crs_name(crs: str) -> str:
    read = pyproj.CRS.from_user_input(crs)
    authority = read.to_authority()
    if authority:
        return ":".join(authority)
    return read.name if read.name != "unknown" else str(crs)
