"""A snapshot with the tables of every dashboard, their columns and types as the contracts say, and a few rows in each."""

from __future__ import annotations

import random
from datetime import date
from pathlib import Path

import duckdb
import yaml

from serving.dashboards import dashboards
from serving.dictionary import dictionary
from serving.snapshot import write_snapshot
from tests.serving.generations import TRIANGLE
from tests.warehouse import REPOSITORY

_TYPES = {"string": "varchar", "int": "integer"}
N_ROWS = 40
# What the dashboards' filters ask for, so that every chart has something to show.
_ASKED = {
    "variable": "soil_moisture", "period_kind": "all", "reference_kind": "pixel_month", "scale_months": 1, "class_order": -2, "q_rank": 1,
    "unit_kind": "station", "season": "annual", "on_values": "raw", "scaling": "none",
}  # fmt: skip


def contracts() -> dict[str, list[tuple[str, str]]]:
    """Columns and types of every mart, as its YAML has them."""
    found = {}
    for path in sorted((REPOSITORY / "models" / "marts").rglob("*.yml")):
        for model in yaml.safe_load(path.read_text(encoding="utf-8")).get("models", ()):
            found[model["name"]] = [(c["name"], _TYPES.get(c["data_type"], c["data_type"])) for c in model["columns"]]
    return found


def made_snapshot(folder: Path, first: float = 0.0) -> Path:
    """The numbers are random, from `first` on, and the same every time."""
    chance = random.Random(3)
    database = folder / "soilhouse.duckdb"
    database.unlink(missing_ok=True)
    tables = {chart.table for dashboard in dashboards() for chart in dashboard.charts} | {
        "dim_pixel",
        "dim_region_geometry",
        "fct_desk_state",
    }
    with duckdb.connect(str(database)) as connection:
        connection.execute("create schema marts")
        for table in sorted(tables):
            columns = contracts()[table]
            connection.execute(f"create table marts.{table} ({', '.join(f'{n} {t}' for n, t in columns)})")
            rows = [[_value(name, kind, row, chance, table, first) for name, kind in columns] for row in range(N_ROWS)]
            connection.executemany(f"insert into marts.{table} values ({', '.join('?' * len(columns))})", rows)
    return write_snapshot(database, folder / "snapshot.duckdb", dictionary(REPOSITORY)).path


def _value(name: str, kind: str, row: int, chance: random.Random, table: str, first: float) -> object:
    if name == "period_kind" and table.startswith("fct_desk"):
        return "dekad"
    if name in _ASKED:
        return _ASKED[name]
    if name == "study":
        return "made"
    if name == "geometry_wkb_hex":
        return TRIANGLE
    if kind == "date":
        return date(2020, 1 + row % 12, 1)
    if kind == "varchar":
        return f"{name}_{row % 4 if name in ('product', 'layer', 'factor', 'factor_1') else row}"
    if kind == "boolean":
        return row % 2 == 0
    return row if kind in ("bigint", "integer") else first + chance.random() / 2
