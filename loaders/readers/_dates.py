"""Dates in file names, table cells and NetCDF time axes.

File names carry dates in a handful of spellings. Those that name a day are looked for first, then year and day of the
year, then year and month; a name that carries two different dates of the finest kind is ambiguous and refused, because
a wrong guess would put a whole map on the wrong day.
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from typing import Literal

from loaders.granule import BadFile

FIRST_YEAR, LAST_YEAR = 1850, 2200

_DAY = (
    re.compile(r"(?<!\d)(\d{4})(\d{2})(\d{2})(?:\d{2}|\d{4}|\d{6})?(?!\d)"),  # 20150401, 20150401T0130, 20150401013000
    re.compile(r"(?<!\d)(\d{4})([-._])(\d{2})\2(\d{2})(?!\d)"),  # 2015-04-01, 2015.04.01, 2015_04_01
)
_DAY_OF_YEAR = (
    re.compile(r"(?<!\d)(\d{4})(\d{3})(?!\d)"),  # 2015091, A2015091, doy2015091
    re.compile(r"(?<!\d)(\d{4})[-._](\d{3})(?!\d)"),  # 2015_091
)
_MONTH = (
    re.compile(r"(?<!\d)(\d{4})[-._](\d{2})(?!\d)"),  # 2015-04, 2015.04, 2015_04
    re.compile(r"(?<!\d)(\d{4})(\d{2})(?!\d)"),  # 201504
)
SPELLINGS = "YYYYMMDD, YYYY-MM-DD, YYYY.MM.DD, YYYYDDD, YYYY-MM or YYYYMM"

Precision = Literal["day", "month"]


def make_date(year: int, month: int = 1, day: int = 1) -> date | None:
    """The date, or None when there is no such day or the year is outside 1850..2200."""
    if not FIRST_YEAR <= year <= LAST_YEAR:
        return None
    try:
        return date(year, month, day)
    except ValueError:
        return None


def make_date_of_year(year: int, day_of_year: int) -> date | None:
    """The date of a day counted from 1 within its year, or None when there is no such day."""
    first = make_date(year)
    if first is None or day_of_year < 1:
        return None
    found = first + timedelta(days=day_of_year - 1)
    return found if found.year == year else None


def find_date(name: str) -> tuple[date, Precision] | None:
    """The one date a file name carries and how fine it is; None when it carries none.

    Raises BadFile when it carries two different dates of the finest kind found.
    """
    for patterns, precision in ((_DAY, "day"), (_DAY_OF_YEAR, "day"), (_MONTH, "month")):
        found = {d for pattern in patterns for match in pattern.finditer(name) if (d := _from_match(match, patterns))}
        if len(found) > 1:
            several = " and ".join(d.isoformat() for d in sorted(found))
            raise BadFile(f"its name carries more than one date ({several}): give date_pattern in the mapping")
        if found:
            return found.pop(), precision
    return None


def _from_match(match: re.Match[str], patterns: tuple[re.Pattern[str], ...]) -> date | None:
    numbers = [int(g) for g in match.groups() if g and g.isdigit()]
    if patterns is _DAY_OF_YEAR:
        return make_date_of_year(numbers[0], numbers[1])
    return make_date(*numbers)


def parse_date(text: str) -> date | None:
    """The date of one written value: any spelling above, nothing else around it but a time of day; None otherwise."""
    text = text.strip()
    for pattern in (r"(\d{4})[-./_]?(\d{2})[-./_]?(\d{2})(?:[T ]?\d{2}:?\d{2}(?::?\d{2}(?:\.\d+)?)?(?:Z|\+00:?00)?)?",):
        if match := re.fullmatch(pattern, text):
            return make_date(*(int(g) for g in match.groups()))
    if match := re.fullmatch(r"(\d{4})[-._]?(\d{3})", text):
        return make_date_of_year(int(match[1]), int(match[2]))
    if match := re.fullmatch(r"(\d{4})[-./_]?(\d{2})", text):
        return make_date(int(match[1]), int(match[2]))
    return None


def date_from_groups(groups: dict[str, str | None]) -> date | None:
    """The date that a file pattern's groups spell: `date`, or `year` with `month` [and `day`] or `doy`; None without them.

    Raises BadFile when they spell a day that does not exist.
    """
    given = {k: v for k, v in groups.items() if v is not None and k in ("date", "year", "month", "day", "doy")}
    if not given:
        return None
    if "date" in given:
        found = parse_date(given["date"])
    elif "doy" in given:
        found = make_date_of_year(int(given["year"]), int(given["doy"]))
    else:
        found = make_date(int(given["year"]), int(given.get("month", 1)), int(given.get("day", 1)))
    if found is None:
        spelled = "-".join(given.values())
        raise BadFile(f"its name says {spelled}, which is no date between {FIRST_YEAR} and {LAST_YEAR}")
    return found


def first_of_month(day: date) -> date:
    """The first day of the month of `day`, the date a monthly product carries."""
    return day.replace(day=1)


def decode_times(values, units: str, calendar: str) -> list[datetime]:
    """CF time values as datetimes (naive, UTC).

    Calendars other than the real one (360_day, noleap) are accepted as long as each of their days exists.
    Raises BadFile when the units are not CF's or a day does not exist.
    """
    import cftime

    try:
        decoded = cftime.num2date(values, units.strip(), calendar=calendar, only_use_cftime_datetimes=True)
        exact = [datetime(t.year, t.month, t.day, t.hour, t.minute, t.second, t.microsecond) for t in decoded]
        # to the nearest second: 23:59:59.999 that stands for midnight must not be a day early
        return [(t + timedelta(seconds=0.5)).replace(microsecond=0) for t in exact]
    except (ValueError, OverflowError, TypeError) as error:
        raise BadFile(f"its time axis cannot be read (units {units!r}, calendar {calendar!r}): {error}") from error
