"""The field's standard variables: seeds/variables.csv, the one list of their names and units."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

SEED = Path(__file__).resolve().parents[1] / "seeds" / "variables.csv"


@dataclass(frozen=True)
class StandardVariable:
    """`unit` is that of the staging column of every product that delivers the variable."""

    name: str
    long_name: str
    unit: str


@cache
def standard_variables() -> dict[str, StandardVariable]:
    """The standard variables by name. Empty where the package lies without its project: it can load files, not build."""
    if not SEED.is_file():
        return {}
    with SEED.open(newline="", encoding="utf-8") as file:
        rows = [StandardVariable(row["variable"], row["long_name"], row["unit"]) for row in csv.DictReader(file)]
    return {row.name: row for row in rows}
