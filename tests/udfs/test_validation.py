"""The kernels of validation against pytesmo and scipy, and what must hold whatever the values are."""

from __future__ import annotations

import warnings
from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tests.udfs.series_arrays import from_columns, series_array
from udfs.anomaly import climatology_anomaly, moving_anomaly
from udfs.validation import PAIRS, cdf_match, t_quantile

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from pytesmo import scaling
    from pytesmo.time_series.anomaly import calc_anomaly, calc_climatology

FIRST = (date(2014, 11, 3) - date(1970, 1, 1)).days
MISSING = (None, [])


def days(rng: np.random.Generator, n: int, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Days since 1970 with gaps, and a season with noise on them."""
    t = FIRST + np.flatnonzero(rng.random(n) < share)
    return t, 0.25 + 0.1 * np.sin(2 * np.pi * t / 365.25) + rng.normal(0, 0.03, t.size)


def as_pandas(t: np.ndarray, v: np.ndarray) -> pd.Series:
    return pd.Series(v, index=pd.to_datetime(t, unit="D"))


def int32(*values: int | None) -> pa.Array:
    return pa.array(values, pa.int32())


def one(series: pa.ListArray) -> tuple[np.ndarray, np.ndarray]:
    assert len(series) == 1 and series.null_count == 0
    members = series[0].as_py()
    return np.array([m["t"] for m in members]), np.array([m["v"] for m in members])


@pytest.mark.parametrize("window", [1, 5, 34, 35])
@pytest.mark.parametrize("share", [1.0, 0.4, 0.05])
def test_moving_anomaly_is_pytesmos(window, share):
    t, v = days(np.random.default_rng(window), 900, share)
    shuffled = np.random.default_rng(0).permutation(t.size)
    at, ours = one(moving_anomaly(from_columns(t[shuffled], v[shuffled]), int32(window), int32(1)))
    assert np.array_equal(at, t)
    theirs = calc_anomaly(as_pandas(t, v), window_size=window).to_numpy()
    assert np.allclose(ours, theirs, rtol=0, atol=1e-14)


def test_a_window_with_few_values_has_no_anomaly():
    t, v = np.array([1, 3, 5, 60, 200, 202]), np.array([1.0, 2.0, 6.0, 3.0, 5.0, 7.0])
    at, anomaly = one(moving_anomaly(from_columns(t, v), int32(35), int32(3)))
    assert at.tolist() == [1, 3, 5]
    assert anomaly == pytest.approx([-2, -1, 3])
    assert moving_anomaly(from_columns(t, v), int32(35), int32(4)).null_count == 1


@pytest.mark.parametrize(("n", "share"), [(2200, 0.9), (1500, 0.3), (800, 0.05), (200, 1.0)])
def test_climatology_anomaly_is_pytesmos(n, share):
    t, v = days(np.random.default_rng(n), n, share)
    at, ours = one(climatology_anomaly(from_columns(t, v), int32(35)))
    assert np.array_equal(at, t)
    series = as_pandas(t, v)
    theirs = calc_anomaly(series, climatology=calc_climatology(series), respect_leap_years=False).to_numpy()
    assert np.allclose(ours, theirs, rtol=0, atol=1e-13)


def test_days_of_the_year_count_every_year_as_a_leap_year():
    """The first of March of any year has one climatology: a series of nothing but that day has no anomaly but its own."""
    t = [(date(year, 3, 1) - date(1970, 1, 1)).days for year in range(1965, 1985)]
    v = np.arange(20.0)
    _, anomaly = one(climatology_anomaly(from_columns(t, v), int32(1)))
    assert anomaly == pytest.approx(v - v.mean())


@pytest.mark.parametrize(
    "kernel", [lambda s: moving_anomaly(s, int32(35), int32(1)), lambda s: climatology_anomaly(s, int32(35))]
)
def test_anomalies_of_series_without_values(kernel):
    for values in (None, [], [(3, None)], [None], [(None, 1.0)], [(4, float("nan"))]):
        assert kernel(series_array(values)).to_pylist() == [None]
    constant = kernel(from_columns(range(100), np.full(100, 0.1)))[0].as_py()
    assert {member["v"] for member in constant} == {0.0}


def test_null_arguments_and_numbers_that_count_nothing():
    series = from_columns([1, 2], [0.1, 0.2])
    assert moving_anomaly(series, int32(None), int32(1)).null_count == 1
    assert climatology_anomaly(series, int32(None)).null_count == 1
    with pytest.raises(ValueError, match="window_days is 0"):
        moving_anomaly(series, int32(0), int32(1))
    with pytest.raises(ValueError, match="min_values is -1"):
        moving_anomaly(series, int32(3), int32(-1))
    with pytest.raises(ValueError, match="min_in_bin is 0"):
        cdf_match(pairs([1.0, 2.0], [1.0, 2.0]), int32(3), int32(0))


def pairs(x, y) -> pa.ListArray:
    rows = [{"t": i, "estimate": a, "reference": b} for i, (a, b) in enumerate(zip(x, y, strict=True))]
    return pa.array([rows], PAIRS)


CASES = {
    "many": (5000, lambda rng, n: rng.normal(0.25, 0.05, n)),
    "one_bin": (15, lambda rng, n: rng.normal(0.25, 0.05, n)),
    "two_bins": (47, lambda rng, n: rng.normal(0.25, 0.05, n)),
    "some_bins": (730, lambda rng, n: rng.gamma(2, 0.05, n)),
    "ties": (900, lambda rng, n: np.round(rng.normal(0.25, 0.05, n), 2)),
    "many_at_the_floor": (900, lambda rng, n: np.maximum(rng.normal(0.05, 0.05, n), 0.02)),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("of_reference", CASES)
def test_cdf_match_is_pytesmos(case, of_reference):
    n, draw = CASES[case]
    rng = np.random.default_rng(n)
    x = draw(rng, n)
    y = 0.5 * x + CASES[of_reference][1](rng, n)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = scaling.cdf_match(x, y)
    assert np.isfinite(theirs).all()
    t, ours = one(cdf_match(pairs(x, y), int32(100), int32(20)))
    assert np.array_equal(t, np.arange(n))
    assert np.allclose(ours, theirs, rtol=1e-9, atol=1e-11)


def test_cdf_match_of_what_cannot_be_matched():
    nothing = pa.array([None, [], [{"t": 1, "estimate": 0.1, "reference": None}]], PAIRS)
    assert cdf_match(nothing, int32(100, 100, 100), int32(20, 20, 20)).to_pylist() == [None] * 3
    assert cdf_match(pairs([0.2] * 50, np.arange(50.0)), int32(100), int32(20)).null_count == 1
    assert cdf_match(pairs([0.1, 0.2], [1.0, 2.0]), int32(None), int32(20)).null_count == 1
    _, flat = one(cdf_match(pairs(np.arange(50.0), [0.2] * 50), int32(10), int32(5)))
    assert flat == pytest.approx(0.2)


def test_cdf_match_drops_what_is_missing_in_one_of_the_two():
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=200), rng.normal(size=200)
    holes = x.copy()
    holes[::7] = np.nan
    t, found = one(cdf_match(pairs(holes, y), int32(100), int32(20)))
    kept = np.isfinite(holes)
    assert np.array_equal(t, np.flatnonzero(kept))
    _, alone = one(cdf_match(pairs(x[kept], y[kept]), int32(100), int32(20)))
    assert np.array_equal(found, alone)


@given(st.integers(3, 120), st.floats(-5, 5), st.floats(0.1, 9), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_cdf_match_does_not_ask_in_what_unit_the_estimate_is(n, offset, factor, seed):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=n), rng.normal(size=n)
    _, one_way = one(cdf_match(pairs(x, y), int32(10), int32(5)))
    _, other = one(cdf_match(pairs(offset + factor * x, y), int32(10), int32(5)))
    assert np.allclose(one_way, other, rtol=1e-7, atol=1e-7)


def test_t_quantile_is_scipys():
    p, df = np.meshgrid([0.005, 0.025, 0.3, 0.5, 0.975, 0.9999], [0.5, 1, 2.7, 18, 1e4])
    ours = t_quantile(pa.array(p.ravel()), pa.array(df.ravel())).to_numpy()
    assert np.allclose(ours, stats.t.ppf(p.ravel(), df.ravel()), rtol=1e-10, atol=1e-12)
    undefined = t_quantile(pa.array([0.0, 1.0, 0.5, None, 0.5]), pa.array([3.0, 3.0, 0.0, 3.0, None]))
    assert undefined.to_pylist() == [None] * 5
