"""A random forest as plain arrays, walked by compiled code: scikit-learn's own form of it can only be kept as a pickle."""

from __future__ import annotations

from typing import Any

import numpy as np

from udfs.compiled import compiled


def flatten(forest: Any) -> dict[str, np.ndarray]:
    """The trees of a fitted sklearn.ensemble.RandomForestRegressor, one after the other: `feature` int32 (-1: a leaf), `threshold` and
    `value` float64, `left`, `right` int32 (places in these arrays), `root` int32 (n_trees,)."""
    trees = [estimator.tree_ for estimator in forest.estimators_]
    starts = np.cumsum([0] + [tree.node_count for tree in trees])
    joined: dict[str, list[np.ndarray]] = {name: [] for name in ("feature", "threshold", "left", "right", "value")}
    for tree, start in zip(trees, starts, strict=False):
        is_leaf = tree.children_left < 0
        joined["feature"].append(np.where(is_leaf, -1, tree.feature).astype(np.int32))
        joined["threshold"].append(np.where(is_leaf, 0.0, tree.threshold))
        joined["left"].append(np.where(is_leaf, 0, tree.children_left + start).astype(np.int32))
        joined["right"].append(np.where(is_leaf, 0, tree.children_right + start).astype(np.int32))
        joined["value"].append(tree.value[:, 0, 0].astype(np.float64))
    return {name: np.concatenate(parts) for name, parts in joined.items()} | {"root": starts[:-1].astype(np.int32)}


@compiled
def walk(x, feature, threshold, left, right, value, root):
    """The mean leaf value over the trees for each row of x (n, m) float32; (n,) float64."""
    n = x.shape[0]
    found = np.zeros(n)
    # Tree by tree, so that a tree's nodes stay in the cache while many rows walk it.
    for t in range(root.size):
        for i in range(n):
            node = root[t]
            while feature[node] >= 0:
                node = left[node] if x[i, feature[node]] <= threshold[node] else right[node]
            found[i] += value[node]
    return found / root.size
