"""The marts in PostgreSQL with PostGIS: tables with geometry, indexes, comments and a role that may only read them.

A publication is one transaction. What it writes is seen by nobody until its end, and what it replaces is read until then; if it is
stopped, nothing has happened. Content that has not changed is not sent again: `published_part` in the schema says what lies there, a row
a table, or a row a month of a large one. A table is replaced by another that takes its name, and where a view of somebody's stands on it,
its rows are replaced in place: nothing that people made is ever dropped.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from serving import publish_tables as tables
from serving.dictionary import Described
from serving.errors import ServingError
from serving.publish_address import connect, note_on_encryption
from serving.publish_source import WHOLE, Marts, Source
from serving.snapshot import quoted

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection
    from psycopg2.extensions import cursor as Cursor

LEDGER = "published_part"
READER = "soilhouse_reader"
# From so many rows on a table is published by month.
LARGE = 200_000
# When more than this share of the rows changed, a new table is faster than deleting them and leaves nothing to clean up.
MOST_IN_PLACE = 0.5
# A query that reads a table holds up its replacement, which holds up the next readers: rather give up than stop them all.
LOCK_SECONDS = 20.0

Progress = Callable[[str, int, int], None]


@dataclass
class Published:
    """What a publication did: by table in words, rows sent, tables that are gone, seconds, and notes for the user."""

    tables: dict[str, str] = field(default_factory=dict)
    dropped: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    n_rows: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class _Plan:
    """What is to be done with a table: `how` is new, swap, rows or nothing; `parts` those that are sent, `adds` new columns."""

    source: Source
    how: str
    parts: tuple[str, ...] = ()
    adds: tuple[str, ...] = ()
    oid: int | None = None


def publish(
    snapshot: Path,
    address: str,
    described: Mapping[str, Described],
    *,
    schema: str = "soilhouse",
    reader: str | None = READER,
    geometry: bool = True,
    everything: bool = False,
    replace: bool = False,
    large: int = LARGE,
    progress: Progress = lambda name, done, total: None,
) -> Published:
    """Publish the marts of a snapshot into a schema of a PostgreSQL database.

    `reader` is the role that may read (None: no role is touched); `geometry` asks for PostGIS; `everything` sends unchanged content too;
    `replace` allows a schema that holds another study. Raises ServingError with nothing changed: no connection, no rights, no PostGIS,
    another study or another's table in the schema, a view that a changed column hinders, a table that is read too long.
    """
    started = time.perf_counter()
    marts = Marts(snapshot)
    try:
        connection = connect(address)
    except BaseException:
        marts.close()
        raise
    done = Published()
    try:
        with _in_words(), connection, connection.cursor() as cursor:
            publication = _Publication(cursor, marts, described, schema, geometry, large, progress, done)
            publication.run(reader, everything, replace)
        with _in_words():
            _clean_up(connection, schema, publication.emptied)
        note = note_on_encryption(connection)
        done.notes += [note] if note else []
    finally:
        connection.close()
        marts.close()
    done.seconds = time.perf_counter() - started
    return done


class _Publication:
    """One transaction."""

    def __init__(
        self,
        cursor: Cursor,
        marts: Marts,
        described: Mapping[str, Described],
        schema: str,
        geometry: bool,
        large: int,
        progress: Progress,
        done: Published,
    ):
        self.cursor, self.marts, self.described, self.schema = cursor, marts, described, schema
        self.geometry, self.large, self.progress, self.done = geometry, large, progress, done
        self.emptied: list[str] = []

    def run(self, reader: str | None, everything: bool, replace: bool) -> None:
        self._begin()
        study = self.marts.study()
        ledger = self._ledger(study, replace)
        plans = self._plans({} if everything else ledger, set(ledger))
        gone = self._gone(set(ledger) - set(self.marts.names))
        # New rows and new tables first: only the renaming at the end shuts readers out, for a moment.
        for done, plan in enumerate(sorted(plans, key=lambda p: bool(p.adds))):
            self.progress(plan.source.name, done, len(plans))
            self._send(plan)
        self._swap([plan for plan in plans if plan.how == "swap"], gone)
        self._write_ledger(study, plans, gone)
        if reader:
            self._let_read(reader)

    def _begin(self) -> None:
        cursor = self.cursor
        cursor.execute(f"set local lock_timeout = {int(1000 * LOCK_SECONDS)}")
        # Indexes are built by sorting; the server's own 64 MB would sort millions of rows on the disk.
        cursor.execute("set local maintenance_work_mem = '256MB'")
        cursor.execute("select pg_try_advisory_xact_lock(hashtext('soilhouse publish'), hashtext(%s))", [self.schema])
        if not cursor.fetchone()[0]:
            raise ServingError(
                f"Another publication into schema {self.schema} is running.", "Wait for its end, and publish again."
            )
        cursor.execute(
            "select has_database_privilege(current_database(), 'create'), to_regnamespace(%s) is not null",
            [quoted(self.schema)],
        )
        may_create, exists = cursor.fetchone()
        if not exists:
            if not may_create:
                raise ServingError(
                    f"There is no schema {self.schema}, and the user may not make one.",
                    f"Ask who runs the database for: create schema {quoted(self.schema)} authorization <user>",
                )
            cursor.execute(f"create schema {quoted(self.schema)}")
        path = "pg_catalog"
        if self.geometry:
            path += f", {quoted(self._postgis())}"
        cursor.execute(f"set local search_path to {path}")

    def _postgis(self) -> str:
        """The schema that PostGIS lies in; installed where the user may."""
        cursor = self.cursor
        asked = "select n.nspname from pg_extension as e join pg_namespace as n on n.oid = e.extnamespace where e.extname = 'postgis'"
        cursor.execute(asked)
        found = cursor.fetchone()
        if found:
            return found[0]
        cursor.execute(
            "select exists (select from pg_available_extensions where name = 'postgis'), rolsuper from pg_roles where rolname = current_user"
        )
        is_available, is_superuser = cursor.fetchone()
        if not (is_available and is_superuser):
            why = "is not installed in the database" if is_available else "is not installed on the server"
            raise ServingError(
                f"PostGIS {why}, and geometry needs it.",
                "Ask who runs the database for: create extension postgis. Or publish without geometry: --no-geometry.",
            )
        cursor.execute("create extension postgis")
        cursor.execute(asked)
        return cursor.fetchone()[0]

    def _ledger(self, study: str, replace: bool) -> dict[str, dict[str, tuple[str, int]]]:
        """Table -> part -> (digest, oid) of what lies in the schema."""
        ledger = f"{quoted(self.schema)}.{LEDGER}"
        self.cursor.execute(
            f"create table if not exists {ledger} (table_name text not null, part text not null, digest text not null,"
            " n_rows bigint not null, table_oid oid not null, study text not null, published_at timestamptz not null default now(),"
            " primary key (table_name, part))"
        )
        self.cursor.execute(
            f"comment on table {ledger} is 'What `soilhouse publish` has put into this schema and when: a row a table, or a row a month of a"
            " large one. Part of a table that is published whole is empty. It decides what the next publication sends.'"
        )
        self.cursor.execute(f"select table_name, part, digest, table_oid, study from {ledger}")
        found: dict[str, dict[str, tuple[str, int]]] = {}
        studies = set()
        for name, part, digest, oid, of in self.cursor.fetchall():
            found.setdefault(name, {})[part] = (digest, oid)
            studies.add(of)
        others = sorted(studies - {study, ""})
        if others and study and not replace:
            raise ServingError(
                f"Schema {self.schema} holds the study {', '.join(others)}, and the snapshot is of {study}.",
                f"Publish it beside the other: --schema {study}; or in its place: --replace.",
            )
        return found

    def _plans(self, ledger: Mapping[str, Mapping[str, tuple[str, int]]], ours: set[str]) -> list[_Plan]:
        plans, hindered = [], []
        for name in self.marts.names:
            source = self.marts.source(name, self.large)
            live = tables.live_columns(self.cursor, self.schema, name)
            if live is None:
                plans.append(_Plan(source, "new", tuple(source.parts)))
                continue
            if name not in ours:
                raise ServingError(
                    f"{self.schema}.{name} is there already and was not published by Soilhouse.",
                    "Rename it, or publish into another schema: --schema NAME.",
                )
            oid = tables.table_oid(self.cursor, self.schema, name)
            users = tables.dependents(self.cursor, oid)
            wanted = tables.wanted_columns(source, self.geometry)
            different = tables.differences(live, wanted)
            if different and users:
                hindered.append(f"{', '.join(users)} on {name} ({'; '.join(different)})")
                continue
            changed = self._changed(source, ledger.get(name, {}), oid)
            adds = tuple(column for column in wanted if column not in live)
            plans.append(self._plan(source, changed, adds, bool(different), bool(users), oid))
        if hindered:
            raise ServingError(
                f"Columns changed under views that people made: {'. '.join(hindered)}. Nothing was published.",
                "Drop those views (their text: pg_get_viewdef), publish, and make them again; or publish into another schema.",
            )
        return plans

    def _plan(
        self, source: Source, changed: list[str], adds: tuple[str, ...], is_different: bool, is_used: bool, oid: int
    ) -> _Plan:
        if is_different or (adds and not is_used):
            return _Plan(source, "swap", tuple(source.parts), oid=oid)
        if adds:
            return _Plan(source, "rows", tuple(source.parts), adds, oid)
        if not changed:
            return _Plan(source, "nothing", oid=oid)
        n_changed = sum(source.parts.get(part, ("", 0))[1] for part in changed)
        if is_used or n_changed <= MOST_IN_PLACE * source.n_rows:
            return _Plan(source, "rows", tuple(changed), oid=oid)
        return _Plan(source, "swap", tuple(source.parts), oid=oid)

    def _changed(self, source: Source, recorded: Mapping[str, tuple[str, int]], oid: int) -> list[str]:
        """The parts whose content is not what lies there: other, new, gone, or changed by somebody else's hand."""
        if (
            not recorded
            or any(of != oid for _, of in recorded.values())
            or set(recorded) == {WHOLE} != set(source.parts)
        ):
            # All of it, whatever parts it was in: those of the table as it is now must go too.
            there = tables.part_counts(self.cursor, self.schema, source)
            return sorted(set(source.parts) | set(there))
        there = tables.part_counts(self.cursor, self.schema, source)
        return sorted(
            part
            for part in set(source.parts) | set(recorded) | set(there)
            if part not in source.parts
            or recorded.get(part, ("",))[0] != source.parts[part][0]
            or there.get(part, 0) != source.parts[part][1]
        )

    def _gone(self, names: set[str]) -> list[str]:
        """Tables published once that the snapshot no longer has."""
        gone, hindered = [], []
        for name in sorted(names):
            oid = tables.table_oid(self.cursor, self.schema, name)
            if oid is None:
                gone.append(name)
                continue
            users = tables.dependents(self.cursor, oid)
            (hindered if users else gone).append(f"{', '.join(users)} on {name}" if users else name)
        if hindered:
            raise ServingError(
                f"Views that people made stand on tables which the study no longer has: {'; '.join(hindered)}. Nothing was published.",
                "Drop those views, and publish again; or publish into another schema: --schema NAME.",
            )
        return gone

    def _send(self, plan: _Plan) -> None:
        source, cursor, schema = plan.source, self.cursor, self.schema
        described = self.described.get(source.name, Described())
        n_sent = sum(source.parts.get(part, ("", 0))[1] for part in plan.parts)
        if plan.how in ("new", "swap"):
            name = source.name + (tables.NEXT if plan.how == "swap" else "")
            cursor.execute(f"drop table if exists {quoted(schema)}.{quoted(source.name + tables.NEXT)}")
            tables.create(cursor, schema, name, source, self.geometry)
            tables.fill(cursor, schema, name, source, self.marts.csv(source))
            tables.index(cursor, schema, name, source, described, self.geometry)
            self.done.tables[source.name] = "new" if plan.how == "new" else "replaced"
        elif plan.how == "rows":
            wanted = tables.wanted_columns(source, self.geometry)
            for column in plan.adds:
                definition = tables.add_column(source, column, wanted[column])
                cursor.execute(f"alter table {quoted(schema)}.{quoted(source.name)} add column {definition}")
            for part in plan.parts:
                tables.delete_part(cursor, schema, source, part)
            for part in plan.parts:
                if part in source.parts:
                    tables.fill(cursor, schema, source.name, source, self.marts.csv(source, part))
            self.emptied.append(source.name)
            whole = set(plan.parts) >= set(source.parts)
            self.done.tables[source.name] = (
                "replaced in place" if whole else f"{len(plan.parts)} of {len(source.parts)} months"
            )
        else:
            self.done.tables[source.name] = "unchanged"
        self.done.n_rows += n_sent
        if plan.how != "swap":
            tables.comment(cursor, schema, source, described, self.geometry)
        if plan.how in ("new", "rows"):
            cursor.execute(f"analyze {quoted(schema)}.{quoted(source.name)}")

    def _swap(self, plans: list[_Plan], gone: list[str]) -> None:
        cursor, schema = self.cursor, self.schema
        there = [name for name in gone if tables.table_oid(cursor, schema, name) is not None]
        names = sorted([plan.source.name for plan in plans] + there)
        for plan in plans:
            cursor.execute(f"analyze {quoted(schema)}.{quoted(plan.source.name + tables.NEXT)}")
        if names:
            locked = ", ".join(f"{quoted(schema)}.{quoted(name)}" for name in names)
            self._lock(locked)
            cursor.execute(f"drop table {locked}")
        for plan in plans:
            described = self.described.get(plan.source.name, Described())
            tables.rename_next(cursor, schema, plan.source, described, self.geometry)
            tables.comment(cursor, schema, plan.source, described, self.geometry)
        self.done.dropped = there

    def _lock(self, locked: str) -> None:
        """Shut readers out of the tables, all at once or not at all.

        Waiting for one table with another one locked would stop those who read both, and end one of the two in a deadlock.
        """
        from psycopg2 import errors

        last = time.monotonic() + LOCK_SECONDS
        while True:
            self.cursor.execute("savepoint before_locks")
            try:
                self.cursor.execute(f"lock table {locked} in access exclusive mode nowait")
                return
            except errors.LockNotAvailable:
                if time.monotonic() > last:
                    raise
                self.cursor.execute("rollback to savepoint before_locks")
                time.sleep(0.02)

    def _write_ledger(self, study: str, plans: list[_Plan], gone: list[str]) -> None:
        ledger = f"{quoted(self.schema)}.{LEDGER}"
        self.cursor.execute(f"delete from {ledger} where table_name = any(%s)", [gone])
        for plan in plans:
            if plan.how == "nothing":
                continue
            name, sent = plan.source.name, plan.parts
            if plan.how in ("new", "swap") or set(sent) >= set(plan.source.parts):
                self.cursor.execute(f"delete from {ledger} where table_name = %s", [name])
                sent = tuple(plan.source.parts)
            else:
                self.cursor.execute(
                    f"delete from {ledger} where table_name = %s and part = any(%s)", [name, list(sent)]
                )
            oid = tables.table_oid(self.cursor, self.schema, name)
            for part in sent:
                if part in plan.source.parts:
                    digest, n_rows = plan.source.parts[part]
                    self.cursor.execute(
                        f"insert into {ledger} (table_name, part, digest, n_rows, table_oid, study) values (%s, %s, %s, %s, %s, %s)",
                        [name, part, digest, n_rows, oid, study],
                    )
        self.cursor.execute(f"update {ledger} set study = %s where study <> %s", [study, study])

    def _let_read(self, reader: str) -> None:
        cursor = self.cursor
        cursor.execute("select exists (select from pg_roles where rolname = %s)", [reader])
        if not cursor.fetchone()[0]:
            cursor.execute("select rolcreaterole or rolsuper from pg_roles where rolname = current_user")
            if not cursor.fetchone()[0]:
                raise ServingError(
                    f"There is no role {reader}, and the user may not make one.",
                    f"Ask who runs the database for: create role {quoted(reader)} nologin. Another role: --reader NAME; none: --no-reader.",
                )
            cursor.execute(f"create role {quoted(reader)} nologin")
            self.done.notes.append(
                f"role {reader} may read schema {self.schema}; a user becomes a reader by: grant {quoted(reader)} to <user>"
            )
        tables.grant(cursor, self.schema, [*self.marts.names, LEDGER], reader)


def _clean_up(connection: Connection, schema: str, names: list[str]) -> None:
    """Give the room of deleted rows back for the next ones; outside of any transaction."""
    connection.autocommit = True
    with connection.cursor() as cursor:
        for name in names:
            cursor.execute(f"vacuum {quoted(schema)}.{quoted(name)}")


@contextmanager
def _in_words() -> Iterator[None]:
    """Errors of the server in the user's words. The transaction is rolled back by whoever holds the connection."""
    import psycopg2
    from psycopg2 import errors

    try:
        yield
    except (errors.LockNotAvailable, errors.DeadlockDetected) as error:
        raise ServingError(
            f"A table is being read for longer than {LOCK_SECONDS:g} s, and cannot be replaced meanwhile: {_line(error)}. Nothing was published.",
            "Try again later; pg_stat_activity shows the long queries.",
        ) from error
    except errors.DependentObjectsStillExist as error:
        raise ServingError(
            f"Something that people made stands on a table which is to be replaced: {_line(error)}"
            f" {(error.diag.message_detail or '').strip()}. Nothing was published.",
            "Drop it, publish, and make it again; or publish into another schema: --schema NAME.",
        ) from error
    except errors.InsufficientPrivilege as error:
        raise ServingError(
            f"The user may not do this: {_line(error)}. Nothing was published.",
            "Publish as the owner of the schema's tables, or into a schema of your own: --schema NAME.",
        ) from error
    except psycopg2.Error as error:
        raise ServingError(
            f"The database stopped the publication: {_line(error)}. Nothing was published.",
            "The server's log says more.",
        ) from error


def _line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
