"""predict_soil_moisture and the store of models: the libraries' own predictions, NULLs, extrapolation, files that are not what they say."""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pytest
import shap
from sklearn.ensemble import RandomForestRegressor

import udfs
from tests.udfs.downscaling_arrays import COVERS, NAMES, Samples, generated, predict, train
from udfs.downscaling import estimators, prediction
from udfs.downscaling.artefact import DamagedModel, pack, unpack
from udfs.downscaling.attribution import permutation
from udfs.downscaling.design import Design
from udfs.downscaling.estimators import Constant, Stack
from udfs.downscaling.kernels import predict_soil_moisture
from udfs.downscaling.samples import Rows
from udfs.downscaling.store import Kept, Store

EVERY = ("mlr", "svr", "ann", "rf", "xgb", "lightgbm", "catboost")


@pytest.fixture(scope="module")
def samples() -> Samples:
    return generated()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def stack(samples: Samples, store: Path) -> dict[str, dict]:
    return train(
        samples.list_array(), store, estimators=EVERY, combine="stack", folds=2, shap_samples=12, permutations=0
    )


def rows_with_edges(samples: Samples) -> list[list[float]]:
    return samples.rows.features[:50].tolist()


@pytest.mark.parametrize("name", [*EVERY, "stack"])
def test_a_model_that_is_read_back_predicts_what_it_predicted(
    name: str, samples: Samples, store: Path, stack: dict[str, dict]
) -> None:
    """The training's own scores, computed again from the file through the kernel."""
    prediction._loaded.clear()
    from udfs.downscaling.splits import split

    rows = samples.rows
    drawn = split(rows.target, rows.obs_day, 0.2, 0.5, 0.05, 50, 1)
    found = predict(store, stack[name]["model_id"], rows.features[drawn.outer].tolist())
    value = np.array([row["value"] for row in found])
    assert np.sqrt(np.mean((value - rows.target[drawn.outer]) ** 2)) == pytest.approx(
        stack[name]["outer_rmse"], rel=1e-9
    )
    width = stack[name]["interval_half_width"]
    assert [row["upper"] - row["lower"] for row in found] == pytest.approx([2 * width] * len(found))


def test_a_forest_is_scikit_learns(samples: Samples) -> None:
    x = samples.features[:, :4]
    theirs = RandomForestRegressor(n_estimators=15, random_state=4).fit(x, samples.target)
    ours = estimators.fit("rf", x, samples.target, {"n_estimators": 15}, 4)
    grid = np.random.default_rng(1).normal(size=(500, 4)).astype(np.float32)
    assert ours.predict(grid) == pytest.approx(theirs.predict(grid), rel=1e-12)
    assert ours.predict(x) == pytest.approx(theirs.predict(x), rel=1e-12)


@pytest.mark.parametrize("name", ["rf", "xgb", "lightgbm", "catboost"])
def test_shap_values_are_those_of_the_shap_package(name: str, samples: Samples) -> None:
    x = samples.features[:, :4]
    options = {"rf": {"n_estimators": 8, "max_depth": 5}, "catboost": {"iterations": 20, "depth": 3}}
    model = estimators.fit(name, x, samples.target, options.get(name, {"n_estimators": 20, "max_depth": 3}), 1)
    ours, expected = model.shap(x[:20])
    explainer = shap.TreeExplainer(model._fitted if name == "rf" else model.booster)
    assert ours == pytest.approx(explainer.shap_values(x[:20]), abs=2e-6)
    assert expected == pytest.approx(float(np.ravel(explainer.expected_value)[0]), abs=2e-6)
    assert expected + ours.sum(axis=1) == pytest.approx(model.predict(x[:20]), abs=2e-6)


def test_shap_of_a_stack_is_that_of_its_members_by_their_weights(samples: Samples) -> None:
    x = np.ascontiguousarray(samples.features[:, :4])
    members = [
        estimators.fit("mlr", x, samples.target, {}, 1),
        estimators.fit("xgb", x, samples.target, {"n_estimators": 10}, 1),
        estimators.fit("lightgbm", x, samples.target, {"n_estimators": 10}, 1),
    ]
    stack = Stack(members, np.array([0.2, 0.7, 0.0]), 0.03)
    values, expected = stack.shap(x[:9])
    of_members = [member.shap(x[:9]) for member in members]
    assert values == pytest.approx(0.2 * of_members[0][0] + 0.7 * of_members[1][0])
    assert expected + values.sum(axis=1) == pytest.approx(stack.predict(x[:9]), abs=1e-6)
    svr = estimators.fit("svr", x, samples.target, {}, 1)
    assert Stack([svr, *members[:1]], np.array([0.5, 0.5]), 0.0).shap(x[:2]) is None
    assert Stack([svr, *members[:1]], np.array([0.0, 0.5]), 0.0).shap(x[:2]) is not None


def test_columns_of_categories_are_summed_back(samples: Samples) -> None:
    design = Design.of(samples.features, NAMES, (False,) * 4 + (True,))
    matrix = design.matrix(samples.features)
    assert matrix.shape == (480, 7) and matrix.dtype == np.float32
    assert matrix[:, 4:].tolist() == [[float(cover == code) for code in COVERS] for cover in samples.features[:, 4]]
    assert design.by_feature(np.arange(7.0)).tolist() == [0, 1, 2, 3, 4 + 5 + 6]
    unseen = samples.features[:1].copy()
    unseen[0, 4] = 5
    assert design.matrix(unseen)[0, 4:].tolist() == [0, 0, 0]
    assert Design.from_header(design.header()) == design


def test_permutation_importance_is_the_rise_of_the_error(samples: Samples) -> None:
    fitted, rows = samples.rows, generated(seed=2).rows
    design = Design.of(fitted.features, NAMES, (False,) * 4 + (True,))
    model = estimators.fit("svr", design.matrix(fitted.features), fitted.target, {"C": 10}, 1)
    found = {member["feature"]: member["importance"] for member in permutation(model, design, rows, 3, 1)}
    assert (
        found["temperature"] > 0.01
        and found["vegetation"] > 0.01
        and found["clay"] > 0.003
        and found["land_cover"] > 0.003
    )
    assert abs(found["noise"]) < 0.002
    constant = permutation(Constant(0.2), design, rows, 2, 1)
    assert [member["importance"] for member in constant] == [0.0] * 5


def test_what_lies_outside_the_training_range_is_flagged(samples: Samples, store: Path, stack: dict[str, dict]) -> None:
    kept = Store(store).of_training(stack["stack"]["model_id"])
    inside = [0.0, 0.0, 0.0, 0.0, 2.0]
    asked = [inside]
    for i in range(4):
        for edge, step in ((kept.design.lower[i], -1e-3), (kept.design.upper[i], 1e-3)):
            asked += [[*inside[:i], value, *inside[i + 1 :]] for value in (edge, edge + step)]
    asked += [[*inside[:4], cover] for cover in (5.0, 1.0)]
    found = [row["is_extrapolated"] for row in predict(store, stack["stack"]["model_id"], asked)]
    assert found == [False] + [False, True] * 8 + [True, False]


def test_nulls(store: Path, stack: dict[str, dict]) -> None:
    good = [0.1, 0.2, 0.3, 0.4, 1.0]
    asked = [good, None, [None, *good[1:]], [float("nan"), *good[1:]], good]
    found = predict(store, stack["mlr"]["model_id"], asked)
    assert [row is None for row in found] == [False, True, True, True, False] and found[0] == found[4]
    assert predict(store, None, [good]) == [None]
    assert predict(store, stack["mlr"]["model_id"], []) == []
    kept = Kept(Constant(0.3), Store(store).of_training(stack["mlr"]["model_id"]).design, None)
    lower = prediction.predict(kept, np.array([good], np.float32))[1]
    assert np.isnan(lower[0])  # which is NULL behind the kernel: a model without an interval


def test_rows_of_several_models_come_back_in_their_places(
    samples: Samples, store: Path, stack: dict[str, dict]
) -> None:
    rows = rows_with_edges(samples)
    names = [("mlr", "xgb", "rf", None)[i % 4] for i in range(len(rows))]
    ids = pa.array([None if name is None else f"{store}/{stack[name]['model_id']}" for name in names], pa.string())
    found = predict_soil_moisture(ids, pa.array(rows, pa.list_(pa.float32()))).to_pylist()
    for name in ("mlr", "xgb", "rf"):
        alone = predict(store, stack[name]["model_id"], rows)
        assert [row for row, n in zip(found, names, strict=True) if n == name] == [
            row for row, n in zip(alone, names, strict=True) if n == name
        ]
    assert all(row is None for row, n in zip(found, names, strict=True) if n is None)


def test_through_duckdb_with_the_lake_of_the_environment(
    samples: Samples, store: Path, stack: dict[str, dict], tmp_path: Path, monkeypatch
) -> None:
    (tmp_path / "models").symlink_to(store)
    monkeypatch.setenv("SOILHOUSE_LAKE", str(tmp_path))
    connection = duckdb.connect()
    udfs.register(connection)
    table = pa.table({"features": pa.array(samples.features.tolist() * 10, pa.list_(pa.float32()))})
    connection.register("given", table)
    query = f"select (predict_soil_moisture('{stack['stack']['model_id']}', features::float[])).value from given"
    found = np.array([value for (value,) in connection.sql(query).fetchall()])
    connection.sql(f"create table fixed as select features::float[{len(NAMES)}] as features from given")
    fixed = connection.sql(query.replace("given", "fixed").replace("features::float[]", "features")).fetchall()
    kept = Store(store).of_training(stack["stack"]["model_id"])
    want = kept.model.predict(kept.design.matrix(samples.features))
    assert found == pytest.approx(np.tile(want, 10), rel=1e-12)
    assert [value for (value,) in fixed] == found.tolist()


def test_a_model_that_is_not_there_or_not_what_it_says(store: Path, stack: dict[str, dict], tmp_path: Path) -> None:
    good = [0.1, 0.2, 0.3, 0.4, 1.0]
    prediction._loaded.clear()
    with pytest.raises(ValueError, match="There is no model 0123456789abcdef"):
        predict(store, "0123456789abcdef", [good])
    with pytest.raises(ValueError, match="not the id of a model"):
        predict(store, "best", [good])
    with pytest.raises(ValueError, match="3 features and the model 5"):
        predict(store, stack["mlr"]["model_id"], [good[:3]])
    file = store / stack["ann"]["artifact"]
    data = file.read_bytes()
    file.write_bytes(data[:-2] + b"xx")
    prediction._loaded.clear()
    with pytest.raises(ValueError, match="not what its name says"):
        predict(store, stack["ann"]["model_id"], [good])
    # A stack is no better than its members.
    assert not Store(store).has(stack["stack"]["artifact_sha256"])
    file.write_bytes(data)
    assert Store(store).has(stack["stack"]["artifact_sha256"])


def test_a_file_survives_the_way_there_and_back_and_no_other_is_taken() -> None:
    blobs = {"b": b"booster", "a": np.arange(6, dtype=np.int32).reshape(2, 3), "z": np.zeros(0)}
    data = pack({"kind": "x", "value": 0.1}, blobs)
    header, found = unpack(data)
    assert header == {"kind": "x", "value": 0.1} and found["b"] == b"booster"
    assert found["a"].tolist() == [[0, 1, 2], [3, 4, 5]] and found["z"].size == 0
    assert pack({"value": 0.1, "kind": "x"}, dict(reversed(blobs.items()))) == data
    for end in range(len(data)):
        with pytest.raises(DamagedModel):
            unpack(data[:end])
    with pytest.raises(DamagedModel):
        unpack(data + b" ")


def test_a_target_that_does_not_vary_is_its_mean() -> None:
    x = np.random.default_rng(1).normal(size=(30, 2)).astype(np.float32)
    for name in EVERY:
        assert estimators.fit(name, x, np.full(30, 0.2), {}, 1).predict(x[:3]).tolist() == [0.2] * 3
    # Nor do features: CatBoost refuses them, the others find nothing to split by.
    flat, y = np.ones((30, 2), np.float32), np.random.default_rng(1).normal(size=30)
    for name in EVERY:
        assert estimators.fit(name, flat, y, {}, 1).predict(flat[:1])[0] == pytest.approx(y.mean(), abs=0.35)


def test_rows_are_one_order_whatever_ties() -> None:
    rng = np.random.default_rng(3)
    pixel, day = rng.integers(0, 3, 40), rng.integers(1, 3, 40)
    given = Samples(pixel, day, rng.normal(size=40).round(1), pixel, rng.integers(0, 2, (40, 5)).astype(np.float32))
    from udfs.downscaling.samples import rows_of

    digests = set()
    for _ in range(4):
        array = given.list_array(rng.permutation(40))
        rows = rows_of(array.values, 5)
        assert isinstance(rows, Rows)
        digests.add(rows.digest())
    assert len(digests) == 1
