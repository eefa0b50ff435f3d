"""One class a library of models behind one interface.

`fit(name, x, y, hyperparameters, seed)` trains one of parameters.ESTIMATORS on x (n, m) float32 and y (n,) float64, on one thread and
with the seed, so that the same rows give the same model. Every model predicts (n,) float64, says what its library calls importance,
gives SHAP values where they are exact and cheap, and turns into a header and blobs from which `load` makes the same model again.
"""

from __future__ import annotations

import threading
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

import numpy as np

from udfs.downscaling.artefact import Blob

LIBRARY = {
    "mlr": "scikit-learn",
    "svr": "scikit-learn",
    "ann": "scikit-learn",
    "rf": "scikit-learn",
    "xgb": "xgboost-cpu",
    "lightgbm": "lightgbm",
    "catboost": "catboost",
}


def library_version(name: str) -> str:
    """The version of an estimator's library: another version may give another model."""
    try:
        return version(LIBRARY[name])
    except ModuleNotFoundError:  # the same library under its other name
        return version(LIBRARY[name].removesuffix("-cpu"))


class Model(ABC):
    """A trained estimator."""

    kind: str
    importance_kind: str | None = None

    @abstractmethod
    def predict(self, x: np.ndarray) -> np.ndarray:
        """(n,) float64 for rows x (n, m) float32 in C order. Safe in several threads at once."""

    @abstractmethod
    def parts(self) -> tuple[dict[str, Any], dict[str, Blob]]:
        """What `load` needs."""

    def importance(self) -> np.ndarray | None:
        """What its library calls the importance of each column (m,), of kind `importance_kind`; None where it has none."""
        return None

    def shap(self, x: np.ndarray) -> tuple[np.ndarray, float] | None:
        """SHAP values (n, m) and the expected value, which add up to the prediction; None where they are neither exact nor cheap."""
        return None


class Constant(Model):
    """The mean, where there is nothing to learn from."""

    kind = "constant"

    def __init__(self, value: float) -> None:
        self.value = value

    def predict(self, x: np.ndarray) -> np.ndarray:
        return np.full(len(x), self.value)

    def parts(self) -> tuple[dict[str, Any], dict[str, Blob]]:
        return {"value": self.value}, {}

    def shap(self, x: np.ndarray) -> tuple[np.ndarray, float]:
        return np.zeros(x.shape), self.value

    @classmethod
    def from_parts(cls, header: dict[str, Any], blobs: dict[str, Blob]) -> Constant:
        return cls(header["value"])


class Linear(Model):
    """Multiple linear regression by ordinary least squares."""

    kind = "mlr"
    importance_kind = "standardised_coefficient"

    def __init__(self, intercept: float, coefficients: np.ndarray, mean: np.ndarray, sd: np.ndarray) -> None:
        self.intercept, self.coefficients, self.mean, self.sd = intercept, coefficients, mean, sd

    @classmethod
    def fit(cls, x: np.ndarray, y: np.ndarray, hyperparameters: dict[str, Any], seed: int) -> Linear:
        from sklearn.linear_model import LinearRegression

        mean, sd = x.mean(axis=0, dtype=np.float64), x.std(axis=0, dtype=np.float64)
        # About the mean and in standard deviations: columns of very different size (elevation, albedo) would lose digits.
        fitted = LinearRegression().fit((x - mean) / np.where(sd > 0, sd, 1.0), y)
        coefficients = fitted.coef_ / np.where(sd > 0, sd, 1.0)
        return cls(float(fitted.intercept_ - coefficients @ mean), coefficients, mean, sd)

    def predict(self, x: np.ndarray) -> np.ndarray:
        return self.intercept + x.astype(np.float64) @ self.coefficients

    def importance(self) -> np.ndarray:
        return self.coefficients * self.sd

    def shap(self, x: np.ndarray) -> tuple[np.ndarray, float]:
        return (x - self.mean) * self.coefficients, float(self.intercept + self.coefficients @ self.mean)

    def parts(self) -> tuple[dict[str, Any], dict[str, Blob]]:
        return {"intercept": self.intercept}, {"coefficients": self.coefficients, "mean": self.mean, "sd": self.sd}

    @classmethod
    def from_parts(cls, header: dict[str, Any], blobs: dict[str, Blob]) -> Linear:
        return cls(header["intercept"], blobs["coefficients"], blobs["mean"], blobs["sd"])


class _Standardised(Model):
    """A model of standardised columns and a standardised target."""

    def __init__(self, scales: dict[str, np.ndarray]) -> None:
        self.scales = scales  # mean, sd of the columns; target: its mean and sd

    @staticmethod
    def scales_of(x: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
        sd = x.std(axis=0, dtype=np.float64)
        return {
            "mean": x.mean(axis=0, dtype=np.float64),
            "sd": np.where(sd > 0, sd, 1.0),
            "target": np.array([y.mean(), y.std()]),
        }

    def standardised(self, x: np.ndarray) -> np.ndarray:
        return (x - self.scales["mean"]) / self.scales["sd"]

    @abstractmethod
    def _predict_standardised(self, z: np.ndarray) -> np.ndarray: ...

    def predict(self, x: np.ndarray) -> np.ndarray:
        mean, sd = self.scales["target"]
        return mean + sd * self._predict_standardised(self.standardised(x))


class KernelMachine(_Standardised):
    """Support vector regression with the radial basis function exp(-gamma |z - s|^2)."""

    kind = "svr"

    def __init__(
        self, scales: dict[str, np.ndarray], vectors: np.ndarray, weights: np.ndarray, intercept: float, gamma: float
    ) -> None:
        super().__init__(scales)
        self.vectors, self.weights, self.intercept, self.gamma = vectors, weights, intercept, gamma

    @classmethod
    def fit(cls, x: np.ndarray, y: np.ndarray, hyperparameters: dict[str, Any], seed: int) -> KernelMachine:
        from sklearn.svm import SVR

        scales = cls.scales_of(x, y)
        z = (x - scales["mean"]) / scales["sd"]
        fitted = SVR(kernel="rbf", **hyperparameters).fit(z, (y - scales["target"][0]) / scales["target"][1])
        gamma = hyperparameters.get("gamma", "scale")
        if gamma in ("scale", "auto"):
            gamma = 1.0 / (z.shape[1] * (z.var() if gamma == "scale" and z.var() > 0 else 1.0))
        return cls(
            scales,
            np.ascontiguousarray(fitted.support_vectors_),
            np.ascontiguousarray(fitted.dual_coef_[0]),
            float(fitted.intercept_[0]),
            float(gamma),
        )

    def _predict_standardised(self, z: np.ndarray) -> np.ndarray:
        found = np.empty(len(z))
        of_vectors = np.einsum("ij,ij->i", self.vectors, self.vectors)
        step = max(1, 4_000_000 // max(len(self.vectors), 1))  # at most 32 MB of distances at a time
        for start in range(0, len(z), step):
            part = z[start : start + step]
            distance = np.einsum("ij,ij->i", part, part)[:, None] + of_vectors - 2.0 * (part @ self.vectors.T)
            np.maximum(distance, 0.0, out=distance)
            distance *= -self.gamma
            found[start : start + step] = np.exp(distance, out=distance) @ self.weights + self.intercept
        return found

    def parts(self) -> tuple[dict[str, Any], dict[str, Blob]]:
        return {"intercept": self.intercept, "gamma": self.gamma}, {
            **self.scales,
            "vectors": self.vectors,
            "weights": self.weights,
        }

    @classmethod
    def from_parts(cls, header: dict[str, Any], blobs: dict[str, Blob]) -> KernelMachine:
        scales = {name: blobs[name] for name in ("mean", "sd", "target")}
        return cls(scales, blobs["vectors"], blobs["weights"], header["intercept"], header["gamma"])


_ACTIVATIONS = {
    "relu": lambda z: np.maximum(z, 0.0, out=z),
    "tanh": lambda z: np.tanh(z, out=z),
    "logistic": lambda z: 1.0 / (1.0 + np.exp(-z)),
    "identity": lambda z: z,
}


class Network(_Standardised):
    """A multi-layer perceptron."""

    kind = "ann"

    def __init__(
        self, scales: dict[str, np.ndarray], weights: list[np.ndarray], biases: list[np.ndarray], activation: str
    ) -> None:
        super().__init__(scales)
        self.weights, self.biases, self.activation = weights, biases, activation

    @classmethod
    def fit(cls, x: np.ndarray, y: np.ndarray, hyperparameters: dict[str, Any], seed: int) -> Network:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.neural_network import MLPRegressor

        scales = cls.scales_of(x, y)
        given = dict(hyperparameters)
        if isinstance(given.get("hidden_layer_sizes"), list):
            given["hidden_layer_sizes"] = tuple(given["hidden_layer_sizes"])
        with warnings.catch_warnings():
            # max_iter is a hyperparameter: a network that stops there is what was asked for.
            warnings.simplefilter("ignore", ConvergenceWarning)
            fitted = MLPRegressor(random_state=seed, **given).fit(
                (x - scales["mean"]) / scales["sd"], (y - scales["target"][0]) / scales["target"][1]
            )
        return cls(scales, fitted.coefs_, fitted.intercepts_, fitted.activation)

    def _predict_standardised(self, z: np.ndarray) -> np.ndarray:
        for weights, biases in zip(self.weights[:-1], self.biases[:-1], strict=True):
            z = _ACTIVATIONS[self.activation](z @ weights + biases)
        return (z @ self.weights[-1] + self.biases[-1])[:, 0]

    def parts(self) -> tuple[dict[str, Any], dict[str, Blob]]:
        blobs: dict[str, Blob] = dict(self.scales)
        for i, (weights, biases) in enumerate(zip(self.weights, self.biases, strict=True)):
            blobs[f"weights_{i:02d}"], blobs[f"biases_{i:02d}"] = weights, biases
        return {"activation": self.activation, "n_layers": len(self.weights)}, blobs

    @classmethod
    def from_parts(cls, header: dict[str, Any], blobs: dict[str, Blob]) -> Network:
        layers = range(header["n_layers"])
        return cls(
            {name: blobs[name] for name in ("mean", "sd", "target")},
            [blobs[f"weights_{i:02d}"] for i in layers],
            [blobs[f"biases_{i:02d}"] for i in layers],
            header["activation"],
        )


class Forest(Model):
    """A random forest."""

    kind = "rf"
    importance_kind = "impurity"

    def __init__(self, nodes: dict[str, np.ndarray], fitted: Any = None) -> None:
        self.nodes, self._fitted = nodes, fitted

    @classmethod
    def fit(cls, x: np.ndarray, y: np.ndarray, hyperparameters: dict[str, Any], seed: int) -> Forest:
        from sklearn.ensemble import RandomForestRegressor

        from udfs.downscaling.forest import flatten

        fitted = RandomForestRegressor(n_jobs=1, random_state=seed, **hyperparameters).fit(x, y)
        return cls(flatten(fitted), fitted)

    def predict(self, x: np.ndarray) -> np.ndarray:
        from udfs.downscaling.forest import walk

        n = self.nodes
        return walk(x, n["feature"], n["threshold"], n["left"], n["right"], n["value"], n["root"])

    def importance(self) -> np.ndarray | None:
        return None if self._fitted is None else self._fitted.feature_importances_

    def shap(self, x: np.ndarray) -> tuple[np.ndarray, float] | None:
        if self._fitted is None:
            return None
        import shap

        explainer = shap.TreeExplainer(self._fitted)
        return explainer.shap_values(x, check_additivity=False), float(np.ravel(explainer.expected_value)[0])

    def parts(self) -> tuple[dict[str, Any], dict[str, Blob]]:
        return {}, dict(self.nodes)

    @classmethod
    def from_parts(cls, header: dict[str, Any], blobs: dict[str, Blob]) -> Forest:
        return cls(dict(blobs))


class _Booster(Model):
    """Boosted trees of a library that reads and writes its own format; `importance_kind` is what the library says first."""

    def __init__(self, booster: Any) -> None:
        self.booster = booster


class XgboostTrees(_Booster):
    """XGBoost, histogram trees."""

    kind = "xgb"
    importance_kind = "gain"

    @classmethod
    def fit(cls, x: np.ndarray, y: np.ndarray, hyperparameters: dict[str, Any], seed: int) -> XgboostTrees:
        from xgboost import XGBRegressor

        fitted = XGBRegressor(n_jobs=1, random_state=seed, tree_method="hist", verbosity=0, **hyperparameters).fit(x, y)
        return cls(fitted.get_booster())

    def predict(self, x: np.ndarray) -> np.ndarray:
        return self.booster.inplace_predict(x).astype(np.float64)

    def importance(self) -> np.ndarray:
        gains = self.booster.get_score(importance_type="total_gain")
        return np.array([gains.get(f"f{i}", 0.0) for i in range(self.booster.num_features())])

    def shap(self, x: np.ndarray) -> tuple[np.ndarray, float]:
        from xgboost import DMatrix

        found = self.booster.predict(DMatrix(x, nthread=1), pred_contribs=True)
        return found[:, :-1].astype(np.float64), float(found[0, -1])

    def parts(self) -> tuple[dict[str, Any], dict[str, Blob]]:
        return {}, {"booster": bytes(self.booster.save_raw(raw_format="ubj"))}

    @classmethod
    def from_parts(cls, header: dict[str, Any], blobs: dict[str, Blob]) -> XgboostTrees:
        from xgboost import Booster

        booster = Booster(params={"nthread": 1})
        booster.load_model(bytearray(blobs["booster"]))
        booster.set_param({"nthread": 1})
        return cls(booster)


class LightgbmTrees(_Booster):
    """LightGBM."""

    kind = "lightgbm"
    importance_kind = "gain"

    @classmethod
    def fit(cls, x: np.ndarray, y: np.ndarray, hyperparameters: dict[str, Any], seed: int) -> LightgbmTrees:
        from lightgbm import LGBMRegressor

        fitted = LGBMRegressor(
            n_jobs=1, random_state=seed, deterministic=True, force_row_wise=True, verbosity=-1, **hyperparameters
        ).fit(x, y)
        return cls(fitted.booster_)

    def predict(self, x: np.ndarray) -> np.ndarray:
        return self.booster.predict(x, num_threads=1)

    def importance(self) -> np.ndarray:
        return self.booster.feature_importance(importance_type="gain")

    def shap(self, x: np.ndarray) -> tuple[np.ndarray, float]:
        found = self.booster.predict(x, pred_contrib=True, num_threads=1)
        return found[:, :-1], float(found[0, -1])

    def parts(self) -> tuple[dict[str, Any], dict[str, Blob]]:
        return {}, {"booster": self.booster.model_to_string().encode()}

    @classmethod
    def from_parts(cls, header: dict[str, Any], blobs: dict[str, Blob]) -> LightgbmTrees:
        from lightgbm import Booster

        return cls(Booster(model_str=bytes(blobs["booster"]).decode()))


class CatboostTrees(_Booster):
    """CatBoost, plain boosting (its ordered boosting of small data sets is many times slower)."""

    kind = "catboost"
    importance_kind = "prediction_values_change"

    @classmethod
    def fit(cls, x: np.ndarray, y: np.ndarray, hyperparameters: dict[str, Any], seed: int) -> Model:
        from catboost import CatBoostError, CatBoostRegressor

        fitted = CatBoostRegressor(
            boosting_type="Plain", thread_count=1, random_seed=seed, allow_writing_files=False, verbose=False, **hyperparameters
        )  # fmt: skip
        try:
            fitted.fit(x, y)
        except CatBoostError as error:
            if "constant" in str(error) or "ignored" in str(error):  # the others give a tree without a split
                return Constant(float(y.mean()))
            raise
        # When it was trained is no part of what was trained.
        metadata = fitted.get_metadata()
        metadata["model_guid"] = metadata["train_finish_time"] = ""
        return cls(fitted)

    def predict(self, x: np.ndarray) -> np.ndarray:
        return self.booster.predict(x, thread_count=1)

    def importance(self) -> np.ndarray:
        return np.asarray(self.booster.get_feature_importance(type="PredictionValuesChange", thread_count=1))

    def shap(self, x: np.ndarray) -> tuple[np.ndarray, float]:
        from catboost import Pool

        found = self.booster.get_feature_importance(Pool(x, thread_count=1), type="ShapValues", thread_count=1)
        return found[:, :-1], float(found[0, -1])

    def parts(self) -> tuple[dict[str, Any], dict[str, Blob]]:
        return {}, {"booster": self.booster._serialize_model()}

    @classmethod
    def from_parts(cls, header: dict[str, Any], blobs: dict[str, Blob]) -> CatboostTrees:
        from catboost import CatBoostRegressor

        return cls(CatBoostRegressor().load_model(blob=bytes(blobs["booster"])))


class Stack(Model):
    """A second level over several models: intercept + sum of weight times prediction, no weight below 0."""

    kind = "stack"

    def __init__(self, members: list[Model], weights: np.ndarray, intercept: float) -> None:
        self.members, self.weights, self.intercept = members, weights, intercept

    @staticmethod
    def second_level(predictions: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, float]:
        """Non-negative least squares with an intercept of y (n,) on out-of-fold predictions (n, members)."""
        from sklearn.linear_model import LinearRegression

        fitted = LinearRegression(positive=True).fit(predictions, y)
        return fitted.coef_, float(fitted.intercept_)

    def combined(self, predictions: np.ndarray) -> np.ndarray:
        return self.intercept + predictions @ self.weights

    def predict(self, x: np.ndarray) -> np.ndarray:
        return self.combined(np.column_stack([member.predict(x) for member in self.members]))

    def shap(self, x: np.ndarray) -> tuple[np.ndarray, float] | None:
        values, expected = np.zeros(x.shape), self.intercept
        for member, weight in zip(self.members, self.weights, strict=True):
            found = member.shap(x) if weight > 0 else (0.0, 0.0)
            if found is None:
                return None
            values = values + weight * found[0]
            expected += weight * found[1]
        return values, float(expected)

    def parts(self) -> tuple[dict[str, Any], dict[str, Blob]]:
        raise NotImplementedError("a stack is kept by its members (store.py)")


_FITS = {
    "mlr": Linear.fit,
    "svr": KernelMachine.fit,
    "ann": Network.fit,
    "rf": Forest.fit,
    "xgb": XgboostTrees.fit,
    "lightgbm": LightgbmTrees.fit,
    "catboost": CatboostTrees.fit,
}

_KINDS: dict[str, type[Model]] = {
    kind.kind: kind
    for kind in (Constant, Linear, KernelMachine, Network, Forest, XgboostTrees, LightgbmTrees, CatboostTrees)
}


def fit(name: str, x: np.ndarray, y: np.ndarray, hyperparameters: dict[str, Any], seed: int) -> Model:
    """Train an estimator. A target that does not vary gives its mean, whatever the estimator."""
    if y.min() == y.max():
        return Constant(float(y[0]))
    return _FITS[name](x, y, hyperparameters, seed)


def load(kind: str, header: dict[str, Any], blobs: dict[str, Blob]) -> Model:
    """A model from its parts. KeyError: a kind that this version does not know."""
    return _KINDS[kind].from_parts(header, blobs)


_lock, _users, _limits = threading.Lock(), 0, None


@contextmanager
def one_thread() -> Iterator[None]:
    """Linear algebra on one thread while any training runs: sums of several threads differ from machine to machine, and the
    engine already runs trainings side by side."""
    global _users, _limits
    from threadpoolctl import threadpool_limits

    with _lock:
        _users += 1
        if _users == 1:
            _limits = threadpool_limits(1)
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0:
                _limits.restore_original_limits()
