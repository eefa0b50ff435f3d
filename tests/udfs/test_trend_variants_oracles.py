"""The variants of Mann-Kendall's test against the stored tables of pymannkendall."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from tests.conftest import count_cases
from tests.udfs.series_arrays import from_columns
from tests.udfs.test_trend_oracles import CASES, close, number, read
from udfs.trend_variants import hamed_rao, seasonal_kendall, trend_free_prewhitening

MONTHS = pa.array([12], pa.int32())
KERNELS = {
    "hamed_rao": hamed_rao,
    "tfpw": trend_free_prewhitening,
    "seasonal12": lambda series: seasonal_kendall(series, MONTHS),
}


@pytest.mark.parametrize("case", CASES)
def test_oracle(shared, case):
    folder = shared / "oracles" / "trend" / case
    values = read(folder / "input.csv")
    ran = 0
    for theirs in read(folder / "pymannkendall.csv"):
        if theirs["test"] not in KERNELS:
            continue
        v = np.array([number(row[theirs["pixel"]]) for row in values])
        ours = KERNELS[theirs["test"]](from_columns(np.arange(v.size), v))[0].as_py()
        if ours is None:
            assert np.isfinite(v).sum() < 4
            continue
        ran += 1
        assert ours["n"] == np.isfinite(v).sum()
        close(ours["slope"], theirs["slope"])
        if np.nanmax(v) == np.nanmin(v):  # the peer divides 0 by 0
            assert (ours["s"], ours["var_s"], ours["z"], ours["p"]) == (0, 0.0, 0.0, 1.0)
            continue
        assert ours["s"] == int(number(theirs["s"]))
        close(ours["var_s"], theirs["var_s"])
        if ours["z"] is None:
            assert ours["var_s"] < 0 and ours["p"] is None and np.isnan(number(theirs["z"]))
            continue
        close(ours["z"], theirs["z"])
        close(ours["p"], theirs["p"], absolute=1e-15)
        if "tau" in ours:
            close(ours["tau"], theirs["tau"])
    count_cases(f"trend variants oracles, {case}", ran)
