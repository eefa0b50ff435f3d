"""Series as numpy arrays: Arrow lists of (t, v) made clean, sorted and contiguous, and made Arrow again."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from udfs.compiled import compiled
from udfs.order_statistics import sort_by_comparing

FEW = 24
"""Lists up to this length are sorted by comparing: that is done before counting is set up."""


class Series(NamedTuple):
    """Series i is `t[offsets[i]:offsets[i + 1]]` and `v[...]`: int32 steps in ascending order, finite float64 values.

    `is_null[i]` tells a NULL list from one without values. Values at the same t stand in ascending order, so that the
    order of the list never shows in a result; `has_repeats` tells whether any series has such values.
    """

    offsets: np.ndarray
    t: np.ndarray
    v: np.ndarray
    is_null: np.ndarray
    has_repeats: bool


def from_arrow(series: pa.ListArray) -> Series:
    """Read an array of type SERIES. NULL members, NULL t, and NULL, NaN or infinite v are dropped."""
    offsets = series.offsets.to_numpy()
    members = series.values.slice(offsets[0], offsets[-1] - offsets[0])
    t, v = members.field(0), members.field(1)
    values = v.to_numpy(zero_copy_only=False)  # NULL becomes NaN
    for hidden in (members, t):
        if hidden.null_count:
            values = np.where(hidden.is_null().to_numpy(zero_copy_only=False), np.nan, values)
    values.setflags(write=False)  # as Arrow's own memory is: one compiled form serves both
    steps = (t.fill_null(0) if t.null_count else t).to_numpy()
    is_null = series.is_null().to_numpy(zero_copy_only=False)
    offsets, steps, values, has_repeats = _clean(offsets, steps, values, is_null)
    return Series(offsets, steps, values, is_null, has_repeats)


def to_arrow(offsets: np.ndarray, members: pa.StructArray, is_null: np.ndarray) -> pa.ListArray:
    """A list of structs for each row, NULL where `is_null`."""
    mask = pa.array(is_null) if is_null.any() else None
    return pa.ListArray.from_arrays(pa.array(offsets), members, type=pa.list_(members.type), mask=mask)


def one_value_a_step(data: Series) -> Series:
    """Series in which several values at one t have become their mean."""
    if not data.has_repeats:
        return data
    return Series(*_average_repeats(data.offsets, data.t, data.v), data.is_null, has_repeats=False)


@compiled
def _clean(offsets, t, v, is_null):
    first = offsets[0]
    out_offsets = np.zeros(offsets.size, np.int32)
    out_t = np.empty(t.size, np.int32)
    out_v = np.empty(v.size, np.float64)
    slots = np.empty(0, np.int32)
    has_repeats = False
    end = 0
    for row in range(offsets.size - 1):
        start = end
        if not is_null[row]:
            steps = t[offsets[row] - first : offsets[row + 1] - first]
            values = v[offsets[row] - first : offsets[row + 1] - first]
            end = _keep_finite(steps, values, out_t[start:], out_v[start:]) + start
            steps, values = out_t[start:end], out_v[start:end]
            if _count_not_rising(steps[1:], steps[:-1]) > 0:
                low, high = np.int64(steps.min()), np.int64(steps.max())
                if steps.size > FEW and high - low < 8 * steps.size:
                    if slots.size < high - low + 2:
                        slots = np.empty(2 * (high - low + 2), np.int32)
                    _sort_by_counting(steps, values, low, slots[: high - low + 2])
                else:
                    _sort_by_comparing(steps, values)
                has_repeats |= _count_not_rising(steps[1:], steps[:-1]) > 0
        out_offsets[row + 1] = end
    return out_offsets, out_t[:end], out_v[:end], has_repeats


@compiled
def _average_repeats(offsets, t, v):
    out_offsets = np.zeros_like(offsets)
    out_t = np.empty_like(t)
    out_v = np.empty_like(v)
    end = 0
    for row in range(offsets.size - 1):
        j = offsets[row]
        while j < offsets[row + 1]:
            k = j
            total = 0.0
            while k < offsets[row + 1] and t[k] == t[j]:
                total += v[k]
                k += 1
            out_t[end] = t[j]
            out_v[end] = total / (k - j)
            end += 1
            j = k
        out_offsets[row + 1] = end
    return out_offsets, out_t[:end], out_v[:end]


@compiled
def _keep_finite(t, v, out_t, out_v):
    if _count_not_finite(v) == 0:
        out_t[: t.size] = t
        out_v[: v.size] = v
        return t.size
    end = 0
    for i in range(v.size):  # without a branch: missing values come at random
        out_t[end] = t[i]
        out_v[end] = v[i]
        end += np.int64(v[i] - v[i] == 0.0)
    return end


@compiled
def _count_not_finite(v):
    count = np.int64(0)
    for i in range(v.size):
        count += np.int64(v[i] - v[i] != 0.0)
    return count


@compiled
def _count_not_rising(later, earlier):
    count = np.int32(0)
    for i in range(later.size):
        count += np.int32(later[i] <= earlier[i])
    return count


@compiled
def _sort_by_comparing(t, v):
    """Shell's method: by t, then v."""
    gap = 1
    while gap < t.size // 2:
        gap = gap * 9 // 4 + 1
    while gap > 0:
        for i in range(gap, t.size):
            step, value = t[i], v[i]
            j = i - gap
            while j >= 0 and (t[j] > step or (t[j] == step and v[j] > value)):
                t[j + gap] = t[j]
                v[j + gap] = v[j]
                j -= gap
            t[j + gap] = step
            v[j + gap] = value
        gap = gap * 4 // 9


@compiled
def _sort_by_counting(t, v, low, slots):
    slots[:] = 0
    for step in t:
        slots[step - low + 1] += 1
    for k in range(1, slots.size):
        slots[k] += slots[k - 1]
    steps, values = t.copy(), v.copy()
    for j in range(steps.size):
        k = slots[steps[j] - low]
        slots[steps[j] - low] = k + 1
        t[k] = steps[j]
        v[k] = values[j]
    _sort_within_steps(t, v)


@compiled
def _sort_within_steps(t, v):
    i = 0
    while i < t.size:
        j = i + 1
        while j < t.size and t[j] == t[i]:
            j += 1
        if j - i > 1:
            sort_by_comparing(v[i:j], j - i)
        i = j
