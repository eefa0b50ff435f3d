"""The snapshot: a read-only copy of the marts for readers, replaced as a whole.

DuckDB lets no other process in while one writes, and a build writes for minutes. Readers are given a file of their own: it is written
beside the old one and takes its place by a rename, so that who opens it finds one whole build, and who has it open keeps the old one
until it is opened again. It holds plain tables with their comments and nothing else: no view on files of the lake, no function of this
project, no type of an extension.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from serving.dictionary import Described
from serving.errors import ServingError

SCHEMA = "marts"
# A pixel comes last in the order of rows: the row groups of a month then lie together, and a map reads few of them.
_LAST = ("pixel_id",)

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Snapshot:
    """What was written: the tables with their numbers of rows, daily facts that were left out, bytes of the file and seconds."""

    path: Path
    rows: Mapping[str, int]
    left_out: tuple[str, ...]
    n_bytes: int
    seconds: float


def snapshot_of(database: Path) -> Path:
    """Where the snapshot of a database lies: `snapshot.duckdb` beside `soilhouse.duckdb`, `x_snapshot.duckdb` beside another `x.duckdb`."""
    name = "snapshot" if database.stem == "soilhouse" else f"{database.stem}_snapshot"
    return database.with_name(f"{name}.duckdb")


def write_snapshot(
    database: Path,
    snapshot: Path,
    described: Mapping[str, Described],
    *,
    daily: bool = False,
    memory: str | None = None,
    progress: Progress = lambda name, done, total: None,
) -> Snapshot:
    """Copy the tables of schema `marts` of a built database into `snapshot`, replacing it in one step.

    `described` (serving/dictionary.py) gives comments and the order of rows; `daily` copies the views over the lake's daily files too,
    as tables; `memory` is a limit such as `4GB`. Raises ServingError when the database has no marts, when it or the unfinished copy
    cannot be opened or written; the old snapshot is then as it was.
    """
    started = time.perf_counter()
    if not database.exists():
        raise ServingError(f"There is no database {database}.", "`soilhouse build` makes it.")
    if snapshot.resolve() == database.resolve():
        raise ServingError(f"{snapshot} is the database itself.", "Name another file for the copy.")
    if snapshot.stem == SCHEMA:
        raise ServingError(
            f"In a file named {snapshot.name} `{SCHEMA}.fct_trends` would mean two things: DuckDB calls a database by its file.",
            "Name it otherwise, such as soil.duckdb.",
        )
    unfinished = snapshot.with_name(f"{snapshot.name}.next")
    try:
        snapshot.parent.mkdir(parents=True, exist_ok=True)
        _remove_unfinished(unfinished)
        try:
            rows, left_out = _copy(database, unfinished, described, daily, memory, progress)
            _take_place(unfinished, snapshot)
        except BaseException:
            _discard(unfinished)
            raise
    except (duckdb.Error, OSError) as error:
        raise ServingError(
            f"The snapshot {snapshot} was not written: {str(error).splitlines()[0]}.",
            "Nothing changed for its readers. Once that is put right, `soilhouse publish` writes it without a build.",
        ) from error
    return Snapshot(snapshot, rows, left_out, snapshot.stat().st_size, time.perf_counter() - started)


def _copy(
    database: Path,
    unfinished: Path,
    described: Mapping[str, Described],
    daily: bool,
    memory: str | None,
    progress: Progress,
) -> tuple[dict[str, int], tuple[str, ...]]:
    with duckdb.connect(str(unfinished), config={"memory_limit": memory} if memory else {}) as connection:
        # The catalogue's name would be the file's, which may be any word; nothing is written through it.
        connection.execute(f"attach {quoted_text(str(database))} as warehouse (read_only)")
        found = connection.execute(
            "select table_name, true from duckdb_tables() where database_name = 'warehouse' and schema_name = $1"
            " union all select view_name, false from duckdb_views() where database_name = 'warehouse' and schema_name = $1"
            " order by all",
            [SCHEMA],
        ).fetchall()
        if not found:
            raise ServingError(f"{database} holds no marts.", "`soilhouse build` makes them.")
        copied = [(name, is_table) for name, is_table in found if is_table or daily]
        connection.execute(f"create schema {SCHEMA}")
        rows = {}
        for done, (name, is_table) in enumerate(copied):
            progress(name, done, len(copied))
            what = described.get(name, Described())
            columns = [c for (c,) in connection.execute(
                "select column_name from duckdb_columns() where database_name = 'warehouse' and schema_name = $1 and table_name = $2"
                " order by column_index", [SCHEMA, name]).fetchall()]  # fmt: skip
            # Files of the lake are sorted already, and one sort of all their days would need more memory than the build had.
            order = _order(what.grain, columns) if is_table else ""
            rows[name] = connection.execute(
                f"create table {SCHEMA}.{quoted(name)} as from warehouse.{SCHEMA}.{quoted(name)} {order}"
            ).fetchone()[0]
            _comment(connection, name, what, columns)
        connection.execute("detach warehouse")
        connection.execute("checkpoint")
    return rows, tuple(name for name, is_table in found if not is_table and not daily)


def _order(grain: Sequence[str], columns: Sequence[str]) -> str:
    keys = [c for c in grain if c in columns and c not in _LAST] + [c for c in grain if c in columns and c in _LAST]
    return f"order by {', '.join(quoted(key) for key in keys)}" if keys else ""


def _comment(connection: duckdb.DuckDBPyConnection, name: str, described: Described, columns: Sequence[str]) -> None:
    table = f"{SCHEMA}.{quoted(name)}"
    if described.description:
        connection.execute(f"comment on table {table} is {quoted_text(described.description)}")
    for column in columns:
        text = described.columns.get(column)
        if text:
            connection.execute(f"comment on column {table}.{quoted(column)} is {quoted_text(text)}")


def _remove_unfinished(unfinished: Path) -> None:
    """Take away what an interrupted copy left; raises duckdb.Error when another process is writing it at this moment."""
    if unfinished.exists():
        try:
            duckdb.connect(str(unfinished)).close()
        except duckdb.Error as error:
            if "Could not set lock" in str(error):
                raise
        _discard(unfinished)


def _discard(unfinished: Path) -> None:
    for path in (unfinished, unfinished.with_name(f"{unfinished.name}.wal")):
        path.unlink(missing_ok=True)


def _take_place(unfinished: Path, snapshot: Path) -> None:
    """Put the copy in the snapshot's place: first on the disk, then by one rename."""
    # Who opens it by mistake for writing would shut all other readers out.
    unfinished.chmod(0o444)
    _sync(unfinished)
    # A log that somebody's write to the old file left would be applied to the new one.
    snapshot.with_name(f"{snapshot.name}.wal").unlink(missing_ok=True)
    unfinished.replace(snapshot)
    _sync(snapshot.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def quoted(name: str) -> str:
    """A name as an SQL identifier, on DuckDB and PostgreSQL."""
    return '"' + name.replace('"', '""') + '"'


def quoted_text(text: str) -> str:
    """A text as an SQL literal, on DuckDB and PostgreSQL (with standard_conforming_strings, its default)."""
    return "'" + text.replace("'", "''") + "'"
