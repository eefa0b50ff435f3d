"""Which rows are trained on, tested on, and kept for scores that nothing was chosen by.

All draws come from numpy's generator with the study's seed: the same rows, in the one order of samples.py, are split alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import ks_2samp


@dataclass(frozen=True)
class Split:
    """Places of rows: `outer` touches neither fit nor choice; `train` and `test` are the papers' halves. `ks_p`, `n_draws`: of the
    last draw, which is the first whose targets agree, or the best of those that were allowed."""

    outer: np.ndarray
    train: np.ndarray
    test: np.ndarray
    ks_p: float
    n_draws: int


def split(
    target: np.ndarray,
    days: np.ndarray,
    outer_share: float,
    train_share: float,
    min_ks_p: float,
    max_draws: int,
    seed: int,
) -> Split:
    """Outer fold, then train and test, each drawn within every day so that all days are in all parts where they can be.

    target (n,), days (n,) int. The outer fold is drawn once. The rest is drawn until the two-sample Kolmogorov-Smirnov test
    between the targets of train and test has p > min_ks_p (northern China), at most max_draws times; then the draw with the
    largest p stands.
    """
    everything = np.arange(target.size)
    outer, inner = _stratified(everything, days, outer_share, np.random.default_rng([seed, 0]))
    best: Split | None = None
    for draw in range(1, max_draws + 1):
        train, test = _stratified(inner, days, train_share, np.random.default_rng([seed, 1, draw]))
        p = ks_2samp(target[train], target[test], method="asymp").pvalue if test.size and train.size else np.nan
        if best is None or p > best.ks_p:
            best = Split(outer, train, test, float(p), draw)
        if not p <= min_ks_p:
            return Split(outer, train, test, float(p), draw)
    return Split(best.outer, best.train, best.test, best.ks_p, max_draws)


def _stratified(
    rows: np.ndarray, days: np.ndarray, share: float, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """`rows` in two parts, `share` of each day in the first; what does not divide is dealt out over the days, so that the first part
    has round(share n) rows."""
    order = generator.permutation(rows)
    order = order[np.argsort(days[order], kind="stable")]
    # Every row of the days one after the other moves a counter on by `share`; where it passes a whole number the row is taken.
    counter = np.floor(np.arange(1, rows.size + 1) * share + 0.5 + 1e-9)
    is_first = np.diff(counter, prepend=np.floor(0.5)) > 0
    return np.sort(order[is_first]), np.sort(order[~is_first])


def row_folds(n: int, folds: int, seed: int) -> np.ndarray:
    """A fold from 0 for each of n rows, at random and of equal sizes."""
    found = np.arange(n) % folds
    return np.random.default_rng([seed, 2]).permutation(found)


def group_folds(groups: np.ndarray, folds: int) -> np.ndarray:
    """A fold for each row such that a group is never in two: the largest groups first, each to the smallest fold.

    With fewer groups than folds, a fold a group.
    """
    names, at, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    totals, fold_of = np.zeros(min(folds, names.size), np.int64), np.empty(names.size, np.int64)
    for group in np.argsort(-sizes, kind="stable"):
        fold_of[group] = totals.argmin()
        totals[fold_of[group]] += sizes[group]
    return fold_of[at]


def time_folds(days: np.ndarray, folds: int) -> np.ndarray:
    """A fold for each row such that a fold is a stretch of days without a gap: leaving it out leaves out a time."""
    _, at, sizes = np.unique(days, return_inverse=True, return_counts=True)
    before = np.cumsum(sizes) - sizes / 2.0
    fold_of = np.minimum((before * folds / days.size).astype(np.int64), folds - 1)
    # Stretches without a row are closed up.
    return np.unique(fold_of, return_inverse=True)[1][at]


def subsample(rows: np.ndarray, most: int, seed: int) -> np.ndarray:
    """At most `most` of the rows, at random, in their order."""
    if rows.size <= most:
        return rows
    return np.sort(np.random.default_rng([seed, 3]).choice(rows, most, replace=False))
