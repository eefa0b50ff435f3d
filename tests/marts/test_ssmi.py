"""The standardised index and the drought areas over a generated warehouse, every column against numpy and scipy written out."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import numpy as np
import polars as pl
import pytest
from scipy.stats import norm

from tests.marts import soil_layers
from tests.marts.reference import assert_same
from tests.marts.soil_layers import (
    COMPOSITE,
    CONSTANT,
    END,
    LAYERS,
    MEMBERS,
    MIN_YEARS,
    REFERENCE,
    SCALES,
    START,
    Layers,
)
from tests.warehouse import Warehouse, small_grid

SMALLEST = 1e-6
CLASSES = (
    "extreme drought",
    "severe drought",
    "moderate drought",
    "mild drought",
    "neither",
    "mildly wet",
    "moderately wet",
    "very wet",
    "extremely wet",
)


@pytest.fixture(scope="module")
def built() -> Layers:
    return soil_layers.built()


def state(value: float | None) -> str | None:
    if value is None or abs(value) < SMALLEST:
        return None
    return "deficit" if value < 0 else "surplus"


def pixel_month(months: pl.DataFrame) -> pl.DataFrame:
    """The index of every series, pixel, scale and month, from its definition; `layer`, `pixel_id`, `scale_months`, `month`, ..."""
    rows = []
    for (layer, pixel), part in months.group_by("layer", "pixel_id"):
        known = {12 * m.year + m.month - 1: v for m, v in part.select("month", "value").iter_rows()}
        for scale in SCALES:
            means = {
                t: float(np.mean([known[t - k] for k in range(scale)]))
                for t in known
                if all(t - k in known for k in range(scale))
            }
            for t, x in means.items():
                rows.append((layer, pixel, scale, date(t // 12, t % 12 + 1, 1), *_against(means, t, x)))
    schema = ["layer", "pixel_id", "scale_months", "month", "ssmi", "ssmi_empirical", "n_reference"]
    return pl.DataFrame(rows, schema=schema, orient="row", infer_schema_length=None)


def _against(means: dict[int, float], t: int, x: float) -> tuple[float | None, float | None, int]:
    first, after = (12 * day.year + day.month - 1 for day in REFERENCE)
    known = np.array([v for s, v in means.items() if s % 12 == t % 12 and first <= s < after])
    if known.size < MIN_YEARS or np.ptp(known) <= 1e-12 * known.max():
        return None, None, known.size
    rank = np.clip((np.sum(known < x) + np.sum(known <= x) + 1) / 2, 1, known.size)
    z = (x - known.mean()) / known.std(ddof=1)
    return float(z), float(norm.ppf((rank - 0.44) / (known.size + 0.12))), known.size


def pools(members: pl.DataFrame) -> pl.DataFrame:
    """No region holds every pixel, so that the whole study is a reference of its own."""
    whole = members.select(pl.lit("all").alias("region_id"), "pixel_id").unique()
    assert members.group_by("region_id").len()["len"].max() < len(whole)
    return pl.concat([members.select("region_id", "pixel_id"), whole])


def layer_pooled(months: pl.DataFrame, members: pl.DataFrame) -> pl.DataFrame:
    inside = months.join(pools(members), on="pixel_id")
    parts = []
    for _, part in inside.group_by("layer", "region_id"):
        known = part.filter((pl.col("month") >= REFERENCE[0]) & (pl.col("month") < REFERENCE[1]))["value"].to_numpy()
        is_flat = np.ptp(known) == 0
        ssmi = pl.lit(None, pl.Float64) if is_flat else (pl.col("value") - known.mean()) / known.std(ddof=1)
        parts.append(part.with_columns(ssmi=ssmi, n_reference=pl.lit(known.size, pl.Int64)))
    return pl.concat(parts)


def of_members(months: pl.DataFrame, members: pl.DataFrame) -> pl.DataFrame:
    return months.join(members.select("pixel_id").unique(), on="pixel_id")


def test_composites_are_thickness_weighted_where_all_layers_have_the_month(built):
    ours = built.house.query("select * from marts.fct_pixel_monthly where variable = 'soil_moisture'")
    theirs = of_members(built.months, built.members)
    assert_same(ours, theirs, ["layer", "pixel_id", "month"])
    composite = ours.filter(pl.col("layer") == COMPOSITE)
    assert composite.select("min", "max", "sd", "total").null_count().row(0) == (len(composite),) * 4
    assert composite["is_covered"].all() and composite["unit"].unique().to_list() == ["m3 m-3"]
    months_of = {layer: len(theirs.filter(pl.col("layer") == layer)) for layer in (COMPOSITE, *MEMBERS)}
    assert months_of[COMPOSITE] < min(months_of[layer] for layer in MEMBERS)
    limits = built.house.query("select layer_top_cm, layer_bottom_cm from marts.dim_layer where layer = ?", [COMPOSITE])
    assert limits.rows() == [(10.0, 40.0)]


def test_pixel_month(built):
    ours = built.house.query("select * from marts.fct_ssmi_monthly where reference_kind = 'pixel_month'")
    theirs = pixel_month(of_members(built.months, built.members)).with_columns(
        region_id=pl.lit("all"), state=pl.col("ssmi").map_elements(state, pl.String, skip_nulls=False)
    )
    assert theirs["ssmi"].null_count() > 0 and set(theirs["layer"]) == {*LAYERS, COMPOSITE}
    assert theirs.filter(pl.col("month") < REFERENCE[0])["ssmi"].drop_nulls().len() > 0
    assert_same(ours, theirs, ["layer", "pixel_id", "scale_months", "month"])


def test_a_constant_pixel_has_no_index_and_no_state(built):
    ours = built.house.query("select * from marts.fct_ssmi_monthly where pixel_id = ?", [CONSTANT])
    own = ours.filter((pl.col("reference_kind") == "pixel_month") | (pl.col("region_id") == "flat"))
    assert len(own) > 1000 and own.select("ssmi", "state").null_count().row(0) == (len(own),) * 2
    against_all = ours.filter((pl.col("reference_kind") == "layer_pooled") & (pl.col("region_id") == "all"))
    assert against_all["ssmi"].null_count() == 0


def test_layer_pooled(built):
    ours = built.house.query("select * from marts.fct_ssmi_monthly where reference_kind = 'layer_pooled'")
    theirs = layer_pooled(built.months, built.members).select(
        "layer",
        "region_id",
        "pixel_id",
        "month",
        "ssmi",
        "n_reference",
        ssmi_empirical=pl.lit(None, pl.Float64),
        scale_months=pl.lit(1, pl.Int32),
        state=pl.col("ssmi").map_elements(state, pl.String, skip_nulls=False),
    )
    assert_same(ours, theirs, ["layer", "region_id", "pixel_id", "month"])


def class_of(index: float) -> str:
    """McKee's classes by their names; the limit belongs to the class farther from 0."""
    size = abs(index)
    if size < SMALLEST:
        return "neither"
    place = 4 - (size < 2) - (size < 1.5) - (size < 1)
    return CLASSES[4 - place if index < 0 else 4 + place]


def drought_area(months: pl.DataFrame, members: pl.DataFrame) -> Iterator[dict]:
    inside = pixel_month(months).drop_nulls("ssmi").join(members, on="pixel_id")
    keys = ["layer", "region_id", "scale_months", "month"]
    for values, part in inside.group_by(keys):
        weight = part["weight_km2"].to_numpy()
        by = {
            column: np.array([class_of(x) for x in part[column]], dtype=object) for column in ("ssmi", "ssmi_empirical")
        }
        for name in CLASSES:
            yield dict(zip(keys, values, strict=True)) | {
                "class": name,
                "class_order": CLASSES.index(name) - 4,
                "area_km2": float(weight[by["ssmi"] == name].sum()),
                "area_fraction": float(weight[by["ssmi"] == name].sum() / weight.sum()),
                "area_fraction_empirical": float(weight[by["ssmi_empirical"] == name].sum() / weight.sum()),
                "n_reference": int(part["n_reference"].min()),
            }


def test_drought_area(built):
    ours = built.house.query("select * from marts.fct_drought_area")
    theirs = pl.DataFrame(list(drought_area(built.months, built.members)))
    assert set(theirs.filter(pl.col("area_km2") > 0)["class"]) == set(CLASSES)
    # By rank eight years reach 1.48 and no farther.
    assert set(theirs.filter(pl.col("area_fraction_empirical") > 0)["class"]) == set(CLASSES[2:7])
    assert_same(ours, theirs, ["layer", "region_id", "scale_months", "month", "class"])
    assert ours["reference_kind"].unique().to_list() == ["pixel_month"]


def test_every_class_has_a_row_and_the_classes_add_up(built):
    sums = built.house.query(
        """
        select count(*) as n, sum(area_fraction) as z, sum(area_fraction_empirical) as empirical, sum(area_km2) as area
        from marts.fct_drought_area group by product, layer, region_id, month, scale_months
        """
    )
    assert sums["n"].unique().to_list() == [9]
    for column in ("z", "empirical"):
        assert sums[column].to_numpy() == pytest.approx(1, abs=1e-12)


def test_study_and_period(built):
    labels = built.house.query("select distinct study, product, grid_id from marts.fct_ssmi_monthly")
    assert labels.rows() == [("layers", "deep", "g")]
    first, last = built.house.query("select min(month), max(month) from marts.fct_ssmi_monthly").row(0)
    assert first == START and last == date(END.year, END.month - 1, 1)


def test_one_year_has_no_normal(tmp_path):
    """A single year has one value a calendar month: rows are there and say so, and hold neither index nor state nor class."""
    house = Warehouse(tmp_path)
    house.grid("g", small_grid(2, 2))
    months = pl.DataFrame(
        {"obs_date": pl.date_range(date(2015, 4, 1), date(2016, 4, 1), "1mo", closed="left", eager=True)}
    )
    rows = pl.DataFrame({"pixel_id": pl.Series(range(4), dtype=pl.Int32)}).join(months, how="cross")
    rng = np.random.default_rng(1)
    house.product("p", "g", rows.with_columns(sm=pl.Series(rng.random(48))), time_step="month")
    house.study = {
        "name": "year",
        "groups": ["trends"],
        "period": {"start": "2015-04-01", "end": "2016-04-01"},
        "series": [
            {"variable": "soil_moisture", "product": "p", "layer": "0-5 cm", "column": "sm"},
            {"variable": "soil_moisture", "product": "p", "layer": "5-10 cm", "column": "sm"},
        ],
    }
    house.dbt("build", "--select", *(f"+{mart}" for mart in soil_layers.MARTS), "--exclude-resource-type", "unit_test")
    ssmi = house.query("select * from marts.fct_ssmi_monthly")
    kinds = (
        ssmi.group_by("reference_kind", "scale_months")
        .agg(pl.len(), pl.col("n_reference").max())
        .sort("reference_kind", "scale_months")
    )
    assert kinds.rows() == [
        ("layer_pooled", 1, 96, 48),
        ("pixel_month", 1, 96, 1),
        ("pixel_month", 3, 80, 1),
        ("pixel_month", 6, 56, 1),
    ]
    assert ssmi.select("ssmi", "ssmi_empirical", "state").null_count().row(0) == (len(ssmi),) * 3
    for mart in ("fct_drought_area", "fct_depth_profile", "fct_depth_pattern"):
        assert house.query(f"select count(*) from marts.{mart}").item() == 0
