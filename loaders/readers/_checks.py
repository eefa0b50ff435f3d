"""Checks every reader makes in the same words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date
from typing import TYPE_CHECKING

import numpy as np

from loaders.granule import BadFile
from loaders.readers._dates import FIRST_YEAR, LAST_YEAR, first_of_month, make_date
from loaders.readers._files import list_names

if TYPE_CHECKING:
    from loaders.products import Product, Variable

FLAG_UNIT = "bits"  # a variable with this unit is a flag word: never evidence that the file holds a measurement


def present_variables(product: Product, held: Iterable[str], where: str = "") -> tuple[Variable, ...]:
    """The product's variables among what a file holds, in the product's order.

    Raises BadFile when a variable that is not optional is missing, or all are, naming what the file has.
    """
    held = list(held)
    if not held:
        raise BadFile(f"holds no variables at all{where}: nothing was observed (an outage), or the subset was empty")
    present = tuple(v for v in product.variables if v.source_name in set(held))
    missing = [v.source_name for v in product.variables if not v.optional and v.source_name not in set(held)]
    if missing or not present:
        if missing:
            wanted = f"variable{'s' if len(missing) > 1 else ''} {list_names(missing)}"
        else:
            wanted = f"variable of {product.name}"
        raise BadFile(f"has no {wanted}{where}; it has {list_names(held)}")
    return present


def check_dtype(variable: Variable, found: np.dtype, what: str) -> None:
    """Raises BadFile unless every value of the file's type is also one of the declared type."""
    if not np.can_cast(found, np.dtype(variable.dtype), "safe"):
        raise BadFile(
            f"{what} is {found.name}, but the product says {variable.dtype}: "
            "is it of another product or version? (or give dtype in the mapping)"
        )


def check_holds_values(variables: Sequence[Variable], has_valid: Callable[[Variable], bool]) -> None:
    """Raises BadFile when none of the measured variables (unit other than bits) has a value that is not fill."""
    measured = [v for v in variables if v.unit != FLAG_UNIT] or list(variables)
    if not any(has_valid(v) for v in measured):
        raise BadFile(f"every value of {list_names([v.name for v in measured])} is fill: nothing was observed")


def check_exceeds(variable: Variable, values: np.ndarray) -> None:
    """Raises BadFile when no value is above what some value of every file of the product is: its unit is another one."""
    if variable.exceeds is None:
        return
    valid = values[variable.is_valid(values)]
    if valid.size and valid.max() <= variable.exceeds:
        raise BadFile(
            f"no value of {variable.name} is above {variable.exceeds:g} {variable.unit} (the largest is {valid.max():g}): it seems "
            "to be in another unit already; load it as `raster` with its own unit"
        )


def native_fill(variable: Variable, file_fill: float | int | None, what: str) -> tuple[float | int, float | int] | None:
    """(file's fill, product's fill) when a file marks missing values by a number the product does not list, else None.

    The product's list is what staging masks, so such values must become one of it. Raises BadFile when the product has
    no fill to turn them into.
    """
    if file_fill is None or file_fill != file_fill:
        return None
    dtype = np.dtype(variable.dtype)
    known = [f for f in variable.fill if f == f]
    if dtype.kind == "f":
        # -3.4e38 is written with more digits than float32 has: compare as the file does
        if dtype.type(file_fill) in [dtype.type(f) for f in known]:
            return None
        return file_fill, (known[0] if known else float("nan"))
    if file_fill in known:
        return None
    limits = np.iinfo(dtype)
    if file_fill != int(file_fill) or not limits.min <= file_fill <= limits.max:
        return None  # no value of this type can be it
    if not known:
        raise BadFile(f"{what} marks missing values with {file_fill:g}, which the product does not declare as fill")
    return file_fill, known[0]


def apply_fill(values: np.ndarray, replacement: tuple[float | int, float | int] | None) -> np.ndarray:
    """Values with the file's own fill turned into the product's; the same array where there is nothing to turn."""
    if replacement is None:
        return values
    found, ours = replacement
    hit = values == values.dtype.type(found)
    if hit.any():
        values = np.where(hit, values.dtype.type(ours), values)
    return values


def calendar_dates(times: Sequence, product: Product) -> list[date]:
    """Each time step's date on the product's calendar: its day, or the first of its month.

    Raises BadFile when a year is impossible, when two steps fall on the same date (the file is finer than the product), or
    when a daily product gets monthly steps.
    """
    days = []
    for t in times:
        day = make_date(t.year, t.month, t.day)
        if day is None:
            raise BadFile(f"its time axis says {t}, outside {FIRST_YEAR} to {LAST_YEAR}")
        days.append(first_of_month(day) if product.time_step == "month" else day)
    seen: set[date] = set()
    for day in days:
        if day in seen:
            n = days.count(day)
            unit = "month" if product.time_step == "month" else "day"
            said = f"{day:%Y-%m}" if unit == "month" else day.isoformat()
            raise BadFile(f"has {n} time steps in {said}, but {product.name} has one a {unit}: aggregate it first")
        seen.add(day)
    # Days of a daily file may be far apart, but not all on the same day of every month.
    if product.time_step == "day" and len(days) > 2 and len({d.day for d in days}) == 1:
        raise BadFile(
            f"has one time step a month ({min(days):%Y-%m} to {max(days):%Y-%m}), but {product.name} is daily: "
            "is it of another product?"
        )
    return days


def check_name_agrees(day_in_name: date | None, days: Sequence[date]) -> None:
    """Raises BadFile when a file of one date is named after another: it was renamed, or is damaged."""
    if day_in_name is not None and len(days) == 1 and days[0] != day_in_name:
        raise BadFile(f"its name says {day_in_name}, its time axis {days[0]}")
