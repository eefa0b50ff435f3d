"""The learned frameworks over a generated warehouse: what they recover of the planted field, which model is used where, and that nothing is
trained twice. What a single training gives is tested in tests/udfs/test_downscaling_training.py.
"""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta

import duckdb
import numpy as np
import polars as pl
import pytest

import udfs
from tests.marts.learned_world import BUILT, DAYS, FEATURES, FIRST, MIN_SAMPLES, N_COARSE, WATER, World, build_world
from udfs.downscaling.store import Store

LEARNED = ("best_16day", "mlr_16day", "stack_by_unit", "stack_whole")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return build_world(tmp_path_factory.mktemp("learned"))


@pytest.fixture(scope="module")
def errors(world: World) -> dict[str, dict[str, float]]:
    """RMSE and mean daily spatial correlation against the planted field, of each product and of the coarse one at 1 km."""
    daily = world.house.query(
        "select product, pixel_id, obs_date, daily.value as estimate from intermediate.int_learned_daily as daily"
        " join intermediate.int_series using (series_id)"
    )
    cell = pl.DataFrame({"pixel_id": range(world.cover.size)}).with_columns(
        cell=pl.col("pixel_id") // 40 // 5 * N_COARSE + pl.col("pixel_id") % 40 // 5
    )
    coarse = (
        world.coarse.rename({"pixel_id": "cell", "value": "estimate"})
        .join(cell, on="cell")
        .with_columns(product=pl.lit("coarse"))
    )
    days = [FIRST[kind] + timedelta(days=i) for kind in ("full", "second") for i in range(DAYS[kind])]
    both = pl.concat([daily, coarse.select(daily.columns)]).filter(pl.col("obs_date").is_in(days))
    both = both.join(world.truth, on=["pixel_id", "obs_date"])
    r = (
        both.group_by("product", "obs_date")
        .agg(r=pl.corr("estimate", "value"))
        .group_by("product")
        .agg(pl.col("r").mean())
    )
    found = (
        both.group_by("product")
        .agg(rmse=((pl.col("estimate") - pl.col("value")) ** 2).mean().sqrt())
        .join(r, on="product")
    )
    return {row["product"]: row for row in found.iter_rows(named=True)}


def test_the_products_recover_the_field_better_than_the_coarse_one(errors: dict[str, dict[str, float]]) -> None:
    assert set(errors) == {*LEARNED, "coarse"}
    coarse = errors["coarse"]
    assert errors["best_16day"]["rmse"] < 0.7 * coarse["rmse"] and errors["best_16day"]["r"] > coarse["r"] + 0.05
    assert errors["stack_whole"]["rmse"] < 0.85 * coarse["rmse"] and errors["stack_whole"]["r"] > coarse["r"] + 0.05
    assert errors["stack_by_unit"]["rmse"] < coarse["rmse"] and errors["stack_by_unit"]["r"] > coarse["r"] + 0.03
    # The planted field has an interaction, which a straight line cannot follow.
    assert errors["best_16day"]["rmse"] < 0.75 * errors["mlr_16day"]["rmse"]


def test_windows_without_samples_take_the_last_model_before_them(world: World) -> None:
    windows = world.house.query(
        "select * from marts.fct_downscaling_windows where product = 'best_16day' order by window_start"
    )
    assert windows["window_start"].to_list()[:5] == list(FIRST.values())
    assert windows["status"].to_list() == ["no_model", "trained", "fallback", "trained", "fallback", "fallback"]
    assert windows["reason"].to_list() == [
        "too_few_samples",
        None,
        "too_few_samples",
        None,
        "constant_target",
        "too_few_samples",
    ]
    n_cells = N_COARSE**2
    assert windows["n_valid"].to_list() == [
        0,
        DAYS["full"] * n_cells,
        n_cells,
        DAYS["second"] * n_cells,
        DAYS["flat"] * n_cells,
        0,
    ]
    assert n_cells < MIN_SAMPLES
    used = windows["model_id"].to_list()
    assert used[0] is None and used[2] == used[1] != used[3] and used[4] == used[5] == used[3]
    models = world.house.query(
        "select * from marts.fct_downscaling_models where framework = 'windows' order by window_start"
    )
    for (start,), rows in models.group_by("window_start"):
        chosen = rows.filter("is_selected")
        want = used[windows["window_start"].to_list().index(start)]
        assert chosen.height == (0 if want is None else 1)
        if want is not None:
            assert want in (chosen["model_id"][0], chosen["fallback_of"][0])


def test_the_best_is_the_one_with_the_smallest_mean_of_train_and_test_rmse(world: World) -> None:
    models = world.house.query(
        "select * from marts.fct_downscaling_models where framework = 'windows' and status = 'trained'"
    )
    assert models.height == 2 * 3
    for _, rows in models.group_by("window_start"):
        score = (rows["train_rmse"] + rows["test_rmse"]) / 2
        assert rows["is_selected"].to_list() == (score == score.min()).to_list()
        assert rows["selection_score"].to_list() == pytest.approx(score.to_list())


def test_a_day_is_estimated_by_its_windows_and_units_model(world: World) -> None:
    daily = world.house.query(
        "select product, daily.* from intermediate.int_learned_daily as daily join intermediate.int_series using (series_id)"
    )
    windows = world.house.query(
        "select product, region_id, window_start, window_end, model_id from marts.fct_downscaling_windows"
    )
    n_land = int((world.cover != WATER).sum())
    n_days = sum(DAYS.values())
    for product in LEARNED:
        mine = daily.filter(pl.col("product") == product)
        assert mine.height == n_land * (n_days - (DAYS["empty"] if product.endswith("16day") else 0))
        assert not mine["pixel_id"].is_in(np.flatnonzero(world.cover == WATER).tolist()).any()
        unit = pl.DataFrame({"pixel_id": np.arange(world.unit.size), "region_id": world.unit.astype(str)})
        if product != "stack_by_unit":
            unit = unit.with_columns(region_id=pl.lit("all"))
        used = mine.join(unit, on="pixel_id").join(windows, on=["product", "region_id"], suffix="_of_window")
        used = used.filter((pl.col("obs_date") >= pl.col("window_start")) & (pl.col("obs_date") < pl.col("window_end")))
        assert used.height == mine.height and (used["model_id"] == used["model_id_of_window"]).all()


def test_the_warehouse_predicts_what_its_model_predicts(world: World) -> None:
    """A model read back by hand, its columns made by hand, against the lake's rows."""
    store = Store(world.house.lake / "models")
    model_id = world.house.query("select model_id from marts.fct_downscaling_windows where product = 'stack_whole'")[
        0, 0
    ]
    kept = store.of_training(model_id)
    connection = duckdb.connect(str(world.house.database), read_only=True)
    udfs.register(connection)
    rows = connection.sql(
        "select f.features, d.value, d.lower, d.upper, d.is_extrapolated from intermediate.int_learned_daily d join intermediate.int_series using (series_id)"
        " join intermediate.int_downscaling_feature_daily f on f.pixel_id = d.pixel_id and f.obs_date = d.obs_date"
        " where product = 'stack_whole' and d.obs_date = date '2019-01-20'"
    ).pl()
    connection.close()
    x = np.array(rows["features"].to_list(), np.float32)
    cover = x[:, FEATURES.index("land_cover")]
    columns = [x[:, 0], x[:, 1], *(cover == code for code in sorted(set(cover.tolist()))), x[:, 3]]
    by_hand = kept.model.predict(np.ascontiguousarray(np.column_stack(columns), np.float32))
    assert rows["value"].to_list() == pytest.approx(by_hand.tolist(), rel=1e-12)
    width = world.house.query(
        "select interval_half_width_m3m3 from marts.fct_downscaling_models where model_id = ?", [model_id]
    )[0, 0]
    assert (rows["upper"] - rows["value"]).to_list() == pytest.approx([width] * rows.height)
    lower, upper = np.array(kept.design.lower, np.float32), np.array(kept.design.upper, np.float32)
    outside = ((x < lower) | (x > upper)).any(axis=1)
    assert rows["is_extrapolated"].to_list() == outside.tolist() and 0 < outside.sum() < outside.size


def test_shap_values_add_up_to_the_estimate(world: World) -> None:
    values = world.house.query("select * from marts.fct_shap_values where estimator = 'stack'")
    samples = world.house.query("select pixel_id, obs_date, features from intermediate.int_downscaling_sample")
    store = Store(world.house.lake / "models")
    for (model_id,), rows in values.group_by("model_id"):
        kept = store.of_training(model_id)
        wide = rows.pivot(on="feature", index=["sample_id", "pixel_id", "obs_date", "expected_m3m3"], values="shap")
        wide = wide.join(samples, on=["pixel_id", "obs_date"], how="left")
        total = wide["expected_m3m3"] + wide.select(pl.sum_horizontal(*FEATURES)).to_series()
        x = np.array(wide["features"].to_list(), np.float32)
        assert wide.height == 30
        assert total.to_list() == pytest.approx(kept.model.predict(kept.design.matrix(x)).tolist(), abs=2e-6)
        given = rows.filter(pl.col("feature") == "elevation").sort("sample_id")["feature_value"]
        assert given.to_list() == wide.sort("sample_id")["features"].list.get(0).to_list()


def test_importance_is_there_for_every_estimator(world: World) -> None:
    kinds = world.house.query(
        "select estimator, list(distinct importance_kind order by importance_kind) as kinds from marts.fct_feature_importance group by 1"
    )
    assert dict(kinds.iter_rows()) == {
        "mlr": ["permutation", "standardised_coefficient"],
        "rf": ["impurity", "permutation"],
        "xgb": ["gain", "mean_absolute_shap", "permutation"],
        "lightgbm": ["gain", "mean_absolute_shap", "permutation"],
        "catboost": ["mean_absolute_shap", "permutation", "prediction_values_change"],
        "stack": ["mean_absolute_shap", "permutation"],
    }
    summary = world.house.query("select * from marts.fct_feature_importance_summary")
    single = world.house.query(
        "select * from marts.fct_feature_importance where estimator = 'rf' and importance_kind = 'permutation'"
    )
    ours = summary.filter((pl.col("product") == "rf_16day") & (pl.col("importance_kind") == "permutation")).sort(
        "feature"
    )
    theirs = (
        single.group_by("feature")
        .agg(pl.len(), mean=pl.col("importance").mean(), sd=pl.col("importance").std())
        .sort("feature")
    )
    assert ours["n_models"].to_list() == theirs["len"].to_list() == [2] * len(FEATURES)
    assert ours["mean"].to_list() == pytest.approx(theirs["mean"].to_list())
    assert ours["sd"].to_list() == pytest.approx(theirs["sd"].to_list())


def test_a_second_build_trains_nothing_and_a_damaged_model_is_trained_again(world: World) -> None:
    """And a model that someone damaged comes back with the bytes its name says."""
    folder = world.house.lake / "models"
    victim = sorted(folder.glob("*.model"))[0]
    victim.write_bytes(victim.read_bytes()[:-1] + b"!")
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file() and path != victim}
    scores = world.house.query("select * from marts.fct_downscaling_models order by model_id")
    world.house.dbt(
        "run", "--select", *BUILT[1:], "int_downscaling_training", "int_downscaling_model", "int_downscaling_model_use"
    )
    assert hashlib.sha256(victim.read_bytes()).hexdigest() == victim.stem
    after = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file() and path != victim}
    # The record of the damaged model, and those of a stack that has it, are written again; nothing else is.
    changed = {path for path in before if before[path] != after.get(path)}
    of_victim = {path for path in changed if victim.stem in path.read_text(encoding="utf-8")}
    with_stack = {
        path for path in changed if json.loads(path.read_text(encoding="utf-8"))["result"]["estimator"] == "stack"
    }
    assert set(before) == set(after) and changed == of_victim | with_stack and 1 <= len(changed) <= 2
    assert world.house.query("select * from marts.fct_downscaling_models order by model_id").equals(scores)
