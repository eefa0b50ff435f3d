"""Preparation of daily series: gaps filled along a line, noise smoothed by local polynomials."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from udfs.compiled import compiled
from udfs.kernel import Kernel
from udfs.series import from_arrow, one_value_a_step, to_arrow
from udfs.types import SERIES

LONGEST_BATCH = np.iinfo(np.int32).max
"""What the offsets of an Arrow list can count."""

FILLED_SERIES = pa.list_(pa.struct([("t", pa.int32()), ("v", pa.float64()), ("is_filled", pa.bool_())]))


def fill_gaps(series: pa.ListArray, max_gap: pa.Array) -> pa.ListArray:
    """Each series (array of type SERIES) on every integer t it can be given at; an array of type FILLED_SERIES.

    A missing t between the first and the last value is filled on the line between its neighbours when both lie within
    `max_gap` steps of it (int32, one a series); what is farther from either is left out. Sorted by t. Several values at
    one t become their mean. NULL series, series without a value, NULL max_gap: NULL. ValueError: max_gap below 0.
    """
    data = from_arrow(series)
    reach, is_null = _parameter(max_gap, data.is_null)
    if reach.size and reach.min() < 0:
        raise ValueError(f"fill_gaps: max_gap is {reach.min()}; it counts steps of t and cannot be below 0")
    data = one_value_a_step(data)
    is_null = is_null | (np.diff(data.offsets) == 0)
    offsets, t, v, is_filled = _fill_gaps(data.offsets, data.t, data.v, reach)
    members = pa.StructArray.from_arrays(
        [pa.array(t), pa.array(v), pa.array(is_filled)], fields=list(FILLED_SERIES.value_type)
    )
    return to_arrow(offsets, members, is_null)


def savitzky_golay(series: pa.ListArray, half_width: pa.Array, order: pa.Array) -> pa.ListArray:
    """Each series smoothed by the filter of Savitzky and Golay (1964); arrays of type SERIES in and out.

    v becomes the value at its t of the polynomial of degree `order` fitted to the 2 half_width + 1 values around it;
    the first and the last half_width values of a run are read off the polynomial of its first and its last window
    (scipy.signal.savgol_filter, mode 'interp'). The filter needs even steps: it is applied to each unbroken run of
    consecutive t, and a run shorter than the window is returned as it is. Sorted by t. Several values at one t become
    their mean. NULL series, series without a value, NULL half_width or order: NULL.
    ValueError: half_width below 0, or order outside 0 .. 2 half_width.
    """
    data = from_arrow(series)
    half, is_null = _parameter(half_width, data.is_null)
    degree, is_null = _parameter(order, is_null)
    data = one_value_a_step(data)
    is_null = is_null | (np.diff(data.offsets) == 0)
    smooth = data.v.copy()
    for h, d in np.unique(np.column_stack([half, degree]), axis=0).tolist():
        if h < 0 or not 0 <= d <= 2 * h:
            raise ValueError(
                f"savitzky_golay: order {d} with half_width {h}; order goes from 0 to 2 half_width, "
                "the window holds 2 half_width + 1 values"
            )
        rows = np.flatnonzero((half == h) & (degree == d) & (np.diff(data.offsets) > 2 * h))
        if rows.size:
            _smooth(rows, data.offsets, data.t, data.v, projection(h, d), smooth)
    members = pa.StructArray.from_arrays([pa.array(data.t), pa.array(smooth)], fields=list(SERIES.value_type))
    return to_arrow(data.offsets, members, is_null)


def _parameter(column: pa.Array, is_null: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One int32 a row (0 where NULL), and where the result must be NULL."""
    if column.null_count:
        is_null = is_null | column.is_null().to_numpy(zero_copy_only=False)
        column = column.fill_null(0)
    return column.to_numpy(), is_null


def projection(half_width: int, order: int) -> np.ndarray:
    """The (2h + 1, 2h + 1) matrix that takes a window to its fitted polynomial; row h is the filter itself."""
    position = np.arange(-half_width, half_width + 1) / max(half_width, 1)  # scaled: the powers stay near 1
    basis, _ = np.linalg.qr(np.vander(position, order + 1))
    return basis @ basis.T


@compiled
def _fill_gaps(offsets, t, v, max_gap):
    rows = offsets.size - 1
    out_offsets = np.zeros(rows + 1, np.int32)
    size = np.int64(0)
    for row in range(rows):
        steps = t[offsets[row] : offsets[row + 1]]
        size += steps.size + _count_fillable(steps[1:], steps[:-1], np.int64(max_gap[row]))
        if size > LONGEST_BATCH:
            raise ValueError("fill_gaps: the filled series of one batch hold more than 2^31 values; lower max_gap")
        out_offsets[row + 1] = size
    out_t = np.empty(size, np.int32)
    out_v = np.empty(size, np.float64)
    is_filled = np.zeros(size, np.bool_)
    for row in range(rows):
        part = slice(out_offsets[row], out_offsets[row + 1])
        _fill_one(
            t[offsets[row] : offsets[row + 1]],
            v[offsets[row] : offsets[row + 1]],
            np.int64(max_gap[row]),
            out_t[part],
            out_v[part],
            is_filled[part],
        )
    return out_offsets, out_t, out_v, is_filled


@compiled
def _count_fillable(later, earlier, reach):
    count = np.int64(0)
    for i in range(later.size):
        gap = np.int64(later[i]) - np.int64(earlier[i])
        # Of the gap - 1 missing steps those within reach of both ends: max(1, gap - reach) .. min(gap - 1, reach).
        count += max(min(gap - 1, reach) - max(np.int64(1), gap - reach) + 1, np.int64(0))
    return count


@compiled
def _fill_one(t, v, reach, out_t, out_v, is_filled):
    k = np.uint64(0)
    one = np.uint64(1)  # unsigned: an index that cannot be negative needs no check for counting from the end
    before, left = np.int64(0), 0.0
    for j in range(t.size):
        now, right = np.int64(t[j]), v[j]
        gap = now - before
        if j > 0 and gap > 1:
            for step in range(max(np.int64(1), gap - reach), min(gap - 1, reach) + 1):
                out_t[k] = before + step
                out_v[k] = left + (right - left) * (step / gap)
                is_filled[k] = True
                k += one
        out_t[k] = now
        out_v[k] = right
        k += one
        before, left = now, right


@compiled
def _smooth(rows, offsets, t, v, projection, out):
    width = projection.shape[0]
    half = width // 2
    for row in rows:
        start = offsets[row]
        while start < offsets[row + 1]:
            stop = start + 1
            while stop < offsets[row + 1] and t[stop] == t[stop - 1] + 1:
                stop += 1
            if stop - start >= width:
                smooth_run(v[start:stop], projection, half, out[start:stop])
            start = stop


@compiled
def smooth_run(x, projection, half, out):
    width = 2 * half + 1
    n = x.size
    # Tap by tap over the whole run: each pass is a stream the processor can vectorise.
    inner = out[half : n - half]
    inner[:] = projection[half, half] * x[half : n - half]
    for k in range(half):
        weight = projection[half, k]
        left = x[k : n - 2 * half + k]
        right = x[2 * half - k : n - k]
        for i in range(inner.size):
            inner[i] += weight * (left[i] + right[i])
    for k in range(half):
        head = 0.0
        tail = 0.0
        for m in range(width):
            head += projection[k, m] * x[m]
            tail += projection[half + 1 + k, m] * x[n - width + m]
        out[k] = head
        out[n - half + k] = tail


KERNELS = (
    Kernel(
        name="fill_gaps",
        arguments={"series": SERIES, "max_gap": pa.int32()},
        returns=FILLED_SERIES,
        function=fill_gaps,
        summary="Linear gap filling with a valid value near on each side.",
        meaning=(
            "Every integer t between the first and the last value, sorted. A missing t is filled on the line between its "
            "neighbours when both lie within `max_gap` steps of it (`is_filled` true); a t farther from either stays out "
            "of the list, and nothing is filled before the first or after the last value. "
            "Several values at one t become their mean."
        ),
        nulls=(
            "NULL series or max_gap: NULL. Members that are NULL or have a NULL t, and v that are NULL, NaN or infinite "
            "are gaps. A negative max_gap is an error."
        ),
        minimum="1 value; none: NULL.",
        citation="Linear interpolation between neighbours.",
        example=(
            "select unnest(fill_gaps(list({'t': t::integer, 'v': v}), 15), recursive := true)\n"
            "from (values (1, 0.21::double), (2, NULL), (3, 0.23), (40, 0.25)) as x(t, v)"
        ),
    ),
    Kernel(
        name="savitzky_golay",
        arguments={"series": SERIES, "half_width": pa.int32(), "order": pa.int32()},
        returns=SERIES,
        function=savitzky_golay,
        summary="The Savitzky-Golay filter: a local polynomial of degree `order` over 2 x half_width + 1 values.",
        meaning=(
            "Sorted by t. Applied to each unbroken run of consecutive t; the ends of a run are read off the polynomial of "
            "its first and last window (scipy.signal.savgol_filter, mode 'interp'); a run shorter than the window is "
            "returned as it is. Several values at one t become their mean. "
            "After `fill_gaps`, drop its `is_filled`: by a cast on DuckDB, as in the example, on Spark by "
            "`transform(filled, x -> named_struct('t', x.t, 'v', x.v))`."
        ),
        nulls=(
            "NULL series, half_width or order: NULL. Members that are NULL or have a NULL t, and v that are NULL, NaN or "
            "infinite break a run. An order above 2 x half_width is an error."
        ),
        minimum="1 value; none: NULL.",
        citation=(
            "Savitzky, A., Golay, M. J. E. (1964), Smoothing and differentiation of data by simplified least squares "
            "procedures, Anal. Chem. 36, 1627-1639."
        ),
        example=(
            "select unnest(savitzky_golay(\n"
            "  fill_gaps(list({'t': t::integer, 'v': v}), 15)::STRUCT(t INTEGER, v DOUBLE)[], 2, 1), recursive := true)\n"
            "from (values (1, 0.21::double), (2, 0.25), (4, 0.20), (5, 0.27), (6, 0.22)) as x(t, v)"
        ),
    ),
)
