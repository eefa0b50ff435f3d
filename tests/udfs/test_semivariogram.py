"""Semivariograms on a plane: against pairs looked at one by one, on hard maps, and what must not change them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.udfs.map_arrays import brute, cells, doubles, gappy, ours, pairs_on_a_plane, whole
from udfs import lattice
from udfs.map_cells import CELLS
from udfs.semivariogram import semivariogram

TRANSFORMED, ONE_BY_ONE = 1e12, 0.0


def run(fields, cell_x=1000.0, cell_y=1000.0, cutoff=8000.0, n_bins=8):
    done = semivariogram(cells(fields), doubles(cell_x), doubles(cell_y), doubles(cutoff), whole(n_bins))
    return done[0].as_py()


def same(got, expected, rel=1e-10):
    assert got.keys() == expected.keys()
    for key, (lag, n, gamma) in expected.items():
        assert got[key][1] == n, key
        assert got[key][0] == pytest.approx(lag, rel=rel)
        assert got[key][2] == pytest.approx(gamma, rel=rel, abs=1e-18)


@pytest.mark.parametrize("way", [TRANSFORMED, ONE_BY_ONE])
@pytest.mark.parametrize(
    ("shape", "cell", "cutoff", "n_bins"),
    [
        ((20, 31), (1000.0, 1000.0), 8000.0, 8),
        ((31, 20), (700.0, 1300.0), 9100.0, 7),
        ((1, 60), (1.0, 1.0), 20.0, 5),
        ((9, 8), (1.0, 1.0), 100.0, 12),
    ],
)
def test_every_pair_counts_once_in_its_bin_and_direction(monkeypatch, way, shape, cell, cutoff, n_bins):
    monkeypatch.setattr(lattice, "NS_A_PAIR", way)
    fields = gappy(np.random.default_rng(1), *shape)
    got = ours(run(fields, *cell, cutoff, n_bins))
    same(got, brute(pairs_on_a_plane(fields, *cell), cutoff * np.arange(1, n_bins + 1) / n_bins))
    if cutoff == 100.0:
        n = len(fields["v"])
        assert sum(pairs for (direction, _), (_, pairs, _) in got.items() if direction == "all") == n * (n - 1) // 2


def test_both_ways_give_the_same_counts_of_a_larger_map(monkeypatch):
    fields = gappy(np.random.default_rng(2), 70, 90)
    found = []
    for way in (TRANSFORMED, ONE_BY_ONE):
        monkeypatch.setattr(lattice, "NS_A_PAIR", way)
        found.append(ours(run(fields, 900.0, 1100.0, 30_000.0, 15)))
    same(*found)


def test_a_sample_of_rows_and_columns_is_its_own_lattice(monkeypatch):
    monkeypatch.setattr(lattice, "NS_A_PAIR", TRANSFORMED)
    fields = gappy(np.random.default_rng(3), 20, 20)
    thin = {"row_index": 3 + 8 * fields["row_index"], "col_index": 5 * fields["col_index"] - 40, "v": fields["v"]}
    same(ours(run(thin, 10.0, 20.0, 900.0)), brute(pairs_on_a_plane(thin, 10.0, 20.0), 900.0 * np.arange(1, 9) / 8))


def test_digits_are_not_lost_to_an_offset(monkeypatch):
    monkeypatch.setattr(lattice, "NS_A_PAIR", TRANSFORMED)
    fields = gappy(np.random.default_rng(4), 40, 40)
    far = fields | {"v": 1e6 + np.round(fields["v"] * 2**20) / 2**20}
    expected = brute(pairs_on_a_plane(far, 1000.0, 1000.0), np.arange(1, 9) * 1000.0)
    same(ours(run(far)), expected)


def test_a_constant_map_has_no_semivariance_at_all():
    fields = gappy(np.random.default_rng(5), 40, 40)
    assert {b["semivariance"] for b in run(fields | {"v": np.full(len(fields["v"]), 0.1)})} == {0.0}


def test_what_is_missing_is_left_out():
    fields = gappy(np.random.default_rng(6), 12, 12, share=1.0)
    hidden = np.arange(len(fields["v"])) % 5 == 0
    holes = fields | {"v": np.where(hidden, np.nan, fields["v"])}
    rest = {name: values[~hidden] for name, values in fields.items()}
    assert run(holes) == run(rest)
    members = cells(fields)[0].as_py()
    for i in np.flatnonzero(hidden):
        members[i] = [None, {**members[i], "v": None}, {**members[i], "row_index": None}][i % 3]
    given_ = pa.array([members], CELLS)
    assert semivariogram(given_, doubles(1000.0), doubles(1000.0), doubles(8000.0), whole(8))[0].as_py() == run(rest)


def test_several_values_of_one_cell_are_their_mean():
    fields = {
        "row_index": np.array([0, 0, 1, 3]),
        "col_index": np.array([0, 0, 0, 0]),
        "v": np.array([1.0, 3.0, 4.0, 8.0]),
    }
    assert ours(run(fields, 1.0, 1.0, 3.0, 3)) == {
        **{("all", k): (k, 1, g) for k, g in ((1, 2.0), (2, 8.0), (3, 18.0))},
        **{("0", k): (k, 1, g) for k, g in ((1, 2.0), (2, 8.0), (3, 18.0))},
    }


def test_nulls_and_rows_do_not_touch_each_other():
    a, b = gappy(np.random.default_rng(7), 8, 9), gappy(np.random.default_rng(8), 5, 30)
    one = {name: values[:1] for name, values in a.items()}
    far = {"row_index": np.array([0, 90]), "col_index": np.array([0, 90]), "v": np.array([1.0, 2.0])}
    column = cells(a, None, one, far, b, a, a)
    n = len(column)
    cutoff = doubles(*[8000.0] * (n - 2), None, 8000.0)
    bins = whole(*[8] * (n - 1), None)
    done = semivariogram(column, doubles(*[1000.0] * n), doubles(*[1000.0] * n), cutoff, bins).to_pylist()
    assert done == [run(a), None, None, None, run(b), None, None]
    sliced = semivariogram(column[4:5], doubles(1000.0), doubles(1000.0), doubles(8000.0), whole(8))
    assert sliced.to_pylist() == [run(b)]
    empty = semivariogram(column[:0], doubles(), doubles(), doubles(), whole())
    assert len(empty) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0.0, 1.0, 10.0, 5), "both sides must be above 0"),
        ((1.0, 1.0, -3.0, 5), "cutoff_m is -3.0"),
        ((1.0, 1.0, 10.0, 0), "n_bins is 0"),
        ((1.0, 1.0, 10.0, 100_000), "n_bins is 100000"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        run(gappy(np.random.default_rng(9), 4, 4), *arguments)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    shape=st.tuples(st.integers(1, 25), st.integers(2, 25)),
    share=st.floats(0.1, 1),
    shift=st.sampled_from([0.0, -7.0, 1024.0]),
    scale=st.sampled_from([-1.0, 0.5, 8.0]),
    moved=st.tuples(st.integers(-1000, 1000), st.integers(-1000, 1000)),
)
def test_shift_scale_and_place_change_nothing_else(seed, shape, share, shift, scale, moved):
    rng = np.random.default_rng(seed)
    fields = gappy(rng, *shape, share)
    fields["v"] = np.round(fields["v"] * 2**12) / 2**12  # so that shifting and scaling are exact
    expected = run(fields)
    order = rng.permutation(len(fields["v"]))
    other = {
        "row_index": fields["row_index"][order] + moved[0],
        "col_index": fields["col_index"][order] + moved[1],
        "v": scale * fields["v"][order] + shift,
    }
    got = run(other)
    assert (got is None) == (expected is None)
    for a, b in zip(expected or [], got or [], strict=True):
        assert {k: a[k] for k in a if k not in ("semivariance", "lag_m")} == {
            k: b[k] for k in b if k not in ("semivariance", "lag_m")
        }
        assert b["lag_m"] == pytest.approx(a["lag_m"], rel=1e-12)
        assert b["semivariance"] == pytest.approx(scale**2 * a["semivariance"], rel=1e-9, abs=1e-14)
    turned = run({"row_index": fields["col_index"], "col_index": fields["row_index"], "v": fields["v"]})
    names = {
        "all": "all",
        "0": "90",
        "90": "0",
        "45": "45",
        "135": "135",
    }  # a mirror about the diagonal from north-west
    if expected:
        mirrored = {(names[d], b): n for (d, b), (_, n, _) in ours(turned).items()}
        assert mirrored == {key: n for key, (_, n, _) in ours(expected).items()}
        totals = {}
        for (direction, b), (_, n, _) in ours(expected).items():
            totals[b] = totals.get(b, 0) + (n if direction == "all" else -n)
        assert set(totals.values()) == {0}
