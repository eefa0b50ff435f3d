"""Models fitted to empirical semivariograms by least squares, to the global optimum.

For a given range the nugget and the partial sill follow in closed form (variable projection, Golub and Pereyra 1973), also under the condition
that neither is negative; what is left is one number, searched over the whole line of ranges. A local optimiser (gstat's Gauss-Newton,
scipy's curve_fit) can stop elsewhere, with a negative nugget, or not at all.
"""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa

from udfs.arrow import struct_array
from udfs.compiled import compiled
from udfs.kernel import Kernel
from udfs.semivariogram_model import EFFECTIVE_RANGE, LINEAR, MODELS, SPHERICAL, numbers_of, shape

WEIGHTINGS = ("ols", "n", "n_over_h2")
OLS, BY_PAIRS, BY_PAIRS_NEAR = range(3)

MINIMUM_BINS = 3

LONGEST_RANGE, SHORTEST_RANGE = 1000.0, 0.1
"""Ranges are searched up to so many times the longest lag where no bound is given, and from so much of the shortest lag on."""

TRIED, HALVINGS = 400, 60
"""Ranges tried over the whole line, and steps of the golden section around each of the best."""

EMPIRICAL_BINS = pa.list_(pa.struct([("lag_m", pa.float64()), ("n_pairs", pa.int64()), ("semivariance", pa.float64())]))

FITTED = pa.struct(
    [
        ("n_bins", pa.int32()),
        ("nugget", pa.float64()),
        ("partial_sill", pa.float64()),
        ("sill", pa.float64()),
        ("slope", pa.float64()),
        ("range_parameter_m", pa.float64()),
        ("range_effective_m", pa.float64()),
        ("is_range_at_bound", pa.bool_()),
        ("is_bounded", pa.bool_()),
        ("max_lag_m", pa.float64()),
        ("fraction_of_sill_reached", pa.float64()),
        ("nugget_ratio", pa.float64()),
        ("structural_ratio", pa.float64()),
        ("rss", pa.float64()),
        ("r2", pa.float64()),
        ("weighted_rss", pa.float64()),
    ]
)


def fit_semivariogram(
    bins: pa.ListArray, model: pa.Array, weighting: pa.Array, range_bound_m: pa.Array
) -> pa.StructArray:
    """Each empirical semivariogram (array of type EMPIRICAL_BINS) fitted by a model of MODELS; an array of type FITTED.

    weighting is `ols` (1), `n` (pairs) or `n_over_h2` (pairs / lag^2, gstat's default). range_bound_m is the longest range parameter that is
    tried, 0 for none. Bins without a pair, a positive lag and a semivariance do not count. A linear model has slope and, as range parameter,
    the longest lag, where its sill is read. With a partial sill of 0 the range is NULL.
    NULL: an argument is NULL, or fewer than 3 bins. ValueError: unknown model or weighting, range_bound_m below 0.
    """
    kind = numbers_of(model, MODELS, "fit_semivariogram: model")
    weigh = numbers_of(weighting, WEIGHTINGS, "fit_semivariogram: weighting")
    bound = range_bound_m.to_numpy(zero_copy_only=False).astype(float)  # a copy: one compiled form
    if (bound < 0).any():
        raise ValueError(f"fit_semivariogram: range_bound_m is {np.nanmin(bound)}; it is a distance, or 0 for none")
    offsets, lag, pairs, gamma = _members(bins)
    is_null = bins.is_null().to_numpy(zero_copy_only=False) | (kind < 0) | (weigh < 0) | ~np.isfinite(bound)
    numbers, at_bound, n_bins = _fit_all(offsets, lag, pairs, gamma, kind, weigh, bound, is_null)
    nugget, partial, a, slope, longest, reached, rss, total, weighted = numbers
    is_null |= n_bins < MINIMUM_BINS
    sill = nugget + partial
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(sill > 0, nugget / sill, np.nan)
        fields = [
            n_bins,
            nugget,
            partial,
            sill,
            slope,
            a,
            a * EFFECTIVE_RANGE[np.maximum(kind, 0)],
            at_bound,
            kind != LINEAR,
            longest,
            np.where(sill > 0, reached / sill, np.nan),
            share,
            1 - share,
            rss,
            np.where(total > 0, 1 - rss / total, np.nan),
            weighted,
        ]
    return struct_array(FITTED, fields, is_null)


def _members(bins: pa.ListArray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Offsets, lags, pairs and semivariances; a member that does not count has lag NaN."""
    offsets = bins.offsets.to_numpy()
    members = bins.values.slice(offsets[0], offsets[-1] - offsets[0])
    lag, pairs, gamma = (members.field(i).to_numpy(zero_copy_only=False).astype(float) for i in range(3))
    counts = np.isfinite(lag) & (lag > 0) & (pairs > 0) & np.isfinite(gamma)
    if members.null_count:
        counts &= ~members.is_null().to_numpy(zero_copy_only=False)
    return offsets - offsets[0], np.where(counts, lag, np.nan), pairs, gamma


@compiled
def _fit_all(offsets, lag, pairs, gamma, kind, weigh, bound, is_null):
    rows = kind.size
    numbers = np.full((9, rows), np.nan)
    at_bound = np.zeros(rows, np.bool_)
    n_bins = np.zeros(rows, np.int32)
    for row in range(rows):
        if is_null[row]:
            continue
        part = slice(offsets[row], offsets[row + 1])
        counts = lag[part] == lag[part]
        order = np.argsort(lag[part][counts])
        h, n, g = lag[part][counts][order], pairs[part][counts][order], gamma[part][counts][order]
        n_bins[row] = h.size
        if h.size < MINIMUM_BINS:
            continue
        w = np.ones(h.size)
        if weigh[row] != OLS:
            w = n.copy()
        if weigh[row] == BY_PAIRS_NEAR:
            w = n / (h * h)
        model, longest = kind[row], h.max()
        if g.min() == g.max():  # rounding in the mean of equal numbers is no structure
            numbers[:, row] = (g[0], 0.0, longest if model == LINEAR else math.nan, 0.0, longest, g[0], 0.0, 0.0, 0.0)
            if model != LINEAR:
                numbers[3, row] = math.nan
            continue
        if model == LINEAR:
            a = longest
        else:
            limit = bound[row] if bound[row] > 0 else LONGEST_RANGE * longest
            a = _best_range(model, _rounded(h), _rounded(g), w, limit)
            at_bound[row] = a >= limit * (1 - 1e-6)
        weighted, nugget, partial = _project(model, h, g, w, a)
        rss, total, mean = 0.0, 0.0, g.mean()
        for i in range(h.size):
            rss += (g[i] - nugget - partial * shape(model, h[i] / a)) ** 2
            total += (g[i] - mean) ** 2
        reached = nugget + partial * shape(model, longest / a)
        slope = partial / a if model == LINEAR else math.nan
        if partial == 0.0:
            at_bound[row] = False
            if model != LINEAR:
                a = math.nan
        numbers[:, row] = (nugget, partial, a, slope, longest, reached, rss, total, weighted)
    return numbers, at_bound, n_bins


@compiled
def _rounded(values):
    """To ten digits. Where a sum of squares is flat in the range, the last digits, in which two engines' sums differ, would choose it."""
    rounded = np.zeros(values.size)
    for i in range(values.size):
        if values[i] != 0:
            unit = 10.0 ** (math.floor(math.log10(abs(values[i]))) - 9)
            rounded[i] = round(values[i] / unit) * unit
    return rounded


@compiled
def _project(model, h, g, w, a):
    """(weighted sum of squares, nugget, partial sill) of the best model of range parameter `a` with neither negative."""
    total, mean_f, mean_g = 0.0, 0.0, 0.0
    for i in range(h.size):
        total += w[i]
        mean_f += w[i] * shape(model, h[i] / a)
        mean_g += w[i] * g[i]
    mean_f /= total
    mean_g /= total
    ff, fg, square, product = 0.0, 0.0, 0.0, 0.0
    for i in range(h.size):
        f = shape(model, h[i] / a)
        ff += w[i] * (f - mean_f) ** 2
        fg += w[i] * (f - mean_f) * (g[i] - mean_g)
        square += w[i] * f * f
        product += w[i] * f * g[i]
    partial = fg / ff if ff > 1e-24 * square else 0.0
    nugget = mean_g - partial * mean_f
    if partial >= 0 and nugget >= 0:
        return _squares(model, h, g, w, a, nugget, partial), nugget, partial
    # The optimum lies on an edge: no partial sill, or no nugget.
    flat = _squares(model, h, g, w, a, mean_g, 0.0)
    steep = product / square if square > 0 else 0.0
    rising = _squares(model, h, g, w, a, 0.0, steep)
    if rising < flat:
        return rising, 0.0, steep
    return flat, mean_g, 0.0


@compiled
def _squares(model, h, g, w, a, nugget, partial):
    squares = 0.0
    for i in range(h.size):
        squares += w[i] * (g[i] - nugget - partial * shape(model, h[i] / a)) ** 2
    return squares


@compiled
def _best_range(model, h, g, w, limit):
    """The range parameter with the least sum of squares: every valley of a fine net of ranges, by golden section."""
    low = min(SHORTEST_RANGE * h.min(), limit / 2)
    if model == SPHERICAL:
        low = min(h.min(), limit / 2)  # below the shortest lag it is flat
    tried = np.exp(np.linspace(math.log(low), math.log(limit), TRIED))
    tried[-1] = limit
    squares = np.empty(TRIED)
    for k in range(TRIED):
        squares[k] = _project(model, h, g, w, tried[k])[0]
    best, least = tried[0], squares[0]
    golden = (math.sqrt(5.0) - 1) / 2
    for k in range(TRIED):
        if squares[k] < least:
            best, least = tried[k], squares[k]
    for k in range(TRIED):
        before, after = max(k - 1, 0), min(k + 1, TRIED - 1)
        if squares[k] > squares[before] or squares[k] > squares[after]:
            continue
        left, right = math.log(tried[before]), math.log(tried[after])
        inner, outer = right - golden * (right - left), left + golden * (right - left)
        at_inner = _project(model, h, g, w, math.exp(inner))[0]
        at_outer = _project(model, h, g, w, math.exp(outer))[0]
        for _ in range(HALVINGS):
            if at_inner < at_outer:
                right, outer, at_outer = outer, inner, at_inner
                inner = right - golden * (right - left)
                at_inner = _project(model, h, g, w, math.exp(inner))[0]
            else:
                left, inner, at_inner = inner, outer, at_outer
                outer = left + golden * (right - left)
                at_outer = _project(model, h, g, w, math.exp(outer))[0]
        middle = math.exp((left + right) / 2)
        there = _project(model, h, g, w, middle)[0]
        if there < least:
            best, least = middle, there
    return min(best, limit)


KERNELS = (
    Kernel(
        name="fit_semivariogram",
        arguments={
            "bins": EMPIRICAL_BINS,
            "model": pa.string(),
            "weighting": pa.string(),
            "range_bound_m": pa.float64(),
        },
        returns=FITTED,
        function=fit_semivariogram,
        summary="A linear, spherical, exponential or Gaussian model fitted to an empirical semivariogram, to the global optimum.",
        meaning=(
            "gamma(h) = nugget + partial_sill f(h / range_parameter_m), f = r (linear), 1.5 r - 0.5 r^3 up to r = 1 (spherical), 1 - exp(-r) "
            "(exponential), 1 - exp(-r^2) (gaussian), with nugget and partial sill not below 0. weighting: ols, n (pairs), n_over_h2 (pairs over "
            "squared lag). range_bound_m: longest range parameter, 0 for none (then 1,000 times the longest lag, where is_range_at_bound says so). "
            "range_effective_m is 1, 3, sqrt 3 range parameters. A linear model has a slope, its sill at the longest lag, and that lag as range "
            "parameter. rss and r2 are unweighted, weighted_rss is what was made least."
        ),
        nulls="NULL where an argument is NULL. Bins without pairs, lag or semivariance do not count. A model without partial sill has no range, one of sill 0 no ratios, a constant semivariance no r2.",
        minimum="3 bins.",
        citation="Golub and Pereyra (1973), SIAM J. Numer. Anal. 10, 413-432; models as in gstat (Pebesma 2004).",
        example=(
            "select fitted.nugget, fitted.partial_sill, fitted.range_effective_m, fitted.structural_ratio, fitted.rss\nfrom (\n"
            "  select fit_semivariogram(list({'lag_m': h::double, 'n_pairs': 1000, 'semivariance': 1 + 3 * (1 - exp(-h / 8000.0))}), "
            "'exponential', 'n_over_h2', 0.0) as fitted\n  from range(1000, 30000, 2000) as r(h)\n)"
        ),
    ),
)
