"""Mann-Kendall and Theil-Sen against scipy, pymannkendall and a plain computation, and their invariances."""

from __future__ import annotations

import math

import numpy as np
import pymannkendall
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tests.udfs.series_arrays import dense_array, from_columns, series_array
from udfs.trend import MANN_KENDALL_MINIMUM, mann_kendall, theil_sen

LENGTHS = [*range(2, 46), 64, 65, 90, 91, 130, 252, 253, 400]


def one_test(t, v):
    return mann_kendall(from_columns(t, v))[0].as_py()


def one_line(t, v):
    return theil_sen(from_columns(t, v))[0].as_py()


def make_series(kind: str, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """t and v, v in an order of its own for the kinds that say so."""
    t, v = np.arange(n), rng.normal(size=n)
    if kind == "gaps":
        t = np.sort(rng.choice(4 * n, n, replace=False)) - n
    elif kind == "far":
        t = np.sort(rng.choice(2**31 - 1, n, replace=False))
    elif kind == "repeated t":
        t = np.sort(rng.integers(0, max(n // 2, 1), n))
    elif kind == "crowded t":
        t = np.sort(rng.choice([0, 0, 0, 0, 3, 4], n))
    elif kind == "ties":
        v = np.round(v)
    elif kind == "ties in both":
        t, v = np.sort(rng.integers(0, max(n // 2, 1), n)), np.round(v)
    elif kind == "constant":
        v = np.full(n, 0.25)
    elif kind == "offset":
        v = 1e6 + 1e-3 * v
    elif kind == "trend":
        v = 0.3 * t + v
    elif kind == "season":
        v = np.sin(2 * np.pi * t / 12) + 0.1 * v
    elif kind == "spikes":
        v = np.where(rng.random(n) < 0.1, 1e9 * rng.standard_cauchy(n), v)
    elif kind == "two values":
        v = (rng.random(n) < 0.1).astype(float)
    elif kind == "shuffled":
        order = rng.permutation(n)
        t, v = t[order], v[order]
    return t, v


KINDS = [
    "plain",
    "gaps",
    "far",
    "repeated t",
    "crowded t",
    "ties",
    "ties in both",
    "constant",
    "offset",
    "trend",
    "season",
    "spikes",
    "two values",
    "shuffled",
]


def null_if_nan(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_theil_sen_is_scipys(kind):
    rng = np.random.default_rng(1)
    for n in LENGTHS:
        t, v = make_series(kind, n, rng)
        line = one_line(t, v)
        if len(set(t)) < 2:
            assert line is None
            continue
        expected = stats.theilslopes(v, t)
        assert line["n"] == n
        assert line["slope"] == expected.slope, (kind, n)
        assert line["slope_lower"] == null_if_nan(expected.low_slope), (kind, n)
        assert line["slope_upper"] == null_if_nan(expected.high_slope), (kind, n)
        assert line["intercept"] == pytest.approx(expected.intercept, rel=1e-14, abs=1e-300)


@pytest.mark.parametrize("kind", KINDS)
def test_mann_kendall_is_the_sum_of_signs(kind):
    rng = np.random.default_rng(2)
    for n in LENGTHS:
        t, v = make_series(kind, n, rng)
        test = one_test(t, v)
        if n < MANN_KENDALL_MINIMUM:
            assert test is None
            continue
        signs = np.sign(v[None, :] - v[:, None]) * np.sign(t[None, :].astype(float) - t[:, None])
        s = int(np.triu(signs, 1).sum())
        assert test["n"] == n
        assert test["s"] == s
        assert test["tau_a"] == s / (n * (n - 1) / 2)
        tau_b = stats.kendalltau(t, v).statistic
        assert test["tau_b"] == (None if np.isnan(tau_b) else pytest.approx(tau_b, rel=1e-14, abs=1e-300))
        if np.isnan(tau_b):
            assert (test["s"], test["z"], test["p"]) == (0, 0.0, 1.0)
            continue
        # scipy's asymptotic p has no continuity correction, and its variance allows for ties in both.
        without_correction = stats.kendalltau(t, v, method="asymptotic").pvalue
        assert math.erfc(abs(s) / math.sqrt(test["var_s"]) / math.sqrt(2)) == pytest.approx(
            without_correction, rel=1e-10
        )
        assert test["z"] == (0.0 if s == 0 else (s - np.sign(s)) / math.sqrt(test["var_s"]))
        assert test["p"] == pytest.approx(2 * stats.norm.sf(abs(test["z"])), rel=1e-10)


@pytest.mark.parametrize("kind", ["plain", "ties", "constant", "trend", "two values"])
def test_pymannkendall_agrees(kind):
    rng = np.random.default_rng(3)
    for n in [4, 5, 10, 21, 40, 41, 120]:
        _, v = make_series(kind, n, rng)
        t = np.arange(n)
        peer = pymannkendall.original_test(v)
        test, line = one_test(t, v), one_line(t, v)
        assert test["s"] == peer.s
        assert test["var_s"] == pytest.approx(peer.var_s, rel=1e-12, abs=1e-12)
        assert test["z"] == pytest.approx(peer.z, rel=1e-12)
        assert test["p"] == pytest.approx(peer.p, rel=1e-10, abs=1e-15)  # the peer's 1 - cdf loses small p
        assert test["tau_a"] == pytest.approx(peer.Tau, rel=1e-12)
        assert line["slope"] == pytest.approx(peer.slope, rel=1e-12)


def test_missing_values_are_dropped_and_their_time_is_kept():
    t, v = np.arange(12), np.array([1, 2, np.nan, 3, 5, np.inf, 4, np.nan, 9, 7, 8, -np.inf])
    kept = np.isfinite(v)
    assert one_test(t, v) == one_test(t[kept], v[kept])
    assert one_line(t, v) == one_line(t[kept], v[kept])
    assert one_line(t, v)["slope"] == stats.theilslopes(v[kept], t[kept]).slope
    members = [(int(a), float(b)) for a, b in zip(t[kept], v[kept], strict=True)]
    with_nulls = series_array([None, *members, (3, None), (None, 3.0), (None, None)])
    assert theil_sen(with_nulls)[0].as_py() == one_line(t[kept], v[kept])
    assert mann_kendall(with_nulls)[0].as_py() == one_test(t[kept], v[kept])


def test_too_few_values_are_null():
    rows = series_array(
        None, [], [(1, 1.0)], [(1, 1.0), (2, 3.0)], [(1, 1.0), (1, 3.0)], [(1, 1.0), (2, 3.0), (3, 2.0)]
    )
    assert [row is None for row in mann_kendall(rows).to_pylist()] == [True, True, True, True, True, False]
    assert [row is None for row in theil_sen(rows).to_pylist()] == [True, True, True, False, True, False]
    assert theil_sen(rows)[3].as_py()["slope"] == 2.0


def test_constant_series():
    assert one_test(range(8), [0.25] * 8) == {
        "n": 8, "s": 0, "var_s": 0.0, "z": 0.0, "p": 1.0, "tau_a": 0.0, "tau_b": None,
    }  # fmt: skip
    line = one_line(range(8), [0.25] * 8)
    assert (line["slope"], line["intercept"], line["slope_lower"], line["slope_upper"]) == (0.0, 0.25, 0.0, 0.0)


def test_values_that_overflow_do_not_harm_their_neighbours():
    rng = np.random.default_rng(4)
    calm = rng.normal(size=300)
    wild = np.where(rng.random(300) < 0.5, 1.5e308, -1.5e308)
    both = theil_sen(dense_array(np.vstack([wild, calm])))
    assert both[1].as_py() == one_line(range(300), calm)
    assert mann_kendall(dense_array(np.vstack([wild, calm])))[1].as_py() == one_test(range(300), calm)


def test_a_batch_is_its_series_one_by_one():
    rng = np.random.default_rng(5)
    series = [make_series(kind, n, rng) for n in (3, 21, 60, 300) for kind in KINDS]
    pairs = [[(int(a), float(b)) for a, b in zip(t, v, strict=True)] for t, v in series]
    batch = series_array(*pairs, None, [])
    for kernel in (mann_kendall, theil_sen):
        together = kernel(batch).to_pylist()
        assert together == [kernel(series_array(one))[0].as_py() for one in pairs] + [None, None]
        assert kernel(batch.slice(7, 20)).to_pylist() == together[7:27]


def test_long_series_stay_exact():
    rng = np.random.default_rng(6)
    v = rng.normal(size=2500)
    for values in (v, np.round(v, 1), v.cumsum()):
        expected = stats.theilslopes(values, np.arange(2500))
        line = one_line(range(2500), values)
        assert (line["slope"], line["slope_lower"], line["slope_upper"]) == (
            expected.slope, expected.low_slope, expected.high_slope,
        )  # fmt: skip


VALUES = st.lists(st.integers(-1000, 1000), min_size=3, max_size=60)


@settings(max_examples=60, deadline=None)
@given(VALUES, st.randoms(use_true_random=False))
def test_the_order_of_the_list_changes_nothing(values, random):
    pairs = [(random.randint(0, 40), value / 8) for value in values]
    shuffled = pairs.copy()
    random.shuffle(shuffled)
    for kernel in (mann_kendall, theil_sen):
        assert kernel(series_array(pairs)).to_pylist() == kernel(series_array(shuffled)).to_pylist()


@settings(max_examples=60, deadline=None)
@given(VALUES, st.integers(-1000, 1000), st.sampled_from([0.25, 2.0, 64.0]), st.integers(-5000, 5000))
def test_shift_and_scale(values, shift, scale, later):
    n = len(values)
    test, line = one_test(range(n), values), one_line(range(n), values)
    moved = [scale * value + shift for value in values]  # exact: powers of two and small integers
    assert one_test(range(later, later + n), moved) == test
    other = one_line(range(later, later + n), moved)
    for name in ("slope", "slope_lower", "slope_upper"):
        assert other[name] == scale * line[name]
    expected = scale * line["intercept"] + shift - other["slope"] * later
    assert other["intercept"] == pytest.approx(expected, rel=1e-9, abs=1e-9 * (1 + abs(other["slope"] * later)))


@settings(max_examples=60, deadline=None)
@given(VALUES)
def test_time_reversed_turns_the_sign(values):
    n = len(values)
    test, line = one_test(range(n), values), one_line(range(n), values)
    back, reverse = one_test(range(n), values[::-1]), one_line(range(n), values[::-1])
    assert (back["s"], back["z"], back["var_s"], back["p"]) == (-test["s"], -test["z"], test["var_s"], test["p"])
    assert reverse["slope"] == -line["slope"]


def test_zero_has_no_sign():
    """Slopes are taken pair by pair in both directions; -0.0 would be printed as it is."""
    for n in (3, 8, 21, 50, 252):
        line = one_line(range(n), [0.25] * n)
        assert [math.copysign(1, line[name]) for name in ("slope", "slope_lower", "slope_upper")] == [1, 1, 1]
