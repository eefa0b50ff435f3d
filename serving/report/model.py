"""What a report is made of: sections, figures, and the views of a figure, each with the query behind it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property

import pyarrow as pa

# Choices that a figure offers at most: a page is read, and everything else is one query away.
MOST_VIEWS = 24


@dataclass(frozen=True, eq=False)
class Answer:
    """A query and what it gave."""

    sql: str
    table: pa.Table

    def __len__(self) -> int:
        return self.table.num_rows

    @cached_property
    def _rows(self) -> list[dict]:
        return self.table.to_pylist()

    def rows(self) -> list[dict]:
        """The rows as dictionaries."""
        return self._rows

    def column(self, name: str) -> list:
        """The values of one column, None for NULL."""
        return self.table.column(name).to_pylist()


@dataclass(frozen=True)
class Drawing:
    """The inside of an SVG of this size, in its own units."""

    body: str
    width: float
    height: float


@dataclass(frozen=True)
class View:
    """One choice of a figure: what its entry in the list says, the drawing, the query behind it, and the drawing in words."""

    label: str
    drawing: Drawing
    answer: Answer
    summary: str


@dataclass(frozen=True)
class Figure:
    """One figure: `key` is its place in the page, `caption` says what is seen and how it is to be read."""

    key: str
    title: str
    caption: str
    marts: tuple[str, ...]
    views: tuple[View, ...]
    note: str = ""


@dataclass(frozen=True)
class Section:
    """Figures under one heading; `absent` says of each figure that could not be drawn why, and what would bring it."""

    key: str
    title: str
    figures: tuple[Figure, ...]
    absent: tuple[str, ...]


class Absent(Exception):
    """A figure cannot be drawn: the message says why and what the user can do."""


@dataclass(frozen=True)
class Facts:
    """What a report says of its study, from the study file; `simulated` is a reason, empty for measured data."""

    name: str
    title: str
    period_start: date | None = None
    period_end: date | None = None
    time_zone: str = ""
    paper: str = ""
    simulated: str = ""
    alpha: float = 0.05
    groups: tuple[str, ...] = field(default_factory=tuple)


Builder = Callable[["Reader"], Figure]  # noqa: F821 (serving.report.reader)


def first_of(choices: list, most: int = MOST_VIEWS) -> tuple[list, str]:
    """The first `most` of choices that are in order of interest, and a sentence about those left out ('' for none)."""
    if len(choices) <= most:
        return choices, ""
    return choices[:most], f"The first {most} of {len(choices)} are offered here; the query gives any other."


def thinned(choices: list, most: int = MOST_VIEWS) -> tuple[list, str]:
    """At most `most` of the choices, evenly spread with the first and the last, and a sentence about those left out ('' for none)."""
    if len(choices) <= most:
        return choices, ""
    picked = [choices[round(i * (len(choices) - 1) / (most - 1))] for i in range(most)]
    return picked, f"{most} of {len(choices)} are offered here, evenly spread; the query gives any other."
