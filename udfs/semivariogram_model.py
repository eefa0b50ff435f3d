"""The four model semivariograms, each as nugget + partial_sill x shape(h / range_parameter), as compiled functions."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa

from udfs.compiled import compiled

MODELS = ("linear", "spherical", "exponential", "gaussian")
LINEAR, SPHERICAL, EXPONENTIAL, GAUSSIAN = range(4)

EFFECTIVE_RANGE = np.array([math.nan, 1.0, 3.0, math.sqrt(3.0)])
"""Where 95 % of the partial sill is reached (spherical: all of it), in range parameters; a linear one has no range."""


@compiled
def shape(model, ratio):
    """The model's rise from 0, at a lag of `ratio` range parameters: to 1, or without end where it is linear."""
    if model == SPHERICAL:
        return 1.5 * ratio - 0.5 * ratio**3 if ratio < 1 else 1.0
    if model == EXPONENTIAL:
        return -math.expm1(-ratio)
    if model == GAUSSIAN:
        return -math.expm1(-ratio * ratio)
    return ratio


def numbers_of(names: pa.Array, possible: tuple[str, ...], what: str) -> np.ndarray:
    """The place of each name in `possible`, int64; -1 for NULL. ValueError for any other name."""
    unknown = sorted({name for name in names.to_pylist() if name is not None} - set(possible))
    if unknown:
        raise ValueError(f"{what} {unknown[0]!r} is not one of {', '.join(possible)}")
    return np.array([-1 if name is None else possible.index(name) for name in names.to_pylist()], dtype=np.int64)
