"""Kendall's score of one series and its variance: what every test of the Mann-Kendall family is made of."""

from __future__ import annotations

import math

import numpy as np

from udfs.compiled import compiled
from udfs.order_statistics import sort

NO_TIES = (0, 0.0, 0.0)


@compiled
def kendall(x, t, ordered, space):
    """Of one series in ascending order of t (and of x where t is equal): (S, var(S), tied pairs in x, tied pairs in t).

    S = sum over pairs i < j with t_i < t_j of sgn(x_j - x_i); var(S) is that under no trend, with the correction for ties
    in x and in t (Kendall 1970, eq. 5.3). Without pairs all are 0. `ordered`, `space`: memory for as many values.
    """
    n = x.size
    rising, falling = 0, 0
    if n < 2:
        return 0, 0.0, 0, 0
    pairs = n * (n - 1) // 2
    for i in range(n - 1):
        up, down = _count_signs(x[i + 1 :], x[i])
        rising += up
        falling += down
    tied_t = ties(t)
    if tied_t[0] > 0:
        rising -= _rising_at_one_step(x, t)
    tied_x = NO_TIES
    if rising + falling + tied_t[0] < pairs or tied_t[0] > 0:
        ordered[:n] = x
        sort(ordered[:n], space)
        tied_x = ties(ordered[:n])
    return rising - falling, _variance(n, tied_x, tied_t), tied_x[0], tied_t[0]


@compiled
def z_and_p(score, variance):
    """Z = (S - sgn S) / sqrt(var S), 0 when S = 0, and its two-sided p. NaN where S is not 0 and var S not positive."""
    if score == 0:
        return 0.0, 1.0
    if not variance > 0.0:
        return math.nan, math.nan
    z = (score - 1.0 if score > 0 else score + 1.0) / math.sqrt(variance)
    return z, math.erfc(abs(z) / math.sqrt(2.0))


@compiled
def longest(offsets):
    """The length of the longest series."""
    length = 0
    for row in range(offsets.size - 1):
        length = max(length, offsets[row + 1] - offsets[row])
    return length


@compiled
def ties(ordered):
    """Over the groups of k equal members: sum k(k-1)/2, sum k(k-1)(2k+5), sum k(k-1)(k-2)."""
    pairs = 0
    fives = 0.0
    triples = 0.0
    k = 1
    for i in range(1, ordered.size + 1):
        if i < ordered.size and ordered[i] == ordered[i - 1]:
            k += 1
        elif k > 1:
            pairs += k * (k - 1) // 2
            fives += k * (k - 1.0) * (2.0 * k + 5.0)
            triples += k * (k - 1.0) * (k - 2.0)
            k = 1
    return pairs, fives, triples


@compiled
def _count_signs(later, value):
    """How many of `later` are above and below `value`."""
    above = np.int64(0)
    below = np.int64(0)
    for i in range(later.size):
        above += np.int64(later[i] > value)
        below += np.int64(later[i] < value)
    return above, below


@compiled
def _rising_at_one_step(x, t):
    """Pairs of different values at one t. Series are sorted by (t, v): each was counted as rising."""
    pairs = 0
    for i in range(x.size - 1):
        j = i + 1
        while j < x.size and t[j] == t[i]:
            pairs += x[j] > x[i]
            j += 1
    return pairs


@compiled
def _variance(n, tied_x, tied_t):
    # Kendall (1970), eq. 5.3; without ties in t it is the usual correction.
    variance = (n * (n - 1.0) * (2.0 * n + 5.0) - tied_x[1] - tied_t[1]) / 18.0
    if tied_t[0] > 0 and tied_x[0] > 0:
        if n > 2:
            variance += tied_x[2] * tied_t[2] / (9.0 * n * (n - 1.0) * (n - 2.0))
        variance += 2.0 * tied_x[0] * tied_t[0] / (n * (n - 1.0))
    return max(variance, 0.0)
