"""Polygons on grids: the exact part of every cell that a polygon covers.

Rings are float64 arrays of shape (n, 2), closed (first point = last), exterior rings counter-clockwise and holes
clockwise, so that areas add up with their signs. Edges are straight lines in longitude and latitude; they are cut into
short pieces before they are projected.

Coverage is the boundary integral of x dy, cell by cell: every edge is cut at the grid's lines, its pieces add to their
own cell, and a running sum along the row fills the inside. It is exact for polygons with straight edges in the plane,
takes holes and separate parts as they come, and costs edges + cells, not edges x cells.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyproj

from loaders.grids import LONLAT_CRS, WGS84_A, WGS84_F, band_area

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from loaders.grids import Grid

Ring = "NDArray[np.float64]"

STEP_DEGREES = 0.01  # edges are followed in pieces of this length; area is right to about 1e-7
NOTHING = 1e-9  # of a cell: below it is rounding, not land
_CHUNK_CELLS = 1 << 22


# -- well-known binary --------------------------------------------------------------------------------------------------


def rings_of_wkb(wkb: bytes) -> list[list[Ring]]:
    """Polygons, each a list of rings (the exterior first), turned the right way round. Two dimensions only."""
    polygons: list[list[Ring]] = []
    _read_wkb(memoryview(wkb), 0, polygons)
    return polygons


def _read_wkb(data: memoryview, at: int, polygons: list) -> int:
    order = "<" if data[at] == 1 else ">"
    (kind,) = struct.unpack_from(f"{order}I", data, at + 1)
    at += 5
    (n,) = struct.unpack_from(f"{order}I", data, at)
    at += 4
    if kind in (6, 7):  # MultiPolygon, GeometryCollection
        for _ in range(n):
            at = _read_wkb(data, at, polygons)
        return at
    if kind != 3:
        raise ValueError(f"geometry type {kind} is no polygon")
    rings = []
    for i in range(n):
        (n_points,) = struct.unpack_from(f"{order}I", data, at)
        at += 4
        ring = np.frombuffer(data, f"{order}f8", 2 * n_points, at).reshape(-1, 2).astype(np.float64)
        at += 16 * n_points
        if n_points and (signed_area(ring) < 0) == (i == 0):
            ring = ring[::-1].copy()
        if n_points:
            rings.append(ring)
    if rings:
        polygons.append(rings)
    return at


def wkb_of_rings(polygons: Sequence[Sequence[Ring]]) -> bytes:
    """A MultiPolygon, little-endian."""
    parts = [struct.pack("<BII", 1, 6, len(polygons))]
    for rings in polygons:
        parts.append(struct.pack("<BII", 1, 3, len(rings)))
        for ring in rings:
            parts.append(struct.pack("<I", len(ring)))
            parts.append(np.ascontiguousarray(ring, "<f8").tobytes())
    return b"".join(parts)


# -- rings --------------------------------------------------------------------------------------------------------------


def signed_area(ring: Ring) -> float:
    """Area in the units of the coordinates, positive counter-clockwise."""
    x, y = ring[:, 0] - ring[0, 0], ring[:, 1] - ring[0, 1]
    return float(0.5 * np.sum(x[:-1] * y[1:] - x[1:] * y[:-1]))


def clip(ring: Ring, axis: int, limit: float, keep_below: bool) -> Ring:
    """The part of a ring on one side of a line across an axis (Sutherland and Hodgman); may be empty.

    Where the ring is cut into several parts, they stay joined along the line, which changes no area.
    """
    value = ring[:-1, axis]
    inside = value <= limit if keep_below else value >= limit
    if inside.all():
        return ring
    start, end = ring[:-1], ring[1:]
    inside_end = np.roll(inside, -1)
    crossing = inside != inside_end
    run = np.where(crossing, end[:, axis] - start[:, axis], 1.0)
    t = np.where(crossing, (limit - start[:, axis]) / run, 0.0)
    met = start + t[:, None] * (end - start)
    met[:, axis] = limit
    points = np.stack([start, met], axis=1)
    kept = points[np.stack([inside, crossing], axis=1)]
    if len(kept) < 3:
        return np.empty((0, 2))
    return np.concatenate([kept, kept[:1]])


def clip_box(rings: Sequence[Ring], west: float, south: float, east: float, north: float) -> list[Ring]:
    """Rings cut to a box; those that lose everything are left out."""
    kept = []
    for ring in rings:
        for axis, limit, below in ((0, west, False), (0, east, True), (1, south, False), (1, north, True)):
            if len(ring):
                ring = clip(ring, axis, limit, below)
        if len(ring):
            kept.append(ring)
    return kept


def densify(ring: Ring, step: float = STEP_DEGREES) -> Ring:
    """Points along each edge, at most `step` apart in each coordinate; the ring's own points stay."""
    longest = np.abs(np.diff(ring, axis=0)).max(axis=1)
    pieces = np.maximum(1, np.ceil(longest / step)).astype(np.int64)
    return _subdivide(ring, pieces)


def _subdivide(ring: Ring, pieces: NDArray[np.int64]) -> Ring:
    if (pieces == 1).all():
        return ring
    edge = np.repeat(np.arange(pieces.size), pieces)
    first = np.concatenate([[0], np.cumsum(pieces)[:-1]])
    t = (np.arange(edge.size) - first[edge]) / pieces[edge]
    points = ring[:-1][edge] + t[:, None] * np.diff(ring, axis=0)[edge]
    return np.concatenate([points, ring[-1:]])


def to_lonlat(ring: Ring, transformer: pyproj.Transformer, tolerance: float = 1e-7) -> Ring:
    """A ring in longitude and latitude; edges that would bend get points, so that they are right to `tolerance` degrees.

    Returns an array with inf where the projection has no answer.
    """
    for _ in range(8):
        lonlat = np.stack(transformer.transform(ring[:, 0], ring[:, 1]), axis=1)
        middle = 0.5 * (ring[:-1] + ring[1:])
        true = np.stack(transformer.transform(middle[:, 0], middle[:, 1]), axis=1)
        with np.errstate(invalid="ignore"):
            bend = np.abs(true - 0.5 * (lonlat[:-1] + lonlat[1:])).max(axis=1)
        # a chord's error falls with the square of its length; a jump of 360 degrees is not a bend
        bend = np.where(np.isfinite(bend) & (bend < 90), bend, 0)
        pieces = np.maximum(1, np.ceil(np.sqrt(bend / tolerance)))
        if (pieces == 1).all():
            break
        ring = _subdivide(ring, np.minimum(pieces, 4096).astype(np.int64))
    return lonlat


def area_km2(polygons: Sequence[Sequence[Ring]]) -> float:
    """True area on the WGS 84 ellipsoid of polygons whose edges are straight in longitude and latitude."""
    total = 0.0
    for rings in polygons:
        for ring in rings:
            points = densify(ring)
            plane = np.stack([np.radians(points[:, 0]), band_area(points[:, 1], WGS84_A, WGS84_F)], axis=1)
            total += signed_area(plane)
    return total / 1e6


# -- coverage -----------------------------------------------------------------------------------------------------------


def covered_fractions(
    polygons: Sequence[Sequence[Ring]], grid: Grid, pixel_ids: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """(pixel_id, fraction of its area) of the pixels that the polygons touch, ascending, among `pixel_ids` (ascending).

    Polygons are in longitude and latitude and do not overlap each other; parts beyond 180 degrees are brought back.
    Fractions are of true area on grids in degrees and on equal-area grids; on others of area in the projection, which
    differs by the change of scale inside one cell.
    """
    empty = np.empty(0, np.int64), np.empty(0)
    rings = [ring for polygon in polygons for ring in polygon]
    if not rings or not pixel_ids.size:
        return empty
    row, col = grid.row_col(pixel_ids)
    top, bottom, left, right = int(row.min()), int(row.max()) + 1, int(col.min()), int(col.max()) + 1
    x_left = grid.left + left * grid.cell_width
    # rows from the south, so that y ascends
    lines = grid.top - np.arange(bottom, top - 1, -1) * grid.cell_height
    if grid.is_geographic:
        lines = band_area(np.clip(lines, -90, 90), WGS84_A, WGS84_F)
    sums = np.zeros(pixel_ids.size)
    for plane_rings in _on_plane(rings, grid, pixel_ids):
        edges = [np.concatenate([r[:-1], r[1:]], axis=1) for r in plane_rings]
        if not edges:
            continue
        pieces = _cut(np.concatenate(edges), x_left, grid.cell_width, lines)
        for first, areas in _accumulate(pieces, x_left, grid.cell_width, right - left, lines):
            # areas[k] is row `bottom - 1 - first - k` of the grid
            north, south = bottom - first - len(areas), bottom - first
            part = slice(
                np.searchsorted(pixel_ids, north * grid.n_cols), np.searchsorted(pixel_ids, south * grid.n_cols)
            )
            r = bottom - 1 - first - row[part]
            cell = grid.cell_width * (lines[first + r + 1] - lines[first + r])
            sums[part] += areas[r, col[part] - left] / cell
    touched = sums > NOTHING
    fraction = sums[touched]
    fraction[fraction > 1 - NOTHING] = 1.0
    return pixel_ids[touched], fraction


def _on_plane(rings: Sequence[Ring], grid: Grid, pixel_ids: NDArray[np.int64]) -> Iterator[list[Ring]]:
    """Rings in the plane where the grid's cells are rectangles and areas compare, once for each turn of the globe."""
    low = min(float(r[:, 0].min()) for r in rings)
    high = max(float(r[:, 0].max()) for r in rings)
    if grid.is_geographic:
        grid_low, grid_high = grid.left, grid.left + grid.n_cols * grid.cell_width
        for turn in (-360.0, 0.0, 360.0):
            if low + turn < grid_high and high + turn > grid_low:
                plane = []
                for ring in rings:
                    points = densify(ring)
                    y = band_area(np.clip(points[:, 1], -90, 90), WGS84_A, WGS84_F)
                    plane.append(np.stack([points[:, 0] + turn, y], axis=1))
                yield plane
        return
    west, south, east, north = _lonlat_box(grid, pixel_ids)
    transformer = pyproj.Transformer.from_crs(LONLAT_CRS, grid.crs, always_xy=True)
    for turn in (-360.0, 0.0, 360.0):
        if low + turn >= east or high + turn <= west:
            continue
        turned = [ring + np.array([turn, 0.0]) for ring in rings]
        plane = []
        for ring in clip_box(turned, west, south, east, north):
            points = densify(ring)
            projected = np.stack(transformer.transform(points[:, 0], points[:, 1]), axis=1)
            if not np.isfinite(projected).all():
                raise ValueError(f"it reaches beyond what the projection of grid {grid.grid_id} can show")
            plane.append(projected)
        yield plane


def _lonlat_box(grid: Grid, pixel_ids: NDArray[np.int64]) -> tuple[float, float, float, float]:
    """A box in degrees that holds the pixels, with some room; nothing outside it can touch them."""
    row, col = _outline(*grid.row_col(pixel_ids))
    lon, lat = [], []
    for down, across in ((0, 0), (0, 1), (1, 0), (1, 1), (0.5, 0.5)):
        x = grid.left + (col + across) * grid.cell_width
        y = grid.top - (row + down) * grid.cell_height
        places = grid.lonlat_of_xy(x, y)
        lon.append(places[0])
        lat.append(places[1])
    lon, lat = np.concatenate(lon), np.concatenate(lat)
    if np.isnan(lon).any() or np.nanmax(lon) - np.nanmin(lon) > 180:
        # cells at the edge of the world, or on both sides of the antimeridian
        low, high = np.nanmin(lat), np.nanmax(lat)
        room = max(0.1 * (high - low), 1.0)
        return -180.0, max(-90.0, low - room), 180.0, min(90.0, high + room)
    west, east, south, north = lon.min(), lon.max(), lat.min(), lat.max()
    room = max(0.1 * (north - south), 0.1 * (east - west), 0.1)
    return max(-180.0, west - room), max(-90.0, south - room), min(180.0, east + room), min(90.0, north + room)


def _outline(row: NDArray[np.int64], col: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The outermost pixels of every row and column, and some within (a pole may lie there)."""
    chosen = [np.arange(0, row.size, max(1, row.size // 20_000))]
    for along, across in ((row, col), (col, row)):
        order = np.lexsort((across, along))
        last = np.flatnonzero(np.diff(along[order], append=-1))
        chosen += [order[last], order[np.concatenate([[0], last[:-1] + 1])]]
    at = np.unique(np.concatenate(chosen))
    return row[at], col[at]


def _cut(edges, left: float, width: float, lines):
    """Edges (x0, y0, x1, y1) cut at every grid line: x middle, dy, column (from `left`), row (from `lines[0]`)."""
    x0, y0, x1, y1 = edges.T
    rising = y0 != y1  # x dy of a level edge is nothing
    low, high = np.minimum(y0, y1), np.maximum(y0, y1)
    x0, y0, x1, y1 = (v[rising & (high > lines[0]) & (low < lines[-1])] for v in (x0, y0, x1, y1))
    dx, dy = x1 - x0, y1 - y0
    c0, c1 = (x0 - left) / width, (x1 - left) / width
    edge_v, k = _between(np.floor(np.minimum(c0, c1)) + 1, np.ceil(np.maximum(c0, c1)) - 1)
    t_v = (k - c0[edge_v]) / (c1 - c0)[edge_v]
    first = np.searchsorted(lines, np.minimum(y0, y1), side="right")
    last = np.searchsorted(lines, np.maximum(y0, y1), side="left") - 1
    edge_h, k = _between(first, last)
    t_h = (lines[k.astype(np.int64)] - y0[edge_h]) / dy[edge_h]
    n = x0.size
    edge = np.concatenate([np.arange(n), np.arange(n), edge_v, edge_h])
    t = np.concatenate([np.zeros(n), np.ones(n), t_v, t_h]).clip(0, 1)
    order = np.lexsort((t, edge))
    edge, t = edge[order], t[order]
    same = edge[1:] == edge[:-1]
    edge, start, end = edge[:-1][same], t[:-1][same], t[1:][same]
    middle = 0.5 * (start + end)
    x_middle = x0[edge] + middle * dx[edge]
    column = np.floor((x_middle - left) / width).astype(np.int64)
    row = np.searchsorted(lines, y0[edge] + middle * dy[edge], side="right") - 1
    return x_middle, (end - start) * dy[edge], column, row


def _between(first, last) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """(edge number, k) for every whole k from first to last of each edge."""
    n = np.maximum(0, last - first + 1).astype(np.int64)
    edge = np.repeat(np.arange(n.size), n)
    begin = np.concatenate([[0], np.cumsum(n)[:-1]]) if n.size else np.empty(0, np.int64)
    return edge, first[edge] + (np.arange(edge.size) - begin[edge])


def _accumulate(pieces, left: float, width: float, n_cols: int, lines) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """(first row, area covered in each cell) for blocks of rows, from the south; rows that nothing touches are left out."""
    x_middle, dy, column, row = pieces
    keep = (row >= 0) & (row < lines.size - 1) & (column < n_cols)
    x_middle, dy, column, row = x_middle[keep], dy[keep], column[keep], row[keep]
    if not row.size:
        return
    order = np.argsort(row, kind="stable")
    x_middle, dy, column, row = x_middle[order], dy[order], column[order], row[order]
    per_block = max(1, _CHUNK_CELLS // (n_cols + 1))
    for first in range(int(row[0]), int(row[-1]) + 1, per_block):
        last = min(first + per_block, int(row[-1]) + 1)
        part = slice(np.searchsorted(row, first), np.searchsorted(row, last))
        r, c, shape = row[part] - first, column[part], (last - first, n_cols + 1)
        # column 0 collects what lies west of the window
        at = r * (n_cols + 1) + np.maximum(c + 1, 0)
        cover = np.bincount(at, dy[part], shape[0] * shape[1]).reshape(shape)
        east = left + (c + 1) * width
        own = np.where(c >= 0, (x_middle[part] - east) * dy[part], 0.0)
        area = np.bincount(at, own, shape[0] * shape[1]).reshape(shape)[:, 1:]
        np.cumsum(cover, axis=1, out=cover)
        yield first, area - width * cover[:, :-1]
