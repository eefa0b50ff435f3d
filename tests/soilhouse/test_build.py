"""`soilhouse build` on a real small lake: what it says while it works, when a model fails, and when it cannot begin."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pytest
import yaml

from loaders.products import DEFINITIONS
from soilhouse.errors import UserError
from soilhouse.java import java_version, require_java
from tests.soilhouse.conftest import CUSTOM
from tests.warehouse import Warehouse, small_grid

N_PIXELS = 6


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory) -> Warehouse:
    """Two years of daily soil moisture and rain on six pixels, as a product of one's own."""
    made = Warehouse(tmp_path_factory.mktemp("build"))
    made.grid("ease2_m36", small_grid(2, 3))
    days = pl.date_range(date(2011, 1, 1), date(2012, 12, 31), "1d", eager=True)
    rng = np.random.default_rng(1)
    rows = pl.DataFrame({"obs_date": days}).join(pl.DataFrame({"pixel_id": range(N_PIXELS)}), how="cross")
    rows = rows.with_columns(sm=rng.uniform(0.1, 0.4, len(rows)), rain_rate=rng.uniform(0, 1, len(rows)))
    made.product("my_daily", "ease2_m36", rows)
    definition = made.lake / DEFINITIONS / "my_daily.yml"
    definition.parent.mkdir(parents=True, exist_ok=True)
    definition.write_text(CUSTOM.to_yaml(), encoding="utf-8")
    return made


def study(**changes) -> dict:
    return {
        "name": "small",
        "title": "A small study",
        "period": {"start": date(2011, 1, 1), "end": date(2013, 1, 1)},
        "series": [
            {"variable": "soil_moisture", "product": "my_daily", "layer": "0-5 cm", "column": "sm"},
            {"variable": "precipitation", "product": "my_daily", "column": "rain_rate", "unit": "mm", "scale": 24},
        ],
        **changes,
    }


def build(warehouse: Warehouse, given: dict, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`soilhouse build` in a process and a folder of its own."""
    path = warehouse.root / "study.yml"
    path.write_text(yaml.safe_dump({"study": given}), encoding="utf-8")
    command = [str(Path(sys.executable).with_name("soilhouse")), "build", "study.yml", "--lake", "lake", *options]
    kept = {k: v for k, v in os.environ.items() if not k.startswith("SOILHOUSE_")}
    # Folders of its own, so that it does not disturb what is being built in the project.
    own = {"DBT_TARGET_PATH": str(warehouse.root / "target"), "DBT_LOG_PATH": str(warehouse.root / "logs")}
    return subprocess.run(
        command,
        cwd=warehouse.root,
        env=kept | own | environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture(scope="module")
def built(warehouse) -> subprocess.CompletedProcess[str]:
    """One build from another folder than the project's."""
    done = build(
        warehouse, study(), "--db", "out/small.duckdb", "--select", "+fct_pixel_monthly", "+fct_soil_moisture_daily"
    )
    assert done.returncode == 0, done.stderr
    return done


def test_a_build_from_another_folder_gives_tables(warehouse, built):
    assert "Building small (A small study)" in built.stderr
    assert "tests passed" in built.stderr
    assert f"schema `marts` of {warehouse.root / 'out' / 'small.duckdb'}" in built.stderr
    assert "Traceback" not in built.stderr
    with duckdb.connect(str(warehouse.root / "out" / "small.duckdb"), read_only=True) as connection:
        found = connection.execute(
            "select variable, count(*) from marts.fct_pixel_monthly where study = 'small' group by variable order by variable"
        ).fetchall()
    assert found == [("precipitation", 24 * N_PIXELS), ("soil_moisture", 24 * N_PIXELS)]


def test_only_the_months_asked_for_are_built_anew(warehouse, built):
    folder = warehouse.lake / "built" / "small" / "fct_soil_moisture_daily"
    before = {p: p.stat().st_mtime_ns for p in folder.rglob("*.parquet")}
    assert len(before) == 24
    options = ("--db", "out/small.duckdb", "--select", "fct_soil_moisture_daily")
    done = build(warehouse, study(), *options, "--start", "2012-02-01", "--end", "2012-04-01")
    assert done.returncode == 0, done.stderr
    written = [p for p in folder.rglob("*.parquet") if p not in before]
    assert sorted(p.parent.name for p in written) == ["month=02", "month=03"]
    assert all(p.stat().st_mtime_ns == m for p, m in before.items() if p.exists())


def test_a_failing_test_is_named_with_the_rows_that_fail(warehouse):
    given = study(series=[{**study()["series"][0], "scale": 10}])
    done = build(warehouse, given, "--db", "wrong.duckdb", "--select", "+fct_soil_moisture_daily")
    assert done.returncode == 1
    assert "test " in done.stderr and "failed" in done.stderr
    assert "Next: the rows that fail the test are those of " in done.stderr
    path = Path(done.stderr.split("are those of ")[1].split("\n")[0])
    assert path.is_file(), "the SQL that it points to is there"


def test_a_locked_database_names_the_process_that_holds_it(warehouse):
    database = warehouse.root / "locked.duckdb"
    script = f"import duckdb, sys; c = duckdb.connect({str(database)!r}); print('open', flush=True); sys.stdin.read()"
    holder = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "open\n"
        done = build(warehouse, study(), "--db", "locked.duckdb")
    finally:
        holder.communicate("")
    assert done.returncode == 1
    assert f"is open in process {holder.pid}" in done.stderr
    assert "--db FILE" in done.stderr


def test_a_file_that_is_no_database(warehouse):
    (warehouse.root / "text.duckdb").write_text("this is not a database, but long enough to be read as one" * 100)
    done = build(warehouse, study(), "--db", "text.duckdb")
    assert done.returncode == 1
    assert "is not a DuckDB database that this version reads" in done.stderr


def test_a_selection_of_nothing_is_not_a_success(warehouse):
    done = build(warehouse, study(), "--db", "none.duckdb", "--select", "fct_trnds")
    assert done.returncode == 1
    assert "leave no model" in done.stderr


def test_a_vanished_product_gives_the_next_step(warehouse, tmp_path):
    """The checks read names of files; a file that is gone when dbt comes is told in words too."""
    broken = warehouse.lake / "raw" / "my_daily" / "year=2011" / "month=01" / "my_daily_2011-01.parquet"
    kept = broken.read_bytes()
    broken.write_bytes(b"no Parquet")
    try:
        done = build(warehouse, study(), "--db", "broken.duckdb", "--select", "+fct_pixel_monthly")
    finally:
        broken.write_bytes(kept)
    assert done.returncode == 1
    assert "failed" in done.stderr
    assert str(broken) in done.stderr
    assert "soilhouse doctor" in done.stderr
    assert "Traceback" not in done.stderr


def test_spark_without_java_says_so(warehouse):
    done = build(warehouse, study(), "--target", "spark", JAVA_HOME=str(warehouse.root), PATH="/nowhere")
    assert done.returncode == 1
    assert "Spark needs Java 17, and none is found" in done.stderr


@pytest.mark.parametrize(
    ("says", "version"), [('openjdk version "17.0.15"', 17), ('java version "1.8.0_392"', 8), ("hello", None)]
)
def test_the_version_of_java(tmp_path, monkeypatch, says, version):
    program = tmp_path / "bin" / "java"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho '{says}' >&2\n")
    program.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert java_version() == version
    if version == 17:
        require_java()
    else:
        with pytest.raises(UserError, match="Spark needs Java 17"):
            require_java()


def test_a_build_leaves_environment_and_folder_as_they_were(warehouse, monkeypatch, tmp_path):
    from soilhouse.cli import main

    (warehouse.root / "study.yml").write_text(yaml.safe_dump({"study": study()}), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DBT_TARGET_PATH", str(warehouse.root / "target"))
    monkeypatch.setenv("DBT_LOG_PATH", str(warehouse.root / "logs"))
    before = dict(os.environ)
    arguments = [
        "build",
        str(warehouse.root / "study.yml"),
        "--lake",
        str(warehouse.lake),
        "--db",
        str(tmp_path / "x.duckdb"),
    ]
    assert main([*arguments, "--select", "+int_series"]) == 0
    assert dict(os.environ) == before
    assert Path.cwd() == tmp_path
    with duckdb.connect(str(tmp_path / "x.duckdb"), read_only=True) as connection:
        assert connection.execute("select count(*) from intermediate.int_series").fetchone() == (2,)
