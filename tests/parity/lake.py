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

DEPTHS = ("0-10 cm", "10-20 cm", "20-50 cm")

DAY, NIGHT = "land_surface_temperature_day", "land_surface_temperature_night"
WATER = 17
# Well-known binary of a point at (0, 0): how a boundary looks is nothing to a table.
POINT = b"\x01\x01" + bytes(19)
# The months that are prepared and downscaled.
SPRING, SUMMER = date(2018, 3, 1), date(2018, 5, 1)
KRIGING = {
    "model": "exponential",
    "nugget": 0.1,
    "partial_sill": 1.0,
    "range_parameter_m": 2000.0,
    "n_neighbours": 7,
    "radius_m": 2600.0,
}

# Pixels that are unlike the others.
CONSTANT, MOSTLY_MISSING, TIED = 0, 1, 2


def build_lake(root: Path) -> Warehouse:
    """Write the lake below `root`; the warehouse that comes back holds the study that uses all of it."""
    house = Warehouse(root)
    grid = small_grid(N_ROWS, N_COLS)
    house.grid("fine", grid)
    house.grid("coarse", _coarse_grid(grid))
    _regions(house, grid)
    random = np.random.default_rng(SEED)
    house.product("field", "fine", _field(random), fills={"sm": FILL, "temperature": FILL})
    house.product("esa_cci_combined", "coarse", _flagged(random))
    house.product("spl2smp", "coarse", _overpasses(random), time_step="instant")
    house.product("era5_land_hourly", "coarse", _hours(), time_step="instant")
    house.product("chirps_monthly", "fine", _monthly_rain(random), time_step="month", fills={"precipitation": FILL})
    _stations(house, random)
    _terrain(house, grid)
    house.product("deep", "fine", _deep(random), time_step="month", fills={f"sm_{k}": FILL for k in range(3)})
    _land(house, grid)
    _prepared(house)
    _downscaled(house)
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
            {"variable": "skin_temperature", "product": "era5_land_hourly", "solar_time": 10.5},
            {"variable": "air_temperature", "product": "era5_land_hourly", "hours": [6, 9]},
            {"variable": "precipitation", "product": "era5_land_hourly"},
            *(
                {"variable": "soil_moisture", "product": "deep", "layer": layer, "column": f"sm_{k}"}
                for k, layer in enumerate(DEPTHS)
            ),
            *_prepared_series(),
            *_downscaled_series(),
        ],
        "masks": {
            "frozen": {"variable": "air_temperature", "product": "field", "below": -11},
            "water": {"product": "land", "column": "cover", "codes": [WATER], "max_share": 0.2},
        },
        "composites": [
            {"variable": "soil_moisture", "product": "deep", "layer": "10-50 cm", "of": ["10-20 cm", "20-50 cm"]}
        ],
        "ssmi": {"reference": {"start": START, "end": END}, "scales": [1, 2, 3], "min_years": 2},
        "factors": [
            {"factor": "elevation", "product": "terrain", "column": "height", "unit": "m"},
            {"factor": "land_cover", "product": "terrain", "column": "cover", "kind": "categorical", "exclude": [17]},
            {"factor": "clay", "product": "soil", "column": "clay", "method": "natural", "k": 3},
            {"factor": "lat", "coordinate": "lat"},
            {"factor": "rain", "variable": "precipitation", "product": "chirps_monthly"},
            {"factor": "air_temperature", "variable": "air_temperature", "product": "field"},
            {"factor": "cover", "product": "land", "column": "cover", "kind": "categorical", "regrid": "mode"},
            {"factor": "class", "product": "land", "column": "cover", "kind": "categorical", "scheme": "heihe"},
            {"factor": "porosity", "product": "land", "column": "porosity", "regrid": "area_mean"},
            {"factor": "octant", "product": "land", "column": "aspect", "kind": "categorical", "as": "octant"},
            {"factor": "northness", "product": "land", "column": "aspect", "as": "northness"},
            {"factor": "kriged_clay", "product": "soil", "column": "clay", "regrid": "kriging", "kriging": KRIGING},
            {"factor": "greenness", "variable": "ndvi", "product": "greenness"},
            {"factor": "by_day", "variable": DAY, "product": "skin"},
        ],
        "drivers": {
            "factors": ["elevation", "land_cover", "clay", "lat", "rain", "air_temperature"],
            "periods": ["all", "year", "season"],
            "seasons": ["DJF", "JJA"],
            "min_pixels": 8,
            "k_max": 5,
            "permutations": 9,
        },
        "correlations": {
            "factors": ["rain", "air_temperature"],
            "unit_kinds": ["pixel", "region", "station"],
            "time_steps": ["month", "year"],
            "seasons": ["annual", "JJA"],
            "min_valid": 4,  # of three values the last digits of an almost perfect t are chance
        },
        "stations": ["network"],
        "validation": {
            "max_depth_gap_cm": 20,
            "day_offsets": [{"product": "spl2smp", "days": -1}],
            "anomaly_min_values": 3,
            "scalings": ["none", "mean_std", "cdf"],
            "cdf_min_in_bin": 5,
            "periods": ["all", "year"],
            "min_n": 8,
            "min_share_of_pixels": 0.3,
            "before_after": [
                {"before": {"product": "spl2smp", "layer": "0-5 cm"}, "after": {"product": "field", "layer": "5-10 cm"}}
            ],
            "comparisons": [
                {"of": [{"product": "satellite", "layer": "0-5 cm"}, {"product": "thermal_linear", "layer": "0-5 cm"}]},
                {"of": [{"product": "field", "layer": "5-10 cm"}, {"product": "spl2smp", "layer": "0-5 cm"}]},
                {
                    "of": [{"product": "deep", "layer": "10-50 cm"}, {"product": "field", "layer": "5-10 cm"}],
                    "time_step": "month",
                    "grid": "finer",
                },
            ],
            "random_pairs": {"dates": ["2018-03-15", "2018-04-15"], "n": 4, "seed": 3},
            "triples": [
                {
                    "of": [
                        {"product": "spl2smp", "layer": "0-5 cm"},
                        {"product": "field", "layer": "5-10 cm"},
                        {"product": "esa_cci_combined", "layer": "0-5 cm"},
                    ],
                    "force": True,
                }
            ],
            "triple_min_n": 10,
            "rain_product": "era5_land_hourly",
            "rain_unit_kinds": ["station", "region", "pixel"],
            "rain_threshold_mm": 2,
            "rain_dry_days": 2,
            "rain_dry_mm": 4,
        },
        "trends": {
            "time_steps": ["month", "year"],
            "seasons": ["annual", "JJA", "DJF", "warm"],
            "min_valid": 3,
            "min_months_share": 0.6,
            "tests": ["seasonal_kendall", "hamed_rao", "trend_free_prewhitening"],
        },
        "season_rules": [{"season": "warm", "variable": "air_temperature", "product": "field", "above": 8.0}],
        "zones": [
            {"factor": "elevation", "k": 3},
            {"factor": "lat", "breaks": [39.965, 39.985]},
            {"factor": "land_cover"},
        ],
        "downscaling": _downscaling(),
        "desk": {"min_years": 2, "map_periods": 12},
        "paper": "heihe",
        "stability": {"periods": ["all", "year"]},
        "rank_stability": {"max_lag_months": 3},
        "variograms": {"n_bins": 5, "map": True, "variables": ["soil_moisture", "precipitation"]},
    }


def _prepared_series() -> list[dict]:
    """A series for each way of preparing; the last two are the bands that an index is made of, and a mean of two variables."""
    own = {"product": "patchy", "unit": "1", "monthly_statistic": "mean"}
    return [
        {
            "variable": "soil_moisture",
            "product": "patchy",
            "layer": "0-5 cm",
            "column": "sm",
            "prepare": {"grid": "coarse", "max_gap_days": 4, "smoothing": {"half_width": 3, "order": 2}},
        },
        {**own, "variable": "kind_of_day", "column": "kind", "prepare": {"grid": "coarse", "regrid": "mode"}},
        {
            **own,
            "variable": "backscatter_vv",
            "column": "vv",
            "unit": "dB",
            "prepare": {"grid": "coarse", "centred_mean_days": 2},
        },
        {
            **own,
            "variable": "humidity",
            "column": "sm",
            "prepare": {"grid": "coarse", "regrid": "kriging", "kriging": KRIGING},
        },
        {"variable": "evi", "product": "greenness", "column": "nir", "prepare": {"composite_days": 16}},
        {"variable": "ndvi", "product": "greenness", "columns": {"red": "red", "nir": "nir"}, "valid_min": 0.01},
        {
            "variable": "land_surface_temperature_mean",
            "product": "era5_land_hourly",
            "mean_of": ["skin_temperature_day", "skin_temperature_night"],
        },
    ]


def _downscaled_series() -> list[dict]:
    """What is downscaled, what is learned and fitted from."""
    return [
        {"variable": "soil_moisture", "product": "satellite", "layer": "0-5 cm", "column": "sm"},
        {"variable": "soil_moisture", "product": "model", "layer": "0-5 cm", "column": "sm"},
        *(
            {"variable": name, "product": product, "column": column}
            for product in ("skin", "model")
            for name, column in ((DAY, "by_day"), (NIGHT, "by_night"))
        ),
    ]


def _downscaling() -> dict:
    """Small models of every framework. Of the two windows the second has too few samples: it takes the model of the first."""
    target = {"variable": "soil_moisture", "product": "satellite", "layer": "0-5 cm"}
    xgb = {"n_estimators": [15], "max_depth": [2, 3], "learning_rate": [0.3]}
    lightgbm = {"n_estimators": [15], "min_child_samples": [5], "learning_rate": [0.3]}
    quick = {"min_samples": 40, "folds": 3, "permutations": 2}
    return {
        "grid": "fine",
        "target": target,
        "period": {"start": SPRING, "end": SUMMER},
        "features": ["cover", "porosity", "greenness", "by_day", "day_of_year"],
        "hold_days": {"greenness": 16},
        "unit": "cover",
        "water": "cover",
        "water_classes": [WATER],
        "max_water_share": 0.3,
        "frozen": {"variable": "air_temperature", "product": "field", "below": 13},
        "frameworks": [
            {
                "framework": "thermal_inertia",
                "fit": {
                    "soil_moisture": {"variable": "soil_moisture", "product": "model", "layer": "0-5 cm"},
                    "day": {"variable": DAY, "product": "model"},
                    "night": {"variable": NIGHT, "product": "model"},
                },
                "day": {"variable": DAY, "product": "skin"},
                "night": {"variable": NIGHT, "product": "skin"},
                "ndvi": {"variable": "ndvi", "product": "greenness"},
                "land_cover": "cover",
                "porosity": "porosity",
                "min_samples": 30,
                "window_months": 2,
                "reference": [target, {"variable": "soil_moisture", "product": "patchy", "layer": "0-5 cm"}],
            },
            {
                "framework": "windows",
                "window_days": 59,
                "estimators": ["mlr", "xgb"],
                "hyperparameters": {"xgb": xgb},
                **quick,
            },
            {
                "framework": "stacking",
                "estimators": ["xgb", "lightgbm"],
                "hyperparameters": {"xgb": {**xgb, "max_depth": [3]}, "lightgbm": lightgbm},
                "shap_samples": 10,
                **quick,
            },
        ],
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


def _hours() -> pl.DataFrame:
    """A month by the hour: temperatures, and rain that accumulates from 00 UTC; some hours lack."""
    random = np.random.default_rng(SEED + 1)
    hours = pl.DataFrame({"obs_time": pl.datetime_range(datetime(2018, 6, 1), datetime(2018, 7, 1), "1h", eager=True)})
    rows = _pixels(9).join(hours, how="cross").sort("pixel_id", "obs_time")
    n = len(rows)
    rain = pl.Series(random.gamma(0.1, 0.001, n))
    # the hour that ends at 00:00 closes the day before
    day = (pl.col("obs_time") - pl.duration(minutes=30)).dt.date()
    rows = rows.with_columns(
        pl.col("obs_time").dt.cast_time_unit("us"),
        obs_date=pl.col("obs_time").dt.date(),
        tp=rain,
    ).with_columns(tp=pl.col("tp").cum_sum().over("pixel_id", day).cast(pl.Float32))
    layers = {f"{kind}{k}": pl.lit(None, pl.Float32) for kind in ("swvl", "stl") for k in range(1, 5)}
    temperatures = {name: pl.Series(random.uniform(270, 310, n), dtype=pl.Float32) for name in ("t2m", "skt")}
    return rows.with_columns(**layers, **temperatures).filter(pl.Series(random.random(n) > 0.001))


def _monthly_rain(random: np.random.Generator) -> pl.DataFrame:
    months = pl.DataFrame({"obs_date": pl.date_range(START, END, interval="1mo", closed="left", eager=True)})
    rows = _pixels(N_PIXELS).join(months, how="cross")
    rain = np.round(random.gamma(0.7, 40, len(rows)), 2)
    rain[random.random(len(rows)) < 0.03] = FILL
    return rows.with_columns(precipitation=pl.Series(rain, dtype=pl.Float32))


def _deep(random: np.random.Generator) -> pl.DataFrame:
    """Monthly soil moisture at three depths, with gaps that differ from layer to layer.

    Multiples of 1/128, and a composite of one part and three: ranks have ties, and sums are the same in any order, so that means of an
    index, which cancel to nearly nothing, can be compared.
    """
    months = pl.DataFrame({"obs_date": pl.date_range(START, END, interval="1mo", closed="left", eager=True)})
    rows = _pixels(N_PIXELS).join(months, how="cross")
    columns = {}
    for k in range(len(DEPTHS)):
        sm = np.round((0.2 + 0.03 * k + 0.04 * _season(rows) + random.normal(0, 0.02, len(rows))) * 128) / 128
        sm[rows["pixel_id"].to_numpy() == CONSTANT] = 0.25
        sm[random.random(len(rows)) < 0.03] = FILL
        columns[f"sm_{k}"] = pl.Series(sm, dtype=pl.Float32)
    return rows.with_columns(**columns)


def _terrain(house: Warehouse, grid: pl.DataFrame) -> None:
    """Factors without dates: on the fine grid, with a fill and a code that is no data, and on the coarse one."""
    own = np.random.default_rng(13)  # what came later must not change what was there
    row, col = grid["row_index"].to_numpy(), grid["col_index"].to_numpy()
    height = np.round(100 + 7 * row + own.normal(0, 4, N_PIXELS))
    height[5] = FILL
    cover = own.choice([1, 2, 17], p=[0.5, 0.4, 0.1], size=N_PIXELS).astype(np.int16)
    house.static(
        "terrain",
        "fine",
        pl.DataFrame({"pixel_id": np.arange(N_PIXELS), "height": height, "cover": cover}),
        fills={"height": FILL},
    )
    house.static("soil", "coarse", pl.DataFrame({"pixel_id": np.arange(9), "clay": own.uniform(5, 40, 9)}))
    pairs = grid.select(target_pixel_id="pixel_id", source_pixel_id=pl.Series(row // 2 * 3 + np.minimum(col // 2, 2)))
    house.weights("coarse", "fine", pairs)
    back = pairs.group_by("source_pixel_id").agg(pl.col("target_pixel_id").min())
    house.weights("fine", "coarse", back.select(source_pixel_id="target_pixel_id", target_pixel_id="source_pixel_id"))


def _coarse_grid(fine: pl.DataFrame) -> pl.DataFrame:
    """Three by three cells of about two by two fine pixels, which the last column's have more of."""
    areas = fine.group_by(_cell().alias("cell")).agg(pl.col("area_km2").sum()).sort("cell")
    return small_grid(3, 3).with_columns(
        lon=100.005 + 0.02 * pl.col("col_index"),
        lat=39.995 - 0.02 * pl.col("row_index"),
        x_m=500.0 + 2000.0 * pl.col("col_index"),
        y_m=-500.0 - 2000.0 * pl.col("row_index"),
        area_km2=areas["area_km2"],
    )


def _cell() -> pl.Expr:
    """The coarse cell of a fine pixel."""
    return pl.col("row_index") // 2 * 3 + (pl.col("col_index") // 2).clip(upper_bound=2)


def _land(house: Warehouse, grid: pl.DataFrame) -> None:
    """Forest in the west, grass in the east, two pixels of water; aspects with flat ground; weights by area to the coarse grid."""
    own = np.random.default_rng(14)
    col = grid["col_index"].to_numpy()
    cover = np.where(col < 2, 1, 10)
    cover[[8, 11]] = WATER
    aspect = np.round(own.uniform(0, 360, N_PIXELS), 1)
    aspect[7] = -1.0
    house.static(
        "land",
        "fine",
        pl.DataFrame(
            {
                "pixel_id": range(N_PIXELS),
                "cover": pl.Series(cover, dtype=pl.Int16),
                "aspect": aspect,
                "porosity": np.round(own.uniform(0.35, 0.5, N_PIXELS), 3),
            }
        ),
    )
    pairs = grid.select("area_km2", source_pixel_id="pixel_id", target_pixel_id=_cell())
    shares = pairs.with_columns(weight=pl.col("area_km2") / pl.col("area_km2").sum().over("target_pixel_id"))
    house.weights("fine", "coarse", shares.drop("area_km2"), method="area_mean")


def _prepared(house: Warehouse) -> None:
    """A spring of soil moisture with gaps, a class a day, backscatter; and composites of 16 days."""
    own = np.random.default_rng(15)
    rows = _pixels(N_PIXELS).join(_days(SPRING, SUMMER), how="cross")
    n = len(rows)
    patchy = rows.with_columns(
        sm=pl.Series(0.2 + 0.05 * _season(rows) + own.normal(0, 0.02, n), dtype=pl.Float32),
        kind=pl.Series(own.integers(1, 4, n), dtype=pl.Int16),
        vv=pl.Series(own.uniform(-20, -5, n), dtype=pl.Float32),
    )
    house.product("patchy", "fine", patchy.filter(pl.Series(own.random(n) > 0.4)))
    composites = pl.DataFrame({"obs_date": pl.date_range(SPRING, SUMMER, interval="16d", closed="left", eager=True)})
    rows = _pixels(N_PIXELS).join(composites, how="cross")
    reflectances = {
        name: pl.Series(own.uniform(low, high, len(rows)), dtype=pl.Float32)
        for name, low, high in (("red", 0.02, 0.1), ("nir", 0.11, 0.4))
    }
    house.product("greenness", "fine", rows.with_columns(**reflectances))


def _downscaled(house: Warehouse) -> None:
    """Surface temperatures of fine pixels, and what is known of coarse cells: the wetter, the less the day warms it.

    Soil moisture is from dry to above what soil can hold, so that the mean of a cell is met by some of its pixels alone, or not at all.
    """
    own = np.random.default_rng(16)
    days = _days(SPRING, SUMMER)
    wetness = days.with_columns(wet=pl.Series(own.uniform(0.03, 0.5, len(days))))
    fine = small_grid(N_ROWS, N_COLS).select(pl.col("pixel_id").cast(pl.Int32), cell=_cell().cast(pl.Int32))
    rows = fine.join(wetness, how="cross").with_columns(
        wet=pl.col("wet") + pl.Series(own.normal(0, 0.04, 42 * len(days)))
    )
    of_cells = rows.group_by(pixel_id="cell", maintain_order=True).agg("obs_date", "wet").explode("obs_date", "wet")
    of_cells = of_cells.group_by("pixel_id", "obs_date", maintain_order=True).agg(pl.col("wet").mean())
    for product, grid, wet in (
        ("skin", "fine", rows),
        ("model", "coarse", of_cells),
        ("satellite", "coarse", of_cells),
    ):
        n, moisture = len(wet), wet["wet"].to_numpy()
        night = own.normal(0, 3, n)
        columns = {
            "sm": (moisture + own.normal(0, 0.01, n)).clip(0),
            "by_day": night + 25 - 40 * moisture + own.normal(0, 1, n),
            "by_night": night,
        }
        frame = wet.with_columns(**{name: pl.Series(of, dtype=pl.Float32) for name, of in columns.items()})
        kept = {"skin": ["by_day", "by_night"], "model": list(columns), "satellite": ["sm"]}[product]
        frame = frame.select("pixel_id", "obs_date", *kept)
        house.product(product, grid, frame.filter(pl.Series(own.random(n) > 0.15)))


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
    geometries = house.lake / "regions" / "region" / "basins.parquet"
    pl.read_parquet(geometries).with_columns(geometry_wkb=pl.lit(POINT)).write_parquet(geometries)


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
    own = np.random.default_rng(12)  # what came later must not change what was there
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
                    "sensor": ["upper", "lower"] * (n // 2) if top == 0.0 and has_time else None,
                    "soil_moisture_m3m3": random.uniform(-0.05, 0.5, n),
                    "soil_temperature_c": own.uniform(-5, 25, n),
                    "air_temperature_c": own.uniform(-99, 30, n) if has_time else None,
                    "precipitation_mm": own.exponential(2, n) if top == 0.0 else None,
                    "quality": [None] * n if station == "b" else list(random.choice(["G", "U", "C03"], size=n)),
                },
                schema_overrides={
                    "quality": pl.String,
                    "sensor": pl.String,
                    "air_temperature_c": pl.Float64,
                    "precipitation_mm": pl.Float64,
                },
            )
        )
    # Where only the day is known there is one row a day.
    rows = pl.concat(parts).filter(
        pl.col("obs_time").is_not_null() | pl.col("obs_date").is_first_distinct().over("station_id")
    )
    return rows.with_columns(pixel_id=pl.lit(0)).sort("station_id", "obs_date")
