"""The downscaling kernels on Spark: the models and predictions of DuckDB, from a store that the query names."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

import duckdb
import pytest

import udfs
from soilhouse.errors import UserError
from soilhouse.java import require_java
from tests.udfs.downscaling_arrays import generated, settings_text

pytestmark = pytest.mark.spark

FIELDS = ("pixel_id", "obs_day", "target", "block_id", "features")


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory):
    try:
        require_java()
    except UserError as error:
        pytest.fail(str(error), pytrace=False)
    from pyspark.sql import SparkSession

    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    session = (
        SparkSession.builder.master("local[1]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.memory", "1g")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.sql.warehouse.dir", str(tmp_path_factory.mktemp("spark")))
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("OFF")
    udfs.register_spark(session)
    yield session
    session.stop()


def test_both_engines_train_and_predict_alike(spark, tmp_path: Path) -> None:
    samples = generated()
    columns = [samples.pixel_id, samples.obs_day, samples.target, samples.block_id, samples.features.tolist()]
    rows = [(int(p), int(d), float(t), int(b), [float(v) for v in f]) for p, d, t, b, f in zip(*columns, strict=True)]
    types = "pixel_id bigint, obs_day int, target double, block_id int, features array<float>"
    spark.createDataFrame(rows, types).createOrReplaceTempView("samples")
    here = duckdb.connect()
    udfs.register(here)
    here.execute("create table samples (pixel_id bigint, obs_day int, target double, block_id int, features float[])")
    here.executemany("insert into samples values (?, ?, ?, ?, ?)", rows)
    told = settings_text(combine="stack", estimators=["mlr", "rf", "xgb"], folds=2, shap_samples=3)
    train = "train_downscaler({samples}, '{told}', 'all', '{store}')"
    structs = {
        "duckdb": "list(struct_pack(" + ", ".join(f"{name} := {name}" for name in FIELDS) + "))",
        "spark": "collect_list(named_struct(" + ", ".join(f"'{name}', {name}" for name in FIELDS) + "))",
    }
    stores = {engine: tmp_path / engine for engine in structs}
    queries = {
        e: f"select {train.format(samples=structs[e], told=told, store=stores[e])} as trained from samples"
        for e in structs
    }
    ours = here.sql(queries["duckdb"]).fetchone()[0]
    theirs = spark.sql(queries["spark"]).collect()[0]["trained"]
    assert [result["model_id"] for result in ours] == [result["model_id"] for result in theirs]
    for a, b in zip(ours, theirs, strict=True):
        assert a["artifact_sha256"] == b["artifact_sha256"] and a["outer_rmse"] == b["outer_rmse"]
        file = stores["spark"] / b["artifact"]
        assert hashlib.sha256(file.read_bytes()).hexdigest() == b["artifact_sha256"]
    predict = "select predict_soil_moisture('{store}/{model}', features) as p from samples order by pixel_id, obs_day"
    texts = {e: predict.format(store=stores[e], model=ours[-1]["model_id"]) for e in structs}
    of_duckdb = [row[0] for row in here.sql(texts["duckdb"]).fetchall()]
    of_spark = [row["p"].asDict() for row in spark.sql(texts["spark"]).collect()]
    assert of_spark == of_duckdb and len(of_spark) == 480
