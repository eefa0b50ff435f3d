"""Mann-Kendall's test where its assumptions fail: values with a season, and values that resemble their neighbours.

Each follows pymannkendall (Hussain and Mahmud 2019), also in what it does with gaps, which is said with each kernel.
"""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa

from udfs.arrow import struct_array
from udfs.compiled import compiled
from udfs.compress import LANES
from udfs.kendall import kendall, longest, z_and_p
from udfs.kernel import Kernel
from udfs.order_statistics import buckets, median, sort
from udfs.series import from_arrow, one_value_a_step
from udfs.slopes import put_series, slopes_at_ranks, workspace
from udfs.types import SERIES

SEASONAL_KENDALL = pa.struct(
    [
        ("n", pa.int32()),
        ("s", pa.int64()),
        ("var_s", pa.float64()),
        ("z", pa.float64()),
        ("p", pa.float64()),
        ("slope", pa.float64()),
    ]
)

TREND_TEST = pa.struct(
    [
        ("n", pa.int32()),
        ("s", pa.int64()),
        ("var_s", pa.float64()),
        ("z", pa.float64()),
        ("p", pa.float64()),
        ("tau", pa.float64()),
        ("slope", pa.float64()),
    ]
)
HAMED_RAO_MINIMUM = 3
PREWHITENING_MINIMUM = 4

Z_UPPER = 1.959963984540054
"""The 97.5 % quantile of the normal distribution: an autocorrelation beyond it over sqrt(n) is significant at 5 %."""

LINE_NOISE = 1e-15
"""Residuals within n times this share of the values are what rounding leaves of a straight line, not a series."""

LONGEST_COUNTED_PERIOD = 4096
"""Up to this period values are put into their seasons by counting, beyond it by sorting, which needs no memory a season."""


def seasonal_kendall(series: pa.ListArray, period: pa.Array) -> pa.StructArray:
    """The seasonal Kendall test of each series (array of type SERIES) for `period` (int32) steps a cycle; SEASONAL_KENDALL.

    Season of a value: t mod period. S and var(S) are the sums over the seasons of those of each season by itself, so that
    values are compared with those of other cycles in the same season only (Hirsch, Slack and Smith 1982); Z and p as for
    mann_kendall. slope = median over all pairs within a season of (v_j - v_i) / (cycles between them), per `period` steps.
    NULL series, NULL period, and series without two values at different t of one season: NULL.
    ValueError: period below 1.
    """
    data = from_arrow(series)
    is_null = data.is_null
    if period.null_count:
        is_null = is_null | period.is_null().to_numpy(zero_copy_only=False)
        period = period.fill_null(1)
    steps = period.to_numpy()
    if steps.size and steps.min() < 1:
        raise ValueError(f"seasonal_kendall: period is {steps.min()}; it counts the steps of t in a cycle, 1 or more")
    s, var_s, z, p, slope = _seasonal_kendall(data.offsets, data.t, data.v, steps)
    return struct_array(
        SEASONAL_KENDALL, [np.diff(data.offsets), s, var_s, z, p, slope], is_null=is_null | np.isnan(slope)
    )


def hamed_rao(series: pa.ListArray) -> pa.StructArray:
    """Mann-Kendall's test with the variance of Hamed and Rao (1998) of each series (array of type SERIES); TREND_TEST.

    S is Mann-Kendall's; its variance is multiplied by 1 + 2 / (n (n-1) (n-2)) sum over i of (n-i)(n-i-1)(n-i-2) rho_i,
    rho_i the autocorrelation at lag i of the ranks of the values less Sen's line, those significant at 5 % only.
    var_s may come out negative; z and p are NULL then (unless S = 0, when z = 0 and p = 1).
    Several values at one t become their mean. NULL series and series of fewer than 3 values: NULL.
    """
    data = one_value_a_step(from_arrow(series))
    n = np.diff(data.offsets)
    return struct_array(
        TREND_TEST,
        [n, *_hamed_rao(data.offsets, data.t, data.v)],
        is_null=data.is_null | (n < HAMED_RAO_MINIMUM),
    )


def trend_free_prewhitening(series: pa.ListArray) -> pa.StructArray:
    """Mann-Kendall's test after trend-free pre-whitening (Yue et al. 2002) of each series (array of type SERIES); TREND_TEST.

    Sen's line is taken off, then from each value r_1 times the one before it (r_1: the autocorrelation at lag 1), then the
    line is put back; S, var(S), Z, p, tau are those of the n - 1 values that result, slope is Sen's of the series.
    Several values at one t become their mean. NULL series and series of fewer than 4 values: NULL.
    """
    data = one_value_a_step(from_arrow(series))
    n = np.diff(data.offsets)
    return struct_array(
        TREND_TEST,
        [n, *_trend_free_prewhitening(data.offsets, data.t, data.v)],
        is_null=data.is_null | (n < PREWHITENING_MINIMUM),
    )


@compiled
def _seasonal_kendall(offsets, t, v, period):
    rows = offsets.size - 1
    s = np.zeros(rows, np.int64)
    var_s, z, p, slope = np.zeros(rows), np.zeros(rows), np.ones(rows), np.full(rows, np.nan)
    length = longest(offsets)
    ordered, space = np.empty(length), buckets(length)
    x, at, ends = np.empty(length), np.empty(length, np.int64), np.empty(length, np.int64)
    slopes = spare_1 = spare_2 = np.empty(0)
    slope_space = buckets(0)
    for row in range(rows):
        first, n = offsets[row], offsets[row + 1] - offsets[row]
        if n < 2:
            continue
        seasons = _by_season(t[first : first + n], v[first : first + n], period[row], x, at, ends)
        score, variance, pairs, start = np.int64(0), 0.0, np.int64(0), np.int64(0)
        for end in ends[:seasons]:
            of_season = kendall(x[start:end], at[start:end], ordered, space)
            score += of_season[0]
            variance += of_season[1]
            pairs += (end - start) * (end - start - 1) // 2 - of_season[3]
            start = end
        if pairs == 0:
            continue
        if pairs > slopes.size:
            slopes, spare_1, spare_2 = np.empty(2 * pairs), np.empty(2 * pairs + LANES), np.empty(2 * pairs + LANES)
            slope_space = buckets(2 * pairs)
        filled, start = 0, np.int64(0)
        for end in ends[:seasons]:
            filled = _slopes_of_season(x[start:end], at[start:end], slopes, filled)
            start = end
        s[row] = score
        var_s[row] = variance
        z[row], p[row] = z_and_p(score, variance)
        slope[row] = median(slopes[:pairs], slope_space, spare_1, spare_2) + 0.0
    return s, var_s, z, p, slope


@compiled
def _by_season(t, v, period, x, at, ends):
    """Values and numbers of their cycles, season by season, each in the order of t; where each season ends; how many seasons."""
    n = t.size
    # Divisions of long integers are slow: one a value.
    season, cycle = np.empty(n, np.int64), np.empty(n, np.int64)
    for i in range(n):
        cycle[i] = np.int64(t[i]) // np.int64(period)
        season[i] = np.int64(t[i]) - cycle[i] * np.int64(period)
    if period > LONGEST_COUNTED_PERIOD:
        seasons, order = 0, np.argsort(season, kind="mergesort")
        for k in range(n):
            x[k] = v[order[k]]
            at[k] = cycle[order[k]]
            if k + 1 == n or season[order[k + 1]] != season[order[k]]:
                ends[seasons] = k + 1
                seasons += 1
        return seasons
    place = np.zeros(period + 1, np.int64)
    for i in range(n):
        place[season[i] + 1] += 1
    seasons = 0
    for k in range(period):
        has_values = place[k + 1] > 0
        place[k + 1] += place[k]
        if has_values:
            ends[seasons] = place[k + 1]
            seasons += 1
    for i in range(n):
        k = place[season[i]]
        place[season[i]] = k + 1
        x[k] = v[i]
        at[k] = cycle[i]
    return seasons


@compiled
def _slopes_of_season(x, cycle, slopes, filled):
    """Put the slopes of the pairs of different cycles behind the first `filled`; how many there are then."""
    for i in range(x.size - 1):
        j = i + 1
        while j < x.size and cycle[j] == cycle[i]:
            j += 1
        found, later, steps = slopes[filled : filled + x.size - j], x[j:], cycle[j:]
        for k in range(found.size):
            found[k] = (later[k] - x[i]) / float(steps[k] - cycle[i])
        filled += found.size
    return filled


@compiled
def _hamed_rao(offsets, t, v):
    rows = offsets.size - 1
    s = np.zeros(rows, np.int64)
    var_s, z, p, tau, slope = np.zeros(rows), np.zeros(rows), np.ones(rows), np.zeros(rows), np.full(rows, np.nan)
    length = longest(offsets)
    work = workspace(length)
    ordered, residual, rank = np.empty(length), np.empty(length), np.empty(length, np.int32)
    for row in range(rows):
        x, at = v[offsets[row] : offsets[row + 1]], t[offsets[row] : offsets[row + 1]]
        n = x.size
        if n < HAMED_RAO_MINIMUM:
            continue
        score, variance, _, _ = kendall(x, at, ordered, work.buckets)
        slope[row] = _sen_slope(x, at, work)
        if _residuals(x, slope[row], residual):
            ordered[:n] = residual[:n]
            sort(ordered[:n], work.buckets)
            _centred_ranks(residual[:n], ordered[:n], rank)
            variance *= _inflation(rank[:n])
        s[row] = score
        var_s[row] = variance
        z[row], p[row] = z_and_p(score, variance)
        tau[row] = score / (0.5 * n * (n - 1.0))
    return s, var_s, z, p, tau, slope


@compiled
def _trend_free_prewhitening(offsets, t, v):
    rows = offsets.size - 1
    s = np.zeros(rows, np.int64)
    var_s, z, p, tau, slope = np.zeros(rows), np.zeros(rows), np.ones(rows), np.zeros(rows), np.full(rows, np.nan)
    length = longest(offsets)
    work = workspace(length)
    ordered, residual = np.empty(length), np.empty(length)
    for row in range(rows):
        x, at = v[offsets[row] : offsets[row + 1]], t[offsets[row] : offsets[row + 1]]
        n = x.size
        if n < PREWHITENING_MINIMUM:
            continue
        slope[row] = _sen_slope(x, at, work)
        r = _lag_1(residual[:n]) if _residuals(x, slope[row], residual) else 0.0
        white = residual[: n - 1]
        for i in range(n - 1):  # each is read before it is written over
            white[i] = (residual[i + 1] - residual[i] * r) + (i + 1.0) * slope[row]
        score, variance, _, _ = kendall(white, at[: n - 1], ordered, work.buckets)
        s[row] = score
        var_s[row] = variance
        z[row], p[row] = z_and_p(score, variance)
        tau[row] = score / (0.5 * (n - 1.0) * (n - 2.0))
    return s, var_s, z, p, tau, slope


@compiled
def _sen_slope(x, at, work):
    n = x.size
    pairs = n * (n - 1) // 2
    lower, upper = (pairs - 1) // 2, pairs // 2
    put_series(x, at, work)
    _, median_1, median_2, _ = slopes_at_ranks(n, pairs, lower, lower, upper, upper, work)
    return 0.5 * (median_1 + median_2) + 0.0


@compiled
def _residuals(x, slope, residual):
    """Put the values less the line into `residual`; whether anything is left but rounding.

    As pymannkendall does, the line rises by a slope a value, also across gaps: the values are taken as if they followed
    one another.
    """
    low, high, largest = np.inf, -np.inf, 0.0
    for i in range(x.size):
        residual[i] = x[i] - (i + 1.0) * slope
        low = min(low, residual[i])
        high = max(high, residual[i])
        largest = max(largest, abs(x[i]))
    return high - low > LINE_NOISE * x.size * largest


@compiled
def _centred_ranks(x, ordered, rank):
    """Twice the rank of each value, equal ones sharing their mean rank, less twice the mean rank: integers that add up to 0."""
    for i in range(x.size):
        below = _first_not_below(ordered, x[i])
        through = below + 1
        while through < x.size and ordered[through] == x[i]:
            through += 1
        rank[i] = below + through - x.size


@compiled
def _first_not_below(ordered, value):
    low, high = 0, ordered.size
    while low < high:
        middle = (low + high) // 2
        if ordered[middle] < value:
            low = middle + 1
        else:
            high = middle
    return low


@compiled
def _inflation(rank):
    """n / n* of Hamed and Rao (1998), eq. 14: by how much autocorrelation widens the variance of S."""
    n = rank.size
    total = _products(rank, rank)
    if total == 0:
        return 1.0
    bound = Z_UPPER / math.sqrt(n)
    added = 0.0
    for lag in range(1, n):
        autocorrelation = _products(rank[: n - lag], rank[lag:]) / total
        if abs(autocorrelation) > bound:
            added += (n - lag) * (n - lag - 1.0) * (n - lag - 2.0) * autocorrelation
    return 1.0 + 2.0 / (n * (n - 1.0) * (n - 2.0)) * added


@compiled
def _products(a, b):
    # Integers: the order of summation says nothing, so that the loop is vectorised.
    total = np.int64(0)
    for i in range(a.size):
        total += np.int64(a[i]) * np.int64(b[i])
    return total


@compiled
def _lag_1(x):
    """The autocorrelation of x at lag 1."""
    mean = x.mean()
    products, squares = 0.0, 0.0
    for i in range(x.size - 1):
        products += (x[i] - mean) * (x[i + 1] - mean)
    for i in range(x.size):
        squares += (x[i] - mean) * (x[i] - mean)
    return products / squares if squares > 0.0 else 0.0


_GAPS = (
    "As in pymannkendall, the slope keeps the gaps of t, and the autocorrelation does not: the values are taken as if they "
    "followed one another, so that a series with many gaps looks less autocorrelated than it is. "
    "Several values at one t become their mean."
)
_DROPPED = (
    "NULL series: NULL. Members that are NULL or have a NULL t, and v that are NULL, NaN or infinite are dropped."
)

KERNELS = (
    Kernel(
        name="seasonal_kendall",
        arguments={"series": SERIES, "period": pa.int32()},
        returns=SEASONAL_KENDALL,
        function=seasonal_kendall,
        summary="The seasonal Kendall test: values are compared with those of the same season only.",
        meaning=(
            "The season of a value is t mod `period` (12 for months). `n` values used; `s`, `var_s` the sums over the seasons "
            "of Mann-Kendall's S and its variance; `z`, `p` as in `mann_kendall`; `slope` the median of "
            "(v_j - v_i) / (cycles between them) over all pairs within a season, per `period` steps: a year's, for months. "
            "Gaps are kept. Seasons are taken as independent of one another. pymannkendall's seasonal_test."
        ),
        nulls=f"{_DROPPED} NULL period: NULL. A period below 1 is an error.",
        minimum="2 values at different t of one season; fewer: NULL.",
        citation=(
            "Hirsch, R. M., Slack, J. R., Smith, R. A. (1982), Techniques of trend analysis for monthly water quality data, "
            "Water Resour. Res. 18, 107-121. Hirsch, R. M., Slack, J. R. (1984), Water Resour. Res. 20, 727-732."
        ),
        example=(
            "select unnest(seasonal_kendall(list({'t': t::integer, 'v': v}), 2))\n"
            "from (values (0, 1.0::double), (1, 9.0), (2, 1.5), (3, 9.2), (4, 2.5), (5, 9.1)) as x(t, v)"
        ),
    ),
    Kernel(
        name="hamed_rao",
        arguments={"series": SERIES},
        returns=TREND_TEST,
        function=hamed_rao,
        summary="Mann-Kendall's test with a variance that allows for autocorrelation at every significant lag.",
        meaning=(
            "`n` values used; `s` Mann-Kendall's S; `var_s` its variance times "
            "1 + 2 / (n (n - 1) (n - 2)) sum (n - i)(n - i - 1)(n - i - 2) rho_i, rho_i the autocorrelations at lag i, "
            "significant at 5 %, of the ranks of the values less Sen's line; `z`, `p` as in `mann_kendall`; "
            "`tau` = s / (n (n - 1) / 2); `slope` Sen's, per unit of t. "
            "The correction may leave a negative variance: `z`, `p` are then NULL. "
            f"pymannkendall's hamed_rao_modification_test. {_GAPS}"
        ),
        nulls=_DROPPED,
        minimum="3 values; fewer: NULL. The autocorrelations of fewer than 20 are rough.",
        citation=(
            "Hamed, K. H., Rao, A. R. (1998), A modified Mann-Kendall trend test for autocorrelated data, J. Hydrol. 204, 182-196."
        ),
        example=(
            "select unnest(hamed_rao(list({'t': t::integer, 'v': v})))\n"
            "from (values (2001, 0.21::double), (2002, 0.22), (2003, 0.20), (2004, 0.25), (2005, 0.27)) as x(t, v)"
        ),
    ),
    Kernel(
        name="trend_free_prewhitening",
        arguments={"series": SERIES},
        returns=TREND_TEST,
        function=trend_free_prewhitening,
        summary="Mann-Kendall's test after the autocorrelation at lag 1 is taken out, and the trend is not.",
        meaning=(
            "Sen's line is taken off the values, r_1 times the value before is taken off each, and the line is put back. "
            "`n` values used; `s`, `var_s`, `z`, `p` and `tau` = s / ((n - 1)(n - 2) / 2) are Mann-Kendall's of the n - 1 values "
            "that result; `slope` is Sen's of the series itself, per unit of t. "
            f"pymannkendall's trend_free_pre_whitening_modification_test. {_GAPS}"
        ),
        nulls=_DROPPED,
        minimum="4 values; fewer: NULL.",
        citation=(
            "Yue, S., Pilon, P., Phinney, B., Cavadias, G. (2002), The influence of autocorrelation on the ability to detect "
            "trend in hydrological series, Hydrol. Process. 16, 1807-1829."
        ),
        example=(
            "select unnest(trend_free_prewhitening(list({'t': t::integer, 'v': v})))\n"
            "from (values (2001, 0.21::double), (2002, 0.22), (2003, 0.20), (2004, 0.25), (2005, 0.27)) as x(t, v)"
        ),
    ),
)
