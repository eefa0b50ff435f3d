"""Natural breaks: the exact optimum of Fisher (1958) and Jenks (1977), for all numbers of classes in one run.

Least squares within classes are most squares between them: a class of values with weight W and sum T about the mean
adds T^2 / W. "Loss" is the negative sum of that over the classes of a beginning of the values.

Of many values a dynamic program over a thousand groups of neighbours comes first. From it follows where each break of
the optimum can lie at all, with proof (`_windows`), and the program over the values themselves looks nowhere else.
"""

from __future__ import annotations

import numpy as np

from udfs.compiled import compiled

DEEPEST = 64
"""Halvings of an array that fits into memory are fewer."""

FEW = 4096
"""Up to so many distinct values a break may lie behind every one of them."""

GROUPS = 1024
"""Groups of neighbours, of many distinct values."""

WORTHWHILE = 0.6
"""Another round of finer groups is worth its time if the last one left no more than this share of the positions."""

ROUNDING = 1e-11
"""Share of the whole sum of squares by which sums over different orders of values may differ."""


def natural_breaks(ordered: np.ndarray, k_min: int, k_max: int) -> list[np.ndarray]:
    """The breaks of k = k_min .. k_max classes with the least sum of squares within classes.

    `ordered`: (n,) float64, ascending. One array a k: the minimum, then the largest value of each class, so that a
    class is (lo, hi]. The first two are equal where the first class holds nothing but the minimum. With m < k distinct
    values there are m classes. Of several optima the one whose later breaks lie lower is taken.
    """
    is_last = np.empty(ordered.size, np.bool_)
    is_last[-1] = True
    np.not_equal(ordered[1:], ordered[:-1], out=is_last[:-1])
    ends = np.flatnonzero(is_last)
    values = ordered[ends]
    distinct = values.size
    largest = min(k_max, distinct)
    # Sums about the mean: prefix sums of squares of raw values would lose the differences between classes.
    weight, total, squares = _prefix_sums(values, ends, ordered.mean())
    if distinct <= FEW:
        possible = np.ones((largest, distinct + 1), np.bool_)
    else:
        possible = _narrowed(values, weight, total, squares, min(k_min, largest), largest)
    first = _search(weight, total, possible, largest)
    found = []
    for k in range(k_min, k_max + 1):
        classes = min(k, distinct)
        breaks = np.empty(classes + 1)
        end = distinct
        for layer in range(classes, 0, -1):
            breaks[layer] = values[end - 1]
            end = first[layer, end]
        breaks[0] = values[0]
        found.append(breaks)
    return found


def _narrowed(
    values: np.ndarray, weight: np.ndarray, total: np.ndarray, squares: float, k_min: int, k_max: int
) -> np.ndarray:
    """`possible` for `_search`: groups over all values, then finer ones over what they leave, as long as that helps."""
    # Groups in which mass times width, which is what their grant grows with, are about the same.
    own = np.append(np.diff(weight), 0.0)
    spread = np.sqrt(own * np.append(np.diff(values, append=values[-1]), 0.0))
    is_open = np.ones(weight.size, np.bool_)
    possible = np.ones((k_max, weight.size), np.bool_)
    left = weight.size
    is_edge = np.zeros(weight.size, np.bool_)
    while True:
        steps = np.cumsum(np.where(is_open, spread, 0.0))
        is_edge[:] = False
        cuts = np.searchsorted(steps, np.linspace(0.0, steps[-1], GROUPS), side="right")
        is_edge[np.minimum(cuts, weight.size - 1)] = True
        is_edge[1:-1] |= is_open[1:-1] & ~(is_open[2:] & is_open[:-2])
        is_edge[[0, -1]] = True
        possible &= _windows(values, weight, total, np.flatnonzero(is_edge), is_open, k_min, k_max, squares)
        is_open = possible[1:].any(axis=0)
        before, left = left, np.count_nonzero(is_open)
        if left <= FEW or left > WORTHWHILE * before:
            return possible


@compiled
def _prefix_sums(values, ends, mean):
    """Weight and sum about the mean of the first 0, 1, .. values, and the sum of squares of all."""
    weight, total = np.zeros(values.size + 1), np.zeros(values.size + 1)
    squares = 0.0
    for i in range(values.size):
        deviation = values[i] - mean
        weight[i + 1] = ends[i] + 1.0
        own = weight[i + 1] - weight[i]
        total[i + 1] = total[i] + own * deviation
        squares += own * deviation * deviation
    return weight, total, squares


@compiled
def _search(weight, total, possible, k_max):
    """first[k, j]: where the last of k classes of the first j values begins in the best partition.

    possible[t, i]: whether break t of a partition may lie behind the first i values. Filled in for j = n, and for the j
    that first[k + 1] may lead to.
    """
    n = weight.size - 1
    first = np.zeros((k_max + 1, n + 1), np.int32)
    begins, loss = np.array([0]), np.zeros(1)  # of the class before: where it may begin, and the loss up to there
    work = np.empty(n + 1)
    for k in range(1, k_max + 1):
        n_ends = 1
        for i in range(1, n):
            n_ends += k < k_max and possible[k, i]
        ends = np.empty(n_ends, np.int64)
        at = 0
        for i in range(1, n):
            if k < k_max and possible[k, i]:
                ends[at] = i
                at += 1
        ends[at] = n
        best, chosen = _best_begins(begins, loss, ends, weight, total, work)
        for e in range(n_ends):
            first[k, ends[e]] = begins[chosen[e]]
        begins, loss = ends[:-1], best[:-1]
        if begins.size == 0:
            break
    return first


@compiled
def _best_begins(begins, loss, ends, weight, total, work):
    """The least loss up to each of `ends`, and which of `begins` (both ascending) the last class begins at.

    The best begin never falls when the end rises (the sums of squares satisfy the quadrangle inequality), so that
    halving the ends leaves n log n sums to compare (Wang and Song 2011; Song and Zhong 2020).
    """
    from_weight, from_total = weight[begins], total[begins]
    best, chosen = np.full(ends.size, np.inf), np.zeros(ends.size, np.int64)
    stack = np.empty((DEEPEST, 4), np.int64)
    stack[0, 0], stack[0, 1], stack[0, 2], stack[0, 3] = 0, ends.size - 1, 0, begins.size - 1
    depth = 1
    while depth > 0:
        depth -= 1
        left, right, low, high = stack[depth, 0], stack[depth, 1], stack[depth, 2], stack[depth, 3]
        middle = (left + right) >> 1
        stop = high + 1
        if begins[high] >= ends[middle]:
            stop = low + np.searchsorted(begins[low:stop], ends[middle])
        at = low
        if stop > low:
            at += _least(
                loss[low:stop],
                from_total[low:stop],
                from_weight[low:stop],
                total[ends[middle]],
                weight[ends[middle]],
                work,
            )
            best[middle] = work[at - low]
        chosen[middle] = at
        if middle > left:
            stack[depth, 0], stack[depth, 1], stack[depth, 2], stack[depth, 3] = left, middle - 1, low, at
            depth += 1
        if middle < right:
            stack[depth, 0], stack[depth, 1], stack[depth, 2], stack[depth, 3] = middle + 1, right, at, high
            depth += 1
    return best, chosen


@compiled
def _least(loss, total, weight, total_end, weight_end, work):
    """Where loss - (total_end - total)^2 / (weight_end - weight) is least: the first such position; `work` keeps
    them."""
    for i in range(loss.size):  # no branch: vectorised, divisions and all
        difference = total_end - total[i]
        work[i] = loss[i] - difference * difference / (weight_end - weight[i])
    best = 0
    least = work[0]
    for i in range(1, loss.size):
        if work[i] < least:
            least = work[i]
            best = i
    return best


@compiled
def _windows(values, weight, total, edges, is_open, k_min, k_max, squares):
    """possible[t, i]: whether break t of a best partition into k_min .. k_max classes may lie behind the first i
    values.

    Proof. Let a partition be optimal, and move each of its breaks to an edge of the group it lies in, centres as they
    are. A value x between a break at b (half-way between two centres, a distance G apart) and the edge then costs at
    most 2 G |x - b| more: `_moving` bounds the sum for the better of the two edges. So the optimum with break t in a
    group is at least the best loss over edges in which every break is granted that much (`_granted`, from both ends),
    with break t at an edge of the group. Where even that is worse than the best partition at edges, break t is not.
    """
    n_edges, n = edges.size, weight.size - 1
    edge_weight, edge_total = weight[edges], total[edges]
    at_edges = _granted(edge_weight, edge_total, np.zeros(n_edges), k_max)[:, n_edges - 1]
    grant = _moving(values, weight, total, edges, is_open, squares + at_edges[k_min])
    before = _granted(edge_weight, edge_total, grant, k_max)
    turned = _granted(edge_weight[-1] - edge_weight[::-1], edge_total[-1] - edge_total[::-1], grant[::-1].copy(), k_max)
    possible = np.zeros((k_max, n + 1), np.bool_)
    may = np.empty(n_edges, np.bool_)
    for t in range(1, k_max):
        for e in range(n_edges):
            may[e] = False
            for k in range(max(t + 1, k_min), k_max + 1):
                least = before[t, e] + turned[k - t, n_edges - 1 - e] - grant[e]
                may[e] |= least <= at_edges[k] + ROUNDING * squares
        for e in range(n_edges - 1):
            if may[e] or may[e + 1]:
                possible[t, edges[e] : edges[e + 1] + 1] = True
    return possible


@compiled
def _moving(values, weight, total, edges, is_open, most_squares):
    """By edge: the most that moving a break to it, from where one may be (`is_open`) in a group beside it, can cost.

    most_squares: of the sums of squares of the partitions in question, the largest or more.
    """
    mean = values[0] - total[1] / weight[1]
    grant = np.zeros(edges.size)
    for group in range(edges.size - 1):
        begin, end = edges[group], edges[group + 1]
        most = 0.0
        for i in range(begin + 1, end):
            if not is_open[i]:
                continue
            # b lies between the values before and after the break: from the farther one for each direction
            left = (values[i] - mean) * (weight[i] - weight[begin]) - (total[i] - total[begin])
            right = (total[end] - total[i]) - (values[i - 1] - mean) * (weight[end] - weight[i])
            most = max(most, min(left, right))
        if most > 0.0:
            most *= 2.0 * _apart(values, weight, values[begin], values[end - 1], most_squares)
        grant[group] = max(grant[group], most)
        grant[group + 1] = max(grant[group + 1], most)
    return grant


@compiled
def _apart(values, weight, low, high, most_squares):
    """How far apart two neighbouring centres can be whose middle lies in [low, high].

    At a distance G, all values within G / 4 of the middle are at least G / 4 from every centre.
    """
    distance = values[-1] - values[0]
    while distance > 0.0:
        quarter = distance / 8.0  # of half the distance
        if high - quarter >= low + quarter:
            return distance
        inside = (
            weight[np.searchsorted(values, low + quarter, side="right")]
            - weight[np.searchsorted(values, high - quarter)]
        )
        if inside * quarter * quarter <= most_squares:
            return distance
        distance /= 2.0
    return distance


@compiled
def _granted(weight, total, grant, k_max):
    """loss[k, e]: the least loss of k classes up to edge e with breaks at edges, each worth its grant; classes may be
    empty."""
    n = weight.size
    loss = np.zeros((k_max + 1, n))
    for e in range(1, n):
        loss[1, e] = -total[e] * total[e] / weight[e]
    positions, work = np.arange(n), np.empty(n)
    for k in range(2, k_max + 1):
        granted = loss[k - 1] - grant
        best, _ = _best_begins(positions[:-1], granted[:-1], positions[1:], weight, total, work)
        loss[k, 0] = granted[0]
        for e in range(1, n):
            loss[k, e] = min(best[e - 1], granted[e])
    return loss
