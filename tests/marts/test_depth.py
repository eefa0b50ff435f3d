"""Depth profiles and patterns over a generated warehouse against numpy and the definitions of METHODS, layer by layer."""

from __future__ import annotations

from datetime import date
from itertools import groupby

import duckdb
import numpy as np
import polars as pl
import pytest
from pymannkendall import original_test
from scipy.stats import theilslopes

from loaders.simulate import Truth, loads, simulate
from soilhouse import demo_results
from soilhouse.study import given_default_study
from tests.marts import real, soil_layers
from tests.marts.reference import assert_same
from tests.marts.soil_layers import COMPOSITE, END, LAYERS, MEMBERS, MIN_MONTHS_SHARE, MIN_VALID, PROFILE, START, Layers
from tests.marts.test_ssmi import SMALLEST, layer_pooled, of_members, pixel_month, state
from tests.warehouse import Warehouse

KEYS = ["region_id", "reference_kind", "reference_region_id", "period_kind", "period_start"]
ALPHA, EPSILON = 0.05, 0.01
PRODUCT = "basin_soil_moisture_layers"
ROUNDED = 0.003
"""Files hold soil moisture in steps of 1e-4; three values a calendar month scatter by 1e-2."""


@pytest.fixture(scope="module")
def built() -> Layers:
    return soil_layers.built()


def periods() -> list[tuple[str, date, date]]:
    years = [("year", max(START, date(y, 1, 1)), min(END, date(y + 1, 1, 1))) for y in range(START.year, END.year + 1)]
    return [("all", START, END), *years]


@pytest.fixture(scope="module")
def pixel_means(built) -> pl.DataFrame:
    """Mean index of each pixel in each layer of the profile, period and reference, with the regions it counts in."""
    own = pixel_month(of_members(built.months, built.members)).filter(pl.col("scale_months") == 1)
    own = own.select("layer", "pixel_id", "month", "ssmi", pl.lit("all").alias("reference_region_id"))
    pooled = layer_pooled(built.months, built.members).rename({"region_id": "reference_region_id"})
    months = pl.concat(
        [
            own.with_columns(reference_kind=pl.lit("pixel_month")),
            pooled.select(own.columns).with_columns(reference_kind=pl.lit("layer_pooled")),
        ]
    ).drop_nulls("ssmi")
    months = months.filter(pl.col("layer").is_in(PROFILE))
    parts = []
    for kind, start, end in periods():
        inside = months.filter((pl.col("month") >= start) & (pl.col("month") < end))
        means = inside.group_by("layer", "pixel_id", "reference_kind", "reference_region_id").agg(
            pl.col("ssmi").mean().clip(pl.col("ssmi").min(), pl.col("ssmi").max()), pl.len().alias("n_months")
        )
        if kind == "year":
            means = means.filter(pl.col("n_months") >= 12 * MIN_MONTHS_SHARE)
        parts.append(means.with_columns(period_kind=pl.lit(kind), period_start=pl.lit(start), period_end=pl.lit(end)))
    found = pl.concat(parts).join(built.members, on="pixel_id")
    return found.filter(
        (pl.col("reference_region_id") == "all") | (pl.col("reference_region_id") == pl.col("region_id"))
    )


def share(part: pl.DataFrame, wanted: str) -> float:
    states = [state(x) == wanted for x in part["ssmi"]]
    return float(part["weight_km2"].to_numpy() @ np.array(states) / part["weight_km2"].sum())


def profile(pixel_means: pl.DataFrame) -> pl.DataFrame:
    rows = []
    for keys, part in pixel_means.group_by("layer", *KEYS, "period_end"):
        mean = float(
            np.clip(np.average(part["ssmi"], weights=part["weight_km2"]), part["ssmi"].min(), part["ssmi"].max())
        )
        fractions = {f"fraction_{s}": share(part, s) for s in ("deficit", "surplus")}
        rows.append(
            dict(zip(["layer", *KEYS, "period_end"], keys, strict=True))
            | {"n_pixels": len(part), "mean_ssmi": mean, "state": state(mean), **fractions}
        )
    return pl.DataFrame(rows)


def trends(means: pl.DataFrame) -> pl.DataFrame:
    rows = []
    groups = ["layer", *KEYS[:3]]
    for keys, part in means.filter(pl.col("period_kind") == "year").group_by(groups):
        part = part.sort("period_start")
        row = dict(zip(groups, keys, strict=True)) | {"n_years": len(part)}
        row |= {"sen_slope_per_year": None, "mk_p": None, "trend_class": None}
        if len(part) >= MIN_VALID:
            years, values = part["period_start"].dt.year().to_numpy(), part["mean_ssmi"].to_numpy()
            slope, test = theilslopes(values, years).slope, original_test(values)
            is_significant = test.p < ALPHA
            words = f"{'significant' if is_significant else 'slight'} {'drying' if test.z < 0 else 'wetting'}"
            is_stable = test.z == 0 or (not is_significant and abs(slope) < EPSILON)
            row |= {"sen_slope_per_year": slope, "mk_p": test.p, "trend_class": "stable" if is_stable else words}
        rows.append(row)
    return pl.DataFrame(rows, infer_schema_length=None)


def test_the_layers_of_a_profile_do_not_overlap(built):
    ours = built.house.query(
        "select distinct layer, depth_order, layer_top_cm, layer_bottom_cm from marts.fct_depth_profile"
    ).sort("depth_order")
    assert ours.rows() == [
        ("0-10 cm", 1, 0, 10),
        (COMPOSITE, 2, 10, 40),
        ("40-50 cm", 3, 40, 50),
        ("50-100 cm", 4, 50, 100),
    ]
    assert not set(ours["layer"]) & set(MEMBERS) and set(MEMBERS) < set(LAYERS)


def test_depth_profile(built, pixel_means):
    ours = built.house.query("select * from marts.fct_depth_profile")
    theirs = profile(pixel_means)
    # A mean that is 0 by construction is rounding here and there: not compared by its digits.
    is_zero = pl.col("mean_ssmi").abs() < SMALLEST
    zero = theirs.filter(is_zero)
    assert len(zero) == len(ours.filter(is_zero)) == ours["state"].null_count()
    keys = ["layer", *KEYS]
    without_trend = theirs.columns
    assert_same(ours.filter(~is_zero).select(without_trend), theirs.filter(~is_zero), keys)
    assert set(theirs["reference_kind"]) == {"pixel_month", "layer_pooled"}
    assert set(theirs["period_kind"]) == {"all", "year"}


def test_depth_trends(built, pixel_means):
    ours = built.house.query("select * from marts.fct_depth_profile where period_kind = 'all'")
    theirs = trends(profile(pixel_means))
    assert theirs["trend_class"].n_unique() >= 3
    columns = ["layer", *KEYS[:3]]
    loose = {"mk_p": 1e-9, "sen_slope_per_year": 1e-8}
    assert_same(ours.select(theirs.columns), theirs, columns, loose)


def test_a_region_against_itself_over_its_reference_has_no_state(built):
    """The generated reference is part of the study; with the whole study as reference the mean of a pixel would be 0."""
    rows = built.house.query(
        "select region_id, state from marts.fct_depth_profile where region_id = 'point' and period_kind = 'all'"
        " and reference_kind = 'layer_pooled' and reference_region_id = 'all'"
    )
    assert rows["state"].null_count() == 0


def patterns(pixel_means: pl.DataFrame) -> pl.DataFrame:
    means = profile(pixel_means)
    rows = []
    for keys, part in means.group_by(KEYS):
        states = dict(part.select("layer", "state").iter_rows())
        row = dict(zip(KEYS, keys, strict=True)) | dict.fromkeys(
            ("pattern", "pattern_by_layer", "least_fraction", "fraction_of_area")
        )
        if set(states) == set(PROFILE) and None not in states.values():
            signs = [states[layer] for layer in PROFILE]
            shares = [part.filter(pl.col("layer") == layer)[f"fraction_{states[layer]}"].item() for layer in PROFILE]
            matching = pl.all_horizontal(*(pl.col(k) == v for k, v in zip(KEYS, keys, strict=True)))
            agreeing, complete = 0.0, 0.0
            for _, pixel in pixel_means.filter(matching).group_by("pixel_id"):
                if len(pixel) == len(PROFILE):
                    own = {layer: state(x) for layer, x in pixel.select("layer", "ssmi").iter_rows()}
                    weight = pixel["weight_km2"][0]
                    complete += weight
                    agreeing += weight * (own == states)
            row |= {
                "pattern": ">".join(sign for sign, _ in groupby(signs)),
                "pattern_by_layer": ">".join(signs),
                "least_fraction": min(shares),
                "fraction_of_area": agreeing / complete,
            }
        rows.append(row)
    found = pl.DataFrame(rows, infer_schema_length=None)
    known = {
        (*keys[:3], keys[4].year): pattern
        for *keys, pattern in found.filter(pl.col("period_kind") == "year").select(*KEYS, "pattern").iter_rows()
    }
    previous = [
        known.get((*keys[:3], keys[4].year - 1)) if keys[3] == "year" else None
        for keys in found.select(KEYS).iter_rows()
    ]
    changed = [None if p is None or q is None else p != q for p, q in zip(previous, found["pattern"], strict=True)]
    return found.with_columns(
        previous_pattern=pl.Series(previous, dtype=pl.String), is_changed=pl.Series(changed, dtype=pl.Boolean)
    )


def test_depth_pattern(built, pixel_means):
    ours = built.house.query("select * from marts.fct_depth_pattern")
    theirs = patterns(pixel_means)
    assert theirs["pattern"].n_unique() > 4 and theirs["is_changed"].n_unique() == 3
    assert_same(ours, theirs, KEYS)
    assert ours["n_layers"].unique().to_list() == [len(PROFILE)]


@pytest.fixture(scope="module")
def basin(tmp_path_factory) -> tuple[Warehouse, Truth]:
    """The layers of the simulated basin: its files, loaded by the command line, built as the demo's study builds them."""
    root = tmp_path_factory.mktemp("basin")
    truth = simulate(root / "files")
    for load in loads(root / "files"):
        if (load.as_name or load.product) in ("basin", PRODUCT):
            real.load(root, *load.arguments()[1:])
    study = given_default_study()
    series = [entry for entry in study["series"] if entry["product"] == PRODUCT]
    house = Warehouse(root, {**study, "series": series, "stations": [], "groups": ["trends"], "factors": []})
    marts = (f"+{mart}" for mart in soil_layers.MARTS)
    house.dbt("build", "--select", *marts, "--exclude-resource-type", "unit_test")
    return house, truth


def test_the_planted_patterns_are_found(basin):
    house, truth = basin
    rows = house.query(
        "select region_id, year(period_start) as year, pattern, previous_pattern, is_changed from marts.fct_depth_pattern"
        " where reference_kind = 'pixel_month' and period_kind = 'year'"
    )
    found = {(region, str(year)): rest for region, year, *rest in rows.iter_rows()}
    assert len(found) == 4 * 3
    for reach, years in truth.depth["planted_pattern"].items():
        for year, pattern in years.items():
            assert found[reach, year][0] == pattern
        first, second, third = (years[year] for year in sorted(years))
        assert found[reach, "2018"][1:] == [None, None]
        assert found[reach, "2019"][1:] == [first, first != second]
        assert found[reach, "2020"][1:] == [second, second != third]


def test_the_mean_index_of_each_layer_is_that_of_the_truth(basin):
    house, truth = basin
    rows = house.query(
        "select * from marts.fct_depth_profile"
        " where (reference_kind = 'pixel_month' and period_kind = 'year')"
        " or (reference_kind = 'layer_pooled' and period_kind = 'all' and reference_region_id = 'basin' and region_id <> 'basin')"
    )
    compared = 0
    for row in rows.iter_rows(named=True):
        period = str(row["period_start"].year) if row["period_kind"] == "year" else "all"
        expected = truth.depth["expected_mean_ssmi"][row["region_id"]][period][row["depth_order"] - 1]
        assert row["layer"] == truth.depth["profile"][row["depth_order"] - 1]
        assert row["mean_ssmi"] == pytest.approx(expected, abs=ROUNDED)
        assert row["state"] == ("deficit" if expected < 0 else "surplus")
        assert row["n_pixels"] == truth.regions[row["region_id"]]["n_pixels"]
        compared += 1
    assert compared == (4 * 3 + 3) * 4


def test_the_reaches_against_the_basin_show_the_planted_offsets(basin):
    house, truth = basin
    rows = house.query(
        "select region_id, pattern from marts.fct_depth_pattern where reference_kind = 'layer_pooled'"
        " and reference_region_id = 'basin' and period_kind = 'all'"
    )
    found = dict(rows.iter_rows())
    # Against itself the basin's mean is 0 by construction, and 0 is no state.
    assert found == {**truth.depth["planted_offset_pattern"], "basin": None}


def test_drought_area_of_the_odd_year(basin):
    """The upper reach at 0-10 cm: 2019 is planted two steps below, so nearly all of it is at -1.15 in every month."""
    house, _ = basin
    rows = house.query(
        "select month, sum(area_fraction) as fraction from marts.fct_drought_area"
        " where region_id = 'upper' and layer = '0-10 cm' and scale_months = 1 and class_order <= -2 group by month"
    )
    by_year = rows.group_by(pl.col("month").dt.year()).agg(pl.col("fraction").mean())
    found = dict(by_year.iter_rows())
    assert found[2019] > 0.8 and found[2018] < 0.1 and found[2020] < 0.1


def test_what_the_demo_shows_of_it(basin):
    house, truth = basin
    shown = [result for result in demo_results.RESULTS if "basin_soil_moisture_layers" in result.sql]
    assert len(shown) == 2
    with duckdb.connect(str(house.database), read_only=True) as connection:
        patterns, numbers = (demo_results.rows_of(connection, result) for result in shown)
    for row in patterns:
        beside = shown[0].beside(row, truth)
        assert row["pattern"] == beside["expected pattern"]
        assert beside["planted pattern"] in (row["pattern"], "mixed")
    for row in numbers:
        assert row["mean_ssmi"] == pytest.approx(shown[1].beside(row, truth)["expected mean"], abs=ROUNDED)
    assert (len(patterns), len(numbers)) == (12, 12)
