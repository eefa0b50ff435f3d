"""Sierra Leone: ERA5-Land air temperature at 2 m, annual means of 1990 to 2024."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import xarray

from tests.conftest import count_cases
from tests.marts import real, reference
from tests.warehouse import Warehouse

FILE = "data/era5_land/era5-land-monthly-temp-precip-1990-2025-sierra-leone.nc"
START, END = date(1990, 1, 1), date(2025, 1, 1)
N_LAND = 922
RULES = reference.TrendRules(("year",), ("annual", "DJF"), epsilon=0.01)
STUDY = {
    "name": "sierra_leone",
    "groups": ["trends"],
    "period": {"start": str(START), "end": str(END)},
    "series": [{"variable": "air_temperature", "product": "era5_land_monthly"}],
    "trends": {"seasons": ["annual", "DJF"]},
}
EVERY = 4
"""Every fourth pixel is computed again, by libraries that need 10 ms a series; the mean warming is that of all."""
K_PER_DECADE = 0.21
"""The mean slope of ordinary least squares, found with other tools before there was a warehouse."""


@pytest.fixture(scope="module")
def house(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    root = tmp_path_factory.mktemp("sierra_leone")
    real.load(root, "era5_land_monthly", shared / FILE)
    return real.build(root, STUDY)


@pytest.fixture(scope="module")
def months(shared: Path, house: Warehouse) -> pl.DataFrame:
    with xarray.open_dataset(shared / FILE, engine="netcdf4") as dataset:
        t2m = dataset["t2m"].sel(valid_time=slice(str(START), "2024-12-31")).astype("float64") - 273.15
        time, row, col = np.nonzero(np.isfinite(t2m.to_numpy()))
        frame = pl.DataFrame(
            {
                "lon": t2m.longitude.to_numpy()[col],
                "lat": t2m.latitude.to_numpy()[row],
                "month": t2m.valid_time.to_numpy().astype("datetime64[D]")[time],
                "value": t2m.to_numpy()[time, row, col],
            }
        )
    return real.with_pixels(house, frame)


def test_mean_warming(house: Warehouse) -> None:
    query = """
        select count(*), round(10 * avg(ols_slope_per_year), 2), min(n_years), max(n_years) from marts.fct_trends
        where time_step = 'year' and season = 'annual'
    """
    assert house.query(query).row(0) == (N_LAND, K_PER_DECADE, 35, 35)


def test_trends(house: Warehouse, months: pl.DataFrame) -> None:
    sample = months["pixel_id"].unique().sort().gather_every(EVERY)
    theirs = reference.trends(months, RULES, sample)
    assert theirs.filter(pl.col("season") == "DJF")["n_values"].unique().to_list() == [
        34
    ]  # the first lacks its December
    ours = house.query("select * from marts.fct_trends").filter(pl.col("pixel_id").is_in(sample.implode()))
    n = reference.assert_same(ours, theirs, ["pixel_id", "time_step", "season"])
    count_cases("Sierra Leone, trends, numbers", n)
