"""Two engines' builds of one table, row by row on the table's grain.

| column kind                                     | equal when                                                  |
|-------------------------------------------------|-------------------------------------------------------------|
| text, whole number, date, truth value           | the same                                                    |
| double                                          | |a - b| <= 1e-10 max(|a|, |b|), or 1e-14 of the largest |a| |
| probability or correlation: p, r, rho, tau, ... | |a - b| <= 1e-10                                            |
| struct, list of structs                         | their fields are, each as a column                          |
| NULL                                            | NULL on both                                                |
| NaN, infinity                                   | never: no mart has them                                     |

The largest is that of the column among rows of the same variable, product and layer, so that millimetres do not excuse m3 m-3. It is
there for sums that cancel: a slope that is 0 but for rounding has no digits that could agree.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import duckdb

RELATIVE = 1e-10
OF_LARGEST = 1e-14
FLOOR_SHARE = OF_LARGEST / RELATIVE
ABSOLUTE = 1e-10
SERIES = ("series_id", "variable", "product", "layer")
_BOUNDED = re.compile(r"(^|_|\.)(p|p_adjusted|r|r2|rho|tau_a|tau_b)$")
SHOWN = 3


@dataclass
class Comparison:
    """What came of one table; it is equal when there are no problems."""

    table: str
    n_rows: int = 0
    n_columns: int = 0
    largest: float = 0.0
    largest_column: str = ""
    problems: list[str] = field(default_factory=list)

    @property
    def is_equal(self) -> bool:
        return not self.problems


def is_bounded(column: str) -> bool:
    """Whether a column is a probability or a correlation, to be compared absolutely."""
    return _BOUNDED.search(column) is not None


def compare(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    left: str,
    right: str,
    grain: Sequence[str] | None,
    names: tuple[str, str],
    may_be_empty: bool = False,
) -> Comparison:
    """Compare two relations of `connection`; `names` are what the messages call them. Without a grain every column that is not a double is one.

    Two relations without rows are a problem unless they may be empty: of a lake made for comparing, every table should show something.
    """
    result = Comparison(table)
    left, right = _flat(connection, (left, right))
    types = {side: _types(connection, side) for side in (left, right)}
    if types[left] != types[right]:
        for column in sorted(set(types[left].items()) ^ set(types[right].items())):
            kinds = [types[side].get(column[0], "no such column") for side in (left, right)]
            message = f"column {column[0]}: {names[0]} {kinds[0]}, {names[1]} {kinds[1]}"
            if message not in result.problems:
                result.problems.append(message)
        return result

    columns = types[left]
    result.n_columns = len(columns)
    counts = [connection.execute(f"select count(*) from {side}").fetchone()[0] for side in (left, right)]
    result.n_rows = counts[0]
    if counts[0] != counts[1]:
        result.problems.append(f"{counts[0]} rows on {names[0]}, {counts[1]} on {names[1]}")
    if may_be_empty and not any(counts):
        return result
    if not all(counts):
        result.problems.append("no rows: nothing was compared, give the lake something that this table shows")
        return result

    key = list(grain or [column for column, kind in columns.items() if kind != "DOUBLE"])
    for side, name in zip((left, right), names, strict=True):
        twice = connection.execute(
            f"select count(*) from (select 1 from {side} group by {_list(key)} having count(*) > 1)"
        ).fetchone()[0]
        if twice:
            result.problems.append(
                f"{twice} keys ({', '.join(key)}) come more than once on {name}: give the model a grain test"
            )
    if result.problems and any("more than once" in problem for problem in result.problems):
        return result

    paired = " and ".join(f'l."{column}" is not distinct from r."{column}"' for column in key)
    alone = [
        connection.execute(
            f"select {_list(key)} from {here} as l where not exists (select 1 from {there} as r where {paired})"
        ).fetchall()
        for here, there in ((left, right), (right, left))
    ]
    for rows, name in zip(alone, names, strict=True):
        if rows:
            result.problems.append(f"{len(rows)} keys on {name} only, such as {_row(key, rows[0])}")

    for column, kind in columns.items():
        if column not in key:
            _compare_column(connection, result, (left, right), key, paired, column, kind, names)
    return result


def _compare_column(
    connection: duckdb.DuckDBPyConnection,
    result: Comparison,
    sides: tuple[str, str],
    key: list[str],
    paired: str,
    column: str,
    kind: str,
    names: tuple[str, str],
) -> None:
    group = ", ".join(f'l."{name}"' for name in SERIES if name in key)
    largest = (
        f'max(abs(l."{column}")) over ({f"partition by {group}" if group else ""})' if kind == "DOUBLE" else "null"
    )
    pairs = f"""(
        select {", ".join(f'l."{name}" as "{name}"' for name in key)}, {largest} as scale, l."{column}" as a, r."{column}" as b
        from {sides[0]} as l inner join {sides[1]} as r on {paired})"""
    if kind == "DOUBLE":
        floor = ABSOLUTE if is_bounded(column) else f"{OF_LARGEST} * scale"
        relative = 0 if is_bounded(column) else f"{RELATIVE} * greatest(abs(a), abs(b))"
        differs = f"""(a is null) <> (b is null) or not isfinite(a) or not isfinite(b)
            or abs(a - b) > greatest({floor}, {relative})"""
        # A difference that only the floor allows says nothing as a part of what is left after cancelling.
        size = (
            "abs(a - b)"
            if is_bounded(column)
            else f"abs(a - b) / nullif(greatest(abs(a), abs(b), {FLOOR_SHARE} * scale), 0)"
        )
        found = connection.execute(f"select max({size}) from {pairs} where isfinite(a) and isfinite(b)").fetchone()[0]
        if found is not None and found > result.largest:
            result.largest, result.largest_column = found, column
    else:
        differs = "a is distinct from b"
    n_different = connection.execute(f"select count(*) from {pairs} where {differs}").fetchone()[0]
    if n_different:
        result.problems.append(f"column {column}: {n_different} values differ")
        for row in connection.execute(f"select * from {pairs} where {differs} order by all limit {SHOWN}").fetchall():
            result.problems.append(f"    {_row(key, row)}: {names[0]} {row[-2]!r}, {names[1]} {row[-1]!r}")


def _flat(connection: duckdb.DuckDBPyConnection, relations: tuple[str, str]) -> tuple[str, str]:
    """The relations with the fields of structs as columns (`fit.p`), and the members of lists of structs (`fit.factors.1.p`): each is
    compared by what it is. The fields of a NULL struct are NULL."""
    longest: dict[str, int] = {}
    for relation in relations:
        rows = connection.sql(f"select * from {relation}")
        for name, kind in zip(rows.columns, rows.types, strict=True):
            for path, value in _lists(f'"{name}"', kind, name):
                found = connection.execute(f"select coalesce(max(len({value})), 0) from {relation}").fetchone()[0]
                longest[path] = max(found, longest.get(path, 0))
    flat = []
    for relation in relations:
        rows = connection.sql(f"select * from {relation}")
        columns = [
            f'{value} as "{path}"'
            for name, kind in zip(rows.columns, rows.types, strict=True)
            for path, value in _leaves(f'"{name}"', kind, name, longest)
        ]
        flat.append(f"(select {', '.join(columns)} from {relation})")
    return flat[0], flat[1]


def _is_list_of_structs(kind: duckdb.DuckDBPyType) -> bool:
    return kind.id == "list" and kind.children[0][1].id == "struct"


def _lists(value: str, kind: duckdb.DuckDBPyType, path: str) -> Iterator[tuple[str, str]]:
    if _is_list_of_structs(kind):
        yield path, value
    elif kind.id == "struct":
        for field, inner in kind.children:
            yield from _lists(f'{value}."{field}"', inner, f"{path}.{field}")


def _leaves(value: str, kind: duckdb.DuckDBPyType, path: str, longest: dict[str, int]) -> Iterator[tuple[str, str]]:
    if kind.id == "struct":
        for field, inner in kind.children:
            yield from _leaves(f'{value}."{field}"', inner, f"{path}.{field}", longest)
    elif _is_list_of_structs(kind):
        yield f"{path}.n", f"len({value})"
        for position in range(1, longest[path] + 1):
            yield from _leaves(f"{value}[{position}]", kind.children[0][1], f"{path}.{position}", longest)
    else:
        yield path, value


def _types(connection: duckdb.DuckDBPyConnection, relation: str) -> dict[str, str]:
    return {
        name: kind for name, kind, *_ in sorted(connection.execute(f"describe select * from {relation}").fetchall())
    }


def _list(columns: Sequence[str]) -> str:
    return ", ".join(f'"{column}"' for column in columns)


def _row(key: Sequence[str], row: Sequence[object]) -> str:
    return ", ".join(f"{column} {value}" for column, value in zip(key, row, strict=False))
