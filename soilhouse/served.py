"""What `report` and `export` read: an open database of marts, and what is known of the study in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb

from serving.snapshot import snapshot_of
from soilhouse.console import err
from soilhouse.database import explain
from soilhouse.demo_mark import simulated_products
from soilhouse.errors import UserError
from soilhouse.settings import Settings
from soilhouse.study import given_default_study, read_study_file, with_defaults

NOTHING_MEASURED = "Nothing in it was measured."


@dataclass(frozen=True)
class Served:
    """A study as its file tells it; `simulated` is the reason why it must be called so, empty for measured data."""

    name: str
    title: str
    period_start: date | None
    period_end: date | None
    time_zone: str
    paper: str
    groups: tuple[str, ...]
    alpha: float
    simulated: str


@contextmanager
def opened(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """The database, read-only; its snapshot while another process writes it. Raises UserError when there is none to read."""
    database = settings.database
    if settings.target != "duckdb":
        raise UserError(
            "Reports and exports are made from a DuckDB database.", "Build the study with --target duckdb, or leave SOILHOUSE_TARGET out."
        )  # fmt: skip
    snapshot = snapshot_of(database)
    if not database.is_file():
        if not snapshot.is_file():
            raise UserError(
                f"There is no database {database}.",
                "soilhouse build STUDY.yml makes it (soilhouse demo one of simulated data); --db FILE reads another one.",
            )
        database = snapshot
    try:
        connection = duckdb.connect(str(database), read_only=True)
    except duckdb.Error as error:
        if "Could not set lock" not in str(error) or not snapshot.is_file():
            raise explain(error, database) from None
        err.print(f"note: {database} is being written; {snapshot} is read instead", markup=False)
        connection = duckdb.connect(str(snapshot), read_only=True)
    try:
        if not connection.execute("select 1 from duckdb_columns() where schema_name = 'marts' limit 1").fetchone():
            raise UserError(f"{database} holds no marts.", "soilhouse build STUDY.yml makes them.")
        yield connection
    finally:
        connection.close()


def path_of(connection: duckdb.DuckDBPyConnection) -> Path:
    """The file of an open database."""
    (path,) = connection.execute(
        "select path from duckdb_databases() where database_name = current_database()"
    ).fetchone()
    return Path(path)


def products_of(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """The products that an open database was made of, sorted; none where only a part of a study was built."""
    try:
        return [
            row[0] for row in connection.execute("select product from marts.dim_product order by product").fetchall()
        ]
    except duckdb.CatalogException:
        return []


def served(settings: Settings, connection: duckdb.DuckDBPyConnection, study_file: str | None) -> Served:
    """The study of an open database: from its file, else the project's study of that name, else only its name.

    Raises UserError (code 2) where the file is of another study than the database, or the database of several.
    """
    path = path_of(connection)
    names = _names(connection)
    if len(names) != 1:
        found = ", ".join(names) or "none"
        raise UserError(
            f"{path} must hold one study and holds {found}.", "Build a study whole: soilhouse build STUDY.yml"
        )
    given = _given(settings, names[0], study_file)
    if given and given.get("name") != names[0]:
        raise UserError(
            f"{path} holds the study {names[0]}, and {study_file} is {given.get('name')}.",
            "Build that study first, or name the database that holds it: --db FILE.",
            2,
        )
    study: dict[str, Any] = with_defaults(given or {"name": names[0]})
    period = study.get("period") or {}
    return Served(
        name=names[0],
        title=study.get("title") or names[0],
        period_start=period.get("start"),
        period_end=period.get("end"),
        time_zone=study["time_zone"] if given else "",
        paper=study.get("paper") or "",
        groups=tuple(study["groups"]) if given else (),
        alpha=float(study["trends"]["alpha"]),
        simulated=_simulated(settings, connection, study),
    )


def _names(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """The studies that the marts say they are of: one row of each is read, since a table is of one study."""
    tables = connection.execute(
        "select table_name from duckdb_columns() where schema_name = 'marts' and column_name = 'study'"
        " and database_name = current_database() order by all"
    ).fetchall()
    found = set()
    for (table,) in tables:
        try:
            found |= set(connection.execute(f'select study from marts."{table}" limit 1').fetchone() or ())
        except duckdb.Error:  # a view over files that are gone
            continue
    return sorted(found - {None})


def _given(settings: Settings, name: str, study_file: str | None) -> dict[str, Any] | None:
    if study_file is not None:
        return read_study_file(Path(study_file))[1]
    default = given_default_study()
    if default.get("name") == name:
        return default
    for path in sorted((settings.project / "studies").glob("*.yml")):
        given = read_study_file(path)[1]
        if given.get("name") == name:
            return given
    err.print(f"note: the study file of {name} was not given; its title and period are not shown", markup=False)
    return None


def _simulated(settings: Settings, connection: duckdb.DuckDBPyConnection, study: dict[str, Any]) -> str:
    """The study's own word, else the mark that the demo leaves in a lake: a file that forgets it must not make data look measured."""
    if study.get("simulated"):
        return NOTHING_MEASURED
    products = simulated_products(settings.lake)
    used = sorted(products & set(products_of(connection)))
    return f"These products were not measured but made by a program: {', '.join(used)}." if used else ""
