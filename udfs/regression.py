"""Partial regression and partial correlation: what each factor says about y when the others are held still."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa

from udfs.arrow import struct_array
from udfs.compiled import compiled
from udfs.kernel import Kernel
from udfs.order_statistics import value_range

OBSERVATIONS = pa.list_(pa.struct([("y", pa.float64()), ("x", pa.list_(pa.float64()))]))

FACTOR = pa.struct(
    [
        ("factor", pa.int32()),
        ("coefficient", pa.float64()),
        ("coefficient_standardised", pa.float64()),
        ("se", pa.float64()),
        ("vif", pa.float64()),
        ("t", pa.float64()),
        ("p", pa.float64()),
        ("partial_r", pa.float64()),
        ("partial_r_p", pa.float64()),
    ]
)
PARTIAL_REGRESSION = pa.struct(
    [("n", pa.int32()), ("df", pa.int32()), ("r2", pa.float64()), ("factors", pa.list_(FACTOR))]
)

MINIMUM_DF = 3

COLLINEAR = 1e-7
"""A column of which less than this is left beside the others says nothing of its own (R's lm; a VIF of 1e14)."""

EXACT = 1e-14
"""Residuals below this share of y, and variation below this share of the mean, are rounding."""


def partial_regression(rows: pa.ListArray) -> pa.StructArray:
    """The partial regression of y on each of k factors (array of type OBSERVATIONS); an array of type
    PARTIAL_REGRESSION.

    With e_j the residuals of x_j regressed on the other factors (with intercept), coefficient = slope of the residuals
    of y on e_j, which is the multiple regression coefficient (Frisch and Waugh 1933); se = s / |e_j|, s^2 = RSS / df;
    vif = |x_j - mean|^2 / |e_j|^2; t = coefficient / se, p two-sided with df = n - k - 1; partial_r = t / sqrt(t^2 +
    df), its p with df = n - 2 - (k - 1), the same; coefficient_standardised in standard deviations; r2 of all factors
    together. `factor` counts the members of x from 1.

    Rows with a NULL, NaN or infinite value are dropped. A factor that is constant or a combination of others has NULL
    in all its numbers, and takes no degree of freedom that the others do not take. A constant y: the numbers of all
    factors but vif, and r2, are NULL. A fit without residuals: se 0, partial_r 1 or -1, t and p NULL. NULL or empty
    lists, no factors, df < 3: NULL. ValueError: the rows of one list have different numbers of factors.
    """
    from scipy import special

    offsets, is_null = rows.offsets.to_numpy(), rows.is_null().to_numpy(zero_copy_only=False)
    members = rows.values.slice(offsets[0], offsets[-1] - offsets[0])
    y, x = members.field(0), members.field(1)
    is_whole = members.is_valid().to_numpy(zero_copy_only=False) & x.is_valid().to_numpy(zero_copy_only=False)
    x_offsets = x.offsets.to_numpy()
    values = x.values.slice(x_offsets[0], x_offsets[-1] - x_offsets[0])
    columns = [offsets - offsets[0], _values(y), is_whole, x_offsets - x_offsets[0], _values(values)]
    width = _width(columns[0], is_whole, columns[3])
    if width.size and width.min() < 0:
        raise ValueError("partial_regression: rows with different numbers of factors; write NULL for a missing value")
    ends = np.concatenate([[0], width.cumsum()])
    n, df, r2, coefficient, standardised, se, vif = _regress(*columns, ends)
    freedom = np.repeat(df, width).astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        t = np.where(se > 0.0, coefficient / se, np.nan)
        p = 2.0 * special.stdtr(freedom, -np.abs(t))
        partial_r = np.where(se > 0.0, t / np.sqrt(t * t + freedom), np.sign(coefficient))
    factor = np.arange(1, ends[-1] + 1) - np.repeat(ends[:-1], width)
    numbers = [factor, coefficient, standardised, se, vif, t, p, partial_r, p]
    listed = pa.ListArray.from_arrays(
        pa.array(ends, pa.int32()), struct_array(FACTOR, numbers, np.zeros(factor.size, np.bool_))
    )
    is_null = is_null | (width == 0) | (df < MINIMUM_DF)
    return pa.StructArray.from_arrays(
        [pa.array(n), pa.array(df), pa.array(r2, from_pandas=True), listed],
        fields=list(PARTIAL_REGRESSION),
        mask=pa.array(is_null) if is_null.any() else None,
    )


def _values(column: pa.Array) -> np.ndarray:
    """float64, NULL as NaN; read-only, as Arrow's own memory is: one compiled form serves both."""
    values = column.to_numpy(zero_copy_only=False)
    values.setflags(write=False)
    return values


@compiled
def _width(offsets, is_whole, x_offsets):
    """How many factors the rows of each list have; -1 where they differ."""
    width = np.zeros(offsets.size - 1, np.int64)
    for unit in range(width.size):
        for row in range(offsets[unit], offsets[unit + 1]):
            if is_whole[row]:
                own = x_offsets[row + 1] - x_offsets[row]
                width[unit] = own if width[unit] == 0 or width[unit] == own else -1
    return width


@compiled
def _regress(offsets, y, is_whole, x_offsets, x, ends):
    units = offsets.size - 1
    n, df, r2 = np.zeros(units, np.int32), np.zeros(units, np.int32), np.full(units, np.nan)
    coefficient, standardised, se, vif = np.full((4, ends[-1]), np.nan)
    longest, widest = 0, 0
    for unit in range(units):
        longest = max(longest, offsets[unit + 1] - offsets[unit])
        widest = max(widest, ends[unit + 1] - ends[unit])
    basis, target = np.empty((widest, longest)), np.empty(longest)
    triangle, inverse = np.empty((widest, widest)), np.empty((widest, widest))
    norm, slope = np.empty(widest), np.empty(widest)
    is_kept, is_involved = np.empty(widest, np.bool_), np.empty(widest, np.bool_)
    for unit in range(units):
        k = ends[unit + 1] - ends[unit]
        size = 0
        for row in range(offsets[unit], offsets[unit + 1]):
            if is_whole[row] and k > 0:
                target[size] = y[row]
                is_finite = target[size] - target[size] == 0.0
                for j in range(k):
                    value = x[x_offsets[row] + j]
                    basis[j, size] = value
                    is_finite &= value - value == 0.0
                size += is_finite
        n[unit] = size
        if size < MINIMUM_DF + 1 or k == 0:
            continue
        for j in range(k):
            norm[j] = _centre(basis[j, :size])
        rank = _orthogonalise(basis[:k, :size], triangle, norm, is_kept)
        df[unit] = size - rank - 1
        if df[unit] < MINIMUM_DF:
            continue
        _invert(triangle, inverse, is_kept[:k])
        _mark_involved(triangle, inverse, is_kept[:k], is_involved)
        spread = _centre(target[:size])
        for j in range(k):
            slope[j] = _project(basis[j, :size], target[:size]) if is_kept[j] else 0.0
        squares = 1.0  # of what is left of y, which was given length 1
        if spread > 0.0:
            squares = _dot(target[:size], target[:size])
            squares = squares if squares > EXACT * EXACT else 0.0
            r2[unit] = 1.0 - squares
        for j in range(k):
            if not is_kept[j] or is_involved[j]:
                continue
            at = ends[unit] + j
            own, beta = 0.0, 0.0
            for i in range(j, k):
                if is_kept[i]:
                    own += inverse[j, i] * inverse[j, i]
                    beta += inverse[j, i] * slope[i]
            vif[at] = max(own, 1.0)
            if spread > 0.0:
                standardised[at] = beta
                coefficient[at] = beta * spread / norm[j]
                se[at] = math.sqrt(squares / df[unit] * own) * spread / norm[j]
    return n, df, r2, coefficient, standardised, se, vif


@compiled
def _centre(column):
    """Take the mean off and give the column length 1; its length before, 0 where it is constant but for rounding."""
    low, high = value_range(column)
    if low == high:
        column[:] = 0.0
        return 0.0
    mean = column.mean()
    column -= mean
    column -= column.mean()  # what the first mean lost to rounding
    length = math.sqrt(_dot(column, column))
    if not EXACT * math.sqrt(column.size) * abs(mean) < length < np.inf:
        column[:] = 0.0
        return 0.0
    column /= length
    return length


@compiled
def _orthogonalise(basis, triangle, norm, is_kept):
    """Gram and Schmidt's process, twice over ("twice is enough", Giraud et al. 2005), on rows of length 1; the rank.

    basis (k, n) becomes orthonormal; x_j = sum over i <= j of triangle[i, j] basis[i]. Constant and dependent x_j are
    not kept.
    """
    rank = 0
    for j in range(basis.shape[0]):
        triangle[: j + 1, j] = 0.0
        is_kept[j] = norm[j] > 0.0
        if not is_kept[j]:
            continue
        for _ in range(2):
            for i in range(j):
                if is_kept[i]:
                    triangle[i, j] += _project(basis[i], basis[j])
        left = math.sqrt(_dot(basis[j], basis[j]))
        is_kept[j] = left > COLLINEAR
        if is_kept[j]:
            triangle[j, j] = left
            basis[j] /= left
            rank += 1
    return rank


@compiled
def _project(direction, column):
    """Take the part of `column` along `direction` (of length 1) off; its length."""
    length = _dot(direction, column)
    for i in range(column.size):
        column[i] -= length * direction[i]
    return length


@compiled
def _dot(a, b):
    # Four sums side by side: one alone waits for each addition to end before the next begins.
    total_0 = total_1 = total_2 = total_3 = 0.0
    whole = a.size - a.size % 4
    for i in range(0, whole, 4):
        total_0 += a[i] * b[i]
        total_1 += a[i + 1] * b[i + 1]
        total_2 += a[i + 2] * b[i + 2]
        total_3 += a[i + 3] * b[i + 3]
    for i in range(whole, a.size):
        total_0 += a[i] * b[i]
    return (total_0 + total_1) + (total_2 + total_3)


@compiled
def _invert(triangle, inverse, is_kept):
    """The inverse of the triangle of the kept columns."""
    k = is_kept.size
    for j in range(k):
        inverse[: j + 1, j] = 0.0
        if not is_kept[j]:
            continue
        inverse[j, j] = 1.0 / triangle[j, j]
        for i in range(j - 1, -1, -1):
            if is_kept[i]:
                total = 0.0
                for h in range(i + 1, j + 1):
                    if is_kept[h]:
                        total += triangle[i, h] * inverse[h, j]
                inverse[i, j] = -total / triangle[i, i]


@compiled
def _mark_involved(triangle, inverse, is_kept, is_involved):
    """Kept columns that a dependent column is a combination of: nothing tells them apart from it."""
    k = is_kept.size
    is_involved[:k] = False
    for j in range(k):
        if is_kept[j]:
            continue
        for i in range(j):
            if is_kept[i]:
                share = 0.0
                for h in range(i, j):
                    if is_kept[h]:
                        share += inverse[i, h] * triangle[h, j]
                is_involved[i] |= abs(share) > COLLINEAR


KERNELS = (
    Kernel(
        name="partial_regression",
        arguments={"rows": OBSERVATIONS},
        returns=PARTIAL_REGRESSION,
        function=partial_regression,
        summary="Partial regression and partial correlation of y with each of several factors.",
        meaning=(
            "`rows` are observations of `y` with the factors `x`, in one order throughout. Regressed on each other "
            "with an intercept, all factors leave `e_j` of factor j and, without it, a residual of y: `coefficient` "
            "is the slope of the second on the first (the multiple regression coefficient), "
            "`coefficient_standardised` the same in standard deviations, `se` its standard error, `vif` = |x_j - "
            "mean|^2 / |e_j|^2, `t` = coefficient / se and `p` its two-sided probability with `df` = n - k - 1; "
            "`partial_r` = t / sqrt(t^2 + df) is the partial correlation, `partial_r_p` its probability. `n` rows "
            "used, `r2` of all factors together, `factor` the position in x from 1."
        ),
        nulls=(
            "NULL or empty list, no factors: NULL. Rows with a value that is NULL, NaN or infinite are dropped. A "
            "factor that is constant or a combination of others: its numbers are NULL, the others' are those without "
            "it. Constant y: r2 and all numbers but vif are NULL. A fit without residuals: se 0, t and p NULL, "
            "partial_r 1 or -1."
        ),
        minimum="3 degrees of freedom; fewer: NULL.",
        citation=(
            "Frisch, R., Waugh, F. V. (1933), Partial time regressions as compared with individual trends, "
            "Econometrica 1, 387-401. Fisher, R. A. (1924), The distribution of the partial correlation coefficient, "
            "Metron 3, 329-332."
        ),
        example=(
            "select unnest(partial_regression(list({'y': y, 'x': [a, b]})).factors, recursive := true)\n"
            "from (values (1.1::double, 1.0::double, 3.0::double), (2.3, 2.0, 1.0), (2.8, 3.0, 4.0), (4.4, 4.0, 1.0), (4.6, 5.0, 5.0),\n"
            "  (6.3, 6.0, 9.0)) as o(y, a, b)"
        ),
    ),
)
