"""The studies of the real files as their headers say: loaded and built whole by the command line, a handful of numbers against numpy.

Not among the tests of `make test`, whose files begin with test_: a study takes a minute or more. `make test-real-studies` runs them.
"""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pytest
import rasterio
import xarray

from tests.conftest import count_cases
from tests.marts import drivers_reference, real, reference
from tests.warehouse import REPOSITORY

GIB_OF_KIB = 1024**2
COMMAND = (sys.executable, "-m", "soilhouse", "build")
LAND_COVER = "data/land_cover_global/IGBP.nc"
ERA5 = "data/era5_land/era5-land-monthly-temp-precip-1990-2025-sierra-leone.nc"


@dataclass(frozen=True)
class Built:
    """The database of a study, and what the build said."""

    database: Path
    said: str

    def query(self, sql: str) -> pl.DataFrame:
        with duckdb.connect(str(self.database), read_only=True) as connection:
            return connection.execute(sql).pl()


@pytest.fixture(scope="module")
def lake(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One lake for the three, as on a desk."""
    root = tmp_path_factory.mktemp("studies")
    usa = shared / "data/conus_table"
    real.load(root, "table", usa / "conus_daily_2015-04_2016-03.csv.gz", "--as", "conus_daily", "--grid", "ease2_m36")
    real.load(root, "table", usa / "conus_static.csv", "--as", "conus_static", "--grid", "ease2_m36")
    real.load(root, "chirps_monthly", shared / "data/chirps_java_monthly")
    real.load(root, "era5_land_monthly", shared / ERA5)
    real.load(root, "land_cover_0p1", shared / LAND_COVER)
    return root / "lake"


@pytest.fixture(scope="module")
def build(lake: Path) -> Callable[[str], Built]:
    def of(name: str) -> Built:
        root = lake.parent
        own = {"DBT_TARGET_PATH": str(root / "target"), "DBT_LOG_PATH": str(root / "logs")}
        database = root / f"{name}.duckdb"
        done = subprocess.run(
            [*COMMAND, f"studies/{name}.yml", "--lake", str(lake), "--db", str(database)],
            cwd=REPOSITORY,
            env=os.environ | own,
            capture_output=True,
            text=True,
            check=False,
        )
        said = done.stdout + done.stderr
        assert done.returncode == 0, said
        tables, tests = map(int, re.search(r"([\d,]+) tables and views built, ([\d,]+) tests passed", said).groups())
        assert tables > 90 and tests > 500
        count_cases(f"{name}, tables and tests", tables + tests)
        assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 4 * GIB_OF_KIB
        return Built(database, said)

    return of


def test_usa(shared: Path, build: Callable[[str], Built]) -> None:
    """Every covered month of soil moisture, and how much of its mean land cover explains."""
    built = build("conus")
    days = pl.read_csv(shared / "data/conus_table/conus_daily_2015-04_2016-03.csv.gz", try_parse_dates=True)
    days = real.with_pixels(built, days.rename({"date": "obs_date"}))
    values = days.select("pixel_id", "obs_date", value="soil_moisture").drop_nulls()
    months = reference.months_of_days(values, "mean")
    theirs = reference.monthly_statistics(months, real.everywhere(days))
    ours = built.query("select * from marts.fct_monthly_statistics where variable = 'soil_moisture'")
    count_cases("conus, monthly statistics", reference.assert_same(ours, theirs, ["region_id", "month"]))

    year = months.group_by("pixel_id").agg(pl.col("value").mean(), n=pl.len()).filter(pl.col("n") >= 6)
    static = real.with_pixels(built, pl.read_csv(shared / "data/conus_table/conus_static.csv"))
    both = year.with_columns(pl.col("pixel_id").cast(pl.Int64)).join(static, on="pixel_id")
    found = built.query(
        "select q, q_rank from marts.fct_factor_detector where factor = 'land_cover' and period_kind = 'all'"
    )
    assert found["q"].item() == pytest.approx(
        drivers_reference.q_of(both["value"].to_numpy(), both["land_cover"].to_numpy()), rel=1e-9
    )
    assert found["q_rank"].item() == 1
    assert built.query("select count(*) from marts.fct_correlation where unit_kind = 'pixel'").item() > 0


def test_java(shared: Path, build: Callable[[str], Built]) -> None:
    """One month of rain, and the least-squares slope of the annual totals of every pixel."""
    built = build("java")
    totals: dict[int, np.ndarray] = {}
    for path in sorted((shared / "data/chirps_java_monthly").glob("*.tif")):
        with rasterio.open(path) as raster:
            values = raster.read(1).astype("float64")
        values = values[values >= 0]
        year, month = (int(part) for part in path.stem.split("v2.0.")[1].split("."))
        totals[year] = totals.get(year, 0) + values
        if (year, month) == (2013, 1):
            row = built.query(
                "select n_pixels, min, mean, max, sd from marts.fct_monthly_statistics where month = date '2013-01-01'"
            ).row(0)
            assert row == pytest.approx(
                (4908, values.min(), values.mean(), values.max(), values.std(ddof=1)), rel=1e-12
            )
    slopes = np.polyfit(np.arange(len(totals)), np.array([totals[y] for y in sorted(totals)]), 1)[0]
    ours = built.query(
        "select ols_slope_per_year from marts.fct_trends where time_step = 'year' and season = 'annual' order by pixel_id"
    )["ols_slope_per_year"]
    np.testing.assert_allclose(ours, slopes, rtol=1e-8, atol=1e-9)
    count_cases("java, slopes", len(ours))
    used = built.query("select factor, n_used from marts.fct_factor_detector where period_kind = 'all' order by factor")
    assert used.rows() == [("land_cover", 4158), ("latitude", 4908), ("longitude", 4908)]


def test_sierra_leone(shared: Path, build: Callable[[str], Built]) -> None:
    """Warming of 35 years, and the correlation of rain with temperature in the mean of all pixels."""
    built = build("sierra_leone")
    with xarray.open_dataset(shared / ERA5, engine="netcdf4") as dataset:
        cut = dataset.sel(valid_time=slice("1990-01-01", "2024-12-31"))
        t2m = cut["t2m"].to_numpy().astype("float64") - 273.15
        days = cut.valid_time.dt.days_in_month.to_numpy()
        rain = cut["tp"].to_numpy().astype("float64") * 1000 * days[:, None, None]
        area = real.area_of_cell(cut.latitude.to_numpy(), 0.1)[:, None] * np.ones(t2m.shape[2])
    known = np.isfinite(t2m[0])
    annual = t2m[:, known].reshape(35, 12, -1).mean(axis=1)
    slopes = np.polyfit(np.arange(35), annual, 1)[0]
    query = (
        "select count(*) as n, avg(ols_slope_per_year) as slope, min(n_years) as n_years from marts.fct_trends"
        " where variable = 'air_temperature' and time_step = 'year' and season = 'annual'"
    )
    row = built.query(query).row(0, named=True)
    assert (row["n"], row["n_years"]) == (known.sum(), 35) and row["slope"] == pytest.approx(slopes.mean(), rel=1e-6)
    assert round(10 * row["slope"], 2) == 0.21

    means = [np.average(values[:, known], axis=1, weights=area[known]) for values in (rain, t2m)]
    ours = built.query(
        "select coefficient, n from marts.fct_correlation where unit_kind = 'region' and factor = 'air_temperature'"
        " and time_step = 'month' and on_values = 'raw'"
    ).row(0)
    assert ours == pytest.approx((np.corrcoef(*means)[0, 1], 420), rel=1e-7)
    first = built.query("select min(month) from marts.fct_monthly_statistics").item()
    assert first == date(1990, 1, 1)
    count_cases("sierra_leone, slopes", int(known.sum()))
