"""Where continuous factors are cut into strata: equal, quantile, geometric and standard-deviation breaks of ordered
values.

Each function takes (n,) float64 in ascending order with at least two distinct values, and k; it gives the breaks b_0 <=
b_1 < ... < b_m, b_0 the minimum, b_m the maximum. Stratum i is (b_(i-1), b_i], the first includes b_0: no value is ever
outside.
"""

from __future__ import annotations

import math

import numpy as np

MOST_PROBABILITIES_PER_CLASS = 10
"""Quantiles of tied values: how many probabilities a class are tried before fewer breaks are taken."""

FEW_CLASSES = 6
"""Up to so many classes, standard-deviation breaks lie a whole standard deviation apart, beyond that half of one."""


def equal_breaks(ordered: np.ndarray, k: int) -> np.ndarray:
    """k classes of equal width: min + i (max - min) / k."""
    low, high = ordered[0], ordered[-1]
    return _closed(low + np.arange(k + 1) * ((high - low) / k), ordered)


def quantile_breaks(ordered: np.ndarray, k: int) -> np.ndarray:
    """k classes of equal counts: the quantiles i / k, R's type 7.

    Where ties make breaks equal, probabilities are added until k + 1 different breaks remain (the rule of R's GD).
    Values that cannot give so many give as many as they can; some give more at once.
    """
    breaks = most = _quantiles(ordered, k)
    probabilities = breaks.size
    while breaks.size < k + 1 and probabilities <= MOST_PROBABILITIES_PER_CLASS * k:
        breaks = _quantiles(ordered, probabilities)
        if breaks.size > most.size:
            most = breaks
        probabilities += 1
    return most


def _quantiles(ordered: np.ndarray, k: int) -> np.ndarray:
    # As R computes positions, i (1 / k) (n - 1): where a quantile falls on a value, rounding decides which class the value is in.
    position = np.minimum(np.arange(k + 1) * (1.0 / k), 1.0) * (ordered.size - 1)
    below = np.floor(position).astype(np.int64)
    low, high = ordered[below], ordered[np.minimum(below + 1, ordered.size - 1)]
    share = position - below
    between = np.where(low == high, low, (1.0 - share) * low + share * high)
    between[0], between[-1] = ordered[0], ordered[-1]
    return np.unique(between)


def geometric_breaks(ordered: np.ndarray, k: int) -> np.ndarray:
    """k classes whose widths grow by a constant ratio, ((max + 1) / (min + 1))^(1 / k): values are shifted by 1, as
    R's GD does.

    Negative values are mirrored. Values of both signs get breaks from 0 outwards on either side, (k + 1) / (1 + shorter
    / longer) of the k + 1 on the longer side, and one class across 0.
    """
    low, high = ordered[0], ordered[-1]
    if low >= 0.0:
        return _closed(_geometric(low, high, k), ordered)
    if high <= 0.0:
        return _closed(-_geometric(-high, -low, k)[::-1], ordered)
    longer, shorter = max(high, -low), min(high, -low)
    n_longer = min(max(math.floor((k + 1) / (1.0 + shorter / longer)), 1), k)
    outwards = _geometric(0.0, longer, n_longer)[1:], _geometric(0.0, shorter, k + 1 - n_longer)[1:]
    above, below = outwards if high >= -low else outwards[::-1]
    return _closed(np.concatenate([-below[::-1], above]), ordered)


def _geometric(low: float, high: float, k: int) -> np.ndarray:
    ratio = ((high + 1.0) / (low + 1.0)) ** (1.0 / k)
    return (low + 1.0) * ratio ** np.arange(k + 1) - 1.0


def deviation_breaks(ordered: np.ndarray, k: int) -> np.ndarray:
    """Classes at the mean +- multiples of the sample standard deviation, inside the range of the values.

    As R's GD: m - 1 breaks are laid symmetrically about the mean, one standard deviation apart (half of one where m >
    6); m grows from k until k - 1 of them lie inside the range. That may overshoot k; values that have no room for so
    many give fewer.
    """
    low, high = ordered[0], ordered[-1]
    mean = ordered.mean()
    deviation = np.sqrt(np.square(ordered - mean).sum() / (ordered.size - 1))
    most = ordered[:0]
    past_both_ends = 0  # m and m + 1 lie on different positions; once both reach past the values, no later one adds any
    m = k
    while 0.0 < deviation < np.inf and past_both_ends < 2:
        cuts = mean + np.arange(2 - m, m - 1, 2) / (2.0 if m <= FEW_CLASSES else 4.0) * deviation
        inside = cuts[(cuts > low) & (cuts < high)]
        if inside.size > most.size:
            most = inside
        if inside.size >= k - 1:
            break
        past_both_ends += m > FEW_CLASSES and cuts[0] <= low and cuts[-1] >= high
        m += 1
    return np.concatenate([[low], most, [high]])


def _closed(breaks: np.ndarray, ordered: np.ndarray) -> np.ndarray:
    """Rising breaks inside the range, ended by the minimum and the maximum themselves."""
    inner = breaks[1:-1]
    inner = np.unique(inner[(inner > ordered[0]) & (inner < ordered[-1])])
    return np.concatenate([ordered[:1], inner, ordered[-1:]])
