"""After a build: which series have no month that counts, and which key of the study decides it."""

from __future__ import annotations

from collections.abc import Iterator, Set
from pathlib import Path

import duckdb

from soilhouse.study import Study

MONTHS = ("intermediate", "int_pixel_monthly")

# One series, by its number. The first row decides in the usual case, so that a large table is not read through.
_IS_COVERED = "select 1 from intermediate.int_pixel_monthly where series_id = ? and is_covered limit 1"
_BEST = """
select max(n_days), max(n_days / day(last_day(month)))
from intermediate.int_pixel_monthly
where series_id = ? and n_days > 0
"""
_ASKED = "select monthly_statistic from intermediate.int_series where series_id = ?"


def notes_on_coverage(study: Study, database: Path, built: Set[tuple[str, str]]) -> Iterator[str]:
    """A note for every series of which this build found no covered month: its marts are empty, and no error says so.

    `built` are the relations of the build, (schema, name); nothing is said when the months were not among them.
    """
    if MONTHS not in built:
        return
    with duckdb.connect(str(database), read_only=True) as connection:
        for number, series in enumerate(study.series, start=1):
            if connection.execute(_IS_COVERED, [number]).fetchone() is not None:
                continue
            layer = "" if series.layer == "surface" else f" ({series.layer})"
            named = f"{series.variable} of {series.product}{layer}"
            days, share = connection.execute(_BEST, [number]).fetchone()
            if days is None:
                yield f"{named} has no value in the study's period and region"
                continue
            (statistic,) = connection.execute(_ASKED, [number]).fetchone()
            yield f"{named} has no month that counts: {_why(study, number - 1, statistic, days, share)}"


def _why(study: Study, index: int, statistic: str, days: int, share: float) -> str:
    """The keys that no month satisfies; dekads, which no table keeps, when each of the others is satisfied by some month."""
    own = study.series[index].coverage
    min_days = (own and own.min_days) or study.coverage.min_days
    min_dekads = (own and own.min_dekads) or study.coverage.min_dekads
    keys = []
    if days < min_days:
        keys.append(f"its fullest has {days} days, and study.series[{index}].coverage.min_days is {min_days}")
    if statistic == "total" and share < study.coverage.min_share_of_total:
        keys.append(
            f"its fullest has {share:.0%} of its days, and study.coverage.min_share_of_total is"
            f" {study.coverage.min_share_of_total:g}"
        )
    if not keys:
        keys.append(f"none has days in enough dekads, and study.series[{index}].coverage.min_dekads is {min_dekads}")
    return "; ".join(keys)
