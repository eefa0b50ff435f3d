"""Seasonal Kendall, Hamed-Rao and trend-free pre-whitening against pymannkendall and plain computations, and their invariances."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pymannkendall
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tests.udfs.series_arrays import from_columns, series_array
from udfs.trend import mann_kendall, theil_sen
from udfs.trend_variants import hamed_rao, seasonal_kendall, trend_free_prewhitening

LENGTHS = [4, 5, 7, 10, 21, 24, 37, 40, 41, 60, 120, 252]
PERIODS = [1, 2, 4, 12]
KINDS = ["plain", "gaps", "ties", "trend", "season", "autoregressive", "falling", "offset"]
ALONE = (hamed_rao, trend_free_prewhitening)


def make_values(kind: str, n: int, rng: np.random.Generator) -> np.ndarray:
    """Values at t = 0 ... n - 1, NaN where there is a gap."""
    v = rng.normal(size=n)
    if kind == "gaps":
        v[rng.random(n) < 0.25] = np.nan
        v[[0, n // 2, n - 1]] = 0.1, 0.2, 0.15
    elif kind == "ties":
        v = np.round(v)
    elif kind == "trend":
        v = 0.05 * np.arange(n) + v
    elif kind == "season":
        v = 5 * np.sin(2 * np.pi * np.arange(n) / 12) + v
    elif kind in ("autoregressive", "falling"):
        for i in range(1, n):
            v[i] += 0.7 * v[i - 1]
        v -= 0.1 * np.arange(n) * (kind == "falling")
    elif kind == "offset":
        v = 290 + 0.01 * v
    return v


def one(kernel, v, t=None, **arguments):
    t = np.arange(len(v)) if t is None else t
    series = from_columns(t, v)
    return kernel(series, *(pa.array([value], pa.int32()) for value in arguments.values()))[0].as_py()


def two_sided(z: float) -> float:
    return 2 * stats.norm.sf(abs(z))


def assert_test(ours: dict, theirs, what: object) -> None:
    """S exactly, the rest to 1e-10. The peer's p is 1 - cdf, without digits where it is small."""
    assert ours["s"] == theirs.s, what
    assert ours["var_s"] == pytest.approx(theirs.var_s, rel=1e-10, abs=1e-12), what
    assert ours["slope"] == pytest.approx(theirs.slope, rel=1e-10, abs=1e-15), what
    if math.isnan(theirs.z):
        assert (ours["z"], ours["p"]) == (None, None), what
        return
    assert ours["z"] == pytest.approx(theirs.z, rel=1e-10, abs=1e-14), what
    assert ours["p"] == pytest.approx(theirs.p, rel=1e-10, abs=1e-15), what
    assert ours["p"] == pytest.approx(two_sided(ours["z"]), rel=1e-10), what
    if "tau" in ours:
        assert ours["tau"] == pytest.approx(theirs.Tau, rel=1e-10, abs=1e-15), what


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_pymannkendall_agrees(kind):
    rng = np.random.default_rng(11)
    for n in LENGTHS:
        v = make_values(kind, n, rng)
        if np.isfinite(v).sum() > 4:
            assert_test(one(hamed_rao, v), pymannkendall.hamed_rao_modification_test(v), (n, "hamed_rao"))
            assert_test(
                one(trend_free_prewhitening, v),
                pymannkendall.trend_free_pre_whitening_modification_test(v),
                (n, "trend_free_prewhitening"),
            )
        for period in PERIODS:
            ours = one(seasonal_kendall, v, period=period)
            if ours is None:
                assert np.isnan(pymannkendall.seasonal_sens_slope(v, period).slope)
                continue
            assert ours["n"] == np.isfinite(v).sum()
            assert_test(ours, pymannkendall.seasonal_test(v, period), (n, period))


def written_out_seasonal(t: np.ndarray, v: np.ndarray, period: int) -> tuple[int, float, float]:
    """S, var(S) and the median slope from every pair, by scipy's variance of each season; t need not be distinct."""
    s, variance, slopes = 0, 0.0, []
    for season in np.unique(t % period):
        at, x = t[t % period == season], v[t % period == season]
        i, j = np.triu_indices(x.size, 1)
        s += int(np.sum(np.sign(x[j] - x[i]) * np.sign(at[j] - at[i])))
        apart = at[i] != at[j]
        slopes += list((x[j] - x[i])[apart] / ((at[j] - at[i])[apart] / period))
        if x.size > 2 and np.ptp(x) > 0 and np.ptp(at) > 0:
            # scipy's p has no continuity correction: its z is S over the standard deviation.
            own = int(np.sum(np.sign(x[j] - x[i]) * np.sign(at[j] - at[i])))
            p = stats.kendalltau(at, x, method="asymptotic").pvalue
            variance += (own / stats.norm.isf(p / 2)) ** 2 if own else np.nan
        elif x.size == 2 and np.ptp(x) > 0 and np.ptp(at) > 0:
            variance += 1.0
    return s, variance, float(np.median(slopes))


def test_seasonal_kendall_from_every_pair():
    """With gaps, values at one t, ties, negative t, and t in any order."""
    rng = np.random.default_rng(12)
    compared = 0
    for n in (8, 30, 90, 200):
        for period in (2, 3, 12, 5000):
            t = rng.integers(-3 * n, 3 * n, n)
            v = np.round(rng.normal(size=n) + 0.01 * t, 1)
            ours = one(seasonal_kendall, v, t, period=period)
            apart = [np.ptp(t[t % period == season]) for season in np.unique(t % period)]
            if max(apart) == 0:
                assert ours is None
                continue
            s, variance, slope = written_out_seasonal(t, v, period)
            assert ours["s"] == s
            assert ours["slope"] == pytest.approx(slope, rel=1e-12)
            if np.isfinite(variance):
                compared += 1
                assert ours["var_s"] == pytest.approx(variance, rel=1e-6)
    assert compared > 3


def test_a_long_period_is_sorted_into_the_same_seasons():
    """Periods above what is counted are sorted: the same values 10,000 steps apart as 4 apart."""
    rng = np.random.default_rng(13)
    v = rng.normal(size=40)
    season, cycle = np.arange(40) % 4, np.arange(40) // 4
    short = one(seasonal_kendall, v, 4 * cycle + season, period=4)
    assert one(seasonal_kendall, v, 10_000 * cycle + 17 * season, period=10_000) == short


def written_out_hamed_rao(v: np.ndarray) -> float:
    """n / n* with scipy's ranks and numpy's correlation of whole arrays."""
    n = v.size
    slope = stats.theilslopes(v).slope
    ranks = stats.rankdata(v - slope * np.arange(n))
    centred = ranks - ranks.mean()
    rho = np.array([np.sum(centred[: n - i] * centred[i:]) for i in range(n)]) / np.sum(centred**2)
    i = np.arange(1, n)
    significant = np.abs(rho[1:]) > stats.norm.ppf(0.975) / np.sqrt(n)
    return 1 + 2 / (n * (n - 1) * (n - 2)) * np.sum(((n - i) * (n - i - 1) * (n - i - 2) * rho[1:])[significant])


@pytest.mark.parametrize("kind", ["plain", "trend", "autoregressive", "falling"])
def test_hamed_rao_written_out(kind):
    rng = np.random.default_rng(14)
    changed = 0
    for n in (10, 25, 60, 200):
        v = make_values(kind, n, rng)
        ours, original = one(hamed_rao, v), one(mann_kendall, v)
        assert (ours["s"], ours["slope"], ours["n"]) == (original["s"], one(theil_sen, v)["slope"], n)
        assert ours["tau"] == original["tau_a"]
        factor = written_out_hamed_rao(v)
        changed += abs(factor - 1) > 0.01
        assert ours["var_s"] == pytest.approx(original["var_s"] * factor, rel=1e-10)
    assert changed > 0


@pytest.mark.parametrize("kind", ["plain", "trend", "autoregressive", "falling"])
def test_trend_free_prewhitening_written_out(kind):
    rng = np.random.default_rng(15)
    for n in (10, 25, 60, 200):
        v = make_values(kind, n, rng)
        slope = stats.theilslopes(v).slope
        level = v - slope * np.arange(n)
        centred = level - level.mean()
        r = np.sum(centred[1:] * centred[:-1]) / np.sum(centred**2)
        white = level[1:] - r * level[:-1] + slope * np.arange(1, n)
        expected, ours = one(mann_kendall, white), one(trend_free_prewhitening, v)
        assert {k: ours[k] for k in ("s", "var_s", "z", "p")} == {k: expected[k] for k in ("s", "var_s", "z", "p")}
        assert (ours["n"], ours["tau"], ours["slope"]) == (n, expected["tau_a"], one(theil_sen, v)["slope"])


def test_a_variance_that_comes_out_negative_gives_no_p():
    """Twenty values that swing to and fro: every significant autocorrelation at odd lags is negative."""
    found = 0
    for seed in range(200):
        v = np.tile([0.0, 1.0], 12) + 0.3 * np.random.default_rng(seed).normal(size=24)
        ours = one(hamed_rao, v)
        if ours["var_s"] <= 0 and ours["s"] != 0:
            found += 1
            assert (ours["z"], ours["p"]) == (None, None)
        else:
            assert 0 <= ours["p"] <= 1
    assert found > 0


@pytest.mark.parametrize("kernel", ALONE)
def test_constant_series_and_straight_lines(kernel):
    """What rounding leaves of a line is no autocorrelation: the peer divides noise by noise there."""
    constant = one(kernel, [0.25] * 12)
    assert (constant["s"], constant["z"], constant["p"], constant["tau"], constant["slope"]) == (0, 0.0, 1.0, 0.0, 0.0)
    assert constant["var_s"] == 0.0
    line = one(kernel, 0.1 + 0.1 * np.arange(30))
    n = 30 if kernel is hamed_rao else 29
    assert line["s"] == n * (n - 1) // 2
    assert line["var_s"] == n * (n - 1) * (2 * n + 5) / 18
    assert line["tau"] == 1.0


def test_constant_seasons():
    """A season that returns unchanged is no trend, however large."""
    ours = one(seasonal_kendall, np.tile([1.0, 5.0, 9.0], 5), period=3)
    assert ours == {"n": 15, "s": 0, "var_s": 0.0, "z": 0.0, "p": 1.0, "slope": 0.0}
    assert math.copysign(1, ours["slope"]) == 1


def test_too_few_values_are_null():
    rows = [
        None,
        [],
        [(1, 1.0)],
        [(1, 1.0), (2, 2.0)],
        [(1, 1.0), (2, 2.0), (3, 1.0)],
        [(1, 1.0), (2, 2.0), (3, 1.0), (4, 0.0)],
    ]
    array = series_array(*rows)
    assert [r is None for r in hamed_rao(array).to_pylist()] == [True, True, True, True, False, False]
    assert [r is None for r in trend_free_prewhitening(array).to_pylist()] == [True, True, True, True, True, False]
    twos = pa.array([2] * len(rows), pa.int32())
    assert [r is None for r in seasonal_kendall(array, twos).to_pylist()] == [True, True, True, True, False, False]
    assert seasonal_kendall(array, pa.array([None] * len(rows), pa.int32())).null_count == len(rows)
    assert one(seasonal_kendall, [1.0, 2.0], [5, 5], period=1) is None


def test_a_period_below_one_is_refused():
    with pytest.raises(ValueError, match="period is 0"):
        seasonal_kendall(series_array([(1, 1.0)]), pa.array([0], pa.int32()))


def test_values_at_one_step_become_their_mean():
    for kernel in ALONE:
        doubled = one(kernel, [1.0, 3.0, 2.5, 2.5, 4.0, 3.0, 5.0], [0, 0, 1, 1, 2, 3, 4])
        assert doubled == one(kernel, [2.0, 2.5, 4.0, 3.0, 5.0])


def test_a_batch_is_its_series_one_by_one():
    rng = np.random.default_rng(16)
    values = [make_values(kind, n, rng) for n in (5, 21, 130, 3, 60) for kind in KINDS]
    pairs = [[(i, float(x)) for i, x in enumerate(v)] for v in values]
    periods = [int(p) for p in rng.choice([1, 3, 12, 6000], len(values))]
    batch = series_array(*pairs, None, [])
    for kernel in ALONE:
        together = kernel(batch).to_pylist()
        assert together == [kernel(series_array(p))[0].as_py() for p in pairs] + [None, None]
        assert kernel(batch.slice(7, 20)).to_pylist() == together[7:27]
    together = seasonal_kendall(batch, pa.array([*periods, 12, None], pa.int32())).to_pylist()
    alone = [one(seasonal_kendall, v, period=p) for v, p in zip(values, periods, strict=True)]
    assert together == [*alone, None, None]


VALUES = st.lists(st.integers(-200, 200), min_size=4, max_size=60)


@settings(max_examples=60, deadline=None)
@given(VALUES, st.integers(1, 13), st.randoms(use_true_random=False))
def test_the_order_of_the_list_changes_nothing(values, period, random):
    pairs = [(random.randint(-20, 40), value / 8) for value in values]
    shuffled = pairs.copy()
    random.shuffle(shuffled)
    for kernel in ALONE:
        assert kernel(series_array(pairs)).to_pylist() == kernel(series_array(shuffled)).to_pylist()
    column = pa.array([period], pa.int32())
    assert (
        seasonal_kendall(series_array(pairs), column).to_pylist()
        == seasonal_kendall(series_array(shuffled), column).to_pylist()
    )


@settings(max_examples=60, deadline=None)
@given(VALUES, st.integers(1, 13), st.sampled_from([0.25, 2.0, 64.0]), st.integers(-50, 50))
def test_seasons_shift_and_scale(values, period, scale, cycles):
    """Other units and later cycles change nothing but the slope; one season (period 1) is the original test."""
    n = len(values)
    moved = [scale * value + 3 for value in values]
    t = np.arange(n)
    test = one(seasonal_kendall, values, t, period=period)
    other = one(seasonal_kendall, moved, t + cycles * period, period=period)
    if test is None:
        assert other is None
        return
    assert other["slope"] == scale * test["slope"]
    assert {**other, "slope": 0} == {**test, "slope": 0}
    whole, original = one(seasonal_kendall, values, t, period=1), one(mann_kendall, values)
    assert {k: whole[k] for k in ("n", "s", "var_s", "z", "p")} == {
        k: original[k] for k in ("n", "s", "var_s", "z", "p")
    }
    assert whole["slope"] == one(theil_sen, values)["slope"]


@settings(max_examples=60, deadline=None)
@given(VALUES, st.integers(1, 13))
def test_a_fixed_season_on_top_changes_nothing(values, period):
    with_season = [value + 1024 * (i % period) for i, value in enumerate(values)]
    assert one(seasonal_kendall, with_season, period=period) == one(seasonal_kendall, values, period=period)
