"""train_downscaler: the steps of a training against the libraries called directly, what it must not see, and when it must give nothing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import ks_2samp
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression
from sklearn.neural_network import MLPRegressor
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVR
from xgboost import XGBRegressor

from tests.udfs.downscaling_arrays import COVERS, NAMES, SMALL, Samples, generated, settings, settings_text, train
from udfs.downscaling import estimators, training
from udfs.downscaling.kernels import TRAINED, train_downscaler
from udfs.downscaling.samples import SAMPLES
from udfs.downscaling.splits import group_folds, row_folds, split, time_folds
from udfs.downscaling.store import Store

EVERY = ("mlr", "svr", "ann", "rf", "xgb", "lightgbm", "catboost")
LISTS = ("importance", "shap")


@pytest.fixture(scope="module")
def samples() -> Samples:
    return generated()


@pytest.fixture(scope="module")
def trained(samples: Samples, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:
    """Every estimator once, without a refit, so that the kept model is the scored one; `store` is where."""
    store = tmp_path_factory.mktemp("models")
    return train(samples.list_array(), store, estimators=EVERY, shap_samples=25) | {"store": store}


def parts_of(samples: Samples):
    rows = samples.rows
    return rows, split(rows.target, rows.obs_day, 0.2, 0.5, 0.05, 50, 1)


def by_hand(features: np.ndarray) -> np.ndarray:
    hot = OneHotEncoder(categories=[list(COVERS)], sparse_output=False).fit_transform(features[:, -1:])
    return np.column_stack([features[:, :-1], hot]).astype(np.float32)


def test_scores_are_those_of_the_libraries_called_directly(samples: Samples, trained: dict[str, dict]) -> None:
    rows, drawn = parts_of(samples)
    x, y = by_hand(rows.features), rows.target
    at = drawn.train
    scale, mean, sd = StandardScaler().fit(x[at].astype(np.float64)), y[at].mean(), y[at].std()
    z, t = scale.transform(x.astype(np.float64)), (y - mean) / sd
    one = {name: {k: v[0] for k, v in grid.items()} for name, grid in SMALL.items()}
    direct = {
        "mlr": LinearRegression().fit(x[at].astype(np.float64), y[at]).predict(x.astype(np.float64)),
        "svr": mean + sd * SVR(**one["svr"]).fit(z[at], t[at]).predict(z),
        "ann": mean + sd * MLPRegressor(random_state=1, **one["ann"]).fit(z[at], t[at]).predict(z),
        "rf": RandomForestRegressor(random_state=1, **one["rf"]).fit(x[at], y[at]).predict(x),
        "xgb": XGBRegressor(random_state=1, n_jobs=1, tree_method="hist", **one["xgb"]).fit(x[at], y[at]).predict(x),
    }
    for name, predicted in direct.items():
        for part, places in (("train", drawn.train), ("test", drawn.test), ("outer", drawn.outer)):
            want = np.sqrt(np.mean((predicted[places] - y[places]) ** 2))
            assert trained[name][f"{part}_rmse"] == pytest.approx(want, rel=2e-3 if name == "ann" else 1e-6), name
            r = np.corrcoef(predicted[places], y[places])[0, 1]
            assert trained[name][f"{part}_r"] == pytest.approx(r, abs=1e-3 if name == "ann" else 1e-6)
        assert trained[name]["n_train"] == drawn.train.size and trained[name]["n_outer"] == drawn.outer.size


def test_scores_that_leave_out_blocks_and_times(samples: Samples, trained: dict[str, dict]) -> None:
    """Of mlr, with sklearn and the folds written out; every fold is left out whole."""
    rows, drawn = parts_of(samples)
    x, y = by_hand(rows.features).astype(np.float64), rows.target
    inner = np.sort(np.concatenate([drawn.train, drawn.test]))
    for score, folds, groups in (
        ("spatial_cv_rmse", group_folds(rows.block_id[inner], 4), rows.block_id[inner]),
        ("temporal_cv_rmse", time_folds(rows.obs_day[inner], 4), rows.obs_day[inner]),
    ):
        assert len(np.unique(folds)) == 4
        assert all(len(np.unique(folds[groups == group])) == 1 for group in np.unique(groups))
        predicted = np.empty(inner.size)
        for fold in range(4):
            out = folds == fold
            predicted[out] = LinearRegression().fit(x[inner[~out]], y[inner[~out]]).predict(x[inner[out]])
        want = np.sqrt(np.mean((predicted - y[inner]) ** 2))
        assert trained["mlr"][score] == pytest.approx(want, rel=1e-6)


def test_stretches_of_time_are_stretches() -> None:
    days = np.repeat([20200128, 20200129, 20200201, 20200202, 20200203], [3, 1, 9, 2, 2])
    folds = time_folds(days, 3)
    assert (np.diff(folds) >= 0).all() and set(folds) == set(range(folds.max() + 1)) and folds.max() >= 1


@pytest.mark.parametrize("name", EVERY)
def test_an_honest_model_finds_the_function_and_not_more(name: str, trained: dict[str, dict]) -> None:
    """The noise has a standard deviation of 0.005, the target one of 0.037; a straight line misses the interaction."""
    found = trained[name]
    assert 0.004 < found["outer_rmse"] < {"mlr": 0.036, "rf": 0.03, "svr": 0.02, "ann": 0.02}.get(name, 0.027)
    assert found["status"] == "trained" and found["n_valid"] == 480


def test_a_shuffled_target_gives_no_skill(samples: Samples, tmp_path: Path) -> None:
    shuffled = np.random.default_rng(3).permutation(samples.target)
    of_nothing = Samples(samples.pixel_id, samples.obs_day, shuffled, samples.block_id, samples.features)
    for found in train(of_nothing.list_array(), tmp_path, estimators=["mlr", "rf", "xgb"]).values():
        assert found["outer_r"] < 0.25 and found["outer_rmse"] > 0.95 * samples.target.std()
        assert found["spatial_cv_rmse"] > 0.95 * samples.target.std()


def test_blocks_left_out_tell_what_random_halves_hide(tmp_path: Path) -> None:
    """A target that is a number a block, and a feature that only names the block: halves that share blocks see no error."""
    rng = np.random.default_rng(2)
    n = 400
    block = np.repeat(np.arange(20), 20)
    features = np.zeros((n, len(NAMES)), np.float32)
    features[:, 0], features[:, -1] = rng.permutation(20)[block], 1
    given = Samples(
        np.arange(n),
        np.full(n, 20200101) + np.arange(n) % 10,
        0.25 + 0.05 * rng.normal(size=20)[block],
        block,
        features,
    )
    found = train(given.list_array(), tmp_path, estimators=["xgb"])["xgb"]
    assert found["test_rmse"] < 0.01 and found["outer_rmse"] < 0.01 and found["spatial_cv_rmse"] > 0.03
    assert found["outer_coverage"] > 0.8 and found["spatial_coverage"] < 0.5


def test_the_outer_fold_touches_neither_fit_nor_choice(samples: Samples, tmp_path: Path) -> None:
    """Its targets are replaced by nonsense: nothing but its own scores may change."""
    rows, drawn = parts_of(samples)
    target = rows.target.copy()
    target[drawn.outer] = 9.0
    spoilt = Samples(rows.pixel_id, rows.obs_day, target, rows.block_id, rows.features)
    grids = {"xgb": {"n_estimators": [20, 40], "max_depth": [3]}, "rf": SMALL["rf"]}
    options = {"estimators": ["rf", "xgb"], "hyperparameters": grids, "combine": "stack"}
    clean, found = (
        train(samples.list_array(), tmp_path / "a", **options),
        train(spoilt.list_array(), tmp_path / "b", **options),
    )
    for name in ("rf", "xgb", "stack"):
        of_outer = {"model_id", "outer_rmse", "outer_r", "outer_coverage"}
        assert {k: v for k, v in clean[name].items() if k not in of_outer} == {
            k: v for k, v in found[name].items() if k not in of_outer
        }
        assert found[name]["outer_rmse"] > 8


def test_the_hyperparameters_are_those_with_the_smallest_cross_validated_error(
    samples: Samples, tmp_path: Path
) -> None:
    grid = {"n_estimators": [5, 60], "max_depth": [1, 4], "learning_rate": [0.2]}
    found = train(samples.list_array(), tmp_path, estimators=["xgb"], hyperparameters={"xgb": grid})["xgb"]
    rows, drawn = parts_of(samples)
    x, y = by_hand(rows.features)[drawn.train], rows.target[drawn.train]
    folds = row_folds(y.size, 4, 1)
    errors = {}
    for n in grid["n_estimators"]:
        for depth in grid["max_depth"]:
            predicted = np.empty(y.size)
            for fold in range(4):
                out = folds == fold
                model = XGBRegressor(
                    n_estimators=n, max_depth=depth, learning_rate=0.2, random_state=1, n_jobs=1, tree_method="hist"
                )
                predicted[out] = model.fit(x[~out], y[~out]).predict(x[out])
            errors[n, depth] = np.mean((predicted - y) ** 2)
    n, depth = min(errors, key=errors.get)
    assert json.loads(found["hyperparameters"]) == {"n_estimators": n, "max_depth": depth, "learning_rate": 0.2}
    assert (n, depth) == (60, 4)


def test_a_stack_is_a_second_level_on_predictions_of_unseen_folds(samples: Samples, tmp_path: Path) -> None:
    found = train(samples.list_array(), tmp_path, estimators=["rf", "xgb"], combine="stack")
    rows, drawn = parts_of(samples)
    x, y = by_hand(rows.features), rows.target
    folds, at = row_folds(drawn.train.size, 4, 1), drawn.train

    def make(name):
        one = {k: v[0] for k, v in SMALL[name].items()}
        return (
            RandomForestRegressor(random_state=1, **one)
            if name == "rf"
            else XGBRegressor(random_state=1, n_jobs=1, tree_method="hist", **one)
        )

    unseen = np.empty((at.size, 2))
    for j, name in enumerate(("rf", "xgb")):
        for fold in range(4):
            out = folds == fold
            unseen[out, j] = make(name).fit(x[at[~out]], y[at[~out]]).predict(x[at[out]])
    second = LinearRegression(positive=True).fit(unseen, y[at])
    chosen = json.loads(found["stack"]["hyperparameters"])
    assert list(chosen["weights"].values()) == pytest.approx(second.coef_, rel=1e-6)
    assert chosen["intercept"] == pytest.approx(second.intercept_, rel=1e-6)
    level_one = np.column_stack([make(name).fit(x[at], y[at]).predict(x[drawn.test]) for name in ("rf", "xgb")])
    assert found["stack"]["test_rmse"] == pytest.approx(
        np.sqrt(np.mean((second.predict(level_one) - y[drawn.test]) ** 2)), rel=1e-6
    )
    # On predictions of rows that it was fitted on, a member that learns by heart would take all the weight.
    assert sum(chosen["weights"].values()) == pytest.approx(1, abs=0.3)


def test_train_and_test_are_drawn_until_their_targets_agree() -> None:
    rng = np.random.default_rng(5)
    target, days = rng.normal(size=60), np.repeat(np.arange(6), 10)
    drawn = split(target, days, 0.2, 0.5, 0.9, 200, 1)
    assert drawn.n_draws > 1 and drawn.ks_p > 0.9
    assert drawn.ks_p == pytest.approx(ks_2samp(target[drawn.train], target[drawn.test], method="asymp").pvalue)
    everything = np.sort(np.concatenate([drawn.outer, drawn.train, drawn.test]))
    assert everything.tolist() == list(range(60))
    for part, share in ((drawn.outer, 2), (drawn.train, 4), (drawn.test, 4)):
        assert np.bincount(days[part], minlength=6).tolist() == [share] * 6
    # Where no draw is good enough the best of those that were allowed stands.
    hopeless = split(target, days, 0.2, 0.5, 0.9999999, 7, 1)
    assert hopeless.n_draws == 7 and 0 < hopeless.ks_p < 1


def test_the_interval_is_split_conformal(samples: Samples, trained: dict[str, dict]) -> None:
    store = Store(trained["store"])
    rows, drawn = parts_of(samples)
    for name in EVERY:
        found = trained[name]
        kept = store.model(found["artifact_sha256"])
        residual = np.abs(rows.target - kept.model.predict(kept.design.matrix(rows.features)))
        n = drawn.test.size
        want = np.sort(residual[drawn.test])[int(np.ceil((n + 1) * 0.9)) - 1]
        assert found["interval_half_width"] == pytest.approx(want, rel=1e-9)
        assert found["outer_coverage"] == pytest.approx(np.mean(residual[drawn.outer] <= want))
        assert 0.75 < found["outer_coverage"] <= 1


def test_rows_in_any_order_give_the_same_file_and_nothing_is_trained_twice(
    samples: Samples, tmp_path: Path, monkeypatch
) -> None:
    fits = []
    fit = estimators.fit
    monkeypatch.setattr(estimators, "fit", lambda name, *rest: fits.append(name) or fit(name, *rest))
    options = {"estimators": EVERY, "combine": "stack", "refit": True, "folds": 2, "shap_samples": 5}
    first = train(samples.list_array(), tmp_path / "a", **options)
    assert len(fits) == 7 * (2 + 1 + 2 + 2 + 1)
    fits.clear()
    assert train(samples.list_array(), tmp_path / "a", **options) == first and fits == []
    order = np.random.default_rng(8).permutation(samples.target.size)
    again = train(samples.list_array(order), tmp_path / "b", **options)
    assert len(fits) == 56 and again == first
    for result in first.values():
        assert (tmp_path / "a" / result["artifact"]).read_bytes() == (tmp_path / "b" / result["artifact"]).read_bytes()
    fits.clear()
    # One more estimator, another seed, another window: only what they touch is trained.
    single = {"estimators": ["mlr"], "folds": 2}
    train(samples.list_array(), tmp_path / "a", **single)
    n = len(fits)
    train(samples.list_array(), tmp_path / "a", **single | {"estimators": ["mlr", "rf"]})
    assert "mlr" not in fits[n:] and "rf" in fits[n:]
    other = [
        train(samples.list_array(), tmp_path / "a", **single, **change)["mlr"]["model_id"]
        for change in ({"seed": 2}, {"part": "other"}, {"interval_level": 0.8})
    ]
    assert len({*other, first["mlr"]["model_id"]}) == 4


def test_a_refit_keeps_the_scores_and_takes_all_rows(
    samples: Samples, trained: dict[str, dict], tmp_path: Path
) -> None:
    found = train(samples.list_array(), tmp_path, estimators=["rf"], refit=True)["rf"]
    assert found["n_fitted"] == 480 and trained["rf"]["n_fitted"] == trained["rf"]["n_train"] < 480
    for score in ("train_rmse", "test_rmse", "outer_rmse", "spatial_cv_rmse", "interval_half_width"):
        assert found[score] == trained["rf"][score]
    kept = Store(tmp_path).model(found["artifact_sha256"])
    one = {k: v[0] for k, v in SMALL["rf"].items()}
    rows = samples.rows
    direct = RandomForestRegressor(random_state=1, **one).fit(by_hand(rows.features), rows.target)
    assert kept.model.predict(kept.design.matrix(rows.features)) == pytest.approx(
        direct.predict(by_hand(rows.features)), rel=1e-12
    )


def test_large_sets_are_fitted_on_a_part(samples: Samples, tmp_path: Path) -> None:
    found = train(samples.list_array(), tmp_path, estimators=["svr"], max_fit_samples={"svr": 100}, refit=True)["svr"]
    assert found["n_fitted"] == 100 and found["n_train"] == 192
    assert found["outer_rmse"] < 0.04


def test_samples_with_gaps_are_dropped(samples: Samples, tmp_path: Path) -> None:
    members = samples.list_array()[0].as_py()
    gaps = [
        None,
        {**members[0], "target": None},
        {**members[1], "target": float("nan")},
        {**members[2], "features": None},
        {**members[3], "features": [None, 1.0, 1.0, 1.0, 1.0]},
        {**members[4], "features": [float("inf"), 1.0, 1.0, 1.0, 1.0]},
        {**members[5], "pixel_id": None},
        {**members[6], "obs_day": None},
    ]
    clean, gappy = pa.array([members[8:]], SAMPLES), pa.array([gaps[:4] + members[8:] + gaps[4:]], SAMPLES)
    assert train(gappy, tmp_path / "a", estimators=["mlr"]) == train(clean, tmp_path / "b", estimators=["mlr"])


@pytest.mark.parametrize("combine", ["best", "stack"])
def test_too_few_samples_and_a_constant_target_give_no_model(samples: Samples, tmp_path: Path, combine: str) -> None:
    few = samples.list_array(np.arange(49))
    constant = Samples(samples.pixel_id, samples.obs_day, np.full(480, 0.3), samples.block_id, samples.features)
    for given, status, n in (
        (few, "too_few_samples", 49),
        (pa.array([[]], SAMPLES), "too_few_samples", 0),
        (pa.array([None], SAMPLES), "too_few_samples", 0),
        (constant.list_array(), "constant_target", 480),
    ):
        found = train(given, tmp_path, combine=combine)
        assert list(found) == ["mlr", "xgb"] + (["stack"] if combine == "stack" else [])
        for result in found.values():
            known = {name for name, value in result.items() if value is not None and name not in LISTS}
            assert known == {"model_id", "estimator", "status", "n_valid"}
            assert (result["status"], result["n_valid"]) == (status, n) and result["importance"] == result["shap"] == []
    assert not any(tmp_path.iterdir())


def test_null_arguments_give_null(samples: Samples, tmp_path: Path) -> None:
    text, part, store = settings_text(), "all", str(tmp_path)
    for arguments in ((None, part, store), (text, None, store), (text, part, None)):
        found = train_downscaler(samples.list_array(), *(pa.array([a], pa.string()) for a in arguments))
        assert found.type == TRAINED and found.to_pylist() == [None]


def test_one_block_and_one_day_have_no_scores_of_them(tmp_path: Path) -> None:
    given = generated(60, 1)
    one = Samples(given.pixel_id, given.obs_day, given.target, np.zeros(60, int), given.features)
    found = train(one.list_array(), tmp_path, estimators=["mlr"], interval_from="blocks", outer_share=0.0)["mlr"]
    assert found["spatial_cv_rmse"] is None and found["temporal_cv_rmse"] is None and found["spatial_coverage"] is None
    assert (
        found["outer_rmse"] is None
        and found["outer_r"] is None
        and found["outer_coverage"] is None
        and found["n_outer"] == 0
    )
    assert found["interval_half_width"] > 0  # from test, where no block can be left out


def test_folds_of_blocks_never_split_one(samples: Samples, tmp_path: Path) -> None:
    work = training._Work.of(samples.rows, settings(folds_of="blocks"))
    folds = work._folds(work.split.train)
    blocks = samples.rows.block_id[work.split.train]
    assert all(len(set(folds[blocks == block])) == 1 for block in set(blocks)) and len(set(folds)) == 4


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("{", "not JSON"),
        ("{}", "exactly the fields"),
        (settings_text(estimators=["forest"]), "forest"),
        (settings_text(hyperparameters={"rf": {"trees": [1]}}), "trees"),
        (settings_text(combine="mean"), "mean"),
        (settings_text(is_categorical=[True]), "is_categorical"),
    ],
)
def test_settings_that_mean_nothing_are_refused(samples: Samples, tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        train_downscaler(samples.list_array(), pa.array([text]), pa.array(["all"]), pa.array([str(tmp_path)]))


def test_another_number_of_features_is_refused(samples: Samples, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="5 features and the model 2"):
        train(samples.list_array(), tmp_path, features=["a", "b"], is_categorical=[False, False])
