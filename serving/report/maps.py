"""A map of pixels in the rows and columns of their grid: a picture a cell, borders of regions, and what the page needs to read values off it."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

from serving.report import svg
from serving.report.model import Answer
from serving.report.palette import colour, colours
from serving.report.png import address


@dataclass(frozen=True)
class Cells:
    """The pixels of an answer on their grid, cropped to them: `index` is the row of the answer at each cell, -1 where there is none.

    `step` is the distance of drawn cells where a map was thinned; `aspect` is a cell's height over its width on the ground; `lon`, `lat` are the
    outermost centres and `cell` a cell's width and height, degrees; `is_straight` says that columns run along meridians.
    """

    first_row: int
    first_column: int
    index: NDArray[np.int64]
    step: int
    aspect: float
    lon: tuple[float, float]
    lat: tuple[float, float]
    cell: tuple[float, float]
    is_straight: bool

    @property
    def edges(self) -> tuple[float, float, float, float]:
        """West, south, east and north of the outermost cells, degrees."""
        wide, tall = self.cell[0] / 2, self.cell[1] / 2
        return self.lon[0] - wide, self.lat[0] - tall, self.lon[1] + wide, self.lat[1] + tall

    @property
    def shape(self) -> tuple[int, int]:
        return self.index.shape

    def grid(self, values: Sequence | NDArray) -> NDArray[np.float64]:
        """Values of the answer's rows on the cells, NaN where there is none."""
        given = np.array([math.nan if v is None else float(v) for v in values], np.float64)
        return np.where(self.index < 0, math.nan, given[self.index])


def cells_of(answer: Answer, step: int = 1, rows: NDArray[np.bool_] | None = None) -> Cells:
    """The cells of an answer with row_index, col_index, lon, lat (of those of its rows that are asked for)."""
    chosen = np.arange(len(answer)) if rows is None else np.flatnonzero(rows)
    row, column, lon, lat = (
        answer.table.column(name).to_numpy()[chosen] for name in ("row_index", "col_index", "lon", "lat")
    )
    # Where only each k-th cell of a grid has a pixel (a sample in the product itself), a cell is drawn k wide.
    step = max(step, int(np.gcd.reduce(np.concatenate((row - row.min(), column - column.min())))))
    down, across = (row - row.min()) // step, (column - column.min()) // step
    index = np.full((int(down.max()) + 1, int(across.max()) + 1), -1, np.int64)
    index[down, across] = chosen
    height, width = index.shape
    # Degrees a cell, by the spread over rows and columns: cells of equal area projections are not square on the ground.
    tall = (lat.max() - lat.min()) / (height - 1) if height > 1 else 1.0
    wide = (lon.max() - lon.min()) / (width - 1) if width > 1 else tall
    aspect = tall / (wide * math.cos(math.radians(float(np.mean(lat))))) if wide else 1.0
    if not (0.2 < aspect < 5):
        aspect = 1.0
    spread = lon - (lon.min() + across * wide)
    return Cells(
        int(row.min()),
        int(column.min()),
        index,
        step,
        aspect,
        (float(lon.min()), float(lon.max())),
        (float(lat.min()), float(lat.max())),
        (float(wide), float(tall)),
        bool(np.abs(spread).max() < wide / 4),
    )


def borders(regions: dict[str, set[tuple[int, int]]], cells: Cells) -> list[tuple[int, int, int, int]]:
    """Edges between cells inside and outside of each region, as (row, column, row, column) of corners; straight runs are one."""
    found: set[tuple[int, int, int, int]] = set()
    height, width = cells.shape
    for members in regions.values():
        inside = np.zeros((height + 2, width + 2), bool)
        for row, column in members:
            i, j = (row - cells.first_row) // cells.step, (column - cells.first_column) // cells.step
            if 0 <= i < height and 0 <= j < width:
                inside[i + 1, j + 1] = True
        for i in range(height + 1):  # edges above row i
            found |= {(i, a, i, b) for a, b in _runs(inside[i, 1:-1] != inside[i + 1, 1:-1])}
        for j in range(width + 1):  # edges left of column j
            found |= {(a, j, b, j) for a, b in _runs(inside[1:-1, j] != inside[1:-1, j + 1])}
    return sorted(found)


def _runs(is_edge: NDArray[np.bool_]) -> list[tuple[int, int]]:
    steps = np.diff(np.concatenate(([0], is_edge.astype(np.int8), [0])))
    return list(zip(np.flatnonzero(steps == 1).tolist(), np.flatnonzero(steps == -1).tolist(), strict=True))


@dataclass(frozen=True)
class Placed:
    """Where a map lies in its drawing."""

    left: float
    top: float
    width: float
    height: float


def fitted(cells: Cells, left: float, top: float, most_width: float, most_height: float) -> Placed:
    """The largest place of the cells' shape within a width and a height."""
    height, width = cells.shape
    scale = min(most_width / width, most_height / (height * cells.aspect))
    return Placed(left, top, width * scale, height * cells.aspect * scale)


@dataclass(frozen=True)
class Ground:
    """West, south, east and north of several maps, degrees, and the width of a degree over its height on the ground."""

    west: float
    south: float
    east: float
    north: float
    aspect: float


def common_ground(maps: Sequence[Cells]) -> Ground | None:
    """The ground that maps cover together; None where their columns do not run along meridians (sinusoidal grids)."""
    if not maps or not all(c.is_straight for c in maps):
        return None
    edges = [c.edges for c in maps]
    west, south = min(e[0] for e in edges), min(e[1] for e in edges)
    east, north = max(e[2] for e in edges), max(e[3] for e in edges)
    return Ground(west, south, east, north, math.cos(math.radians((south + north) / 2)))


def placed(
    cells: Cells, ground: Ground | None, left: float, top: float, most_width: float, most_height: float
) -> tuple[Placed, Placed]:
    """Where a map lies, and its frame: that of the common ground, so that maps of several grids show the same places alike."""
    if ground is None:
        place = fitted(cells, left, top, most_width, most_height)
        return place, place
    wide, tall = (ground.east - ground.west) * ground.aspect, ground.north - ground.south
    scale = min(most_width / wide, most_height / tall)
    west, south, east, north = cells.edges
    frame = Placed(left, top, wide * scale, tall * scale)
    return Placed(
        left + (west - ground.west) * ground.aspect * scale,
        top + (ground.north - north) * scale,
        (east - west) * ground.aspect * scale,
        (north - south) * scale,
    ), frame


def draw(
    cells: Cells,
    painted: NDArray[np.uint8],
    place: Placed,
    *,
    frame: Placed | None = None,
    value: str,
    unit: str = "",
    outline: Sequence[tuple[int, int, int, int]] = (),
    dots: NDArray[np.bool_] | None = None,
    chosen: dict[str, str] | None = None,
    title: str = "",
    name: str = "",
) -> str:
    """One map, in a frame that is its own place where none is given. `painted` is (height, width, 4); `dots` are cells marked by a point (where there are very many, every so many).

    `value` is the column of the answer that the page reads out at a cell, among the rows where the columns of `chosen` are as given.
    """
    height, width = cells.shape
    around = frame or place
    known = {
        "x": place.left,
        "y": place.top,
        "w": place.width,
        "h": place.height,
        "r": cells.first_row,
        "c": cells.first_column,
        "rows": height,
        "cols": width,
        "step": cells.step,
        "value": value,
        "unit": unit,
        "where": chosen or {},
        "name": name,
    }
    parts = [
        f'<g class="map" data-map="{escape(json.dumps(known), quote=True)}">',
        _rectangle(around, "sea"),
        _image(painted, place),
    ]
    if dots is not None and dots.any():
        parts.append(_stipple(dots, place))
    if outline:
        across, down = place.width / width, place.height / height
        way = "".join(
            f"M{svg.place(place.left + b * across)} {svg.place(place.top + a * down)}"
            f"L{svg.place(place.left + d * across)} {svg.place(place.top + c * down)}"
            for a, b, c, d in outline
        )
        parts.append(f'<path class="border" d="{way}"/>')
    parts.append(_rectangle(around, "frame") + "</g>")
    bottom = place.top + place.height
    west, east = cells.lon
    south, north = cells.lat
    if frame is not None:  # the corners of the frame, which are the same on every map in it
        half_x, half_y = cells.cell
        across, down = place.width / width / half_x, place.height / height / half_y
        west, east = (
            cells.edges[0] - (place.left - frame.left) / across,
            cells.edges[2] + (frame.left + frame.width - place.left - place.width) / across,
        )
        north, south = (
            cells.edges[3] + (place.top - frame.top) / down,
            cells.edges[1] - (frame.top + frame.height - bottom) / down,
        )
        place, bottom = frame, frame.top + frame.height
    # A map of one column or row has one place to name.
    for x, degrees, anchor in ((place.left, west, "start"), (place.left + place.width, east, "end"))[
        : 1 + (east > west)
    ]:
        parts.append(svg.text(x, bottom + 16, f"{abs(degrees):.2f}° {'E' if degrees >= 0 else 'W'}", "tick", anchor))
    for y, degrees in ((place.top + 10, north), (bottom, south))[: 1 + (north > south)]:
        parts.append(svg.text(place.left - 6, y, f"{abs(degrees):.2f}° {'N' if degrees >= 0 else 'S'}", "tick", "end"))
    if title:
        parts.append(svg.text(around.left, around.top - 8, title, "panel"))
    return "".join(parts)


def _rectangle(place: Placed, kind: str) -> str:
    return (
        f'<rect class="{kind}" x="{svg.place(place.left)}" y="{svg.place(place.top)}" width="{svg.place(place.width)}"'
        f' height="{svg.place(place.height)}"/>'
    )


def _image(painted: NDArray[np.uint8], place: Placed) -> str:
    return (
        f'<image class="pixels" x="{svg.place(place.left)}" y="{svg.place(place.top)}" width="{svg.place(place.width)}"'
        f' height="{svg.place(place.height)}" preserveAspectRatio="none" href="{address(painted)}"/>'
    )


def _stipple(dots: NDArray[np.bool_], place: Placed) -> str:
    """Black points with a white rim in the middle of marked cells, at most some 80 a side: more would be a grey sheet."""
    height, width = dots.shape
    every = max(1, math.ceil(max(height, width) / 80))
    across, down = place.width / width, place.height / height
    radius = max(0.6, min(across, down) * every * 0.19)
    return "".join(
        svg.dot(place.left + (j + 0.5) * across, place.top + (i + 0.5) * down, "", radius, kind="significant")
        for i, j in zip(*(a.tolist() for a in np.nonzero(dots)), strict=True)
        if i % every == every // 2 and j % every == every // 2
    )


def paint(grid: NDArray[np.float64], palette: str, low: float, high: float) -> NDArray[np.uint8]:
    """Colours of values between two limits; NaN is transparent."""
    seen = np.isfinite(grid)
    shares = np.clip((np.where(seen, grid, low) - low) / ((high - low) or 1), 0, 1)
    painted = np.zeros((*grid.shape, 4), np.uint8)
    painted[..., :3] = colours(palette, shares)
    painted[..., 3] = np.where(seen, 255, 0)
    return painted


def paint_classes(grid: NDArray[np.float64], chosen: Sequence[str]) -> NDArray[np.uint8]:
    """Colours `#rrggbb` of class numbers 0, 1, ...; NaN is transparent."""
    painted = np.zeros((*grid.shape, 4), np.uint8)
    for number, tint in enumerate(chosen):
        painted[grid == number] = [*(int(tint[i : i + 2], 16) for i in (1, 3, 5)), 255]
    return painted


def bar(
    left: float, top: float, height: float, palette: str, low: float, high: float, name: str, unit: str = ""
) -> str:
    """The key of a palette: a column of colours with ticks at its right, its name and unit above."""
    steps = 48
    parts = [
        f'<rect class="key" x="{svg.place(left)}" y="{svg.place(top + i * height / steps)}" width="14" height="{svg.place(height / steps + 0.6)}"'
        f' style="fill:{colour(palette, 1 - (i + 0.5) / steps)}"/>'
        for i in range(steps)
    ]
    for value in svg.ticks(low, high, 5):
        y = top + height - (value - low) / ((high - low) or 1) * height
        parts += [svg.line(left + 14, y, left + 18, y), svg.text(left + 22, y + 4, svg.tick(value), "tick")]
    lines = [line for line in (name, f"({unit})" if unit else "") if line]
    parts += [svg.text(left, top - 8 - 15 * (len(lines) - 1 - i), line, "tick") for i, line in enumerate(lines)]
    return "".join(parts)


def class_key(left: float, top: float, entries: Sequence[tuple[str, str]]) -> str:
    """The key of classes, one below the other."""
    return "".join(
        svg.box(left, top + i * 20, 13, 13, tint, kind="key") + svg.text(left + 19, top + i * 20 + 11, words, "tick")
        for i, (tint, words) in enumerate(entries)
    )
