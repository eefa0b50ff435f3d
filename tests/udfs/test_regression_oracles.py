"""Partial regression against R: lm, summary.lm and partial correlations."""

from __future__ import annotations

import csv

import pyarrow as pa
import pytest

from tests.conftest import count_cases
from udfs.regression import OBSERVATIONS, partial_regression

COLUMNS = {
    "coefficient": "partial_reg_coef",
    "coefficient_standardised": "std_beta",
    "se": "se",
    "vif": "vif",
    "t": "t",
    "p": "p",
    "partial_r": "partial_r",
    "partial_r_p": "partial_p",
}


def read(path):
    with path.open(newline="") as file:
        return list(csv.reader(file))


@pytest.mark.parametrize("case", ["mtcars", "stackloss", "synthetic_n21_1", "synthetic_n21_2"])
def test_oracle(shared, case):
    folder = shared / "oracles" / "partial" / case
    names, *rows = read(folder / "input.csv")
    observed = [{"y": float(y), "x": [float(value) for value in x]} for y, *x in rows]
    result = partial_regression(pa.array([observed], OBSERVATIONS))[0].as_py()
    head, *expected = read(folder / "r_lm_partial.csv")
    for line in expected:
        theirs = dict(zip(head, line, strict=True))
        mine = result["factors"][names.index(theirs["x"]) - 1]
        assert mine["factor"] == names.index(theirs["x"])
        assert (result["n"], result["df"]) == (int(theirs["n"]), int(theirs["partial_df"]))
        assert result["r2"] == pytest.approx(float(theirs["r2"]), rel=1e-10)
        for ours, column in COLUMNS.items():
            assert mine[ours] == pytest.approx(float(theirs[column]), rel=1e-10), (theirs["x"], ours)
    count_cases("partial regression, R", len(expected))
