"""Grids: where a pixel is, how large it is, and whether a file's cells are the grid's cells.

A pixel is (grid_id, pixel_id) with pixel_id = row * n_cols + col, row 0 in the north, col 0 in the west. The registry
`GRIDS` holds the grids that products share; a user's own grid is kept in the lake as `grids/definitions/<grid_id>.json`
(`register_grid`, `find_grid`).

Sources: EASE-Grid 2.0: Brodzik et al. 2012, doi:10.3390/ijgi1010032, and 2014, doi:10.3390/ijgi3031154 (36, 9, 3 and
1 km cells are exactly nested). MODIS sinusoidal: the MODIS land grid, 36 x 18 tiles on a sphere of 6371007.181 m.
Area of a latitude band: Snyder 1987, USGS Professional Paper 1395, equations 3-11 to 3-12.
"""

from __future__ import annotations

import functools
import json
import math
import os
import tempfile
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyproj

from loaders.granule import BadFile, Window
from loaders.names import NAME
from loaders.nearest import suggestion

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from loaders.lake import Lake

EASE2_CRS = "EPSG:6933"
LONLAT_CRS = "EPSG:4326"
SINUSOIDAL_CRS = "+proj=sinu +lon_0=0 +x_0=0 +y_0=0 +R=6371007.181 +units=m +no_defs"
# On its central meridian a transverse Mercator with k = 1 measures the meridian's arc.
_MERIDIAN_CRS = "+proj=tmerc +lat_0=0 +lon_0=0 +k=1 +x_0=0 +y_0=0 +datum=WGS84 +units=m +no_defs"

WGS84_A = 6378137.0
WGS84_F = 1 / 298.257223563

CORNER_TOLERANCE = 0.01  # of a cell: float32 transforms (CHIRPS: 0.05000000074505806) pass, half-cell shifts do not

# Projections that keep area exactly on the ellipsoid: a cell's true area is width x height.
_EQUAL_AREA_METHODS = {
    "Lambert Cylindrical Equal Area",
    "Albers Equal Area",
    "Lambert Azimuthal Equal Area",
}


def _thread_cached(function):
    """Cache by arguments and thread: pyproj's objects may not be shared between threads."""

    @functools.lru_cache(maxsize=256)
    def cached(_thread: int, *arguments):
        return function(*arguments)

    @functools.wraps(function)
    def wrapper(*arguments):
        return cached(threading.get_ident(), *arguments)

    return wrapper


@_thread_cached
def _crs(text: str) -> pyproj.CRS:
    return pyproj.CRS.from_user_input(text)


@_thread_cached
def _transformer(source: str, target: str) -> pyproj.Transformer:
    return pyproj.Transformer.from_crs(_crs(source), _crs(target), always_xy=True)


@dataclass(frozen=True)
class Grid:
    """A regular grid: `left` and `top` are the outer edges of pixel 0 in the units of `crs`, row 0 is north.

    Raises ValueError when the definition cannot be a grid.
    """

    grid_id: str
    crs: str  # anything pyproj accepts
    left: float
    top: float
    cell_width: float
    cell_height: float
    n_rows: int
    n_cols: int

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.grid_id):
            raise ValueError(f"grid name {self.grid_id!r}: use lower-case letters, digits and _, a letter first")
        numbers = (self.left, self.top, self.cell_width, self.cell_height)
        if not all(math.isfinite(v) for v in numbers) or self.cell_width <= 0 or self.cell_height <= 0:
            raise ValueError(f"grid {self.grid_id}: left, top must be finite, cell_width, cell_height positive")
        if self.n_rows < 1 or self.n_cols < 1:
            raise ValueError(f"grid {self.grid_id}: n_rows and n_cols must be at least 1")
        try:
            _crs(self.crs)
        except pyproj.exceptions.CRSError as error:
            raise ValueError(f"grid {self.grid_id}: unknown coordinate reference system {self.crs!r}") from error

    # -- numbers of pixels ------------------------------------------------------------------------------------------

    @property
    def n_pixels(self) -> int:
        return self.n_rows * self.n_cols

    @property
    def pixel_id_type(self) -> pa.DataType:
        """int32, or int64 on grids with more than 2^31 - 1 cells."""
        return pa.int32() if self.n_pixels <= np.iinfo(np.int32).max else pa.int64()

    @property
    def window(self) -> Window:
        """The whole grid."""
        return Window(0, 0, self.n_rows, self.n_cols)

    def pixel_id(self, row: ArrayLike, col: ArrayLike) -> NDArray[np.integer]:
        """row * n_cols + col, dtype as `pixel_id_type`. Raises ValueError outside the grid."""
        row, col = np.asarray(row, np.int64), np.asarray(col, np.int64)
        if np.any((row < 0) | (row >= self.n_rows) | (col < 0) | (col >= self.n_cols)):
            raise ValueError(f"row or column outside grid {self.grid_id} ({self.n_rows} x {self.n_cols})")
        return (row * self.n_cols + col).astype(self.pixel_id_type.to_pandas_dtype())

    def row_col(self, pixel_id: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(row, col) of pixel numbers, int64. Raises ValueError outside the grid."""
        pixel_id = np.asarray(pixel_id, np.int64)
        if np.any((pixel_id < 0) | (pixel_id >= self.n_pixels)):
            raise ValueError(f"pixel_id outside grid {self.grid_id} (0 to {self.n_pixels - 1})")
        row, col = np.divmod(pixel_id, self.n_cols)
        return row, col

    def window_pixel_ids(self, window: Window) -> NDArray[np.integer]:
        """pixel_id of every cell of a window, shape (height, width)."""
        rows = np.arange(window.row, window.row + window.height)[:, None]
        return self.pixel_id(rows, np.arange(window.column, window.column + window.width)[None, :])

    # -- places -----------------------------------------------------------------------------------------------------

    @property
    def is_geographic(self) -> bool:
        """True when the grid's units are degrees."""
        return _crs(self.crs).is_geographic

    @property
    def spans_all_longitudes(self) -> bool:
        return self.is_geographic and math.isclose(self.n_cols * self.cell_width, 360, abs_tol=1e-6)

    def xy_of(self, row: ArrayLike, col: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Centres in the grid's own units (metres or degrees)."""
        x = self.left + (np.asarray(col, np.float64) + 0.5) * self.cell_width
        y = self.top - (np.asarray(row, np.float64) + 0.5) * self.cell_height
        # -180.05 + 1234.5 * 0.1 is -56.60000000000001: centres in degrees are given to 1e-10 degree (10 micrometres)
        return (np.round(x, 10), np.round(y, 10)) if self.is_geographic else (x, y)

    def metres_of(self, row: ArrayLike, col: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Centres in metres: the grid's own coordinates; for grids in degrees the ellipsoid's equidistant cylindrical
        projection (x along the equator, y along the meridian, both true there)."""
        x, y = self.xy_of(row, col)
        return self._to_metres(x, y)

    def _to_metres(self, x: ArrayLike, y: ArrayLike) -> tuple[Any, Any]:
        if self.is_geographic:
            y = np.asarray(y, np.float64)
            # era5's outermost cells reach beyond the poles, where an arc has no meaning
            arc = _transformer(LONLAT_CRS, _MERIDIAN_CRS).transform(np.zeros(y.shape), np.clip(y, -90, 90))[1]
            return np.radians(x) * WGS84_A, np.asarray(arc)
        unit = _crs(self.crs).axis_info[0].unit_conversion_factor
        return np.asarray(x) * unit, np.asarray(y) * unit

    def lonlat_of(self, row: ArrayLike, col: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Centres as longitude (-180 to 180) and latitude, WGS 84; NaN where a cell lies outside the projected world."""
        return self.lonlat_of_xy(*np.broadcast_arrays(*self.xy_of(row, col)))

    def lonlat_of_xy(self, x: ArrayLike, y: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Longitude and latitude of points in the grid's units; NaN outside the projected world."""
        x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
        if self.is_geographic:
            # Only true degrees cross the antimeridian: a centre at exactly 180 keeps its sign.
            lon = np.where((x < -180) | (x > 180), np.round((x + 180) % 360 - 180, 10), x)
            return lon, y.copy()
        lon, lat = _transformer(self.crs, LONLAT_CRS).transform(x, y)
        lon, lat = np.asarray(lon, np.float64), np.asarray(lat, np.float64)
        # PROJ answers beyond the edge of the world too, with longitudes wrapped around: such a point does not come back.
        back_x, back_y = self.xy_of_lonlat(lon, lat)
        with np.errstate(invalid="ignore"):
            outside = ~(np.hypot(back_x - x, back_y - y) < 1e-3 * max(self.cell_width, self.cell_height))
        return np.where(outside, np.nan, lon), np.where(outside, np.nan, lat)

    def xy_of_lonlat(self, lon: ArrayLike, lat: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Longitude and latitude (WGS 84, -180 to 180) in the grid's units; infinite where the projection has no answer."""
        lon, lat = np.asarray(lon, np.float64), np.asarray(lat, np.float64)
        if self.is_geographic:
            if self.spans_all_longitudes:
                shifted = (lon - self.left) % 360 + self.left
                # a centre on the seam must not fall one rounding error off the eastern edge
                lon = np.where(shifted > self.left + 360 - 1e-9, shifted - 360, shifted)
            return lon, lat
        x, y = _transformer(LONLAT_CRS, self.crs).transform(lon, lat)
        return np.asarray(x), np.asarray(y)

    def locate(
        self, lon: ArrayLike, lat: ArrayLike, tolerance: float | None = CORNER_TOLERANCE
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """The cell under each point: row, col (int64) and the larger offset from its centre in cells (0 to 0.5).

        With a `tolerance` (in cells) every point must be a cell centre, else BadFile says how many are not and which
        grid they would fit. With None any point inside the grid is given its cell. Points outside the grid, or not
        finite, raise BadFile in both cases. A longitude may be -180..180 or 0..360.
        """
        lon, lat = np.atleast_1d(np.asarray(lon, np.float64)), np.atleast_1d(np.asarray(lat, np.float64))
        with np.errstate(invalid="ignore"):
            impossible = ~(np.isfinite(lon) & np.isfinite(lat) & (np.abs(lat) <= 90) & (np.abs(lon) <= 360))
        if impossible.any():
            i = int(np.argmax(impossible))
            raise BadFile(
                f"{_count(impossible)} no longitude and latitude in degrees, the first is lon {lon.flat[i]}, "
                f"lat {lat.flat[i]}; are the columns lon and lat swapped?"
            )
        x, y = self.xy_of_lonlat(np.where(lon > 180, lon - 360, lon), lat)
        across = (x - self.left) / self.cell_width
        down = (self.top - y) / self.cell_height
        # a point on the outermost edge belongs to the last cell
        col = np.where(across == self.n_cols, self.n_cols - 1, np.floor(across))
        row = np.where(down == self.n_rows, self.n_rows - 1, np.floor(down))
        with np.errstate(invalid="ignore"):
            outside = ~((row >= 0) & (row < self.n_rows) & (col >= 0) & (col < self.n_cols))
        if outside.any():
            i = int(np.argmax(outside))
            raise BadFile(
                f"{_count(outside)} outside grid {self.grid_id}, the first at lon {lon.flat[i]:.5f}, lat {lat.flat[i]:.5f}"
            )
        offset = np.maximum(np.abs(across - col - 0.5), np.abs(down - row - 0.5))
        if tolerance is not None and (off := offset > tolerance).any():
            i = int(np.argmax(off))
            others = [g for g in GRIDS.values() if g.grid_id != self.grid_id and g._holds_centres(lon, lat, tolerance)]
            widest = max((g.cell_width for g in others), default=0)  # round coordinates lie on every very fine grid
            fitting = [g.grid_id for g in others if g.cell_width == widest]
            raise BadFile(
                f"{_count(off)} not on grid {self.grid_id}: the first, lon {lon.flat[i]:.5f}, lat {lat.flat[i]:.5f}, "
                f"is {offset.flat[i]:.2f} of a cell from the nearest centre{_advice(fitting)}"
            )
        return row.astype(np.int64), col.astype(np.int64), offset

    def _holds_centres(self, lon: NDArray, lat: NDArray, tolerance: float) -> bool:
        x, y = self.xy_of_lonlat(np.where(lon > 180, lon - 360, lon), lat)
        across, down = (x - self.left) / self.cell_width - 0.5, (self.top - y) / self.cell_height - 0.5
        inside = (across > -0.5) & (across < self.n_cols - 0.5) & (down > -0.5) & (down < self.n_rows - 0.5)
        off = np.maximum(np.abs(across - np.round(across)), np.abs(down - np.round(down)))
        return bool(np.all(inside & (off <= tolerance)))

    # -- windows ----------------------------------------------------------------------------------------------------

    def _misfit(self, left: float, top: float, cell_width: float, cell_height: float, height: int, width: int):
        """(row, column, largest departure of the window's corners from the grid's lines in cells)."""
        column = round((left - self.left) / self.cell_width)
        row = round((self.top - top) / self.cell_height)
        departures = (
            (left - self.left) / self.cell_width - column,
            (left + width * cell_width - self.left) / self.cell_width - (column + width),
            (self.top - top) / self.cell_height - row,
            (self.top - (top - height * cell_height)) / self.cell_height - (row + height),
        )
        return row, column, max(abs(d) for d in departures)

    def window_of(
        self, left: float, top: float, cell_width: float, cell_height: float, height: int, width: int
    ) -> Window:
        """The window whose cells are those of a raster with this upper-left outer corner, in the grid's units.

        Every corner must be within 1 % of a cell of a grid line. Longitudes must already run in the grid's sense.
        Raises BadFile when the cells do not coincide, or when part of the raster lies outside the grid.
        """
        numbers = (left, top, cell_width, cell_height)
        if not all(math.isfinite(v) for v in numbers) or cell_width <= 0 or cell_height <= 0 or min(height, width) < 1:
            raise BadFile("its georeferencing is not usable (no cell size, or rotated)")
        row, column, misfit = self._misfit(left, top, cell_width, cell_height, height, width)
        if misfit > CORNER_TOLERANCE:
            same_size = max(
                abs(width * (cell_width / self.cell_width - 1)), abs(height * (cell_height / self.cell_height - 1))
            )
            if same_size > 2 * CORNER_TOLERANCE:
                what = (
                    f"its cells are {cell_width:.8g} x {cell_height:.8g}, "
                    f"those of grid {self.grid_id} {self.cell_width:.8g} x {self.cell_height:.8g}"
                )
            else:
                what = f"its cells lie {misfit:.2f} of a cell beside those of grid {self.grid_id}"
            fitting = suggest_grids(left, top, cell_width, cell_height, height, width, self.crs)
            raise BadFile(what + _advice(fitting))
        if row < 0 or column < 0 or row + height > self.n_rows or column + width > self.n_cols:
            raise BadFile(f"part of it lies outside grid {self.grid_id}")
        return Window(row, column, height, width)

    def edges_of(self, row: ArrayLike, col: ArrayLike) -> tuple[NDArray, NDArray, NDArray, NDArray]:
        """(left, bottom, right, top) of cells in the grid's units."""
        row, col = np.asarray(row, np.float64), np.asarray(col, np.float64)
        left, top = self.left + col * self.cell_width, self.top - row * self.cell_height
        return left, top - self.cell_height, left + self.cell_width, top

    # -- sizes ------------------------------------------------------------------------------------------------------

    def area_km2(self, row: ArrayLike, col: ArrayLike) -> NDArray[np.float64]:
        """True area of cells on the ellipsoid, km2, float64, broadcast over row and col.

        Closed form, exact to rounding (about 1e-13 relative), on grids in degrees and on equal-area projections of an
        ellipsoid (cylindrical as EASE-Grid 2.0, Albers, Lambert azimuthal). MODIS sinusoidal: its latitudes are geodetic
        latitudes of WGS 84 drawn on a sphere, so a cell is integrated over latitude (1e-12; cells cut by the edge of the
        world 1e-3, only the part inside counts). Any other projection: cells as polygons with a point every 2.5 km, at
        least one within an edge, in an equal-area plane; within 1e-7 relative of pyproj.Geod for cells up to 50 km. Projections of a
        sphere are taken to show WGS 84 latitudes. Cells beyond a pole have only their part before it.
        """
        row, col = np.broadcast_arrays(np.asarray(row, np.int64), np.asarray(col, np.int64))
        crs = _crs(self.crs)
        a, f = _ellipsoid(crs)
        if crs.is_geographic:
            degrees = np.arange(self.n_rows + 1)
            edges = np.clip(self.top - degrees * self.cell_height, -90, 90)
            band = band_area(edges, a, f)
            width = math.radians(self.cell_width)
            return np.asarray((band[row] - band[row + 1]) * width / 1e6)
        method = crs.coordinate_operation.method_name if crs.coordinate_operation else ""
        is_sphere = not crs.ellipsoid.inverse_flattening
        unit = crs.axis_info[0].unit_conversion_factor
        if method in _EQUAL_AREA_METHODS and not is_sphere:
            return np.full(row.shape, self.cell_width * self.cell_height * unit**2 / 1e6)
        if method == "Sinusoidal" and is_sphere:
            return self._sinusoidal_area(row, col, crs.ellipsoid.semi_major_metre, a, f) / 1e6
        return self._polygon_area(row.ravel(), col.ravel(), a, f).reshape(row.shape) / 1e6

    def _sinusoidal_area(self, row, col, radius: float, a: float, f: float) -> NDArray[np.float64]:
        # x = R lon cos(lat), y = R lat: a strip of width dx is dx / (R cos lat) wide in longitude, and the ellipsoid's
        # area element is M N cos(lat) dlat dlon, so the cosine drops out.
        left, bottom, right, top = self.edges_of(row, col)
        nodes, weights = np.polynomial.legendre.leggauss(8)
        area = np.zeros(row.shape)
        for node, weight in zip(nodes, weights, strict=True):
            lat = (0.5 * (top + bottom) + 0.5 * node * (top - bottom)) / radius
            edge = np.where(np.abs(lat) < np.pi / 2, np.pi * radius * np.cos(lat), 0.0)
            width = np.maximum(np.minimum(right, edge) - np.maximum(left, -edge), 0.0)
            e2 = f * (2 - f)
            m_times_n = a**2 * (1 - e2) / (1 - e2 * np.sin(lat) ** 2) ** 2
            area += 0.5 * weight * (top - bottom) / radius * width / radius * m_times_n
        return area

    def _polygon_area(self, row, col, a: float, f: float) -> NDArray[np.float64]:
        """Cells as polygons in an equal-area plane: cylindrical below 45 degrees, azimuthal about the pole above."""
        area = np.empty(row.size)
        per_edge = int(
            np.clip(math.ceil(max(np.ptp(self._to_metres([0.0, self.cell_width], [0.0, 0.0])[0]), 1) / 2500), 2, 32)
        )
        t = np.arange(per_edge) / per_edge
        # unit square, counter-clockwise from the lower left corner
        u = np.concatenate([t, np.ones(per_edge), 1 - t, np.zeros(per_edge)])
        v = np.concatenate([np.zeros(per_edge), t, np.ones(per_edge), 1 - t])
        to_lonlat = _transformer(self.crs, LONLAT_CRS)
        pole = band_area(90.0, a, f)
        for start in range(0, row.size, 100_000):
            part = slice(start, start + 100_000)
            left, bottom, right, top = (e[:, None] for e in self.edges_of(row[part], col[part]))
            lon, lat = to_lonlat.transform(left + u * (right - left), bottom + v * (top - bottom))
            # longitudes continuous around each cell, also across the antimeridian
            turn = np.radians(lon[:, :1]) + np.radians((lon - lon[:, :1] + 180) % 360 - 180)
            band = band_area(lat, a, f)
            radius = np.sqrt(2 * (pole - np.abs(band)))
            is_polar = np.abs(lat[:, :1]) > 45
            x = np.where(is_polar, radius * np.sin(turn), turn)
            y = np.where(is_polar, radius * np.cos(turn), band)
            x, y = x - x[:, :1], y - y[:, :1]  # small numbers lose no digits in the products
            area[part] = np.abs(np.sum(x * np.roll(y, -1, axis=1) - np.roll(x, -1, axis=1) * y, axis=1)) / 2
        return area

    def distance_distortion(self, bbox: tuple[float, float, float, float]) -> float:
        """Largest relative departure of distances in the grid's metres from geodesic ones over a box.

        `bbox` is (west, south, east, north) in degrees. At 9 x 9 points the grid's plane is compared with the ellipsoid
        in every direction (singular values of the local map); longer distances do not depart more. Grids in degrees are
        measured in the metres of `metres_of`. Below 0.01 lags counted in
        cells stand for distances, so that a Fourier transform over pixels gives the right variogram.
        Raises ValueError when the box is empty or outside the projection.
        """
        west, south, east, north = bbox
        if not (west <= east and south <= north and south >= -90 and north <= 90):
            raise ValueError(f"bbox {bbox} must be west, south, east, north in degrees")
        inside = 1e-6  # a pole or the antimeridian itself has no neighbours on both sides
        south, north = max(south, -90 + inside), min(north, 90 - inside)
        lon, lat = (m.ravel() for m in np.meshgrid(np.linspace(west, east, 9), np.linspace(south, north, 9)))
        x, y = (lon, lat) if self.is_geographic else self.xy_of_lonlat(lon, lat)
        geod = pyproj.Geod(a=WGS84_A, f=WGS84_F)
        step = 0.01 * min(self.cell_width, self.cell_height)
        map_to_earth = []  # columns: metres east and north for a metre along the grid's x, then y
        for dx, dy in ((step, 0.0), (0.0, step)):
            x0, y0, x1, y1 = x - dx / 2, y - dy / 2, x + dx / 2, y + dy / 2
            (lon0, lat0), (lon1, lat1) = self.lonlat_of_xy(x0, y0), self.lonlat_of_xy(x1, y1)
            azimuth, _, true = geod.inv(lon0, lat0, lon1, lat1)
            (mx0, my0), (mx1, my1) = self._to_metres(x0, y0), self._to_metres(x1, y1)
            scale = np.asarray(true) / np.hypot(np.subtract(mx1, mx0), np.subtract(my1, my0))
            map_to_earth.append([scale * np.sin(np.radians(azimuth)), scale * np.cos(np.radians(azimuth))])
        maps = np.moveaxis(np.array(map_to_earth), -1, 0)
        maps = maps[np.isfinite(maps).all(axis=(1, 2))]
        if not len(maps):
            raise ValueError(f"bbox {bbox} lies outside grid {self.grid_id}'s projection")
        true_per_plane = np.linalg.svd(maps, compute_uv=False)
        return float(np.max(np.abs(1 / true_per_plane - 1)))

    # -- written form -----------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Grid:
        """The grid of a definition. Raises ValueError for missing, unknown or impossible entries."""
        wanted = set(cls.__dataclass_fields__)
        if missing := wanted - set(values):
            raise ValueError(f"grid definition lacks {', '.join(sorted(missing))}")
        if unknown := set(values) - wanted:
            raise ValueError(f"grid definition has unknown entries {', '.join(sorted(unknown))}")
        try:
            return cls(
                grid_id=str(values["grid_id"]),
                crs=str(values["crs"]),
                **{k: float(values[k]) for k in ("left", "top", "cell_width", "cell_height")},
                **{k: int(values[k]) for k in ("n_rows", "n_cols")},
            )
        except TypeError as error:
            raise ValueError(f"grid definition: {error}") from error


def _count(mask: NDArray) -> str:
    n = int(mask.sum())
    return f"{n:,} of {mask.size:,} points {'is' if n == 1 else 'are'}"


def _advice(fitting: list[str]) -> str:
    if fitting:
        return f"; it would fit {' or '.join(fitting)}"
    return "; it fits no named grid (a grid of its own can be registered)"


def _ellipsoid(crs: pyproj.CRS) -> tuple[float, float]:
    """(semi-major axis m, flattening); a sphere stands for WGS 84, whose latitudes such products draw on it."""
    ellipsoid = crs.ellipsoid
    if ellipsoid is None or not ellipsoid.inverse_flattening:
        return WGS84_A, WGS84_F
    return ellipsoid.semi_major_metre, 1 / ellipsoid.inverse_flattening


def band_area(lat: ArrayLike, a: float, f: float) -> NDArray[np.float64]:
    """Area between the equator and a latitude (degrees), m2 per radian of longitude, negative in the south (Snyder 3-12)."""
    s = np.sin(np.radians(lat))
    e2 = f * (2 - f)
    if e2 == 0:
        return a**2 * s
    e = math.sqrt(e2)
    return 0.5 * a**2 * (1 - e2) * (s / (1 - e2 * s**2) + np.arctanh(e * s) / e)


def _ease2(grid_id: str, cell: float, n_rows: int, n_cols: int) -> Grid:
    return Grid(grid_id, EASE2_CRS, -17367530.4451615, 7314540.8306386, cell, cell, n_rows, n_cols)


def _sinusoidal(grid_id: str, cells_a_tile: int) -> Grid:
    half_world = 20015109.354  # pi * 6371007.181, as the tiles' own metadata round it
    cell = 2 * half_world / (36 * cells_a_tile)
    return Grid(grid_id, SINUSOIDAL_CRS, -half_world, half_world / 2, cell, cell, 18 * cells_a_tile, 36 * cells_a_tile)


GRIDS: dict[str, Grid] = {
    grid.grid_id: grid
    for grid in (
        _ease2("ease2_m36", 36032.220840584, 406, 964),
        _ease2("ease2_m09", 9008.055210146, 1624, 3856),
        _ease2("ease2_m03", 3002.6850700487, 4872, 11568),
        _ease2("ease2_m01", 1000.89502334956, 14616, 34704),
        # cell edges on multiples of the cell
        Grid("latlon_0p25", LONLAT_CRS, -180, 90, 0.25, 0.25, 720, 1440),
        Grid("latlon_0p1", LONLAT_CRS, -180, 90, 0.1, 0.1, 1800, 3600),
        Grid("latlon_0p05", LONLAT_CRS, -180, 90, 0.05, 0.05, 3600, 7200),
        # cell centres on multiples of the cell, poles included
        Grid("era5_land_0p1", LONLAT_CRS, -180.05, 90.05, 0.1, 0.1, 1801, 3600),
        Grid("era5_0p25", LONLAT_CRS, -180.125, 90.125, 0.25, 0.25, 721, 1440),
        _sinusoidal("modis_sin_1km", 1200),
        _sinusoidal("modis_sin_500m", 2400),
        _sinusoidal("modis_sin_250m", 4800),
        _sinusoidal("modis_sin_6km", 200),
        Grid("latlon_30s", LONLAT_CRS, -180, 90, 1 / 120, 1 / 120, 21600, 43200),
        # SRTM: values stand at multiples of 3 or 1 arc seconds, and a column at 180 degrees is one at -180
        Grid("srtm_3s", LONLAT_CRS, -180 - 1 / 2400, 90 + 1 / 2400, 1 / 1200, 1 / 1200, 216_001, 432_000),
        Grid("srtm_1s", LONLAT_CRS, -180 - 1 / 7200, 90 + 1 / 7200, 1 / 3600, 1 / 3600, 648_001, 1_296_000),
    )
}


def suggest_grids(
    left: float, top: float, cell_width: float, cell_height: float, height: int, width: int, crs: str | None = None
) -> list[str]:
    """Names of the registry's grids on which a raster's cells lie, among those in the same CRS when one is given."""

    def fits(grid: Grid) -> bool:
        if crs is not None and _crs(grid.crs) != _crs(crs):
            return False
        row, column, misfit = grid._misfit(left, top, cell_width, cell_height, height, width)
        inside = row >= 0 and column >= 0 and row + height <= grid.n_rows and column + width <= grid.n_cols
        return misfit <= CORNER_TOLERANCE and inside

    return [grid.grid_id for grid in GRIDS.values() if fits(grid)]


# -- the lake's own grids -----------------------------------------------------------------------------------------------


def _definitions(lake: Lake | Path) -> Path:
    # a pathlib.Path has a `root` too, which is "/"
    root = lake if isinstance(lake, str | Path) else lake.root
    return Path(root) / "grids" / "definitions"


def registered_grids(lake: Lake | Path) -> dict[str, Grid]:
    """The grids users registered in a lake, by name. Raises ValueError naming a definition that is damaged."""
    found = {}
    for path in sorted(_definitions(lake).glob("[!._]*.json")):
        try:
            found[path.stem] = Grid.from_dict(json.loads(path.read_text(encoding="utf-8")))
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
    return found


def find_grid(lake: Lake | Path | None, grid_id: str) -> Grid:
    """The grid of that name from the registry or the lake. Raises LookupError with the nearest names."""
    if grid_id in GRIDS:
        return GRIDS[grid_id]
    own = registered_grids(lake) if lake is not None else {}
    if grid_id in own:
        return own[grid_id]
    raise LookupError(f"there is no grid {grid_id!r}. {suggestion(grid_id, [*GRIDS, *own])}")


def register_grid(lake: Lake | Path, grid: Grid) -> Grid:
    """Keep a grid in the lake under its name; registering the same grid again changes nothing.

    Raises ValueError when the name already means another grid: pixels loaded on it would move.
    """
    known = GRIDS.get(grid.grid_id) or registered_grids(lake).get(grid.grid_id)
    if known is not None:
        if known != grid:
            raise ValueError(f"grid {grid.grid_id} is already defined otherwise: {known}; choose another name")
        return known
    folder = _definitions(lake)
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(grid.to_dict(), indent=2, sort_keys=True) + "\n"
    descriptor, temporary = tempfile.mkstemp(dir=folder, prefix=f".{grid.grid_id}.tmp-")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(folder / f"{grid.grid_id}.json")
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return grid
