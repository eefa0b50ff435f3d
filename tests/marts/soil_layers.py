"""A generated warehouse of soil moisture at five depths, for the marts of the standardised index: built once for all modules that ask."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl

from tests.warehouse import Warehouse, small_grid

START, END = date(2004, 3, 1), date(2014, 11, 1)
REFERENCE = (date(2005, 1, 1), date(2013, 1, 1))
N_ROWS, N_COLS = 4, 5
N_PIXELS = N_ROWS * N_COLS
LAYERS = ("0-10 cm", "10-20 cm", "20-40 cm", "40-50 cm", "50-100 cm")
COMPOSITE, MEMBERS = "10-40 cm", ("10-20 cm", "20-40 cm")
PROFILE = ("0-10 cm", "10-40 cm", "40-50 cm", "50-100 cm")
CONSTANT, LATE = 3, 11
MIN_YEARS, MIN_VALID = 4, 5
MIN_MONTHS_SHARE = 0.75
SCALES = (1, 3, 6)
MARTS = (
    "fct_ssmi_monthly",
    "fct_drought_area",
    "fct_depth_profile",
    "fct_depth_pattern",
    "fct_pixel_monthly",
    "dim_layer",
)


@dataclass(frozen=True)
class Layers:
    """The warehouse; `months` (layer, pixel_id, month, value), composites among them; `members` (region_id, pixel_id, weight_km2)."""

    house: Warehouse
    months: pl.DataFrame
    members: pl.DataFrame


def _monthly(rng: np.random.Generator) -> pl.DataFrame:
    """Five columns of moisture in multiples of 2^-12; gaps of single months and layers, a constant pixel, one that begins late."""
    months = pl.date_range(START, END, interval="1mo", closed="left", eager=True)
    frame = pl.DataFrame({"pixel_id": pl.Series(range(N_PIXELS), dtype=pl.Int32)}).join(
        pl.DataFrame({"obs_date": months}), how="cross"
    )
    pixel, year = frame["pixel_id"].to_numpy(), frame["obs_date"].dt.year().to_numpy()
    month = frame["obs_date"].dt.month().to_numpy()
    columns = {}
    for k, _ in enumerate(LAYERS):
        wet_years = rng.normal(0, 0.03, 20)[year - 2000]
        sm = 0.2 + 0.02 * k + 0.003 * pixel * (-1) ** k + 0.05 * np.cos(2 * np.pi * month / 12) + wet_years
        sm = np.round((sm + rng.normal(0, 0.01, len(frame))) * 4096) / 4096
        sm[pixel == CONSTANT] = 0.25
        sm[rng.random(len(frame)) < 0.05] = np.nan
        sm[(pixel == LATE) & (year < 2010)] = np.nan
        columns[f"layer_{k + 1}"] = pl.Series(np.where(np.isnan(sm), -9999, sm).astype("float32"))
    rain = pl.Series(rng.gamma(1, 20, len(frame)).astype("float32"))
    return frame.with_columns(**columns, rain=rain)


@cache
def built() -> Layers:
    """Built by dbt, what the marts of the index need and nothing else, with every data test and unit test of it."""
    root = Path(tempfile.mkdtemp(prefix="soil_layers_"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    house = Warehouse(root)
    grid = small_grid(N_ROWS, N_COLS)
    rows = _monthly(np.random.default_rng(20040301))
    house.grid("g", grid)
    house.product("deep", "g", rows, time_step="month", fills={f"layer_{k + 1}": -9999.0 for k in range(len(LAYERS))})
    inside = {
        "north": dict.fromkeys(range(10), 1.0),
        "south": {p: 0.5 + 0.02 * p for p in range(8, 20)},
        "point": {6: 1.0},
        "flat": {CONSTANT: 1.0},
    }
    members = pl.DataFrame(
        [
            {"region_id": region, "pixel_id": p, "fraction": fraction}
            for region, pixels in inside.items()
            for p, fraction in pixels.items()
        ]
    )
    regions = pl.DataFrame({"region_id": list(inside), "name": list(inside), "level": 1, "area_km2": 1.0})
    house.regions("slopes", "g", regions, members)
    house.study = {
        "name": "layers",
        "groups": ["trends"],
        "period": {"start": str(START), "end": str(END)},
        "region": {"set": "slopes"},
        "series": [
            *(
                {"variable": "soil_moisture", "product": "deep", "layer": layer, "column": f"layer_{k + 1}"}
                for k, layer in enumerate(LAYERS)
            ),
            {"variable": "precipitation", "product": "deep", "column": "rain"},
        ],
        "composites": [{"variable": "soil_moisture", "product": "deep", "layer": COMPOSITE, "of": list(MEMBERS)}],
        "trends": {"min_valid": MIN_VALID, "min_months_share": MIN_MONTHS_SHARE},
        "ssmi": {
            "reference": {"start": str(REFERENCE[0]), "end": str(REFERENCE[1])},
            "scales": list(SCALES),
            "min_years": MIN_YEARS,
        },
    }
    house.dbt("build", "--select", *(f"+{mart}" for mart in MARTS))
    weights = members.join(grid.select("pixel_id", "area_km2"), on="pixel_id").with_columns(
        weight_km2=pl.col("area_km2") * pl.col("fraction")
    )
    return Layers(house, _expected_months(rows), weights.select("region_id", "pixel_id", "weight_km2"))


def _expected_months(rows: pl.DataFrame) -> pl.DataFrame:
    long = pl.concat(
        rows.select(
            pl.lit(layer).alias("layer"),
            pl.col("pixel_id").cast(pl.Int64),
            pl.col("obs_date").alias("month"),
            pl.col(f"layer_{k + 1}").cast(pl.Float64).alias("value"),
        )
        for k, layer in enumerate(LAYERS)
    ).filter(pl.col("value") != -9999)
    thin, thick = (long.filter(pl.col("layer") == layer) for layer in MEMBERS)
    both = thin.join(thick, on=["pixel_id", "month"], suffix="_thick")
    composite = both.select(
        pl.lit(COMPOSITE).alias("layer"),
        "pixel_id",
        "month",
        ((pl.col("value") * 10 + pl.col("value_thick") * 20) / 30).alias("value"),
    )
    return pl.concat([long, composite])
