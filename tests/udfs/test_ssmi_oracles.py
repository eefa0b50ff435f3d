"""SSMI against the tables of another implementation: z with n - 1 and Gringorten's form, pixel by pixel and month by month."""

from __future__ import annotations

import csv

import pyarrow as pa
import pytest

from tests.conftest import count_cases
from tests.udfs.series_arrays import from_columns
from udfs.ssmi import ssmi

CASES = ["synthetic_monthly_21y"]


def month_number(text: str) -> int:
    year, month = text.split("-")[:2]
    return 12 * int(year) + int(month) - 1


@pytest.mark.parametrize("case", CASES)
def test_oracle(shared, case):
    folder = shared / "oracles" / "ssmi" / case
    with (folder / "expected.csv").open(newline="") as file:
        expected = list(csv.DictReader(file))
    ran = 0
    for pixel in {row["pixel"] for row in expected}:
        rows = {month_number(row["month"]): row for row in expected if row["pixel"] == pixel}
        series = from_columns(rows, (float(row["value"]) for row in rows.values()))
        arguments = (pa.array([number], pa.int32()) for number in (min(rows), max(rows) + 1, 1))
        found = {member["t"]: member for member in ssmi(series, *arguments)[0].as_py()}
        assert sorted(found) == sorted(rows)
        for step, row in rows.items():
            ours = found[step]
            assert ours["ssmi"] == pytest.approx(float(row["z_monthly_ddof1"]), rel=1e-10, abs=1e-10)
            assert ours["ssmi_empirical"] == pytest.approx(float(row["empirical_gringorten"]), rel=1e-10, abs=1e-10)
            assert ours["n"] == len(rows) // 12
            ran += 1
    count_cases(f"ssmi oracles, {case}", ran)
