"""Writes docs/kernels.md from the registry: `python -m udfs.docs`, or `--check` to learn whether it is up to date."""

from __future__ import annotations

import sys
from pathlib import Path

import pyarrow as pa

from udfs.registry import KERNELS, Kernel
from udfs.types import SERIES, duckdb_type

PAGE = Path(__file__).resolve().parents[1] / "docs" / "kernels.md"

HEAD = f"""# Kernels

Written by `python -m udfs.docs` from the descriptions beside the kernels in `udfs/`; do not edit.

Statistics that SQL lacks, the same functions on DuckDB and on Spark. `soilhouse build` registers them; for a session of your own:

```python
import duckdb, udfs

connection = duckdb.connect()
udfs.register(connection)          # Spark: udfs.register_spark(session)
```

A `series` is a list of (t, v) in any order: `{duckdb_type(SERIES)}`, on Spark `array<struct<t:int,v:double>>`. t counts
steps (years, months, days since a date of your choice), v is in the unit of the variable. Build one with
`list({{'t': t, 'v': v}})` and let the kernel sort: an ordered list aggregate runs out of memory.

DuckDB refuses arguments of other types (cast t to INTEGER, v to DOUBLE); Spark passes them on, and the kernels then take any
integer and decimal width, match struct fields by name, and refuse the rest. A view that calls a kernel works only in the
process that registered it: make tables for everybody else.
"""


def page() -> str:
    """The whole page as Markdown."""
    summaries = [(kernel.name, kernel.summary.replace("|", r"\|")) for kernel in KERNELS]
    contents = "\n".join(f"| [`{name}`](#{name}) | {summary} |" for name, summary in summaries)
    return "\n".join([HEAD, "| kernel | what it gives |\n|---|---|", contents, "", *map(_section, KERNELS)])


def _section(kernel: Kernel) -> str:
    arguments = ", ".join(_argument(name, arrow) for name, arrow in kernel.arguments.items())
    return f"""## {kernel.name}

`{kernel.name}({arguments})` -> `{kernel.duckdb_returns}`

{kernel.summary} {kernel.meaning}

* NULL: {kernel.nulls}
* Minimum: {kernel.minimum}
* Source: {kernel.citation}

```sql
{kernel.example};
```
"""


def _argument(name: str, arrow: pa.DataType) -> str:
    return name if arrow == SERIES else f"{name} {duckdb_type(arrow)}"


def main(arguments: list[str]) -> int:
    """Write the page, or with `--check` say whether it is what would be written (exit status 1 if not)."""
    if arguments == ["--check"]:
        if PAGE.is_file() and PAGE.read_text(encoding="utf-8") == page():
            return 0
        print(f"{PAGE.name} is not what the registry says; run `python -m udfs.docs` and commit it", file=sys.stderr)
        return 1
    if arguments:
        print("usage: python -m udfs.docs [--check]", file=sys.stderr)
        return 2
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
