"""Ranks of all pairwise slopes of a series: exact, and without keeping or sorting them all.

Pairs are taken lag by lag around a circle: with the series written twice in a row, (x[i + d] - x[i]) / (t[i + d] - t[i])
for i < n and d < n / 2 is every pair once, whichever way round (both differences change sign together, exactly), in
long even loops. An interval is guessed that holds the wanted ranks; slopes below it are counted, those in it kept.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from udfs.compiled import compiled
from udfs.compress import LANES, keep_between
from udfs.order_statistics import SPREAD_UP_TO, Buckets, buckets, count_below, narrow, spread, spread_value, value_range

BLOCK = 2048
"""Slopes computed before they are looked at: they stay in the processor's nearest cache."""

SAMPLE = 384
"""Slopes drawn to guess where the wanted ranks lie, in series longer than SAMPLED_ABOVE."""

SAMPLED_ABOVE = 40
"""In shorter series the slopes of the middle lag tell as much as a sample."""

GUESSED_ABOVE = 8
"""Series up to this length have so few pairs that all are kept."""


class Workspace(NamedTuple):
    """Memory for the slopes of one series after another. The spares are as long as all pairs of the longest series;
    pages that no series needs are never touched.
    """

    x: np.ndarray
    t: np.ndarray
    block: np.ndarray
    sample: np.ndarray
    kept: np.ndarray
    spare_1: np.ndarray
    spare_2: np.ndarray
    buckets: Buckets


@compiled
def workspace(n):
    """A Workspace for series of up to n values."""
    pairs = n * (n - 1) // 2 + LANES
    return Workspace(
        np.empty(2 * n),
        np.empty(2 * n),
        np.empty(BLOCK + n),
        np.empty(SAMPLE),
        np.empty(pairs),
        np.empty(pairs),
        np.empty(pairs),
        buckets(max(pairs, SAMPLE)),
    )


@compiled
def put_series(x, t, work):
    """Write a series into the workspace, twice in a row."""
    n = x.size
    for i in range(n):
        work.x[i] = x[i]
        work.x[n + i] = x[i]
        work.t[i] = t[i]
        work.t[n + i] = t[i]


@compiled
def slopes_at_ranks(n, pairs, first, middle_1, middle_2, last, work):
    """The slopes of four ascending ranks (from 0), the middle ones equal or one apart, of the series in the workspace.

    n: its values; pairs: how many pairs of them have different t, at least one.
    """
    low, high = _guess(n, pairs, first, last, work)
    below, size = _keep_slopes(n, pairs, low, high, work)
    if first < below or last >= below + size:
        low, high = -np.inf, np.inf
        below, size = _keep_slopes(n, pairs, low, high, work)
    found = work.kept[:size]
    if not (np.isfinite(low) and np.isfinite(high)):
        low, high = value_range(found)
    first, middle_1, middle_2, last = first - below, middle_1 - below, middle_2 - below, last - below
    if size <= SPREAD_UP_TO:
        spread(found, low, high, work.buckets)
        return (
            spread_value(size, low, high, first, work.buckets),
            spread_value(size, low, high, middle_1, work.buckets),
            spread_value(size, low, high, middle_2, work.buckets),
            spread_value(size, low, high, last, work.buckets),
        )
    bottom, _ = _two_ranks(found, low, high, first, first, work)
    lower, upper = _two_ranks(found, low, high, middle_1, middle_2, work)
    top, _ = _two_ranks(found, low, high, last, last, work)
    return bottom, lower, upper, top


@compiled
def _two_ranks(x, low, high, rank, next_rank, work):
    kept, low, high, passed = narrow(x, low, high, rank, next_rank, work.spare_1, work.spare_2)
    spread(kept, low, high, work.buckets)
    return (
        spread_value(kept.size, low, high, rank - passed, work.buckets),
        spread_value(kept.size, low, high, next_rank - passed, work.buckets),
    )


@compiled
def _guess(n, pairs, first, last, work):
    """An interval that should hold the slopes of ranks `first` to `last`."""
    if n <= GUESSED_ABOVE or pairs < n * (n - 1) // 4:
        return -np.inf, np.inf
    if n <= SAMPLED_ABOVE:
        lag = (n - 1) // 2
        slopes, x1, t1 = work.block[:n], work.x[lag : lag + n], work.t[lag : lag + n]
        for i in range(n):
            slopes[i] = (x1[i] - work.x[i]) / (t1[i] - work.t[i])
        return value_range(slopes)
    state = np.uint64(0x9E3779B97F4A7C15)
    drawn = 0
    while drawn < SAMPLE:
        # Knuth's linear congruential generator: the same pairs for each series, so that results never depend on chance.
        state = state * np.uint64(6364136223846793005) + np.uint64(1442695040888963407)
        i = np.int64((state >> np.uint64(33)) % np.uint64(n))
        state = state * np.uint64(6364136223846793005) + np.uint64(1442695040888963407)
        j = np.int64((state >> np.uint64(33)) % np.uint64(n))
        if work.t[i] != work.t[j]:
            work.sample[drawn] = (work.x[i] - work.x[j]) / (work.t[i] - work.t[j])
            drawn += 1
    bottom, top = value_range(work.sample)
    spread(work.sample, bottom, top, work.buckets)
    # 3.5 standard deviations of a sample's quantile on either side.
    share = first / pairs
    index = int(SAMPLE * share - 3.5 * math.sqrt(SAMPLE * share * (1.0 - share))) - 1
    low = spread_value(SAMPLE, bottom, top, index, work.buckets) if index >= 0 else -np.inf
    share = (last + 1.0) / pairs
    index = int(SAMPLE * share + 3.5 * math.sqrt(SAMPLE * share * (1.0 - share))) + 1
    high = spread_value(SAMPLE, bottom, top, index, work.buckets) if index < SAMPLE else np.inf
    return low, high


@compiled
def _keep_slopes(n, pairs, low, high, work):
    """Put the slopes in [low, high] into `work.kept`; how many are below, and how many are kept."""
    has_repeats = pairs < n * (n - 1) // 2
    below, size, filled = np.int64(0), np.int64(0), 0
    for lag in range(1, n // 2 + 1):
        width = n if 2 * lag < n else lag  # half a circle of an even number: the other half is the same pairs
        slopes = work.block[filled : filled + width]
        # Written out here: a call costs as much as the slopes of a short lag.
        x1, t1 = work.x[lag : lag + width], work.t[lag : lag + width]
        for i in range(width):
            slopes[i] = (x1[i] - work.x[i]) / (t1[i] - work.t[i])
        if has_repeats:
            for i in range(width):
                if work.t[i] == work.t[lag + i]:
                    slopes[i] = np.nan  # neither below nor kept
        filled += width
        if filled >= BLOCK or 2 * lag >= n - 1:
            if low > -np.inf:
                below += count_below(work.block[:filled], low)
            size = keep_between(work.block[:filled], low, high, work.kept, size)
            filled = 0
    return below, size
