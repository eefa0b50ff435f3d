"""Breaks by their definitions, against independent implementations, and the finest partition of candidate_breaks."""

from __future__ import annotations

import itertools

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import udfs
from udfs import natural_breaks
from udfs.discretization import METHODS, candidate_breaks, discretize, stratum_of

SHIFTABLE = ("equal", "quantile", "natural", "sd")


def breaks(x, method, k):
    found = discretize(pa.array([x], pa.list_(pa.float64())), pa.array([method]), pa.array([k], pa.int32()))[0].as_py()
    return None if found is None else np.array(found)


def strata(x, found):
    array = pa.array([found] * len(x), pa.list_(pa.float64()))
    return np.array(stratum_of(pa.array(x, pa.float64()), array).to_pylist(), float)


def candidates(x, methods="equal,quantile,natural,geometric,sd", k_min=3, k_max=8, n_cells=64):
    number = [pa.array([value], pa.int32()) for value in (k_min, k_max, n_cells)]
    return candidate_breaks(pa.array([x], pa.list_(pa.float64())), pa.array([methods]), *number)[0].as_py()


def within(x, found):
    stratum = np.searchsorted(found[1:], x)
    return sum(((x[stratum == i] - x[stratum == i].mean()) ** 2).sum() for i in np.unique(stratum))


@pytest.fixture(scope="module")
def skewed():
    return np.random.default_rng(5).gamma(1.5, 20.0, 997)


@pytest.mark.parametrize("k", [1, 2, 3, 7, 10])
def test_equal_and_quantile_are_numpys(skewed, k):
    assert breaks(skewed, "equal", k) == pytest.approx(np.linspace(skewed.min(), skewed.max(), k + 1), rel=1e-14)
    assert breaks(skewed, "quantile", k) == pytest.approx(np.quantile(skewed, np.linspace(0, 1, k + 1)), rel=1e-13)


def test_tied_quantiles_take_more_probabilities():
    x = np.concatenate([np.zeros(60), np.arange(1.0, 41.0)])
    found = breaks(x, "quantile", 4)
    # four classes give three breaks; ours are those of the first number of probabilities that gives five
    for probabilities in range(4, 60):
        expected = np.unique(np.quantile(x, np.linspace(0, 1, probabilities + 1)))
        if expected.size >= 5:
            break
    assert probabilities > 4
    assert found == pytest.approx(expected, rel=1e-13)
    assert breaks([0.0] * 50 + [1.0] * 50, "quantile", 5).size <= 6  # an end to adding where there is nothing to find


@pytest.mark.parametrize("k", [2, 5, 8])
def test_geometric(skewed, k):
    found = breaks(skewed, "geometric", k)
    low, high = skewed.min(), skewed.max()
    assert found == pytest.approx(
        [(low + 1) * ((high + 1) / (low + 1)) ** (i / k) - 1 for i in range(k + 1)], rel=1e-12
    )
    assert breaks(-skewed, "geometric", k) == pytest.approx(-found[::-1], rel=1e-12)
    ratios = np.diff(found)[1:] / np.diff(found)[:-1]
    assert ratios == pytest.approx(np.full(k - 1, ratios[0]), rel=1e-9)


def test_geometric_of_both_signs():
    # 9 / (1 + 3 / 8) = 6.5: six breaks of the ratio 9^(1/6) above zero, three of 4^(1/3) below
    found = breaks([-3.0, 0.0, 1.0, 8.0], "geometric", 8)
    above, below = 9.0 ** (np.arange(1, 7) / 6) - 1, 4.0 ** (np.arange(1, 4) / 3) - 1
    assert found == pytest.approx(np.concatenate([-below[::-1], above]), rel=1e-12)
    assert breaks([-8.0, -1.0, 0.0, 3.0], "geometric", 8) == pytest.approx(-found[::-1], rel=1e-12)
    assert breaks([-8.0, 1e-20], "geometric", 3).tolist()[-1] == 1e-20


def test_standard_deviations():
    x = np.random.default_rng(2).normal(10.0, 2.0, 5000)
    mean, sd = x.mean(), x.std(ddof=1)
    for k, steps in {3: [-0.5, 0.5], 4: [-1, 0, 1], 5: [-1.5, -0.5, 0.5, 1.5], 7: np.arange(-1.25, 1.3, 0.5)}.items():
        assert breaks(x, "sd", k) == pytest.approx([x.min(), *(mean + np.array(steps) * sd), x.max()], rel=1e-12)
    # a bounded, skewed factor has no room below its mean: steps are added until there are enough inside
    assert breaks(np.random.default_rng(2).exponential(1.0, 500), "sd", 5).size >= 6
    assert breaks([0.0, 0.0, 1.0, 1.0], "sd", 9).size <= 10


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-20, 20), min_size=3, max_size=12), st.integers(1, 5))
def test_natural_is_the_optimum_of_all_partitions(values, k):
    x = np.array(values, float)
    assume(np.unique(x).size > 1)
    distinct = np.unique(x)
    k = min(k, distinct.size)
    best = min(
        within(x, np.array([distinct[0], *(distinct[i - 1] for i in cuts), distinct[-1]]))
        for cuts in itertools.combinations(range(1, distinct.size), k - 1)
    )
    found = breaks(x, "natural", k)
    assert found.size == k + 1
    assert within(x, found) == pytest.approx(best, rel=1e-9, abs=1e-9)


def test_natural_against_peers(skewed):
    for k in (3, 6, 9):
        found = breaks(skewed, "natural", k)
        mapclassify = pytest.importorskip("mapclassify")
        assert found[1:] == pytest.approx(mapclassify.FisherJenks(skewed, k).bins, rel=1e-12)
        ckwrap = pytest.importorskip("ckwrap")
        assert within(skewed, found) == pytest.approx(ckwrap.ckmeans(skewed, k).withinss.sum(), rel=1e-9)


@pytest.mark.parametrize(
    "shape", ["normal", "skewed", "many zeros", "two far apart", "uniform", "rounded", "heavy tails"]
)
def test_where_breaks_cannot_lie_none_is_missed(shape, monkeypatch):
    """Of many values only the places that the proof leaves are looked at; looking everywhere gives the same breaks."""
    generator = np.random.default_rng(8)
    x = {
        "normal": generator.normal(1e5, 1.0, 9000),
        "skewed": np.exp(generator.normal(size=9000)),
        "many zeros": np.concatenate([np.zeros(9000), np.exp(1.5 * generator.normal(size=9000))]),
        "two far apart": np.concatenate([generator.normal(size=5000), generator.normal(50, 0.01, 5000)]),
        "uniform": generator.random(9000),
        "rounded": np.round(generator.normal(size=30000), 4),
        "heavy tails": generator.standard_cauchy(6000),
    }[shape]
    assert np.unique(x).size > natural_breaks.FEW
    quick = [found.tolist() for found in natural_breaks.natural_breaks(np.sort(x), 3, 11)]
    monkeypatch.setattr(natural_breaks, "FEW", x.size)
    assert quick == [found.tolist() for found in natural_breaks.natural_breaks(np.sort(x), 3, 11)]


def test_natural_of_an_offset_and_of_heavy_ties():
    x = np.random.default_rng(3).normal(size=300)
    assert breaks(x + 1e7, "natural", 6) == pytest.approx(breaks(x, "natural", 6) + 1e7, rel=1e-15)
    rain = np.concatenate([np.zeros(500), x[x > 0] + 10.0])
    found = breaks(rain, "natural", 4)
    assert found[0] == found[1] == 0.0  # the dry pixels are a class of their own
    assert np.unique(strata(rain, found)).tolist() == [1, 2, 3, 4]


values = st.lists(st.integers(-1000, 1000).map(lambda i: i / 8), min_size=2, max_size=80).filter(
    lambda x: min(x) < max(x)
)


@settings(max_examples=150, deadline=None)
@given(values, st.sampled_from(METHODS), st.integers(1, 9))
def test_breaks_rise_and_no_value_is_outside(x, method, k):
    found = breaks(x, method, k)
    assert (found[0], found[-1]) == (min(x), max(x))
    steps = np.diff(found)
    assert (steps[1:] > 0).all()
    assert steps[0] > 0 or (method == "natural" and steps[0] == 0)
    if method not in ("quantile", "sd"):
        assert found.size <= k + 1
    stratum = strata(x, found)
    assert not np.isnan(stratum).any()
    assert breaks(x[::-1], method, k).tolist() == found.tolist()


@settings(max_examples=80, deadline=None)
@given(values, st.sampled_from(METHODS), st.integers(2, 8), st.integers(-6, 6), st.integers(-5000, 5000))
def test_units_of_measurement_do_not_matter(x, method, k, power, shift):
    x = np.array(x)
    stratum = strata(x, breaks(x, method, k))
    if (
        method in SHIFTABLE
    ):  # scaling by powers of two is exact, rounding of a shift can move a value that lies on a break
        assert strata(2.0**power * x, breaks(2.0**power * x, method, k)).tolist() == stratum.tolist()
        moved = breaks(x + shift, method, k)
        if method == "natural":
            assert within(x, moved - shift) == pytest.approx(within(x, breaks(x, method, k)), rel=1e-9, abs=1e-9)
        else:
            assert moved - shift == pytest.approx(breaks(x, method, k), abs=1e-9)


def test_missing_values_and_too_few():
    x = [3.0, None, 1.0, float("nan"), 2.0, float("inf"), float("-inf")]
    assert breaks(x, "equal", 2).tolist() == [1.0, 2.0, 3.0]
    for nothing in ([], [1.0], [4.0, 4.0, None], [float("nan")], None):
        assert breaks(nothing, "natural", 3) is None
        assert candidates(nothing) is None
    assert breaks([0.0, -0.0], "equal", 3) is None
    assert breaks([1.0, 2.0], None, 3) is None
    for method in METHODS:
        assert breaks([1.0, 2.0], method, 4)[[0, -1]].tolist() == [1.0, 2.0]
        found = breaks([-1.7e308, 1.0, 1.7e308], method, 4)
        assert np.isfinite(found).all()


def test_what_is_refused():
    with pytest.raises(ValueError, match="no method 'jenks'; there are equal, quantile"):
        breaks([1.0, 2.0], "jenks", 3)
    with pytest.raises(ValueError, match="discretize: 0 to 0 strata"):
        breaks([1.0, 2.0], "equal", 0)
    with pytest.raises(ValueError, match="candidate_breaks: 5 to 3 strata"):
        candidates([1.0, 2.0], k_min=5, k_max=3)
    with pytest.raises(ValueError, match="n_cells is 0"):
        candidates([1.0, 2.0], n_cells=0)


@settings(max_examples=60, deadline=None)
@given(values, st.integers(1, 40))
def test_candidates_are_those_of_discretize_and_unions_of_cells(x, n_cells):
    rows = candidates(x, "natural, equal,sd,quantile,geometric", 2, 6, n_cells)
    by_candidate: dict = {}
    for row in rows:
        by_candidate.setdefault((row["method"], row["n_strata_asked"]), []).append(row)
    cells = by_candidate.pop(next(key for key in by_candidate if key[0] == "cells"))
    assert len(by_candidate) == 5 * 5
    assert cells[0]["n_strata_asked"] == len(cells)
    uppers = [row["upper"] for row in cells]
    assert uppers == sorted(set(uppers))
    assert cells[0]["lower"] == min(x)
    assert [row["lower"] for row in cells[1:]] == uppers[:-1]
    assert len(cells) <= len({row["upper"] for group in by_candidate.values() for row in group} | set(x)) + n_cells
    if len(set(x)) <= n_cells:
        assert all(min(abs(value - upper) for upper in uppers) <= 1e-13 * max(map(abs, x)) for value in x)
    for (method, k), group in by_candidate.items():
        assert [row["stratum"] for row in group] == list(range(1, len(group) + 1))
        own, united = breaks(x, method, k), np.array([group[0]["lower"], *(row["upper"] for row in group)])
        # Breaks of two methods that differ by rounding are one; no value changes its stratum by that.
        np.testing.assert_allclose(united, own, rtol=1e-12, atol=2e-13 * max(map(abs, x)))
        assert np.array_equal(np.searchsorted(united, x), np.searchsorted(own, x))
        assert {row["upper"] for row in group} <= set(uppers)


def test_cells_hold_about_as_many_values_each(skewed):
    cells = [row for row in candidates(skewed, "equal", 3, 3, 100) if row["method"] == "cells"]
    assert 100 <= len(cells) <= 103
    counts = np.histogram(skewed, [cells[0]["lower"], *(row["upper"] for row in cells)])[0]
    assert counts.max() <= 12


def test_stratum_of_is_a_search(skewed):
    found = breaks(skewed, "quantile", 7)
    expected = np.where(skewed == skewed.min(), 1, np.searchsorted(found, skewed))
    assert strata(skewed, found).tolist() == expected.tolist()
    outside = [found[0] - 1, np.nextafter(found[-1], np.inf), np.nan, None, *found]
    assert stratum_of(pa.array(outside, pa.float64(), from_pandas=False), pa.array([found] * 12)).to_pylist() == [
        *[None] * 4,
        1,
        *range(1, 8),
    ]
    lists = pa.array([None, [], [1.0], [1.0, 2.0], [1.0, 1.0, 3.0], [1.0, 1.0, 3.0]], pa.list_(pa.float64()))
    ones = pa.array([1.0, 1.0, 1.0, 1.0, 1.0, 1.5])
    assert stratum_of(ones, lists).to_pylist() == [None, None, None, 1, 1, 2]
    assert stratum_of(ones.slice(3), lists.slice(3)).to_pylist() == [1, 1, 2]


def test_in_duckdb(skewed):
    with duckdb.connect(config={"threads": 2}) as connection:
        udfs.register(connection)
        connection.register("factor", pa.table({"x": skewed}))
        connection.execute(
            "create table map as select x, row_number() over () % 3 as period from factor cross join range(9)"
        )
        counts = connection.execute(
            """select method, stratum, count(*) from map
            join (select period, unnest(candidate_breaks(list(x), 'equal,natural', 4, 4, 50), recursive := true)
                from map group by period) as cuts using (period)
            where x > lower and x <= upper or stratum = 1 and x = lower group by all order by all"""
        ).fetchall()
        assert sum(n for method, _, n in counts if method == "natural") == skewed.size * 9
        one_by_one = connection.execute(
            """select stratum_of(x, b) as s, count(*) from map join (select period, discretize(list(x), 'natural', 4) as b from map group by period)
            using (period) group by s order by s"""
        ).fetchall()
        assert one_by_one == [(s, n) for method, s, n in counts if method == "natural"]


def test_rounding_makes_no_cells() -> None:
    """The same means, added up in another order, are cut into the same cells, and the breaks stay those of `discretize`."""
    rng = np.random.default_rng(7)
    exact = np.round(rng.normal(0.5, 3.0, 60), 2)
    shaken = exact * (1 + rng.integers(-2, 3, 60) * np.finfo(float).eps)

    def cut(values: np.ndarray) -> dict[tuple[str, int], list[float]]:
        lists = pa.array([values], pa.list_(pa.float64()))
        one = (pa.array([k], pa.int32()) for k in (3, 8, 512))
        found = candidate_breaks(lists, pa.array([",".join(METHODS)]), *one).to_pylist()[0]
        uppers: dict[tuple[str, int], list[float]] = {}
        for stratum in found:
            uppers.setdefault((stratum["method"], stratum["n_strata_asked"]), []).append(stratum["upper"])
        return uppers

    first, second = cut(np.concatenate([exact, exact])), cut(np.concatenate([exact, shaken]))
    assert first.keys() == second.keys()
    for candidate, uppers in first.items():
        np.testing.assert_allclose(second[candidate], uppers, rtol=1e-11, atol=1e-11)
