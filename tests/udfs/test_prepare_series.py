"""The preparation of daily series in one pass, against its steps written out day by day, fill_gaps, savitzky_golay and scipy."""

from __future__ import annotations

import itertools

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import savgol_filter

from udfs.preparation import fill_gaps, savitzky_golay
from udfs.prepare_series import DAYS, prepare_series
from udfs.types import SERIES

SETTINGS = {
    "exclude_frozen": (True, pa.bool_()),
    "mean_half_width": (0, pa.int32()),
    "composite_days": (0, pa.int32()),
    "is_held": (False, pa.bool_()),
    "max_gap": (0, pa.int32()),
    "half_width": (0, pa.int32()),
    "order": (0, pa.int32()),
}


def prepared(days, **asked):
    """The kernel's row for a list of (t, v, is_frozen), as {t: (v, is_filled, is_frozen)}."""
    series = pa.array([[{"t": t, "v": v, "is_frozen": f} for t, v, f in days]], DAYS)
    columns = [pa.array([asked.get(name, value)], kind) for name, (value, kind) in SETTINGS.items()]
    row = prepare_series(series, *columns)[0].as_py()
    if row is None:
        return None
    assert [m["t"] for m in row] == sorted({m["t"] for m in row})
    return {m["t"]: (m["v"], m["is_filled"], m["is_frozen"]) for m in row}


def plain(days, exclude_frozen, mean_half_width, composite_days, is_held, max_gap):
    """Steps 1 to 4 of the definition, a day at a time."""
    values, frost = {}, {}
    for t, v, f in days:
        if f is not None:
            frost[t] = frost.get(t, False) or f
        if v is not None and np.isfinite(v):
            values.setdefault(t, []).append(v)
    values = {t: float(np.mean(sorted(v))) for t, v in values.items()}
    if exclude_frozen:
        values = {t: v for t, v in values.items() if not frost.get(t, False)}
    own = set(values)
    if values and mean_half_width:
        spread = range(min(values) - mean_half_width, max(values) + mean_half_width + 1)
        windows = {t: [v for s, v in values.items() if abs(s - t) <= mean_half_width] for t in spread}
        values = {t: float(np.mean(w)) for t, w in windows.items() if w}
    if values and composite_days and is_held:
        held = dict(values)
        for t in sorted(values):
            for later in range(t + 1, t + composite_days):
                if later in values:
                    break
                held[later] = values[t]
        values = held
    out = dict(values)
    for left, right in itertools.pairwise(sorted(values)):
        for t in range(left + 1, right):
            near = t - left <= max_gap and right - t <= max_gap
            if near or (composite_days and not is_held and right - left <= 2 * composite_days):
                out[t] = values[left] + (values[right] - values[left]) * ((t - left) / (right - left))
    if exclude_frozen:
        out = {t: v for t, v in out.items() if not frost.get(t, False)}
    return {t: (v, t not in own, frost.get(t)) for t, v in out.items()} or None


days_lists = st.lists(
    st.tuples(
        st.integers(-40, 40),
        st.one_of(st.none(), st.floats(-1e3, 1e3), st.just(float("nan"))),
        st.one_of(st.none(), st.booleans()),
    ),
    max_size=40,
)


@settings(max_examples=150, deadline=None)
@given(days_lists, st.booleans(), st.integers(0, 4), st.integers(0, 9), st.booleans(), st.integers(0, 9))
def test_it_is_its_definition(days, exclude_frozen, mean, composite, is_held, gap):
    asked = {
        "exclude_frozen": exclude_frozen,
        "mean_half_width": mean,
        "composite_days": composite,
        "is_held": is_held,
        "max_gap": gap,
    }
    found, expected = prepared(days, **asked), plain(days, exclude_frozen, mean, composite, is_held, gap)
    assert (found is None) == (expected is None)
    if expected is not None:
        assert {t: m[1:] for t, m in found.items()} == {t: m[1:] for t, m in expected.items()}
        for t, (value, _, _) in expected.items():
            assert found[t][0] == pytest.approx(value, rel=1e-12, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(days_lists, st.randoms())
def test_the_order_of_the_list_does_not_show(days, random):
    shuffled = list(days)
    random.shuffle(shuffled)
    asked = {"mean_half_width": 2, "max_gap": 5, "half_width": 2, "order": 1}
    assert prepared(days, **asked) == prepared(shuffled, **asked)


@pytest.mark.parametrize("gap, half, order", [(15, 5, 4), (3, 2, 1), (40, 7, 2)])
def test_filling_and_smoothing_are_those_of_the_single_kernels(gap, half, order):
    rng = np.random.default_rng(5)
    v = rng.normal(size=400)
    v[rng.random(400) < 0.4] = np.nan
    v[150:185] = np.nan
    series = pa.array([[{"t": t, "v": float(x)} for t, x in enumerate(v)]], SERIES)
    whole = fill_gaps(series, pa.array([gap], pa.int32()))
    plain_members = pa.array([[{"t": m["t"], "v": m["v"]} for m in whole[0].as_py()]], SERIES)
    smooth = savitzky_golay(plain_members, pa.array([half], pa.int32()), pa.array([order], pa.int32()))[0].as_py()
    found = prepared([(t, float(x), None) for t, x in enumerate(v)], max_gap=gap, half_width=half, order=order)
    assert {t: m[0] for t, m in found.items()} == {m["t"]: m["v"] for m in smooth}
    assert {t: m[1] for t, m in found.items()} == {m["t"]: m["is_filled"] for m in whole[0].as_py()}
    assert all(m[2] is None for m in found.values())


def test_smoothing_is_scipys():
    v = np.random.default_rng(6).normal(size=120)
    found = prepared([(t, float(x), False) for t, x in enumerate(v)], half_width=5, order=4)
    np.testing.assert_allclose([m[0] for m in found.values()], savgol_filter(v, 11, 4), rtol=1e-9, atol=1e-12)


def test_frost_is_never_filled_over():
    """A frozen day lies in a short gap: its neighbours are joined, it stays empty, and the filter does not reach across it."""
    days = [(0, 1.0, False), (1, None, False), (2, None, True), (3, 5.0, False), (4, 4.0, True)]
    assert prepared(days, max_gap=3) == {0: (1.0, False, False), 1: (1 + 4 / 3, True, False), 3: (5.0, False, False)}
    kept = prepared(days, max_gap=3, exclude_frozen=False)
    assert kept[2] == (pytest.approx(1 + 8 / 3), True, True)
    assert kept[4] == (4.0, False, True)


def test_settings_of_their_own_in_one_call():
    """Rows of different settings come back in their places; NULL settings and series are NULL."""
    row = [{"t": t, "v": float(t * t), "is_frozen": None} for t in (0, 1, 4, 9)]
    series = pa.array([row, row, None, row, [], row], DAYS)
    gap = pa.array([0, 5, 5, None, 5, 2], pa.int32())
    others = [pa.array([value] * 6, kind) for name, (value, kind) in SETTINGS.items() if name != "max_gap"]
    found = prepare_series(series, *others[:4], gap, *others[4:]).to_pylist()
    assert [None if r is None else len(r) for r in found] == [4, 10, None, None, None, 6]
    sliced = prepare_series(series[1:], *(c[1:] for c in others[:4]), gap[1:], *(c[1:] for c in others[4:]))
    assert sliced.to_pylist() == found[1:]


def test_impossible_settings_are_refused():
    for asked, said in (
        ({"max_gap": -1}, "max_gap is -1"),
        ({"mean_half_width": -2}, "mean_half_width is -2"),
        ({"half_width": 1, "order": 3}, "order 3 with half_width 1"),
    ):
        with pytest.raises(ValueError, match=said):
            prepared([(0, 1.0, None)], **asked)
    with pytest.raises(ValueError, match="400,000 days"):
        prepared([(0, 1.0, None), (2**31 - 1, 2.0, None)], max_gap=1)
