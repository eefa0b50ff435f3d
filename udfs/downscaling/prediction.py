"""Batches of pixels through models that are loaded once a process."""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path

import numpy as np

from udfs.downscaling.store import Kept, Store, default_store

MOST_LOADED = 32
"""Models kept in memory: a month of pixels needs those of a few windows or of all units of a product."""

_loaded: OrderedDict[str, Kept] = OrderedDict()
_lock = threading.Lock()


def loaded(reference: str) -> Kept:
    """The model of `reference`: its id, or the path of a store and the id; without a path, of the lake in the environment.

    A training's id stands for its content, so that a model once loaded stays right. ValueError: there is none.
    """
    folder, _, model_id = reference.rpartition("/")
    key = f"{folder or default_store().absolute()}/{model_id}"
    with _lock:
        kept = _loaded.get(key)
        if kept is not None:
            _loaded.move_to_end(key)
            return kept
    kept = Store(Path(folder) if folder else default_store()).of_training(model_id)
    with _lock:
        _loaded[key] = kept
        while len(_loaded) > MOST_LOADED:
            _loaded.popitem(last=False)
    return kept


def predict(kept: Kept, features: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """value, lower, upper (n,) float64 and is_extrapolated (n,) bool of rows (n, p) float32; lower and upper are NaN for a model
    without an interval."""
    value = kept.model.predict(kept.design.matrix(features))
    width = np.nan if kept.half_width is None else kept.half_width
    return value, value - width, value + width, kept.design.is_outside(features)
