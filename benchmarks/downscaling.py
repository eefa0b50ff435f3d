"""Training and prediction of the learned frameworks: ours against the libraries called directly on one thread, on the same rows.

Training: the five-fold stack of three boosters as Anhui's, samples x 15 features, with its splits, scores and importance, against the fits
alone that such a stack needs. Prediction: rows of 15 features as FLOAT[15] in DuckDB through `predict_soil_moisture`, one thread, against
one batch call of the model plus the scan of the table.

SOILHOUSE_BENCH_SAMPLES (default 310,935, Anhui's), SOILHOUSE_BENCH_PIXELS (1,000,000) and SOILHOUSE_BENCH_TREES (300) make it smaller.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

import udfs
from benchmarks import Result
from udfs.downscaling import estimators
from udfs.downscaling.design import Design
from udfs.downscaling.kernels import train_downscaler
from udfs.downscaling.samples import SAMPLES
from udfs.downscaling.splits import row_folds
from udfs.downscaling.store import Kept, Store

N_SAMPLES = int(os.environ.get("SOILHOUSE_BENCH_SAMPLES", 310_935))
N_PIXELS = int(os.environ.get("SOILHOUSE_BENCH_PIXELS", 1_000_000))
N_TREES = int(os.environ.get("SOILHOUSE_BENCH_TREES", 300))
N_FEATURES, FOLDS, ROUNDS = 15, 5, 3
BOOSTERS: dict[str, dict[str, Any]] = {
    "xgb": {"n_estimators": N_TREES, "max_depth": 6, "learning_rate": 0.1},
    "lightgbm": {"n_estimators": N_TREES, "num_leaves": 31, "learning_rate": 0.1},
    "catboost": {"iterations": N_TREES, "depth": 6, "learning_rate": 0.1},
}
SINGLE: dict[str, dict[str, Any]] = {
    "mlr": {},
    "ann": {"hidden_layer_sizes": [32, 16], "max_iter": 30},
    "rf": {"n_estimators": 100, "min_samples_leaf": 5},
} | BOOSTERS


def run() -> list[Result]:
    """Ratios of training and of prediction by estimator."""
    features, target = _samples(N_SAMPLES)
    with tempfile.TemporaryDirectory() as folder:
        return [_training(features, target, Path(folder)), *_prediction(features, target, Path(folder))]


def _samples(n: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    features = rng.normal(size=(n, N_FEATURES)).astype(np.float32)
    signal = features[:, 0] * features[:, 1] + np.tanh(features[:, 2]) + 0.3 * features[:, 3:8].sum(axis=1)
    return features, 0.25 + 0.03 * signal + rng.normal(0, 0.01, n)


def _lists(features: np.ndarray, target: np.ndarray) -> pa.ListArray:
    n = target.size
    lists = pa.ListArray.from_arrays(
        pa.array(np.arange(0, (n + 1) * N_FEATURES, N_FEATURES, dtype=np.int32)), pa.array(features.ravel())
    )
    columns = [
        pa.array(np.arange(n, dtype=np.int64) % 4000),
        pa.array((20190401 + np.arange(n) // 4000 % 28).astype(np.int32)),
        pa.array(target),
        pa.array((np.arange(n) % 4000 // 100).astype(np.int32)),
        lists,
    ]
    members = pa.StructArray.from_arrays(columns, fields=list(SAMPLES.value_type))
    return pa.ListArray.from_arrays(pa.array([0, n], pa.int32()), members, type=SAMPLES)


def _settings(names: list[str], combine: str, **changes: Any) -> str:
    given = {
        "combine": combine,
        "features": [f"feature_{i}" for i in range(N_FEATURES)],
        "is_categorical": [False] * N_FEATURES,
        "estimators": names,
        "hyperparameters": {name: {k: [v] for k, v in SINGLE[name].items()} for name in names},
        "min_samples": 100,
        "outer_share": 0.0,
        "train_share": 0.7,
        "min_ks_p": 0,
        "max_draws": 1,
        "folds": FOLDS,
        "folds_of": "rows",
        "max_fit_samples": {},
        "max_search_samples": 20_000,
        "max_score_samples": 50_000,
        "refit": False,
        "interval_level": 0.9,
        "interval_from": "test",
        "permutations": 1,
        "shap_samples": 500,
        "seed": 1,
    }
    return json.dumps(given | changes)


def _training(features: np.ndarray, target: np.ndarray, folder: Path) -> Result:
    """Ours first, so that its peak is not the peer's; both fit the same members on the same folds."""
    text = pa.array([_settings(list(BOOSTERS), "stack")])
    samples = _lists(features, target)
    before = _peak_gb()
    began = time.perf_counter()
    found = train_downscaler(samples, text, pa.array(["all"]), pa.array([str(folder)]))
    ours = time.perf_counter() - began
    peak = _peak_gb()
    again = time.perf_counter()
    train_downscaler(samples, text, pa.array(["all"]), pa.array([str(folder)]))
    again = time.perf_counter() - again
    stack = found[0].as_py()[-1]
    n = round(0.7 * target.size)
    x, y, folds = features[:n], target[:n], row_folds(n, FOLDS, 1)
    began = time.perf_counter()
    with estimators.one_thread():
        for name, chosen in BOOSTERS.items():
            for fold in range(FOLDS):
                left_out = folds == fold
                estimators.fit(name, x[~left_out], y[~left_out], chosen, 1).predict(x[left_out])
            estimators.fit(name, x, y, chosen, 1)
    theirs = time.perf_counter() - began
    note = (
        f"with scores of blocks and times left out on at most 50,000 rows, permutation, SHAP of 500; test RMSE {stack['test_rmse']:.4f};"
        f" built again in {again:.1f} s without a fit; {before:.2f} GB before"
    )
    work = f"stack of three boosters, {FOLDS} folds, {target.size:,} x {N_FEATURES}, one thread"
    return Result(work, f"its {3 * (FOLDS + 1)} fits alone", ours, theirs, None, peak, note)


def _prediction(features: np.ndarray, target: np.ndarray, folder: Path) -> list[Result]:
    n = min(target.size, 20_000)
    names = tuple(f"feature_{i}" for i in range(N_FEATURES))
    store, design = Store(folder), Design.of(features[:n], names, (False,) * N_FEATURES)
    models = {name: estimators.fit(name, features[:n], target[:n], chosen, 1) for name, chosen in SINGLE.items()}
    x, _ = _samples(N_PIXELS)
    connection = duckdb.connect()
    connection.execute("set threads = 1")
    udfs.register(connection)
    flat = pa.FixedSizeListArray.from_arrays(pa.array(x.ravel()), N_FEATURES)
    connection.register("given", pa.table({"features": flat}))
    connection.execute(f"create table pixels as select features::float[{N_FEATURES}] as features from given")
    scan = _median(lambda: connection.execute("select sum(list_sum(features)) from pixels").fetchone())
    results = []
    for number, (name, fitted) in enumerate(models.items()):
        model_id = f"{number:016x}"
        store.register(model_id, {"result": {"artifact_sha256": store.keep(Kept(fitted, design, 0.02))}})
        model = store.of_training(model_id).model
        reference = f"{folder}/{model_id}"
        query = "select avg(predict_soil_moisture(?, features).value) from pixels"
        ours, theirs = _interleaved(
            lambda query=query, reference=reference: connection.execute(query, [reference]).fetchone()[0],
            lambda model=model: float(model.predict(x).mean()),
        )
        note = f"{N_PIXELS / ours / 1e6:.2f} M rows/s; the scan is {scan:.2f} s"
        work = f"prediction with {name}, {N_PIXELS:,} x {N_FEATURES}, through DuckDB, one thread"
        results.append(Result(work, "one batch of the model, and the scan", ours, theirs + scan, 1.1, None, note))
    return results


def _median(call: Callable[[], Any]) -> float:
    call()
    return statistics.median(_seconds(call) for _ in range(ROUNDS))


def _interleaved(ours: Callable[[], float], theirs: Callable[[], float]) -> tuple[float, float]:
    a, b = ours(), theirs()
    assert abs(a - b) < 1e-6, (a, b)
    pairs = [(_seconds(ours), _seconds(theirs)) for _ in range(ROUNDS)]
    return statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs)


def _seconds(call: Callable[[], Any]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def _peak_gb() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e9 if sys.platform == "darwin" else 1e6)
