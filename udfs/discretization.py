"""Strata of continuous factors: breaks by five methods, every candidate of an optimisation at once, and the stratum
of a value."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa

from udfs.breaks import deviation_breaks, equal_breaks, geometric_breaks, quantile_breaks
from udfs.compiled import compiled
from udfs.kernel import Kernel
from udfs.natural_breaks import natural_breaks

ONE_BY_ONE: dict[str, Callable[[np.ndarray, int], np.ndarray]] = {
    "equal": equal_breaks,
    "quantile": quantile_breaks,
    "geometric": geometric_breaks,
    "sd": deviation_breaks,
}
"""Methods that find the breaks of one k at a time; natural breaks come for all k at once."""

METHODS = ("equal", "quantile", "natural", "geometric", "sd")

CELLS = "cells"
"""The finest partition, of which every stratum of every candidate is a union."""

DOUBLES = pa.list_(pa.float64())

CANDIDATES = pa.list_(
    pa.struct(
        [
            ("method", pa.string()),
            ("n_strata_asked", pa.int32()),
            ("stratum", pa.int32()),
            ("lower", pa.float64()),
            ("upper", pa.float64()),
        ]
    )
)


def discretize(values: pa.ListArray, method: pa.Array, k: pa.Array) -> pa.ListArray:
    """Breaks of k strata of each list of values; list<double> in and out, method string, k int32.

    b_0 .. b_m, b_0 the minimum and b_m the maximum; stratum i is (b_(i-1), b_i] and the first includes b_0. NULL, NaN
    and infinite values are dropped. m is k; less where values tie, and for sd and quantile sometimes more
    (udfs/breaks.py). b_0 = b_1 where the first natural class holds only the minimum. NULL arguments, no two different
    values: NULL. ValueError: unknown method, k < 1.
    """
    rows: list[np.ndarray | None] = []
    for ordered, how, classes in zip(_ordered(values), method.to_pylist(), k.to_pylist(), strict=True):
        if ordered is None or how is None or classes is None:
            rows.append(None)
            continue
        _check("discretize", [how], classes, classes)
        with np.errstate(over="ignore", invalid="ignore"):
            rows.append(_breaks(ordered, how, classes, classes)[0])
    return pa.array(rows, DOUBLES)


def candidate_breaks(
    values: pa.ListArray, methods: pa.Array, k_min: pa.Array, k_max: pa.Array, n_cells: pa.Array
) -> pa.ListArray:
    """The strata of every method x k = k_min .. k_max of each list of values; an array of type CANDIDATES.

    `values` list<double>, `methods` names separated by commas (string), the rest int32. One member a stratum, as
    `discretize` gives them, then one a cell of the finest partition: method `cells`, n_strata_asked = how many cells.
    Cells are cut at every break of every candidate and at n_cells quantiles of the values (at every distinct value
    where there are no more than n_cells), so that each upper end of a stratum is, bit for bit, one of a cell. A list is
    sorted once. NULL arguments, no two different values: NULL. ValueError: unknown method, k_min < 1, k_max < k_min,
    n_cells < 1.
    """
    columns: list[list[np.ndarray]] = [[], [], [], [], []]
    counts, is_null = [0], []
    parameters = zip(methods.to_pylist(), k_min.to_pylist(), k_max.to_pylist(), n_cells.to_pylist(), strict=True)
    for ordered, (named, least, most, cells) in zip(_ordered(values), parameters, strict=True):
        is_null.append(ordered is None or None in (named, least, most, cells))
        if is_null[-1]:
            counts.append(counts[-1])
            continue
        names = [name.strip() for name in named.split(",") if name.strip()]
        _check("candidate_breaks", names, least, most)
        if cells < 1:
            raise ValueError(f"candidate_breaks: n_cells is {cells}; at least 1 cell is needed")
        with np.errstate(over="ignore", invalid="ignore"):
            found = [
                (name, asked, breaks)
                for name in names
                for asked, breaks in enumerate(_breaks(ordered, name, least, most), least)
            ]
        _unite([breaks for _, _, breaks in found], ordered)
        finest = _finest([breaks for _, _, breaks in found], ordered, cells)
        found.append((CELLS, finest.size - 1, finest))
        for name, asked, breaks in found:
            strata = breaks.size - 1
            columns[0].append(np.full(strata, name))
            columns[1].append(np.full(strata, asked, np.int32))
            columns[2].append(np.arange(1, strata + 1, dtype=np.int32))
            columns[3].append(breaks[:-1])
            columns[4].append(breaks[1:])
        counts.append(counts[-1] + sum(breaks.size - 1 for _, _, breaks in found))
    members = pa.StructArray.from_arrays(
        [
            pa.array(np.concatenate(parts) if parts else [], field.type)
            for parts, field in zip(columns, CANDIDATES.value_type, strict=True)
        ],
        fields=list(CANDIDATES.value_type),
    )
    mask = pa.array(is_null) if any(is_null) else None
    return pa.ListArray.from_arrays(pa.array(counts, pa.int32()), members, type=CANDIDATES, mask=mask)


def stratum_of(x: pa.Array, breaks: pa.ListArray) -> pa.Array:
    """The stratum, from 1, of each x (float64) among the breaks beside it (list<double>, rising); int32.

    Stratum i is (b_(i-1), b_i], the first includes b_0. NULL or NaN x, x outside the breaks, NULL breaks and fewer than
    two: NULL. Breaks that hold a NULL or fall are an error of the caller that is not looked for.
    """
    offsets = breaks.offsets.to_numpy()
    members = breaks.values.slice(offsets[0], offsets[-1] - offsets[0]).to_numpy(zero_copy_only=False)
    is_null = breaks.is_null().to_numpy(zero_copy_only=False)
    values = x.to_numpy(zero_copy_only=False)
    for array in (values, members):
        array.setflags(write=False)  # as Arrow's own memory is: one compiled form serves both
    strata = _stratum_of(values, offsets, members, is_null)
    return pa.array(strata, mask=strata == 0)


def _ordered(lists: pa.ListArray) -> list[np.ndarray | None]:
    """The finite values of each list in ascending order; None for NULL, and where no two differ."""
    offsets = lists.offsets.to_numpy()
    members = lists.values.slice(offsets[0], offsets[-1] - offsets[0]).to_numpy(zero_copy_only=False)
    rows: list[np.ndarray | None] = []
    for row, is_null in enumerate(lists.is_null().to_pylist()):
        values = members[offsets[row] - offsets[0] : offsets[row + 1] - offsets[0]]
        values = np.sort(values[np.isfinite(values)]) + 0.0  # one zero: -0.0 and 0.0 are the same value
        rows.append(None if is_null or values.size == 0 or values[0] == values[-1] else values)
    return rows


def _breaks(ordered: np.ndarray, method: str, k_min: int, k_max: int) -> list[np.ndarray]:
    if method == "natural":
        return natural_breaks(ordered, k_min, k_max)
    return [ONE_BY_ONE[method](ordered, k) for k in range(k_min, k_max + 1)]


def _rounding(ordered: np.ndarray) -> float:
    """Values that differ by less may be one value that was added up in another order."""
    return 1e-13 * max(abs(ordered[0]), abs(ordered[-1]))


def _unite(candidates: list[np.ndarray], ordered: np.ndarray) -> None:
    """Make breaks one, in place, that differ by rounding and have no value between them: no value changes its stratum, and the number of
    cells does not hang on the last digits of two methods' formulas."""
    breaks = np.unique(np.concatenate(candidates))
    rank = np.searchsorted(ordered, breaks, side="right")
    is_same = (np.diff(breaks) <= _rounding(ordered)) & (np.diff(rank) == 0)
    if is_same.any():
        # Each break's stand-in is the last of its run.
        last = np.flatnonzero(np.append(~is_same, True))
        stand_in = breaks[last[np.searchsorted(last, np.arange(breaks.size))]]
        for candidate in candidates:
            candidate[:] = stand_in[np.searchsorted(breaks, candidate)]


def _finest(candidates: list[np.ndarray], ordered: np.ndarray, n_cells: int) -> np.ndarray:
    is_new = ordered[1:] != ordered[:-1]
    distinct = np.count_nonzero(is_new) + 1
    if distinct <= n_cells:
        cuts = np.concatenate([ordered[:1], ordered[1:][is_new]])
    else:
        cuts = ordered[np.arange(1, n_cells + 1) * ordered.size // n_cells - 1]
    # Uppers: a first class that holds only the minimum has it as its upper end.
    breaks = np.unique(np.concatenate([ordered[-1:], *(breaks[1:] for breaks in candidates)]))
    return np.concatenate([ordered[:1], np.unique(np.concatenate([_apart(cuts, breaks, ordered), breaks]))])


def _apart(cuts: np.ndarray, breaks: np.ndarray, ordered: np.ndarray) -> np.ndarray:
    """The cuts (rising) that differ from the next one, and from every break, by more than rounding.

    Means of the same days added in another order differ in their last digits: they are one value, and one cell, however the engine adds.
    """
    rounding = _rounding(ordered)
    above = np.minimum(np.searchsorted(breaks, cuts), breaks.size - 1)
    below = np.maximum(above - 1, 0)
    distance = np.minimum(np.abs(breaks[above] - cuts), np.abs(breaks[below] - cuts))
    return cuts[(np.diff(cuts, append=np.inf) > rounding) & (distance > rounding)]


def _check(kernel: str, methods: list[str], k_min: int, k_max: int) -> None:
    for method in methods:
        if method not in METHODS:
            raise ValueError(f"{kernel}: no method {method!r}; there are {', '.join(METHODS)}")
    if k_min < 1 or k_max < k_min:
        raise ValueError(f"{kernel}: {k_min} to {k_max} strata; ask for 1 or more, and no more at least than at most")


@compiled
def _stratum_of(x, offsets, breaks, is_null):
    strata = np.zeros(x.size, np.int32)
    first = offsets[0]
    for row in range(x.size):
        start, end = offsets[row] - first, offsets[row + 1] - first
        value = x[row]
        if is_null[row] or end - start < 2 or not (breaks[start] <= value <= breaks[end - 1]):
            continue
        low, high = start + 1, end - 1  # the first upper end that is not below the value lies in low .. high
        while low < high:
            middle = (low + high) >> 1
            if breaks[middle] < value:
                low = middle + 1
            else:
                high = middle
        strata[row] = low - start
    return strata


KERNELS = (
    Kernel(
        name="discretize",
        arguments={"values": DOUBLES, "method": pa.string(), "k": pa.int32()},
        returns=DOUBLES,
        function=discretize,
        summary="The breaks of k strata of a list of values.",
        meaning=(
            "Breaks b_0, b_1, ..., b_m: b_0 is the minimum, b_m the maximum, stratum i is (b_(i-1), b_i] and the "
            "first includes b_0, so that no value is outside. `method`: `equal` widths; `quantile` (R's type 7; where "
            "ties make breaks equal, probabilities are added until k + 1 different breaks remain); `natural` (the "
            "exact optimum of Fisher and Jenks; breaks are class maxima); `geometric` (widths grow by a constant "
            "ratio, after a shift by 1, negative values mirrored); `sd` (the mean +- multiples of the sample standard "
            "deviation, whole ones up to k = 6, halves beyond, shifted by half a step where k is odd). m is k, less "
            "where values tie or have no room; `quantile` and `sd` may overshoot by a few. b_0 = b_1 where the first "
            "natural class is the minimum alone."
        ),
        nulls="NULL argument: NULL. Values that are NULL, NaN or infinite are dropped.",
        minimum="Two different values; else NULL.",
        citation=(
            "Fisher, W. D. (1958), J. Am. Stat. Assoc. 53, 789-798; Jenks, G. F. (1977), Univ. of Kansas, Occasional "
            "Paper 2; Song, Y. et al. (2020), An optimal parameters-based geographical detector, GIScience Remote "
            "Sens. 57, 593-610 (R package GD)."
        ),
        example="select discretize([1.0, 2.0, 2.5, 7.0, 8.0, 30.0], 'natural', 3) as breaks",
    ),
    Kernel(
        name="candidate_breaks",
        arguments={
            "values": DOUBLES,
            "methods": pa.string(),
            "k_min": pa.int32(),
            "k_max": pa.int32(),
            "n_cells": pa.int32(),
        },
        returns=CANDIDATES,
        function=candidate_breaks,
        summary="The strata of every method and every k at once, and the finest partition of which all of them are unions.",
        meaning=(
            "One member a stratum: `method` (of those in `methods`, separated by commas; `discretize` says what they "
            "do), `n_strata_asked` = k_min .. k_max, `stratum` from 1, its `lower` and `upper` end. Then one a cell, "
            "`method` 'cells', `n_strata_asked` their number: cut at every break of every candidate and at `n_cells` "
            "quantiles of the values (at every distinct value where there are no more than that). Every upper end of "
            "a stratum is exactly that of a cell, so that the moments of the cells give those of every stratum. The "
            "first member of each has its lower end included."
        ),
        nulls="NULL argument: NULL. Values that are NULL, NaN or infinite are dropped.",
        minimum="Two different values; else NULL.",
        citation="As discretize; natural breaks of all k come from one run of the dynamic programme.",
        example=(
            "select unnest(candidate_breaks([1.0, 2.0, 2.5, 7.0, 8.0, 30.0], 'quantile,natural', 2, 3, 100), "
            "recursive := true)"
        ),
    ),
    Kernel(
        name="stratum_of",
        arguments={"x": pa.float64(), "breaks": DOUBLES},
        returns=pa.int32(),
        function=stratum_of,
        summary="The stratum, from 1, in which a value lies.",
        meaning="Stratum i is (b_(i-1), b_i] of the rising breaks b_0 .. b_m, the first includes b_0.",
        nulls="NULL or NaN x, x outside the breaks, NULL breaks: NULL.",
        minimum="Two breaks; fewer: NULL.",
        citation="Binary search.",
        example="select stratum_of(2.5, [1.0, 2.5, 8.0, 30.0]) as stratum",
    ),
)
