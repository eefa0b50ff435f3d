"""Sums over pairs of values by lag: in bins of distance and direction, or in the squares of a variogram map."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from udfs.compiled import compiled

DIRECTIONS = ("0", "45", "90", "135")
"""Degrees clockwise from north; a pair and its opposite are one. Sectors of 22.5 degrees to both sides."""

TOLERANCE = 1 + 1e-12
"""Bins are (lower, upper]: a distance that is the upper limit but for rounding belongs below it."""

NARROW, WIDE = math.tan(math.radians(22.5)), math.tan(math.radians(67.5))


class Sums(NamedTuple):
    """Over the pairs of each bin: their number, the sum of their distances (m) and of their squared differences.

    Arrays of float64 (a count is exact up to 2^53), (4, n_bins) by direction, or (2 n_bins + 1)^2 flat by north, then east. `limits`: the upper
    limits of the bins (m); `is_map` tells which of the two it is. `reach`: no pair farther apart counts (m).
    """

    pairs: np.ndarray
    metres: np.ndarray
    squares: np.ndarray
    limits: np.ndarray
    reach: float
    is_map: bool


def by_distance(upper: np.ndarray) -> Sums:
    """Empty sums for bins with these rising upper limits (m)."""
    pairs, metres, squares = np.zeros((3, 4, upper.size))
    return Sums(pairs, metres, squares, upper, float(upper[-1]) * TOLERANCE, False)


def by_offset(cutoff_m: float, n_bins: int) -> Sums:
    """Empty sums for the squares of a map that reaches to the cut-off, half a square beyond it, in all four directions."""
    pairs, metres, squares = np.zeros((3, 1, (2 * n_bins + 1) ** 2))
    upper = cutoff_m / n_bins * np.arange(1, n_bins + 1)
    return Sums(pairs, metres, squares, upper, math.sqrt(2) * (cutoff_m + upper[0] / 2), True)


@compiled
def add(sums, metres, east, north, pairs, squares):
    """Add lags to the sums: distance (m), direction (any length), number of pairs and sum of squared differences of each.

    Every pair is given once, in either direction; of a map's squares it counts in the one of its lag and in the opposite one.
    """
    limits, reach = sums.limits, sums.reach
    n_bins = limits.size
    last = n_bins - 1
    per_metre = n_bins / limits[last]
    for i in range(metres.size):
        d = metres[i]
        if d > reach or d <= 0 or pairs[i] <= 0:
            continue
        e, n = east[i], north[i]
        if sums.is_map:
            length = math.sqrt(e * e + n * n)
            column = math.floor(d * e / length * per_metre + 0.5)
            row = math.floor(d * n / length * per_metre + 0.5)
            if abs(column) > n_bins or abs(row) > n_bins:
                continue
            centre = n_bins * (2 * n_bins + 1) + n_bins
            shift = int(row) * (2 * n_bins + 1) + int(column)
            for k in (centre + shift, centre - shift):
                sums.pairs[0, k] += pairs[i]
                sums.squares[0, k] += squares[i]
            continue
        b = min(int(d * per_metre), last)
        while b < last and d > limits[b] * TOLERANCE:
            b += 1
        while b > 0 and d <= limits[b - 1] * TOLERANCE:
            b -= 1
        sideways, ahead = abs(e), abs(n)
        if sideways < NARROW * ahead:
            sector = 0
        elif sideways >= WIDE * ahead:
            sector = 2
        else:
            sector = 1 if e * n > 0 else 3
        sums.pairs[sector, b] += pairs[i]
        sums.metres[sector, b] += pairs[i] * d
        sums.squares[sector, b] += squares[i]
