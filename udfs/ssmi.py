"""The standardised soil moisture index of single monthly series."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from udfs.compiled import compiled
from udfs.kernel import Kernel
from udfs.series import from_arrow, one_value_a_step, to_arrow
from udfs.types import SERIES

SSMI = pa.list_(
    pa.struct([("t", pa.int32()), ("ssmi", pa.float64()), ("ssmi_empirical", pa.float64()), ("n", pa.int32())])
)

MONTHS = 12

ROUNDING = 1e-12
"""Values that differ by less than this part of their size are equal: means of months round, and a standard deviation of nothing but
rounding would make an index of it."""


def ssmi(series: pa.ListArray, reference_start: pa.Array, reference_end: pa.Array, scale: pa.Array) -> pa.ListArray:
    """The index of each series (array of type SERIES, t = 12 x year + month - 1); an array of type SSMI.

    reference_start, reference_end, scale: int32, one a series; the reference is reference_start <= t < reference_end.
    x_t is the mean of the `scale` consecutive months that end with t, all of them present. With the n values x_r of the
    same calendar month in the reference, ssmi = (x_t - mean) / sd, sd with n - 1 (dimensionless); ssmi_empirical is the
    normal quantile of Gringorten's (1963) plotting position (r - 0.44) / (n + 0.12). r is the rank among the reference,
    equal values sharing the mean of their ranks: r = below + (equal + 1) / 2, counted over the x_r, which also places a
    value that is not of the reference, half a rank between its neighbours; it is never placed beyond rank 1 or n.
    Sorted by t, a member for every x_t; several values at one t become their mean first.
    ssmi and ssmi_empirical are NULL where n < 2 or all x_r are equal (to 1e-12 of their size, which rounds). NULL series, series without an x_t, NULL in
    another argument: NULL. ValueError: scale below 1.
    """
    data = one_value_a_step(from_arrow(series))
    is_null = data.is_null
    arguments = []
    for column in (reference_start, reference_end, scale):
        if column.null_count:
            is_null = is_null | column.is_null().to_numpy(zero_copy_only=False)
            column = column.fill_null(1)
        arguments.append(column.to_numpy())
    start, end, months = arguments
    if months.size and months.min() < 1:
        raise ValueError(f"ssmi: scale is {months.min()}; it counts months and cannot be below 1")
    quantiles = _quantiles(_largest_n(data.offsets, data.t))
    offsets, t, z, empirical, n = _ssmi(data.offsets, data.t, data.v, start, end, months, quantiles)
    members = pa.StructArray.from_arrays(
        [pa.array(t), pa.array(z, from_pandas=True), pa.array(empirical, from_pandas=True), pa.array(n)],
        fields=list(SSMI.value_type),
    )
    return to_arrow(offsets, members, is_null | (np.diff(offsets) == 0))


def _largest_n(offsets: np.ndarray, t: np.ndarray) -> int:
    """No calendar month of any series has more values than this."""
    if not t.size:
        return 0
    longest = int(np.diff(offsets).max())
    return min(longest, (int(t.max()) - int(t.min())) // MONTHS + 1)


def _quantiles(largest_n: int) -> np.ndarray:
    """Normal quantiles of Gringorten's positions: [n, 2 r] for ranks r = 1, 1.5, ... n; a rank is a whole or a half one."""
    # scipy takes up to a second to import: only a session that calls the kernel pays for it.
    from scipy import special

    n = np.arange(largest_n + 1)[:, None]
    rank = np.arange(2 * largest_n + 1)[None, :] / 2
    possible = (rank >= 1) & (rank <= n)
    return special.ndtri(np.where(possible, (rank - 0.44) / (n + 0.12), np.nan))


@compiled
def _ssmi(offsets, t, v, start, end, scale, quantiles):
    rows = offsets.size - 1
    out_offsets = np.zeros(rows + 1, np.int32)
    out_t = np.empty(t.size, np.int32)
    out_n = np.empty(t.size, np.int32)
    x = np.empty(t.size)
    z = np.full(t.size, np.nan)
    empirical = np.full(t.size, np.nan)
    reference = np.empty(t.size)
    first = np.empty(MONTHS + 1, np.int64)
    last = np.empty(MONTHS, np.int64)
    mean, sd = np.empty(MONTHS), np.empty(MONTHS)
    done = 0
    for row in range(rows):
        begin = done
        steps, values = t[offsets[row] : offsets[row + 1]], v[offsets[row] : offsets[row + 1]]
        done += _running_means(steps, values, scale[row], out_t[begin:], x[begin:])
        out_offsets[row + 1] = done
        at, of = out_t[begin:done], x[begin:done]
        _by_calendar_month(at, of, start[row], end[row], first, last, reference)
        for month in range(MONTHS):
            mean[month], sd[month] = _moments(reference[first[month] : last[month]])
        for i in range(at.size):
            month = at[i] % MONTHS
            known = reference[first[month] : last[month]]
            out_n[begin + i] = known.size
            if sd[month] > 0.0:
                deviation = (of[i] - mean[month]) / sd[month]
                if np.isfinite(deviation):
                    z[begin + i] = deviation
                empirical[begin + i] = quantiles[known.size, _doubled_rank(known, of[i])]
    return out_offsets, out_t[:done], z[:done], empirical[:done], out_n[:done]


@compiled
def _running_means(t, v, scale, out_t, out_x):
    """Means of `scale` consecutive steps at the last of them; how many there are."""
    end = 0
    for i in range(scale - 1, t.size):
        if np.int64(t[i]) - np.int64(t[i - scale + 1]) != scale - 1:
            continue
        low, high, total = np.inf, -np.inf, 0.0
        for k in range(i - scale + 1, i + 1):
            low = min(low, v[k])
            high = max(high, v[k])
            total += v[k]
        out_t[end] = t[i]
        # Never outside its values: equal months must have an equal mean, or a constant month would seem to vary.
        out_x[end] = max(low, min(high, total / scale))
        end += 1
    return end


@compiled
def _by_calendar_month(t, x, start, end, first, last, reference):
    """The values of the reference, calendar month by calendar month: month m is reference[first[m] : last[m]]."""
    first[:] = 0
    for i in range(t.size):
        if start <= t[i] < end:
            first[t[i] % MONTHS + 1] += 1
    for month in range(MONTHS):
        first[month + 1] += first[month]
        last[month] = first[month]
    for i in range(t.size):
        if start <= t[i] < end:
            month = t[i] % MONTHS
            reference[last[month]] = x[i]
            last[month] += 1


@compiled
def _moments(known):
    """Mean and standard deviation (n - 1), about the mean; the latter 0 where there are not two different values."""
    low, high = np.inf, -np.inf
    for value in known:
        low = min(low, value)
        high = max(high, value)
    if known.size < 2 or high - low <= ROUNDING * max(abs(low), abs(high)):
        return 0.0, 0.0
    total = 0.0
    for value in known:
        total += value
    mean = total / known.size
    squares = 0.0
    for value in known:
        squares += (value - mean) * (value - mean)
    return mean, np.sqrt(squares / (known.size - 1))


@compiled
def _doubled_rank(known, value):
    below = np.int64(0)
    equal = np.int64(0)
    for i in range(known.size):
        below += np.int64(known[i] < value)
        equal += np.int64(known[i] == value)
    return min(max(2 * below + equal + 1, 2), 2 * known.size)


KERNELS = (
    Kernel(
        name="ssmi",
        arguments={
            "series": SERIES,
            "reference_start": pa.int32(),
            "reference_end": pa.int32(),
            "scale": pa.int32(),
        },
        returns=SSMI,
        function=ssmi,
        summary="The standardised soil moisture index: how far a month is from its calendar month's normal.",
        meaning=(
            "t is 12 x year + month - 1. x is the mean of the `scale` consecutive months that end with t, all of them "
            "present. `n` values of x in the same calendar month lie in the reference, reference_start <= t < reference_end; "
            "`ssmi` = (x - their mean) / their standard deviation (n - 1); `ssmi_empirical` = the normal quantile of "
            "(r - 0.44) / (n + 0.12), r the rank among them, equal values sharing the mean of their ranks; a value outside "
            "the reference takes the half rank between its neighbours, and never one beyond 1 or n. With n = 21 "
            "`ssmi_empirical` spans +-1.93. Sorted by t, a member for every x; several values at one t become their mean first. "
            "Works as well for any other monthly series."
        ),
        nulls=(
            "NULL series or another argument NULL: NULL. Members that are NULL or have a NULL t, and v that are NULL, NaN "
            "or infinite are missing months. `ssmi` and `ssmi_empirical` are NULL where n < 2 or the n values are all equal, but for 1e-12 of their size. "
            "A scale below 1 is an error."
        ),
        minimum="`scale` consecutive months; else NULL. n = 2 is computed: ask for more in the query.",
        citation=(
            "McKee, T. B., Doesken, N. J., Kleist, J. (1993), The relationship of drought frequency and duration to time "
            "scales, 8th Conf. on Applied Climatology. Gringorten, I. I. (1963), A plotting rule for extreme probability "
            "paper, J. Geophys. Res. 68, 813-814."
        ),
        example=(
            "select unnest(ssmi(list({'t': (12 * year)::integer, 'v': v}), (12 * 2001)::integer, (12 * 2006)::integer, 1), recursive := true)\n"
            "from (values (2001, 0.21::double), (2002, 0.22), (2003, 0.20), (2004, 0.25), (2005, 0.27), (2006, 0.18)) as x(year, v)"
        ),
    ),
)
