"""The estimators, and the hyperparameters of each that a study may set, under the names of its library."""

from __future__ import annotations

_OF_TREES = ("max_depth", "min_samples_leaf", "min_samples_split", "max_features", "n_estimators", "max_samples")

PARAMETERS: dict[str, tuple[str, ...]] = {
    # multiple linear regression: ordinary least squares
    "mlr": (),
    # support vector regression, radial basis function; features and target are standardised, so epsilon counts in standard deviations
    "svr": ("C", "epsilon", "gamma"),
    # multi-layer perceptron; features and target are standardised
    "ann": ("hidden_layer_sizes", "activation", "alpha", "solver", "learning_rate_init", "max_iter", "tol"),
    "rf": _OF_TREES,
    "xgb": (
        "n_estimators", "max_depth", "learning_rate", "subsample", "colsample_bytree", "min_child_weight",
        "reg_lambda", "reg_alpha", "gamma", "max_bin",
    ),
    "lightgbm": (
        "n_estimators", "num_leaves", "max_depth", "learning_rate", "subsample", "subsample_freq",
        "colsample_bytree", "min_child_samples", "reg_lambda", "reg_alpha", "max_bin",
    ),
    "catboost": (
        "iterations", "depth", "learning_rate", "l2_leaf_reg", "random_strength", "bagging_temperature",
        "min_data_in_leaf", "border_count",
    ),
}  # fmt: skip

ESTIMATORS = tuple(PARAMETERS)

COMBINATIONS = ("best", "stack")
"""What several estimators give together: the best of them by a score, or a second level over all of them."""
