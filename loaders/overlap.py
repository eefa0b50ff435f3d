"""The area that cells of two grids share.

The cells of the source grid are unit squares of a plane in which equal areas of a cell are equal areas on the ellipsoid: u counts columns,
v rows, from the grid's upper left corner (on grids in degrees and cylindrical projections v runs with the area between two parallels).
The cells of the target grid are polygons in that plane, their edges followed by as many points as the bend of the projection asks for. A
polygon's part of a square is the boundary integral of u dv, each edge cut at the squares' lines, with a running sum along the row.

Neighbouring target cells have the points of their common edge in common, so what one loses there the other gains: over a source cell that is
covered whole the parts add up to 1 to rounding, whatever the projections.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pyproj

from loaders.grids import LONLAT_CRS, WGS84_A, WGS84_F, band_area

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from loaders.grids import Grid

BEND = 1e-5  # of a target cell: how far a chord may lie beside the edge it stands for
MOST_POINTS_PER_EDGE = 32
# In source cells: a point this near to a line between two cells lies on it (30 m of a degree are kept apart, rounding is not).
ON_LINE = 1e-9
ROUNDING = 1e-13  # of the smaller of the two cells
_CHUNK = 2_000_000  # pairs of cells, or points, that are looked at together
_AT_POLE = 90 - 1e-9

# x follows longitude and y latitude; the plane goes on beyond the antimeridian.
_CYLINDRICAL = ("Lambert Cylindrical", "Equidistant Cylindrical", "Mercator", "Popular Visualisation", "Plate")
# No meridian is drawn twice: a polygon is projected as it is.
_SEAMLESS = ("Transverse", "Oblique", "Azimuthal", "Stereographic", "Orthographic", "Gauss")


class Plane:
    """A grid's projection as a place to lay polygons: longitude and latitude to cells and back.

    Raises ValueError for a grid whose projection has no answer at its own central meridian.
    """

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        crs = pyproj.CRS.from_user_input(grid.crs)
        self._crs = crs
        self._to_lonlat = pyproj.Transformer.from_crs(crs, LONLAT_CRS, always_xy=True)
        self._from_lonlat = pyproj.Transformer.from_crs(LONLAT_CRS, crs, always_xy=True)
        method = crs.coordinate_operation.method_name if crs.coordinate_operation else ""
        self.lon_0 = _central_meridian(crs)
        self.is_sinusoidal = method == "Sinusoidal" and not crs.ellipsoid.inverse_flattening
        self.is_cylindrical = grid.is_geographic or method.startswith(_CYLINDRICAL)
        self.is_equal_area = method == "Lambert Cylindrical Equal Area"
        self.is_seamless = any(word in method for word in _SEAMLESS)
        self._x_0 = self._y_0 = 0.0
        self._x_per_degree = 1.0
        self._radius = 1.0
        if grid.is_geographic:
            self.lon_0 = 0.0
        elif self.is_cylindrical or self.is_sinusoidal:
            self._x_0, self._y_0 = self._from_lonlat.transform(self.lon_0, 0.0)
            self._x_per_degree = (self._from_lonlat.transform(self.lon_0 + 90, 0.0)[0] - self._x_0) / 90
            self._radius = crs.ellipsoid.semi_major_metre
            if not np.isfinite([self._x_0, self._y_0, self._x_per_degree]).all():
                raise ValueError(f"the projection of grid {grid.grid_id} has no place for its central meridian")

    @property
    def goes_round(self) -> bool:
        """True when the grid's last column has its first as its neighbour."""
        width, grid = 360 * self._x_per_degree, self.grid
        return self.is_cylindrical and abs(grid.n_cols * grid.cell_width - width) < 1e-3 * grid.cell_width

    def shares_projection_with(self, other: Plane) -> bool:
        """True when the two grids' coordinates are the same, so that no projection has to stand between them."""
        return not self.grid.is_geographic and self._crs == other._crs

    # -- cells of this grid as polygons ---------------------------------------------------------------------------------

    def outlines(
        self, row: NDArray[np.int64], col: NDArray[np.int64], per_edge: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Points around cells in the grid's units, arrays (n, 4 x per_edge), counter-clockwise from the upper left corner."""
        down, across = self._lattice(row, col, per_edge)
        return self._xy_of_lattice(down, across, per_edge)

    @staticmethod
    def _lattice(row, col, per_edge: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The same points as whole numbers of parts of a cell: those that cells side by side share are the same to the last digit."""
        there, back = np.arange(per_edge), np.arange(per_edge, 0, -1)
        zero, whole = np.zeros(per_edge, np.int64), np.full(per_edge, per_edge)
        down = np.concatenate([there, whole, back, zero])
        across = np.concatenate([zero, there, whole, back])
        return row[:, None] * per_edge + down, col[:, None] * per_edge + across

    def _xy_of_lattice(self, down, across, per_edge: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        grid = self.grid
        return grid.left + across / per_edge * grid.cell_width, grid.top - down / per_edge * grid.cell_height

    def rings(
        self, row: NDArray[np.int64], col: NDArray[np.int64], per_edge: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Longitude and latitude of points around cells, arrays (n, 4 x per_edge), counter-clockwise from the upper left corner.

        Longitudes go on without a jump along a ring. What lies beyond the edge of the world is moved onto it; NaN where that is unknown.
        """
        down, across = self._lattice(row, col, per_edge)
        # most points belong to several cells
        lines = self.grid.n_cols * per_edge + 1
        points, at = np.unique(down * lines + across, return_inverse=True)
        x, y = self._xy_of_lattice(*np.divmod(points, lines), per_edge)
        lon, lat = (place[at].reshape(down.shape) for place in self._lonlat(x, y))
        if self.grid.is_geographic or self.is_sinusoidal or self.is_cylindrical:
            return lon, lat
        bad = ~(np.isfinite(lon) & np.isfinite(lat)).all(axis=1) | np.isnan(self.grid.lonlat_of(row, col)[0])
        lon[bad], lat[bad] = np.nan, np.nan
        return _continuous(lon, lat)

    def _lonlat(
        self, x: NDArray[np.float64], y: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        if self.grid.is_geographic:
            return x, np.clip(y, -90, 90)
        if self.is_sinusoidal:
            lat = np.clip(np.degrees((y - self._y_0) / self._radius), -90, 90)
            parallel = np.cos(np.radians(lat)) * self._x_per_degree
            with np.errstate(divide="ignore", invalid="ignore"):
                lon = np.where(parallel > 1e-9 * self._x_per_degree, (x - self._x_0) / parallel, 180 * np.sign(x))
            return self.lon_0 + np.clip(lon, -180, 180), lat
        if self.is_cylindrical:
            return self.lon_0 + np.clip((x - self._x_0) / self._x_per_degree, -180, 180), self._latitude(y)
        return tuple(np.array(place) for place in self._to_lonlat.transform(x, y))

    def _latitude(self, y: NDArray[np.float64]) -> NDArray[np.float64]:
        lat = np.asarray(self._to_lonlat.transform(np.full(y.shape, self._x_0), y)[1])
        return np.where(np.isfinite(lat), lat, 90 * np.sign(y - self._y_0))

    # -- points on this grid --------------------------------------------------------------------------------------------

    def positions(
        self, lon: NDArray[np.float64], lat: NDArray[np.float64]
    ) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
        """(u, v) of points, once for every turn of the globe on which some may lie on the grid; infinite where there is no answer.

        Where the projection has a seam, points beyond it are moved onto it, so that the part of a polygon there has no area.
        """
        if self.is_seamless:
            x, y = self._from_lonlat.transform(lon, lat)
            # far from its place a projection may answer with a point of the other side of the world
            with np.errstate(invalid="ignore"):
                wrong = ~(np.abs(np.asarray(self._to_lonlat.transform(x, y)[1]) - lat) < 1e-6)
            yield self.columns_rows(np.where(wrong, np.inf, x), np.where(wrong, np.inf, y))
            return
        for turn in (-360.0, 0.0, 360.0):
            turned = lon + turn
            if self.is_cylindrical:
                x = self._x_0 + (turned - self.lon_0) * self._x_per_degree
                u = (x - self.grid.left) / self.grid.cell_width
                if np.nanmax(u, initial=-1) <= 0 or np.nanmin(u, initial=self.grid.n_cols) >= self.grid.n_cols:
                    continue
                yield _snapped(u), _snapped(self._rows_by_area(lat))
                continue
            offset = turned - self.lon_0
            if np.nanmax(offset, initial=-181) <= -180 or np.nanmin(offset, initial=181) >= 180:
                continue
            if self.is_sinusoidal:
                x = self._x_0 + np.clip(offset, -180, 180) * self._x_per_degree * np.cos(np.radians(lat))
                yield self.columns_rows(x, self._y_0 + np.radians(lat) * self._radius)
            else:
                near = 180 - 1e-9  # PROJ draws the meridian opposite of the central one on either side
                yield self.columns_rows(*self._from_lonlat.transform(self.lon_0 + np.clip(offset, -near, near), lat))

    def columns_rows(self, x, y) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(u, v) of points in the grid's units, where v is linear in y."""
        u = (np.asarray(x) - self.grid.left) / self.grid.cell_width
        return _snapped(u), _snapped((self.grid.top - np.asarray(y)) / self.grid.cell_height)

    def _rows_by_area(self, lat: NDArray[np.float64]) -> NDArray[np.float64]:
        y = (
            lat
            if self.grid.is_geographic
            else np.asarray(self._from_lonlat.transform(np.full(lat.shape, self.lon_0), lat)[1])
        )
        v = _snapped((self.grid.top - y) / self.grid.cell_height)
        if self.is_equal_area:
            return v
        row = np.floor(v)
        north, south = (self._band(self.grid.top - line * self.grid.cell_height) for line in (row, row + 1))
        with np.errstate(divide="ignore", invalid="ignore"):
            share = (north - band_area(lat, WGS84_A, WGS84_F)) / (north - south)
        # a row beyond a pole has no area; Mercator has no pole
        return np.where(v == row, v, row + np.clip(np.where(np.isfinite(share), share, 0), 0, 1))

    def _band(self, y: NDArray[np.float64]) -> NDArray[np.float64]:
        lat = np.clip(y, -90, 90) if self.grid.is_geographic else self._latitude(y)
        return band_area(lat, WGS84_A, WGS84_F)

    def whole_cell_km2(self, row: NDArray[np.int64], col: NDArray[np.int64]) -> NDArray[np.float64]:
        """Area of the unit squares: of the cells, also where the edge of the world cuts them."""
        if self.is_sinusoidal:
            uncut = dataclasses.replace(self.grid, left=self._x_0 - self.grid.cell_width / 2, n_cols=1)
            whole, own = uncut.area_km2(row, np.zeros_like(row)), self.grid.area_km2(row, col)
            return np.where(np.abs(own / whole - 1) < 1e-9, own, whole)
        return self.grid.area_km2(row, col)


def _central_meridian(crs: pyproj.CRS) -> float:
    for parameter in crs.coordinate_operation.params if crs.coordinate_operation else ():
        if parameter.name.startswith("Longitude of"):
            return float(parameter.value)
    return 0.0


def _snapped(position: NDArray[np.float64]) -> NDArray[np.float64]:
    line = np.round(position)
    return np.where(np.abs(position - line) < ON_LINE, line, position)


def _continuous(lon: NDArray[np.float64], lat: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rings whose longitudes go on without jumps of 360 degrees. A point at a pole, which has no longitude, comes first, with its successor's."""
    with np.errstate(invalid="ignore"):
        at_pole = np.abs(lat) > _AT_POLE
    for i in np.flatnonzero(at_pole.any(axis=1)):
        first = int(np.argmax(at_pole[i]))
        lon[i], lat[i] = np.roll(lon[i], -first), np.roll(lat[i], -first)
        lon[i, 0] = lon[i, 1]
    with np.errstate(invalid="ignore"):
        jump = np.diff(lon, axis=1)
        turns = np.cumsum((jump < -180).astype(np.int64) - (jump > 180), axis=1)
    return lon + 360.0 * np.concatenate([np.zeros((len(lon), 1)), turns], axis=1), lat


# -- overlaps -----------------------------------------------------------------------------------------------------------


def overlaps(
    source: Grid, target: Grid, target_pixels: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]]:
    """(target pixel, source pixel, km2 that they share), in parts of whole target pixels in the order given.

    `target_pixels` is int64, pixel numbers of `target`. The three arrays of a part have one length, sorted by target pixel (as given), then
    source pixel. Pixels that share nothing with any source pixel do not come. Area is of the WGS 84 ellipsoid: exact to rounding
    between grids in degrees and on cylindrical equal-area projections; else the edges of target cells are right to 1e-5 of a cell, their areas to some 1e-8 (not so where
    more than 32 points an edge would be needed: cells much larger than 100 km, or beside a pole). A cell of a projection that does not reach all its
    corners does not come.
    """
    on, cells = Plane(source), Plane(target)
    target_pixels = np.asarray(target_pixels, np.int64)
    per_edge, size = _points_per_edge(on, cells, target_pixels)
    for start in range(0, target_pixels.size, size):
        part = target_pixels[start : start + size]
        found = [
            _parts(*_edges(u, v, number, on), source.n_rows, source.n_cols)
            for number, u, v in _laid(on, cells, part, per_edge)
        ]
        if not found:
            continue
        ring, row, col, share = (np.concatenate([f[i] for f in found]) for i in range(4))
        pixel = row * source.n_cols + col
        order = np.lexsort((pixel, ring))
        ring, row, col, share, pixel = ring[order], row[order], col[order], share[order], pixel[order]
        # a cell that two turns of the globe bring to one pixel (both ends of a seam) comes once
        first = (
            np.flatnonzero(np.concatenate([[True], (np.diff(ring) != 0) | (np.diff(pixel) != 0)]))
            if ring.size
            else ring
        )
        share = np.add.reduceat(share, first) if ring.size else share
        ring, row, col, pixel = ring[first], row[first], col[first], pixel[first]
        whole = np.bincount(ring, share, part.size)[ring]
        keep = share > ROUNDING * np.minimum(1, whole)
        km2 = share[keep] * on.whole_cell_km2(row[keep], col[keep])
        yield part[ring[keep]], pixel[keep], km2


def _laid(on: Plane, cells: Plane, pixels: NDArray[np.int64], per_edge: int):
    """(number of the cell in `pixels`, u, v of its closed ring) on the other grid, once a turn of the globe."""
    row, col = cells.grid.row_col(pixels)
    if on.shares_projection_with(cells):
        u, v = on.columns_rows(*cells.outlines(row, col, per_edge))
        yield np.arange(pixels.size), *(np.concatenate([w, w[:, :1]], axis=1) for w in (u, v))
        return
    lon, lat = cells.rings(row, col, per_edge)
    known = np.isfinite(lon).all(axis=1)
    for u, v in on.positions(*_closed(lon[known], lat[known])):
        yield np.flatnonzero(known), u, v


def _points_per_edge(on: Plane, cells: Plane, pixels: NDArray[np.int64]) -> tuple[int, int]:
    """(points an edge of a target cell needs, target cells to take together), from a sample of the cells."""
    sample = pixels[:: max(1, pixels.size // 256)]
    bend, pairs = 0.0, 1.0
    for _, u, v in _laid(on, cells, sample, 2):
        u, v = u[:, :8], v[:, :8]
        fine = np.isfinite(u).all(axis=1) & np.isfinite(v).all(axis=1)
        u, v = u[fine], v[fine]
        near = (
            (u.max(axis=1, initial=-1) > 0) & (u.min(axis=1, initial=on.grid.n_cols) < on.grid.n_cols)
            & (v.max(axis=1, initial=-1) > 0) & (v.min(axis=1, initial=on.grid.n_rows) < on.grid.n_rows)
        )  # fmt: skip
        if not near.any():
            continue
        spans = []
        for w in (u[near], v[near]):
            span = np.ptp(w, axis=1)
            spans.append(span)
            corners, middles = w[:, 0::2], w[:, 1::2]
            beside = np.abs(middles - 0.5 * (corners + np.roll(corners, -1, axis=1))).max(axis=1)
            bend = max(bend, float(np.max(beside / np.maximum(span, 1e-9))))
        pairs = max(pairs, float(np.mean((spans[0] + 2) * (spans[1] + 2))))
    per_edge = int(np.clip(np.ceil(np.sqrt(bend / BEND)), 1, MOST_POINTS_PER_EDGE))
    return per_edge, int(np.clip(_CHUNK / max(pairs, 16 * per_edge), 1, 100_000))


def _closed(lon: NDArray[np.float64], lat: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rings with their first point again at the end; one that goes round a pole is led there along a meridian, and back along the first."""
    at_pole = np.abs(lat[:, 0]) > _AT_POLE
    turn = np.where(at_pole, 0.0, 360.0 * np.round((lon[:, -1] - lon[:, 0]) / 360.0))
    # from a pole there is no way along its parallel: the ring comes back to it on its last meridian
    last = np.where(at_pole, lon[:, -1], lon[:, 0] + turn)[:, None]
    if not turn.any():
        return np.concatenate([lon, last], axis=1), np.concatenate([lat, lat[:, :1]], axis=1)
    pole = np.where(turn != 0, np.copysign(90.0, lat[:, 0]), lat[:, 0])[:, None]
    first = lon[:, :1]
    return (
        np.concatenate([lon, last, last, first, first], axis=1),
        np.concatenate([lat, lat[:, :1], pole, pole, lat[:, :1]], axis=1),
    )


def _edges(u, v, number, on: Plane):
    """(ring, u0, v0, u1, v1) of the edges that matter, u and v counted from a corner of each ring's own; and these corners."""
    n_rows, n_cols = on.grid.n_rows, on.grid.n_cols
    with np.errstate(invalid="ignore"):
        fine = np.isfinite(u).all(axis=1) & np.isfinite(v).all(axis=1)
        fine &= (u.max(axis=1, initial=-np.inf) > 0) & (u.min(axis=1, initial=np.inf) < n_cols)
        fine &= (v.max(axis=1, initial=-np.inf) > 0) & (v.min(axis=1, initial=np.inf) < n_rows)
    u, v, number = u[fine], v[fine], number[fine]
    # small numbers keep their digits: whole numbers of cells are taken off exactly
    col_0, row_0 = (np.floor(w.min(axis=1, initial=np.inf)) if len(w) else np.empty(0) for w in (u, v))
    u, v = u - col_0[:, None], v - row_0[:, None]
    ring = np.repeat(np.arange(len(u)), u.shape[1] - 1)
    u0, v0, u1, v1 = u[:, :-1].ravel(), v[:, :-1].ravel(), u[:, 1:].ravel(), v[:, 1:].ravel()
    rises = v0 != v1  # u dv of a level edge is nothing
    return (
        ring[rises],
        u0[rises],
        v0[rises],
        u1[rises],
        v1[rises],
        number,
        row_0.astype(np.int64),
        col_0.astype(np.int64),
    )


def _parts(ring, u0, v0, u1, v1, number, row_0, col_0, n_rows: int, n_cols: int):
    """(ring's number, row, column, part of that cell that the ring covers), cells outside the grid left out."""
    nothing = np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)
    if not ring.size:
        return nothing
    ring, u_middle, dv, row, col = _cut(ring, u0, v0, u1, v1)
    order = np.lexsort((col, row, ring))
    ring, u_middle, dv, row, col = ring[order], u_middle[order], dv[order], row[order], col[order]
    # a strip is a row of a ring; its cells lie side by side in flat arrays
    begins = np.flatnonzero(np.concatenate([[True], (np.diff(ring) != 0) | (np.diff(row) != 0)]))
    west, east = np.minimum.reduceat(col, begins), np.maximum.reduceat(col, begins)
    length = east - west + 1
    offset = np.concatenate([[0], np.cumsum(length)])
    strip = np.repeat(np.arange(begins.size), np.diff(np.append(begins, ring.size)))
    at = offset[strip] + col - west[strip]
    cover = np.bincount(at, dv, offset[-1])
    own = np.bincount(at, (u_middle - (col + 1)) * dv, offset[-1])
    # all that lies to the west of a cell counts with its full width
    passed = np.cumsum(cover) - cover
    of_strip = np.repeat(np.arange(begins.size), length)
    area = passed - passed[offset[:-1]][of_strip] - own
    cell_col = np.arange(offset[-1]) - offset[:-1][of_strip] + west[of_strip] + col_0[ring[begins]][of_strip]
    cell_row = (row[begins] + row_0[ring[begins]])[of_strip]
    inside = (cell_row >= 0) & (cell_row < n_rows) & (cell_col >= 0) & (cell_col < n_cols) & (area > 0)
    return number[ring[begins]][of_strip][inside], cell_row[inside], cell_col[inside], area[inside]


def _cut(ring, u0, v0, u1, v1):
    """Edges cut at every line between cells: ring, u of the middle, dv, row, column of each piece."""
    crossings = [(np.arange(ring.size), np.zeros(ring.size)), (np.arange(ring.size), np.ones(ring.size))]
    for start, end in ((u0, u1), (v0, v1)):
        first = np.floor(np.minimum(start, end)) + 1
        n = np.maximum(0, np.ceil(np.maximum(start, end)) - first).astype(np.int64)
        edge = np.repeat(np.arange(ring.size), n)
        begin = np.concatenate([[0], np.cumsum(n)[:-1]])
        line = first[edge] + (np.arange(edge.size) - begin[edge])
        crossings.append((edge, (line - start[edge]) / (end - start)[edge]))
    edge = np.concatenate([c[0] for c in crossings])
    t = np.concatenate([c[1] for c in crossings]).clip(0, 1)
    order = np.lexsort((t, edge))
    edge, t = edge[order], t[order]
    same = edge[1:] == edge[:-1]
    edge, begin, end = edge[:-1][same], t[:-1][same], t[1:][same]
    middle = 0.5 * (begin + end)
    u_middle = u0[edge] + middle * (u1 - u0)[edge]
    v_middle = v0[edge] + middle * (v1 - v0)[edge]
    dv = (end - begin) * (v1 - v0)[edge]
    return ring[edge], u_middle, dv, np.floor(v_middle).astype(np.int64), np.floor(u_middle).astype(np.int64)
