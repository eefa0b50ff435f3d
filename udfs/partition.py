"""The best partition of ordered cells: the upper bound of what any discretisation of a factor can explain."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from udfs.arrow import MemberColumns
from udfs.compiled import compiled
from udfs.kernel import Kernel

CELL_SUMS = pa.list_(pa.struct([("cell", pa.int32()), ("n", pa.int64()), ("sum_deviation", pa.float64())]))

BEST = pa.list_(pa.struct([("k", pa.int32()), ("ssb", pa.float64())]))


def best_partition(cells: pa.ListArray, k_max: pa.Array) -> pa.ListArray:
    """The largest sum of squares between k groups of neighbouring cells, for k = 1 .. k_max; an array of type BEST.

    `cells`: array of type CELL_SUMS, in any order: how many pixels a cell of the factor holds and the sum of their
    deviations (of y from any constant); k_max int32. ssb = sum over groups of S_g^2 / n_g - S^2 / n; with fewer cells
    than k, that of the cells themselves. Members with a NULL and empty cells are dropped; rows with the same cell are
    added up. NULL arguments, no cell: NULL. ValueError: k_max < 1.
    """
    columns = MemberColumns(cells)
    rows: list[list[tuple[int, float]] | None] = []
    for row, most in enumerate(k_max.to_pylist()):
        if most is not None and most < 1:
            raise ValueError(f"best_partition: k_max is {most}; at least 1 group is needed")
        (number, n, total), known = columns.row(row)
        kept = known[0] & known[1] & known[2] & (n > 0) & np.isfinite(total)
        if not columns.is_valid[row] or most is None or not kept.any():
            rows.append(None)
            continue
        _, at = np.unique(number[kept], return_inverse=True)
        weights, sums = np.bincount(at, n[kept]), np.bincount(at, total[kept])
        sums -= weights * (sums.sum() / weights.sum())  # about the mean of these pixels
        best = _best_sums(np.concatenate([[0.0], weights.cumsum()]), np.concatenate([[0.0], sums.cumsum()]), most)
        rows.append([(k, float(ssb)) for k, ssb in enumerate(best, 1)])
    return pa.array(rows, BEST)


@compiled
def _best_sums(weight, total, k_max):
    """best[k - 1]: the largest sum of total^2 / weight over k groups, from prefix sums (m + 1,) over m cells.

    Every pair of ends is visited once, for all k together: O(k m^2) additions, m^2 / 2 divisions. (The sums of an
    arbitrary y over the order of x satisfy no quadrangle inequality: there is no faster exact way.)
    """
    m = weight.size - 1
    # best[k, j]: of the first j cells in k groups. Groups that do not exist yet lose against all that do.
    best = np.full((k_max + 1, m + 1), -np.inf)
    best[0, 0] = 0.0
    gain = np.empty(m + 1)
    for i in range(m):
        for j in range(i + 1, m + 1):
            difference = total[j] - total[i]
            gain[j] = difference * difference / (weight[j] - weight[i])
        for k in range(1, min(k_max, i + 1) + 1):
            before = best[k - 1, i]
            if before > -np.inf:
                _raise_to(best[k, i + 1 :], gain[i + 1 :], before)
    found = np.empty(k_max)
    for k in range(1, k_max + 1):
        found[k - 1] = max(best[min(k, m), m], 0.0)
    return found


@compiled
def _raise_to(best, gain, before):
    for j in range(best.size):  # element by element: vectorised, which a search for one maximum is not
        value = before + gain[j]
        best[j] = value if value > best[j] else best[j]


KERNELS = (
    Kernel(
        name="best_partition",
        arguments={"cells": CELL_SUMS, "k_max": pa.int32()},
        returns=BEST,
        function=best_partition,
        summary="The largest between-strata sum of squares that k strata of neighbouring cells can reach.",
        meaning=(
            "`cells` are the ordered cells of a factor with the number of pixels `n` and the sum `sum_deviation` of "
            "the deviations of y; the result has a member for each `k` from 1 to k_max with `ssb` = sum of S_g^2 / "
            "n_g over the best k groups, less S^2 / n. Divided by the total sum of squares it is the upper bound of "
            "q: no discretisation of the factor whose breaks are among the cells' ends explains more. With fewer "
            "cells than k it is that of the cells. Exact, by dynamic programming."
        ),
        nulls="NULL list, NULL k_max, no cell: NULL. Members with a NULL field and cells without pixels are dropped.",
        minimum="1 cell; none: NULL.",
        citation="Fisher, W. D. (1958), On grouping for maximum homogeneity, J. Am. Stat. Assoc. 53, 789-798.",
        example=(
            "select unnest(best_partition(list({'cell': c::integer, 'n': n::bigint, 'sum_deviation': s}), 3), recursive := true)\n"
            "from (values (1, 4, -2.0::double), (2, 3, -1.8), (3, 5, 0.4), (4, 4, 3.4)) as x(c, n, s)"
        ),
    ),
)
