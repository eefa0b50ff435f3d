"""Preparation of a daily series in one pass: centred mean, composites to days, gaps filled, noise smoothed.

The steps are those of `udfs/preparation.py`; one kernel does them all, because moving lists of structs between the engine and a kernel
costs more than the work itself.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from udfs.compiled import compiled
from udfs.kernel import Kernel
from udfs.preparation import projection, smooth_run
from udfs.series import to_arrow

DAYS = pa.list_(pa.struct([("t", pa.int32()), ("v", pa.float64()), ("is_frozen", pa.bool_())]))
"""An unordered list of days: t counts days, v may be NULL (a day of which only the frost is known), is_frozen NULL is not known."""

PREPARED_DAYS = pa.list_(
    pa.struct([("t", pa.int32()), ("v", pa.float64()), ("is_filled", pa.bool_()), ("is_frozen", pa.bool_())])
)

LONGEST_SERIES = 400_000
"""Days from the first to the last of a series: eleven centuries. Working memory is a few bytes a day of it."""

_PARAMETERS = ("mean_half_width", "composite_days", "max_gap", "half_width", "order")


def prepare_series(
    series: pa.ListArray,
    exclude_frozen: pa.Array,
    mean_half_width: pa.Array,
    composite_days: pa.Array,
    is_held: pa.Array,
    max_gap: pa.Array,
    half_width: pa.Array,
    order: pa.Array,
) -> pa.ListArray:
    """Each series (array of type DAYS) prepared, an array of type PREPARED_DAYS sorted by t; a setting of 0 leaves its step out.

    1. `exclude_frozen` (boolean): a frozen day loses its value and is filled by no later step; without it frozen days are days like others.
    2. `mean_half_width` m (int32, days): every day from m before the first to m after the last value is the mean of the values of t - m .. t + m.
    3. `composite_days` c (int32, days): values are composites. `is_held` (boolean): a value is that of the c days from its own on, at most up
       to the next value. Otherwise the days between two values at most 2 c apart lie on the line between them.
    4. `max_gap` g (int32, days): a missing day is filled on the line between its neighbours when both lie within g days of it.
    5. `half_width`, `order` (int32): the filter of Savitzky and Golay over each unbroken run of days, as in `savitzky_golay`.

    is_filled: the day has no value of its own. is_frozen: as some member of the day says, NULL where none does. Several values of a day become
    their mean. NULL: the series or a setting is NULL, or no value is left. ValueError: a setting below 0, an order outside
    0 .. 2 half_width, a series longer than LONGEST_SERIES days.
    """
    settings = [exclude_frozen, is_held, mean_half_width, composite_days, max_gap, half_width, order]
    is_null = series.is_null().to_numpy(zero_copy_only=False)
    numbers = np.empty((len(series), len(settings)), np.int64)
    for i, column in enumerate(settings):
        if column.null_count:
            is_null = is_null | column.is_null().to_numpy(zero_copy_only=False)
            column = column.fill_null(False if pa.types.is_boolean(column.type) else 0)
        numbers[:, i] = column.to_numpy(zero_copy_only=False)
    offsets, t, v, frost = _members(series)
    kinds, kind_of = np.unique(numbers, axis=0, return_inverse=True) if len(series) else (numbers[:0], None)
    parts = []
    for number, kind in enumerate(kinds):
        _require_settings(kind)
        exclude, held, mean, composite, gap, half, degree = kind.tolist()
        rows = np.flatnonzero((kind_of.ravel() == number) & ~is_null)
        smoother = projection(half, degree) if half else np.empty((0, 0))
        parts.append(
            (rows, *_prepare(rows, offsets, t, v, frost, bool(exclude), mean, composite, bool(held), gap, smoother))
        )
    return _joined(parts, len(series))


def _require_settings(kind: np.ndarray) -> None:
    for name, value in zip(_PARAMETERS, kind[2:].tolist(), strict=True):
        if value < 0:
            raise ValueError(f"prepare_series: {name} is {value}; it counts days and cannot be below 0")
    half, order = kind[-2:].tolist()
    if order > 2 * half:
        raise ValueError(f"prepare_series: order {order} with half_width {half}; order goes from 0 to 2 half_width")


def _members(series: pa.ListArray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Offsets from 0; t; v, NaN where NULL; frost, 1 frozen, 0 not, -1 not known, -2 a member that does not count."""
    offsets = series.offsets.to_numpy()
    members = series.values.slice(offsets[0], offsets[-1] - offsets[0])
    t, v, frozen = (members.field(name) for name in ("t", "v", "is_frozen"))
    values = v.to_numpy(zero_copy_only=False)
    if frozen.null_count == len(frozen):
        frost = np.full(len(frozen), -1, np.int8)
    else:
        frost = frozen.cast(pa.int8()).fill_null(-1).to_numpy().copy()
    for hidden in (members, t):
        if hidden.null_count:
            frost[hidden.is_null().to_numpy(zero_copy_only=False)] = -2
    values.setflags(write=False)  # as Arrow's own memory is: one compiled form serves both
    frost.setflags(write=False)
    return offsets - offsets[0], (t.fill_null(0) if t.null_count else t).to_numpy(), values, frost


def _joined(parts: list[tuple], n: int) -> pa.ListArray:
    """The rows of all settings, in the order of the series; series that are in no part are NULL."""
    lengths = np.zeros(n, np.int64)
    for rows, sizes, *_ in parts:
        lengths[rows] = sizes
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    if offsets[-1] > np.iinfo(np.int32).max:
        raise ValueError("prepare_series: the prepared series of one batch hold more than 2^31 days")
    fields = [np.concatenate(columns) for columns in zip(*(part[2:] for part in parts), strict=True)] or [
        np.empty(0, kind) for kind in (np.int32, np.float64, np.bool_, np.int8)
    ]
    if len(parts) > 1:  # the days of a row lie together, but the rows of one setting before those of the next
        owner = np.concatenate([np.repeat(rows, sizes) for rows, sizes, *_ in parts])
        in_order = np.argsort(owner, kind="stable")
        fields = [field[in_order] for field in fields]
    t, v, is_filled, frost = fields
    is_frozen = pa.array(frost == 1, mask=frost < 0) if (frost < 0).any() else pa.array(frost == 1)
    members = pa.StructArray.from_arrays(
        [pa.array(t), pa.array(v), pa.array(is_filled), is_frozen], fields=list(PREPARED_DAYS.value_type)
    )
    return to_arrow(offsets.astype(np.int32), members, lengths == 0)


@compiled
def _prepare(rows, offsets, t, v, frost, exclude_frozen, mean, composite, is_held, gap, smoother):
    sizes = np.zeros(rows.size, np.int64)
    spans = np.zeros(rows.size, np.int64)
    firsts = np.zeros(rows.size, np.int64)
    total, longest = np.int64(0), np.int64(0)
    for i in range(rows.size):
        low, high = np.int64(2**31), np.int64(-(2**31) - 1)
        for j in range(offsets[rows[i]], offsets[rows[i] + 1]):
            if frost[j] > -2:
                low, high = min(low, np.int64(t[j])), max(high, np.int64(t[j]))
        if high < low:
            continue
        low, high = max(low - mean, np.int64(-(2**31))), high + mean + (composite if is_held else 0)
        firsts[i], spans[i] = low, min(high, np.int64(2**31 - 1)) - low + 1
        if spans[i] > LONGEST_SERIES:
            raise ValueError("prepare_series: a series reaches over more than 400,000 days; is t a number of days?")
        total += spans[i]
        longest = max(longest, spans[i])
    out_t = np.empty(total, np.int32)
    out_v = np.empty(total, np.float64)
    out_filled = np.empty(total, np.bool_)
    out_frost = np.empty(total, np.int8)
    value, work = np.empty(longest), np.empty(longest)
    count, ice = np.empty(longest, np.int32), np.empty(longest, np.int8)
    end = np.int64(0)
    for i in range(rows.size):
        n = spans[i]
        if n == 0:
            continue
        days, own, known = value[:n], count[:n], ice[:n]
        part = slice(offsets[rows[i]], offsets[rows[i] + 1])
        _scatter(t[part], v[part], frost[part], firsts[i], days, own, known)
        if exclude_frozen:
            for k in range(n):
                if known[k] == 1:
                    days[k], own[k] = np.nan, 0
        if mean > 0:
            _centred_mean(days, mean, work[:n])
            days[:] = work[:n]
        if composite > 0 or gap > 0:
            _fill(days, composite, is_held, gap)
        if exclude_frozen:
            for k in range(n):
                if known[k] == 1:
                    days[k] = np.nan
        if smoother.shape[0] > 1:
            work[:n] = days
            _smooth(work[:n], smoother, days)
        start = end
        for k in range(n):  # without a branch: missing days come at random
            out_t[end] = np.int32(firsts[i] + k)
            out_v[end] = days[k]
            out_filled[end] = own[k] == 0
            out_frost[end] = known[k]
            end += np.int64(days[k] - days[k] == 0.0)
        sizes[i] = end - start
    return sizes, out_t[:end], out_v[:end], out_filled[:end], out_frost[:end]


@compiled
def _scatter(t, v, frost, first, days, own, known):
    """Put the members on their days: the mean of a day's values, in an order that does not depend on the list's."""
    days[:] = np.nan
    own[:] = 0
    known[:] = -1
    most = 0
    for j in range(t.size):
        if frost[j] > -2:
            k = np.int64(t[j]) - first
            known[k] = max(known[k], frost[j])
            if v[j] - v[j] == 0.0:
                days[k] = v[j] if own[k] == 0 else days[k] + v[j]
                own[k] += 1
                most = max(most, own[k])
    if most == 2:
        for k in range(days.size):
            if own[k] == 2:
                days[k] /= 2
    elif most > 2:
        kept = np.empty(most)
        for k in range(days.size):
            if own[k] > 1:
                m = 0
                for j in range(t.size):
                    if frost[j] > -2 and np.int64(t[j]) - first == k and v[j] - v[j] == 0.0:
                        kept[m] = v[j]
                        m += 1
                kept[:m].sort()
                days[k] = kept[:m].sum() / m


@compiled
def _centred_mean(days, reach, out):
    """Sums of their own for every day: a running sum would carry the rounding of values long past."""
    for k in range(days.size):
        total, n = 0.0, 0
        for j in range(max(0, k - reach), min(days.size, k + reach + 1)):
            if days[j] - days[j] == 0.0:
                total += days[j]
                n += 1
        out[k] = total / n if n > 0 else np.nan


@compiled
def _fill(days, composite, is_held, gap):
    before = np.int64(-1)
    for k in range(days.size):
        if days[k] - days[k] != 0.0:
            continue
        if before >= 0:
            apart = k - before
            if apart > 1:
                left = days[before]
                if is_held and composite > 0:
                    last = min(apart - 1, composite - 1)
                    for step in range(1, last + 1):
                        days[before + step] = left
                    before += last
                    apart = k - before
                if composite > 0 and not is_held and apart <= 2 * composite:
                    low, high = np.int64(1), apart - 1
                else:
                    low, high = max(np.int64(1), apart - gap), min(apart - 1, gap)
                for step in range(low, high + 1):
                    days[before + step] = left + (days[k] - left) * (step / apart)
        before = np.int64(k)
    if is_held and composite > 0 and before >= 0:
        for k in range(before + 1, min(days.size, before + composite)):
            days[k] = days[before]


@compiled
def _smooth(x, smoother, out):
    """Each unbroken run of days; one that is shorter than the window stays as it is."""
    width = smoother.shape[0]
    start = 0
    while start < x.size:
        if x[start] - x[start] != 0.0:
            start += 1
            continue
        stop = start + 1
        while stop < x.size and x[stop] - x[stop] == 0.0:
            stop += 1
        if stop - start >= width:
            smooth_run(x[start:stop], smoother, width // 2, out[start:stop])
        start = stop


KERNELS = (
    Kernel(
        name="prepare_series",
        arguments={
            "series": DAYS,
            "exclude_frozen": pa.bool_(),
            "mean_half_width": pa.int32(),
            "composite_days": pa.int32(),
            "is_held": pa.bool_(),
            "max_gap": pa.int32(),
            "half_width": pa.int32(),
            "order": pa.int32(),
        },
        returns=PREPARED_DAYS,
        function=prepare_series,
        summary="A daily series made ready in one pass: frost out, centred mean, composites to days, gaps filled, smoothed.",
        meaning=(
            "In this order, a setting of 0 leaving its step out: frozen days lose their value (`exclude_frozen`); the mean of the values within "
            "`mean_half_width` days; composites held for `composite_days` days (`is_held`) or joined by lines where they are at most twice that "
            "apart; missing days on the line between neighbours that both lie within `max_gap` days (as fill_gaps); the Savitzky-Golay filter (as "
            "savitzky_golay). `is_filled`: the day has no value of its own. Sorted by t, which counts days."
        ),
        nulls=(
            "NULL series or setting: NULL. Members that are NULL or have a NULL t do not count; v that is NULL, NaN or infinite is no value, but the "
            "day's is_frozen counts. A setting below 0, an order above 2 x half_width and a series over more than 400,000 days are errors."
        ),
        minimum="1 value; none: NULL.",
        citation=(
            "Savitzky, A., Golay, M. J. E. (1964), Smoothing and differentiation of data by simplified least squares procedures, Anal. Chem. 36, "
            "1627-1639; linear interpolation between neighbours."
        ),
        example=(
            "select day.t, day.v, day.is_filled from (\n"
            "    select unnest(prepare_series(list({'t': t::integer, 'v': v, 'is_frozen': false}), true, 0, 0, false, 15, 2, 1)) as day\n"
            "    from (values (1, 0.21::double), (2, 0.25), (4, 0.20), (5, 0.27), (6, 0.22)) as x(t, v))"
        ),
    ),
)
