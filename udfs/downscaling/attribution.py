"""Which features a model relies on: its library's own importance, permutation importance, SHAP."""

from __future__ import annotations

from typing import Any

import numpy as np

from udfs.downscaling.design import Design
from udfs.downscaling.estimators import Model
from udfs.downscaling.samples import Rows
from udfs.downscaling.scoring import rmse

MOST_PERMUTED = 2000
"""Rows that permutation importance looks at: each is predicted once a feature and repeat."""


def native(model: Model, design: Design) -> list[dict[str, Any]]:
    """What the library calls importance, as shares of its sum over the features; categories' columns are added up."""
    of_columns = model.importance()
    if of_columns is None:
        return []
    of_features = design.by_feature(np.abs(np.asarray(of_columns, np.float64)))
    total = of_features.sum()
    return _listed(design, model.importance_kind, of_features / total if total > 0 else of_features)


def permutation(model: Model, design: Design, rows: Rows, repeats: int, seed: int) -> list[dict[str, Any]]:
    """How much the RMSE (in the target's unit) rises on `rows`, which the model was not fitted on, when a feature is shuffled among
    them, the mean over the repeats; below 0: the feature misleads. Breiman (2001), on RMSE."""
    if repeats == 0 or len(rows) < 2:
        return []
    base = rmse(model.predict(design.matrix(rows.features)), rows.target)
    found = np.zeros(len(design.features))
    for feature in range(len(design.features)):
        generator = np.random.default_rng([seed, 4, feature])
        for _ in range(repeats):
            shuffled = rows.features.copy()
            shuffled[:, feature] = generator.permutation(shuffled[:, feature])
            found[feature] += rmse(model.predict(design.matrix(shuffled)), rows.target) - base
    return _listed(design, "permutation", found / repeats)


def shap(model: Model, design: Design, rows: Rows) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """SHAP values of `rows`, a member a row and feature, and the mean of their size by feature; empty where the model has none.

    Lundberg and Lee (2017); trees by the path-dependent form of Lundberg et al. (2020). The values of a row and `expected` add up to its
    prediction. Columns of categories are added up.
    """
    explained = model.shap(design.matrix(rows.features)) if len(rows) else None
    if explained is None:
        return [], []
    values, expected = design.by_feature(explained[0]), explained[1]
    members = [
        {
            "sample_id": row + 1,
            "pixel_id": int(rows.pixel_id[row]),
            "obs_day": int(rows.obs_day[row]),
            "feature": name,
            "feature_value": float(rows.features[row, i]),
            "shap": float(values[row, i]),
            "expected": expected,
        }
        for row in range(len(rows))
        for i, name in enumerate(design.features)
    ]
    return members, _listed(design, "mean_absolute_shap", np.abs(values).mean(axis=0))


def _listed(design: Design, kind: str | None, values: np.ndarray) -> list[dict[str, Any]]:
    return [
        {"feature": name, "importance_kind": kind, "importance": float(value)}
        for name, value in zip(design.features, values, strict=True)
    ]
