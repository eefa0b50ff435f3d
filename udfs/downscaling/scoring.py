"""How good predictions are, and how wide their intervals must be."""

from __future__ import annotations

import math

import numpy as np


def rmse(estimate: np.ndarray, reference: np.ndarray) -> float | None:
    """Root mean square difference; None without values."""
    return math.sqrt(float(np.mean((estimate - reference) ** 2))) if reference.size else None


def correlation(estimate: np.ndarray, reference: np.ndarray) -> float | None:
    """Pearson's r from centred sums; None for fewer than 2 values or where one of them does not vary."""
    if reference.size < 2:
        return None
    a, b = estimate - estimate.mean(), reference - reference.mean()
    spread = math.sqrt(float(a @ a)) * math.sqrt(float(b @ b))
    return max(-1.0, min(1.0, float(a @ b) / spread)) if spread > 0 else None


def half_width(residuals: np.ndarray, level: float) -> float | None:
    """Half the width of the split conformal interval: the ceil((n + 1) level)-th smallest absolute residual of n that the model was
    not fitted on (the largest where that is beyond n); None without residuals.

    Vovk et al. (2005); Lei et al. (2018), Distribution-free predictive inference for regression, J. Am. Stat. Assoc. 113.
    """
    if residuals.size == 0:
        return None
    ordered = np.sort(np.abs(residuals))
    return float(ordered[min(math.ceil((residuals.size + 1) * level - 1e-9), residuals.size) - 1])


def coverage(residuals: np.ndarray, width: float | None) -> float | None:
    """The share of residuals within the half-width; None without any."""
    if width is None or residuals.size == 0:
        return None
    return float(np.mean(np.abs(residuals) <= width))
