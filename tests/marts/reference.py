"""The marts of patterns and trends computed once more, by other people's code: polars, numpy, scipy, pymannkendall, statsmodels.

Nothing here comes from the warehouse: definitions are those of docs/methods.md, written out. Frames have the marts' column names, without
the columns that only name the series.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

import numpy as np
import polars as pl
import pymannkendall
import scipy.stats
from statsmodels.stats.multitest import multipletests

SEASONS = {
    "annual": dict.fromkeys(range(1, 13), 0),
    "DJF": {12: 1, 1: 0, 2: 0},
    "JJA": {6: 0, 7: 0, 8: 0},
}
STABILITY = (0.03, 0.08, 0.13, 0.2)
STABILITY_CLASSES = ("excellent", "good", "stable", "poor", "very poor")


def months_of_days(days: pl.DataFrame, statistic: str, min_days: int = 5, min_dekads: int = 3) -> pl.DataFrame:
    """pixel_id, month, value of the covered months of `days` (pixel_id, obs_date, value without NULL)."""
    day = pl.col("obs_date").dt.day()
    dekad = pl.when(day <= 10).then(1).when(day <= 20).then(2).otherwise(3)
    # The mean of equal days is that day, whatever their sum was rounded to: Mann-Kendall must find a tie.
    low, high = pl.col("value").min(), pl.col("value").max()
    mean = pl.when(low == high).then(low).otherwise(pl.col("value").mean())
    value = pl.col("value").sum() if statistic == "total" else mean
    return (
        days.group_by("pixel_id", month=pl.col("obs_date").dt.truncate("1mo"))
        .agg(value=value, n_days=pl.len(), n_dekads=dekad.n_unique())
        .filter((pl.col("n_days") >= min_days) & (pl.col("n_dekads") >= min_dekads))
        .select(pl.col("pixel_id").cast(pl.Int64), "month", "value")
    )


def monthly_statistics(months: pl.DataFrame, members: pl.DataFrame) -> pl.DataFrame:
    """A row a region and month; `members` is region_id, pixel_id, weight_km2."""
    rows = []
    for (region, month), pixels in months.join(members, on="pixel_id").group_by("region_id", "month"):
        value, weight = pixels["value"].to_numpy(), pixels["weight_km2"].to_numpy()
        rows.append({"region_id": region, "month": month, **_statistics(value, weight)})
    return pl.DataFrame(rows, infer_schema_length=None)


def _statistics(value: np.ndarray, weight: np.ndarray) -> dict:
    n = value.size
    is_constant = value.min() == value.max()
    sd = None if n == 1 else 0.0 if is_constant else float(np.std(value, ddof=1))
    mean = float(np.mean(value))
    q25, median, q75 = np.percentile(value, [25, 50, 75])
    a = 3 / 8 if n <= 10 else 1 / 2
    positions = (np.arange(1, n + 1) - a) / (n + 1 - 2 * a)
    shape = {"iqr_sd_ratio": None, "qq_r": None, "skewness": None, "excess_kurtosis": None, "is_near_normal": None}
    if not is_constant:
        ratio = float((q75 - q25) / sd)
        qq_r = float(np.corrcoef(np.sort(value), scipy.stats.norm.ppf(positions))[0, 1])
        shape = {
            "iqr_sd_ratio": ratio,
            "qq_r": qq_r,
            "skewness": float(scipy.stats.skew(value, bias=True)),
            "excess_kurtosis": float(scipy.stats.kurtosis(value, fisher=True, bias=True)),
            "is_near_normal": bool(1.25 <= ratio < 1.45 and qq_r >= 0.98),
        }
    return {
        "n_pixels": n,
        "min": float(value.min()),
        "mean": mean,
        "area_mean": float(np.average(value, weights=weight)),
        "max": float(value.max()),
        "sd": sd,
        "cv": None if sd is None or mean == 0 else sd / mean,
        "q25": float(q25),
        "median": float(median),
        "q75": float(q75),
        **shape,
    }


def periods(start: date, end: date, kinds: Iterable[str]) -> list[tuple[str, date, date]]:
    """(period_kind, period_start, period_end) of the study's stability periods."""
    found = []
    if "all" in kinds:
        found.append(("all", start, end))
    if "year" in kinds:
        borders = [start, *(date(y, 1, 1) for y in range(start.year + 1, end.year + 1) if date(y, 1, 1) < end), end]
        found += [("year", first, after) for first, after in pairwise(borders)]
    return found


def temporal_stability(
    months: pl.DataFrame, members: pl.DataFrame, of_periods: Iterable[tuple[str, date, date]], is_classed: bool
) -> pl.DataFrame:
    """A row a region, pixel and period."""
    rows = []
    for (region,), inside in members.group_by("region_id"):
        cells = months.join(inside, on="pixel_id")
        pixel_ids = np.unique(cells["pixel_id"].to_numpy())
        dates = np.unique(cells["month"].to_numpy())
        cube = np.full((pixel_ids.size, dates.size), np.nan)
        at = np.searchsorted(pixel_ids, cells["pixel_id"].to_numpy()), np.searchsorted(dates, cells["month"].to_numpy())
        cube[at] = cells["value"].to_numpy()
        weight = dict(zip(inside["pixel_id"], inside["weight_km2"], strict=True))
        weights = np.array([weight[p] for p in pixel_ids])[:, None]
        regional = np.nansum(cube * weights, axis=0) / np.sum(np.isfinite(cube) * weights, axis=0)
        relative = np.where(regional == 0, np.nan, (cube - regional) / np.where(regional == 0, np.nan, regional))
        for kind, start, end in of_periods:
            during = (dates >= np.datetime64(start)) & (dates < np.datetime64(end))
            for row, pixel in enumerate(pixel_ids):
                value = cube[row, during]
                value = value[np.isfinite(value)]
                difference = relative[row, during]
                difference = difference[np.isfinite(difference)]
                if value.size == 0:
                    continue
                sd = float(np.std(value, ddof=1)) if value.size > 1 else None
                rows.append(
                    {
                        "region_id": region,
                        "pixel_id": int(pixel),
                        "period_kind": kind,
                        "period_start": start,
                        "period_end": end,
                        "n_months": value.size,
                        "mean": float(value.mean()),
                        "sd": sd,
                        "stability_class": STABILITY_CLASSES[np.searchsorted(STABILITY, sd, side="right")]
                        if is_classed and sd is not None
                        else None,
                        "mean_relative_difference": float(difference.mean()) if difference.size else None,
                        "sd_relative_difference": float(np.std(difference, ddof=1)) if difference.size > 1 else None,
                    }
                )
    return pl.DataFrame(rows, infer_schema_length=None)


def rank_stability(months: pl.DataFrame, members: pl.DataFrame, max_lag_months: int) -> pl.DataFrame:
    """A row a region and pair of months with a common pixel."""
    rows = []
    for (region,), inside in members.group_by("region_id"):
        cells = months.join(inside, on="pixel_id")
        maps = {
            month: dict(zip(part["pixel_id"], part["value"], strict=True)) for (month,), part in cells.group_by("month")
        }
        for month_1, first in maps.items():
            for month_2, second in maps.items():
                lag = (month_2.year - month_1.year) * 12 + month_2.month - month_1.month
                common = sorted(first.keys() & second.keys())
                if not 1 <= lag <= max_lag_months or not common:
                    continue
                a, b = np.array([first[p] for p in common]), np.array([second[p] for p in common])
                varies = np.ptp(a) > 0 and np.ptp(b) > 0
                rho = float(scipy.stats.spearmanr(a, b).statistic) if varies else None
                rows.append({"region_id": region, "month_1": month_1, "month_2": month_2, "n": len(common), "rho": rho})
    return pl.DataFrame(rows, infer_schema_length=None)


@dataclass(frozen=True)
class TrendRules:
    """The study's `trends` and what int_series knows of the variable."""

    time_steps: Sequence[str] = ("year",)
    seasons: Sequence[str] = ("annual",)
    min_valid: int = 8
    alpha: float = 0.05
    min_months_share: float = 1.0
    is_total: bool = False
    epsilon: float = 0.0
    falling: str = "decrease"
    rising: str = "increase"


def trends(months: pl.DataFrame, rules: TrendRules, pixels: Iterable[int] | None = None) -> pl.DataFrame:
    """A row a pixel, time step and season; of `pixels` only, where given, and then without mk_p_adjusted."""
    wanted = None if pixels is None else set(pixels)
    rows = []
    for (pixel,), part in months.group_by("pixel_id"):
        if wanted is not None and pixel not in wanted:
            continue
        values = {(m.year, m.month): v for m, v in zip(part["month"], part["value"], strict=True)}
        for season in rules.seasons:
            calendar = SEASONS[season]
            by_year: dict[int, list[float]] = {}
            for (year, month), value in sorted(values.items()):
                if month in calendar:
                    by_year.setdefault(year + calendar[month], []).append(value)
            if not by_year:
                continue
            for step in rules.time_steps:
                if step == "year":
                    enough = {y: v for y, v in by_year.items() if len(v) >= rules.min_months_share * len(calendar)}
                    t = np.array(sorted(enough), dtype=float)
                    x = np.array([np.sum(enough[y]) if rules.is_total else _mean(enough[y]) for y in sorted(enough)])
                    n_years = t.size
                else:
                    at = sorted(ym for ym in values if ym[1] in calendar)
                    t = np.array([year + (month - 1) / 12 for year, month in at])
                    x = np.array([values[ym] for ym in at])
                    n_years = len(by_year)
                rows.append(
                    {
                        "pixel_id": pixel,
                        "time_step": step,
                        "season": season,
                        "n_values": x.size,
                        "n_years": n_years,
                        **_trend(t, x, rules, 1 if step == "month" else len(calendar)),
                        "is_small_sample": x.size < 10,
                    }
                )
    frame = pl.DataFrame(rows, infer_schema_length=None)
    if wanted is not None:
        return frame
    groups = []
    for _, group in frame.group_by("time_step", "season"):
        p = group["mk_p"].to_numpy()
        adjusted = np.full(p.size, np.nan)
        tested = np.isfinite(p)
        if tested.any():
            adjusted[tested] = multipletests(p[tested], method="fdr_bh")[1]
        groups.append(group.with_columns(mk_p_adjusted=pl.Series(adjusted).fill_nan(None)))
    return pl.concat(groups)


def _mean(values: list[float]) -> float:
    return values[0] if len(set(values)) == 1 else float(np.mean(values))


def _trend(t: np.ndarray, x: np.ndarray, rules: TrendRules, n_months: int) -> dict:
    names = (
        *("mk_s", "mk_var_s", "mk_z", "mk_p", "tau_b", "sen_slope_per_year", "sen_intercept", "sen_slope_lower"),
        *("sen_slope_upper", "ols_slope_per_year", "ols_p", "cv", "trend_class"),
    )
    if x.size < rules.min_valid:
        return dict.fromkeys(names)
    kendall = pymannkendall.original_test(x)
    sen = scipy.stats.theilslopes(x, t, alpha=0.95)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a constant series has no tau
        tau_b = float(scipy.stats.kendalltau(t, x).statistic)
    line = scipy.stats.linregress(t, x)
    # pymannkendall's p is 1 - cdf, which has no digits left for strong trends; sf is the same number with all of them.
    p = float(2 * scipy.stats.norm.sf(abs(kendall.z)))
    assert abs(p - kendall.p) < 1e-14
    if p < rules.alpha and kendall.z != 0:
        strength = "significant "
    elif abs(sen.slope) >= rules.epsilon * (n_months / 12 if rules.is_total else 1) and kendall.z != 0:
        strength = "slight "
    else:
        strength = ""
    word = "stable" if not strength else rules.falling if kendall.z < 0 else rules.rising
    is_constant = np.ptp(x) == 0
    return dict(
        zip(
            names,
            (
                *(int(kendall.s), float(kendall.var_s), float(kendall.z), p),
                tau_b if np.isfinite(tau_b) else None,
                *(float(sen.slope), float(sen.intercept), float(sen.low_slope), float(sen.high_slope)),
                *((0.0, 1.0) if is_constant else (float(line.slope), float(line.pvalue))),
                None if np.mean(x) == 0 else float(np.std(x, ddof=1) / np.mean(x)),
                strength + word,
            ),
            strict=True,
        )
    )


def assert_same(
    ours: pl.DataFrame, theirs: pl.DataFrame, keys: Sequence[str], loose: dict[str, float] | None = None
) -> int:
    """Every row and every column of `theirs` is in `ours`, and no row more; numbers to 1e-10. Returns the number of values compared.

    Two numbers agree when they differ by at most 1e-10 of their size or, for differences of large numbers that cancel, 1e-12 of the
    largest in the column; NULL agrees with NULL only. `loose` gives a relative tolerance of their own to columns that need one.
    """
    both = ours.sort(keys), theirs.sort(keys)
    for key in keys:
        assert both[0][key].to_list() == both[1][key].to_list(), f"rows differ in {key}"
    for name in theirs.columns:
        if name in keys:
            continue
        a, b = both[0][name], both[1][name]
        if not (a.dtype.is_float() or b.dtype.is_float()):
            differs = [i for i, (x, y) in enumerate(zip(a.to_list(), b.to_list(), strict=True)) if x != y]
            assert not differs, (
                f"{name}: {a[differs[0]]} is not {b[differs[0]]} in {both[1].row(differs[0], named=True)}"
            )
            continue
        x, y = (s.cast(pl.Float64).fill_null(np.nan).to_numpy() for s in (a, b))
        assert not a.is_nan().any() and not np.isinf(x).any(), f"{name} holds NaN or infinity"
        largest = np.nanmax(np.abs(y), initial=0.0)
        allowed = np.maximum((loose or {}).get(name, 1e-10) * np.abs(y), 1e-12 * largest)
        wrong = ~((np.abs(x - y) <= allowed) | (np.isnan(x) & np.isnan(y)))
        first = int(np.argmax(wrong))
        assert not wrong.any(), f"{name}: {x[first]!r} is not {y[first]!r} in {both[1].row(first, named=True)}"
    return len(theirs) * (len(theirs.columns) - len(keys))
