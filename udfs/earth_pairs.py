"""Pairs of values on the ellipsoid at their true distances, by the exact way that fits how the cells lie."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from udfs.compiled import compiled
from udfs.geodesic import SEMI_MINOR_M, SHORT_M, distance, distances, heading, sphere
from udfs.lags import Sums, add
from udfs.lattice import Lattice, add_lattice, centred, one_value_a_cell

FEW = 5000
"""Up to so many values every pair is looked at, unless the grid is cylindrical and rows are less work."""

METRIC = 0.01
"""A grid is metric where its own steps give every distance to this relative error."""

DEGREES_OF_A_CELL = 1e-3
"""A centre may lie off its row or column by this share of a cell (rounded coordinates)."""

PROBES = 300
"""Cells between which the distances of a grid are tried."""

MISPLACED = 0.2
"""Centres that a regridding puts farther than this from their own, in cells, are not on a grid it understands."""

NS_A_PAIR, NS_A_ROW_PAIR_CELL = 12.0, 25.0
"""What a pair of points costs, and a cell of a pair of rows: which way is taken, never what comes out."""


class Cells(NamedTuple):
    """Values at longitude and latitude (degrees, WGS 84); row and col (int64) None for points that lie on no grid."""

    row: np.ndarray | None
    col: np.ndarray | None
    lon: np.ndarray
    lat: np.ndarray
    v: np.ndarray


class Cylindrical(NamedTuple):
    """A grid whose rows are parallels and whose columns are meridians, `step` radians apart; `lat` of each distinct row."""

    row: np.ndarray
    col: np.ndarray
    lat: np.ndarray
    step: float


def add_cells(sums: Sums, cells: Cells) -> None:
    """Add every pair of the cells once, at its true distance and direction."""
    if cells.row is None:
        add_points(sums, cells)
        return
    grid = cylindrical(cells)
    if grid is not None:
        n = cells.v.size
        if n * n / 2 * NS_A_PAIR < _row_pairs_cost(sums, grid):
            add_points(sums, cells)
        else:
            add_row_pairs(sums, grid, cells.v)
        return
    if cells.v.size <= FEW:
        add_points(sums, cells)
        return
    lattice, error = local_lattice(cells)
    square = lattice if error < METRIC else regridded(cells)
    if square is None:
        add_points(sums, cells)
    else:
        add_lattice(sums, square)


# -- points ---------------------------------------------------------------------------------------------------------------


def add_points(sums: Sums, cells: Cells) -> None:
    """Every pair of points, looked at one by one."""
    order = np.argsort(cells.lat, kind="stable")
    z, c, x, y = (part[order] for part in sphere(cells.lon, cells.lat))
    v = centred(cells.v[order])
    _add_points(sums, z, c, x, y, np.arcsin(z), v, sums.reach < SHORT_M)


@compiled
def _add_points(sums, z, c, x, y, reduced, v, is_short):
    n = v.size
    metres, east, north, square = np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    once = np.ones(n)
    # No two points are nearer than their parallels.
    rise = sums.reach / SEMI_MINOR_M
    end = 0
    for i in range(n - 1):
        while end < n and reduced[end] - reduced[i] <= rise:
            end += 1
        a, b = i + 1, end
        distances(z[i], c[i], x[i], y[i], z[a:b], c[a:b], x[a:b], y[a:b], is_short, metres[a:b], east[a:b], north[a:b])
        for j in range(a, b):
            square[j] = (v[j] - v[i]) ** 2
        add(sums, metres[a:b], east[a:b], north[a:b], once[a:b], square[a:b])


# -- rows of a cylindrical grid -------------------------------------------------------------------------------------------


def cylindrical(cells: Cells) -> Cylindrical | None:
    """The cells as a grid of parallels and meridians with even columns, or None where they are none."""
    rows, row = np.unique(cells.row, return_inverse=True)
    col = cells.col - cells.col.min()
    lat = np.zeros(rows.size)
    lat[row] = cells.lat
    height = float(np.abs(np.diff(lat)).min()) if rows.size > 1 else math.inf
    step = _column_step(row, col, cells.lon)
    if step is None or height == 0:
        return None
    cell = min(height, abs(step) or math.inf, 1.0)
    first = cells.lon[np.argmin(col)]
    off = _turned(cells.lon - first - step * col)
    if max(np.abs(off - np.median(off)).max(), np.abs(cells.lat - lat[row]).max()) > DEGREES_OF_A_CELL * cell:
        return None
    order = np.argsort(lat, kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(order.size)
    return Cylindrical(rank[row], col, lat[order], math.radians(step))


def _column_step(row: np.ndarray, col: np.ndarray, lon: np.ndarray) -> float | None:
    """Degrees of longitude from one column to the next, None where no step fits."""
    if col.max() == 0:
        return 0.0
    order = np.lexsort((col, row))
    apart = np.diff(col[order])
    is_neighbour = (np.diff(row[order]) == 0) & (apart > 0)
    if is_neighbour.any():
        # Within a row, so that a jump of 360 degrees at the 180th meridian is one of many.
        step = float(np.median(_turned(np.diff(lon[order])[is_neighbour]) / apart[is_neighbour]))
    else:
        west, east = np.argmin(col), np.argmax(col)
        step = float(_turned(lon[east] - lon[west])) / int(col.max())
    off = _turned(lon - lon[np.argmin(col)] - step * col)
    if np.abs(off).max() > abs(step) / 2:
        return None
    # A step taken from rounded centres, sharpened over all columns.
    return step + float(np.polyfit(col, off, 1)[0])


def _turned(degrees: np.ndarray) -> np.ndarray:
    """An angle in [-180, 180)."""
    return (degrees + 180) % 360 - 180


def _row_pairs_cost(sums: Sums, grid: Cylindrical) -> float:
    spans = np.searchsorted(grid.lat, grid.lat + math.degrees(sums.reach / SEMI_MINOR_M), side="right")
    return float((spans - np.arange(spans.size)).sum()) * (int(grid.col.max()) + 1) * 2 * NS_A_ROW_PAIR_CELL


def add_row_pairs(sums: Sums, grid: Cylindrical, values: np.ndarray) -> None:
    """Every pair of cells of a cylindrical grid: a pair of rows at a time, the products of all their cells by Fourier transforms.

    Between two parallels the distance depends on the difference in longitude alone, so that the sums at each difference are a correlation.
    """
    from scipy import fft

    row, col, v = one_value_a_cell(grid.row, grid.col, values)
    v = centred(v)
    step = int(np.gcd.reduce(col - col.min())) or 1
    col = (col - col.min()) // step
    turn = grid.step * step
    n_rows, n_cols = grid.lat.size, int(col.max()) + 1
    z, c, _, _ = sphere(np.zeros(n_rows), grid.lat)
    far = _farthest_column(sums.reach, c, turn, n_cols)
    length = fft.next_fast_len(n_cols + far, real=True)

    def forward(numbers: np.ndarray | float) -> np.ndarray:
        block = np.zeros((n_rows, length))
        block[row, col] = numbers
        return fft.rfft(block, axis=1, overwrite_x=True)

    mask, level, power = forward(1.0), forward(v), forward(v * v)
    angle = np.arange(far + 1) * turn
    tables = np.sin(angle / 2) ** 2, np.cos(angle), np.sin(angle)
    reduced = np.arcsin(z)
    for apart in range(n_rows):
        # Rows are sorted by latitude: those that have a partner so many rows north of them within reach.
        first = np.flatnonzero(reduced[apart:] - reduced[: n_rows - apart] <= sums.reach / SEMI_MINOR_M)
        if first.size == 0:
            break
        second = first + apart
        ours = np.conj(mask[first])
        pairs = np.rint(fft.irfft(ours * mask[second], length, axis=1, overwrite_x=True))
        cross = ours * power[second]
        cross += np.conj(power[first]) * mask[second]
        cross -= 2 * np.conj(level[first]) * level[second]
        squares = fft.irfft(cross, length, axis=1, overwrite_x=True)
        _add_rows(sums, first, apart, z, c, far, *tables, pairs, squares, sums.reach < SHORT_M)


def _farthest_column(reach: float, c: np.ndarray, turn: float, n_cols: int) -> int:
    """No two cells within reach are more columns apart; all columns where the grid goes round the earth and its ends meet."""
    half = reach / SEMI_MINOR_M / 2
    narrowest = float(c.min())
    if abs(turn) * (n_cols - 1) > math.pi or half >= math.pi / 2 or math.sin(half) >= narrowest:
        return n_cols - 1
    return min(n_cols - 1, math.ceil(2 * math.asin(math.sin(half) / narrowest) / max(abs(turn), 1e-300)) + 1)


@compiled
def _add_rows(sums, first, apart, z, c, far, versine, cosine, sine, pairs, squares, is_short):
    length = pairs.shape[1]
    metres, east, north = np.empty(2 * far + 2), np.empty(2 * far + 2), np.empty(2 * far + 2)
    count, square = np.empty(2 * far + 2), np.empty(2 * far + 2)
    for k in range(first.size):
        a = first[k]
        b = a + apart
        rise, turn = z[b] - z[a], c[b] - c[a]
        steep, flat = (rise * rise + turn * turn) / 4, c[a] * c[b]
        for j in range(far + 1):
            metres[j] = distance(steep + flat * versine[j], z[a], z[b], is_short)
            east[j], north[j] = heading(z[a], c[a], z[b], c[b], cosine[j], sine[j])
            count[j], square[j] = pairs[k, j], max(squares[k, j], 0.0)
        first_column = 1 if apart == 0 else 0
        end = far + 1
        if apart > 0:
            for j in range(1, far + 1):  # the same lags the other way along the row
                metres[end], east[end], north[end] = metres[j], -east[j], north[j]
                count[end], square[end] = pairs[k, length - j], max(squares[k, length - j], 0.0)
                end += 1
        part = slice(first_column, end)
        add(sums, metres[part], east[part], north[part], count[part], square[part])


# -- grids that are metric, and those that are made so --------------------------------------------------------------------


def local_lattice(cells: Cells) -> tuple[Lattice, float]:
    """The cells with the steps of their rows and columns as measured on the ground, and the largest relative error of a distance so found.

    The steps are the least-squares plane of the centres in an equal-area projection about their middle, so a grid may stand askew to north.
    """
    x, y = projected(cells)
    design = np.column_stack([np.ones(x.size), cells.col - cells.col.mean(), cells.row - cells.row.mean()])
    plane, *_ = np.linalg.lstsq(design, np.column_stack([x, y]), rcond=None)
    lattice = Lattice(*one_value_a_cell(cells.row, cells.col, cells.v), tuple(plane[1]), tuple(plane[2]))
    order = np.lexsort((cells.col, cells.row))
    places = np.unique(np.linspace(0, order.size - 1, PROBES).astype(np.int64))
    corners = [
        pick(u * cells.row + w * cells.col)
        for u, w in ((1, 0), (0, 1), (1, 1), (1, -1))
        for pick in (np.argmin, np.argmax)
    ]
    probes = np.unique(np.concatenate([order[places], order[np.minimum(places + 1, order.size - 1)], corners]))
    z, c, px, py = (part[probes] for part in sphere(cells.lon, cells.lat))
    metres, east, north = np.empty((3, probes.size))
    worst = 0.0
    for k in range(probes.size - 1):
        rest = slice(k + 1, None)
        distances(
            z[k], c[k], px[k], py[k], z[rest], c[rest], px[rest], py[rest], False, metres[rest], east[rest], north[rest]
        )
        columns = cells.col[probes[rest]] - cells.col[probes[k]]
        rows = cells.row[probes[rest]] - cells.row[probes[k]]
        flat = np.hypot(*(columns[:, None] * plane[1] + rows[:, None] * plane[2]).T)
        apart = metres[rest] > 0
        if apart.any():
            worst = max(worst, float(np.abs(flat[apart] / metres[rest][apart] - 1).max()))
    return lattice, worst


def projected(cells: Cells) -> tuple[np.ndarray, np.ndarray]:
    """Metres east and north in Lambert's azimuthal equal-area projection about the middle of the cells."""
    import pyproj

    z, _, x, y = (float(part.mean()) for part in sphere(cells.lon, cells.lat))
    lon, lat = math.degrees(math.atan2(y, x)), math.degrees(math.atan2(z, math.hypot(x, y)))
    return pyproj.Proj(proj="laea", lat_0=lat, lon_0=lon, ellps="WGS84")(cells.lon, cells.lat)


def regridded(cells: Cells) -> Lattice | None:
    """The cells on a square grid of about their own area about the middle of the region; each of its cells has the value of the old one that its
    centre lies in, or none where that has none. None where the old rows and columns are no smooth functions of the place.
    """
    x, y = projected(cells)
    lattice, _ = local_lattice(cells)
    (a, b), (c, d) = lattice.col_step, lattice.row_step
    side = math.sqrt(abs(a * d - b * c))
    place = _Place(x, y, np.column_stack([cells.row, cells.col]).astype(float))
    if side == 0 or place.error > MISPLACED:
        return None
    row, col, v = lattice[:3]
    top, left, width = int(row.min()), int(col.min()), int(np.ptp(col)) + 1
    held = np.full((int(np.ptp(row)) + 3) * (width + 2), np.nan)  # a rim of nothing: what lies outside is cut to it
    held[(row - top + 1) * (width + 2) + col - left + 1] = v
    new_col = np.arange(math.floor(x.min() / side), math.ceil(x.max() / side) + 1)
    found = []
    for new_row in range(
        math.floor(y.min() / side), math.ceil(y.max() / side) + 1
    ):  # a row at a time: memory stays a row's
        at = place.of(new_col * side, np.full(new_col.size, new_row * side))
        old_row = np.clip(np.rint(at[:, 0]).astype(np.int64) - top + 1, 0, held.size // (width + 2) - 1)
        old_col = np.clip(np.rint(at[:, 1]).astype(np.int64) - left + 1, 0, width + 1)
        value = held[old_row * (width + 2) + old_col]
        is_there = np.isfinite(value)
        found.append((np.full(int(is_there.sum()), new_row), new_col[is_there], value[is_there]))
    rows, cols, values = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return Lattice(rows, cols, values, (side, 0.0), (0.0, side))


class _Place:
    """Row and column as polynomials of x and y, of the lowest degree that puts every centre into its cell; `error` in cells."""

    def __init__(self, x: np.ndarray, y: np.ndarray, index: np.ndarray) -> None:
        self._middle = (x.max() + x.min()) / 2, (y.max() + y.min()) / 2
        self._half = max(np.ptp(x) / 2, 1.0), max(np.ptp(y) / 2, 1.0)
        few = np.unique(np.linspace(0, x.size - 1, FEW).astype(np.int64))
        for self._degree in (3, 5, 7, 9, 12):
            self._terms, *_ = np.linalg.lstsq(self._basis(x[few], y[few]), index[few], rcond=None)
            self.error = float(np.abs(self.of(x, y) - index).max())
            if self.error <= MISPLACED / 10:
                break

    def _basis(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        across = np.polynomial.chebyshev.chebvander((x - self._middle[0]) / self._half[0], self._degree)
        along = np.polynomial.chebyshev.chebvander((y - self._middle[1]) / self._half[1], self._degree)
        return np.column_stack(
            [across[:, i] * along[:, j] for i in range(self._degree + 1) for j in range(self._degree + 1 - i)]
        )

    def of(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """(n, 2): row and column, in fractions, of places."""
        return self._basis(x, y) @ self._terms
