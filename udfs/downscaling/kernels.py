"""train_downscaler and predict_soil_moisture: trained models as functions of SQL."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from udfs.arrow import struct_array
from udfs.downscaling.samples import SAMPLES, feature_matrix, rows_of
from udfs.downscaling.settings import read_settings
from udfs.kernel import Kernel

IMPORTANCE = pa.list_(
    pa.struct([("feature", pa.string()), ("importance_kind", pa.string()), ("importance", pa.float64())])
)

SHAP = pa.list_(
    pa.struct(
        [
            ("sample_id", pa.int32()),
            ("pixel_id", pa.int64()),
            ("obs_day", pa.int32()),
            ("feature", pa.string()),
            ("feature_value", pa.float64()),
            ("shap", pa.float64()),
            ("expected", pa.float64()),
        ]
    )
)

TRAINED = pa.list_(
    pa.struct(
        [
            ("model_id", pa.string()),
            ("estimator", pa.string()),
            ("status", pa.string()),
            ("n_valid", pa.int64()),
            ("n_train", pa.int64()),
            ("n_test", pa.int64()),
            ("n_outer", pa.int64()),
            ("n_fitted", pa.int64()),
            ("n_draws", pa.int32()),
            ("ks_p", pa.float64()),
            ("train_r", pa.float64()),
            ("train_rmse", pa.float64()),
            ("test_r", pa.float64()),
            ("test_rmse", pa.float64()),
            ("outer_r", pa.float64()),
            ("outer_rmse", pa.float64()),
            ("spatial_cv_rmse", pa.float64()),
            ("temporal_cv_rmse", pa.float64()),
            ("interval_half_width", pa.float64()),
            ("outer_coverage", pa.float64()),
            ("spatial_coverage", pa.float64()),
            ("hyperparameters", pa.string()),
            ("artifact", pa.string()),
            ("artifact_sha256", pa.string()),
            ("importance", IMPORTANCE),
            ("shap", SHAP),
        ]
    )
)

PREDICTED = pa.struct(
    [("value", pa.float64()), ("lower", pa.float64()), ("upper", pa.float64()), ("is_extrapolated", pa.bool_())]
)


def train_downscaler(samples: pa.ListArray, settings: pa.Array, part: pa.Array, store: pa.Array) -> pa.ListArray:
    """Train the estimators of `settings` on each row's samples; an array of type TRAINED.

    `samples`: array of type SAMPLES, in any order; settings string, JSON of settings.Settings; part string, what tells this training
    from others (its window or unit); store string, the folder where models are kept. A training whose rows, settings, part and library
    versions the store knows is read from it. Incomplete samples are dropped; a NULL list is one without samples. NULL settings, part or
    store: NULL. Fewer than `min_samples`, or a constant target: results with that status and without scores. ValueError: settings that
    mean nothing; a sample with another number of features.
    """
    from udfs.downscaling.store import Store
    from udfs.downscaling.training import train

    found: list[list[dict[str, Any]] | None] = []
    offsets = samples.offsets.to_numpy()
    is_listed = samples.is_valid().to_numpy(zero_copy_only=False)
    texts = zip(settings.to_pylist(), part.to_pylist(), store.to_pylist(), strict=True)
    for row, (text, of, folder) in enumerate(texts):
        if text is None or of is None or folder is None:
            found.append(None)
            continue
        given = read_settings(text)
        n = offsets[row + 1] - offsets[row] if is_listed[row] else 0
        rows = rows_of(samples.values.slice(offsets[row], n), len(given.features))
        found.append(train(rows, given, of, Store(folder)))
    return pa.array(found, TRAINED)


def predict_soil_moisture(model_id: pa.Array, features: pa.ListArray) -> pa.StructArray:
    """What a trained model says of each row's features; an array of type PREDICTED.

    `model_id` string, the id of a training, or the path of a store and the id; features list of float32 in the study's order. NULL:
    either argument NULL, or a feature NULL or NaN. ValueError: no such model; another number of features.
    """
    from udfs.downscaling.prediction import loaded, predict

    references = pc.unique(model_id).to_pylist()
    if len(references) == 1 and references[0] is not None:  # the usual batch: one window, one unit
        kept = loaded(references[0])
        x, is_listed = feature_matrix(features, len(kept.design.features), "predict_soil_moisture")
        if is_listed.all() and np.isfinite(x).all() and kept.half_width is not None:
            return pa.StructArray.from_arrays([pa.array(column) for column in predict(kept, x)], fields=list(PREDICTED))

    n = len(model_id)
    value, lower, upper = (np.full(n, np.nan) for _ in range(3))
    is_extrapolated, is_null = np.zeros(n, bool), np.ones(n, bool)
    for reference in references:
        if reference is None:
            continue
        kept = loaded(reference)
        mine = pc.equal(model_id, reference).fill_null(False)
        x, is_listed = feature_matrix(features.filter(mine), len(kept.design.features), "predict_soil_moisture")
        known = is_listed & np.isfinite(x).all(axis=1)
        at = np.flatnonzero(mine.to_numpy(zero_copy_only=False))[known]
        if at.size:
            value[at], lower[at], upper[at], is_extrapolated[at] = predict(kept, x[known])
            is_null[at] = False
    return struct_array(PREDICTED, [value, lower, upper, is_extrapolated], is_null)


_SETTINGS_MEANING = (
    "`settings` is JSON with the framework's keys in docs/study_file.md (features, is_categorical, estimators, hyperparameters, shares of "
    "the splits, folds, seed ...), which models/intermediate/int_downscaling_model_task.sql writes. "
)

# A training that takes no time, for the examples of both kernels.
_EXAMPLE = (
    "train_downscaler(\n"
    "    list({'pixel_id': i, 'obs_day': 20200101 + (i % 20)::integer, 'target': 0.1 + 0.002 * i, 'block_id': (i % 4)::integer, "
    "'features': [i, i % 7]::float[]}),\n"
    '    \'{"combine": "best", "features": ["wetness", "noise"], "is_categorical": [false, false], "estimators": ["mlr"], '
    '"hyperparameters": {}, "min_samples": 20, "outer_share": 0.2, "train_share": 0.5, "min_ks_p": 0.05, "max_draws": 100, '
    '"folds": 5, "folds_of": "rows", "max_fit_samples": {}, "max_search_samples": 1000, "max_score_samples": 1000, '
    '"refit": true, "interval_level": 0.9, "interval_from": "test", "permutations": 1, "shap_samples": 0, "seed": 1}\',\n'
    "    'example', '/tmp/soilhouse-models')[1]"
)


KERNELS = (
    Kernel(
        name="train_downscaler",
        arguments={"samples": SAMPLES, "settings": pa.string(), "part": pa.string(), "store": pa.string()},
        returns=TRAINED,
        function=train_downscaler,
        summary="Trains and scores the estimators of a downscaling framework on one window's or unit's samples.",
        meaning=(
            "`samples` are coarse pixels and days (`obs_day` as the number YYYYMMDD) with their target, spatial block and features. "
            + _SETTINGS_MEANING
            + "The result has a member for each estimator, and one for their stack: scores on train, test and the untouched outer fold, "
            "scores that leave out blocks of cells and stretches of time, the half-width of the conformal interval and its coverage, "
            "importance, SHAP values, and the file of the model in `store`. Models are trained on one thread with the seed of the "
            "settings: the same rows in any order give the same file, and a second call reads it. `part` tells trainings apart."
        ),
        nulls="NULL settings, part or store: NULL. Samples with a NULL, NaN or infinity are dropped; a NULL block is block 0.",
        minimum="`min_samples` of the settings; fewer: members with status `too_few_samples` and without scores.",
        citation=(
            "Best of five by window and stacking by terrain unit: the studies of northern China and Anhui (docs/methods.md). "
            "Intervals: Lei et al. (2018), Distribution-free predictive inference for regression, J. Am. Stat. Assoc. 113."
        ),
        example=(f"select {_EXAMPLE}.test_r\nfrom range(100) as samples(i)"),
    ),
    Kernel(
        name="predict_soil_moisture",
        arguments={"model_id": pa.string(), "features": pa.list_(pa.float32())},
        returns=PREDICTED,
        function=predict_soil_moisture,
        summary="What a trained downscaling model says of a pixel and day.",
        meaning=(
            "`model_id` is the id of a training (fct_downscaling_models) of the lake that SOILHOUSE_LAKE names, or the path of a lake's "
            "`models` and the id (`/data/lake/models/0123456789abcdef`), which workers of Spark need; `features` are the study's, in its "
            "order. The result is the value, the interval [lower, upper] of the level that the study asks, and whether a feature lies outside what the model was trained on: no model is "
            "known to be right there. Models are read once a process, after a check of their hash."
        ),
        nulls="Either argument NULL, a feature NULL or NaN: NULL.",
        minimum="1 row.",
        citation="The library of the estimator; trees with one thread, because the engine runs batches side by side.",
        example=(
            f"select predict_soil_moisture('/tmp/soilhouse-models/' || {_EXAMPLE}.model_id, [50, 3]::float[]).value\n"
            "from range(100) as samples(i)"
        ),
    ),
)
