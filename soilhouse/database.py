"""The DuckDB file that `build` writes: may it be written, and what study is in it."""

from __future__ import annotations

import re
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


def studies_in(database: Path) -> list[str]:
    """The studies whose series are in a built database, read-only; none for one that was never built."""
    with duckdb.connect(str(database), read_only=True) as connection:
        try:
            return [
                row[0] for row in connection.execute("select distinct study from intermediate.int_series").fetchall()
            ]
        except duckdb.CatalogException:
            return []
