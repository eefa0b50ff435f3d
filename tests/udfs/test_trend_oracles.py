"""Mann-Kendall and Theil-Sen against the tables of pymannkendall, scipy and R (packages trend and Kendall)."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from tests.conftest import count_cases
from tests.udfs.series_arrays import from_columns
from udfs.trend import mann_kendall, theil_sen

CASES = ["airpassengers", "c3s_hawaii_annual_2003_2023", "pymk_tests_arbitrary", "synthetic_n21"]


def read(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def number(text: str) -> float:
    return float(text) if text not in ("", "NA", "NaN", "nan") else np.nan


def close(ours: float | None, theirs: str, rel: float = 1e-10, absolute: float = 1e-14) -> None:
    value = number(theirs)
    if not np.isnan(value):
        assert ours == pytest.approx(value, rel=rel, abs=absolute)


@pytest.mark.parametrize("case", CASES)
def test_oracle(shared, case):
    folder = shared / "oracles" / "trend" / case
    rows = read(folder / "input.csv")
    pymk = {row["pixel"]: row for row in read(folder / "pymannkendall.csv") if row["test"] == "original"}
    scipy = {row["pixel"]: row for row in read(folder / "scipy_ols_theil_cv.csv")}
    r = {row["pixel"]: row for row in read(folder / "r_trend_kendall.csv")}
    ran = 0
    for pixel in rows[0]:
        v = np.array([number(row[pixel]) for row in rows])
        series = from_columns(np.arange(v.size), v)
        test, line = mann_kendall(series)[0].as_py(), theil_sen(series)[0].as_py()
        is_gappy = np.isnan(v).any()

        theirs = scipy[pixel]
        if test is None:
            assert int(theirs["n_valid"]) < 3
            continue
        assert test["n"] == line["n"] == int(theirs["n_valid"])
        close(line["slope"], theirs["theil_slope"])
        close(line["intercept"], theirs["theil_intercept_separate"])
        close(line["slope_lower"], theirs["theil_lo95"])
        close(line["slope_upper"], theirs["theil_hi95"])
        if test["tau_b"] is not None:
            close(test["tau_b"], theirs["kendall_tau_b"])

        theirs = pymk[pixel]
        assert test["s"] == int(number(theirs["s"]))
        close(test["var_s"], theirs["var_s"])
        close(test["z"], theirs["z"])
        close(test["p"], theirs["p"], absolute=1e-15)
        close(test["tau_a"], theirs["tau"])
        if not is_gappy:  # it forgets where the gaps were
            close(line["slope"], theirs["slope"])

        theirs = r[pixel]
        close(test["s"], theirs["trend_S"])
        close(test["var_s"], theirs["trend_varS"])
        if test["var_s"] > 0:
            close(test["z"], theirs["trend_z"])
            close(test["p"], theirs["trend_p"], rel=0, absolute=2e-9)
        if not is_gappy:
            close(line["slope"], theirs["sens_slope"])
        ran += 1
    count_cases(f"trend oracles, {case}", ran)
