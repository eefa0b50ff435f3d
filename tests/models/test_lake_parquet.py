"""The lake_parquet materialisation: ranges, vanished months, an empty result, a broken contract, kills, a reader during the build."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
from datetime import date
from functools import partial
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pytest

from tests.warehouse import REPOSITORY, Finished, Warehouse, run_dbt, small_grid

N_PIXELS = 12
MODEL = (
    "--select",
    "int_series",
    "int_pixel_region",
    "stg_custom",
    "int_observed_daily",
    "int_prepared_daily",
    "int_daily",
    "fct_soil_moisture_daily",
    "variables",
)


def observations(start: date, end: date, offset: float = 0.0) -> pl.DataFrame:
    """Daily values of every pixel, unique to the pixel, day and `offset`; float32 as a product delivers them."""
    days = pl.date_range(start, end, closed="left", eager=True)
    frame = pl.DataFrame({"pixel_id": range(N_PIXELS)}).join(pl.DataFrame({"obs_date": days}), how="cross")
    number = np.arange(len(frame))
    return frame.with_columns(
        pl.col("pixel_id").cast(pl.Int32), sm=pl.Series((0.1 + offset + number / 8192).astype("float32"))
    )


def warehouse(
    root: Path, start: date = date(2020, 1, 1), end: date = date(2020, 5, 1), offset: float = 0.0
) -> Warehouse:
    house = Warehouse(root)
    house.grid("g", small_grid(3, 4))
    house.product("field", "g", observations(start, end, offset))
    house.study = {
        "name": "small",
        "groups": [],
        "period": {"start": "2020-01-01", "end": "2021-01-01"},
        "series": [{"variable": "soil_moisture", "product": "field", "layer": "0-5 cm", "column": "sm"}],
    }
    return house


def replace_product(house: Warehouse, *frames: pl.DataFrame) -> None:
    """What a later load leaves: the product as these rows, months that are gone are gone."""
    for file in (house.lake / "raw/field").rglob("*.parquet"):
        file.unlink()
    house.product("field", "g", pl.concat(frames))


def build(house: Warehouse, *arguments: str, check: bool = True, **extra: str) -> Finished:
    return house.dbt("build", *MODEL, *arguments, extra=extra, check=check)


def table(house: Warehouse) -> pl.DataFrame:
    return house.query(
        "select pixel_id, obs_date, cast(soil_moisture_m3m3 as float) as sm from marts.fct_soil_moisture_daily order by all"
    )


def listed(house: Warehouse) -> list[str]:
    view = house.query("select sql from duckdb_views() where view_name = 'fct_soil_moisture_daily'").item()
    return sorted(re.findall(r"'([^']+[.]parquet)'", view))


def files(house: Warehouse) -> list[str]:
    return sorted(str(path) for path in (house.lake / "built").rglob("*.parquet"))


def same(got: pl.DataFrame, expected: pl.DataFrame) -> bool:
    ordered = expected.with_columns(pl.col("pixel_id").cast(pl.Int64)).sort("pixel_id", "obs_date")
    return got.sort("pixel_id", "obs_date").equals(ordered)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    house = warehouse(tmp_path_factory.mktemp("lake_parquet"))
    build(house)
    return house


def test_one_sorted_file_a_month_in_the_lakes_layout(built: Warehouse) -> None:
    assert same(table(built), observations(date(2020, 1, 1), date(2020, 5, 1)))
    assert [Path(file).parent.name for file in listed(built)] == ["month=01", "month=02", "month=03", "month=04"]
    assert files(built) == listed(built)
    rows = duckdb.sql(f"select product, layer, pixel_id, obs_date from read_parquet('{listed(built)[1]}')").fetchall()
    assert rows == sorted(rows)
    assert len(rows) == N_PIXELS * 29


def test_the_view_opens_without_the_project_and_from_another_folder(built: Warehouse, tmp_path: Path) -> None:
    script = "import duckdb, sys; print(duckdb.connect(sys.argv[1], read_only=True).sql('select count(*) from marts.fct_soil_moisture_daily').fetchone()[0])"
    done = subprocess.run(
        [sys.executable, "-c", script, str(built.database)], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert int(done.stdout) == N_PIXELS * 121


def test_a_range_replaces_its_months_and_no_others(tmp_path: Path) -> None:
    house = warehouse(tmp_path)
    build(house)
    before = listed(house)
    new = observations(date(2020, 1, 1), date(2020, 5, 1), offset=0.05)
    replace_product(house, new)
    build(house, start="2020-02-01", end="2020-04-01")
    old = observations(date(2020, 1, 1), date(2020, 5, 1))
    inside = pl.col("obs_date").is_between(date(2020, 2, 1), date(2020, 4, 1), closed="left")
    assert same(table(house), pl.concat([old.filter(~inside), new.filter(inside)]))
    after = listed(house)
    assert [after[0], after[3]] == [before[0], before[3]]
    assert not {after[1], after[2]} & set(before)
    assert set(before) <= set(files(house)), "files of the old list stay until the next build, for readers that hold it"
    build(house)
    assert set(files(house)) == {*after, *listed(house)}, "the next build removes what no list names"


@pytest.mark.parametrize(
    ("start", "end", "words"),
    [
        ("2020-02-10", "2020-04-01", "start is 2020-02-10, which is not the first day of a month"),
        ("2020-02-01", "2020-03-31", "end is 2020-03-31, which is not the first day of a month"),
        ("2020-04-01", "2020-04-01", "is not before end"),
        ("2020-04-01", None, "both start and end"),
    ],
)
def test_a_range_inside_a_month_is_refused(built: Warehouse, start: str, end: str | None, words: str) -> None:
    before = table(built)
    done = built.dbt(
        "run",
        "--select",
        "fct_soil_moisture_daily",
        extra={"start": start} | ({"end": end} if end else {}),
        check=False,
    )
    assert done.returncode != 0
    assert words in " ".join(done.stdout.split())
    assert table(built).equals(before)


def test_a_range_of_another_study_or_lake_is_refused_and_a_whole_build_replaces(tmp_path: Path) -> None:
    house = warehouse(tmp_path)
    build(house)
    before, names = table(house), listed(house)
    house.study["name"] = "other"
    months = {"start": "2020-02-01", "end": "2020-03-01"}
    done = house.dbt("run", "--select", "fct_soil_moisture_daily", extra=months, check=False)
    words = " ".join(done.stdout.split())
    assert done.returncode != 0
    assert f"reads {house.lake}/built/small/fct_soil_moisture_daily, not {house.lake}/built/other" in words
    assert "Build once without start and end" in words
    assert table(house).equals(before)
    assert listed(house) == names
    assert files(house) == names, "nothing was written"
    build(house)
    assert same(table(house), observations(date(2020, 1, 1), date(2020, 5, 1)))
    assert all("/built/other/" in file for file in listed(house))
    build(house, **months)
    assert same(table(house), observations(date(2020, 1, 1), date(2020, 5, 1)))


def test_a_vanished_month_leaves_the_list(tmp_path: Path) -> None:
    house = warehouse(tmp_path)
    build(house)
    kept = observations(date(2020, 1, 1), date(2020, 5, 1)).filter(pl.col("obs_date").dt.month() != 3)
    replace_product(house, kept)
    build(house, start="2020-03-01", end="2020-04-01")
    assert same(table(house), kept)
    assert not any("month=03" in file for file in listed(house))


def test_an_empty_result_is_a_typed_empty_view(tmp_path: Path) -> None:
    house = warehouse(tmp_path)
    build(house)
    before = house.query(
        "select column_name, data_type from information_schema.columns where table_name = 'fct_soil_moisture_daily'"
    )
    house.study["period"] = {"start": "1990-01-01", "end": "1991-01-01"}
    build(house)
    assert table(house).is_empty()
    after = house.query(
        "select column_name, data_type from information_schema.columns where table_name = 'fct_soil_moisture_daily'"
    )
    assert after.equals(before)


def test_a_broken_contract_keeps_the_old_table(tmp_path: Path) -> None:
    house = warehouse(tmp_path)
    build(house)
    before, names = table(house), listed(house)
    # The contract says DOUBLE: a project whose model delivers text must not replace the table.
    project = tmp_path / "project"
    project.mkdir()
    for name in ("macros", "seeds", "dbt_project.yml", "profiles.yml"):
        (project / name).symlink_to(REPOSITORY / name)
    shutil.copytree(REPOSITORY / "models", project / "models")
    model = project / "models/marts/core/fct_soil_moisture_daily.sql"
    model.write_text(
        model.read_text().replace(
            "daily.value as soil_moisture_m3m3", "cast(daily.value as string) as soil_moisture_m3m3"
        )
    )
    arguments = house.dbt_arguments("run", "--select", "fct_soil_moisture_daily")
    arguments[arguments.index("--project-dir") + 1] = str(project)
    done = run_dbt(["--no-partial-parse", *arguments], house.environment())
    assert done.returncode != 0
    assert "contract" in done.stdout
    assert "soil_moisture_m3m3" in done.stdout
    assert table(house).equals(before)
    assert listed(house) == names


def kill_at_file_work(call: int, when: str) -> None:
    """Make this process die before or after the `call`-th piece of file work of the materialisation."""
    import loaders.dbt_files as dbt_files

    store, calls = dbt_files.Plugin.store, [0]

    def counted(self, target_config) -> None:
        calls[0] += 1
        if calls[0] == call and when == "before":
            os._exit(9)
        store(self, target_config)
        if calls[0] == call and when == "after":
            os._exit(9)

    dbt_files.Plugin.store = counted


def test_a_kill_at_every_step_loses_nothing_and_the_next_build_finishes(tmp_path: Path) -> None:
    """Steps: orphans removed, a folder made and a file written for each of four months, files synced, view replaced."""
    house = warehouse(tmp_path)
    build(house)
    old = table(house)
    new = observations(date(2020, 1, 1), date(2020, 5, 1), offset=0.05)
    replace_product(house, new)
    kills = 0
    for step in range(1, 8):
        for when in ("before", "after"):
            if when == "after" and step not in (1, 6):
                continue
            arguments = house.dbt_arguments("run", "--select", "fct_soil_moisture_daily")
            done = run_dbt(arguments, house.environment(), partial(kill_at_file_work, step, when))
            if done.returncode == 9:
                kills += 1
                assert table(house).equals(old), f"a kill {when} step {step} changed what readers see"
            else:
                assert step == 7, f"step {step} was never reached: {done.stdout[-2000:]}"
                assert done.returncode == 0
    assert kills == 8
    assert same(table(house), new)
    finished = listed(house)
    build(house)
    assert same(table(house), new)
    assert set(files(house)) == {*finished, *listed(house)}, "what no list names is gone"


def test_a_kill_while_a_file_is_written(tmp_path: Path) -> None:
    """SIGKILL while DuckDB copies: the half file is never read and the next build removes it."""
    house = warehouse(tmp_path)
    build(house)
    old = table(house)
    whole = Path(listed(house)[1])
    half = whole.with_name(whole.name.split("_")[0] + "_killed.parquet")
    half.write_bytes(whole.read_bytes()[:500])
    assert table(house).equals(old)
    build(house)
    assert table(house).equals(old)
    assert not half.exists()


READER = textwrap.dedent(
    """
    import duckdb, os, sys, time
    database, stop = sys.argv[1:]
    answers, n = set(), 0
    while not os.path.exists(stop):
        with duckdb.connect(database, read_only=True) as connection:
            answers.add(connection.sql("select count(*), sum(cast(soil_moisture_m3m3 * 8192 as bigint)) from marts.fct_soil_moisture_daily").fetchone())
        n += 1
        if n == 1:
            print("reading", flush=True)
        time.sleep(0.005)
    print(n, len(answers), flush=True)
    """
)


def test_a_reader_of_the_old_list_is_not_disturbed_by_a_build(tmp_path: Path) -> None:
    """Readers in other processes read a copy of the database (DuckDB locks the one that is built): its list must stay whole."""
    house = warehouse(tmp_path)
    build(house)
    snapshot, stop = tmp_path / "snapshot.duckdb", tmp_path / "stop"
    snapshot.write_bytes(house.database.read_bytes())
    reader = subprocess.Popen(
        [sys.executable, "-c", READER, str(snapshot), str(stop)], stdout=subprocess.PIPE, text=True
    )
    assert reader.stdout is not None
    assert reader.stdout.readline().strip() == "reading"
    replace_product(house, observations(date(2020, 1, 1), date(2020, 5, 1), offset=0.05))
    build(house)
    stop.touch()
    n, n_answers = map(int, reader.stdout.readline().split())
    assert reader.wait() == 0
    assert n > 20
    assert n_answers == 1


def test_two_databases_share_a_lake_without_removing_each_others_files(tmp_path: Path) -> None:
    house = warehouse(tmp_path)
    build(house)
    first = listed(house)
    environment = house.environment() | {"SOILHOUSE_DB": str(tmp_path / "other.duckdb")}
    assert run_dbt(house.dbt_arguments("build", *MODEL), environment).returncode == 0
    assert listed(house) == first
    assert set(first) < set(files(house))
