"""Apache Superset, a real one, on the snapshot and on PostgreSQL: it lists the tables, takes the dashboards, and its charts have the marts' numbers."""

from __future__ import annotations

import duckdb
import psycopg2
import pytest

from serving.dashboards import Chart, bundle, dashboards
from serving.dictionary import dictionary
from serving.publish import publish
from tests.bi.marts import N_ROWS, made_snapshot
from tests.serving.postgres import PASSWORD
from tests.warehouse import REPOSITORY

CHARTS = [(dashboard, chart) for dashboard in dashboards() for chart in dashboard.charts]


@pytest.fixture(scope="module")
def imported(superset, snapshot):
    """The dashboards in Superset, reading the snapshot."""
    archive, left_out = bundle(snapshot, f"duckdb:///{snapshot}", "marts")
    assert not left_out
    superset.import_dashboards(archive)
    # A second time replaces, it does not add.
    superset.import_dashboards(archive)
    return superset


def in_superset(superset, chart: Chart) -> list[dict]:
    """The rows that Superset has for a chart, through the dataset it reads."""
    found = {c["slice_name"]: c for c in superset.get("/api/v1/chart/?q=(page_size:100)")["result"]}[chart.name]
    body = {"datasource": {"id": found["datasource_id"], "type": "table"}, "queries": [chart.query()], "result_format": "json", "result_type": "full", "force": True}  # fmt: skip
    return superset.post("/api/v1/chart/data", body)["result"][0]["data"]


def plain(value: object) -> object:
    """Superset gives dates as milliseconds since 1970."""
    import datetime

    if isinstance(value, datetime.date):
        return datetime.datetime(value.year, value.month, value.day, tzinfo=datetime.UTC).timestamp() * 1000
    return value


def rows_of(snapshot, chart: Chart) -> list[tuple]:
    with duckdb.connect(str(snapshot), read_only=True) as connection:
        return [tuple(plain(v) for v in row) for row in connection.execute(chart.sql()).fetchall()]


def same(found: list[dict], wanted: list[tuple]) -> None:
    """The same rows in any order, numbers to nine digits (JSON and PostgreSQL may write the last ones otherwise)."""

    def sortable(row: tuple) -> str:
        return repr([float(f"{v:.9g}") if isinstance(v, (int, float)) else v for v in row])

    assert len(wanted) > 0
    assert sorted(sortable(tuple(row.values())) for row in found) == sorted(map(sortable, wanted))


def test_the_dashboards_are_there_with_their_charts(imported):
    there = {d["slug"]: d for d in imported.get("/api/v1/dashboard/")["result"]}
    assert sorted(there) == sorted(f"soilhouse-{d.name.replace('_', '-')}" for d in dashboards())
    for dashboard in dashboards():
        found = there[f"soilhouse-{dashboard.name.replace('_', '-')}"]
        assert found["dashboard_title"] == dashboard.title
        charts = imported.get(f"/api/v1/dashboard/{found['id']}/charts")["result"]
        assert {c["slice_name"] for c in charts} == {c.name for c in dashboard.charts}
    assert len(imported.get("/api/v1/chart/?q=(page_size:100)")["result"]) == len(CHARTS)


def test_tables_and_descriptions_are_listed(imported):
    database = imported.get("/api/v1/database/")["result"][0]["id"]
    listed = imported.get(f"/api/v1/database/{database}/tables/?q=(schema_name:marts)")["result"]
    assert {chart.table for _, chart in CHARTS} | {"dim_pixel"} <= {t["value"] for t in listed}
    datasets = {d["table_name"]: d["id"] for d in imported.get("/api/v1/dataset/?q=(page_size:100)")["result"]}
    columns = imported.get(f"/api/v1/dataset/{datasets['fct_monthly_statistics']}")["result"]["columns"]
    described = dictionary(REPOSITORY)["fct_monthly_statistics"].columns
    assert {c["column_name"]: c["description"] for c in columns} == described


@pytest.mark.parametrize("chart", [chart for _, chart in CHARTS], ids=lambda c: c.name)
def test_a_chart_has_the_numbers_of_its_mart(imported, snapshot, chart):
    same(in_superset(imported, chart), rows_of(snapshot, chart))


def test_it_sees_a_new_snapshot_and_cannot_write(imported, snapshot):
    chart = next(c for _, c in CHARTS if c.table == "fct_factor_detector" and c.kind == "heatmap")
    before = rows_of(snapshot, chart)
    made_snapshot(snapshot.parent, first=10.0)
    after = rows_of(snapshot, chart)
    assert after != before
    same(in_superset(imported, chart), after)
    database = imported.get("/api/v1/database/")["result"][0]["id"]
    for statement in ("create table marts.hack as select 1 as a", "delete from marts.dim_pixel"):
        body = {"database_id": database, "sql": statement, "schema": "marts", "runAsync": False, "queryLimit": 10}
        with pytest.raises(AssertionError, match=r"DML|read-only|not allowed|only SELECT"):
            imported.post("/api/v1/sqllab/execute/", body)
    assert len(rows_of(snapshot, Chart("n", "dim_pixel", "table", "count(*)", "n", by=("pixel_id",)))) == N_ROWS


def test_the_same_dashboards_on_postgresql(superset, imported, server, snapshot, monkeypatch):
    server.create_database("bi")
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    publish(snapshot, server.address("bi"), dictionary(REPOSITORY))
    server.query("bi", f"create role analyst login password '{PASSWORD}' in role soilhouse_reader")
    # Superset keeps passwords in its own database, encrypted.
    from urllib.parse import quote

    uri = f"postgresql+psycopg2://analyst:{quote(PASSWORD, safe='')}@127.0.0.1:{server.port}/bi"
    made = superset.post(
        "/api/v1/database/", {"database_name": "published", "sqlalchemy_uri": uri, "expose_in_sqllab": True}
    )
    listed = superset.get(f"/api/v1/database/{made['id']}/tables/?q=(schema_name:soilhouse)")["result"]
    assert {chart.table for _, chart in CHARTS} <= {t["value"] for t in listed}
    for chart in {chart.table: chart for _, chart in CHARTS}.values():
        # With its records in SQLite Superset takes each name of a table once, and these are those of the snapshot's.
        told = {"table_name": f"{chart.table} (PostgreSQL)", "sql": f"select * from soilhouse.{chart.table}"}
        dataset = superset.post("/api/v1/dataset/", {"database": made["id"], "schema": "soilhouse", **told})
        body = {"datasource": {"id": dataset["id"], "type": "table"}, "queries": [chart.query()], "result_format": "json", "result_type": "full"}  # fmt: skip
        found = superset.post("/api/v1/chart/data", body)["result"][0]["data"]
        same(found, rows_of(snapshot, chart))
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        server.query("bi", "delete from soilhouse.dim_pixel", user="analyst")
