"""The kernels in DuckDB sessions: what binds, what is refused, and that the way of calling changes no number."""

from __future__ import annotations

import subprocess
import sys

import duckdb
import pytest

import udfs
from udfs import KERNELS

SERIES = "STRUCT(t INTEGER, v DOUBLE)[]"
TEN = "(select i::integer as i, (i * i % 7)::double as v from range(10) as r(i))"


@pytest.fixture(scope="module")
def connection():
    with duckdb.connect(config={"threads": 2}) as connection:
        udfs.register(connection)
        yield connection


def one(connection, query: str):
    return connection.execute(query).fetchone()[0]


@pytest.fixture(scope="module")
def expected(connection):
    return one(connection, f"select theil_sen(list({{'t': i, 'v': v}})) from {TEN}")


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.name)
def test_examples_run(connection, kernel):
    rows = connection.execute(kernel.example).fetchall()
    assert rows
    assert all(value is not None for row in rows for value in row)


@pytest.mark.parametrize(
    ("t", "v"), [("i::smallint", "v"), ("i", "v::float"), ("i", "v::integer"), ("i", "v::decimal(9, 3)")]
)
def test_narrower_numbers_bind(connection, expected, t, v):
    assert one(connection, f"select theil_sen(list({{'t': {t}, 'v': {v}}})) from {TEN}") == expected


@pytest.mark.parametrize("t", ["i::bigint", "i::double", "i::varchar", "date '2020-01-01' + i"])
def test_other_types_are_refused_and_a_cast_mends_it(connection, expected, t):
    built = f"list({{'t': {t}, 'v': v}})"
    with pytest.raises(duckdb.BinderException, match="theil_sen"):
        connection.execute(f"select theil_sen({built}) from {TEN}")
    if "date" not in t:
        assert one(connection, f"select theil_sen({built}::{SERIES}) from {TEN}") == expected


def test_fields_go_by_name(connection, expected):
    assert one(connection, f"select theil_sen(list({{'v': v, 't': i}})) from {TEN}") == expected
    assert one(connection, f"select theil_sen(list({{'T': i, 'V': v}})) from {TEN}") == expected
    with pytest.raises(duckdb.BinderException):
        connection.execute(f"select theil_sen(list({{'year': i, 'value': v}})) from {TEN}")


@pytest.mark.parametrize(
    "argument",
    [
        "NULL",
        f"NULL::{SERIES}",
        "[]",
        f"[]::{SERIES}",
        "[NULL, NULL]",
        "[{'t': 1, 'v': NULL}]",
        "[{'t': 1, 'v': 'nan'::double}]",
    ],
)
def test_nothing_to_work_on_is_null(connection, argument):
    assert one(connection, f"select theil_sen({argument})") is None
    assert one(connection, f"select mann_kendall({argument})") is None
    assert one(connection, f"select fill_gaps({argument}, 3)") is None
    assert one(connection, f"select savitzky_golay({argument}, 2, 1)") is None


def test_null_members_are_dropped(connection):
    series = "[{'t': 1, 'v': 1.0}, NULL, {'t': 3, 'v': 5.0}, {'t': 2, 'v': NULL}, {'t': NULL, 'v': 9.0}]"
    assert one(connection, f"select (theil_sen({series}::{SERIES})).slope") == 2.0
    assert one(connection, f"select (theil_sen({series}::{SERIES})).n") == 2


def test_constants_dictionaries_and_many_rows_give_the_same(connection, expected):
    literal = "[" + ", ".join(f"{{'t': {i}, 'v': {i * i % 7}::double}}" for i in range(10)) + "]"
    assert one(connection, f"select theil_sen({literal})") == expected
    assert one(connection, f"select distinct theil_sen({literal}) from range(5000)") == expected
    # A join repeats one list by reference (a dictionary vector), over several chunks of 2,048 rows.
    rows = connection.execute(
        f"select distinct theil_sen(s) from (select list({{'t': i, 'v': v}}) as s from {TEN}) cross join range(5000)"
    ).fetchall()
    assert rows == [(expected,)]


def test_a_table_of_many_chunks_is_its_rows_one_by_one(connection):
    connection.execute(
        """create or replace temp table wide as
        select p, case when p % 11 <> 0 then list({'t': i::integer, 'v': case when hash(p, i) % 5 > 0 then hash(i, p) % 97 / 7.0::double end}) end as s
        from range(6000) as a(p), range(12) as b(i) group by p order by p"""
    )
    n, nulls, total = connection.execute(
        "select count(*), count(*) - count(theil_sen(s)), sum((mann_kendall(s)).s) from wide"
    ).fetchone()
    assert (n, nulls) == (6000, 546)
    some = connection.execute("select s, theil_sen(s), mann_kendall(s) from wide where p % 397 = 3").fetchall()
    assert len(some) == 16
    for series, line, test in some:
        if series is None:
            assert line is test is None
            continue
        members = [f"{{'t': {m['t']}, 'v': {'NULL' if m['v'] is None else repr(m['v'])}::double}}" for m in series]
        assert one(connection, f"select theil_sen([{', '.join(members)}])") == line
        assert one(connection, f"select mann_kendall([{', '.join(members)}])") == test
    assert total == sum(r[0] or 0 for r in connection.execute("select (mann_kendall(s)).s from wide").fetchall())


def test_integers_and_literals_bind_to_scalar_kernels(connection):
    assert one(connection, "select f_p(4, 3, 20)") == one(connection, "select f_p(4.0::float, 3::bigint, 20.0)")
    assert one(connection, "select t_p(NULL, 5)") is None


def test_errors_name_the_kernel(connection):
    series = "[{'t': 1, 'v': 1.0::double}]"
    with pytest.raises(duckdb.InvalidInputException, match="fill_gaps: max_gap is -1"):
        connection.execute(f"select fill_gaps({series}, -1)").fetchall()
    with pytest.raises(duckdb.InvalidInputException, match="savitzky_golay: order 5 with half_width 2"):
        connection.execute(f"select savitzky_golay({series}, 2, 5)").fetchall()


def test_registering_twice_and_from_other_connections(tmp_path):
    with duckdb.connect(tmp_path / "x.duckdb") as first:
        udfs.register(first)
        udfs.register(first)
        udfs.register(first.cursor())
        with duckdb.connect(tmp_path / "x.duckdb") as second:
            udfs.register(second)
            assert one(second, "select normal_quantile(0.5)") == 0.0
        assert one(first, "select normal_quantile(0.5)") == 0.0
        assert one(first.cursor(), "select normal_quantile(0.5)") == 0.0


def test_a_macro_of_the_same_name_is_not_overlooked():
    with duckdb.connect() as connection:
        connection.execute("create macro t_p(t, df) as 1")
        with pytest.raises(duckdb.CatalogException, match="t_p"):
            udfs.register(connection)


def test_registering_is_cheap_and_compiles_nothing():
    code = (
        "import sys, time, duckdb, pyarrow; start = time.process_time(); import udfs; "
        "udfs.register(duckdb.connect()); print(time.process_time() - start); "
        "print(sum(len(f.signatures) for m in ('trend', 'series', 'preparation') "
        "for f in vars(sys.modules['udfs.' + m]).values() if hasattr(f, 'signatures'))); "
        "print(sorted({'scipy.special', 'scipy.stats', 'pyspark', 'dbt'} & set(sys.modules)))"
    )
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split(
        "\n"
    )
    assert float(printed[0]) < 1.0
    assert printed[1:3] == ["0", "[]"]
