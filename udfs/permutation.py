"""Significance of q by shifts of the map of y, which keep its spatial autocorrelation, with the optimisation run
again in every draw."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa

from udfs.arrow import MemberColumns, struct_array
from udfs.compiled import compiled
from udfs.kernel import Kernel

MAP_CELLS = pa.list_(
    pa.struct([("row_index", pa.int32()), ("col_index", pa.int32()), ("deviation", pa.float64()), ("cell", pa.int32())])
)
CANDIDATE_CELLS = pa.list_(pa.struct([("candidate", pa.int32()), ("upper_cell", pa.int32())]))

PERMUTED = pa.struct([("p", pa.float64()), ("n_draws", pa.int32()), ("q_mean", pa.float64()), ("q_95", pa.float64())])

LARGEST_MAP = 1 << 27
"""Places of the bounding box: at 12 bytes each, 1.5 GB."""

ATTEMPTS_PER_DRAW = 50
"""Shifts tried for each draw, while too few pixels overlap, before the region is given up as having no shifts to
draw."""

TOLERANCE = 1e-12
"""A draw this close below q counts as equal: the same sums in another order."""


def permuted_q(
    cells: pa.ListArray, candidates: pa.ListArray, q: pa.Array, draws: pa.Array, seed: pa.Array
) -> pa.StructArray:
    """The permutation p of the q of each row; an array of type PERMUTED.

    `cells`: array of type MAP_CELLS, a member a pixel of the map, in any order: its place on the grid, y (its deviation
    from any constant), and its cell of the factor from 1, NULL where the pixel has y but is not in the sample.
    `candidates`: array of type CANDIDATE_CELLS, the last cell of each stratum of each candidate partition. q float64,
    the largest over the candidates; draws, seed int32.

    A draw moves the map of y by a random number of rows and columns on the torus of its bounding box, every second draw
    after turning it by 180 degrees, lays it on the unmoved cells, keeps the places where both are, and takes the
    largest q of all candidates there. (A turn keeps the autocorrelation of a stationary field whatever its direction, a
    mirror image does not.) Shifts that leave less than half of the sample are drawn again. Indices are divided by their
    common step first, so that systematic samples move from place to place. p = (1 + number of draws with at least q) /
    (draws + 1); q_mean and q_95 (type 7) describe the draws. The same seed gives the same numbers whatever the order of
    the members.

    NULL arguments, q NULL or NaN, no pixel with a cell, no candidates, draws < 1: NULL. No admissible shift: p NULL,
    n_draws 0. Members with a NULL place or a NULL or infinite deviation are dropped. ValueError: two pixels at one
    place; a bounding box of more than 2^27 places; a cell below 1.
    """
    maps = MemberColumns(cells)
    partitions = MemberColumns(candidates)
    is_null = ~(maps.is_valid & partitions.is_valid)
    numbers = [column.to_numpy(zero_copy_only=False) for column in (q, draws, seed)]
    p, n_draws, q_mean, q_95 = np.full(len(q), np.nan), np.zeros(len(q), np.int32), *np.full((2, len(q)), np.nan)
    for row in range(len(q)):
        observed, wanted, start = (float(column[row]) for column in numbers)
        if is_null[row] or math.isnan(observed) or math.isnan(start) or not wanted >= 1:
            is_null[row] = True
            continue
        y, cell = _on_grid(*maps.row(row))
        uppers, ends = _candidates(*partitions.row(row))
        if cell.size == 0 or uppers.size == 0 or cell.max() < 1:
            is_null[row] = True
            continue
        found = _draw(y, cell, uppers, ends, int(wanted), np.uint64(int(start) & 0xFFFFFFFF))
        n_draws[row] = found.size
        if found.size:
            p[row] = (1.0 + np.count_nonzero(found >= observed - TOLERANCE)) / (found.size + 1.0)
            q_mean[row] = found.mean()
            q_95[row] = np.quantile(found, 0.95)
    return struct_array(PERMUTED, [p, n_draws, q_mean, q_95], is_null)


def _on_grid(fields: list[np.ndarray], known: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The map on its bounding box: (height, width) of y, NaN where there is none, and of cells, 0 where not in the
    sample."""
    rows, columns, y, cell = fields
    kept = known[0] & known[1] & known[2] & np.isfinite(y)
    if not kept.any():
        return np.empty((0, 0)), np.empty((0, 0), np.int32)
    rows, columns = _steps(rows[kept]), _steps(columns[kept])
    height, width = int(rows.max()) + 1, int(columns.max()) + 1
    if height * width > LARGEST_MAP:
        raise ValueError(
            f"permuted_q: the map spans {height} rows x {width} columns, more than 2^27 places; take a smaller region"
        )
    at = rows * width + columns
    if np.unique(at).size < at.size:
        raise ValueError("permuted_q: two pixels at one place (row_index, col_index); give the pixels of one map")
    place_y, place_cell = np.full(height * width, np.nan), np.zeros(height * width, np.int32)
    in_sample = known[3][kept]
    if (cell[kept][in_sample] < 1).any():
        raise ValueError(f"permuted_q: cell {cell[kept][in_sample].min()}; cells are counted from 1")
    place_y[at] = y[kept]
    place_cell[at] = np.where(in_sample, cell[kept], 0)
    return place_y.reshape(height, width), place_cell.reshape(height, width)


def _steps(index: np.ndarray) -> np.ndarray:
    """Indices from 0 in units of their common step."""
    index = index.astype(np.int64) - int(index.min())
    return index // max(int(np.gcd.reduce(index)), 1)


def _candidates(fields: list[np.ndarray], known: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The upper cells of all candidates one after the other, each ascending, and where each candidate ends."""
    kept = known[0] & known[1]
    pairs = np.unique(np.column_stack([fields[0][kept], fields[1][kept]]), axis=0)
    changes = np.flatnonzero(pairs[1:, 0] != pairs[:-1, 0]) + 1
    return pairs[:, 1].astype(np.int64), np.append(changes, len(pairs)).astype(np.int64)


@compiled
def _draw(y, cell, uppers, ends, draws, seed):
    """The largest q of each draw; fewer than `draws` of them (none) where too few shifts leave half of the sample."""
    height, width = cell.shape
    at_row, at_column, at_cell = _sample(y, cell)
    n_cells = at_cell.max()
    count, total = np.empty(n_cells + 1), np.empty(n_cells + 1)
    found = np.empty(draws)
    state = seed
    done, attempts = 0, 0
    while done < draws:
        if attempts == ATTEMPTS_PER_DRAW * draws:
            return found[:0]
        attempts += 1
        state, rows = _random_below(state, height)
        state, columns = _random_below(state, width)
        is_turned = done % 2 == 1
        if rows == 0 and columns == 0 and not is_turned:
            continue
        kept, squares = _overlay(y, at_row, at_column, at_cell, rows, columns, is_turned, count, total)
        if 2 * kept < at_cell.size or not squares > 0.0:
            continue
        found[done] = _largest_q(count, total, squares, uppers, ends)
        done += 1
    return found


@compiled
def _sample(y, cell):
    """The places of the sample in the order of the grid, so that the order of the list shows in no sum."""
    height, width = cell.shape
    n = 0
    for i in range(height):
        for j in range(width):
            n += cell[i, j] > 0
    at_row, at_column, at_cell = np.empty(n, np.int32), np.empty(n, np.int32), np.empty(n, np.int32)
    n = 0
    for i in range(height):
        for j in range(width):
            if cell[i, j] > 0:
                at_row[n], at_column[n], at_cell[n] = i, j, cell[i, j]
                n += 1
    return at_row, at_column, at_cell


@compiled
def _random_below(state, n):
    """A whole number in [0, n) and the next state (splitmix64; numpy's generator would be shared by the threads of
    the engine)."""
    state = np.uint64(state + np.uint64(0x9E3779B97F4A7C15))
    mixed = state
    mixed = np.uint64((mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9))
    mixed = np.uint64((mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB))
    mixed = mixed ^ (mixed >> np.uint64(31))
    return state, np.int64(mixed >> np.uint64(32)) * np.int64(n) >> np.int64(32)


@compiled
def _overlay(y, at_row, at_column, at_cell, rows, columns, is_turned, count, total):
    """Counts and sums of the moved y by cell, the sums about its mean; how many pixels are kept and their sum of
    squares."""
    height, width = y.shape
    count[:] = 0.0
    total[:] = 0.0
    squares = 0.0
    for i in range(at_cell.size):
        row, column = at_row[i] + rows, at_column[i] + columns
        row -= height if row >= height else 0
        column -= width if column >= width else 0
        value = y[height - 1 - row, width - 1 - column] if is_turned else y[row, column]
        if value == value:
            count[at_cell[i]] += 1.0
            total[at_cell[i]] += value
            squares += value * value
    kept, mean = count.sum(), total.sum()
    if kept > 0.0:
        mean /= kept
        for c in range(count.size):
            total[c] -= count[c] * mean
        squares -= kept * mean * mean
    return kept, squares


@compiled
def _largest_q(count, total, squares, uppers, ends):
    largest = 0.0
    first = 0
    for end in ends:
        between = 0.0
        cell = 1
        for k in range(first, end + 1):
            # what lies beyond a candidate's last upper cell is a stratum of its own
            upper = min(uppers[k], count.size - 1) if k < end else count.size - 1
            n, s = 0.0, 0.0
            while cell <= upper:
                n += count[cell]
                s += total[cell]
                cell += 1
            if n > 0.0:
                between += s * s / n
        largest = max(largest, between / squares)
        first = end
    return largest


KERNELS = (
    Kernel(
        name="permuted_q",
        arguments={
            "cells": MAP_CELLS,
            "candidates": CANDIDATE_CELLS,
            "q": pa.float64(),
            "draws": pa.int32(),
            "seed": pa.int32(),
        },
        returns=PERMUTED,
        function=permuted_q,
        summary="The permutation significance of q that respects spatial autocorrelation and the optimisation.",
        meaning=(
            "`cells` are the pixels of a map of y: place on the grid, `deviation` of y from any constant, and the "
            "`cell` of the factor from 1 (NULL: has y, is not in the sample). `candidates` are the partitions that "
            "were tried, each by the last cell of each of its strata; a factor of categories is one candidate in "
            "which every cell is a stratum. A draw shifts the map of y on the torus of its bounding box by a random "
            "number of rows and columns, every second time after a turn by 180 degrees, keeps the places where y and "
            "a cell meet (at least half of the sample, else another shift is drawn) and takes the largest q over all "
            "candidates. Common steps of the indices are divided out first. `p` = (1 + draws with q or more) / (draws "
            "+ 1), `n_draws`, and mean and 95 % quantile of the drawn q. Deterministic: the same `seed` gives the "
            "same numbers on every engine, for any order of the list. Pixels at the seam of the torus become "
            "neighbours that were none, and a map whose autocorrelation reaches across the region has few independent "
            "shifts: p is then a rough one."
        ),
        nulls=(
            "NULL argument, no pixel in the sample, no candidate, draws below 1: NULL. No shift that leaves half of "
            "the sample: p NULL, n_draws 0. Pixels without a place or a finite deviation are dropped."
        ),
        minimum="1 pixel in the sample; none: NULL.",
        citation=(
            "Harms, K. E. et al. (2001), Habitat associations of trees and shrubs in a 50-ha neotropical forest plot, "
            "J. Ecol. 89, 947-959 (torus translation); North, B. V. et al. (2002), Am. J. Hum. Genet. 71, 439-441 "
            "(the 1 in p)."
        ),
        example=(
            "select unnest(permuted_q(\n"
            "  list({'row_index': (i // 12)::integer, 'col_index': (i % 12)::integer, 'deviation': (i % 7 - 3)::double, 'cell': (i % 12 // 4 + 1)::integer}),\n"
            "  [{'candidate': 1, 'upper_cell': 1}, {'candidate': 1, 'upper_cell': 2}, {'candidate': 1, 'upper_cell': 3}], 0.02, 99, 1))\n"
            "from range(120) as x(i)"
        ),
    ),
)
