"""Tables for a region's desk: CSV files and an Excel workbook a region, with what each column is and what the numbers were made of."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb

from serving.dictionary import Described
from serving.errors import ServingError
from serving.snapshot import SCHEMA, quoted

# Sheet or file -> mart. They have a region in every row.
TABLES = {
    "storage": "fct_desk_region",
    "drought_area": "fct_desk_class_area",
    "data_age": "fct_desk_data_age",
    "monthly": "fct_monthly_statistics",
}
FORMATS = ("csv", "xlsx")
SIMULATED = "SIMULATED: these numbers were made up by a program; they say nothing about any real place."
# What a worksheet holds.
MOST_ROWS = 1_048_576 - 1


@dataclass(frozen=True)
class _Table:
    name: str
    mart: str
    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]


def write_tables(
    database: Path,
    folder: Path,
    study: str | None = None,
    region: str | None = None,
    *,
    described: Mapping[str, Described],
    simulated: bool = False,
    formats: Sequence[str] = FORMATS,
) -> list[Path]:
    """Write the desk's tables of each region of a database or snapshot, and return the files, sorted.

    `folder/<region>/<table>.csv` and `folder/<region>/<region>.xlsx`; beside the CSV files `columns.csv` says what each column is, with
    its unit, and `provenance.csv` what they were made of. `study` guards against another study's database; `region` takes one region
    only; `described` is serving/dictionary.py's; `simulated` writes so into the files' names and the workbook. Numbers are those of the marts to the last
    digit; NULL is an empty cell. Raises ServingError for a database without these tables, an unknown region or form, or another study.
    """
    for name in formats:
        if name not in FORMATS:
            raise ServingError(f"Tables are not written as {name!r}.", f"Possible: {', '.join(FORMATS)}.")
    if not database.exists():
        raise ServingError(f"There is no database {database}.", "`soilhouse build` makes it.")
    with duckdb.connect(str(database), read_only=True) as connection:
        there = {name for (name,) in connection.execute(
            "select table_name from duckdb_tables() where schema_name = $1 and database_name = current_database()", [SCHEMA]
        ).fetchall()}  # fmt: skip
        chosen = {name: mart for name, mart in TABLES.items() if mart in there}
        if not chosen or "dim_region" not in there:
            raise ServingError(
                f"{database} has none of the tables that a desk takes away ({', '.join(TABLES.values())}).",
                "Add `desk` to the groups of the study, and build it.",
            )
        found = [name for (name,) in connection.execute(f"select distinct study from {SCHEMA}.dim_region").fetchall()]
        if study is not None and found != [study]:
            raise ServingError(
                f"{database} holds the study {', '.join(found)}, not {study}.", "Name its database: --db FILE."
            )
        regions = connection.execute(f"select region_id, name from {SCHEMA}.dim_region order by region_id").fetchall()
        if region is not None:
            regions = [row for row in regions if row[0] == region]
            if not regions:
                raise ServingError(
                    f"The study has no region {region!r}.", f"`select region_id from {SCHEMA}.dim_region` lists them."
                )
        provenance = list(_provenance(connection, there))
        written: list[Path] = []
        for region_id, title in regions:
            tables = [_read(connection, name, mart, region_id, described) for name, mart in chosen.items()]
            about = [
                ("study", found[0]),
                ("region", f"{region_id} ({title})" if title and title != region_id else region_id),
                *([("note", SIMULATED)] if simulated else []),
                *((table.name, described.get(table.mart, Described()).description) for table in tables),
            ]
            place = folder / _file_name(region_id)
            place.mkdir(parents=True, exist_ok=True)
            mark = "SIMULATED_" if simulated else ""
            meanings = [
                (table.name, column, described.get(table.mart, Described()).columns.get(column, ""))
                for table in tables
                for column in table.columns
            ]
            if "csv" in formats:
                written += [_csv(place / f"{mark}{table.name}.csv", table.columns, table.rows) for table in tables]
                written.append(_csv(place / "columns.csv", ("table", "column", "meaning"), meanings))
                written.append(
                    _csv(
                        place / "provenance.csv",
                        ("what", "name", "value"),
                        [("about", *row) for row in about] + provenance,
                    )
                )
            if "xlsx" in formats:
                written.append(
                    _workbook(place / f"{mark}{_file_name(region_id)}.xlsx", about, tables, meanings, provenance)
                )
    return sorted(written)


def _read(
    connection: duckdb.DuckDBPyConnection, name: str, mart: str, region: str, described: Mapping[str, Described]
) -> _Table:
    """The rows of a region, in the order of the mart's grain."""
    columns = tuple(c for (c,) in connection.execute(
        "select column_name from duckdb_columns() where schema_name = $1 and table_name = $2 and database_name = current_database()"
        " order by column_index", [SCHEMA, mart]).fetchall())  # fmt: skip
    order = [quoted(c) for c in described.get(mart, Described()).grain if c in columns] or ["all"]
    # Classes from the driest on, not by the alphabet.
    order = ['"class_order"' if key == '"class"' and "class_order" in columns else key for key in order]
    rows = connection.execute(
        f"select * from {SCHEMA}.{quoted(mart)} where region_id = $1 order by {', '.join(order)}", [region]
    ).fetchall()
    return _Table(name, mart, columns, rows)


def _provenance(connection: duckdb.DuckDBPyConnection, there: set[str]) -> Iterator[tuple[str, str, str]]:
    """What the numbers were made of: products with their source, and every file by its name and SHA-256."""
    if "dim_product" in there:
        for product, title, source, citation in connection.execute(
            f"select product, title, source, citation from {SCHEMA}.dim_product order by product"
        ).fetchall():
            for what, text in (("title", title), ("source", source), ("citation", citation)):
                if text:
                    yield f"product {what}", product, text
    if "fct_freshness" in there:
        for product, newest in connection.execute(
            f"select product, newest_date from {SCHEMA}.fct_freshness where newest_date is not null order by product"
        ).fetchall():
            yield "newest day", product, newest.isoformat()
    if "dim_granule" in there:
        for product, granule, digest in connection.execute(
            f"select product, granule, sha256 from {SCHEMA}.dim_granule order by product, granule"
        ).fetchall():
            yield f"file of {product}, SHA-256", granule, digest


def _csv(path: Path, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Path:
    """UTF-8 with the mark that makes Excel read it so."""
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
    return path


def _workbook(
    path: Path,
    about: Sequence[tuple[str, str]],
    tables: Sequence[_Table],
    meanings: Sequence[tuple[str, str, str]],
    provenance: Sequence[tuple[str, str, str]],
) -> Path:
    """A sheet a table, between one that says what it is and those that say what columns mean and what it was made of."""
    import xlsxwriter

    # Text from files and regions is never a formula or a link.
    options = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with xlsxwriter.Workbook(str(path), options) as book:
        head = book.add_format({"bold": True, "bottom": 1, "text_wrap": True, "valign": "top"})
        day = book.add_format({"num_format": "yyyy-mm-dd"})
        wrapped = book.add_format({"text_wrap": True, "valign": "top"})
        sheets = [
            ("about", ("what", "value"), about, (18, 100)),
            *((table.name, table.columns, table.rows, None) for table in tables),
            ("columns", ("table", "column", "meaning"), meanings, (16, 26, 100)),
            ("provenance", ("what", "name", "value"), provenance, (28, 44, 80)),
        ]
        for name, columns, rows, widths in sheets:
            if len(rows) > MOST_ROWS:
                raise ServingError(
                    f"{name} has {len(rows):,} rows, and a worksheet holds {MOST_ROWS:,}.",
                    "Write CSV instead: --form csv.",
                )
            sheet = book.add_worksheet(name)
            sheet.freeze_panes(1, 0)
            for place, column in enumerate(columns):
                sheet.write_string(0, place, column, head)
                sheet.set_column(place, place, widths[place] if widths else max(11, len(column) + 2))
            for line, row in enumerate(rows, 1):
                for place, value in enumerate(row):
                    _cell(sheet, line, place, value, day, wrapped if widths else None)
            if rows:
                sheet.autofilter(0, 0, len(rows), len(columns) - 1)
    return path


def _cell(sheet: Any, line: int, place: int, value: Any, day: Any, wrapped: Any) -> None:
    if value is None:
        return
    if isinstance(value, bool):
        sheet.write_boolean(line, place, value)
    elif isinstance(value, date):
        sheet.write_datetime(line, place, value, day)
    elif isinstance(value, (int, float)):
        sheet.write_number(line, place, value)
    else:
        sheet.write_string(line, place, str(value), wrapped)


def _file_name(region: str) -> str:
    """A region's name as a file's: other signs than letters, digits, - and _ become _."""
    return re.sub(r"[^\w-]+", "_", region).strip("_") or "region"
