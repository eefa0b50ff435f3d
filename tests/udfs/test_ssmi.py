"""The standardised soil moisture index against numpy and scipy written out, and what must hold whatever the values are."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm, rankdata

from tests.udfs.series_arrays import from_columns, series_array
from udfs.ssmi import ssmi

YEARS_2000_TO_2020 = (2000 * 12, 2021 * 12)
ALWAYS = (-(2**31), 2**31 - 1)


def index(t, v, reference=ALWAYS, scale=1):
    """{t: (ssmi, ssmi_empirical, n)} of one series, or None."""
    arguments = (pa.array([number], pa.int32()) for number in (*reference, scale))
    row = ssmi(from_columns(t, v), *arguments)[0].as_py()
    if row is None:
        return None
    assert [m["t"] for m in row] == sorted(m["t"] for m in row)
    return {m["t"]: (m["ssmi"], m["ssmi_empirical"], m["n"]) for m in row}


def defined(t, v, reference=ALWAYS, scale=1):
    """The definition, with a dictionary of months and numpy."""
    found: dict[int, list[float]] = {}
    for step, value in zip(t, v, strict=True):
        if np.isfinite(value):
            found.setdefault(int(step), []).append(float(value))
    months = {step: np.mean(values) for step, values in found.items()}
    x = {
        step: np.mean([months[step - k] for k in range(scale)])
        for step in months
        if all(step - k in months for k in range(scale))
    }
    out = {}
    for step, value in x.items():
        known = np.array([x[s] for s in x if s % 12 == step % 12 and reference[0] <= s < reference[1]])
        n = known.size
        if n < 2 or np.ptp(known) <= 1e-12 * np.abs(known).max():
            out[step] = (None, None, n)
            continue
        rank = (np.sum(known < value) + np.sum(known <= value) + 1) / 2
        position = (np.clip(rank, 1, n) - 0.44) / (n + 0.12)
        out[step] = ((value - known.mean()) / known.std(ddof=1), norm.ppf(position), n)
    return out or None


def assert_same(ours, theirs):
    if theirs is None:
        assert ours is None
        return
    assert sorted(ours) == sorted(theirs)
    for step, (z, empirical, n) in theirs.items():
        assert ours[step][2] == n
        assert (ours[step][0] is None) == (z is None)
        if z is not None:
            assert ours[step][:2] == (
                pytest.approx(z, rel=1e-9, abs=1e-9),
                pytest.approx(empirical, rel=1e-10, abs=1e-10),
            )


def gappy(rng, n_years=21, missing=0.1, digits=None):
    """Months of a seasonal series in any order, some missing; with `digits` rounded, so that there are ties."""
    t = rng.permutation(np.arange(2000 * 12, (2000 + n_years) * 12))
    v = 0.25 + 0.05 * np.cos(2 * np.pi * t / 12) + rng.normal(0, 0.03, t.size)
    v[rng.random(t.size) < missing] = np.nan
    return t, v if digits is None else np.round(v, digits)


@pytest.mark.parametrize("scale", [1, 3, 6, 12])
@pytest.mark.parametrize("reference", [ALWAYS, YEARS_2000_TO_2020, (2003 * 12 + 4, 2011 * 12 + 7)])
@pytest.mark.parametrize("digits", [None, 2])
def test_it_is_its_definition(scale, reference, digits):
    # Rounded values times a power of two, so that means of equal months are equal in numpy's order of adding, too.
    t, v = gappy(np.random.default_rng(scale), digits=digits)
    if digits is not None:
        v = np.round(v * 64) / 64
        assert np.unique(v[np.isfinite(v)]).size < 40
    assert_same(index(t, v, reference, scale), defined(t, v, reference, scale))


def test_months_before_the_year_0_have_their_calendar_month():
    rng = np.random.default_rng(3)
    t, v = np.arange(-120, 60), rng.normal(size=180)
    assert_same(index(t, v, scale=3), defined(t, v, scale=3))


def test_by_hand():
    # Januaries 1, 2, 3, 4 have mean 2.5 and sd 1.290994; ranks 1 to 4 of 4. 2.5 stands between ranks 2 and 3, 9 is rank 4 and no more.
    t = np.array([0, 12, 24, 36, 48, 60])
    found = index(t, [1, 2, 3, 4, 2.5, 9], (0, 48))
    sd = np.sqrt(5 / 3)
    assert [found[s][0] for s in t] == pytest.approx(np.array([-1.5, -0.5, 0.5, 1.5, 0, 6.5]) / sd, abs=1e-15)
    position = (np.array([1, 2, 3, 4, 2.5, 4]) - 0.44) / 4.12
    assert [found[s][1] for s in t] == pytest.approx(norm.ppf(position), abs=1e-15)
    assert {found[s][2] for s in t} == {4}


def test_ties_share_the_mean_of_their_ranks():
    v = [0.2, 0.1, 0.2, 0.2, 0.3]
    found = index(np.arange(5) * 12, v)
    expected = norm.ppf((rankdata(v) - 0.44) / 5.12)
    assert [found[12 * i][1] for i in range(5)] == pytest.approx(expected, abs=1e-15)


def test_the_empirical_form_of_21_years_spans_less_than_two():
    found = index(np.arange(252), np.random.default_rng(1).normal(size=252))
    empirical = [member[1] for member in found.values()]
    assert (max(empirical), -min(empirical)) == pytest.approx([norm.ppf(20.56 / 21.12)] * 2, abs=1e-14)
    assert max(empirical) < 1.94


def test_running_means_need_all_their_months():
    t = [0, 1, 2, 4, 5, 6, 12, 13, 14]
    found = index(t, np.arange(9.0), scale=3)
    assert sorted(found) == [2, 6, 14]
    assert found[2][2] == found[14][2] == 2 and found[6] == (None, None, 1)


def test_a_window_that_begins_before_the_reference_belongs_to_the_month_it_ends_in():
    rng = np.random.default_rng(8)
    t, v = np.arange(120), rng.normal(size=120)
    assert_same(index(t, v, (60, 96), 6), defined(t, v, (60, 96), 6))
    assert index(t, v, (60, 96), 6)[60][2] == 3


def test_constant_calendar_months_have_no_index():
    t = np.arange(48)
    v = np.where(t % 12 == 5, 0.02, np.random.default_rng(0).normal(size=48))
    for scale, month in ((1, 5), (3, None)):
        found = index(t, v, scale=scale)
        assert {s % 12 for s, member in found.items() if member[0] is None} == ({month} if month else set())
    flat = index(t, np.full(48, 0.02), scale=6)
    assert len(flat) == 43 and {member[:2] for member in flat.values()} == {(None, None)}


def test_rounding_is_no_spread():
    # Means of months that are one number but for its last digit.
    v = [0.1 + 0.2, 0.3, 0.3]
    assert v[0] != v[1]
    assert {member[:2] for member in index([0, 12, 24], v).values()} == {(None, None)}
    assert index([0, 12, 24], [0.3, 0.3, 0.3 + 1e-9])[24][0] == pytest.approx(2 / np.sqrt(3), rel=1e-6)


def test_several_values_at_one_month_become_their_mean():
    assert_same(index([0, 0, 12, 24], [1, 3, 5, 4]), defined([0, 12, 24], [2, 5, 4]))


def test_nulls():
    series = series_array(
        None,
        [],
        [(0, None), (12, np.nan), (24, np.inf)],
        [(0, 1.0), None, (None, 3.0), (12, 2.0)],
        [(0, 1.0), (12, 2.0)],
        [(0, 1.0), (12, 2.0)],
        [(0, 1.0), (12, 2.0)],
    )
    start = pa.array([0, 0, 0, 0, None, 0, 0], pa.int32())
    end = pa.array([99, 99, 99, 99, 99, None, 99], pa.int32())
    scale = pa.array([1, 1, 1, 1, 1, 1, None], pa.int32())
    rows = ssmi(series, start, end, scale).to_pylist()
    assert [row is None for row in rows] == [True, True, True, False, True, True, True]
    assert [m["t"] for m in rows[3]] == [0, 12]
    assert index([0, 12], [1.0, 2.0], scale=3) is None


def test_rows_do_not_touch_one_another():
    rng = np.random.default_rng(4)
    rows = [gappy(rng, n_years=n) for n in (1, 21, 3, 8)]
    series = series_array(*([(int(s), float(x)) for s, x in zip(t, v, strict=True)] for t, v in rows))
    scale = pa.array([1, 6, 3, 12], pa.int32())
    start, end = (pa.array([number] * 4, pa.int32()) for number in YEARS_2000_TO_2020)
    together = ssmi(series, start, end, scale)
    for i, (t, v) in enumerate(rows):
        alone = index(t, v, YEARS_2000_TO_2020, scale[i].as_py())
        row = together[i].as_py()
        assert (row and {m["t"]: (m["ssmi"], m["ssmi_empirical"], m["n"]) for m in row}) == alone


def test_a_scale_below_one_month_is_an_error():
    with pytest.raises(ValueError, match="scale is 0"):
        index([0, 12], [1.0, 2.0], scale=0)


def test_values_at_the_ends_of_what_a_double_holds_give_no_infinity():
    for v in ([1e308, -1e308, 1e308, 5.0], [1e-320, 2e-320, 3e-320, 1e300]):
        found = index(np.arange(4) * 12, v, (0, 36))
        assert all(member[0] is None or np.isfinite(member[0]) for member in found.values())


values = st.lists(
    st.tuples(st.integers(0, 14 * 12 - 1), st.floats(-100, 100, allow_subnormal=False).map(lambda x: round(x, 3))),
    min_size=1,
    max_size=150,
    unique_by=lambda pair: pair[0],
)


@settings(max_examples=80, deadline=None)
@given(values, st.integers(1, 6))
def test_over_its_reference_the_mean_is_0_and_the_sd_1(pairs, scale):
    found = index(*zip(*pairs, strict=True), scale=scale) or {}
    for month in range(12):
        z = np.array([member[0] for step, member in found.items() if step % 12 == month and member[0] is not None])
        if z.size:
            assert z.mean() == pytest.approx(0, abs=1e-9) and z.std(ddof=1) == pytest.approx(1, abs=1e-9)


@settings(max_examples=80, deadline=None)
@given(values, st.integers(1, 6), st.integers(-64, 64), st.sampled_from([0.25, 2.0, 1024.0]))
def test_neither_the_origin_nor_the_unit_of_the_values_matters(pairs, scale, shift, factor):
    # Multiples of 1/1024 and powers of two: shifting and scaling are exact, so ties stay ties.
    t, v = zip(*pairs, strict=True)
    v = np.round(np.array(v) * 1024) / 1024
    plain, moved = index(t, v, scale=scale) or {}, index(t, factor * (v + shift), scale=scale) or {}
    assert sorted(plain) == sorted(moved)
    for step, (z, empirical, n) in plain.items():
        if z is None or moved[step][0] is None:  # the mean of several months may round, and one ulp is a spread
            assert scale > 1 or moved[step][:2] == (z, empirical)
            continue
        if scale == 1:
            assert moved[step] == (pytest.approx(z, abs=1e-8), empirical, n)


@settings(max_examples=60, deadline=None)
@given(values, st.randoms(use_true_random=False))
def test_the_order_of_the_list_does_not_matter(pairs, random):
    shuffled = list(pairs)
    random.shuffle(shuffled)
    assert index(*zip(*pairs, strict=True)) == index(*zip(*shuffled, strict=True))


@settings(max_examples=60, deadline=None)
@given(values)
def test_a_wetter_month_never_has_a_smaller_index(pairs):
    v = dict(pairs)
    found = index(*zip(*pairs, strict=True), reference=(0, 7 * 12)) or {}
    for month in range(12):
        steps = sorted((s for s in found if s % 12 == month and found[s][0] is not None), key=v.__getitem__)
        for place in (0, 1):
            ordered = [found[s][place] for s in steps]
            assert all(a <= b for a, b in pairwise(ordered))
