"""Slope, aspect and wetness of a surface of heights.

The gradient is Horn's: differences over the eight neighbours, the nearer ones counted twice, as gdaldem and most GIS have it. Distances are
metres on the ellipsoid along the grid's own axes, wherever these point, so that grids in degrees, skewed ones (sinusoidal) and projected ones are
all right, and aspect is from true north (gdaldem's is from the grid's).

Sources: Horn 1981, Proceedings of the IEEE 69, 14-47, doi:10.1109/PROC.1981.11918. Topographic wetness index: Beven and Kirkby 1979, Hydrological
Sciences Bulletin 24, 43-69, doi:10.1080/02626667909491834; flow along the steepest of eight neighbours after depressions are filled (pyflwdir).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from loaders.granule import Window
from loaders.grids import WGS84_A, WGS84_F

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from loaders.grids import Grid

LEAST_TANGENT = 0.001  # of the slope in the wetness index: flat ground would have an infinite one
_LATTICE = 16  # cells between the points at which a projection's axes are looked up
_NO_HEIGHT = -9999.0


def axes_m(grid: Grid, window: Window) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """(east, north) metres of a step to the next column, and of one to the next row (south), at the cells of a window.

    float64, shape (height, width), or (height, 1) on grids in degrees. NaN where a cell lies outside the projected world.
    """
    rows = window.row + np.arange(window.height, dtype=np.float64)
    if grid.is_geographic:
        lat = grid.xy_of(rows, 0)[1]
        along, across = _radii(lat)
        east = across * np.cos(np.radians(lat)) * np.radians(grid.cell_width)
        south = along * np.radians(grid.cell_height)
        none = np.zeros((window.height, 1))
        return east[:, None], none, none, -south[:, None]
    cols = window.column + np.arange(window.width, dtype=np.float64)
    row_points, col_points = _lattice(rows), _lattice(cols)
    row, col = np.meshgrid(row_points, col_points, indexing="ij")
    steps = (*_step(grid, row, col, 0.0, 0.5), *_step(grid, row, col, 0.5, 0.0))
    return tuple(_between(step, row_points, rows, col_points, cols) for step in steps)


def _radii(lat: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Radii of curvature of the ellipsoid along the meridian and across it, metres (Snyder 1987, equations 4-18, 4-20)."""
    e2 = WGS84_F * (2 - WGS84_F)
    root = 1 - e2 * np.sin(np.radians(lat)) ** 2
    return WGS84_A * (1 - e2) / root**1.5, WGS84_A / np.sqrt(root)


def _lattice(places: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.unique(np.append(places[::_LATTICE], places[-1]))


def _step(grid: Grid, row, col, down: float, across: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Metres east and north of a whole step, from half a step before to half a step behind."""
    lon_0, lat_0 = grid.lonlat_of(row - down, col - across)
    lon_1, lat_1 = grid.lonlat_of(row + down, col + across)
    along, across_radius = _radii((lat_0 + lat_1) / 2)
    turn = np.radians((lon_1 - lon_0 + 180) % 360 - 180)
    return across_radius * np.cos(np.radians((lat_0 + lat_1) / 2)) * turn, along * np.radians(lat_1 - lat_0)


def _between(
    values: NDArray, row_points: NDArray, rows: NDArray, col_points: NDArray, cols: NDArray
) -> NDArray[np.float64]:
    """Linear interpolation from the lattice to every cell."""

    def part(points: NDArray, places: NDArray) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        right = np.clip(np.searchsorted(points, places), min(1, points.size - 1), points.size - 1)
        left = np.maximum(right - 1, 0)
        run = np.where(points[right] > points[left], points[right] - points[left], 1)
        return left, right, (places - points[left]) / run

    top, bottom, t = part(row_points, rows)
    lines = values[top] * (1 - t)[:, None] + values[bottom] * t[:, None]
    left, right, t = part(col_points, cols)
    return lines[:, left] * (1 - t) + lines[:, right] * t


def gradient(heights: NDArray, axes: tuple[NDArray, NDArray, NDArray, NDArray]) -> tuple[NDArray, NDArray]:
    """Horn's gradient (rise a metre to the east, to the north), float64, shape of `heights` (metres, NaN unknown).

    NaN along the outermost rows and columns and where one of the nine heights is unknown.
    """
    east, north = (np.full(heights.shape, np.nan) for _ in range(2))
    if min(heights.shape) < 3:
        return east, north
    z = np.asarray(heights, np.float64)
    a, b, c = z[:-2, :-2], z[:-2, 1:-1], z[:-2, 2:]
    d, f = z[1:-1, :-2], z[1:-1, 2:]
    g, h, i = z[2:, :-2], z[2:, 1:-1], z[2:, 2:]
    by_col = ((c - a) + 2 * (f - d) + (i - g)) / 8
    by_row = ((g - a) + 2 * (h - b) + (i - c)) / 8
    col_east, col_north, row_east, row_north = (v[1:-1, 1:-1] if v.shape[1] > 1 else v[1:-1] for v in axes)
    turn = col_east * row_north - col_north * row_east
    # the height of the cell itself is in none of the differences, but a cell without a height has no slope either
    known = np.where(np.isnan(z[1:-1, 1:-1]), np.nan, 1.0)
    east[1:-1, 1:-1] = known * (by_col * row_north - by_row * col_north) / turn
    north[1:-1, 1:-1] = known * (col_east * by_row - row_east * by_col) / turn
    return east, north


def slope_degrees(east: NDArray, north: NDArray) -> NDArray[np.float64]:
    """Steepest descent in degrees from the horizontal, 0 to 90; NaN where the gradient is."""
    return np.degrees(np.arctan(np.hypot(east, north)))


def aspect_degrees(east: NDArray, north: NDArray) -> NDArray[np.float64]:
    """Direction that a slope faces, clockwise from true north, 0 to 360 (not included); NaN on level ground and where the gradient is."""
    aspect = np.degrees(np.arctan2(-east, -north)) % 360
    aspect[aspect == 360] = 0  # of a tiny negative angle
    return np.where((east == 0) & (north == 0), np.nan, aspect)


def octant(aspect: NDArray, slope: NDArray) -> NDArray[np.int16]:
    """1 north (337.5 to 22.5 degrees), 2 north-east, ... 8 north-west; 0 level ground; -1 unknown."""
    with np.errstate(invalid="ignore"):
        number = (np.floor((np.nan_to_num(aspect) + 22.5) / 45) % 8 + 1).astype(np.int16)
    return np.where(np.isnan(slope), np.int16(-1), np.where(np.isnan(aspect), np.int16(0), number))


def wetness_index(
    heights: NDArray, slope: NDArray, area_m2: NDArray, axes: tuple[NDArray, NDArray, NDArray, NDArray]
) -> NDArray[np.float64]:
    """Topographic wetness index ln(a / tan(slope)), a the catchment's area over the width of the cell (m2 / m).

    `heights` metres, `slope` degrees, `area_m2` of the cells, one shape, NaN unknown; `axes` of `axes_m`. The catchment is what drains through the
    cell, itself included, along the steepest of eight directions after depressions are filled; water leaves at the border of what is known, so
    catchments that begin outside it are too small. The width is the square root of the cell's area; tan(slope) is at least 0.001. NaN where the
    slope is.
    """
    import pyflwdir  # compiles for seconds: only a load of terrain pays

    known = np.isfinite(heights)
    if not known.any():
        return np.full(heights.shape, np.nan)
    surface = np.where(known, heights, _NO_HEIGHT).astype(np.float32)
    filled, towards_outlet = pyflwdir.dem.fill_depressions(surface, outlets="edge", nodata=_NO_HEIGHT)
    flow = pyflwdir.from_array(_directions(filled, known, towards_outlet, axes), ftype="d8", check_ftype=False)
    catchment = flow.accuflux(np.where(known, area_m2, 0.0), nodata=_NO_HEIGHT)
    with np.errstate(invalid="ignore", divide="ignore"):
        index = np.log(catchment / np.sqrt(area_m2) / np.maximum(np.tan(np.radians(slope)), LEAST_TANGENT))
    return np.where(known & np.isfinite(slope), index, np.nan)


# (rows, columns) to the neighbours in ESRI's code; straight ones first, which win where two are as steep
_NEIGHBOURS = {1: (0, 1), 4: (1, 0), 16: (0, -1), 64: (-1, 0), 2: (1, 1), 8: (1, -1), 32: (-1, -1), 128: (-1, 1)}


def _directions(filled: NDArray, known: NDArray, towards_outlet: NDArray, axes) -> NDArray[np.uint8]:
    """Flow directions: down the steepest descent, and over level ground (also that of filled depressions) as they were filled.

    Filling alone lets a cell drain to its lowest neighbour, however far; steps down never rise and those on the level follow the filling, so
    that no water runs in a circle.
    """
    col_east, col_north, row_east, row_north = axes
    steepest = np.zeros(filled.shape, np.float32)
    directions = towards_outlet.astype(np.uint8)
    around = np.pad(np.where(known, filled, np.inf).astype(np.float32), 1, constant_values=np.inf)
    height, width = filled.shape
    is_border = np.zeros(filled.shape, bool)
    for code, (down, across) in _NEIGHBOURS.items():
        away = np.hypot(across * col_east + down * row_east, across * col_north + down * row_north)
        neighbour = around[1 + down : 1 + down + height, 1 + across : 1 + across + width]
        descent = np.where(known, (filled - neighbour) / away, 0)
        is_border |= np.isinf(neighbour)
        steeper = descent > steepest
        steepest[steeper] = descent[steeper]
        directions[steeper] = code
    # water leaves where the heights end, unless it goes down inwards
    directions[is_border & known & (steepest == 0)] = 0
    return directions


def derivatives(grid: Grid, window: Window, heights: NDArray) -> dict[str, NDArray]:
    """All of it for the heights of a window: elevation, slope, aspect, aspect_octant, northness, eastness, wetness_index.

    `heights` are metres, NaN unknown, shape of the window. float32 with NaN where there is no value; aspect_octant int16 with -1.
    """
    axes = axes_m(grid, window)
    east, north = gradient(heights, axes)
    slope, aspect = slope_degrees(east, north), aspect_degrees(east, north)
    rows, cols = (
        np.arange(window.row, window.row + window.height),
        np.arange(window.column, window.column + window.width),
    )
    area = grid.area_km2(rows[:, None], cols[None, :]) * 1e6
    facing = np.radians(aspect)
    floats = {
        "elevation": heights,
        "slope": slope,
        "aspect": aspect,
        "northness": np.cos(facing),
        "eastness": np.sin(facing),
        "wetness_index": wetness_index(heights, slope, area, axes),
    }
    found = {name: values.astype(np.float32) for name, values in floats.items()}
    # in single precision an angle just below 360 is 360
    found["aspect"][found["aspect"] == 360] = 0
    return {**found, "aspect_octant": octant(aspect, slope)}
