"""Anomalies of daily series: what is left of a day when the course of the year, or of the weeks around it, is taken off.

Both follow pytesmo (`pytesmo.time_series.anomaly`), which the field's validation reports are computed with.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from udfs.compiled import compiled
from udfs.kernel import Kernel
from udfs.series import from_arrow, one_value_a_step, to_arrow
from udfs.types import SERIES

DAYS_OF_YEAR = 366
"""Every year is counted as a leap year: the first of March is day 61 of all of them, so that a day of the year is a day of the calendar."""

SMOOTHED_BEFORE = 5
"""Days of the moving mean over the series before its climatology is taken (pytesmo's moving_avg_orig)."""


def moving_anomaly(series: pa.ListArray, window_days: pa.Array, min_values: pa.Array) -> pa.ListArray:
    """Each value less the mean of the values within window_days / 2 of it; arrays of type SERIES in and out, t in days.

    window_days, min_values: int32, one a series. A value with fewer than `min_values` values in its window, itself among
    them, has no anomaly and is left out. Unit of v. Sorted by t; several values at one t become their mean first. NULL
    series, series without an anomaly, NULL in another argument: NULL. ValueError: window_days or min_values below 1.
    pytesmo.time_series.anomaly.calc_anomaly with `window_size`.
    """
    data = one_value_a_step(from_arrow(series))
    window, is_null = _at_least_one("moving_anomaly", "window_days", window_days, data.is_null)
    fewest, is_null = _at_least_one("moving_anomaly", "min_values", min_values, is_null)
    offsets, t, v = _moving_anomaly(data.offsets, data.t, data.v, window, fewest)
    return _series(offsets, t, v, is_null)


def climatology_anomaly(series: pa.ListArray, window_days: pa.Array) -> pa.ListArray:
    """Each value less the climatology of its day of the year; arrays of type SERIES in and out.

    t: days since 1970-01-01. The climatology: a moving mean over 5 days of the series, its mean on each of 366 days of the
    year, a moving mean over window_days (int32, one a series) of these, round the end of the year; days without a value
    are filled by that. Unit of v. Sorted by t; several values at one t become their mean first. NULL series, series
    without a value, NULL window_days: NULL. ValueError: window_days below 1. pytesmo.time_series.anomaly.calc_climatology
    and calc_anomaly, neither respecting leap years.
    """
    data = one_value_a_step(from_arrow(series))
    window, is_null = _at_least_one("climatology_anomaly", "window_days", window_days, data.is_null)
    day_of_year = _day_of_year(data.t)
    v = _climatology_anomaly(data.offsets, data.t, data.v, day_of_year, window)
    return _series(data.offsets, data.t, v, is_null)


def _series(offsets: np.ndarray, t: np.ndarray, v: np.ndarray, is_null: np.ndarray) -> pa.ListArray:
    members = pa.StructArray.from_arrays([pa.array(t), pa.array(v)], fields=list(SERIES.value_type))
    return to_arrow(offsets, members, is_null | (np.diff(offsets) == 0))


def _at_least_one(kernel: str, name: str, column: pa.Array, is_null: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One int32 a row (1 where NULL), and where the result must be NULL."""
    if column.null_count:
        is_null = is_null | column.is_null().to_numpy(zero_copy_only=False)
        column = column.fill_null(1)
    values = column.to_numpy()
    if values.size and values.min() < 1:
        raise ValueError(f"{kernel}: {name} is {values.min()}; it counts and cannot be below 1")
    return values, is_null


def _day_of_year(t: np.ndarray) -> np.ndarray:
    """0 to 365 of days since 1970-01-01, as if every year were a leap year."""
    days = t.astype("datetime64[D]")
    months = days.astype("datetime64[M]")
    of_month = (days - months.astype("datetime64[D]")).astype(np.int64)
    first = np.array([0, 31, 60, 91, 121, 152, 182, 213, 244, 274, 305, 335])
    return first[months.astype(np.int64) % 12] + of_month


@compiled
def _moving_anomaly(offsets, t, v, window, fewest):
    out_offsets = np.zeros_like(offsets)
    out_t, out_v = np.empty_like(t), np.empty_like(v)
    end = 0
    for row in range(offsets.size - 1):
        first = last = offsets[row]
        for i in range(offsets[row], offsets[row + 1]):
            while 2 * (np.int64(t[i]) - np.int64(t[first])) > window[row]:
                first += 1
            while last < offsets[row + 1] and 2 * (np.int64(t[last]) - np.int64(t[i])) <= window[row]:
                last += 1
            if last - first < fewest[row]:
                continue
            # Differences are summed, not values: equal values must have an anomaly of exactly 0.
            total = 0.0
            for k in range(first, last):
                total += v[i] - v[k]
            out_t[end] = t[i]
            out_v[end] = total / (last - first)
            end += 1
        out_offsets[row + 1] = end
    return out_offsets, out_t[:end], out_v[:end]


@compiled
def _climatology_anomaly(offsets, t, v, day_of_year, window):
    out = np.empty_like(v)
    total, count = np.empty(DAYS_OF_YEAR), np.empty(DAYS_OF_YEAR, np.int64)
    for row in range(offsets.size - 1):
        total[:] = 0.0
        count[:] = 0
        first = last = offsets[row]
        # The anomaly does not change when a constant is taken off, and rounding is least near 0.
        base = v[first] if first < offsets[row + 1] else 0.0
        for i in range(offsets[row], offsets[row + 1]):
            while 2 * (np.int64(t[i]) - np.int64(t[first])) > SMOOTHED_BEFORE:
                first += 1
            while last < offsets[row + 1] and 2 * (np.int64(t[last]) - np.int64(t[i])) <= SMOOTHED_BEFORE:
                last += 1
            smooth = 0.0
            for k in range(first, last):
                smooth += v[k] - base
            total[day_of_year[i]] += smooth / (last - first)
            count[day_of_year[i]] += 1
        reach = np.int64(window[row] // 2)
        for i in range(offsets[row], offsets[row + 1]):
            mean, n = 0.0, 0
            for step in range(-reach, reach + 1):
                day = (day_of_year[i] + step) % DAYS_OF_YEAR
                if count[day] > 0:
                    mean += total[day] / count[day]
                    n += 1
            out[i] = v[i] - base - mean / n
    return out


KERNELS = (
    Kernel(
        name="moving_anomaly",
        arguments={"series": SERIES, "window_days": pa.int32(), "min_values": pa.int32()},
        returns=SERIES,
        function=moving_anomaly,
        summary="Each value less the mean of the values in a moving window around it.",
        meaning=(
            "t counts days. From each v the mean of the values at most window_days / 2 days away is taken, so that 35 reaches 17 days "
            "to both sides. A value with fewer than `min_values` in its window, itself among them, is left out. Sorted by t. Several values "
            "at one t become their mean first."
        ),
        nulls="NULL series or another argument NULL: NULL. Members that are NULL or have a NULL t, and v that are NULL, NaN or infinite are missing days. A window or number below 1 is an error.",
        minimum="`min_values` values in one window; else NULL.",
        citation="pytesmo.time_series.anomaly.calc_anomaly; Gruber, A. et al. (2020), Remote Sens. Environ. 244, 111806.",
        example=(
            "select unnest(moving_anomaly(list({'t': t, 'v': v}), 35, 1), recursive := true)\n"
            "from (values (1, 0.21::double), (2, 0.22), (9, 0.20), (20, 0.25), (40, 0.27)) as x(t, v)"
        ),
    ),
    Kernel(
        name="climatology_anomaly",
        arguments={"series": SERIES, "window_days": pa.int32()},
        returns=SERIES,
        function=climatology_anomaly,
        summary="Each value less the climatology of its day of the year.",
        meaning=(
            "t counts days since 1970-01-01. The climatology is the series under a moving mean of 5 days, averaged on each of 366 days of the year "
            "(every year counted as a leap year) and smoothed by a moving mean of window_days that goes round the end of the year and fills days "
            "without a value. Sorted by t. Several values at one t become their mean first."
        ),
        nulls="NULL series or NULL window_days: NULL. Members that are NULL or have a NULL t, and v that are NULL, NaN or infinite are missing days. A window below 1 is an error.",
        minimum="One value, whose anomaly is 0; ask for several years in the query.",
        citation="pytesmo.time_series.anomaly.calc_climatology; Gruber, A. et al. (2020), Remote Sens. Environ. 244, 111806.",
        example=(
            "select unnest(climatology_anomaly(list({'t': t, 'v': v}), 35), recursive := true)\n"
            "from (values (17532, 0.21::double), (17897, 0.23), (17898, 0.20), (18262, 0.25)) as x(t, v)"
        ),
    ),
)
