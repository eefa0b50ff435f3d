"""permuted_q: a test that holds its level where y is autocorrelated, and finds what is there."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from udfs.distributions import f_p
from udfs.permutation import CANDIDATE_CELLS, MAP_CELLS, permuted_q

INTEGER = pa.int32()


def smooth(generator, shape, reach):
    """Autocorrelated noise: white noise averaged over a window that wraps around."""
    field = np.fft.rfft2(generator.normal(size=shape))
    window = np.zeros(shape)
    window[:reach, :reach] = 1.0
    return np.fft.irfft2(field * np.fft.rfft2(window), shape)


def cells_of(x, k):
    """Quantile strata of x as cells 1 .. k."""
    edges = np.quantile(x[np.isfinite(x)], np.linspace(0, 1, k + 1)[1:-1])
    return np.where(np.isfinite(x), np.searchsorted(edges, x) + 1, 0)


def members(y, cell, step=1):
    """Pixels of a map; cell 0: not in the sample."""
    rows = []
    for (i, j), value in np.ndenumerate(y):
        if np.isfinite(value):
            rows.append((7 + step * i, 3 + step * j, float(value), int(cell[i, j]) or None))
    return [dict(zip(("row_index", "col_index", "deviation", "cell"), row, strict=True)) for row in rows]


def nested(cells, groupings):
    """Candidates that join neighbouring cells: each grouping is how many cells a stratum has."""
    return [
        {"candidate": i, "upper_cell": min(upper, cells)}
        for i, width in enumerate(groupings, 1)
        for upper in range(width, cells + width, width)
    ]


def q_of(y, cell, groupings=(1,)):
    kept = np.isfinite(y) & (cell > 0)
    y, cell = y[kept] - y[kept].mean(), cell[kept]
    found = []
    for width in groupings:
        stratum = (cell - 1) // width
        n, total = np.bincount(stratum), np.bincount(stratum, y)
        found.append((total[n > 0] ** 2 / n[n > 0]).sum() / (y @ y))
    return max(found)


def permute(cells, candidates, q, draws=99, seed=1):
    columns = [pa.array([cells], MAP_CELLS), pa.array([candidates], CANDIDATE_CELLS), pa.array([q], pa.float64())]
    return permuted_q(*columns, pa.array([draws], INTEGER), pa.array([seed], INTEGER))[0].as_py()


def test_it_holds_its_level_where_f_does_not():
    generator = np.random.default_rng(11)
    p, naive = [], []
    for _ in range(120):
        y, x = smooth(generator, (40, 40), 6), smooth(generator, (40, 40), 6)
        y[generator.random(y.shape) < 0.1] = np.nan
        cell = cells_of(x, 12)
        q = q_of(y, cell, (2, 3, 4))
        p.append(permute(members(y, cell), nested(12, (2, 3, 4)), q)["p"])
        n, strata = np.isfinite(y).sum(), 4
        f = (n - strata) * q / ((strata - 1) * (1 - q))
        naive.append(f_p(pa.array([f]), pa.array([strata - 1.0]), pa.array([n - strata + 0.0]))[0].as_py())
    p, naive = np.array(p), np.array(naive)
    assert np.mean(naive < 0.05) > 0.6  # the ANOVA calls most pairs of unrelated maps significant
    assert np.mean(p <= 0.05) < 0.13
    assert np.mean(p <= 0.5) == pytest.approx(0.5, abs=0.15)


def test_a_true_effect_has_the_smallest_p():
    generator = np.random.default_rng(3)
    x = smooth(generator, (40, 40), 5)
    y = x / x.std() + smooth(generator, (40, 40), 5) / 5
    cell = cells_of(x, 12)
    found = permute(members(y, cell), nested(12, (2, 3)), q_of(y, cell, (2, 3)), draws=199)
    assert found["p"] == 1 / 200
    assert found["n_draws"] == 199
    assert 0 < found["q_mean"] < found["q_95"] < q_of(y, cell)


def test_a_draw_is_a_shift_of_the_whole_map():
    """Every q that is drawn is that of one of the shifts, turned or not, over the pixels where both maps are."""
    generator = np.random.default_rng(8)
    y = generator.normal(size=(5, 4))
    y[0, 0] = np.nan
    cell = generator.integers(1, 4, y.shape)
    cell[1, 1] = 0
    sample = np.isfinite(y) & (cell > 0)
    shifted, turned = set(), set()
    for found, field in ((shifted, y), (turned, y[::-1, ::-1])):
        for i in range(5):
            for j in range(4):
                moved = np.roll(field, (i, j), (0, 1))
                if (np.isfinite(moved) & sample).sum() * 2 >= sample.sum():
                    found.add(round(q_of(moved, np.where(sample, cell, 0)), 8))
    possible = shifted | turned
    candidates = nested(3, (1,))
    first, second = set(), set()
    for seed in range(60):
        one, two = (permute(members(y, cell), candidates, 0.5, draws=draws, seed=seed) for draws in (1, 2))
        assert one["q_mean"] == one["q_95"]
        first.add(round(one["q_mean"], 8))
        second.add(round(2 * two["q_mean"] - one["q_mean"], 8))
    assert first <= shifted and second <= turned
    assert len(first) > 12 and len(second - shifted) > 12
    low, high = min(possible), max(possible)
    assert permute(members(y, cell), candidates, low - 1e-9, 50)["p"] == 1.0
    assert permute(members(y, cell), candidates, high + 1e-9, 50)["p"] == 1 / 51


def test_the_optimisation_is_run_again():
    generator = np.random.default_rng(9)
    y, x = smooth(generator, (20, 20), 3), smooth(generator, (20, 20), 3)
    cells, q = members(y, cells_of(x, 12)), q_of(y, cells_of(x, 12), (3,))
    one, many = permute(cells, nested(12, (3,)), q), permute(cells, nested(12, (3, 4, 6)), q)
    assert many["q_mean"] > one["q_mean"] - 1e-12
    assert many["p"] >= one["p"]
    finer = permute(cells, nested(12, (3, 1)), q)
    assert finer["q_mean"] > one["q_mean"]


def test_order_and_step_do_not_matter_and_the_seed_does():
    generator = np.random.default_rng(1)
    y, cell = smooth(generator, (21, 20), 3), cells_of(smooth(generator, (21, 20), 3), 6)
    y[:2, :4] = np.nan
    rows, candidates = members(y, cell), nested(6, (1, 2))
    found = permute(rows, candidates, 0.2)
    shuffled = [rows[i] for i in generator.permutation(len(rows))]
    assert permute(shuffled, candidates[::-1], 0.2) == found
    assert permute(members(y, cell, step=4), candidates, 0.2) == found  # 412 pixels of every 4th row and column
    assert permute(rows, candidates, 0.2, seed=2) != found
    assert permute([{**row, "deviation": 5.0 + 2.0 * row["deviation"]} for row in rows], candidates, 0.2)[
        "q_mean"
    ] == pytest.approx(found["q_mean"], rel=1e-9)


def test_a_sample_moves_over_the_whole_map():
    generator = np.random.default_rng(6)
    y, cell = smooth(generator, (40, 40), 6), cells_of(smooth(generator, (40, 40), 6), 5)
    scattered = np.where(generator.random(cell.shape) < 0.2, cell, 0)
    found = permute(members(y, scattered), nested(5, (1,)), 0.3)
    assert found["n_draws"] == 99
    alone = members(np.where(scattered > 0, y, np.nan), scattered)
    assert permute(alone, nested(5, (1,)), 0.3)["n_draws"] == 0  # scattered at random: no shift lays them on each other


def test_nothing_to_draw():
    row = {"row_index": 0, "col_index": 0, "deviation": 1.0, "cell": 1}
    candidates = nested(1, (1,))
    assert permute([row], candidates, 0.5) == {"p": None, "n_draws": 0, "q_mean": None, "q_95": None}
    for cells, some, q, draws in (
        (None, candidates, 0.5, 9),
        ([], candidates, 0.5, 9),
        ([{**row, "cell": None}], candidates, 0.5, 9),
        ([{**row, "deviation": None}], candidates, 0.5, 9),
        ([row], [], 0.5, 9),
        ([row], None, 0.5, 9),
        ([row], candidates, None, 9),
        ([row], candidates, float("nan"), 9),
        ([row], candidates, 0.5, 0),
        ([row], candidates, 0.5, None),
    ):
        assert permute(cells, some, q, draws) is None
    constant = members(np.ones((4, 4)), np.ones((4, 4), int))
    assert permute(constant, candidates, 0.5)["n_draws"] == 0


def test_what_is_refused():
    row = {"row_index": 0, "col_index": 0, "deviation": 1.0, "cell": 1}
    with pytest.raises(ValueError, match="two pixels at one place"):
        permute([row, row], nested(1, (1,)), 0.5)
    with pytest.raises(ValueError, match="cells are counted from 1"):
        permute([{**row, "cell": 0}], nested(1, (1,)), 0.5)
    far = [
        row,
        {**row, "row_index": 2_000_000_000, "col_index": 1},
        {**row, "row_index": 1, "col_index": 2_000_000_000},
    ]
    with pytest.raises(ValueError, match=r"more than 2\^27 places"):
        permute(far, nested(1, (1,)), 0.5)


def test_rows_do_not_touch():
    generator = np.random.default_rng(5)
    lists = [members(smooth(generator, (12, 12), 3), cells_of(smooth(generator, (12, 12), 3), 4)) for _ in range(3)]
    alone = [permute(rows, nested(4, (1, 2)), 0.1) for rows in lists]
    columns = [
        pa.array([lists[0], None, *lists], MAP_CELLS),
        pa.array([nested(4, (1, 2))] * 5, CANDIDATE_CELLS),
        pa.array([0.1] * 5),
        pa.array([99] * 5, INTEGER),
        pa.array([1] * 5, INTEGER),
    ]
    assert permuted_q(*(column.slice(1) for column in columns)).to_pylist() == [None, *alone]
