"""The USA, April 2015 to March 2016: SMAP soil moisture, precipitation and air temperature of 412 EASE-Grid cells, from a CSV."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import polars as pl
import pytest

from tests.conftest import count_cases
from tests.marts import real, reference
from tests.warehouse import Warehouse

START, END = date(2015, 4, 1), date(2016, 4, 1)
COLUMNS = {
    "soil_moisture": pl.col("soil_moisture"),
    "precipitation": pl.col("precipitation") * 24,
    "air_temperature": pl.col("air_temperature") - 273.15,
}
RULES = {
    "soil_moisture": reference.TrendRules(("month",), epsilon=0.0005, falling="drying", rising="wetting"),
    "precipitation": reference.TrendRules(("month",), is_total=True, epsilon=1.0),
    "air_temperature": reference.TrendRules(("month",), epsilon=0.01),
}
STUDY = {
    "name": "conus",
    "groups": ["patterns", "trends"],
    "period": {"start": str(START), "end": str(END)},
    "series": [
        {"variable": "soil_moisture", "product": "conus", "layer": "0-5 cm", "column": "soil_moisture"},
        {"variable": "precipitation", "product": "conus", "column": "precipitation", "scale": 24},
        {"variable": "air_temperature", "product": "conus", "column": "air_temperature", "offset": -273.15},
    ],
    "trends": {"time_steps": ["month"]},
}


@pytest.fixture(scope="module")
def house(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    root = tmp_path_factory.mktemp("conus")
    table = shared / "data/conus_table/conus_daily_2015-04_2016-03.csv.gz"
    real.load(root, "table", table, "--as", "conus", "--grid", "ease2_m36")
    return real.build(root, STUDY)


@pytest.fixture(scope="module")
def days(shared: Path, house: Warehouse) -> pl.DataFrame:
    frame = pl.read_csv(shared / "data/conus_table/conus_daily_2015-04_2016-03.csv.gz", try_parse_dates=True)
    return real.with_pixels(house, frame.rename({"date": "obs_date"}))


@pytest.fixture(params=list(COLUMNS))
def variable(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def months(days: pl.DataFrame, variable: str) -> pl.DataFrame:
    values = days.select("pixel_id", "obs_date", value=COLUMNS[variable]).drop_nulls()
    return reference.months_of_days(values, "total" if variable == "precipitation" else "mean")


def mart(house: Warehouse, name: str, variable: str) -> pl.DataFrame:
    return house.query(f"select * from marts.{name} where variable = ?", [variable])


def test_what_was_loaded(days: pl.DataFrame) -> None:
    assert days["pixel_id"].n_unique() == 412 and days["obs_date"].n_unique() == 366
    assert days["area_km2"].min() == pytest.approx(36.03222**2, rel=1e-6)


def test_monthly_statistics(house: Warehouse, days: pl.DataFrame, variable: str, months: pl.DataFrame) -> None:
    theirs = reference.monthly_statistics(months, real.everywhere(days))
    assert len(theirs) == 12
    n = reference.assert_same(mart(house, "fct_monthly_statistics", variable), theirs, ["region_id", "month"])
    count_cases("USA, monthly statistics, numbers", n)


def test_temporal_stability(house: Warehouse, days: pl.DataFrame, variable: str, months: pl.DataFrame) -> None:
    periods = reference.periods(START, END, ("all", "year"))
    theirs = reference.temporal_stability(months, real.everywhere(days), periods, variable == "soil_moisture")
    ours = mart(house, "fct_temporal_stability", variable)
    n = reference.assert_same(ours, theirs, ["region_id", "pixel_id", "period_kind", "period_start"])
    count_cases("USA, temporal stability, numbers", n)


def test_rank_stability(house: Warehouse, days: pl.DataFrame, variable: str, months: pl.DataFrame) -> None:
    theirs = reference.rank_stability(months, real.everywhere(days), 12)
    assert len(theirs) == 12 * 11 / 2
    ours = mart(house, "fct_rank_stability", variable)
    n = reference.assert_same(ours, theirs, ["region_id", "month_1", "month_2"])
    count_cases("USA, rank stability, numbers", n)


def test_trends(house: Warehouse, variable: str, months: pl.DataFrame) -> None:
    theirs = reference.trends(months, RULES[variable])
    n = reference.assert_same(mart(house, "fct_trends", variable), theirs, ["pixel_id", "time_step", "season"])
    count_cases("USA, trends, numbers", n)
