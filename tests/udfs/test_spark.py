"""The kernels on Spark: the same numbers, and the wrapper standing in for the binding that Spark does not do."""

from __future__ import annotations

import os
import sys

import duckdb
import pytest

import udfs
from soilhouse.errors import UserError
from soilhouse.java import require_java

pytestmark = pytest.mark.spark

TEN = "(select cast(id as int) as i, cast(id * id % 7 as double) as v from range(10))"
SERIES = "collect_list(named_struct('t', {t}, 'v', {v}))"


@pytest.fixture(scope="module")
def spark(tmp_path_factory):
    # Deselected by default: who asks for these tests wants them run, and one that is skipped has shown nothing.
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
    udfs.register_spark(session)
    yield session
    session.stop()


LITERALS = (
    "discretize([1.0, 2.5, 7.0, 8.0, 30.0], 'natural', 3)",
    "candidate_breaks([1.0, 2.5, 7.0, 8.0, 30.0], 'equal,natural', 2, 3, 10)",
    "stratum_of(7.0, [1.0, 2.5, 8.0, 30.0])",
    "best_partition([{'cell': 1, 'n': 4::bigint, 'sum_deviation': 1.5::double},"
    " {'cell': 2, 'n': 3::bigint, 'sum_deviation': -1.5::double}], 3)",
    "permuted_q([{'row_index': 0, 'col_index': 0, 'deviation': 1.0::double, 'cell': 1},"
    " {'row_index': 0, 'col_index': 1, 'deviation': -2.0::double, 'cell': 1},"
    " {'row_index': 1, 'col_index': 0, 'deviation': 0.5::double, 'cell': 2},"
    " {'row_index': 1, 'col_index': 1, 'deviation': 0.5::double, 'cell': 2}],"
    " [{'candidate': 1, 'upper_cell': 1}, {'candidate': 1, 'upper_cell': 2}], 0.3, 9, 1)",
    "partial_regression([{'y': 1.1::double, 'x': [1.0::double]}, {'y': 2.3::double, 'x': [2.0::double]},"
    " {'y': 2.8::double, 'x': [3.0::double]}, {'y': 4.4::double, 'x': [4.0::double]},"
    " {'y': 4.6::double, 'x': [5.0::double]}])",
    "semivariogram([{'row_index': 0, 'col_index': 0, 'v': 1.0::double}, {'row_index': 0, 'col_index': 2, 'v': 4.0::double},"
    " {'row_index': 3, 'col_index': 0, 'v': 2.5::double}], 100.0::double, 90.0::double, 400.0::double, 4)",
    "semivariogram_geodesic([{'row_index': 0, 'col_index': 0, 'lon': 100.0::double, 'lat': 40.0::double, 'v': 1.0::double},"
    " {'row_index': 1, 'col_index': 1, 'lon': 100.1::double, 'lat': 39.9::double, 'v': 3.0::double}], 50000.0::double, 5)",
    "semivariogram_map([{'row_index': 0, 'col_index': 0, 'lon': 100.0::double, 'lat': 40.0::double, 'v': 1.0::double},"
    " {'row_index': 1, 'col_index': 1, 'lon': 100.1::double, 'lat': 39.9::double, 'v': 3.0::double}], 50000.0::double, 5)",
    "fit_semivariogram([{'lag_m': 1.0::double, 'n_pairs': 40::bigint, 'semivariance': 0.5::double},"
    " {'lag_m': 2.0::double, 'n_pairs': 70::bigint, 'semivariance': 0.8::double},"
    " {'lag_m': 3.0::double, 'n_pairs': 90::bigint, 'semivariance': 0.9::double}], 'spherical', 'n_over_h2', 0.0::double)",
    "krige_weights([{'id': 1::bigint, 'x_m': 0.0::double, 'y_m': 0.0::double}, {'id': 2::bigint, 'x_m': 5.0::double, 'y_m': 1.0::double}],"
    " 1.0::double, 2.0::double, 'exponential', 0.1::double, 1.0::double, 4.0::double)",
    "ordinary_kriging([{'x_m': 0.0::double, 'y_m': 0.0::double, 'v': 3.0::double}, {'x_m': 5.0::double, 'y_m': 1.0::double, 'v': 4.0::double}],"
    " 1.0::double, 2.0::double, 'exponential', 0.1::double, 1.0::double, 4.0::double)",
    # With models: test_downscaling_spark.py.
    "train_downscaler([{'pixel_id': 1::bigint, 'obs_day': 20200101, 'target': 0.2::double, 'block_id': 1, 'features': [1.0::float]}],"
    " null, 'all', 'models')",
    "predict_soil_moisture(null, [0.3::float, 12.0::float])",
)
"""Calls whose arguments are written out, as DuckDB spells lists and structs."""


def spelled_for_spark(query: str) -> str:
    for ours, theirs in (("[", "array("), ("]", ")"), ("{", "named_struct("), ("}", ")"), ("': ", "', ")):
        query = query.replace(ours, theirs)
    return query


def plain(value):
    """Rows as dicts, lists as lists: what DuckDB gives."""
    if hasattr(value, "asDict"):
        return {name: plain(member) for name, member in value.asDict().items()}
    return [plain(member) for member in value] if isinstance(value, list) else value


def one(spark, query: str):
    return plain(spark.sql(query).collect()[0][0])


@pytest.fixture(scope="module")
def expected():
    with duckdb.connect() as connection:
        udfs.register(connection)
        built = "list({'t': i::integer, 'v': (i * i % 7)::double})"
        queries = {
            "mann_kendall": f"mann_kendall({built})",
            "theil_sen": f"theil_sen({built})",
            "fill_gaps": f"fill_gaps({built}, 3)",
            "savitzky_golay": f"savitzky_golay({built}, 2, 1)",
            "f_p": "f_p(4.0, 3, 20)",
            "noncentral_f_p": "noncentral_f_p(4.0, 3, 20, 2.5)",
            "t_p": "t_p(-2.1, 18)",
            "chi2_quantile": "chi2_quantile(0.975, 20)",
            "normal_quantile": "normal_quantile(0.975)",
        }
        found = {
            name: (
                query.replace(built, SERIES.format(t="i", v="v")),
                connection.execute(f"select {query} from range(10) as r(i)").fetchone()[0],
            )
            for name, query in queries.items()
        }
        for query in LITERALS:
            name = query.split("(")[0]
            found[name] = (spelled_for_spark(query), connection.execute(f"select {query}").fetchone()[0])
        assert set(found) == {kernel.name for kernel in udfs.KERNELS}
        return found


@pytest.mark.parametrize("name", [kernel.name for kernel in udfs.KERNELS])
def test_the_same_numbers_as_on_duckdb(spark, expected, name):
    call, value = expected[name]
    source = TEN if "collect_list" in call else "range(1)"
    assert one(spark, f"select {call} from {source}") == value


@pytest.mark.parametrize(
    ("t", "v"),
    [
        ("cast(i as bigint)", "v"),
        ("cast(i as smallint)", "v"),
        ("i", "cast(v as float)"),
        ("i", "cast(v as int)"),
        ("i", "cast(v as decimal(9, 3))"),
    ],
)
def test_number_types_are_taken(spark, expected, t, v):
    assert one(spark, f"select theil_sen({SERIES.format(t=t, v=v)}) from {TEN}") == expected["theil_sen"][1]


def test_fields_go_by_name(spark, expected):
    turned = "collect_list(named_struct('v', v, 't', i))"
    assert one(spark, f"select theil_sen({turned}) from {TEN}") == expected["theil_sen"][1]


@pytest.mark.parametrize(
    ("built", "message"),
    [
        (
            "collect_list(named_struct('t', date_add(date'2020-01-01', i), 'v', v))",
            "field t: expected INTEGER, got date32",
        ),
        ("collect_list(named_struct('t', cast(i as double), 'v', v))", "field t: expected INTEGER, got DOUBLE"),
        ("collect_list(named_struct('year', i, 'value', v))", "expected a struct of t, v, got one of year, value"),
        ("collect_list(named_struct('t', i + 3000000000, 'v', v))", "field t: .*INTEGER"),
    ],
)
def test_what_does_not_fit_is_named(spark, built, message):
    with pytest.raises(Exception, match=f"theil_sen, argument series, {message}|theil_sen, argument series: {message}"):
        spark.sql(f"select theil_sen({built}) from {TEN}").collect()


@pytest.mark.parametrize("argument", ["NULL", "array()", "cast(NULL as array<struct<t:int,v:double>>)", "array(NULL)"])
def test_nothing_to_work_on_is_null(spark, argument):
    assert one(spark, f"select theil_sen({argument})") is None


def test_filled_series_are_smoothed(spark, expected):
    filled = f"fill_gaps({SERIES.format(t='i', v='v')}, 3)"
    call = f"savitzky_golay(transform({filled}, x -> named_struct('t', x.t, 'v', x.v)), 2, 1)"
    assert one(spark, f"select {call} from {TEN}") == expected["savitzky_golay"][1]


def test_dbts_session_has_the_kernels(spark):
    """The plugin wraps the cursor of dbt-spark's in-process session."""
    from dbt.adapters.spark import session
    from pyspark.sql import SparkSession

    import dbt_soilhouse

    original = session.Cursor.execute
    try:
        dbt_soilhouse.SparkKernels("soilhouse").initialize()
        dbt_soilhouse.SparkKernels("soilhouse").initialize()
        assert session.Cursor.execute is not original
        fresh = SparkSession.builder.getOrCreate()
        fresh.sql("drop temporary function if exists normal_quantile")
        if hasattr(fresh, "has_soilhouse_kernels"):
            del fresh.has_soilhouse_kernels
        with session.Cursor(server_side_parameters={}) as cursor:
            cursor.execute("select normal_quantile(0.5) as z")
            assert cursor.fetchone()[0] == 0.0
    finally:
        session.Cursor.execute = original
