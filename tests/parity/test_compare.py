"""The comparison finds what differs, however little, and says where. Both sides are DuckDB here: no Java is needed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from tests import dialect
from tests.parity import functions
from tests.parity.compare import Comparison, compare
from tests.warehouse import REPOSITORY
from udfs.registry import KERNELS

GRAIN = ["study", "pixel_id"]
ROWS = """
    select 'demo' as study, cast(i as bigint) as pixel_id, date '2018-01-01' + cast(i as int) as month, i % 2 = 0 as is_covered,
        case when i <> 3 then 1e6 + i / 7.0 end as mean, cast(i / 1e9 as double) as mk_p
    from range(20) as given(i)"""


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute(f"create table a as {ROWS}")
        connection.execute(f"create table b as {ROWS}")
        yield connection


def result(connection: duckdb.DuckDBPyConnection, grain: list[str] | None = GRAIN) -> Comparison:
    return compare(connection, "marts.fct", "a", "b", grain, ("DuckDB", "Spark"))


def test_the_same_rows_in_another_order_are_equal(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("create or replace table b as select * from b order by mean desc")
    found = result(connection)
    assert found.is_equal and (found.n_rows, found.n_columns, found.largest) == (20, 6, 0.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("set mean = mean * (1 + 1e-9) where pixel_id = 5", "column mean: 1 values differ"),
        ("set mean = null where pixel_id = 5", "column mean: 1 values differ"),
        ("set mean = 1 where pixel_id = 3", "column mean: 1 values differ"),
        ("set mean = 'nan' where pixel_id = 5", "column mean: 1 values differ"),
        ("set mean = 'infinity' where pixel_id = 5", "column mean: 1 values differ"),
        ("set mk_p = mk_p + 2e-10 where pixel_id = 5", "column mk_p: 1 values differ"),
        ("set month = month + 1 where pixel_id = 5", "column month: 1 values differ"),
        ("set is_covered = null where pixel_id > 5", "column is_covered: 14 values differ"),
        ("set pixel_id = 99 where pixel_id = 5", "1 keys on Spark only, such as study demo, pixel_id 99"),
        ("set pixel_id = 6 where pixel_id = 5", "1 keys (study, pixel_id) come more than once on Spark"),
    ],
)
def test_one_changed_value_is_found(connection: duckdb.DuckDBPyConnection, change: str, message: str) -> None:
    connection.execute(f"update b {change}")
    found = result(connection)
    assert not found.is_equal and any(message in problem for problem in found.problems)


def test_both_sides_being_nan_is_no_agreement(connection: duckdb.DuckDBPyConnection) -> None:
    for side in "ab":
        connection.execute(f"update {side} set mean = 'nan' where pixel_id = 5")
    assert not result(connection).is_equal


def test_the_differing_row_is_shown_with_both_values(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("update b set is_covered = true where pixel_id = 5")
    assert "    study demo, pixel_id 5: DuckDB False, Spark True" in result(connection).problems


def test_rounding_is_no_difference_and_is_told(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("update b set mean = mean * (1 + 1e-11)")
    found = result(connection)
    assert found.is_equal and found.largest_column == "mean" and 5e-12 < found.largest < 2e-11


def test_a_sum_that_cancels_may_differ_by_what_its_column_is_rounded_by(connection: duckdb.DuckDBPyConnection) -> None:
    """1e-9 beside values of a million is rounding, also where the other engine has 0."""
    connection.execute("update a set mean = 0 where pixel_id = 5; update b set mean = 1e-9 where pixel_id = 5")
    assert result(connection).is_equal
    connection.execute("update b set mean = 1e-7 where pixel_id = 5")
    assert not result(connection).is_equal


def test_a_large_variable_does_not_excuse_a_small_one(connection: duckdb.DuckDBPyConnection) -> None:
    """Soil moisture in m3 m-3 stands in one column with precipitation in mm."""
    for side in "ab":
        connection.execute(f"alter table {side} add column variable string")
        connection.execute(f"update {side} set variable = case when pixel_id < 10 then 'rain' else 'moisture' end")
        connection.execute(f"update {side} set mean = 1 where pixel_id = 15")
    connection.execute(
        "update a set mean = mean / 1e7 where pixel_id > 9; update b set mean = mean / 1e7 where pixel_id > 9"
    )
    connection.execute("update b set mean = mean * (1 + 1e-7) where pixel_id = 15")
    assert not result(connection, [*GRAIN, "variable"]).is_equal
    assert result(connection, GRAIN).is_equal


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("delete from b where pixel_id = 5", "20 rows on DuckDB, 19 on Spark"),
        ("delete from b", "no rows"),
        ("delete from b; delete from a", "no rows"),
        ("alter table b drop column mean", "column mean: DuckDB DOUBLE, Spark no such column"),
        ("alter table b alter column pixel_id type hugeint", "column pixel_id: DuckDB BIGINT, Spark HUGEINT"),
        ("alter table b alter column mean type float", "column mean: DuckDB DOUBLE, Spark FLOAT"),
    ],
)
def test_rows_and_types_that_differ_are_found(connection: duckdb.DuckDBPyConnection, change: str, message: str) -> None:
    connection.execute(change)
    found = result(connection)
    assert not found.is_equal and any(message in problem for problem in found.problems)


def test_without_a_grain_all_but_the_doubles_pair_the_rows(connection: duckdb.DuckDBPyConnection) -> None:
    assert result(connection, None).is_equal
    connection.execute("update b set mean = 2 where pixel_id = 5")
    assert not result(connection, None).is_equal
    connection.execute("insert into b select * from b where pixel_id = 5")
    assert any("give the model a grain test" in problem for problem in result(connection, None).problems)


def test_every_function_taken_for_shared_has_an_example() -> None:
    examples = functions.SCALAR | functions.AGGREGATE | functions.WINDOW
    assert set(examples) == dialect.SHARED_FUNCTIONS - {kernel.name for kernel in KERNELS}
    assert all(f"{name}(" in example for name, given in examples.items() for example in given)


@pytest.mark.parametrize("kind", functions.queries())
def test_the_examples_run_and_answer_more_than_null(kind: str) -> None:
    answers = duckdb.sql(functions.queries()[kind]).pl()
    assert len(answers) > 3
    assert [name for name in answers.columns if answers[name].is_null().all()] == []


def test_without_java_it_says_so_and_fails(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.parity", "--root", str(tmp_path / "parity")],
        env=os.environ | {"JAVA_HOME": str(tmp_path / "no_java")},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "Spark needs Java 17, and none is found." in done.stderr and "Nothing was compared." in done.stderr


def test_a_struct_is_compared_field_by_field(connection: duckdb.DuckDBPyConnection) -> None:
    """A probability in a struct is held to what holds for probabilities, and a difference names the field."""
    for table, p in (("a", 0.25), ("b", 0.25 + 1e-11)):
        connection.execute(
            f"create or replace table {table} as select 1 as study, 1 as pixel_id, {{'n': 3, 'all': [{{'p': cast({p!r} as double)}}]}} as fit union all select 1, 2, null"
        )
    assert result(connection).is_equal
    connection.execute(
        "create or replace table b as select study, pixel_id, {'n': fit.n + 1, 'all': fit.all} as fit from b"
    )
    assert any(problem.startswith("column fit.n: 1 values differ") for problem in result(connection).problems)
    connection.execute(
        "create or replace table b as select study, pixel_id, {'n': fit.n - 1, 'all': [{'p': fit.all[1].p + 1e-9}]} as fit from b"
    )
    assert any(problem.startswith("column fit.all.1.p: 1 values differ") for problem in result(connection).problems)
