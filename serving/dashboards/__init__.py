"""Dashboards as code: what each shows is a YAML file here, from which the archive is made that Apache Superset imports.

A chart names a mart, what lies on its axes and one value in SQL. The archive holds the connection, the marts as datasets with their
columns' descriptions, the charts and the dashboards; everything has the same identifier in every archive, so that a later one adds nothing
twice. (Superset replaces dashboards then, and keeps a connection and datasets of these identifiers as it has them.)
"""

from __future__ import annotations

import io
import uuid
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import yaml

from serving.errors import ServingError
from serving.snapshot import SCHEMA

FOLDER = Path(__file__).parent
DATABASE = "Soilhouse"
_IDENTIFIERS = uuid.UUID("5e1c2b0a-7d0e-5c4c-9d5f-0b1a7f6a3c11")
_KINDS = {
    "line": "echarts_timeseries_line",
    "area": "echarts_area",
    "bar": "echarts_timeseries_bar",
    "heatmap": "heatmap_v2",
    "table": "table",
}
_ROW_LIMIT = 50_000
# Superset lays charts out on twelve columns.
_WIDTH, _HEIGHT = 12, 50


@dataclass(frozen=True)
class Chart:
    """One chart: `kind` of _KINDS, `x` and `by` columns of `table` (a heat map has `y`), `value` in SQL with its `label`, `where` in SQL."""

    name: str
    table: str
    kind: str
    value: str
    label: str
    x: str | None = None
    y: str | None = None
    by: tuple[str, ...] = ()
    where: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column by which the chart's query groups."""
        return tuple(dict.fromkeys(c for c in (self.x, self.y, *self.by) if c))

    @property
    def metric(self) -> dict[str, str]:
        """The value as Superset's API has it."""
        return {"expressionType": "SQL", "sqlExpression": self.value, "label": self.label}

    def query(self) -> dict[str, Any]:
        """What to post below `queries` to Superset's /api/v1/chart/data for the chart's numbers."""
        extras = {"where": f"({self.where})"} if self.where else {}
        return {"columns": list(self.columns), "metrics": [self.metric], "extras": extras, "row_limit": _ROW_LIMIT}

    def sql(self, schema: str = SCHEMA) -> str:
        """The same as SQL, for any other client."""
        columns = ", ".join(self.columns)
        where = f" where {self.where}" if self.where else ""
        return f'select {columns}, {self.value} as "{self.label}" from {schema}.{self.table}{where} group by {columns}'


@dataclass(frozen=True)
class Dashboard:
    """A dashboard by the name of its file, and its charts."""

    name: str
    title: str
    description: str
    charts: tuple[Chart, ...]


def dashboards() -> list[Dashboard]:
    """Every dashboard, by name."""
    return [_read(path) for path in sorted(FOLDER.glob("*.yml"))]


def _read(path: Path) -> Dashboard:
    told = yaml.safe_load(path.read_text(encoding="utf-8"))
    charts = tuple(
        Chart(
            name=chart["name"],
            table=chart["table"],
            kind=chart["kind"],
            value=chart["value"]["sql"],
            label=chart["value"]["label"],
            x=chart.get("x"),
            y=chart.get("y"),
            by=tuple(chart.get("by", ())),
            where=chart.get("where", ""),
        )
        for chart in told["charts"]
    )
    return Dashboard(path.stem, told["title"], told["description"], charts)


def bundle(snapshot: Path, uri: str, schema: str) -> tuple[bytes, dict[str, str]]:
    """The archive to import into Superset (its bytes), and by dashboard or chart what it lacks and was therefore left out.

    `uri` is SQLAlchemy's of the database that Superset is to read, `duckdb:////path/snapshot.duckdb` or `postgresql+psycopg2://...`,
    and `schema` the one of the marts in it; names and types of columns are taken from the snapshot. Raises ServingError when that is
    missing, or holds no mart of any dashboard.
    """
    if not snapshot.exists():
        raise ServingError(f"There is no snapshot {snapshot}.", "`soilhouse build` writes it.")
    with duckdb.connect(str(snapshot), read_only=True) as connection:
        columns: dict[str, list[tuple[str, str, str | None]]] = {}
        for table, *column in connection.execute(
            "select table_name, column_name, data_type, comment from duckdb_columns() where schema_name = $1"
            " and database_name = current_database() order by table_name, column_index",
            [SCHEMA],
        ).fetchall():
            columns.setdefault(table, []).append(tuple(column))
    left_out, files = {}, {}
    for dashboard in dashboards():
        there = [chart for chart in dashboard.charts if chart.table in columns]
        missing = sorted({chart.table for chart in dashboard.charts if chart.table not in columns})
        if missing:
            left_out[dashboard.title] = f"the study has no {', '.join(missing)}"
        if there:
            files |= _dashboard_files(dashboard, there)
            for chart in there:
                files[f"datasets/{DATABASE}/{chart.table}.yaml"] = _dataset(chart.table, schema, columns[chart.table])
                files[f"charts/{dashboard.name}_{_slug(chart.name)}.yaml"] = _chart(dashboard, chart)
    if not files:
        raise ServingError(
            f"{snapshot} has no mart of any dashboard.",
            "Build a study with the groups patterns, trends, drivers or validation.",
        )
    files[f"databases/{DATABASE}.yaml"] = _database(uri)
    # The time is a fixed one: the same marts give the same archive.
    files["metadata.yaml"] = {"version": "1.0.0", "type": "Dashboard", "timestamp": "2000-01-01T00:00:00+00:00"}
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in sorted(files.items()):
            entry = zipfile.ZipInfo(f"soilhouse/{name}", (2000, 1, 1, 0, 0, 0))
            archive.writestr(entry, yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
    return target.getvalue(), left_out


def _identifier(*names: str) -> str:
    return str(uuid.uuid5(_IDENTIFIERS, "/".join(names)))


def _slug(name: str) -> str:
    return "_".join("".join(c if c.isalnum() else " " for c in name.lower()).split())


def _database(uri: str) -> dict[str, Any]:
    # DuckDB must be told that it only reads: a file that one process may write is closed to all others.
    arguments = {"engine_params": {"connect_args": {"read_only": True}}} if uri.startswith("duckdb") else {}
    return {
        "database_name": DATABASE,
        "sqlalchemy_uri": uri,
        "cache_timeout": None,
        "expose_in_sqllab": True,
        "allow_run_async": False,
        "allow_ctas": False,
        "allow_cvas": False,
        "allow_dml": False,
        "extra": arguments,
        "uuid": _identifier("database"),
        "version": "1.0.0",
    }


def _dataset(table: str, schema: str, columns: Sequence[tuple[str, str, str | None]]) -> dict[str, Any]:
    dates = [name for name, kind, _ in columns if kind == "DATE"]
    return {
        "table_name": table,
        "schema": schema,
        "main_dttm_col": dates[0] if dates else None,
        "sql": None,
        "columns": [
            {
                "column_name": name,
                "type": kind,
                "is_dttm": kind == "DATE",
                "is_active": True,
                "groupby": True,
                "filterable": True,
                "description": comment,
            }
            for name, kind, comment in columns
        ],
        "metrics": [{"metric_name": "count", "verbose_name": "rows", "expression": "count(*)", "metric_type": "count"}],
        "uuid": _identifier("dataset", table),
        "database_uuid": _identifier("database"),
        "version": "1.0.0",
    }


def _chart(dashboard: Dashboard, chart: Chart) -> dict[str, Any]:
    filters = [{"expressionType": "SQL", "clause": "WHERE", "sqlExpression": chart.where}] if chart.where else []
    shown: dict[str, Any] = {"viz_type": _KINDS[chart.kind], "adhoc_filters": filters, "row_limit": _ROW_LIMIT}
    if chart.kind == "table":
        shown |= {"query_mode": "aggregate", "groupby": list(chart.columns), "metrics": [chart.metric]}
    elif chart.kind == "heatmap":
        # A palette from light to dark is read by everybody, in print too.
        shown |= {
            "x_axis": chart.x,
            "groupby": chart.y,
            "metric": chart.metric,
            "linear_color_scheme": "blue_white_yellow",
        }
    else:
        shown |= {"x_axis": chart.x, "groupby": list(chart.by), "metrics": [chart.metric], "show_legend": True}
        shown |= {"stack": "Stack"} if chart.kind == "area" else {}
    return {
        "slice_name": chart.name,
        "description": f"{chart.table}: {chart.sql()}",
        "viz_type": _KINDS[chart.kind],
        "params": shown,
        "cache_timeout": None,
        "uuid": _identifier("chart", dashboard.name, chart.name),
        "dataset_uuid": _identifier("dataset", chart.table),
        "version": "1.0.0",
    }


def _dashboard_files(dashboard: Dashboard, charts: Sequence[Chart]) -> Mapping[str, Any]:
    position: dict[str, Any] = {
        "DASHBOARD_VERSION_KEY": "v2",
        "ROOT_ID": {"type": "ROOT", "id": "ROOT_ID", "children": ["GRID_ID"]},
        "GRID_ID": {"type": "GRID", "id": "GRID_ID", "children": [], "parents": ["ROOT_ID"]},
        "HEADER_ID": {"type": "HEADER", "id": "HEADER_ID", "meta": {"text": dashboard.title}},
    }
    for number, chart in enumerate(charts, 1):
        row, place = f"ROW-{number}", f"CHART-{number}"
        identifier = _identifier("chart", dashboard.name, chart.name)
        position["GRID_ID"]["children"].append(row)
        position[row] = {
            "type": "ROW", "id": row, "children": [place], "parents": ["ROOT_ID", "GRID_ID"], "meta": {"background": "BACKGROUND_TRANSPARENT"},
        }  # fmt: skip
        position[place] = {
            "type": "CHART", "id": place, "children": [], "parents": ["ROOT_ID", "GRID_ID", row],
            "meta": {"width": _WIDTH, "height": _HEIGHT, "chartId": number, "sliceName": chart.name, "uuid": identifier},
        }  # fmt: skip
    return {
        f"dashboards/{dashboard.name}.yaml": {
            "dashboard_title": dashboard.title,
            "description": dashboard.description,
            "css": None,
            "slug": f"soilhouse-{dashboard.name.replace('_', '-')}",
            "uuid": _identifier("dashboard", dashboard.name),
            "position": position,
            "metadata": {"color_scheme": "supersetColors"},
            "version": "1.0.0",
        }
    }
