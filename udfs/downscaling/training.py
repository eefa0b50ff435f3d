"""Everything of one window or unit: split, search, fit, score, keep.

    1. The outer fold is set aside; nothing below touches it until the scores.
    2. The rest becomes train and test, drawn again until their targets agree (splits.py).
    3. Hyperparameters: the combination with the smallest cross-validated RMSE within train.
    4. Fit on train; r and RMSE on train and test (the papers'), on the outer fold, and leaving out blocks of cells and stretches of time.
    5. Half-width of the interval from residuals that the fit did not see; its coverage on the outer fold and on blocks left out.
    6. With `refit`, the kept model is fitted once more on all rows with the same hyperparameters; its scores stay those of 4.

A stack does 3 for each member, and fits its second level on predictions that each member made for folds of train it had not seen. In
its scores of blocks and time the members are fitted anew and the second level stays.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from udfs.downscaling import attribution, estimators
from udfs.downscaling.design import Design
from udfs.downscaling.estimators import Model, Stack
from udfs.downscaling.samples import Rows
from udfs.downscaling.scoring import correlation, coverage, half_width, rmse
from udfs.downscaling.settings import Settings
from udfs.downscaling.splits import Split, group_folds, row_folds, split, subsample, time_folds
from udfs.downscaling.store import Kept, Store

METHOD = 1
"""Raised when the same rows and settings are to give another result: models of before are then trained again."""

TRAINED, TOO_FEW, CONSTANT = "trained", "too_few_samples", "constant_target"

_SCORES = (
    "n_train", "n_test", "n_outer", "n_fitted", "n_draws", "ks_p", "train_r", "train_rmse", "test_r", "test_rmse", "outer_r", "outer_rmse",
    "spatial_cv_rmse", "temporal_cv_rmse", "interval_half_width", "outer_coverage", "spatial_coverage", "hyperparameters",
    "artifact", "artifact_sha256",
)  # fmt: skip


def train(rows: Rows, settings: Settings, part: str, store: Store) -> list[dict[str, Any]]:
    """The results of one training, one an estimator and then the stack, with the fields of kernels.TRAINED.

    `part` is text that tells this window or unit from others. What the store has a record and a model of is not trained again.
    """
    names = (*settings.estimators, "stack") if settings.combine == "stack" else settings.estimators
    keys = {name: _key(name, rows, settings, part) for name in names}
    ids = {name: hashlib.sha256(key.encode()).hexdigest()[:16] for name, key in keys.items()}
    if len(rows) < settings.min_samples:
        return [_untrained(name, ids[name], TOO_FEW, len(rows)) for name in names]
    if rows.target.min() == rows.target.max():
        return [_untrained(name, ids[name], CONSTANT, len(rows)) for name in names]
    found = {name: _remembered(store, ids[name], keys[name]) for name in names}
    missing = [name for name in names if found[name] is None]
    if missing:
        with estimators.one_thread():
            work = _Work.of(rows, settings)
            fresh = work.stack() if settings.combine == "stack" else {name: work.alone(name) for name in missing}
            for name in missing:
                kept, result = fresh[name]
                members = [found[e]["artifact_sha256"] for e in settings.estimators] if name == "stack" else []
                sha256 = store.keep(kept, members)
                result |= {
                    "model_id": ids[name],
                    "estimator": name,
                    "status": TRAINED,
                    "n_valid": len(rows),
                    "artifact": f"{sha256}.model",
                    "artifact_sha256": sha256,
                }
                store.register(ids[name], {"key": json.loads(keys[name]), "result": result})
                found[name] = result
    return [found[name] for name in names]


def _key(name: str, rows: Rows, settings: Settings, part: str) -> str:
    """Everything a result depends on, as JSON."""
    used = settings.estimators if name == "stack" else (name,)
    return json.dumps(
        {
            "method": METHOD,
            "part": part,
            "rows": rows.digest().hex(),
            "settings": settings.key(name),
            "versions": {estimator: estimators.library_version(estimator) for estimator in used},
        },
        sort_keys=True,
    )


def _remembered(store: Store, model_id: str, key: str) -> dict[str, Any] | None:
    record = store.record(model_id)
    if record is None or record.get("key") != json.loads(key):
        return None
    result = record["result"]
    return result if store.has(result["artifact_sha256"]) else None


def _untrained(name: str, model_id: str, status: str, n: int) -> dict[str, Any]:
    return dict.fromkeys(_SCORES) | {
        "model_id": model_id,
        "estimator": name,
        "status": status,
        "n_valid": n,
        "importance": [],
        "shap": [],
    }


Fit = Callable[[np.ndarray], Model]
"""Fits a model on the rows at these places."""


@dataclass
class _Work:
    """One window's or unit's rows while they are trained on."""

    rows: Rows
    settings: Settings
    split: Split
    design: Design
    x: np.ndarray

    @classmethod
    def of(cls, rows: Rows, settings: Settings) -> _Work:
        s = settings
        drawn = split(rows.target, rows.obs_day, s.outer_share, s.train_share, s.min_ks_p, s.max_draws, s.seed)
        design = Design.of(rows.features[drawn.train], s.features, s.is_categorical)
        return cls(rows, s, drawn, design, design.matrix(rows.features))

    def alone(self, name: str) -> tuple[Kept, dict[str, Any]]:
        """One estimator: the model to keep, and its result."""
        chosen = self._search(name)
        fitted = self._fit(name, chosen, self.split.train)
        held_out = {
            kind: self._left_out(folds, lambda at: self._fit(name, chosen, at))
            for kind, folds in self._score_folds().items()
        }
        if self.settings.refit:
            design, x = self._design_of_all()
            kept = self._fit(name, chosen, np.arange(len(self.rows)), x)
        else:
            design, kept = self.design, fitted
        n_fitted = self._fit_rows(name, np.arange(len(self.rows)) if self.settings.refit else self.split.train).size
        return self._result(fitted, kept, design, held_out, json.dumps(chosen, sort_keys=True), n_fitted)

    def stack(self) -> dict[str, tuple[Kept, dict[str, Any]]]:
        """Every estimator and the stack of them: models to keep, and results."""
        s, train_rows, y = self.settings, self.split.train, self.rows.target
        chosen = {name: self._search(name) for name in s.estimators}
        folds = self._folds(train_rows)
        out_of_fold = np.column_stack(
            [
                self._out_of_fold(train_rows, folds, lambda at, n=name: self._fit(n, chosen[n], at))
                for name in s.estimators
            ]
        )
        weights, intercept = Stack.second_level(out_of_fold, y[train_rows])
        fitted = {name: self._fit(name, chosen[name], train_rows) for name in s.estimators}
        held_out = {
            name: {
                kind: self._left_out(folds, lambda at, n=name: self._fit(n, chosen[n], at))
                for kind, folds in self._score_folds().items()
            }
            for name in s.estimators
        }
        everything = np.arange(len(self.rows))
        if s.refit:
            design, x = self._design_of_all()
            kept = {name: self._fit(name, chosen[name], everything, x) for name in s.estimators}
        else:
            design, kept = self.design, fitted
        found = {
            name: self._result(
                fitted[name],
                kept[name],
                design,
                held_out[name],
                json.dumps(chosen[name], sort_keys=True),
                self._fit_rows(name, everything if s.refit else train_rows).size,
            )
            for name in s.estimators
        }
        scored = Stack(list(fitted.values()), weights, intercept)
        of_stack = {
            kind: self._combined(scored, [held_out[name][kind] for name in s.estimators])
            for kind in self._score_folds()
        }
        second_level = {
            "intercept": intercept,
            "members": chosen,
            "weights": dict(zip(s.estimators, map(float, weights), strict=True)),
        }
        found["stack"] = self._result(
            scored,
            Stack(list(kept.values()), weights, intercept),
            design,
            of_stack,
            json.dumps(second_level, sort_keys=True),
            everything.size if s.refit else train_rows.size,
        )
        return found

    def _search(self, name: str) -> dict[str, Any]:
        """The combination of hyperparameters with the smallest RMSE over folds of train; the first of equals. One needs no search."""
        grid = self.settings.hyperparameters.get(name, {})
        combinations = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
        if len(combinations) == 1:
            return combinations[0]
        rows = subsample(self.split.train, self.settings.max_search_samples, self.settings.seed)
        folds = self._folds(rows)
        errors = []
        for chosen in combinations:
            predicted = self._out_of_fold(rows, folds, lambda at, c=chosen: self._fit(name, c, at))
            errors.append(rmse(predicted, self.rows.target[rows]))
        return combinations[int(np.argmin(errors))]

    def _fit(self, name: str, chosen: dict[str, Any], at: np.ndarray, x: np.ndarray | None = None) -> Model:
        at = self._fit_rows(name, at)
        x = self.x if x is None else x
        return estimators.fit(name, x[at], self.rows.target[at], chosen, self.settings.seed)

    def _fit_rows(self, name: str, at: np.ndarray) -> np.ndarray:
        return subsample(at, self.settings.max_fit_samples.get(name, at.size), self.settings.seed)

    def _design_of_all(self) -> tuple[Design, np.ndarray]:
        design = Design.of(self.rows.features, self.settings.features, self.settings.is_categorical)
        return design, design.matrix(self.rows.features)

    def _folds(self, rows: np.ndarray) -> np.ndarray:
        """Folds within train, for the search and the second level. One block cannot be left out: then rows."""
        blocks = self.rows.block_id[rows]
        if self.settings.folds_of == "blocks" and blocks.min() < blocks.max():
            return group_folds(blocks, self.settings.folds)
        return row_folds(rows.size, min(self.settings.folds, rows.size), self.settings.seed)

    def _score_rows(self) -> np.ndarray:
        """The rows of the scores that leave out blocks and times: train and test, never the outer fold."""
        inner = np.sort(np.concatenate([self.split.train, self.split.test]))
        return subsample(inner, self.settings.max_score_samples, self.settings.seed)

    def _score_folds(self) -> dict[str, np.ndarray]:
        rows = self._score_rows()
        return {
            "spatial": group_folds(self.rows.block_id[rows], self.settings.folds),
            "temporal": time_folds(self.rows.obs_day[rows], self.settings.folds),
        }

    def _left_out(self, folds: np.ndarray, fit: Fit) -> np.ndarray | None:
        """Predictions of `_score_rows` by models that saw nothing of their fold; None where there is one fold only."""
        return None if folds.min() == folds.max() else self._out_of_fold(self._score_rows(), folds, fit)

    def _out_of_fold(self, rows: np.ndarray, folds: np.ndarray, fit: Fit) -> np.ndarray:
        predicted = np.empty(rows.size)
        for fold in np.unique(folds):
            left_out = folds == fold
            predicted[left_out] = fit(rows[~left_out]).predict(self.x[rows[left_out]])
        return predicted

    @staticmethod
    def _combined(stack: Stack, predictions: list[np.ndarray | None]) -> np.ndarray | None:
        return None if predictions[0] is None else stack.combined(np.column_stack(predictions))

    def _result(
        self,
        fitted: Model,
        kept: Model,
        design: Design,
        held_out: dict[str, np.ndarray | None],
        hyperparameters: str,
        n_fitted: int,
    ) -> tuple[Kept, dict[str, Any]]:
        s, y = self.settings, self.rows.target
        parts = {"train": self.split.train, "test": self.split.test, "outer": self.split.outer}
        predicted = {part: fitted.predict(self.x[at]) for part, at in parts.items()}
        residuals = {part: y[at] - predicted[part] for part, at in parts.items()}
        of_blocks = np.empty(0) if held_out["spatial"] is None else y[self._score_rows()] - held_out["spatial"]
        source = of_blocks if s.interval_from == "blocks" and of_blocks.size else residuals["test"]
        width = half_width(source, s.interval_level)
        score_y = y[self._score_rows()]
        shap_rows = self.rows.take(subsample(np.arange(len(self.rows)), s.shap_samples, s.seed))
        shap, of_shap = attribution.shap(kept, design, shap_rows)
        looked_at = subsample(self.split.test, attribution.MOST_PERMUTED, s.seed)
        result = {
            "n_train": parts["train"].size,
            "n_test": parts["test"].size,
            "n_outer": parts["outer"].size,
            "n_fitted": int(n_fitted),
            "n_draws": self.split.n_draws,
            "ks_p": self.split.ks_p,
            "interval_half_width": width,
            "outer_coverage": coverage(residuals["outer"], width),
            "spatial_coverage": coverage(of_blocks, width),
            "hyperparameters": hyperparameters,
            "importance": [
                *attribution.native(kept, design),
                *attribution.permutation(fitted, self.design, self.rows.take(looked_at), s.permutations, s.seed),
                *of_shap,
            ],
            "shap": shap,
        }
        for part, at in parts.items():
            result[f"{part}_r"] = correlation(predicted[part], y[at])
            result[f"{part}_rmse"] = rmse(predicted[part], y[at])
        for kind in ("spatial", "temporal"):
            result[f"{kind}_cv_rmse"] = None if held_out[kind] is None else rmse(held_out[kind], score_y)
        return Kept(kept, design, width), result
