"""Monotonic trends of single series: Mann-Kendall's test and the Theil-Sen line."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa

from udfs.arrow import struct_array
from udfs.compiled import compiled
from udfs.kendall import kendall, longest, ties, z_and_p
from udfs.kernel import Kernel
from udfs.order_statistics import buckets, median_of_sorted, sort
from udfs.series import from_arrow
from udfs.slopes import put_series, slopes_at_ranks, workspace
from udfs.types import SERIES

MANN_KENDALL = pa.struct(
    [
        ("n", pa.int32()),
        ("s", pa.int64()),
        ("var_s", pa.float64()),
        ("z", pa.float64()),
        ("p", pa.float64()),
        ("tau_a", pa.float64()),
        ("tau_b", pa.float64()),
    ]
)
MANN_KENDALL_MINIMUM = 3

THEIL_SEN = pa.struct(
    [
        ("n", pa.int32()),
        ("slope", pa.float64()),
        ("intercept", pa.float64()),
        ("slope_lower", pa.float64()),
        ("slope_upper", pa.float64()),
    ]
)
THEIL_SEN_MINIMUM = 2

Z_LOWER = -1.959963984540054
"""The 2.5 % quantile of the normal distribution: the interval of a slope holds 95 %."""


def mann_kendall(series: pa.ListArray) -> pa.StructArray:
    """Mann-Kendall's test of each series (array of type SERIES); an array of type MANN_KENDALL.

    S = sum over pairs i < j of sgn(v_j - v_i); var(S) with the correction for ties in v and in t (Kendall 1970);
    Z = (S - sgn S) / sqrt(var S), 0 when S = 0; p two-sided, erfc(|Z| / sqrt 2).
    NULL series and series of fewer than 3 values: NULL. Constant series: s, var_s, z = 0, p = 1, tau_b NULL.
    """
    data = from_arrow(series)
    n = np.diff(data.offsets)
    s, var_s, z, p, tau_a, tau_b = _mann_kendall(data.offsets, data.t, data.v)
    return struct_array(
        MANN_KENDALL, [n, s, var_s, z, p, tau_a, tau_b], is_null=data.is_null | (n < MANN_KENDALL_MINIMUM)
    )


def theil_sen(series: pa.ListArray) -> pa.StructArray:
    """The Theil-Sen line of each series (array of type SERIES); an array of type THEIL_SEN.

    slope = median of (v_j - v_i) / (t_j - t_i) over the pairs with t_i < t_j; intercept = median(v) - slope median(t);
    the 95 % interval holds the slopes between two ranks by the normal approximation with ties (Sen 1968, eq. 2.6), the
    formula of scipy.stats.theilslopes. All are per unit of t, and t keeps its gaps.
    NULL series and series without two values at different t: NULL.
    """
    data = from_arrow(series)
    n = np.diff(data.offsets)
    slope, intercept, lower, upper = _theil_sen(data.offsets, data.t, data.v)
    return struct_array(THEIL_SEN, [n, slope, intercept, lower, upper], is_null=data.is_null | np.isnan(slope))


@compiled
def _mann_kendall(offsets, t, v):
    rows = offsets.size - 1
    s = np.zeros(rows, np.int64)
    var_s, z, p, tau_a, tau_b = np.zeros(rows), np.zeros(rows), np.ones(rows), np.zeros(rows), np.full(rows, np.nan)
    length = longest(offsets)
    ordered, space = np.empty(length), buckets(length)
    for row in range(rows):
        x = v[offsets[row] : offsets[row + 1]]
        n = x.size
        if n < MANN_KENDALL_MINIMUM:
            continue
        score, variance, tied_v, tied_t = kendall(x, t[offsets[row] : offsets[row + 1]], ordered, space)
        pairs = n * (n - 1) // 2
        s[row] = score
        var_s[row] = variance
        z[row], p[row] = z_and_p(score, variance)
        if score != 0:
            tau_a[row] = score / pairs
        if tied_v < pairs and tied_t < pairs:
            tau_b[row] = score / math.sqrt(float(pairs - tied_v) * float(pairs - tied_t))
    return s, var_s, z, p, tau_a, tau_b


@compiled
def _theil_sen(offsets, t, v):
    rows = offsets.size - 1
    slope, intercept, lower, upper = np.full((4, rows), np.nan)
    work = workspace(longest(offsets))
    ordered = np.empty(longest(offsets))
    for row in range(rows):
        x = v[offsets[row] : offsets[row + 1]]
        at = t[offsets[row] : offsets[row + 1]]
        n = x.size
        tied_t = ties(at)
        pairs = n * (n - 1) // 2 - tied_t[0]
        if pairs == 0:
            continue
        ordered[:n] = x
        sort(ordered[:n], work.buckets)
        tied_v = ties(ordered[:n])
        middle_1, middle_2 = (pairs - 1) // 2, pairs // 2
        first, last = middle_1, middle_2
        # Sen (1968), eq. 2.6; the order of operations is scipy's, so that the rounding of the ranks is, too.
        variance = (1 / 18.0) * (n * (n - 1.0) * (2.0 * n + 5.0) - tied_t[1] - tied_v[1])
        has_interval = variance >= 0.0
        if has_interval:
            reach = Z_LOWER * math.sqrt(variance)
            first = max(int(np.rint((pairs + reach) / 2.0)) - 1, 0)
            last = min(int(np.rint((pairs - reach) / 2.0)), pairs - 1)
        put_series(x, at, work)
        low, median_1, median_2, high = slopes_at_ranks(n, pairs, first, middle_1, middle_2, last, work)
        # + 0.0: a slope between equal values may come out as -0.0, which SQL prints as it is.
        slope[row] = 0.5 * (median_1 + median_2) + 0.0
        intercept[row] = median_of_sorted(ordered[:n]) - slope[row] * median_of_sorted(at)
        if has_interval:
            lower[row] = low + 0.0
            upper[row] = high + 0.0
    return slope, intercept, lower, upper


KERNELS = (
    Kernel(
        name="mann_kendall",
        arguments={"series": SERIES},
        returns=MANN_KENDALL,
        function=mann_kendall,
        summary="Mann-Kendall's test for a monotonic ",
        meaning=(
            "`n` values used; `s` = sum over pairs of sgn(v_j - v_i), t_i < t_j; `var_s` its variance under no trend, "
            "corrected for ties; `z` = (s - sgn s) / sqrt(var_s), 0 when s = 0; `p` two-sided, erfc(|z| / sqrt 2); "
            "`tau_a` = s / (n (n - 1) / 2); `tau_b` the same with ties taken out of the pairs. "
            "A constant series has s = 0, var_s = 0, z = 0, p = 1. "
            "Several values at one t are ties in time: their pairs add nothing to s, and var_s and tau_b allow for them."
        ),
        nulls=(
            "NULL series: NULL. Members that are NULL or have a NULL t, and v that are NULL, NaN or infinite are "
            "dropped. `tau_b` is NULL when all v (or all t) are equal."
        ),
        minimum="3 values; fewer: NULL.",
        citation=(
            "Mann, H. B. (1945), Nonparametric tests against trend, Econometrica 13, 245-259. "
            "Kendall, M. G. (1970), Rank Correlation Methods, 4th ed., Griffin."
        ),
        example=(
            "select unnest(mann_kendall(list({'t': t::integer, 'v': v})))\n"
            "from (values (2001, 0.21::double), (2002, 0.22), (2003, 0.20), (2004, 0.25), (2005, 0.27)) as x(t, v)"
        ),
    ),
    Kernel(
        name="theil_sen",
        arguments={"series": SERIES},
        returns=THEIL_SEN,
        function=theil_sen,
        summary="The Theil-Sen line: the median of all pairwise slopes.",
        meaning=(
            "`n` values used; `slope` = median of (v_j - v_i) / (t_j - t_i) over the pairs with t_i < t_j, per unit of "
            "t, gaps kept; `intercept` = median(v) - slope x median(t), the value at t = 0; `slope_lower`, "
            "`slope_upper` the 95 % interval by Sen's normal approximation with ties, as scipy.stats.theilslopes. "
            "Several values at one t: their pairs have no slope and are left out."
        ),
        nulls=(
            "NULL series: NULL. Members that are NULL or have a NULL t, and v that are NULL, NaN or infinite are dropped."
        ),
        minimum="2 values at different t; fewer: NULL. Below 10 the interval is a rough one.",
        citation=(
            "Sen, P. K. (1968), Estimates of the regression coefficient based on Kendall's tau, "
            "J. Am. Stat. Assoc. 63, 1379-1389. Theil, H. (1950), Proc. K. Ned. Akad. Wet. 53."
        ),
        example=(
            "select unnest(theil_sen(list({'t': t::integer, 'v': v})))\n"
            "from (values (2001, 0.21::double), (2002, 0.22), (2003, NULL), (2004, 0.25), (2005, 0.27)) as x(t, v)"
        ),
    ),
)
