"""Exact order statistics and sorting of many short arrays.

Comparing sorts spend their time on mispredicted branches. Here values are spread over as many buckets as there are
values, in loops without branches; what is left to compare is the few in a bucket. The bucket of a value never falls
when the value rises (subtraction, multiplication and truncation are monotonic in floating point, too), so that the
order is exact.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from udfs.compiled import compiled
from udfs.compress import keep_between

FEW = 16
"""Buckets up to this length are sorted by insertion."""

SPREAD_UP_TO = 512
"""Longer arrays are narrowed to the wanted ranks before they are spread."""


class Buckets(NamedTuple):
    """Memory for spreading arrays: the bucket of each value, where each bucket ends, the values bucket by bucket."""

    of_value: np.ndarray
    ends: np.ndarray
    values: np.ndarray


@compiled
def buckets(n):
    """Buckets for arrays of up to n values."""
    return Buckets(np.empty(n, np.int32), np.empty(n, np.int32), np.empty(n))


@compiled
def value_range(x):
    """The smallest and the largest of x."""
    low, high = np.inf, -np.inf
    for value in x:
        low = min(low, value)
        high = max(high, value)
    return low, high


@compiled
def sort(x, space):
    """Sort x in place, ascending. `space`: Buckets for at least as many values."""
    if x.size < 2:
        return
    low, high = value_range(x)
    spread(x, low, high, space)
    largest, start = 0, 0
    for end in space.ends[: x.size]:
        largest = max(largest, end - start)
        start = end
    x[:] = space.values[: x.size]
    sort_by_comparing(x, 1 if largest <= FEW else x.size)


@compiled
def sort_by_comparing(x, first_gap):
    """Sort x in place by Shell's method, with gaps up to `first_gap`; 1 is insertion, for what is nearly sorted."""
    gap = 1
    while gap < first_gap // 2:
        gap = gap * 9 // 4 + 1
    while gap > 0:
        for i in range(gap, x.size):
            value = x[i]
            j = i - gap
            while j >= 0 and x[j] > value:
                x[j + gap] = x[j]
                j -= gap
            x[j + gap] = value
        gap = gap * 4 // 9


@compiled
def spread(x, low, high, space):
    """Put the values of x, all in [low, high], into as many buckets of equal width; `space.values` has them in order."""
    n = x.size
    of_value, ends = space.of_value[:n], space.ends[:n]
    scale = _scale(n, low, high)
    for i in range(n):
        of_value[i] = _bucket(x[i], low, scale, n - 1.0)
    ends[:] = 0
    for bucket in of_value:
        ends[bucket] += 1
    start = 0
    for bucket in range(n):
        count = ends[bucket]
        ends[bucket] = start
        start += count
    for i in range(n):
        position = ends[of_value[i]]
        ends[of_value[i]] = position + 1
        space.values[position] = x[i]


@compiled
def _scale(n, low, high):
    return n / (high - low) if high > low else 0.0


@compiled
def _bucket(value, low, scale, last):
    bucket = (value - low) * scale
    bucket = bucket if bucket > 0.0 else 0.0  # NaN, where the range overflows: bucket 0
    return np.int32(bucket if bucket < last else last)


@compiled
def spread_value(n, low, high, rank, space):
    """The value of rank `rank` (from 0) of the n values of the last `spread`, whose range was [low, high]."""
    bucket = _bucket(space.values[rank], low, _scale(n, low, high), n - 1.0)
    start = space.ends[bucket - 1] if bucket > 0 else 0
    members = space.values[start : space.ends[bucket]]
    sort_by_comparing(members, members.size if members.size > FEW else 1)
    return space.values[rank]


@compiled
def narrow(x, low, high, rank, last_rank, spare_1, spare_2):
    """The part of x around the ranks `rank` to `last_rank` (from 0), short enough to be spread if it can be had.

    x: values in [low, high]; the spares need room for them and LANES more. As if the values lay evenly in their range,
    an interval is guessed that should hold the ranks; if it does not, they lie in what is below or above it. A wrong
    guess costs time, never the result. Returned: the values kept, their range, and how many values are below them.
    """
    kept, passed = x, np.int64(0)
    use_first = True
    while kept.size > SPREAD_UP_TO and 0.0 < high - low < np.inf:
        share = (rank + 0.5) / kept.size
        slack = 3.0 * math.sqrt(share * (1.0 - share) / kept.size) + 0.01
        lower = low + max(share - slack, 0.0) * (high - low)
        upper = low + min(share + slack, 1.0) * (high - low)
        empty = spare_1 if use_first else spare_2
        below = count_below(kept, lower)
        size = keep_between(kept, lower, upper, empty, np.int64(0))
        if last_rank < below:
            lower, upper = low, lower
            below = np.int64(0)
            size = keep_between(kept, lower, upper, empty, np.int64(0))
        elif rank >= below + size:
            lower, upper = upper, high
            below = count_below(kept, lower)
            size = keep_between(kept, lower, upper, empty, np.int64(0))
        elif rank < below or last_rank >= below + size:
            break
        if size == kept.size:
            break
        kept, low, high = empty[:size], lower, upper
        rank -= below
        last_rank -= below
        passed += below
        use_first = not use_first
    return kept, low, high, passed


@compiled
def median(x, space, spare_1, spare_2):
    """The median of one or more values in any order. `space`: Buckets for as many; the spares have room for them and LANES more."""
    low, high = value_range(x)
    rank, next_rank = (x.size - 1) // 2, x.size // 2
    kept, low, high, passed = narrow(x, low, high, rank, next_rank, spare_1, spare_2)
    spread(kept, low, high, space)
    lower = spread_value(kept.size, low, high, rank - passed, space)
    return 0.5 * (lower + spread_value(kept.size, low, high, next_rank - passed, space))


@compiled
def count_below(x, bound):
    """How many of x are below `bound`."""
    count = np.int64(0)
    for i in range(x.size):
        count += np.int64(x[i] < bound)
    return count


@compiled
def median_of_sorted(ordered):
    """The median of an ascending array of one or more values."""
    middle = ordered.size // 2
    if ordered.size % 2:
        return float(ordered[middle])
    return 0.5 * (float(ordered[middle - 1]) + float(ordered[middle]))
