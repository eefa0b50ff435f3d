"""What is published: the marts of a snapshot, their columns in PostgreSQL's types, and a digest of the content of each part of a table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.csv as pa_csv

from serving.errors import ServingError
from serving.snapshot import SCHEMA, quoted

_TYPES = {
    "VARCHAR": "text",
    "BIGINT": "bigint",
    "INTEGER": "integer",
    "SMALLINT": "smallint",
    "TINYINT": "smallint",
    "DOUBLE": "double precision",
    "FLOAT": "real",
    "DATE": "date",
    "BOOLEAN": "boolean",
    "TIMESTAMP": "timestamp without time zone",
}
# Of what a large table is published in parts: its month, or the month of its day.
_MONTHS = {"month": "month", "obs_date": "date_trunc('month', obs_date)"}
WHOLE = ""


@dataclass(frozen=True)
class Source:
    """A table: its columns as (name, PostgreSQL's type), its rows, and its parts with (digest, rows).

    The one part of a table that is not cut is WHOLE; parts of one that is are months as text, `2020-03-01`.
    """

    name: str
    columns: tuple[tuple[str, str], ...]
    n_rows: int
    month: str | None
    parts: dict[str, tuple[str, int]]


class Marts:
    """The marts of a DuckDB file, read only."""

    def __init__(self, path: Path):
        """Raises ServingError when there is no such file or it is not a database of marts."""
        if not path.exists():
            raise ServingError(
                f"There is no snapshot {path}.",
                "`soilhouse build` writes it, and `soilhouse publish` alone does without a build.",
            )
        try:
            self.connection = duckdb.connect(str(path), read_only=True)
        except duckdb.Error as error:
            raise ServingError(
                f"{path} cannot be opened: {str(error).splitlines()[0]}",
                "`soilhouse publish` alone writes the snapshot anew.",
            ) from None
        self.names = [name for (name,) in self.connection.execute(
            "select table_name from duckdb_tables() where schema_name = $1 and database_name = current_database() order by all", [SCHEMA]
        ).fetchall()]  # fmt: skip
        if not self.names:
            raise ServingError(f"{path} holds no marts.", "`soilhouse build` makes them.")

    def close(self) -> None:
        self.connection.close()

    def study(self) -> str:
        """The study of the marts; empty where no table has a row."""
        for name in self.names:
            if "study" in dict(self._columns(name)):
                row = self.connection.execute(f"select study from {SCHEMA}.{quoted(name)} limit 1").fetchone()
                if row:
                    return row[0]
        return ""

    def source(self, name: str, large: int) -> Source:
        """A table with the digests of its parts; one of `large` rows or more that has months is cut into them.

        The digest of a part is that of its rows in any order: their number, and the sum and the exclusive or of their hashes, with the
        version of DuckDB, whose hashes they are. Raises ServingError for a column that PostgreSQL has no type for.
        """
        columns = self._columns(name)
        table = f"{SCHEMA}.{quoted(name)}"
        n_rows = self.connection.execute(f"select count(*) from {table}").fetchone()[0]
        month = (
            next((name for name, kind in columns if name in _MONTHS and kind == "date"), None)
            if n_rows >= large
            else None
        )
        key = f"coalesce(strftime({_MONTHS[month]}, '%Y-%m-%d'), 'none')" if month else f"'{WHOLE}'"
        hashed = f"hash({', '.join(quoted(column) for column, _ in columns)})"
        rows = self.connection.execute(
            f"select {key} as part, count(*), cast(sum({hashed}) as text), cast(bit_xor({hashed}) as text) from {table} group by part order by part"
        ).fetchall()
        parts = {part: (f"{duckdb.__version__}:{n}:{total}:{odd}", n) for part, n, total, odd in rows}
        return Source(name, columns, n_rows, month, parts or {WHOLE: (f"{duckdb.__version__}:0", 0)})

    def _columns(self, name: str) -> tuple[tuple[str, str], ...]:
        found = []
        for column, kind in self.connection.execute(
            "select column_name, data_type from duckdb_columns() where schema_name = $1 and table_name = $2"
            " and database_name = current_database() order by column_index",
            [SCHEMA, name],
        ).fetchall():
            target = "numeric" if kind.startswith(("DECIMAL", "HUGEINT", "UBIGINT")) else _TYPES.get(kind)
            if target is None:
                raise ServingError(
                    f"Column {column} of {name} is of the type {kind}, which PostgreSQL has no counterpart for.",
                    "A mart holds text, whole numbers, double, date and boolean only: take the column out of the table.",
                )
            found.append((column, target))
        return tuple(found)

    def csv(self, source: Source, part: str | None = None) -> Rows:
        """The rows of a table, or of one part of it, as PostgreSQL's CSV: NULL is nothing, text stands in quotation marks."""
        where = ""
        if part == "none":
            where = f"where {source.month} is null"
        elif part:
            where = f"where {source.month} >= date '{part}' and {source.month} < date '{part}' + interval 1 month"
        return Rows(
            self.connection.execute(f"select * from {SCHEMA}.{quoted(source.name)} {where}").to_arrow_reader(100_000)
        )


class Rows:
    """A stream of CSV that is made while it is read: what psycopg2's copy_expert takes for a file."""

    def __init__(self, reader: pa.RecordBatchReader):
        self._chunks = self._written(reader)
        self._rest = b""

    @staticmethod
    def _written(reader: pa.RecordBatchReader) -> Iterator[bytes]:
        for batch in reader:
            sink = pa.BufferOutputStream()
            pa_csv.write_csv(batch, sink, pa_csv.WriteOptions(include_header=False, quoting_style="needed"))
            yield sink.getvalue().to_pybytes()

    def read(self, size: int = -1) -> bytes:
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return b""
            self._rest = chunk
        given = self._rest if size < 0 else self._rest[:size]
        self._rest = self._rest[len(given) :]
        return given
