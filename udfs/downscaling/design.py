"""Features as a matrix of numbers: categories become a column each, for every estimator alike."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Design:
    """How features (n, p) become the columns of a model, and the range of what the model was trained on.

    `categories[i]` are the codes of feature i where it is categorical, else None. `lower`, `upper`: the training range of the
    continuous ones (of categorical ones their first and last code).
    """

    features: tuple[str, ...]
    categories: tuple[tuple[float, ...] | None, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]

    @classmethod
    def of(cls, features: np.ndarray, names: tuple[str, ...], is_categorical: tuple[bool, ...]) -> Design:
        """The design of training rows (n, p) float32."""
        categories = tuple(
            tuple(float(code) for code in np.unique(features[:, i])) if categorical else None
            for i, categorical in enumerate(is_categorical)
        )
        lower, upper = features.min(axis=0), features.max(axis=0)
        return cls(names, categories, tuple(map(float, lower)), tuple(map(float, upper)))

    @cached_property
    def feature_of_column(self) -> np.ndarray:
        """The feature (its place) that each column comes from."""
        return np.repeat(np.arange(len(self.features)), [1 if c is None else len(c) for c in self.categories])

    def matrix(self, features: np.ndarray) -> np.ndarray:
        """The columns (n, m) float32, C order, of rows (n, p) float32. A category that training never saw is 0 in all columns."""
        if all(codes is None for codes in self.categories):
            return np.ascontiguousarray(features, np.float32)
        columns = np.empty((len(features), self.feature_of_column.size), np.float32)
        at = 0
        for i, codes in enumerate(self.categories):
            if codes is None:
                columns[:, at] = features[:, i]
                at += 1
            else:
                columns[:, at : at + len(codes)] = features[:, i, None] == np.array(codes, np.float32)
                at += len(codes)
        return columns

    def is_outside(self, features: np.ndarray) -> np.ndarray:
        """Whether a row (n, p) lies outside the training range of any feature, or in a category that training never saw."""
        lower, upper = self._range
        outside = ((features < lower) | (features > upper)).any(axis=1)
        for i, codes in enumerate(self.categories):
            if codes is not None:
                outside |= ~np.isin(features[:, i], np.array(codes, np.float32))
        return outside

    @cached_property
    def _range(self) -> tuple[np.ndarray, np.ndarray]:
        return np.array(self.lower, np.float32), np.array(self.upper, np.float32)

    def by_feature(self, of_columns: np.ndarray) -> np.ndarray:
        """Values of columns (..., m) summed back to features (..., p): what is said of a category's column is said of the feature."""
        found = np.zeros((*of_columns.shape[:-1], len(self.features)))
        for column, feature in enumerate(self.feature_of_column):
            found[..., feature] += of_columns[..., column]
        return found

    def header(self) -> dict[str, Any]:
        return {
            "features": list(self.features),
            "categories": [None if codes is None else list(codes) for codes in self.categories],
            "lower": list(self.lower),
            "upper": list(self.upper),
        }

    @classmethod
    def from_header(cls, header: dict[str, Any]) -> Design:
        return cls(
            tuple(header["features"]),
            tuple(None if codes is None else tuple(codes) for codes in header["categories"]),
            tuple(header["lower"]),
            tuple(header["upper"]),
        )
