"""`soilhouse publish`: the marts for readers, as a snapshot, in a PostgreSQL database, or as dashboards; and the snapshot after a build."""

from __future__ import annotations

from pathlib import Path

import duckdb

from serving.dictionary import dictionary
from serving.errors import ServingError
from serving.publish_address import is_address, without_password
from serving.snapshot import SCHEMA, Snapshot, snapshot_of, write_snapshot
from soilhouse.console import err, out, progress_bar
from soilhouse.database import explain, studies_in
from soilhouse.errors import UserError
from soilhouse.settings import Settings


def run(
    settings: Settings,
    target: str | None,
    *,
    schema: str = "soilhouse",
    reader: str | None,
    geometry: bool,
    daily: bool,
    everything: bool,
    replace: bool,
) -> int:
    """Publish to where `target` says: an address of PostgreSQL, a `.duckdb` file, a `.zip` of dashboards; None: the snapshot anew.

    Returns 0. Raises UserError; what was there for readers is then as it was.
    """
    try:
        if target is None or target.endswith((".duckdb", ".db")):
            snapshot = Path(target).expanduser().absolute() if target else snapshot_of(settings.database)
            _require_whole(settings)
            out.print(told(_write(settings, snapshot, daily)), markup=False)
        elif is_address(target):
            _require_snapshot(settings, daily)
            _to_postgres(settings, without_password(target), schema, reader, geometry, everything, replace)
        elif target.endswith(".zip"):
            _require_snapshot(settings, daily=False)
            _dashboards(settings, Path(target), schema)
        else:
            raise UserError(
                f"{target} is none of the places that the marts can go to.",
                "postgresql://user@host/database, a file that ends in .duckdb, a file of dashboards that ends in .zip.",
                2,
            )
    except ServingError as error:
        raise UserError(error.problem, error.next_step) from error
    return 0


def refresh(settings: Settings) -> bool:
    """After a build: put the new marts in the place of the snapshot and say so. False where it could not be written.

    Nothing happens where the build left no marts (`--select` of others), and a build that failed does not call it.
    """
    if not _has_marts(settings.database):
        return True
    try:
        err.print(told(_write(settings, snapshot_of(settings.database), daily=False)), markup=False)
    except ServingError as error:
        err.print(f"{error.problem}\n{error.next_step}", style="red" if err.is_terminal else None, markup=False)
        return False
    return True


NO_SNAPSHOT_OF_SPARK = (
    "no snapshot was written: the tables are in Spark's warehouse, where readers reach them through Spark (docs/bi.md)"
)


def told(snapshot: Snapshot) -> str:
    """One line about a snapshot."""
    line = (
        f"Snapshot for readers: {snapshot.path} ({len(snapshot.rows)} tables, {sum(snapshot.rows.values()):,} rows,"
        f" {snapshot.n_bytes / 1e6:.1f} MB, {snapshot.seconds:.1f} s)"
    )
    if snapshot.left_out:
        line += f"; daily tables stay in the database: {', '.join(snapshot.left_out)} (soilhouse publish --daily)"
    return line


def _write(settings: Settings, snapshot: Path, daily: bool) -> Snapshot:
    with progress_bar() as bar:
        task = bar.add_task("copying the marts", total=None)

        def follow(name: str, done: int, total: int) -> None:
            bar.update(task, description=f"copying {name}"[:44].ljust(44), completed=done, total=total)

        described = dictionary(settings.project)
        return write_snapshot(
            settings.database, snapshot, described, daily=daily, memory=settings.memory, progress=follow
        )


def _to_postgres(
    settings: Settings, address: str, schema: str, reader: str | None, geometry: bool, everything: bool, replace: bool
) -> None:
    from serving.publish import publish

    snapshot = snapshot_of(settings.database)
    with progress_bar() as bar:
        task = bar.add_task("comparing", total=None)

        def follow(name: str, done: int, total: int) -> None:
            bar.update(task, description=f"publishing {name}"[:44].ljust(44), completed=done, total=total)

        published = publish(
            snapshot,
            address,
            dictionary(settings.project),
            schema=schema,
            reader=reader,
            geometry=geometry,
            everything=everything,
            replace=replace,
            progress=follow,
        )
    for name, how in published.tables.items():
        if how != "unchanged":
            out.print(f"  {schema}.{name}: {how}", markup=False)
    for name in published.dropped:
        out.print(f"  {schema}.{name}: dropped, since the study no longer has it", markup=False)
    unchanged = sum(how == "unchanged" for how in published.tables.values())
    out.print(
        f"{len(published.tables)} tables are in schema {schema}, {unchanged} of them unchanged;"
        f" {published.n_rows:,} rows sent in {published.seconds:.1f} s.",
        markup=False,
    )
    for note in published.notes:
        err.print(f"note: {note}", markup=False)


def _dashboards(settings: Settings, target: Path, schema: str) -> None:
    from serving.dashboards import bundle

    snapshot = snapshot_of(settings.database)
    written, left_out = bundle(snapshot, f"duckdb:///{snapshot}", "marts")
    target.write_bytes(written)
    out.print(
        f"{target}: dashboards for Apache Superset (Settings, Import dashboards), reading {snapshot}", markup=False
    )
    for name, missing in left_out.items():
        err.print(f"note: dashboard {name} is without a part of it: {missing}", markup=False)


def _require_snapshot(settings: Settings, daily: bool) -> None:
    """Publishing reads the snapshot; with `daily` it is written anew with the daily tables, without a build it must be there."""
    if daily:
        _require_whole(settings)
        err.print(told(_write(settings, snapshot_of(settings.database), daily=True)), markup=False)


def _require_whole(settings: Settings) -> None:
    """A build that stopped half way left tables of two studies: they must not go to readers as one."""
    database = settings.database
    if not database.exists():
        return
    try:
        studies = studies_in(database)
    except duckdb.Error as error:
        raise explain(error, database) from None
    if len(studies) > 1:
        raise UserError(
            f"{database} holds tables of more than one study ({', '.join(studies)}): a build of one of them stopped half way.",
            "Build one of them whole: soilhouse build STUDY.yml",
        )


def _has_marts(database: Path) -> bool:
    if not database.exists():
        return False
    with duckdb.connect(str(database), read_only=True) as connection:
        return bool(
            connection.execute(
                "select count(*) from duckdb_tables() where schema_name = $1 and database_name = current_database()",
                [SCHEMA],
            ).fetchone()[0]
        )
