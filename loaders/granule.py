"""What a reader hands to the lake: the header of one file, and the promise to read it.

A *granule* is one delivered file. A reader verifies it and describes it as a `Granule`; `loaders/load.py` decides what
that means for the lake; only then are values read. Readers are modules of `loaders/readers/` that satisfy `Reader`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from loaders.grids import Grid
    from loaders.products import Product


class BadFile(Exception):
    """A file that cannot be loaded; `reason` is one line in the user's words, without the file's name."""

    def __init__(self, reason: str) -> None:
        self.reason = " ".join(str(reason).split())
        super().__init__(self.reason)


@dataclass(frozen=True, order=True)
class Window:
    """A rectangle of cells of a grid; row 0 is the northernmost of the grid, column 0 the westernmost."""

    row: int
    column: int
    height: int
    width: int

    @property
    def n_cells(self) -> int:
        return self.height * self.width

    def overlaps(self, other: Window) -> bool:
        """True when the two windows share a cell."""
        return (
            self.row < other.row + other.height
            and other.row < self.row + self.height
            and self.column < other.column + other.width
            and other.column < self.column + self.width
        )

    def union(self, other: Window) -> Window:
        """The smallest window that holds both."""
        row, column = min(self.row, other.row), min(self.column, other.column)
        bottom = max(self.row + self.height, other.row + other.height)
        right = max(self.column + self.width, other.column + other.width)
        return Window(row, column, bottom - row, right - column)

    def slices_in(self, outer: Window) -> tuple[slice, slice]:
        """(rows, columns) of this window inside an array that covers `outer`, which must contain it."""
        row, column = self.row - outer.row, self.column - outer.column
        if row < 0 or column < 0 or row + self.height > outer.height or column + self.width > outer.width:
            raise ValueError(f"{self} is not inside {outer}")
        return slice(row, row + self.height), slice(column, column + self.width)


@dataclass(frozen=True)
class Granule:
    """The verified header of one file.

    name       what the file is called in provenance (its base name)
    key        identifies the granule across versions (what the product's `file_pattern` captures, without `version`)
    version    compared by its numbers and words (`08.1` < `09.0`); "" when the product has none
    sha256     hexadecimal digest of the file's bytes
    grid       the grid its cells or points lie on; None for stations
    window     the cells a dense file covers; None for sparse formats and stations
    dates      ascending, without repeats; the first of the month for monthly products; () for static, and for a file
               that only describes stations
    variables  those of the product's variables that the file holds, in the product's order
    """

    path: Path
    name: str
    key: str
    version: str
    sha256: str
    grid: Grid | None
    window: Window | None
    dates: tuple[date, ...]
    variables: tuple[str, ...]


@runtime_checkable
class Reader(Protocol):
    """What every module of `loaders/readers/` offers. All of it raises `BadFile`; values stay as delivered.

    Functions are called from several threads at once: a module whose library cannot do that holds a lock of its own.
    Dense formats need no `read_sparse`, sparse ones no `read_dense`. Formats of stations also have
    `read_stations(granule, product) -> pa.Table | None`: station_id, network, name, lon, lat, elevation_m, land_cover, method
    of the stations the file describes.
    """

    LAYOUT: str  # "dense" or "sparse"

    def inspect(self, path: Path, product: Product, grid: Grid | None) -> Granule:
        """The header of `path`, after checking that it can be what the product says."""

    def read_dense(self, granule: Granule, product: Product, variable: str, dates: Sequence[date]) -> np.ndarray:
        """Values of one variable, shape (len(dates), height, width), native dtype, north up, west left.

        `dates` is a subset of `granule.dates`, ascending; for a static granule it is () and the shape is (1, height, width).
        """

    def read_sparse(self, granule: Granule, product: Product) -> pa.Table:
        """All rows of the granule: pixel_id or station_id, sensor, layer_top_cm, layer_bottom_cm; obs_date [obs_time]; variables."""
