"""Semivariograms and fitted models against the tables of gstat (R) and scikit-gstat."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tests.conftest import count_cases
from tests.udfs.map_arrays import cells, doubles, ours, whole
from udfs import lattice
from udfs.lags import by_distance
from udfs.lattice import Lattice, add_lattice, one_value_a_cell
from udfs.semivariogram import _bins, semivariogram
from udfs.semivariogram_fit import EMPIRICAL_BINS, fit_semivariogram

CASES = ["coalash_grid", "grid_exp_nan", "grid_sph", "meuse_lead_boundaries", "meuse_logzinc", "meusegrid_dist_masked"]
SIDE = {"meusegrid_dist_masked": 40.0}
WEIGHTINGS = {1: "n", 6: "ols", 7: "n_over_h2"}
MODELS = {"Lin0": "linear", "Sph": "spherical", "Exp": "exponential", "Gau": "gaussian"}


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return [{name: value.strip() for name, value in row.items()} for row in csv.DictReader(file)]


def empirical(folder: Path) -> list[tuple[int, float, float]]:
    rows = [row for row in read(folder / "gstat_empirical.csv") if row["estimator"] == "matheron"]
    return [(int(row["np"]), float(row["dist"]), float(row["gamma"])) for row in rows]


@pytest.mark.parametrize("case", CASES)
def test_empirical(shared, monkeypatch, case):
    folder = shared / "oracles" / "variogram" / case
    rows = [row for row in read(folder / "input.csv") if row["z"] not in ("NA", "")]
    x, y, z = (np.array([float(row[name]) for row in rows]) for name in "xyz")
    side = SIDE.get(case, 1.0)
    meta = json.loads((folder / "meta.json").read_text())
    upper = np.array(meta["boundaries"] or [], float)
    if not upper.size:
        n_bins = round(meta["cutoff"] / meta["width"])
        upper = meta["cutoff"] * np.arange(1, n_bins + 1) / n_bins
    expected = empirical(folder)
    fields = {"row_index": np.rint((y.max() - y) / side), "col_index": np.rint((x - x.min()) / side), "v": z}
    grid = one_value_a_cell(fields["row_index"].astype(int), fields["col_index"].astype(int), z)
    n = 0
    # Points of the Meuse lie on whole metres, a grid too wide to transform; the others are done both ways.
    for cost in (0.0,) if case.startswith("meuse_l") else (0.0, 1e12):
        monkeypatch.setattr(lattice, "NS_A_PAIR", cost)
        sums = by_distance(upper)
        add_lattice(sums, Lattice(*grid, (side, 0.0), (0.0, -side)))
        direction, _, lag, _, pairs, gamma = _bins(sums)
        every = direction == "all"
        assert pairs[every].tolist() == [row[0] for row in expected]
        assert lag[every] == pytest.approx([row[1] for row in expected], rel=1e-10)
        assert gamma[every] == pytest.approx([row[2] for row in expected], rel=1e-10)
        n += len(expected)
    if not meta["boundaries"]:
        done = semivariogram(cells(fields), doubles(side), doubles(side), doubles(meta["cutoff"]), whole(len(upper)))
        found = ours(done[0].as_py())
        assert [found["all", k + 1][1] for k in range(len(upper))] == [row[0] for row in expected]
    count_cases(f"semivariogram oracles, {case}, bins", n)


@pytest.mark.parametrize("case", CASES)
def test_fits(shared, case):
    folder = shared / "oracles" / "variogram" / case
    n, h, g = (np.array(column, float) for column in zip(*empirical(folder), strict=True))
    bins = [{"lag_m": a, "n_pairs": int(b), "semivariance": c} for a, b, c in zip(h, n, g, strict=True)]
    shape = {
        "Lin0": lambda a: h,
        "Sph": lambda a: np.where(h < a, 1.5 * h / a - 0.5 * (h / a) ** 3, 1.0),
        "Exp": lambda a: 1 - np.exp(-h / a),
        "Gau": lambda a: 1 - np.exp(-((h / a) ** 2)),
    }
    ran = better = 0
    for row in read(folder / "gstat_fits.csv"):
        weighting = WEIGHTINGS.get(int(row["fit_method"]))
        theirs = {name: float(row[name]) for name in ("nugget", "psill", "range", "SSErr", "RSS", "R2")}
        if weighting is None or row["note"] or min(theirs["nugget"], theirs["psill"]) < 0:
            continue
        fitted = fit_semivariogram(
            pa.array([bins], EMPIRICAL_BINS), pa.array([MODELS[row["model"]]]), pa.array([weighting]), doubles(0.0)
        )[0].as_py()
        # What gstat calls its sum of squares is ours, at its own parameters.
        weights = {"n": n, "ols": np.ones(h.size), "n_over_h2": n / h**2}[weighting]
        at_theirs = weights @ (g - theirs["nugget"] - theirs["psill"] * shape[row["model"]](theirs["range"])) ** 2
        assert at_theirs == pytest.approx(theirs["SSErr"], rel=1e-6)
        assert fitted["weighted_rss"] <= theirs["SSErr"] * (1 + 1e-6)
        if fitted["weighted_rss"] > theirs["SSErr"] * (1 - 1e-8):  # it sits at the optimum
            assert fitted["nugget"] == pytest.approx(theirs["nugget"], rel=1e-3, abs=1e-6 * fitted["sill"])
            assert fitted["rss"] == pytest.approx(theirs["RSS"], rel=1e-3)
            assert fitted["r2"] == pytest.approx(theirs["R2"], abs=1e-4)
            if row["model"] == "Lin0":
                assert fitted["slope"] == pytest.approx(theirs["psill"], rel=1e-3)
            else:
                assert fitted["partial_sill"] == pytest.approx(theirs["psill"], rel=1e-3)
                assert fitted["range_parameter_m"] == pytest.approx(theirs["range"], rel=1e-3)
        else:
            better += 1
        ran += 1
    assert ran - better >= 4, "gstat finds the optimum of several models of every case"
    count_cases(f"semivariogram oracles, {case}, fits", ran)
