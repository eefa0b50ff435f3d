"""CSV and Parquet tables, plain or gzipped: their columns, typed reading, and the line that a bad value is in."""

from __future__ import annotations

import bz2
import difflib
import gzip
import io
import lzma
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from functools import cached_property
from pathlib import Path

import polars as pl

from loaders.granule import BadFile
from loaders.readers._dates import FIRST_YEAR, LAST_YEAR, make_date, parse_date
from loaders.readers._files import list_names

NULLS = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None"]
_BINARY = (b"\x89HDF", b"CDF\x01", b"CDF\x02", b"II*\x00", b"MM\x00*", b"PK\x03\x04", b"GRIB", b"%PDF")


_R_STARTS = (b"RDX", b"RDA", b"X\n\0\0\0")  # what save() and saveRDS() write, before they compress it


def is_r_data(path: Path, start: bytes) -> bool:
    """True for tables saved by R, which may be packed by xz, bzip2 or gzip; `start` is the beginning of the file."""
    openers = {b"\xfd7zXZ\0": lzma.open, b"BZh": bz2.open, b"\x1f\x8b": gzip.open}
    for magic, opener in openers.items():
        if start.startswith(magic):
            try:
                with opener(path) as file:
                    return file.read(8).startswith(_R_STARTS)
            except (OSError, EOFError, lzma.LZMAError, zlib.error):
                return False
    return start.startswith(_R_STARTS)


@dataclass(frozen=True)
class Table:
    """One opened table: `content` is its unpacked bytes, `columns` its header."""

    path: Path
    is_parquet: bool
    is_gzipped: bool
    separator: str
    columns: tuple[str, ...]

    @classmethod
    def open(cls, path: Path) -> Table:
        """The table at `path`, with its header read. Raises BadFile when it is empty, truncated or no table."""
        path = Path(path)
        try:
            with path.open("rb") as file:
                start = file.read(4096)
        except OSError as error:
            raise BadFile(f"cannot be read: {error.strerror or error}") from error
        if not start:
            raise BadFile("is empty (0 bytes)")
        if is_r_data(path, start):
            raise BadFile("is an R data file: in R, load() it and write.csv() its table, then load that")
        is_gzipped = start.startswith(b"\x1f\x8b")
        if is_gzipped:
            try:
                with gzip.open(path) as file:
                    start = file.read(65536)
            except (OSError, EOFError, zlib.error) as error:
                raise BadFile(f"is a damaged or truncated gzip file: {error}") from error
            if not start:
                raise BadFile("is empty (0 bytes when unpacked)")
        if start.startswith(b"PAR1"):
            table = cls(path, True, is_gzipped, "", ())
            return cls(path, True, is_gzipped, "", tuple(table.schema))
        if start.startswith(_BINARY) or b"\x00" in start:
            raise BadFile("is neither a CSV nor a Parquet table")
        if start.lstrip().lower().startswith((b"<!doctype", b"<html")):
            raise BadFile("is not a table but a web page: the download was most likely answered by a login page")
        header = start.lstrip(b"\xef\xbb\xbf").splitlines()[0]
        separator = max((b",", b";", b"\t"), key=header.count).decode()
        table = cls(path, False, is_gzipped, separator, ())
        columns = tuple(table._read_csv(n_rows=0).columns)
        return cls(path, False, is_gzipped, separator, columns)

    @cached_property
    def schema(self) -> dict[str, pl.DataType]:
        """Column types: a Parquet file's own; of a CSV everything is text."""
        if not self.is_parquet:
            return {name: pl.String() for name in self.columns}
        try:
            return dict(pl.read_parquet_schema(self._source()))
        except (pl.exceptions.PolarsError, OSError) as error:
            raise BadFile(f"is a damaged or truncated Parquet file: {_first_line(error)}") from error

    def read(self, types: Mapping[str, type[pl.DataType] | pl.DataType | None]) -> pl.DataFrame:
        """Some columns, in the order asked; a type of None leaves a column as it is (text in a CSV).

        Missing values (empty, NA, NaN and the like) are null. Raises BadFile naming column, line and text of the first
        value that is not of its type.
        """
        if self.is_parquet:
            try:
                frame = pl.read_parquet(self._source(), columns=list(types))
            except (pl.exceptions.PolarsError, OSError) as error:
                raise BadFile(f"cannot be read to the end, it is truncated or damaged: {_first_line(error)}") from error
            frame = frame.select(list(types))
            return frame.with_columns(self._cast(frame[name], wanted) for name, wanted in types.items())
        self._check_last_line()
        overrides = {name: wanted or pl.String for name, wanted in types.items()}
        try:
            frame = self._read_csv(columns=list(types), schema_overrides=overrides)
        except _NotOfItsType:
            frame = self._read_csv(columns=list(types))
            frame = frame.with_columns(self._cast(frame[name], wanted) for name, wanted in types.items())
        frame = frame.select(list(types))
        floats = [name for name, dtype in frame.schema.items() if dtype.is_float()]
        return frame.with_columns(pl.col(floats).fill_nan(None)) if floats else frame

    def line(self, row: int) -> str:
        """How to find a row: the line of a CSV (the header is line 1), the row of a Parquet file."""
        return f"row {row + 1}" if self.is_parquet else f"line {row + 2}"

    def require(self, wanted: Iterable[tuple[str, str]]) -> None:
        """Raises BadFile for the first (column, meaning) that the table lacks, naming what it has."""
        for name, meaning in wanted:
            if name not in self.columns:
                close = difflib.get_close_matches(name, self.columns, n=1, cutoff=0.6)
                hint = f" (is it {close[0]!r}? say so under columns in the mapping)" if close else ""
                raise BadFile(f"has no column {name!r} ({meaning}){hint}; it has {list_names(list(self.columns))}")

    # -- inside ----------------------------------------------------------------------------------------------------

    def _source(self) -> Path | io.BytesIO:
        if not self.is_gzipped:
            return self.path
        try:
            with gzip.open(self.path) as file:
                return io.BytesIO(file.read())
        except (OSError, EOFError, zlib.error) as error:
            raise BadFile(f"is a damaged or truncated gzip file: {error}") from error

    def _read_csv(self, **how) -> pl.DataFrame:
        try:
            return pl.read_csv(
                self.path, separator=self.separator, infer_schema=False, null_values=NULLS, encoding="utf8-lossy", **how
            )
        except pl.exceptions.ComputeError as error:
            said = _first_line(error)
            if "could not parse" in said:
                raise _NotOfItsType from error
            if "more fields" in said:
                raise BadFile(f"is no regular table: {self._longest_line()}") from error
            raise BadFile(f"cannot be read as a table: {said}") from error
        except (pl.exceptions.PolarsError, OSError) as error:
            said = _first_line(error)
            if "unexpected end of file" in said or "corrupt" in said:
                raise BadFile(f"is a damaged or truncated gzip file: {said}") from error
            raise BadFile(f"cannot be read as a table: {said}") from error

    def _longest_line(self) -> str:
        n = len(self.columns) or None
        opener = gzip.open if self.is_gzipped else open
        with opener(self.path, "rt", errors="replace") as file:
            for number, line in enumerate(file, start=1):
                fields = line.count(self.separator) + 1
                n = n or fields
                if fields > n:
                    return f"line {number} has {fields} fields, the header {n}"
        return "a line has more fields than the header"

    def _check_last_line(self) -> None:
        """Raises BadFile when the file ends in the middle of a line: a shorter line would pass as one with nulls."""
        if self.is_gzipped:
            return  # a truncated gzip file does not unpack
        with self.path.open("rb") as file:
            size = file.seek(0, io.SEEK_END)
            file.seek(max(0, size - 65536))
            tail = file.read()
        if tail.endswith((b"\n", b"\r")):
            return
        last = tail.splitlines()[-1]
        if last.count(self.separator.encode()) < len(self.columns) - 1:
            raise BadFile(f"ends in the middle of a line ({last[-40:].decode(errors='replace')!r}): it is truncated")

    def _cast(self, column: pl.Series, wanted: type[pl.DataType] | pl.DataType | None) -> pl.Series:
        if wanted is None or column.dtype == wanted:
            return column.fill_nan(None) if column.dtype.is_float() else column
        text = column.str.strip_chars() if column.dtype == pl.String else column
        if column.dtype.is_temporal():
            raise BadFile(f"its column {column.name!r} holds dates, not numbers")
        cast = text.cast(wanted, strict=False)
        lost = cast.is_null() & column.is_not_null()
        if lost.any():
            row = lost.arg_true()[0]
            kind = "number" if wanted.is_float() else "whole number that fits"
            raise BadFile(f"its column {column.name!r} has {column[row]!r} in {self.line(row)}, which is no {kind}")
        return cast.fill_nan(None) if cast.dtype.is_float() else cast


class _NotOfItsType(Exception):
    """A CSV value did not parse; the slow path says which."""


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


# -- dates in columns ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Moments:
    """The dates and times (UTC, microseconds) of a column, a value a row, none missing."""

    times: pl.Series
    has_times: bool  # some value says a time of day other than midnight
    is_monthly: bool  # every value says only year and month

    @property
    def dates(self) -> pl.Series:
        return self.times.dt.date()


def read_moments(table: Table, column: pl.Series) -> Moments:
    """Dates and times of a column in any readable spelling; a time with a zone is turned to UTC, one without is UTC.

    Raises BadFile naming the line of the first missing or unreadable value.
    """
    if column.null_count():
        row = column.is_null().arg_true()[0]
        raise BadFile(f"its column {column.name!r} is empty in {table.line(row)}")
    if column.dtype == pl.Date:
        _check_years(table, column, column.dt.year())
        return Moments(column.cast(pl.Datetime("us")), has_times=False, is_monthly=False)
    if isinstance(column.dtype, pl.Datetime):
        zoned = column.dt.convert_time_zone("UTC").dt.replace_time_zone(None) if column.dtype.time_zone else column
        times = zoned.cast(pl.Datetime("us"))
        _check_years(table, column, times.dt.year())
        has_times = bool((times.dt.truncate("1d") != times).any())
        return Moments(times, has_times, is_monthly=False)
    if not (column.dtype == pl.String or column.dtype.is_integer()):
        raise BadFile(f"its column {column.name!r} holds {column.dtype}, not dates")
    text = column.cast(pl.String).str.strip_chars()
    distinct = text.unique(maintain_order=True)
    read = [_read_moment(t) for t in distinct]
    if None in read:
        bad = distinct[read.index(None)]
        row = (text == bad).arg_true()[0]
        raise BadFile(
            f"its column {column.name!r} has {bad!r} in {table.line(row)}, which is no date between {FIRST_YEAR} and "
            f"{LAST_YEAR} (write YYYY-MM-DD)"
        )
    times = text.replace_strict(distinct, pl.Series(read, dtype=pl.Datetime("us")), return_dtype=pl.Datetime("us"))
    has_times = any(m.time() != time() for m in read)
    is_monthly = bool(distinct.len()) and bool(distinct.str.contains(r"^\d{4}[-./_]?\d{2}$").all())
    return Moments(times, has_times, is_monthly)


def _read_moment(text: str) -> datetime | None:
    """A written date or time as a naive datetime in UTC, or None. Days before months are refused as ambiguous."""
    if not text[:4].isdigit():
        return None
    day = parse_date(text) if len(text) < 11 else None
    if day is not None:
        return datetime.combine(day, time())
    try:
        moment = datetime.fromisoformat(text.replace("/", "-").replace(" UTC", "+00:00"))
    except ValueError:
        return None
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC).replace(tzinfo=None)
    return moment if make_date(moment.year, moment.month, moment.day) else None


def _check_years(table: Table, column: pl.Series, years: pl.Series) -> None:
    wrong = (years < FIRST_YEAR) | (years > LAST_YEAR)
    if wrong.any():
        row = wrong.arg_true()[0]
        raise BadFile(
            f"its column {column.name!r} has {column[row]} in {table.line(row)}, outside {FIRST_YEAR} to {LAST_YEAR}"
        )


def refuse_repeats(table: Table, keys: pl.DataFrame, say: Mapping[str, str]) -> None:
    """Raises BadFile when two rows have the same key, naming both; `say` gives each key column's word."""
    repeated = keys.is_duplicated()
    if not repeated.any():
        return
    row = repeated.arg_true()[0]
    first = keys.row(row, named=True)
    same = keys.with_row_index("__row").filter(
        pl.all_horizontal(pl.col(name).eq_missing(pl.lit(value)) for name, value in first.items())
    )["__row"]
    said = ", ".join(f"{say[name]} {value}" for name, value in first.items() if value is not None)
    n = int(repeated.sum()) - keys.filter(repeated).n_unique()
    more = f"; {n:,} such rows" if n > 1 else ""
    raise BadFile(f"has {said} more than once ({table.line(same[0])} and {table.line(same[1])}{more})")


def distinct_dates(dates: pl.Series) -> tuple[date, ...]:
    """The dates of a column, ascending, each once."""
    return tuple(dates.unique().sort().to_list())


def first_row_where(mask: pl.Series) -> int | None:
    """The first row where a boolean column is true, or None."""
    rows: Sequence[int] = mask.fill_null(False).arg_true()
    return int(rows[0]) if len(rows) else None
