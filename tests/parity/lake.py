"""A small lake in which both engines meet what makes them differ: gaps, ties, constant pixels, fill values, NaN, flags, a time zone
east of Greenwich, regions that overlap, stations with and without quality flags."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from soilhouse.study import GROUPS
from tests.warehouse import Warehouse, small_grid

START, END = date(2018, 1, 1), date(2021, 1, 1)
N_ROWS, N_COLS = 6, 7
N_PIXELS = N_ROWS * N_COLS
FILL = -9999.0
SEED = 20180101

# A name of a region may hold anything.
UPPER = "upper reach's \\n"

# Pixels that are unlike the others.
CONSTANT, MOSTLY_MISSING, TIED = 0, 1, 2


def build_lake(root: Path) -> Warehouse:
    """Write the lake below `root`; the warehouse that comes back holds the study that uses all of it."""
    house = Warehouse(root)
    grid = small_grid(N_ROWS, N_COLS)
    house.grid("fine", grid)
    house.grid("coarse", small_grid(3, 3))
    _regions(house, grid)
    random = np.random.default_rng(SEED)
    house.product("field", "fine", _field(random), fills={"sm": FILL, "temperature": FILL})
    house.product("esa_cci_combined", "coarse", _flagged(random))
    house.product("spl2smp", "coarse", _overpasses(random), time_step="instant")
    house.product("chirps_monthly", "fine", _monthly_rain(random), time_step="month", fills={"precipitation": FILL})
    _stations(house, random)
    house.study = study()
    return house


def study() -> dict:
    """Every group, every kind of series, and the choices that are off by default."""
    return {
        "name": "parity",
        "groups": list(GROUPS),
        "period": {"start": START, "end": END},
        "time_zone": "Asia/Shanghai",
        "region": {"set": "basins", "ids": ["basin", UPPER]},
        "series": [
            {
                "variable": "soil_moisture",
                "product": "field",
                "layer": "5-10 cm",
                "column": "sm",
                "valid_min": 0,
                "valid_max": 0.6,
            },
            {"variable": "air_temperature", "product": "field", "column": "temperature", "scale": 0.1, "offset": -5},
            {"variable": "soil_moisture", "product": "esa_cci_combined", "layer": "0-5 cm"},
            {"variable": "soil_moisture", "product": "spl2smp", "layer": "0-5 cm"},
            {"variable": "precipitation", "product": "chirps_monthly"},
        ],
        "stations": ["network"],
        "trends": {
            "time_steps": ["month", "year"],
            "seasons": ["annual", "JJA", "DJF"],
            "min_valid": 3,
            "min_months_share": 0.6,
        },
        "stability": {"periods": ["all", "year"]},
        "rank_stability": {"max_lag_months": 3},
    }


def _days(start: date, end: date) -> pl.DataFrame:
    return pl.DataFrame({"obs_date": pl.date_range(start, end, closed="left", eager=True)})


def _pixels(n: int) -> pl.DataFrame:
    return pl.DataFrame({"pixel_id": pl.Series(range(n), dtype=pl.Int32)})


def _season(rows: pl.DataFrame) -> np.ndarray:
    return np.sin(rows["obs_date"].dt.ordinal_day().to_numpy() * 2 * np.pi / 365.25)


def _field(random: np.random.Generator) -> pl.DataFrame:
    """Daily soil moisture and temperature with gaps, fills, NaN and values out of range."""
    rows = _pixels(N_PIXELS).join(_days(START, END), how="cross")
    n, pixel = len(rows), rows["pixel_id"].to_numpy()
    years = (rows["obs_date"].dt.year() - START.year).to_numpy()
    moisture = 0.15 + 0.004 * pixel + 0.05 * _season(rows) + 0.002 * years * (pixel % 5 - 2) + random.normal(0, 0.02, n)
    moisture[pixel == CONSTANT] = 0.25
    moisture[pixel == TIED] = np.round(moisture[pixel == TIED], 1)
    chance = random.random(n)
    moisture[chance < 0.05] = FILL
    moisture[(chance > 0.05) & (chance < 0.06)] = np.nan
    moisture[(chance > 0.06) & (chance < 0.07)] = 0.9
    moisture[(pixel == MOSTLY_MISSING) & (chance < 0.95)] = FILL
    temperature = np.round(10 * (12 + 15 * _season(rows) - 0.2 * pixel + 0.03 * years) + random.normal(0, 20, n))
    temperature[chance > 0.97] = FILL
    rows = rows.with_columns(
        sm=pl.Series(moisture, dtype=pl.Float32), temperature=pl.Series(temperature, dtype=pl.Float32)
    )
    # A month that nobody delivered.
    return rows.filter((pl.col("obs_date").dt.year() != 2019) | (pl.col("obs_date").dt.month() != 6))


def _flagged(random: np.random.Generator) -> pl.DataFrame:
    """A season of the European product with its flags: frozen, barren ground, failed."""
    rows = _pixels(9).join(_days(date(2018, 1, 1), date(2018, 5, 1)), how="cross")
    n = len(rows)
    flag = random.choice([0, 64, 1, 65, 2, 127], size=n, p=[0.6, 0.15, 0.1, 0.05, 0.05, 0.05])
    sm = 0.2 + 0.1 * random.random(n)
    sm[flag > 64] = FILL
    return rows.with_columns(sm=pl.Series(sm, dtype=pl.Float32), flag=pl.Series(flag, dtype=pl.Int16))


def _overpasses(random: np.random.Generator) -> pl.DataFrame:
    """Morning and evening overpasses of a radiometer: those at 23:20 UTC are of the next day in the study's time zone."""
    rows = _pixels(9).join(_days(date(2018, 3, 1), date(2018, 5, 1)), how="cross")
    parts = []
    for hour in (11.5, 23.34):
        n = len(rows)
        parts.append(
            rows.with_columns(
                obs_time=pl.col("obs_date").cast(pl.Datetime("us")) + pl.duration(minutes=round(hour * 60)),
                soil_moisture=pl.Series(0.05 + 0.5 * random.random(n), dtype=pl.Float32),
                retrieval_qual_flag=pl.Series(random.choice([0, 8, 1, 7, 65534], size=n), dtype=pl.UInt16),
                surface_flag=pl.Series(random.choice([0, 16, 32, 64, 128, 256, 65534], size=n), dtype=pl.UInt16),
            ).sample(fraction=0.6, seed=SEED)
        )
    return pl.concat(parts)


def _monthly_rain(random: np.random.Generator) -> pl.DataFrame:
    months = pl.DataFrame({"obs_date": pl.date_range(START, END, interval="1mo", closed="left", eager=True)})
    rows = _pixels(N_PIXELS).join(months, how="cross")
    rain = np.round(random.gamma(0.7, 40, len(rows)), 2)
    rain[random.random(len(rows)) < 0.03] = FILL
    return rows.with_columns(precipitation=pl.Series(rain, dtype=pl.Float32))


def _regions(house: Warehouse, grid: pl.DataFrame) -> None:
    """A basin and its upper reach on both grids, with pixels that lie in part outside."""
    regions = pl.DataFrame(
        {"region_id": ["basin", UPPER], "name": ["Basin", "Upper reach"], "level": [0, 1], "area_km2": [41.5, 20.25]}
    )
    members = [
        grid.select(
            "pixel_id", region_id=pl.lit("basin"), fraction=pl.when(pl.col("col_index") == 0).then(0.5).otherwise(1.0)
        ),
        grid.filter(pl.col("row_index") > 2).select("pixel_id", region_id=pl.lit(UPPER), fraction=pl.lit(0.75)),
    ]
    house.regions("basins", "fine", regions, pl.concat(members))
    coarse = _pixels(9).select("pixel_id", region_id=pl.lit("basin"), fraction=pl.lit(1.0))
    house.regions("basins", "coarse", regions, coarse)


def _stations(house: Warehouse, random: np.random.Generator) -> None:
    """Two stations, hourly and daily, good and doubtful values."""
    house.product("network", "none", _station_rows(random), time_step="instant")
    stations = pl.DataFrame(
        {
            "product": "network", "station_id": ["a", "b"], "network": "N", "name": ["Alpha", "Beta"], "lon": [100.01, 100.02],
            "lat": [39.99, 39.98], "elevation_m": [2100.0, None], "land_cover": [None, "grass"], "method": "probe",
        }
    )  # fmt: skip
    stations.write_parquet(house.lake / "stations" / "network.parquet")


def _station_rows(random: np.random.Generator) -> pl.DataFrame:
    times = [datetime(2018, 3, 1) + timedelta(hours=6 * i) for i in range(240)]
    parts = []
    for station, (top, bottom), has_time in (
        ("a", (0.0, 5.0), True),
        ("a", (2.5, 7.5), True),
        ("b", (0.0, 10.0), False),
    ):
        n = len(times)
        parts.append(
            pl.DataFrame(
                {
                    "station_id": station,
                    "layer_top_cm": top,
                    "layer_bottom_cm": bottom,
                    "obs_date": [time.date() for time in times],
                    "obs_time": pl.Series([time if has_time else None for time in times], dtype=pl.Datetime("us")),
                    "soil_moisture_m3m3": random.uniform(-0.05, 0.5, n),
                    "quality": [None] * n if station == "b" else list(random.choice(["G", "U", "C03"], size=n)),
                },
                schema_overrides={"quality": pl.String},
            )
        )
    return pl.concat(parts).with_columns(pixel_id=pl.lit(0)).sort("station_id", "obs_date")
