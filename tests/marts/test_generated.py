"""The four marts over a generated warehouse, every column against an independent computation."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from tests.marts import reference
from tests.marts.conftest import CONSTANT, END, LATE, MAX_LAG, STABILITY_PERIODS, START, Analysed, Built

VARIABLES = ("soil_moisture", "air_temperature", "precipitation")


@pytest.fixture(params=VARIABLES)
def analysed(request: pytest.FixtureRequest, built: Built) -> Analysed:
    return next(series for series in built.series if series.variable == request.param)


def test_the_data_are_as_bad_as_meant(built: Built) -> None:
    soil, _, rain = (series.months for series in built.series)
    assert soil["month"].n_unique() == 138 - 2  # two months of outage
    assert soil.filter(pl.col("month") == date(2012, 3, 1))["pixel_id"].sort().to_list() == list(CONSTANT)  # one dekad
    assert soil.group_by("month").len()["len"].n_unique() > 3
    assert (rain["value"] == 0).mean() > 0.2
    assert rain["month"].n_unique() * 30 == len(rain)


def test_monthly_statistics(built: Built, analysed: Analysed) -> None:
    ours = built.mart("fct_monthly_statistics", analysed.variable)
    theirs = reference.monthly_statistics(analysed.months, built.members)
    reference.assert_same(ours, theirs, ["region_id", "month"])


def test_monthly_statistics_of_one_pixel_and_of_a_constant_map(built: Built) -> None:
    ours = built.mart("fct_monthly_statistics", "soil_moisture")
    shape = ["iqr_sd_ratio", "qq_r", "skewness", "excess_kurtosis", "is_near_normal"]
    point = ours.filter(pl.col("region_id") == "point")
    assert point["n_pixels"].unique().to_list() == [1]
    assert point.select("sd", "cv", *shape).null_count().row(0) == (len(point),) * 7
    flat = ours.filter(pl.col("region_id") == "flat")
    assert flat.select("sd", "cv").unique().rows() == [(0.0, 0.0)]
    assert flat.select(shape).null_count().row(0) == (len(flat),) * 5
    dry = built.mart("fct_monthly_statistics", "precipitation").filter(pl.col("mean") == 0)
    assert dry["region_id"].n_unique() == 5
    assert dry["cv"].null_count() == len(dry)


def test_temporal_stability(built: Built, analysed: Analysed) -> None:
    ours = built.mart("fct_temporal_stability", analysed.variable)
    theirs = reference.temporal_stability(
        analysed.months, built.members, reference.periods(START, END, STABILITY_PERIODS), analysed.is_classed
    )
    assert theirs["period_start"].n_unique() == 12  # the whole study begins with its first year
    reference.assert_same(ours, theirs, ["region_id", "pixel_id", "period_kind", "period_start"])


def test_relative_differences_cancel_over_a_region(built: Built) -> None:
    """Where no pixel has a gap, the area-weighted mean relative differences of a region add up to nothing."""
    ours = built.mart("fct_temporal_stability", "air_temperature").join(built.members, on=["region_id", "pixel_id"])
    sums = ours.group_by("region_id", "period_kind", "period_start").agg(
        total=(pl.col("mean_relative_difference") * pl.col("weight_km2")).sum(),
    )
    assert len(sums) == 5 * 13
    assert (sums["total"].abs() < 1e-12).all()


def test_rank_stability(built: Built, analysed: Analysed) -> None:
    ours = built.mart("fct_rank_stability", analysed.variable)
    theirs = reference.rank_stability(analysed.months, built.members, MAX_LAG)
    reference.assert_same(ours, theirs, ["region_id", "month_1", "month_2"])


def test_rank_stability_both_ways(built: Built) -> None:
    """Pairs of complete maps and pairs with gaps are ranked by different code; the data have both, and ties in both."""
    n = built.mart("fct_rank_stability", "soil_moisture").filter(pl.col("region_id") == "basin")["n"]
    assert n.min() < 24 and n.max() < 25
    complete = built.mart("fct_rank_stability", "precipitation").filter(pl.col("region_id") == "basin")
    assert complete["n"].unique().to_list() == [24]
    dry = complete.filter(pl.col("rho").is_null())
    assert len(dry) == 2 * MAX_LAG


def test_trends(built: Built, analysed: Analysed) -> None:
    ours = built.mart("fct_trends", analysed.variable)
    pixels = built.members["pixel_id"].unique()
    theirs = reference.trends(analysed.months.filter(pl.col("pixel_id").is_in(pixels.implode())), analysed.rules)
    if analysed.variable == "soil_moisture":
        every = {"significant drying", "significant wetting", "slight drying", "slight wetting", "stable"}
        assert set(theirs["trend_class"].drop_nulls()) == every
    reference.assert_same(ours, theirs, ["pixel_id", "time_step", "season"])
    assert ours.select("period_kind", "period_start", "period_end").unique().rows() == [("all", START, END)]


def test_trends_of_too_few_years_and_of_a_constant_pixel(built: Built) -> None:
    ours = built.mart("fct_trends", "soil_moisture").filter(
        (pl.col("time_step") == "year") & (pl.col("season") == "annual")
    )
    late = ours.filter(pl.col("pixel_id") == LATE)
    assert late["n_values"].item() == 5
    assert late.select("mk_s", "mk_p", "mk_p_adjusted", "sen_slope_per_year", "ols_p", "cv", "trend_class").row(0) == (
        (None,) * 7
    )
    constant = ours.filter(pl.col("pixel_id").is_in(CONSTANT))
    columns = (
        "mk_s",
        "mk_z",
        "mk_p",
        "tau_b",
        "sen_slope_per_year",
        "ols_slope_per_year",
        "ols_p",
        "cv",
        "trend_class",
    )
    assert constant.select(columns).rows() == [(0, 0.0, 1.0, None, 0.0, 0.0, 1.0, 0.0, "stable")] * 2


def test_labels_and_units(built: Built) -> None:
    for mart in ("fct_monthly_statistics", "fct_temporal_stability", "fct_trends"):
        found = built.house.query(f"select distinct study, variable, product, layer, unit from marts.{mart} order by 2")
        assert found.rows() == [
            ("generated", "air_temperature", "field", "surface", "degC"),
            ("generated", "precipitation", "rain", "surface", "mm"),
            ("generated", "soil_moisture", "field", "0-5 cm", "m3 m-3"),
        ]
