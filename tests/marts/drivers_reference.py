"""The geographical detector written out in numpy and scipy, a map at a time: what the marts are held against.

Nothing here knows of cells or of sums that are taken apart: strata are found by looking each value up among the breaks, and variances are
numpy's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats


def strata_of(x: np.ndarray, uppers: Sequence[float]) -> np.ndarray:
    """The stratum of each value from 1, by the upper ends of the strata, each included."""
    return np.searchsorted(np.asarray(uppers)[:-1], x, side="left") + 1


def q_of(y: np.ndarray, stratum: np.ndarray) -> float:
    """1 - SSW / SST in extended precision."""
    y = y.astype(np.longdouble)
    within = sum(((y[stratum == s] - y[stratum == s].mean()) ** 2).sum() for s in np.unique(stratum))
    return float(1 - within / ((y - y.mean()) ** 2).sum())


@dataclass(frozen=True)
class Found:
    """What the factor detector says of one set of strata."""

    q: float
    n_strata: int
    n_singletons: int
    f_statistic: float
    p_central: float
    p_noncentral: float


def detect(y: np.ndarray, stratum: np.ndarray, ddof: int = 0) -> Found:
    """q and its two p of independent pixels; the noncentral one with the variance of `ddof`."""
    names, counts = np.unique(stratum, return_counts=True)
    n, k = y.size, names.size
    q = q_of(y, stratum)
    f = (n - k) * q / ((k - 1) * (1 - q))
    means = np.array([y[stratum == s].mean() for s in names])
    shift = ((means**2).sum() - (np.sqrt(counts) @ means) ** 2 / n) / y.var(ddof=ddof)
    return Found(
        q,
        k,
        int((counts == 1).sum()),
        f,
        float(stats.f.sf(f, k - 1, n - k)),
        float(stats.ncf.sf(f, k - 1, n - k, shift)),
    )


def best_q(x: np.ndarray, y: np.ndarray, uppers: np.ndarray, k: int) -> float:
    """The largest q of any k runs of cells: dynamic programming, an interval at a time."""
    y = y - y.mean()
    edges = np.concatenate([[0], np.searchsorted(np.sort(x), uppers, side="right")])
    total = np.concatenate([[0.0], np.cumsum(y[np.argsort(x, kind="stable")])])
    edges = np.unique(edges)
    s, n = total[edges], edges.astype(float)
    best = np.full(edges.size, -np.inf)
    best[0] = 0.0
    for _ in range(k):
        step = np.full(edges.size, -np.inf)
        for j in range(1, edges.size):
            step[j] = np.max(best[:j] + (s[j] - s[:j]) ** 2 / (n[j] - n[:j]))
        best = step
    return float(best[-1] / (y @ y))


def risk(y: np.ndarray, stratum: np.ndarray) -> dict[tuple[int, int], tuple[float, float, float]]:
    """(stratum_1, stratum_2) -> (t, df, p) of scipy's Welch test, where it has an answer."""
    found = {}
    names = np.unique(stratum)
    for i, a in enumerate(names):
        for b in names[i + 1 :]:
            first, second = y[stratum == a], y[stratum == b]
            if min(first.size, second.size) > 1 and first.var() + second.var() > 0:
                test = stats.ttest_ind(first, second, equal_var=False)
                found[int(a), int(b)] = (test.statistic, test.df, test.pvalue)
    return found


def interaction_of(q_1: float, q_2: float, q_12: float) -> str:
    """The class of Wang et al. (2010), equal within 1e-12."""
    low, high, total = min(q_1, q_2), max(q_1, q_2), q_1 + q_2
    if abs(q_12 - high) <= 1e-12:
        return "no enhancement"
    if abs(q_12 - total) <= 1e-12:
        return "independent"
    if q_12 < low:
        return "weaken nonlinear"
    if q_12 < high:
        return "weaken univariate"
    return "enhance bivariate" if q_12 < total else "enhance nonlinear"
