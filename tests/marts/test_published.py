"""fct_published_comparison: the paper's figures whole, ours found by mart, measure and keys."""

from __future__ import annotations

import csv
import math

import polars as pl
import pytest

from tests.marts.seasons import Ruled
from tests.warehouse import REPOSITORY


def seed() -> list[dict[str, str]]:
    with (REPOSITORY / "seeds" / "published_values.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def comparison(ruled: Ruled) -> pl.DataFrame:
    return ruled.house.query("select * from marts.fct_published_comparison")


def ours(comparison: pl.DataFrame, item: str, row_label: str) -> float | None:
    return comparison.row(by_predicate=(pl.col("item") == item) & (pl.col("row_label") == row_label), named=True)[
        "ours"
    ]


def test_every_figure_of_the_paper_and_no_other(comparison: pl.DataFrame) -> None:
    heihe = {(r["item"], r["row_label"]): float(r["published"]) for r in seed() if r["paper"] == "heihe"}
    found = {(i, r): v for i, r, v in comparison.select("item", "row_label", "published").rows()}
    assert found == heihe
    assert comparison["paper"].unique().to_list() == ["heihe"]
    assert (comparison["difference"] - (comparison["ours"] - comparison["published"])).abs().max() < 1e-15


def test_ours_are_what_the_marts_say(ruled: Ruled, comparison: pl.DataFrame) -> None:
    """Of the first series of the variable, of the region on top (or the one that the paper names), over all years."""
    where = "variable = 'soil_moisture' and region_id = 'basin'"
    low, high = ruled.house.query(
        f"select min(area_mean), max(area_mean) from marts.fct_monthly_statistics where {where}"
    ).row(0)
    assert (ours(comparison, "monthly mean", "lowest"), ours(comparison, "monthly mean", "highest")) == (low, high)
    models = ruled.house.query(f"""
        select month(month) as m, model, avg(nugget) as nugget, avg(sill) as sill, avg(max_lag_m) as lag, avg(range_effective_m) as reach
        from marts.fct_semivariogram_models where {where} and direction = 'all' and weighting = 'ols' group by all
    """)
    for month, name, model in ((1, "January", "linear"), (5, "May", "gaussian"), (10, "October", "exponential")):
        row = models.row(by_predicate=(pl.col("m") == month) & (pl.col("model") == model), named=True)
        label = f"{name}, {model}"
        assert ours(comparison, "Table 3, nugget", label) == pytest.approx(row["nugget"], rel=1e-12)
        assert ours(comparison, "Table 3, sill", label) == pytest.approx(row["sill"], rel=1e-12)
        reach = row["lag"] if model == "linear" else row["reach"]
        assert ours(comparison, "Table 3, effective range", label) == (
            None if reach is None else pytest.approx(reach, rel=1e-12)
        )
    (sd,) = ruled.house.query("""
        select max(sd) from marts.fct_temporal_stability
        where variable = 'soil_moisture' and region_id = 'upper' and period_kind = 'all'
    """).row(0)
    assert ours(comparison, "SD over the months", "upper reaches, highest") == sd
    used = comparison.filter(pl.col("ours").is_not_null())
    assert used.select("product", "layer").unique().rows() == [("field", "0-5 cm")]
    assert set(used["region_id"]) == {"basin", "upper"}


def test_what_the_study_does_not_compute_has_no_value(comparison: pl.DataFrame) -> None:
    assert ours(comparison, "q", "May, daytime land surface temperature") is None  # no drivers in this study
    assert ours(comparison, "SD over the months", "middle reaches, highest") is None  # no such region
    assert ours(comparison, "area", "basin") is None
    assert comparison["ours"].is_not_null().sum() > 70


def test_slips_are_flagged_with_their_reason(comparison: pl.DataFrame) -> None:
    slips = comparison.filter(~pl.col("is_consistent"))
    assert slips["note"].null_count() == 0
    ratio = comparison.filter(pl.col("item") == "Table 3, structural ratio")
    assert len(ratio) == 12 and not ratio["is_consistent"].any()
    assert comparison.filter(pl.col("item") == "Table 3, sill")["is_consistent"].sum() == 3  # the linear ones


def test_the_figures_agree_with_one_another() -> None:
    """Sums and ratios that the papers imply: a mistyped figure breaks one of them."""
    rows = {(r["paper"], r["item"], r["row_label"]): float(r["published"]) for r in seed()}

    def one(paper: str, item: str) -> dict[str, float]:
        return {label: value for (p, i, label), value in rows.items() if (p, i) == (paper, item)}

    for label, ratio in one("heihe", "Table 3, structural ratio").items():
        nugget, sill = (rows["heihe", f"Table 3, {part}", label] for part in ("nugget", "sill"))
        assert 1 - nugget / sill == pytest.approx(ratio, abs=0.004)
        if not label.endswith("linear"):
            reach = rows["heihe", "Table 3, effective range", label]
            times = {"spherical": 1, "exponential": 3, "gaussian": math.sqrt(3)}[label.split(", ")[1]]
            assert reach / times <= 611_001
    samples = one("anhui", "samples")
    assert samples.pop("all") == sum(samples.values())
    sites = one("anhui", "sites")
    assert sites.pop("all") == sum(sites.values()) == 87
    classes = one("anhui", "sites by class")
    assert sum(v for k, v in classes.items() if k.startswith("ubRMSE")) == 87
    assert classes["R above 0.6"] + classes["R 0.4 to 0.6"] + classes["R below 0.4"] == 87
    chosen = one("northern_china", "models chosen")
    windows = one("northern_china", "16-day windows")
    assert chosen["XGB"] + chosen["RF"] == chosen["all"] == windows["all"] - windows["without enough samples"]
    for paper, models in (("anhui", 4 * 5), ("northern_china", 6)):
        for part in ("test", "training"):
            assert len(one(paper, f"R, {part}")) == len(one(paper, f"RMSE, {part}")) == models


def test_without_a_paper_there_is_no_row(built) -> None:
    assert len(built.house.query("select * from marts.fct_published_comparison")) == 0
