"""Generated samples for the downscaling kernels, settings of a small training, and calls of the kernels on numpy arrays."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from udfs.downscaling.kernels import predict_soil_moisture, train_downscaler
from udfs.downscaling.samples import SAMPLES, Rows
from udfs.downscaling.settings import Settings, read_settings

NAMES = ("temperature", "vegetation", "clay", "noise", "land_cover")
COVERS = (1.0, 2.0, 7.0)

SMALL: dict[str, dict[str, list[Any]]] = {
    "svr": {"C": [10], "epsilon": [0.05]},
    "ann": {"hidden_layer_sizes": [[16]], "solver": ["lbfgs"], "max_iter": [200], "alpha": [0.01]},
    "rf": {"n_estimators": [30], "min_samples_leaf": [2]},
    "xgb": {"n_estimators": [60], "max_depth": [4], "learning_rate": [0.15]},
    "lightgbm": {"n_estimators": [60], "min_child_samples": [5]},
    "catboost": {"iterations": [60], "depth": [4], "learning_rate": [0.2]},
}


@dataclass(frozen=True)
class Samples:
    """Columns of samples: pixel_id, obs_day, target, block_id (n,), features (n, p) float32."""

    pixel_id: np.ndarray
    obs_day: np.ndarray
    target: np.ndarray
    block_id: np.ndarray
    features: np.ndarray

    @property
    def rows(self) -> Rows:
        order = np.lexsort((self.obs_day, self.pixel_id))
        return Rows(
            self.pixel_id[order].astype(np.int64),
            self.obs_day[order].astype(np.int32),
            self.target[order],
            self.block_id[order].astype(np.int32),
            self.features[order],
        )

    def list_array(self, order: np.ndarray | None = None) -> pa.ListArray:
        order = np.arange(self.target.size) if order is None else order
        members = [
            {
                "pixel_id": int(self.pixel_id[i]),
                "obs_day": int(self.obs_day[i]),
                "target": float(self.target[i]),
                "block_id": int(self.block_id[i]),
                "features": self.features[i].tolist(),
            }
            for i in order
        ]
        return pa.array([members], SAMPLES)


def planted(features: np.ndarray) -> np.ndarray:
    """The function behind the target: an interaction, a bend, a step by land cover; `noise` has no part in it."""
    temperature, vegetation, clay, _, cover = features.astype(np.float64).T
    return 0.25 + 0.03 * temperature * vegetation + 0.02 * np.tanh(clay) + 0.03 * (cover == 2)


def generated(n_pixels: int = 40, n_days: int = 12, seed: int = 1, noise: float = 0.005) -> Samples:
    """n_pixels x n_days samples in blocks of five pixels."""
    rng = np.random.default_rng(seed)
    pixel, day = np.divmod(np.arange(n_pixels * n_days), n_days)
    features = rng.normal(size=(pixel.size, len(NAMES))).astype(np.float32)
    features[:, -1] = rng.choice(COVERS, n_pixels)[pixel]
    target = planted(features) + rng.normal(0, noise, pixel.size)
    return Samples(100 + pixel, 20200101 + day, target, pixel // 5, features)


def settings_text(**changes: Any) -> str:
    """Settings of a small training, some of them changed."""
    given: dict[str, Any] = {
        "combine": "best",
        "features": list(NAMES),
        "is_categorical": [False] * 4 + [True],
        "estimators": ["mlr", "xgb"],
        "hyperparameters": SMALL,
        "min_samples": 50,
        "outer_share": 0.2,
        "train_share": 0.5,
        "min_ks_p": 0.05,
        "max_draws": 50,
        "folds": 4,
        "folds_of": "rows",
        "max_fit_samples": {},
        "max_search_samples": 1000,
        "max_score_samples": 1000,
        "refit": False,
        "interval_level": 0.9,
        "interval_from": "test",
        "permutations": 1,
        "shap_samples": 0,
        "seed": 1,
    }
    return json.dumps(given | changes)


def settings(**changes: Any) -> Settings:
    return read_settings(settings_text(**changes))


def train(samples: pa.ListArray, store: Path, part: str = "all", **changes: Any) -> dict[str, dict[str, Any]]:
    """The kernel's results of one row, by estimator."""
    text = pa.array([settings_text(**changes)])
    found = train_downscaler(samples, text, pa.array([part]), pa.array([str(store)]))
    return {result["estimator"]: result for result in found[0].as_py()}


def predict(
    store: Path, model_id: str | None, features: list[list[float | None] | None]
) -> list[dict[str, Any] | None]:
    """The kernel's predictions of one model."""
    reference = None if model_id is None else f"{store}/{model_id}"
    ids = pa.array([reference] * len(features), pa.string())
    return predict_soil_moisture(ids, pa.array(features, pa.list_(pa.float32()))).to_pylist()
