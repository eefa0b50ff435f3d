"""best_partition against every partition there is, and as the upper bound of every discretisation."""

from __future__ import annotations

import itertools

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from udfs.discretization import METHODS, candidate_breaks
from udfs.partition import CELL_SUMS, best_partition


def best(cells, k_max):
    found = best_partition(pa.array([cells], CELL_SUMS), pa.array([k_max], pa.int32()))[0].as_py()
    return found and [(row["k"], row["ssb"]) for row in found]


def members(n, total):
    return [
        {"cell": i, "n": int(a), "sum_deviation": float(b)} for i, (a, b) in enumerate(zip(n, total, strict=True), 1)
    ]


def by_hand(n, total, k):
    between = []
    for cuts in itertools.combinations(range(1, len(n)), k - 1):
        ends = [0, *cuts, len(n)]
        between.append(sum(sum(total[a:b]) ** 2 / sum(n[a:b]) for a, b in itertools.pairwise(ends)))
    return max(between) - sum(total) ** 2 / sum(n)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 9), st.integers(-40, 40)), min_size=1, max_size=9))
def test_every_partition_there_is(cells):
    n, total = zip(*cells, strict=True)
    found = best(members(n, total), 10)
    assert [k for k, _ in found] == list(range(1, 11))
    for k, ssb in found:
        assert ssb == pytest.approx(by_hand(n, total, min(k, len(n))), rel=1e-10, abs=1e-9)
    assert found[0][1] == pytest.approx(0.0, abs=1e-12)
    assert all(b >= a - 1e-9 for (_, a), (_, b) in itertools.pairwise(found))


def test_no_discretisation_explains_more():
    generator = np.random.default_rng(4)
    x = generator.gamma(2.0, 10.0, 3000)
    y = np.sin(x / 8.0) + generator.normal(size=x.size)
    deviation = y - y.mean()
    rows = candidate_breaks(
        pa.array([x]), pa.array([",".join(METHODS)]), *(pa.array([v], pa.int32()) for v in (3, 10, 512))
    )[0].as_py()
    uppers = np.array([row["upper"] for row in rows if row["method"] == "cells"])
    cell = np.searchsorted(uppers, x)
    bound = dict(best(members(np.bincount(cell, minlength=uppers.size), np.bincount(cell, deviation, uppers.size)), 12))
    assert bound[12] <= deviation @ deviation
    checked = 0
    for method in METHODS:
        for k in range(3, 11):
            ends = [row["upper"] for row in rows if (row["method"], row["n_strata_asked"]) == (method, k)]
            stratum = np.searchsorted(ends, x)
            n, total = np.bincount(stratum), np.bincount(stratum, deviation)
            assert (total[n > 0] ** 2 / n[n > 0]).sum() <= bound[(n > 0).sum()] * (1 + 1e-12)
            checked += 1
    assert checked == 40


def test_order_gaps_constants_and_repeats():
    n, total = [3, 2, 5, 1], [1.0, -4.0, 2.5, 0.5]
    plain = best(members(n, total), 4)
    assert best(members(n, total)[::-1], 4) == plain
    split = [
        *members(n, total)[1:],
        {"cell": 1, "n": 1, "sum_deviation": 0.25},
        {"cell": 1, "n": 2, "sum_deviation": 0.75},
    ]
    assert best(split, 4) == plain
    spread = [{**row, "cell": row["cell"] * 7} for row in members(n, total)]
    empty = {"cell": 8, "n": 0, "sum_deviation": 0.0}
    missing = [None, {"cell": None, "n": 1, "sum_deviation": 1.0}, {"cell": 9, "n": 1, "sum_deviation": None}]
    assert best([*spread, empty, *missing], 4) == plain
    shifted = best(members(n, [b + 1e6 * a for a, b in zip(n, total, strict=True)]), 4)
    assert [ssb for _, ssb in shifted] == pytest.approx([ssb for _, ssb in plain], rel=1e-6, abs=1e-7)


def test_nothing_to_partition():
    assert best([], 3) is None
    assert best(None, 3) is None
    assert best([None], 3) is None
    assert best(members([1], [0.0]), None) is None
    assert best(members([4], [2.0]), 2) == [(1, 0.0), (2, 0.0)]
    with pytest.raises(ValueError, match="k_max is 0"):
        best(members([1], [0.0]), 0)


def test_rows_do_not_touch():
    lists = [members([1, 2, 3], [1.0, 2.0, -3.0]), None, members([5, 5], [1.0, -1.0])]
    array, most = pa.array([members([9], [9.0]), *lists], CELL_SUMS), pa.array([1, 2, 2, 3], pa.int32())
    together = best_partition(array, most).slice(1).to_pylist()
    assert together == best_partition(array.slice(1), most.slice(1)).to_pylist()
    assert together[1] is None
    assert [row["ssb"] for row in together[2]] == pytest.approx([0.0, 0.4, 0.4])
