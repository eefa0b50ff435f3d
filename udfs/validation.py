"""What validation needs beside SQL: the match of one distribution to another, and the quantiles of its intervals."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from udfs.arrow import MemberColumns
from udfs.kernel import Kernel
from udfs.types import SERIES

PAIRS = pa.list_(pa.struct([("t", pa.int32()), ("estimate", pa.float64()), ("reference", pa.float64())]))


def cdf_match(pairs: pa.ListArray, n_bins: pa.Array, min_in_bin: pa.Array) -> pa.ListArray:
    """The estimates of each list of pairs (type PAIRS) given the reference's distribution; an array of type SERIES, by t.

    n_bins, min_in_bin: int32, one a list. The percentiles 0, 100 / n_bins, ... 100 of both (Hazen's plotting positions)
    are joined by lines; with fewer than n_bins x min_in_bin pairs there are fewer bins. The first and the last
    percentile of the reference are replaced by a regression through the inner edge of their bin (Moesinger et al. 2020),
    and what lies beyond goes on along the outermost lines. One bin is one regression. Unit of the reference.
    Members with a NULL t, or NULL, NaN or infinite in one of the two are dropped. NULL list, fewer than two different
    estimates, NULL in another argument: NULL. ValueError: n_bins or min_in_bin below 1. pytesmo.scaling.cdf_match.
    """
    columns = MemberColumns(pairs)
    numbers = [column.to_pylist() for column in (n_bins, min_in_bin)]
    for name, values in zip(("n_bins", "min_in_bin"), numbers, strict=True):
        if any(value is not None and value < 1 for value in values):
            raise ValueError(
                f"cdf_match: {name} is {min(v for v in values if v is not None)}; it counts and cannot be below 1"
            )
    found: list[tuple[np.ndarray, np.ndarray] | None] = []
    for row, (bins, fewest) in enumerate(zip(*numbers, strict=True)):
        if not columns.is_valid[row] or bins is None or fewest is None:
            found.append(None)
            continue
        (t, x, y), known = columns.row(row)
        keep = known[0] & known[1] & known[2] & np.isfinite(x) & np.isfinite(y)
        order = np.argsort(t[keep], kind="stable")
        t, x, y = (values[keep][order] for values in (t, x, y))
        matched = _matched(x, y, bins, fewest) if x.size else None
        found.append(None if matched is None or not np.isfinite(matched).all() else (t, matched))
    lengths = np.array([0 if pair is None else pair[0].size for pair in found], np.int32)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    given = [pair for pair in found if pair is not None]
    members = pa.StructArray.from_arrays(
        [
            pa.array(np.concatenate([t for t, _ in given]) if given else np.empty(0), pa.int32()),
            pa.array(np.concatenate([v for _, v in given]) if given else np.empty(0), pa.float64()),
        ],
        fields=list(SERIES.value_type),
    )
    is_null = np.array([pair is None for pair in found], bool)
    return pa.ListArray.from_arrays(
        pa.array(offsets), members, type=SERIES, mask=pa.array(is_null) if is_null.any() else None
    )


def t_quantile(p: pa.Array, df: pa.Array) -> pa.Array:
    """The t with P(T <= t) = p of Student's t distribution with df degrees of freedom, which need not be whole."""
    # scipy takes up to a second to import: only a session that calls the kernel pays for it.
    from scipy import special

    p, df = (column.to_numpy(zero_copy_only=False) for column in (p, df))
    with np.errstate(invalid="ignore"):
        values = special.stdtrit(df, p)
        is_defined = (df > 0) & (p > 0) & (p < 1)
    return pa.array(values, pa.float64(), mask=~(is_defined & np.isfinite(values)))


def _matched(x: np.ndarray, y: np.ndarray, n_bins: int, min_in_bin: int) -> np.ndarray | None:
    """x on the distribution of y; None where the percentiles of x do not rise."""
    if x.min() == x.max():
        return None
    if x.size < n_bins * min_in_bin:
        n_bins = max(1, x.size // min_in_bin)
    if n_bins == 1:
        deviation = x - x.mean()
        slope = (deviation @ (y - y.mean())) / (deviation @ deviation)
        return y.mean() + slope * deviation
    at = np.arange(n_bins + 1) / n_bins * 100
    x_sorted, y_sorted = np.sort(x), np.sort(y)
    x_at, y_at = _percentiles(x_sorted, at), _percentiles(y_sorted, at)
    if (np.diff(x_at) <= 0).any():
        return None
    low = _edge_slope(x_sorted[x_sorted <= x_at[1]] - x_at[1], y_sorted[y_sorted <= y_at[1]] - y_at[1])
    y_first = y_at[1] + low * (x_at[0] - x_at[1])
    # As pytesmo: the upper edge is read off after the lower one was moved, which matters for two bins.
    y_at[0] = y_first
    high = _edge_slope(x_sorted[x_sorted >= x_at[-2]] - x_at[-2], y_sorted[y_sorted >= y_at[-2]] - y_at[-2])
    y_at[-1] = y_at[-2] + high * (x_at[-1] - x_at[-2])
    return _along_lines(x, x_at, y_at)


def _percentiles(values: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Percentiles of sorted values at Hazen's positions, made to rise: equal ones are spread along the line to the next."""
    position = 100.0 * (np.arange(values.size) + 0.5) / values.size
    found = np.interp(at, position, values)
    distinct, first = np.unique(found, return_index=True)
    if distinct.size in (1, at.size):
        return found
    places = at[first]
    places[-1] = at[-1]
    return _along_lines(at, places, distinct)


def _edge_slope(x: np.ndarray, y: np.ndarray) -> float:
    """The slope through the origin of the y's on the x's, both sorted; as many x's as y's, read off their distribution."""
    if x.size != y.size:
        if x.size == 0 or y.size < 2:
            return np.nan
        x = _percentiles(x, np.arange(y.size, dtype=float) / (y.size - 1) * 100.0)
    squares = x @ x
    return (x @ y) / squares if squares > 0 else 0.0


def _along_lines(x: np.ndarray, x_at: np.ndarray, y_at: np.ndarray) -> np.ndarray:
    """Linear interpolation, and beyond the ends along the outermost lines."""
    piece = np.clip(np.searchsorted(x_at, x, side="right") - 1, 0, x_at.size - 2)
    slope = np.diff(y_at) / np.diff(x_at)
    return y_at[piece] + slope[piece] * (x - x_at[piece])


KERNELS = (
    Kernel(
        name="cdf_match",
        arguments={"pairs": PAIRS, "n_bins": pa.int32(), "min_in_bin": pa.int32()},
        returns=SERIES,
        function=cdf_match,
        summary="Estimates scaled to the distribution of a reference: CDF matching.",
        meaning=(
            "`estimate` and `reference` of one time. n_bins + 1 percentiles of both are joined by lines, fewer where a bin would hold fewer than `min_in_bin` pairs; "
            "one bin is one regression. The outermost percentiles of the reference come from a regression in their bin, and values beyond go on along the "
            "outermost lines. Returns the scaled estimates as (t, v), sorted by t."
        ),
        nulls="NULL list or another argument NULL: NULL. Members with a NULL t or a value that is NULL, NaN or infinite are dropped. A number below 1 is an error.",
        minimum="Two different estimates; else NULL.",
        citation="pytesmo.scaling.cdf_match; Moesinger, L. et al. (2020), The global long-term microwave vegetation optical depth climate archive (VODCA), Earth Syst. Sci. Data 12, 177-196.",
        example=(
            "select unnest(cdf_match(list({'t': t, 'estimate': x, 'reference': y}), 100, 20), recursive := true)\n"
            "from (values (1, 0.21::double, 0.30::double), (2, 0.22, 0.33), (3, 0.20, 0.28), (4, 0.25, 0.36)) as p(t, x, y)"
        ),
    ),
    Kernel(
        name="t_quantile",
        arguments={"p": pa.float64(), "df": pa.float64()},
        returns=pa.float64(),
        function=t_quantile,
        summary="The t with P(T <= t) = p of Student's t distribution with df degrees of freedom.",
        meaning="For intervals of means, such as that of a bias; df need not be a whole number.",
        nulls="NULL where an argument is NULL or NaN, or the distribution is not defined there. p = 0 and p = 1 are infinite: NULL.",
        minimum="df > 0, 0 < p < 1; else NULL.",
        citation="Boost.Math students_t quantile, through scipy.special.stdtrit.",
        example="select t_quantile(0.975, 18) as t",
    ),
)
