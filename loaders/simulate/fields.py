"""Random fields of known covariance, and fields made exactly uncorrelated with others.

Circulant embedding (Dietrich and Newsam 1997, SIAM J. Sci. Comput. 18(4), 1088-1107) gives Gaussian fields whose
covariance is the model's, not an approximation of it: the covariance on a torus twice the grid's size is
diagonalised by the FFT, and the corner of the torus that is the grid has the wanted one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.fft import fft2


@dataclass(frozen=True)
class Variogram:
    """gamma(h) = nugget + partial_sill (1 - exp(-h / range_m)) for h > 0; 0 at h = 0."""

    nugget: float
    partial_sill: float
    range_m: float

    @property
    def sill(self) -> float:
        """Nugget and partial sill together: the field's variance."""
        return self.nugget + self.partial_sill

    @property
    def effective_range_m(self) -> float:
        """Where 95 % of the partial sill is reached."""
        return 3 * self.range_m

    def semivariance(self, lag_m: np.ndarray) -> np.ndarray:
        """gamma at each lag (m); same shape."""
        lag_m = np.asarray(lag_m, dtype=float)
        return np.where(lag_m > 0, self.nugget + self.partial_sill * -np.expm1(-lag_m / self.range_m), 0.0)


def gaussian_fields(
    rng: np.random.Generator, n: int, shape: tuple[int, int], cell_m: tuple[float, float], model: Variogram
) -> np.ndarray:
    """`n` independent zero-mean Gaussian fields, (n, rows, columns) float64, with the model's covariance, exactly.

    cell_m is (width, height) of a cell on the ground. Raises ValueError when no torus up to eight times the grid's
    size has a non-negative spectrum, which is when the range is too long for the grid.
    """
    amplitude = _torus_amplitude(shape, cell_m, model)
    rows, columns = shape
    fields = np.empty((n, rows, columns))
    for first in range(0, n, 2):
        # Real and imaginary part of one transform are two independent fields.
        noise = rng.standard_normal((2, *amplitude.shape))
        pair = fft2(amplitude * (noise[0] + 1j * noise[1]))[:rows, :columns]
        fields[first] = pair.real
        if first + 1 < n:
            fields[first + 1] = pair.imag
    return fields


def _torus_amplitude(shape: tuple[int, int], cell_m: tuple[float, float], model: Variogram) -> np.ndarray:
    for times in (2, 4, 8):
        rows, columns = (times * length for length in shape)
        dy = np.minimum(np.arange(rows), rows - np.arange(rows)) * cell_m[1]
        dx = np.minimum(np.arange(columns), columns - np.arange(columns)) * cell_m[0]
        covariance = model.sill - model.semivariance(np.hypot(dy[:, None], dx[None, :]))
        spectrum = fft2(covariance).real
        if spectrum.min() >= -1e-10 * spectrum.max():
            return np.sqrt(np.maximum(spectrum, 0) / spectrum.size)
    raise ValueError(f"a range of {model.range_m / 1000:g} km is too long for a grid of {math.prod(shape)} cells")


def uncorrelated(wanted: np.ndarray, helpers: np.ndarray, others: np.ndarray, where: np.ndarray) -> np.ndarray:
    """The field nearest to `wanted` in the span of `wanted` and `helpers` that is uncorrelated with `others` on `where`.

    wanted (rows, columns); helpers (k, rows, columns), smooth fields, k at least the rank of others; others
    (m, rows, columns); where boolean. Adding a small part of smooth fields keeps the result smooth; subtracting a
    regression on a map of classes would print the classes' outlines into it. Returned with mean 0 and standard
    deviation 1 on `where`.
    """
    constraints = np.stack([o[where] - o[where].mean() for o in others])
    span = np.stack([h[where] for h in helpers], axis=1)
    weights, *_ = np.linalg.lstsq(constraints @ span, -constraints @ wanted[where], rcond=None)
    field = wanted + np.tensordot(weights, helpers, axes=1)
    field = field - field[where].mean()
    return field / field[where].std()
