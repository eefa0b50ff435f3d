"""The Python and the SQL of docs/bi.md and docs/desk.md run as they stand, on made-up marts."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import pytest

from serving.dashboards import bundle, dashboards
from serving.dictionary import dictionary
from serving.errors import ServingError
from serving.publish import publish
from soilhouse.cli import main
from tests.bi.marts import contracts, made_snapshot
from tests.warehouse import REPOSITORY


def blocks(page: str, language: str) -> list[str]:
    text = (REPOSITORY / "docs" / page).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory) -> Path:
    return made_snapshot(tmp_path_factory.mktemp("marts"))


PYTHON = [block for block in blocks("bi.md", "python") if "postgresql" not in block]


@pytest.mark.parametrize("block", PYTHON, ids=lambda b: b.split()[1])
def test_python_on_the_snapshot(block, snapshot):
    scope: dict = {}
    exec(block.replace("build/snapshot.duckdb", str(snapshot)), scope)
    found = next(scope[name] for name in ("months", "by_class", "rows") if name in scope)
    assert len(found) > 0


def test_python_and_sql_on_postgresql(server, database, snapshot):
    publish(snapshot, server.address(database), dictionary(REPOSITORY))
    (block,) = (block for block in blocks("bi.md", "python") if "postgresql" in block)
    scope: dict = {}
    exec(block.replace("anna@localhost/gis", server.address(database).split("//")[1]), scope)
    assert len(scope["rows"]) == 5
    view, panel = blocks("bi.md", "sql")
    server.query(database, view)
    server.query(database, "select * from public.trend_map")
    assert server.query(
        database, panel.replace("$__timeFilter(period_start)", "true").replace("layer = '0-5 cm'", "true")
    )


@pytest.mark.parametrize("sql", blocks("desk.md", "sql"), ids=range(4))
def test_queries_of_the_desk(sql, snapshot):
    with duckdb.connect(str(snapshot), read_only=True) as connection:
        connection.execute(sql)


def test_every_chart_is_of_columns_that_its_mart_has(snapshot):
    columns = contracts()
    names = [chart.name for dashboard in dashboards() for chart in dashboard.charts]
    assert len(names) == len(set(names)) >= 12
    with duckdb.connect(str(snapshot), read_only=True) as connection:
        for dashboard in dashboards():
            for chart in dashboard.charts:
                assert set(chart.columns) <= {name for name, _ in columns[chart.table]}, chart.name
                assert connection.execute(chart.sql()).fetchall(), chart.name


def test_dashboards_as_a_file(snapshot, tmp_path, capsys):
    target = tmp_path / "dashboards.zip"
    assert main(["publish", str(target), "--db", str(snapshot.with_name("soilhouse.duckdb"))]) == 0
    assert target.read_bytes() == bundle(snapshot, f"duckdb:///{snapshot}", "marts")[0], (
        "the same marts, the same archive"
    )
    part = tmp_path / "part_snapshot.duckdb"
    with duckdb.connect(str(part)) as connection:
        connection.execute("create schema marts; create table marts.fct_trends (trend_class varchar)")
    assert main(["publish", str(target), "--db", str(tmp_path / "part.duckdb")]) == 0
    assert (
        "note: dashboard Trends is without a part of it: the study has no fct_depth_profile" in capsys.readouterr().err
    )
    with pytest.raises(ServingError, match="no mart of any dashboard"):
        empty = tmp_path / "empty.duckdb"
        duckdb.connect(str(empty)).close()
        bundle(empty, "duckdb:///x", "marts")


def test_exposures_name_every_dashboard_and_its_marts():
    import yaml

    told = yaml.safe_load((REPOSITORY / "models" / "exposures.yml").read_text(encoding="utf-8"))["exposures"]
    by_name = {
        exposure["name"]: set(re.findall(r"ref\('(\w+)'\)", " ".join(exposure["depends_on"]))) for exposure in told
    }
    for dashboard in dashboards():
        assert by_name[f"dashboard_{dashboard.name}"] == {chart.table for chart in dashboard.charts}
    assert "report" in by_name
