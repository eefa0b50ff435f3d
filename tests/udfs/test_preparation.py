"""Gap filling against pandas, smoothing against scipy."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import savgol_filter

from tests.udfs.series_arrays import from_columns, series_array
from udfs.preparation import fill_gaps, savitzky_golay


def filled(t, v, max_gap):
    row = fill_gaps(from_columns(t, v), pa.array([max_gap], pa.int32()))[0].as_py()
    return None if row is None else [(m["t"], m["v"], m["is_filled"]) for m in row]


def smoothed(t, v, half_width, order):
    row = savitzky_golay(from_columns(t, v), pa.array([half_width], pa.int32()), pa.array([order], pa.int32()))[
        0
    ].as_py()
    return None if row is None else ([m["t"] for m in row], np.array([m["v"] for m in row]))


def plain_fill(t, v, max_gap):
    """The definition, written out."""
    known = {int(step): float(value) for step, value in zip(t, v, strict=True) if np.isfinite(value)}
    if not known:
        return None
    out = []
    for step in range(min(known), max(known) + 1):
        if step in known:
            out.append((step, known[step], False))
            continue
        left = max(s for s in known if s < step)
        right = min(s for s in known if s > step)
        if step - left <= max_gap and right - step <= max_gap:
            out.append((step, known[left] + (known[right] - known[left]) * ((step - left) / (right - left)), True))
    return out


@settings(max_examples=80, deadline=None)
@given(
    st.dictionaries(st.integers(-60, 60), st.one_of(st.none(), st.floats(-1e6, 1e6)), max_size=40), st.integers(0, 30)
)
def test_fill_is_its_definition(values, max_gap):
    t = list(values)
    v = [np.nan if value is None else value for value in values.values()]
    assert filled(t, v, max_gap) == plain_fill(t, v, max_gap)


@pytest.mark.parametrize("max_gap", [0, 1, 3, 15])
def test_fill_is_pandas_line(max_gap):
    rng = np.random.default_rng(1)
    v = rng.normal(size=365)
    v[rng.random(365) < 0.4] = np.nan
    v[100:120] = np.nan
    line = pd.Series(v).interpolate(limit_area="inside").to_numpy()
    rows = filled(np.arange(365), v, max_gap)
    for t, value, is_filled in rows:
        assert value == pytest.approx(line[t], rel=1e-12)
        assert is_filled == np.isnan(v[t])
    left, right = pd.Series(v).ffill(limit=max_gap or None), pd.Series(v).bfill(limit=max_gap or None)
    near = ~np.isnan(v) if max_gap == 0 else (left.notna() & right.notna()).to_numpy()
    assert [t for t, _, _ in rows] == list(np.flatnonzero(near))


def test_fill_reaches_from_both_sides():
    """A gap of nine between 0 and 10: with a reach of 6 only steps 4, 5, 6 have both neighbours near enough."""
    assert [t for t, _, _ in filled([0, 10], [0.0, 1.0], 6)] == [0, 4, 5, 6, 10]
    assert [t for t, _, _ in filled([0, 10], [0.0, 1.0], 4)] == [0, 10]
    assert [t for t, _, _ in filled([0, 10], [0.0, 1.0], 9)] == list(range(11))


def test_fill_at_the_ends_of_the_calendar():
    low, high = -(2**31), 2**31 - 1
    assert [t for t, _, _ in filled([high, low], [1.0, 2.0], 1000)] == [low, high]
    assert [t for t, _, _ in filled([high, high - 2], [1.0, 2.0], 2**31 - 1)] == [high - 2, high - 1, high]


def test_repeated_steps_become_their_mean():
    assert filled([3, 1, 3], [2.0, 1.0, 4.0], 5) == [(1, 1.0, False), (2, 2.0, True), (3, 3.0, False)]
    assert smoothed([3, 1, 3], [2.0, 1.0, 4.0], 1, 1) == ([1, 3], pytest.approx([1.0, 3.0]))


def test_null_and_empty_series_are_null():
    rows = series_array(None, [], [(1, None)], [(5, 2.0)])
    reach = pa.array([3] * 4, pa.int32())
    assert fill_gaps(rows, reach).to_pylist() == [None, None, None, [{"t": 5, "v": 2.0, "is_filled": False}]]
    assert savitzky_golay(rows, reach, reach).to_pylist() == [None, None, None, [{"t": 5, "v": 2.0}]]
    assert fill_gaps(rows, pa.array([3, 3, 3, None], pa.int32()))[3].as_py() is None
    assert savitzky_golay(rows, reach, pa.array([3, 3, 3, None], pa.int32()))[3].as_py() is None


@pytest.mark.parametrize(("half_width", "order"), [(0, 0), (1, 1), (2, 2), (3, 2), (5, 4), (7, 5), (12, 3)])
def test_smoothing_is_scipys(half_width, order):
    rng = np.random.default_rng(2)
    width = 2 * half_width + 1
    for n in (width, width + 1, width + 7, 365):
        v = rng.normal(size=n)
        t, ours = smoothed(np.arange(100, 100 + n), v, half_width, order)
        assert t == list(range(100, 100 + n))
        np.testing.assert_allclose(ours, savgol_filter(v, width, order, mode="interp"), rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize(("half_width", "order"), [(2, 4), (5, 10), (30, 6), (40, 9)])
def test_smoothing_is_a_fitted_polynomial(half_width, order):
    """Where scipy's unscaled powers lose eight digits."""
    v = np.random.default_rng(3).normal(size=120)
    _, ours = smoothed(np.arange(120), v, half_width, order)
    for i in range(120):
        first = min(max(i - half_width, 0), 120 - 2 * half_width - 1)
        window = np.arange(first, first + 2 * half_width + 1)
        assert ours[i] == pytest.approx(np.polynomial.Legendre.fit(window, v[window], order)(i), rel=1e-11, abs=1e-12)


def test_each_unbroken_run_is_smoothed_for_itself():
    rng = np.random.default_rng(3)
    t = np.r_[0:20, 30:34, 50:70]
    v = rng.normal(size=t.size)
    order = rng.permutation(t.size)
    steps, ours = smoothed(t[order], v[order], 3, 2)
    assert steps == list(t)
    np.testing.assert_allclose(ours[:20], savgol_filter(v[:20], 7, 2), rtol=1e-10, atol=1e-12)
    assert list(ours[20:24]) == list(v[20:24])  # shorter than the window
    np.testing.assert_allclose(ours[24:], savgol_filter(v[24:], 7, 2), rtol=1e-10, atol=1e-12)


def test_a_window_longer_than_any_series_costs_nothing():
    assert smoothed([1, 2], [1.0, 2.0], 2**30, 3) == ([1, 2], pytest.approx([1.0, 2.0]))


def test_each_series_has_its_own_parameters():
    rng = np.random.default_rng(4)
    v = rng.normal(size=30)
    series = [(i, float(x)) for i, x in enumerate(v)]
    rows = savitzky_golay(
        series_array(series, series, series), pa.array([2, 5, 2], pa.int32()), pa.array([1, 4, 3], pa.int32())
    )
    for row, (half_width, order) in zip(rows.to_pylist(), [(2, 1), (5, 4), (2, 3)], strict=True):
        np.testing.assert_allclose(
            [m["v"] for m in row], savgol_filter(v, 2 * half_width + 1, order), rtol=1e-9, atol=1e-12
        )


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-3, 3), min_size=5, max_size=5), st.integers(15, 60))
def test_polynomials_pass_unchanged(coefficients, n):
    t = np.arange(n)
    v = np.polynomial.polynomial.polyval(t / n, coefficients)
    _, ours = smoothed(t, v, 5, 4)
    np.testing.assert_allclose(ours, v, atol=1e-11)


@pytest.mark.parametrize(("half_width", "order"), [(-1, 0), (2, 5), (0, 1), (2, -1)])
def test_impossible_windows_are_named(half_width, order):
    with pytest.raises(ValueError, match=f"order {order} with half_width {half_width}"):
        smoothed([1, 2], [1.0, 2.0], half_width, order)


def test_a_negative_reach_is_named():
    with pytest.raises(ValueError, match="max_gap is -2"):
        filled([1, 2], [1.0, 2.0], -2)
