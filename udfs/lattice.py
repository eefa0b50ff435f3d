"""Pairs of values on a lattice: all of them by masked Fourier transforms (Marcotte 1996), or one by one where that is less work."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from udfs.compiled import compiled
from udfs.lags import Sums, add

NS_A_PAIR, NS_A_CELL = 5.0, 90.0
"""What a pair costs looked at, and a cell of the padded grid transformed: which way is taken, never what comes out."""


class Lattice(NamedTuple):
    """Values on rows and columns (int64, each cell once), and the step of one column and of one row: (east, north) in metres."""

    row: np.ndarray
    col: np.ndarray
    v: np.ndarray
    col_step: tuple[float, float]
    row_step: tuple[float, float]


def one_value_a_cell(row: np.ndarray, col: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cells sorted by row, then column; several values of one cell become their mean."""
    if not ((row[1:] > row[:-1]) | ((row[1:] == row[:-1]) & (col[1:] > col[:-1]))).all():
        order = np.lexsort((col, row))
        row, col, v = row[order], col[order], v[order]
    is_first = np.append(True, (row[1:] != row[:-1]) | (col[1:] != col[:-1]))
    if not is_first.all():
        starts = np.flatnonzero(is_first)
        v = np.add.reduceat(v, starts) / np.diff(np.append(starts, v.size))
        row, col = row[starts], col[starts]
    return row, col, v


def centred(v: np.ndarray) -> np.ndarray:
    """Values less their mean, which takes the digits of an offset out of their squares; exactly 0 where all are one."""
    return v - v.mean() if v.min() < v.max() else np.zeros_like(v)


def coarsest(index: np.ndarray) -> tuple[np.ndarray, int]:
    """Indices counted from their lowest in the largest step that meets all of them, and that step: a sample of every 8th row is dense in it."""
    index = index - index.min()
    step = int(np.gcd.reduce(index)) or 1
    return index // step, step


def add_lattice(sums: Sums, lattice: Lattice) -> None:
    """Add every pair of the lattice once. The result does not depend on the way but for rounding; counts not at all."""
    row, row_times = coarsest(lattice.row)
    col, col_times = coarsest(lattice.col)
    col_step = (lattice.col_step[0] * col_times, lattice.col_step[1] * col_times)
    row_step = (lattice.row_step[0] * row_times, lattice.row_step[1] * row_times)
    area = abs(col_step[0] * row_step[1] - col_step[1] * row_step[0])
    n_rows, n_cols = int(row.max()) + 1, int(col.max()) + 1
    # The farthest row and column that any lag within reach touches; the lattice may be oblique.
    far_row = min(math.floor(sums.reach * math.hypot(*col_step) / area), n_rows - 1) if area > 0 else n_rows - 1
    far_col = min(math.floor(sums.reach * math.hypot(*row_step) / area), n_cols - 1) if area > 0 else n_cols - 1
    n = lattice.v.size
    v = centred(lattice.v)
    if n * (n - 1) / 2 * NS_A_PAIR < (n_rows + far_row) * (n_cols + far_col) * NS_A_CELL:
        _add_pairs(sums, row, col, v, col_step, row_step, far_row)
        return
    pairs, squares = _offset_sums(row, col, v, (n_rows, n_cols), (far_row, far_col))
    _add_offsets(sums, pairs, squares, far_row, far_col, col_step, row_step)


def _offset_sums(
    row: np.ndarray, col: np.ndarray, v: np.ndarray, shape: tuple[int, int], far: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Number of pairs and sum of squared differences at each offset: rows 0 .. far_row, columns modulo the second dimension.

    Padding reaches to the farthest offset and no farther. Three forward transforms (values, their squares, the mask) and two inverse ones:
    the sum is symmetric in the offset, so its transform is real. Rows that hold only padding, and offsets that nobody asks for, are left out.
    """
    from scipy import fft

    padded = fft.next_fast_len(shape[0] + far[0]), fft.next_fast_len(shape[1] + far[1], real=True)

    def forward(values: np.ndarray | float) -> np.ndarray:
        grid = np.zeros((shape[0], padded[1]))
        grid[row, col] = values
        return fft.fft(fft.rfft(grid, axis=1, overwrite_x=True), padded[0], axis=0, overwrite_x=True)

    def inverse(spectrum: np.ndarray) -> np.ndarray:
        rows = fft.ifft(spectrum, axis=0)[: far[0] + 1]
        return fft.irfft(rows, padded[1], axis=1, overwrite_x=True)

    mask = forward(1.0)
    pairs = inverse(mask.real**2 + mask.imag**2)
    values = forward(v)
    spectrum = values.real**2
    spectrum += values.imag**2
    values = forward(v * v)
    spectrum = values.real * mask.real + values.imag * mask.imag - spectrum
    del mask, values
    squares = inverse(spectrum)
    squares *= 2
    return np.rint(pairs, out=pairs), squares


@compiled
def _add_offsets(sums, pairs, squares, far_row, far_col, col_step, row_step):
    width = pairs.shape[1]
    size = 2 * far_col + 1
    metres, east, north = np.empty(size), np.empty(size), np.empty(size)
    count, square = np.empty(size), np.empty(size)
    for i in range(far_row + 1):
        k = 0
        for j in range(-far_col if i > 0 else 1, far_col + 1):
            e, n = j * col_step[0] + i * row_step[0], j * col_step[1] + i * row_step[1]
            at = j if j >= 0 else j + width
            if pairs[i, at] > 0:
                metres[k], east[k], north[k] = math.sqrt(e * e + n * n), e, n
                count[k], square[k] = pairs[i, at], max(squares[i, at], 0.0)
                k += 1
        add(sums, metres[:k], east[:k], north[:k], count[:k], square[:k])


@compiled
def _add_pairs(sums, row, col, v, col_step, row_step, far_row):
    n = v.size
    metres, east, north, square = np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    once = np.ones(n)
    for a in range(n):
        b = a + 1
        while b < n and row[b] - row[a] <= far_row:
            i, j = row[b] - row[a], col[b] - col[a]
            e, m = j * col_step[0] + i * row_step[0], j * col_step[1] + i * row_step[1]
            metres[b], east[b], north[b] = math.sqrt(e * e + m * m), e, m
            square[b] = (v[b] - v[a]) ** 2
            b += 1
        add(sums, metres[a + 1 : b], east[a + 1 : b], north[a + 1 : b], once[a + 1 : b], square[a + 1 : b])
