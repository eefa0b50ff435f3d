"""Where the simulated basin lies: a window of EASE-Grid 2.0 at 1 km, its coarse cells, its reaches.

The window is 2 x 2 cells of the 36 km grid (M36), each of which is exactly 36 x 36 cells of the 1 km grid (M01), so that
"the 36 km value is the area mean of the fine truth" holds to the last bit. Numbers of the grids: Brodzik et al. 2012,
ISPRS Int. J. Geo-Inf. 1(1), EPSG:6933.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from pyproj import Geod, Transformer

EPSG = 6933
GRID_LEFT_M, GRID_TOP_M = -17367530.4451615, 7314540.8306386
COARSE_M = 36032.220840584
NESTING = 36
FINE_M = COARSE_M / NESTING

COARSE_ROW, COARSE_COLUMN = 75, 749  # 39.04-38.32 N, 99.71-100.46 E
N_COARSE = 2
SIZE = N_COARSE * NESTING  # rows and columns of the fine window

LEFT_M = GRID_LEFT_M + COARSE_COLUMN * COARSE_M
TOP_M = GRID_TOP_M - COARSE_ROW * COARSE_M

# CHIRPS v2.0: 0.05 degree from 50 N, 180 W. Its files carry the cell size as a rounded float32.
RAIN_CELL_DEG = 0.05
RAIN_CELL_IN_FILE_DEG = float(np.float32(0.05))
RAIN_TOP_DEG, RAIN_LEFT_DEG = 50.0, -180.0

BASIN, UPPER, MIDDLE, LOWER = "basin", "upper", "middle", "lower"
REACHES = (UPPER, MIDDLE, LOWER)
# First and last row + 1 of each reach. The river runs north, so the upper reach is the southernmost.
REACH_ROWS = {LOWER: (5, 26), MIDDLE: (26, 47), UPPER: (47, 67)}
_REACH_BANDS = {LOWER: (0, 26), MIDDLE: (26, 47), UPPER: (47, SIZE)}

# A polygon whose edges are pixel edges would touch its outer neighbours by rounding alone; drawn this much inside
# (in cells, 1 cm on the ground) it touches none, and its own pixels lie in it by more than 0.9999 of their area.
INSET_CELLS = 1e-5


@cache
def _to_lonlat() -> Transformer:
    return Transformer.from_crs(EPSG, 4326, always_xy=True)


def to_lonlat(column, row) -> tuple[np.ndarray, np.ndarray]:
    """Longitude and latitude (degrees) of fractional fine-window coordinates; (0, 0) is the north-west corner."""
    x = LEFT_M + np.asarray(column, dtype=float) * FINE_M
    y = TOP_M - np.asarray(row, dtype=float) * FINE_M
    lon, lat = _to_lonlat().transform(x, y)
    return np.asarray(lon), np.asarray(lat)


@cache
def cell_size_m() -> tuple[float, float]:
    """Width and height of a fine cell on the ground (m, WGS 84), at the middle of the window.

    EASE-Grid 2.0 keeps areas, not distances: at 38.7 N a "1 km" cell is some 0.90 km wide and 1.11 km high. From the
    window's north to its south edge the width changes by 1 %, which is the error of calling it one number.
    """
    middle = SIZE / 2
    lon, lat = to_lonlat([middle - 0.5, middle + 0.5, middle, middle], [middle, middle, middle - 0.5, middle + 0.5])
    geod = Geod(ellps="WGS84")
    _, _, width = geod.inv(lon[0], lat[0], lon[1], lat[1])
    _, _, height = geod.inv(lon[2], lat[2], lon[3], lat[3])
    return width, height


def basin_columns(row: int) -> tuple[int, int]:
    """First and last column + 1 of the basin in a row of the fine window: two smooth banks, 4 or more cells inside."""
    left = 11 + 5 * np.sin(2 * np.pi * row / 48) + 2 * np.sin(2 * np.pi * row / 17)
    right = 61 + 4 * np.sin(2 * np.pi * (row + 20) / 55) + 2 * np.sin(2 * np.pi * row / 13)
    return round(float(left)), round(float(right))


def region_rows(region: str) -> tuple[int, int]:
    """First and last row + 1 of a region."""
    if region == BASIN:
        return REACH_ROWS[LOWER][0], REACH_ROWS[UPPER][1]
    return REACH_ROWS[region]


def region_mask(region: str) -> np.ndarray:
    """Boolean (SIZE, SIZE): the cells of `basin` or of one reach."""
    mask = np.zeros((SIZE, SIZE), dtype=bool)
    for row in range(*region_rows(region)):
        mask[row, slice(*basin_columns(row))] = True
    return mask


def reach_of_row() -> np.ndarray:
    """(SIZE,) index into REACHES for every row of the window, also outside the basin."""
    index = np.empty(SIZE, dtype=int)
    for reach, (first, stop) in _REACH_BANDS.items():
        index[first:stop] = REACHES.index(reach)
    return index


def region_ring(region: str) -> list[list[float]]:
    """The region's outline as a closed GeoJSON ring [[lon, lat], ...], counter-clockwise.

    It follows pixel edges, which are meridians and parallels on this grid, so straight lines in degrees are exact.
    """
    rows = range(*region_rows(region))
    east = [(basin_columns(r)[1], y) for r in rows for y in (r, r + 1)]
    west = [(basin_columns(r)[0], y) for r in reversed(rows) for y in (r + 1, r)]
    corners = _without_straight_ones(east + west)  # down the east bank, up the west: clockwise on the map
    inside = _inset_clockwise(corners, INSET_CELLS)[::-1]
    lon, lat = to_lonlat(*np.array(inside).T)
    ring = [[float(x), float(y)] for x, y in zip(lon, lat, strict=True)]
    return [*ring, ring[0]]


def _without_straight_ones(corners: list[tuple[float, float]]) -> list[tuple[float, float]]:
    distinct = [c for i, c in enumerate(corners) if c != corners[i - 1]]
    kept = []
    for i, (x, y) in enumerate(distinct):
        (before_x, before_y), (after_x, after_y) = distinct[i - 1], distinct[(i + 1) % len(distinct)]
        if not (before_x == x == after_x or before_y == y == after_y):
            kept.append((x, y))
    return kept


def _inset_clockwise(corners: list[tuple[float, float]], distance: float) -> list[tuple[float, float]]:
    moved = []
    for i, (x, y) in enumerate(corners):
        offset = np.zeros(2)
        for start, stop in ((corners[i - 1], (x, y)), ((x, y), corners[(i + 1) % len(corners)])):
            along = np.sign(np.subtract(stop, start))
            offset += (-along[1], along[0])  # right of the way one walks, with rows counted downwards
        moved.append((x + distance * offset[0], y + distance * offset[1]))
    return moved


@dataclass(frozen=True)
class RainWindow:
    """The cells of the CHIRPS grid that cover the fine window: first row and column, height and width."""

    row: int
    column: int
    height: int
    width: int

    @property
    def left_deg(self) -> float:
        return RAIN_LEFT_DEG + self.column * RAIN_CELL_DEG

    @property
    def top_deg(self) -> float:
        return RAIN_TOP_DEG - self.row * RAIN_CELL_DEG


@cache
def rain_window() -> RainWindow:
    """The CHIRPS cells that touch the fine window."""
    (west, east), (north, south) = to_lonlat([0, SIZE], [0, SIZE])
    first_row, first_column = _rain_cell(north, west)
    last_row, last_column = _rain_cell(south, east)
    return RainWindow(first_row, first_column, last_row - first_row + 1, last_column - first_column + 1)


def _rain_cell(lat: float, lon: float) -> tuple[int, int]:
    return int(np.floor((RAIN_TOP_DEG - lat) / RAIN_CELL_DEG)), int(np.floor((lon - RAIN_LEFT_DEG) / RAIN_CELL_DEG))


def rain_cell_of_pixel() -> tuple[np.ndarray, np.ndarray]:
    """(row, column) inside the rain window, each (SIZE, SIZE) int: the CHIRPS cell that holds a fine cell's centre."""
    window = rain_window()
    centre = np.arange(SIZE) + 0.5
    lon, _ = to_lonlat(centre, np.full(SIZE, SIZE / 2))
    _, lat = to_lonlat(np.full(SIZE, SIZE / 2), centre)
    row = np.floor((window.top_deg - lat) / RAIN_CELL_DEG).astype(int)
    column = np.floor((lon - window.left_deg) / RAIN_CELL_DEG).astype(int)
    return np.broadcast_to(row[:, None], (SIZE, SIZE)), np.broadcast_to(column[None, :], (SIZE, SIZE))


def coarse_means(fine: np.ndarray) -> np.ndarray:
    """Area means (..., N_COARSE, N_COARSE) of (..., SIZE, SIZE), NaN left out; M01 cells have equal areas."""
    blocks = fine.reshape(*fine.shape[:-2], N_COARSE, NESTING, N_COARSE, NESTING)
    return np.nanmean(blocks, axis=(-3, -1))
