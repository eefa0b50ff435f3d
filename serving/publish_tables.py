"""Tables of PostgreSQL: their definition with geometry, indexes, comments and rights, and what in the database depends on them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from serving.dictionary import Described
from serving.publish_source import Source
from serving.snapshot import quoted, quoted_text

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor

GEOMETRY = "geometry"
_FIRST = ("pixel_id", "station_id")
NEXT = "__next"
# EPSG 4326: longitude and latitude on WGS 84, as every mart has them.
_POINT = ("geometry(Point,4326)", "ST_SetSRID(ST_MakePoint(lon, lat), 4326)")
_SHAPE = ("geometry(MultiPolygon,4326)", "ST_Multi(ST_GeomFromWKB(decode(geometry_wkb_hex, 'hex'), 4326))")
_GEOMETRY_COMMENT = "Geometry, longitude and latitude on WGS 84 (EPSG 4326), made of {} by the database."


def geometry_of(source: Source) -> tuple[str, str, str] | None:
    """(type, expression, columns it is made of) of the geometry that a table gets: a point of lon and lat, a shape of geometry_wkb_hex."""
    names = {name for name, _ in source.columns}
    if "geometry_wkb_hex" in names:
        return *_SHAPE, "geometry_wkb_hex"
    if {"lon", "lat"} <= names:
        return *_POINT, "lon and lat"
    return None


def wanted_columns(source: Source, with_geometry: bool) -> dict[str, str]:
    """Name and type of every column that the table is to have."""
    columns = dict(source.columns)
    geometry = geometry_of(source) if with_geometry else None
    if geometry:
        columns[GEOMETRY] = geometry[0]
    return columns


def add_column(source: Source, name: str, kind: str) -> str:
    """The definition of one column; the geometry is computed by the database, whoever writes the rest of the row."""
    geometry = geometry_of(source)
    if name == GEOMETRY and geometry and name not in dict(source.columns):
        return f"{quoted(name)} {kind} generated always as ({geometry[1]}) stored"
    return f"{quoted(name)} {kind}"


def create(cursor: Cursor, schema: str, name: str, source: Source, with_geometry: bool) -> None:
    """An empty table."""
    columns = ", ".join(add_column(source, n, kind) for n, kind in wanted_columns(source, with_geometry).items())
    cursor.execute(f"create table {quoted(schema)}.{quoted(name)} ({columns})")


def fill(cursor: Cursor, schema: str, name: str, source: Source, rows: object) -> None:
    """Copy rows of CSV into a table."""
    columns = ", ".join(quoted(n) for n, _ in source.columns)
    cursor.copy_expert(f"copy {quoted(schema)}.{quoted(name)} ({columns}) from stdin with (format csv)", rows)


def index(cursor: Cursor, schema: str, name: str, source: Source, described: Described, with_geometry: bool) -> None:
    """The indexes of a table named `name`: unique on its grain, on the month it is published by, and on its geometry."""
    names = [n for n, _ in source.columns]
    table = f"{quoted(schema)}.{quoted(name)}"
    if described.grain and set(described.grain) <= set(names):
        # Numbers and dates before text: they are sorted several times faster, and a pixel's series is found by the index.
        kinds = dict(source.columns)
        keys = ", ".join(
            quoted(key) for key in sorted(described.grain, key=lambda k: (k not in _FIRST, kinds[k] == "text"))
        )
        cursor.execute(f"create unique index {index_name(name, 'grain')} on {table} ({keys})")
    if source.month:
        cursor.execute(f"create index {index_name(name, source.month)} on {table} ({quoted(source.month)})")
    if with_geometry and geometry_of(source):
        cursor.execute(f"create index {index_name(name, GEOMETRY)} on {table} using gist ({GEOMETRY})")


def index_name(table: str, of: str) -> str:
    """A name that PostgreSQL does not cut (63 bytes), quoted."""
    name = f"{table}_{of}"
    if len(name.encode()) > 60:
        name = f"{name[:48]}_{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    return quoted(name)


def rename_next(cursor: Cursor, schema: str, source: Source, described: Described, with_geometry: bool) -> None:
    """Give the finished table and its indexes the names that the dropped one had."""
    name = source.name
    cursor.execute(f"alter table {quoted(schema)}.{quoted(name + NEXT)} rename to {quoted(name)}")
    for of in ("grain", source.month or "", GEOMETRY):
        old, new = index_name(name + NEXT, of), index_name(name, of)
        cursor.execute(f"alter index if exists {quoted(schema)}.{old} rename to {new}")


def comment(cursor: Cursor, schema: str, source: Source, described: Described, with_geometry: bool) -> None:
    """Descriptions with units on the table and its columns; one statement a table."""
    table = f"{quoted(schema)}.{quoted(source.name)}"
    texts = {column: described.columns.get(column) for column, _ in source.columns}
    geometry = geometry_of(source) if with_geometry else None
    if geometry:
        texts[GEOMETRY] = _GEOMETRY_COMMENT.format(geometry[2])
    statements = [f"comment on table {table} is {_literal(described.description)}"]
    statements += [f"comment on column {table}.{quoted(column)} is {_literal(text)}" for column, text in texts.items()]
    cursor.execute("; ".join(statements))


def _literal(text: str | None) -> str:
    return quoted_text(text) if text else "null"


def live_columns(cursor: Cursor, schema: str, name: str) -> dict[str, str] | None:
    """Name and type of every column of a table as it is; None when there is none."""
    oid = table_oid(cursor, schema, name)
    if oid is None:
        return None
    cursor.execute(
        "select attname, format_type(atttypid, atttypmod) from pg_attribute"
        " where attrelid = %s and attnum > 0 and not attisdropped order by attnum",
        [oid],
    )
    return dict(cursor.fetchall())


def table_oid(cursor: Cursor, schema: str, name: str) -> int | None:
    """The database's number of a table, view or other relation; None when there is none of that name."""
    cursor.execute(
        "select c.oid from pg_class as c join pg_namespace as n on n.oid = c.relnamespace where n.nspname = %s and c.relname = %s",
        [schema, name],
    )
    row = cursor.fetchone()
    return row[0] if row else None


def dependents(cursor: Cursor, oid: int) -> list[str]:
    """The views, materialized ones too, and foreign keys that people have set on a table; sorted, as they would write them."""
    cursor.execute(
        """
        select distinct format('%%I.%%I', n.nspname, v.relname)
        from pg_depend as d
        join pg_rewrite as r on r.oid = d.objid and d.classid = 'pg_rewrite'::regclass
        join pg_class as v on v.oid = r.ev_class
        join pg_namespace as n on n.oid = v.relnamespace
        where d.refclassid = 'pg_class'::regclass and d.refobjid = %(oid)s and v.oid <> %(oid)s
        union
        select format('%%I.%%I (foreign key)', n.nspname, t.relname)
        from pg_constraint as k
        join pg_class as t on t.oid = k.conrelid
        join pg_namespace as n on n.oid = t.relnamespace
        where k.confrelid = %(oid)s and k.contype = 'f'
        order by 1
        """,
        {"oid": oid},
    )
    return [name for (name,) in cursor.fetchall()]


def part_counts(cursor: Cursor, schema: str, source: Source) -> dict[str, int]:
    """The number of rows of each part of a table as it is."""
    key = (
        f"coalesce(to_char(date_trunc('month', {quoted(source.month)}), 'YYYY-MM-DD'), 'none')"
        if source.month
        else "''"
    )
    cursor.execute(f"select {key}, count(*) from {quoted(schema)}.{quoted(source.name)} group by 1")
    return {part: n for part, n in cursor.fetchall() if n}


def delete_part(cursor: Cursor, schema: str, source: Source, part: str) -> None:
    """Delete the rows of one part; readers see them until the transaction ends."""
    table = f"{quoted(schema)}.{quoted(source.name)}"
    if not source.month or part == "":
        cursor.execute(f"delete from {table}")
    elif part == "none":
        cursor.execute(f"delete from {table} where {quoted(source.month)} is null")
    else:
        month = quoted(source.month)
        cursor.execute(
            f"delete from {table} where {month} >= %s::date and {month} < (%s::date + interval '1 month')::date",
            [part, part],
        )


def grant(cursor: Cursor, schema: str, names: Iterable[str], reader: str) -> None:
    """Let a role read the tables, and nothing else."""
    cursor.execute(f"grant usage on schema {quoted(schema)} to {quoted(reader)}")
    for name in names:
        cursor.execute(f"grant select on {quoted(schema)}.{quoted(name)} to {quoted(reader)}")


def differences(live: dict[str, str], wanted: dict[str, str]) -> Sequence[str]:
    """What of the live columns is gone or of another type, in words; added columns are none."""
    gone = [f"{name} is gone" for name in live if name not in wanted]
    other = [
        f"{name} was {kind} and is {wanted[name]}"
        for name, kind in live.items()
        if name in wanted and wanted[name] != kind
    ]
    return gone + other
