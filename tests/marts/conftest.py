"""One generated warehouse for all tests of the marts: 30 pixels, eleven years, and everything that goes wrong with data."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.marts import reference
from tests.marts.seasons import ruled  # noqa: F401  (a fixture: built once a session for all modules)
from tests.warehouse import Warehouse, small_grid

START, END = date(2005, 4, 1), date(2016, 10, 1)
N_ROWS, N_COLS = 5, 6
CONSTANT = (0, 1)
LATE = 7
STABILITY_PERIODS = ("all", "year")
MAX_LAG = 3
TRENDS = {"time_steps": ["year", "month"], "seasons": ["annual", "DJF", "JJA"], "min_valid": 8, "min_months_share": 0.6}


@dataclass(frozen=True)
class Analysed:
    """One series of the study: what the reference is computed from, and the rules of its trends."""

    variable: str
    months: pl.DataFrame
    rules: reference.TrendRules
    is_classed: bool = False


@dataclass(frozen=True)
class Built:
    """The built warehouse beside the data it was built from."""

    house: Warehouse
    members: pl.DataFrame
    series: tuple[Analysed, ...]

    def mart(self, name: str, variable: str) -> pl.DataFrame:
        """The rows of one mart for one variable."""
        return self.house.query(f"select * from marts.{name} where variable = ?", [variable])


def _daily(rng: np.random.Generator) -> pl.DataFrame:
    """Soil moisture and temperature. Values are multiples of 2^-10, so that a mean of days is one number in any order of adding."""
    days = pl.date_range(START, END, closed="left", eager=True)
    frame = pl.DataFrame({"pixel_id": pl.Series(range(N_ROWS * N_COLS), dtype=pl.Int32)}).join(
        pl.DataFrame({"obs_date": days}), how="cross"
    )
    pixel, day = frame["pixel_id"].to_numpy(), frame["obs_date"].dt.ordinal_day().to_numpy()
    month = (frame["obs_date"].dt.year() * 12 + frame["obs_date"].dt.month() - 1).to_numpy()
    elapsed = (frame["obs_date"] - START).dt.total_days().to_numpy() / 365.25
    slope = np.linspace(-0.006, 0.006, N_ROWS * N_COLS)[pixel]
    season = 0.06 * np.cos(2 * np.pi * day / 365)
    sm = 0.22 + 0.004 * pixel + slope * elapsed + season + rng.normal(0, 0.03, len(frame))
    sm = np.round(sm * 1024) / 1024
    sm[np.isin(pixel, CONSTANT)] = 0.25
    # Outages: of single days, of whole months of single pixels, of all pixels, of two dekads, and of the first years of one pixel.
    gone = rng.random(len(frame)) < 0.3
    gone |= rng.random((N_ROWS * N_COLS, 12 * 2020))[pixel, month] < 0.06
    gone |= np.isin(month, [2010 * 12 + 5, 2010 * 12 + 6])
    gone |= (month == 2012 * 12 + 2) & (frame["obs_date"].dt.day().to_numpy() > 10)
    gone |= (pixel == LATE) & (frame["obs_date"].dt.year().to_numpy() < 2012)
    gone &= ~np.isin(pixel, CONSTANT) | np.isin(month, [2010 * 12 + 5, 2010 * 12 + 6])
    temperature = np.round((8 * np.cos(2 * np.pi * day / 365) + 0.1 * elapsed + rng.normal(0, 3, len(frame))) * 16) / 16
    return frame.with_columns(
        sm=pl.Series(np.where(gone, -9999, sm).astype("float32")), t2m=pl.Series(temperature.astype("float32"))
    )


def _monthly(rng: np.random.Generator) -> pl.DataFrame:
    """Monthly rain without a gap in space, in whole millimetres, many of them 0: ties in rank and in time."""
    months = pl.date_range(START, END, interval="1mo", closed="left", eager=True)
    frame = pl.DataFrame({"pixel_id": pl.Series(range(N_ROWS * N_COLS), dtype=pl.Int32)}).join(
        pl.DataFrame({"obs_date": months}), how="cross"
    )
    rain = np.maximum(np.round(rng.normal(20, 30, len(frame))), 0)
    rain[frame["obs_date"].to_numpy() == np.datetime64("2011-07-01")] = 0  # a map without a drop
    return frame.with_columns(rain=pl.Series(rain.astype("float32")))


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Built once a session by dbt in a process of its own, with every data test and unit test of the models."""
    root: Path = tmp_path_factory.mktemp("marts")
    rng = np.random.default_rng(20050401)
    days, rain = _daily(rng), _monthly(rng)
    grid = small_grid(N_ROWS, N_COLS)
    house = Warehouse(root)
    house.grid("g", grid)
    house.product("field", "g", days, fills={"sm": -9999.0})
    house.product("rain", "g", rain, time_step="month")
    # Nested, overlapping, a single pixel, only constant pixels, and pixels that are in a region by less than half.
    inside = {
        "basin": dict.fromkeys(range(24), 1.0),
        "upper": {p: 0.5 + 0.02 * p for p in range(10)},
        "south": {**dict.fromkeys(range(15, 30), 0.8), 3: 0.2},
        "point": {12: 1.0},
        "flat": dict.fromkeys(CONSTANT, 1.0),
    }
    members = pl.DataFrame(
        [
            {"region_id": region, "pixel_id": p, "fraction": fraction}
            for region, pixels in inside.items()
            for p, fraction in pixels.items()
        ]
    )
    regions = pl.DataFrame({"region_id": list(inside), "name": list(inside), "level": 1, "area_km2": 1.0})
    house.regions("basins", "g", regions, members)
    house.study = {
        "name": "generated",
        "groups": ["patterns", "trends"],
        "period": {"start": str(START), "end": str(END)},
        "region": {"set": "basins"},
        "series": [
            {"variable": "soil_moisture", "product": "field", "layer": "0-5 cm", "column": "sm"},
            {"variable": "air_temperature", "product": "field", "column": "t2m"},
            {"variable": "precipitation", "product": "rain", "column": "rain"},
        ],
        "stability": {"periods": list(STABILITY_PERIODS)},
        "rank_stability": {"max_lag_months": MAX_LAG},
        "trends": TRENDS,
    }
    house.dbt("build")
    weights = members.filter(pl.col("fraction") >= 0.5).join(grid.select("pixel_id", "area_km2"), on="pixel_id")
    rules = {"time_steps": TRENDS["time_steps"], "seasons": TRENDS["seasons"], "min_valid": 8, "min_months_share": 0.6}
    values = days.with_columns(pl.col("sm", "t2m").cast(pl.Float64))
    return Built(
        house,
        weights.select("region_id", "pixel_id", weight_km2=pl.col("area_km2") * pl.col("fraction")),
        (
            Analysed(
                "soil_moisture",
                reference.months_of_days(
                    values.filter(pl.col("sm") != -9999).select("pixel_id", "obs_date", value="sm"), "mean"
                ),
                reference.TrendRules(**rules, epsilon=0.0005, falling="drying", rising="wetting"),
                is_classed=True,
            ),
            Analysed(
                "air_temperature",
                reference.months_of_days(values.select("pixel_id", "obs_date", value="t2m"), "mean"),
                reference.TrendRules(**rules, epsilon=0.01),
            ),
            Analysed(
                "precipitation",
                rain.select(pl.col("pixel_id").cast(pl.Int64), month="obs_date", value=pl.col("rain").cast(pl.Float64)),
                reference.TrendRules(**rules, is_total=True, epsilon=1.0),
            ),
        ),
    )
