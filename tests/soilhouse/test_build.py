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

from loaders.products import DEFINITIONS, Delivered, Variable
from soilhouse.database import studies_in
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
    put_patchy(made, rows)
    return made


def put_patchy(made: Warehouse, rows: pl.DataFrame) -> None:
    """Product my_patchy: `rare` on three days a month, one in each dekad; `early` on the first six days."""
    day = pl.col("obs_date").dt.day()
    columns = {"rare": day.is_in([1, 11, 21]), "early": day <= 6}
    patchy = rows.select(
        "pixel_id", "obs_date", *(pl.when(on).then(pl.col("sm")).alias(name) for name, on in columns.items())
    )
    made.product("my_patchy", "ease2_m36", patchy)
    variables = tuple(Variable(name=name, dtype="float64", unit="m3 m-3") for name in columns)
    delivers = (Delivered(variable="rare", unit="m3 m-3"),)
    product = CUSTOM.model_copy(update={"name": "my_patchy", "variables": variables, "delivers": delivers})
    (made.lake / DEFINITIONS / "my_patchy.yml").write_text(product.to_yaml(), encoding="utf-8")


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
    return soilhouse_build(warehouse, warehouse.root, "study.yml", "--lake", "lake", *options, **environment)


def soilhouse_build(
    warehouse: Warehouse, folder: Path, *arguments: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    """`soilhouse build` with these arguments, called in `folder`."""
    command = [str(Path(sys.executable).with_name("soilhouse")), "build", *arguments]
    kept = {k: v for k, v in os.environ.items() if not k.startswith("SOILHOUSE_")}
    # Folders of its own, so that it does not disturb what is being built in the project.
    own = {"DBT_TARGET_PATH": str(warehouse.root / "target"), "DBT_LOG_PATH": str(warehouse.root / "logs")}
    return subprocess.run(
        command,
        cwd=folder,
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


def test_relative_paths_from_below_and_a_study_in_flow_style(warehouse, built):
    """The lake is the one that was built from, however it is spelled, and a range finds a place in any YAML."""
    folder = warehouse.root / "studies"
    folder.mkdir()
    flow = yaml.safe_dump({"study": study()}, default_flow_style=True)
    (warehouse.root / "flow.yml").write_text(f"{flow}...\n", encoding="utf-8")
    done = soilhouse_build(
        warehouse, folder, "../flow.yml", "--lake", "../lake", "--db", "../out/small.duckdb",
        *("--select", "fct_soil_moisture_daily", "--start", "2011-02-01", "--end", "2011-03-01"),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    with duckdb.connect(str(warehouse.root / "out" / "small.duckdb"), read_only=True) as connection:
        assert connection.execute("select count(*) from marts.fct_soil_moisture_daily").fetchone() == (731 * N_PIXELS,)


@pytest.mark.parametrize(
    "part",
    [("--select", "fct_pixel_monthly"), ("--exclude", "fct_trends"), ("--start", "2011-02-01", "--end", "2011-03-01")],
)
def test_a_part_of_another_study_is_refused(warehouse, built, part):
    database = warehouse.root / "out" / "small.duckdb"
    before = database.read_bytes()
    done = build(warehouse, study(name="other"), "--db", "out/small.duckdb", *part)
    assert done.returncode == 2
    assert "holds the study small: a part of other" in done.stderr
    assert "--db FILE" in done.stderr and "build other whole" in done.stderr
    assert database.read_bytes() == before


def test_a_whole_build_leaves_nothing_of_another_study_and_names_series_without_a_month(warehouse):
    database = warehouse.root / "whole.duckdb"
    with duckdb.connect(str(database)) as connection:
        connection.execute("create schema marts; create schema staging")
        connection.execute("create table marts.fct_trends as select 'old' as study")
        connection.execute("create table marts.my_own as select 1 as kept")
        connection.execute("create view staging.stg_spl2smp as select 1 as pixel_id")
    series = [
        {"variable": "soil_moisture", "product": "my_patchy", "layer": layer, "column": column, **more}
        for layer, column, more in (
            ("0-5 cm", "rare", {}),
            ("5-10 cm", "rare", {"coverage": {"min_days": 3}}),
            ("10-20 cm", "early", {}),
            ("20-30 cm", "early", {"coverage": {"min_dekads": 1}}),
            ("30-40 cm", "rare", {"valid_min": 5}),
        )
    ]
    total = {"variable": "precipitation", "product": "my_patchy", "column": "rare", "coverage": {"min_days": 3}}
    done = build(warehouse, study(groups=[], series=[*series, total]), "--db", "whole.duckdb")
    assert done.returncode == 0, done.stderr
    assert "Removed, since small does not build them: marts.fct_trends, staging.stg_spl2smp\n" in done.stderr
    with duckdb.connect(str(database), read_only=True) as connection:
        found = {name for (name,) in connection.execute("select table_name from information_schema.tables").fetchall()}
    assert {"my_own", "fct_pixel_monthly", "stg_custom"} <= found
    assert not {"fct_trends", "stg_spl2smp"} & found
    notes = [line.removeprefix("note: ") for line in done.stderr.splitlines() if line.startswith("note: ")]
    of = "soil_moisture of my_patchy"
    assert notes == [
        f"{of} (0-5 cm) has no month that counts: its fullest has 3 days, and study.series[0].coverage.min_days is 5",
        f"{of} (10-20 cm) has no month that counts: none has days in enough dekads,"
        " and study.series[2].coverage.min_dekads is 3",
        f"{of} (30-40 cm) has no value in the study's period and region",
        "precipitation of my_patchy has no month that counts: its fullest has 11% of its days,"
        " and study.coverage.min_share_of_total is 1",
    ]


def test_a_database_of_two_studies_names_both(tmp_path):
    """A whole build that stopped half way leaves tables of both."""
    database = tmp_path / "two.duckdb"
    with duckdb.connect(str(database)) as connection:
        connection.execute("create schema marts; create schema intermediate")
        connection.execute("create table intermediate.int_series as select 'new' as study")
        connection.execute("create table marts.fct_trends as select 'old' as study")
        connection.execute(f"copy (select 'lost' as study) to '{tmp_path}/lost.parquet'")
        connection.execute(f"create view marts.gone as select study from '{tmp_path}/lost.parquet'")
    (tmp_path / "lost.parquet").unlink()
    assert studies_in(database) == ["new", "old"]


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
