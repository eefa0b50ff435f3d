"""A generated warehouse for the frameworks that learn from samples: a planted field of soil moisture on 1 km, its means on 5 km, and features
that explain it. One window has no target, one too few cells, one a target that does not vary.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from tests.warehouse import Warehouse, small_grid

N_FINE, SCALE = 40, 5
N_COARSE = N_FINE // SCALE
START, END = date(2019, 1, 1), date(2019, 4, 1)
FIRST = {
    "empty": date(2019, 1, 1),
    "full": date(2019, 1, 17),
    "few": date(2019, 2, 2),
    "second": date(2019, 2, 18),
    "flat": date(2019, 3, 6),
}
"""The first days of windows of 16 days, by what is in them."""

DAYS = {"empty": 2, "full": 9, "few": 1, "second": 6, "flat": 2}
WATER, MIN_SAMPLES = 17, 100
EFFECT = {1: 0.0, 2: 0.03, 5: -0.02}
FEATURES = ("elevation", "temperature", "land_cover", "noise")

MODELS = {
    "mlr": {},
    "rf": {"n_estimators": [20], "min_samples_leaf": [1, 4]},
    "xgb": {"n_estimators": [40], "max_depth": [4], "learning_rate": [0.2]},
    "lightgbm": {"n_estimators": [40], "min_child_samples": [5]},
    "catboost": {"iterations": [40], "depth": [4], "learning_rate": [0.2]},
}

WINDOWS = {
    "framework": "windows",
    "estimators": ["mlr", "rf", "xgb"],
    "hyperparameters": {name: MODELS[name] for name in ("rf", "xgb")},
    "publish": ["best", "mlr"],
    "folds": 3,
    "permutations": 2,
}
STACKING = {
    "framework": "stacking",
    "estimators": ["xgb", "lightgbm", "catboost"],
    "hyperparameters": {name: MODELS[name] for name in ("xgb", "lightgbm", "catboost")},
    "folds": 3,
    "permutations": 1,
    "shap_samples": 30,
}

BUILT = (
    "+int_learned_daily",
    "fct_downscaling_windows",
    "fct_downscaling_models",
    "fct_feature_importance",
    "fct_feature_importance_summary",
    "fct_shap_values",
)


@dataclass(frozen=True)
class World:
    """`truth` and `coarse`: pixel_id, obs_date, value, the planted field and its means; `house` is built."""

    house: Warehouse
    truth: pl.DataFrame
    coarse: pl.DataFrame
    cover: np.ndarray
    unit: np.ndarray


def planted(elevation: np.ndarray, temperature: np.ndarray, cover: np.ndarray) -> np.ndarray:
    """Soil moisture: an interaction that no straight line finds, and an effect of land cover."""
    effect = np.select([cover == code for code in EFFECT], list(EFFECT.values()), 0.0)
    return (
        0.25 - 0.05 * np.tanh((temperature - 15) / 6) * (elevation - 500) / 300 - 0.00004 * (elevation - 500) + effect
    )


def build_world(root: Path) -> World:
    """Write the lake and build what this room makes of it."""
    rng = np.random.default_rng(5)
    house = Warehouse(root)
    house.grid("fine", small_grid(N_FINE, N_FINE))
    house.grid("coarse", small_grid(N_COARSE, N_COARSE))
    row, col = np.divmod(np.arange(N_FINE**2), N_FINE)
    under = row // SCALE * N_COARSE + col // SCALE
    house.weights("coarse", "fine", pl.DataFrame({"target_pixel_id": np.arange(row.size), "source_pixel_id": under}))
    centre = np.flatnonzero((row % SCALE == SCALE // 2) & (col % SCALE == SCALE // 2))
    house.weights("fine", "coarse", pl.DataFrame({"source_pixel_id": centre, "target_pixel_id": under[centre]}))

    elevation = 500 + 250 * np.sin(row / 7.0) * np.cos(col / 9.0) + rng.normal(0, 5, row.size)
    # Patches larger than a coarse cell: what most of a cell has is then what its pixels have, but for the edges.
    cover = np.array([1, 2, 5])[(np.sin(row / 6.0) + np.cos(col / 8.0) > 0).astype(int) + (col // 10 % 2)]
    cover[(row == 3) & (col == 4)] = WATER
    unit = np.where(row < N_FINE // 2, 1, 2)
    house.static("terrain", "fine", pl.DataFrame({
        "pixel_id": np.arange(row.size), "height": elevation, "cover": cover.astype("int16"), "unit": unit.astype("int16"), "noise": rng.normal(size=N_COARSE**2)[under] + rng.normal(0, 0.05, row.size),
    }))  # fmt: skip

    temperatures, truths, targets = [], [], []
    for kind, first in FIRST.items():
        for i in range(DAYS[kind]):
            day = first + timedelta(days=i)
            temperature = (
                12
                + 5 * np.sin(i / 2.0)
                + 4 * np.cos((row + 3 * i) / 6.0)
                + rng.normal(0, 1, row.size)
                - 0.004 * (elevation - 500)
            )
            value = planted(elevation, temperature, cover)
            temperatures.append(
                pl.DataFrame({"pixel_id": np.arange(row.size), "temperature": temperature}).with_columns(obs_date=day)
            )
            land = cover != WATER
            truths.append(
                pl.DataFrame({"pixel_id": np.flatnonzero(land), "value": value[land]}).with_columns(obs_date=day)
            )
            if kind != "empty":
                means = np.bincount(under[land], value[land]) / np.bincount(under[land])
                means = np.full(means.size, 0.3) if kind == "flat" else means + rng.normal(0, 0.002, means.size)
                targets.append(
                    pl.DataFrame({"pixel_id": np.arange(means.size), "soil_moisture": means}).with_columns(obs_date=day)
                )
    house.product("skin", "fine", pl.concat(temperatures))
    house.product("coarse_soil_moisture", "coarse", pl.concat(targets))
    house.study = {
        "name": "learned",
        "title": "Frameworks that learn from samples",
        "simulated": True,
        "groups": ["downscaling"],
        "period": {"start": START, "end": END},
        "series": [
            {"variable": "soil_moisture", "product": "coarse_soil_moisture", "layer": "0-5 cm", "column": "soil_moisture", "unit": "m3 m-3"},
            {"variable": "soil_temperature", "product": "skin", "column": "temperature", "unit": "degC"},
        ],
        "factors": [
            {"factor": "elevation", "product": "terrain", "column": "height", "unit": "m"},
            {"factor": "land_cover", "product": "terrain", "column": "cover", "kind": "categorical"},
            {"factor": "terrain_unit", "product": "terrain", "column": "unit", "kind": "categorical"},
            {"factor": "noise", "product": "terrain", "column": "noise"},
            {"factor": "temperature", "variable": "soil_temperature", "product": "skin"},
        ],
        "downscaling": {
            "grid": "fine",
            "target": {"variable": "soil_moisture", "product": "coarse_soil_moisture", "layer": "0-5 cm"},
            "features": list(FEATURES),
            "unit": "terrain_unit",
            "water": "land_cover",
            "water_classes": [WATER],
            "frameworks": [WINDOWS, STACKING],
        },
    }  # fmt: skip
    house.dbt("build", "--select", *BUILT, "--exclude-resource-type", "unit_test")
    coarse = pl.concat(targets).rename({"soil_moisture": "value"})
    return World(house, pl.concat(truths), coarse, cover, unit)
