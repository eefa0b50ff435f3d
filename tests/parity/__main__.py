"""Build one lake on DuckDB and on Spark, compare every table, and exit with 1 where they differ.

Usage: python -m tests.parity [--root FOLDER] [--study STUDY.yml --lake LAKE]

Without a study: the small lake of tests/parity/lake.py. With one: what is loaded in LAKE, which is read and not written.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import polars as pl
import yaml

from soilhouse.errors import UserError
from soilhouse.java import require_java
from tests import compiled
from tests.parity import functions
from tests.parity.cluster import MASTER, Cluster
from tests.parity.compare import Comparison, compare
from tests.parity.lake import build_lake
from tests.warehouse import REPOSITORY, Warehouse

ENGINES = ("DuckDB", "Spark")
# What only DuckDB builds carries this tag.
DUCKDB_ONLY = "duckdb"
# The months that are built again, and what happens to the lake before: one month's values change, one month goes away, and a month
# outside the range changes, too, which must not show.
RANGE = {"start": "2019-02-01", "end": "2019-04-01"}
CHANGED, GONE, OUTSIDE = (2019, 2), (2019, 3), (2019, 8)
PARTITIONED = "marts.fct_soil_moisture_daily"


def main() -> int:
    """The exit code: 0 when every table is the same, 1 when not, 2 when the comparison cannot begin."""
    parser = argparse.ArgumentParser(prog="python -m tests.parity", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--root", type=Path, default=REPOSITORY / "build" / "parity", help="folder to work in; it is emptied first"
    )
    parser.add_argument("--study", type=Path, help="a study file, in the place of the small lake's study")
    parser.add_argument("--lake", type=Path, help="the lake that the study's products are loaded in")
    arguments = parser.parse_args()
    if (arguments.study is None) != (arguments.lake is None):
        parser.error("--study and --lake go together")
    started = time.perf_counter()
    try:
        require_java()
        shutil.rmtree(arguments.root, ignore_errors=True)
        with _timed("lake"):
            root = arguments.root.resolve()
            house = build_lake(root) if arguments.study is None else _loaded(root, arguments.study, arguments.lake)
        with _timed("DuckDB"):
            done = house.dbt("build", "--quiet", check=False)
        failures = [done.stdout] if done.returncode else []
        # Spark trains its own models.
        shutil.rmtree(house.lake / "models", ignore_errors=True)
        cluster = Cluster(house)
    except UserError as error:
        print(f"{error}\nNothing was compared.", file=sys.stderr)
        return 2
    try:
        with _timed(f"Spark, {MASTER}"):
            failures += cluster.build()
        with _timed("comparison"):
            comparisons = [*_compare_models(house, cluster, arguments.study is not None), *_compare_functions(cluster)]
        if arguments.study is None:
            with _timed("months built again, and compared"):
                comparisons.append(_compare_range(house, cluster))
    finally:
        cluster.stop()
    _show(comparisons)
    if failures:
        print("dbt build failed:\n" + "\n".join(failures))
    n_unequal = sum(not comparison.is_equal for comparison in comparisons)
    verdict = f"{n_unequal} of {len(comparisons)} differ" if n_unequal else f"all {len(comparisons)} are the same"
    print(f"{verdict}, in {time.perf_counter() - started:.0f} s")
    return 1 if n_unequal or failures else 0


def _loaded(root: Path, study: Path, lake: Path) -> Warehouse:
    """A warehouse over a lake that is there: its folders by links, so that what the builds write stays in `root`."""
    (root / "lake").mkdir(parents=True)
    for folder in lake.resolve().iterdir():
        if folder.is_dir() and folder.name != "built":
            (root / "lake" / folder.name).symlink_to(folder)
    return Warehouse(root, yaml.safe_load(study.read_text(encoding="utf-8"))["study"])


def _compare_models(house: Warehouse, cluster: Cluster, may_be_empty: bool) -> Iterator[Comparison]:
    """Every model that either engine built, on its grain."""
    manifests = [compiled.read_manifest(house.root / "target"), cluster.manifest()]
    models = [_models(manifest) for manifest in manifests]
    grains = compiled.grains(manifests[0])
    with duckdb.connect() as connection:
        connection.execute(f"attach '{house.database}' as soilhouse (read_only)")
        for unique_id in sorted(models[0].keys() | models[1].keys()):
            names = [known[unique_id] for known in models if unique_id in known]
            if len(names) == 1:
                engine = ENGINES[0] if unique_id in models[0] else ENGINES[1]
                yield Comparison(names[0], problems=[f"is built on {engine} only, and is not tagged so"])
            else:
                yield _compare_model(connection, cluster, names[0], grains.get(unique_id, [None])[0], may_be_empty)


def _compare_model(
    connection: duckdb.DuckDBPyConnection,
    cluster: Cluster,
    name: str,
    grain: list[str] | None,
    may_be_empty: bool = False,
) -> Comparison:
    files = cluster.files(name)
    schema, table = name.split(".")
    known = "select 1 from duckdb_tables() where schema_name = $1 and table_name = $2 union all select 1 from duckdb_views() where schema_name = $1 and view_name = $2"
    missing = [] if connection.execute(known, [schema, table]).fetchall() else [ENGINES[0]]
    if not files and not cluster.has(name):
        missing.append(ENGINES[1])
    if missing:
        return Comparison(name, problems=[f"was not built on {engine}" for engine in missing])
    if files:
        right = f"read_parquet({files!r}, hive_partitioning = false)"
    else:
        connection.register("on_spark", cluster.table(name))
        right = "on_spark"
    try:
        return compare(connection, name, f"soilhouse.{name}", right, grain, ENGINES, may_be_empty)
    finally:
        connection.execute("drop view if exists on_spark")


def _compare_functions(cluster: Cluster) -> Iterator[Comparison]:
    """The functions that the lint takes for shared."""
    with duckdb.connect() as connection:
        for kind, sql in functions.queries().items():
            connection.register("on_spark", cluster.query(sql))
            connection.execute(f"create table on_duckdb as {sql}")
            key = ["g"] if kind == "aggregate" else ["id"]
            yield compare(connection, f"functions: {kind}", "on_duckdb", "on_spark", key, ENGINES)
            connection.execute("drop table on_duckdb; drop view on_spark")


def _compare_range(house: Warehouse, cluster: Cluster) -> Comparison:
    """Months of a partitioned mart built again after the lake has changed."""
    before = _months(house)
    for year, month in (CHANGED, OUTSIDE):
        file = _month_file(house, year, month)
        pl.read_parquet(file).with_columns(pl.col("sm") * pl.lit(0.5, pl.Float32)).write_parquet(file)
    _month_file(house, *GONE).unlink()
    model = PARTITIONED.split(".")[1]
    done = house.dbt("build", "--quiet", "--select", model, extra=RANGE, check=False)
    failures = ([done.stdout] if done.returncode else []) + cluster.build("--select", model, extra=RANGE)
    if failures:
        return Comparison(f"{PARTITIONED}, built again", problems=failures)

    grain = compiled.grains(compiled.read_manifest(house.root / "target"))[f"model.soilhouse.{model}"][0]
    with duckdb.connect() as connection:
        connection.execute(f"attach '{house.database}' as soilhouse (read_only)")
        result = _compare_model(connection, cluster, PARTITIONED, grain)
    result.table += ", built again"
    after = _months(house)
    expected = before.keys() - {GONE}
    if after.keys() != expected or {month for month in expected if before[month] != after[month]} != {CHANGED}:
        result.problems.append(f"{RANGE['start']} to {RANGE['end']} were not exactly what changed")
    return result


def _months(house: Warehouse) -> dict[tuple[int, int], float]:
    """The sum of the values of each month on DuckDB."""
    rows = house.query(
        f"select year, month, sum(cast(soil_moisture_m3m3 as decimal(18, 9))) from {PARTITIONED} group by all"
    ).rows()
    return {(year, month): total for year, month, total in rows}


def _month_file(house: Warehouse, year: int, month: int) -> Path:
    return house.lake / f"raw/field/year={year}/month={month:02d}/field_{year}-{month:02d}.parquet"


def _models(manifest: dict) -> dict[str, str]:
    """`schema.name` of the models of a manifest that both engines should have, by unique id."""
    return {
        unique_id: f"{node['schema']}.{node['alias']}"
        for unique_id, node in manifest["nodes"].items()
        if node["resource_type"] == "model" and node["config"]["enabled"] and DUCKDB_ONLY not in node["tags"]
    }


def _show(comparisons: list[Comparison]) -> None:
    width = max(len(comparison.table) for comparison in comparisons)
    print(f"{'table':{width}}  {'rows':>8}  {'columns':>7}  {'largest difference':<40}  ok")
    for found in comparisons:
        largest = f"{found.largest:.1e} {found.largest_column}" if found.largest else "0"
        print(
            f"{found.table:{width}}  {found.n_rows:8d}  {found.n_columns:7d}  {largest:<40}  {'yes' if found.is_equal else 'NO'}"
        )
        for problem in found.problems:
            print(f"    {problem}")


@contextmanager
def _timed(step: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    print(f"{step}: {time.perf_counter() - started:.0f} s", flush=True)


if __name__ == "__main__":
    sys.exit(main())
