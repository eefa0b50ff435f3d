"""A generated warehouse for the geographical detector: two grids, two regions, gaps, and factors of every source and kind."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import polars as pl

from tests.warehouse import Warehouse, small_grid

START, END = date(2018, 3, 1), date(2020, 3, 1)
N_ROWS, N_COLS, SCALE = 18, 20, 4
FILL = -9999.0

MARTS = (
    "dim_factor",
    "fct_factor_candidates",
    "fct_factor_detector",
    "fct_factor_strata",
    "fct_pixel_strata",
    "fct_interaction_detector",
    "fct_ecological_detector",
    "fct_risk_detector",
    "fct_leading_factor",
)
"""What these tests build, with all it stands on."""

FACTORS = [
    {"factor": "elevation", "product": "terrain", "column": "height", "scale": 10, "offset": -50, "valid_max": 900, "unit": "m"},
    {"factor": "land_cover", "product": "terrain", "column": "cover", "kind": "categorical", "exclude": [17]},
    {"factor": "clay", "product": "soil", "column": "clay", "method": "quantile", "k": 4},
    {"factor": "flat", "product": "terrain", "column": "flat"},
    {"factor": "lat", "coordinate": "lat"},
    {"factor": "rain", "variable": "precipitation", "product": "rain"},
    {"factor": "ndvi", "variable": "ndvi", "product": "greenness"},
    {"factor": "unused", "product": "terrain", "column": "height"},
]  # fmt: skip


def build_world(root: Path) -> Warehouse:
    """Write the lake; the warehouse that comes back is not built yet."""
    rng = np.random.default_rng(7)
    house = Warehouse(root)
    fine, coarse = small_grid(N_ROWS, N_COLS), small_grid(-(-N_ROWS // SCALE), N_COLS // SCALE)
    house.grid("fine", fine)
    house.grid("coarse", coarse)
    row, col = np.divmod(np.arange(N_ROWS * N_COLS), N_COLS)
    # The last coarse row reaches over the fine grid's edge; one coarse pixel exists for no fine one to take.
    under = row // SCALE * (N_COLS // SCALE) + col // SCALE
    pairs = pl.DataFrame({"target_pixel_id": np.arange(row.size), "source_pixel_id": under})
    house.weights("coarse", "fine", pairs)
    back = pairs.group_by("source_pixel_id").agg(pl.col("target_pixel_id").sort().get(0))
    house.weights(
        "fine",
        "coarse",
        back.select(source_pixel_id="target_pixel_id", target_pixel_id="source_pixel_id"),
    )

    # What is averaged are binary fractions, so that sums are exact in any order: breaks lie on values, and the last digit decides.
    height = np.round(40 + row + 3 * np.sin(col / 3.0) + rng.normal(0, 2, row.size), 1)
    height[rng.random(row.size) < 0.04] = FILL
    height[5] = 400  # above the range
    cover = rng.choice([1, 2, 5, 17], p=[0.4, 0.3, 0.25, 0.05], size=row.size)
    house.static(
        "terrain",
        "fine",
        pl.DataFrame(
            {"pixel_id": np.arange(row.size), "height": height, "cover": cover.astype("int16"), "flat": 7.0}
        ).filter(pl.col("pixel_id") != 11),
        fills={"height": FILL},
    )
    clay = np.round(rng.uniform(5, 40, len(coarse)), 1)
    house.static("soil", "coarse", pl.DataFrame({"pixel_id": np.arange(len(coarse)), "clay": clay}))

    months = pl.date_range(START, END, interval="1mo", closed="left", eager=True)
    number = np.arange(len(months))
    known_height = np.where((height == FILL) | (height == 400), 45, height)
    effect = {1: 0.0, 2: 0.05, 5: -0.04, 17: 0.1}
    base = 0.25 + np.array([effect[int(c)] for c in cover]) - 0.004 * (known_height - 45) + 0.002 * col
    season = 0.03 * np.cos(2 * np.pi * number / 12)
    wet = rng.gamma(2, 20, (len(coarse), number.size))
    sm = base[:, None] + season + 0.0004 * wet[under] + rng.normal(0, 0.02, (row.size, number.size))
    sm = np.round(sm * 4096) / 4096
    gone = rng.random(sm.shape) < 0.15
    gone[:, 3] = rng.random(row.size) < 0.97  # a month in which hardly a pixel was seen
    gone[40, :] = number > 4  # a pixel with too few months for most periods
    sm[:, 7] = 0.25  # a map without contrast
    modelled = np.round((base[:, None] + season + rng.normal(0, 0.01, sm.shape)) * 4096) / 4096
    greenness = 0.4 + 2 * (base[:, None] - 0.25) + 0.1 * np.sin(number / 2) + rng.normal(0, 0.05, sm.shape)
    greenness = np.round(greenness * 1024) / 1024
    greenness[rng.random(sm.shape) < 0.05] = np.nan
    house.product("radar", "fine", _rows(months, sm, gone), time_step="month", fills={"value": FILL})
    house.product("model", "fine", _rows(months, modelled), time_step="month")
    house.product("rain", "coarse", _rows(months, np.round(wet * 8) / 8), time_step="month")
    house.product("greenness", "fine", _rows(months, greenness), time_step="month")

    inside = pl.DataFrame({"pixel_id": np.arange(row.size), "row": row, "col": col})
    members = pl.concat(
        [
            inside.filter(pl.col("col") < 16).select("pixel_id", region_id=pl.lit("west"), fraction=pl.lit(1.0)),
            inside.filter(pl.col("row") >= 6).select("pixel_id", region_id=pl.lit("south"), fraction=pl.lit(0.9)),
            inside.filter(pl.col("pixel_id") < 3).select("pixel_id", region_id=pl.lit("tiny"), fraction=pl.lit(1.0)),
        ]
    )
    names = ["west", "south", "tiny"]
    house.regions(
        "parts", "fine", pl.DataFrame({"region_id": names, "name": names, "level": 1, "area_km2": 1.0}), members
    )
    house.regions(
        "parts",
        "coarse",
        pl.DataFrame({"region_id": names, "name": names, "level": 1, "area_km2": 1.0}),
        coarse.select("pixel_id", region_id=pl.lit("west"), fraction=pl.lit(1.0)),
    )
    house.study = {
        "name": "world",
        "groups": ["drivers"],
        "period": {"start": START, "end": END},
        "region": {"set": "parts"},
        "series": [
            {"variable": "soil_moisture", "product": "radar", "layer": "0-5 cm", "column": "value"},
            {"variable": "soil_moisture", "product": "model", "layer": "0-5 cm", "column": "value"},
            {"variable": "precipitation", "product": "rain", "column": "value"},
            {"variable": "ndvi", "product": "greenness", "column": "value"},
        ],
        "factors": FACTORS,
        "drivers": {
            "factors": [f["factor"] for f in FACTORS if f["factor"] != "unused"],
            "periods": ["all", "year", "season", "month"],
            "seasons": ["DJF", "JJA"],
            "min_pixels": 20,
            "k_max": 6,
            "permutations": 19,
        },
    }
    return house


def _rows(months: pl.Series, values: np.ndarray, gone: np.ndarray | None = None) -> pl.DataFrame:
    frame = pl.DataFrame(
        {
            "pixel_id": np.repeat(np.arange(values.shape[0], dtype=np.int32), values.shape[1]),
            "obs_date": pl.concat([months] * values.shape[0]),
            "value": values.ravel(),
        }
    )
    return frame if gone is None else frame.with_columns(value=pl.Series(np.where(gone.ravel(), FILL, frame["value"])))
