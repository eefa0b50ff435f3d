"""The answers in docs/queries.md: each SQL block is asked of the demo's warehouse, and its rows stand below it.

python -m serving.queries_docs [--db FILE] [--check]: with --check the answers are only compared. They belong to the demo that the
present code builds; after a change of it: `soilhouse demo`, then this.
"""

from __future__ import annotations

import argparse
import math
import re
import sys
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

PAGE = Path(__file__).resolve().parents[1] / "docs" / "queries.md"
_BLOCK = re.compile(r"(```sql\n(.*?)```\n)(.*?)(?=\n## |\Z)", re.DOTALL)
# Rows of an answer at most: it is there to be read.
MOST_ROWS = 15


def queries(text: str) -> list[str]:
    """The SQL of a page, in order."""
    return [sql.strip() for _, sql, _ in _BLOCK.findall(text)]


def answered(text: str, connection: duckdb.DuckDBPyConnection) -> str:
    """The page with the answers of this database. Raises ValueError for a query without rows or with more than MOST_ROWS."""

    def with_answer(found: re.Match) -> str:
        sql = found[2].strip()
        answer = connection.execute(sql)
        names, rows = [c[0] for c in answer.description], answer.fetchall()
        if not 0 < len(rows) <= MOST_ROWS:
            raise ValueError(f"a query of {PAGE.name} gives {len(rows)} rows, of 1 to {MOST_ROWS}:\n{sql}")
        lines = [
            f"| {' | '.join(names)} |",
            f"|{'|'.join('---:' if isinstance(v, (int, float, Decimal)) else '---' for v in rows[0])}|",
        ]
        lines += [f"| {' | '.join(_shown(v) for v in row)} |" for row in rows]
        return found[1] + "\n" + "\n".join(lines) + "\n"

    return _BLOCK.sub(with_answer, text)


def _shown(value: Any) -> str:
    """Four significant digits: more would change with the version of a library."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (float, Decimal)):
        value = float(value)
        if value == 0 or not math.isfinite(value):
            return f"{value:g}"
        digits = 3 - math.floor(math.log10(abs(value)))
        return f"{round(value, digits):.{max(digits, 0)}f}" if -12 < digits < 9 else f"{value:.3e}"
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    return value.isoformat() if isinstance(value, date) else str(value).replace("|", "\\|")


def main() -> int:
    """Write the answers, or compare them; the exit code is 1 where they differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--db", type=Path, default=PAGE.parents[1] / "build" / "soilhouse.duckdb", help="the demo's database"
    )
    parser.add_argument("--check", action="store_true", help="compare only")
    given = parser.parse_args()
    if not given.db.is_file():
        print(f"There is no {given.db}: soilhouse demo makes it.", file=sys.stderr)
        return 1
    old = PAGE.read_text(encoding="utf-8")
    with duckdb.connect(str(given.db), read_only=True) as connection:
        new = answered(old, connection)
    if given.check:
        if new != old:
            print(f"{PAGE} is not what the demo answers: python -m serving.queries_docs", file=sys.stderr)
        return int(new != old)
    PAGE.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
