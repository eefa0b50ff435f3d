"""Seasons by rule in int_seasonal and fct_trends, and the tests of fct_trend_tests, against pymannkendall and statsmodels."""

from __future__ import annotations

import numpy as np
import polars as pl
import pymannkendall
import pytest
import scipy.stats
from statsmodels.stats.multitest import multipletests

from tests.marts import reference
from tests.marts.seasons import CONSTANT, SHARE, TRENDS, VARIABLES, Ruled

CLASSED = {
    "soil_moisture": {"epsilon": 0.0005, "falling": "drying", "rising": "wetting"},
    "precipitation": {"epsilon": 1.0, "is_total": True},
    "soil_temperature": {"epsilon": 0.01},
}


def series(ruled: Ruled, variable: str, season: str, pixel: int, step: str) -> dict[int, float]:
    """Step (year, or months from year 0) -> value."""
    if step == "year":
        years = ruled.seasonal(variable, season, pixel)
        return {year: value for year, (value, _, _) in sorted(years.items()) if value is not None}
    rule, values = ruled.season_months(season, pixel), ruled.months[variable].get(pixel, {})
    return {12 * y + m - 1: values[y, m] for y, m in sorted(values) if (y, m) in rule}


def test_the_seasons_are_as_various_as_meant(ruled: Ruled) -> None:
    """Seasons of different lengths, years without one, a year that is not known, months of the pixel's own grid cell."""
    growing = [n for p in range(24) for _, _, n in ruled.seasonal("soil_moisture", "growing", p).values()]
    assert len(set(growing)) > 2
    frozen = ruled.seasonal("soil_moisture", "frozen", 9)
    assert frozen[2006][0] is None and frozen[2006][1] >= SHARE * frozen[2006][2]
    lengths = {p: len(ruled.season_months("growing", p)) for p in (0, 5, 20)}
    assert len(set(lengths.values())) == 3


@pytest.mark.parametrize("variable", VARIABLES)
def test_seasonal_values(ruled: Ruled, variable: str) -> None:
    ours = ruled.house.query(
        "select seasonal.* from intermediate.int_seasonal as seasonal join intermediate.int_series using (series_id) where variable = ?",
        [variable],
    )
    theirs = pl.DataFrame(
        [
            {"pixel_id": p, "season": season, "year": year, "value": value, "n_months": n, "n_months_of_season": of}
            for p in ruled.months[variable]
            for season in TRENDS["seasons"]
            for year, (value, n, of) in ruled.seasonal(variable, season, p).items()
        ],
        infer_schema_length=None,
    )
    assert theirs["value"].null_count() > 10
    reference.assert_same(ours, theirs, ["pixel_id", "season", "year"])


@pytest.mark.parametrize("variable", VARIABLES)
def test_trends_of_seasons_by_rule(ruled: Ruled, variable: str) -> None:
    ours = ruled.mart("fct_trends", variable).filter(pl.col("season").is_in(["growing", "frozen"]))
    rules = reference.TrendRules(min_valid=8, **CLASSED[variable])
    rows = []
    for pixel in ruled.months[variable]:
        for season in ("growing", "frozen"):
            years = ruled.seasonal(variable, season, pixel)
            for step in ("year", "month") if years else ():
                found = series(ruled, variable, season, pixel, step)
                t, x = np.array(list(found), float), np.array(list(found.values()))
                lengths = 1 if step == "month" else np.mean([n for _, _, n in years.values()])
                rows.append(
                    {
                        "pixel_id": pixel, "time_step": step, "season": season, "n_values": x.size,
                        "n_years": x.size if step == "year" else len(years),
                        **reference._trend(t / (12 if step == "month" else 1), x, rules, lengths),
                    }
                )  # fmt: skip
    reference.assert_same(ours, pl.DataFrame(rows, infer_schema_length=None), ["pixel_id", "time_step", "season"])


def by_peer(test: str, found: dict[int, float], step: str) -> dict:
    names = ("s", "var_s", "z", "p", "slope_per_year")
    if len(found) < TRENDS["min_valid"]:
        return dict.fromkeys(names)
    per_year = 12 if step == "month" else 1
    x = np.full(max(found) - min(found) + 1, np.nan)
    x[np.array(list(found)) - min(found)] = list(found.values())
    if np.nanmax(x) == np.nanmin(x):  # the peer divides by 0
        return dict(zip(names, (0, 0.0, 0.0, 1.0, 0.0), strict=True))
    if test == "seasonal_kendall":
        peer = pymannkendall.seasonal_test(x, 12)
    elif test == "hamed_rao":
        peer = pymannkendall.hamed_rao_modification_test(x)
    else:
        peer = pymannkendall.trend_free_pre_whitening_modification_test(x)
    slope = float(peer.slope) * (1 if test == "seasonal_kendall" else per_year)
    z = None if np.isnan(peer.z) else float(peer.z)
    p = None if z is None else float(2 * scipy.stats.norm.sf(abs(z)))
    return dict(zip(names, (int(peer.s), float(peer.var_s), z, p, slope), strict=True))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("test", TRENDS["tests"])
@pytest.mark.parametrize("variable", ["soil_moisture", "precipitation"])
def test_tests(ruled: Ruled, variable: str, test: str) -> None:
    ours = ruled.mart("fct_trend_tests", variable).filter(pl.col("test") == test)
    rows = []
    for pixel in ruled.months[variable]:
        for season in TRENDS["seasons"]:
            if not ruled.seasonal(variable, season, pixel):
                continue
            for step in ("month",) if test == "seasonal_kendall" else ("year", "month"):
                found = series(ruled, variable, season, pixel, step)
                rows.append(
                    {
                        "pixel_id": pixel,
                        "time_step": step,
                        "season": season,
                        "n_values": len(found),
                        **by_peer(test, found, step),
                    }
                )
    theirs = pl.DataFrame(rows, infer_schema_length=None)
    groups = []
    for _, group in theirs.group_by("time_step", "season"):
        p = group["p"].cast(pl.Float64).fill_null(np.nan).to_numpy()
        adjusted = np.full(p.size, np.nan)
        adjusted[np.isfinite(p)] = multipletests(p[np.isfinite(p)], method="fdr_bh")[1]
        groups.append(
            group.with_columns(p_adjusted=pl.Series(adjusted).fill_nan(None), is_significant=pl.col("p") < 0.05)
        )
    theirs = pl.concat(groups).with_columns(is_small_sample=pl.col("n_values") < 10)
    assert theirs["p"].is_not_null().sum() > 50
    assert theirs["is_significant"].sum() > 0
    reference.assert_same(ours, theirs, ["pixel_id", "time_step", "season"])


def test_a_constant_pixel_has_no_trend_by_any_test(ruled: Ruled) -> None:
    ours = ruled.mart("fct_trend_tests", "soil_moisture").filter(
        (pl.col("pixel_id") == CONSTANT) & (pl.col("season") == "annual") & (pl.col("time_step") == "month")
    )
    assert ours.select("s", "var_s", "z", "p", "slope_per_year").unique().rows() == [(0, 0.0, 0.0, 1.0, 0.0)]
    assert len(ours) == 3
