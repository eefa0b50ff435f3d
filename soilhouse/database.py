"""The DuckDB file that `build` writes: may it be written, and what study is in it."""

from __future__ import annotations

import re
from collections.abc import Set
from pathlib import Path

import duckdb

from soilhouse.errors import UserError


def require_unlocked(database: Path) -> None:
    """Raises UserError when another process holds the file, or when it is not a DuckDB database of a version we read."""
    if not database.exists():
        return
    try:
        duckdb.connect(str(database)).close()
    except duckdb.Error as error:
        raise explain(error, database) from None


def explain(error: duckdb.Error | str, database: Path) -> UserError:
    """DuckDB's refusal to open a file, in the user's words."""
    text = str(error)
    if "Could not set lock" in text:
        holder = re.search(r"held in (.+?) \(PID (\d+)\)", text)
        who = f"process {holder[2]} ({Path(holder[1]).name})" if holder else "another process"
        return UserError(
            f"The database {database} is open in {who}, and DuckDB lets only one process in while it is written.",
            "Close that session (a notebook, a BI tool, another build), or build into another file: --db FILE.",
        )
    if "not a valid DuckDB database" in text or "version number" in text:
        return UserError(
            f"{database} is not a DuckDB database that this version reads.",
            "Everything in it can be rebuilt: remove the file and build again, or build into another one: --db FILE.",
        )
    return UserError(
        f"The database {database} cannot be opened: {text.splitlines()[0]}", "Try another file: --db FILE."
    )


# The schemas that models write, by macros/generate_schema_name.sql.
ROOMS = ("staging", "intermediate", "marts")


def studies_in(database: Path) -> list[str]:
    """The studies that the tables of a built database say they are of, sorted; read-only, none for one that was never built.

    A build that stopped half way leaves tables of two studies. One row of each is read: every table is of one study.
    """
    found = set()
    with duckdb.connect(str(database), read_only=True) as connection:
        tables = connection.execute(
            "select schema_name, table_name from duckdb_columns() where column_name = 'study' and list_contains($1, schema_name)"
            " and database_name = current_database() order by all",
            [list(ROOMS)],
        ).fetchall()
        for schema, table in tables:
            try:
                row = connection.execute(f'select study from "{schema}"."{table}" limit 1').fetchone()
            except duckdb.Error:  # a view over files that are gone
                continue
            found |= set(row or ())
    return sorted(found - {None})


def remove_leftovers(database: Path, built: Set[tuple[str, str]], models: Set[str]) -> list[str]:
    """Drop the tables and views of `models` that are not among `built`, (schema, name); the names of those dropped, sorted.

    Nothing else is touched: a schema may hold tables that people made themselves.
    """
    with duckdb.connect(str(database)) as connection:
        relations = connection.execute(
            "select schema_name, table_name, 'table' from duckdb_tables() where database_name = current_database()"
            " union all select schema_name, view_name, 'view' from duckdb_views() where database_name = current_database()"
            " order by all"
        ).fetchall()
        left = [r for r in relations if r[0] in ROOMS and r[1] in models and (r[0], r[1]) not in built]
        for schema, name, kind in left:
            connection.execute(f'drop {kind} "{schema}"."{name}"')
    return [f"{schema}.{name}" for schema, name, _ in left]
