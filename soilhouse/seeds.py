"""The reference tables of seeds/ that a study's words are checked against."""

from __future__ import annotations

import csv
from functools import cache

from soilhouse.settings import project_root


def _column(table: str, column: str) -> frozenset[str]:
    with (project_root() / "seeds" / f"{table}.csv").open(newline="", encoding="utf-8") as file:
        return frozenset(row[column] for row in csv.DictReader(file))


@cache
def seasons() -> frozenset[str]:
    """Names of the season calendars."""
    return _column("season_calendars", "season")


@cache
def variables() -> frozenset[str]:
    """Variables whose unit and monthly statistic are known."""
    return _column("variables", "variable")


@cache
def papers() -> frozenset[str]:
    """Papers whose figures are known."""
    return _column("published_values", "paper")


@cache
def land_cover_schemes() -> frozenset[str]:
    """Schemes that a land cover's classes may be brought to."""
    return _column("land_cover_schemes", "scheme")


@cache
def ndvi_levels() -> frozenset[str]:
    """Schemes of NDVI levels."""
    return _column("ndvi_levels", "scheme")
