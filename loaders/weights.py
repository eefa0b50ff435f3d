"""Weights between grids: regridding is a join with them, the same for every date.

A study says which weights it needs and `ensure_weights` makes them; `nearest` between all grids that have pixels in the same part of the
world is kept at the end of every load (`refresh_weights`), so that `dbt build` alone finds it. A file is computed anew only when the pixels of one of its two grids changed.

`nearest`: a target pixel takes the source pixel whose cell holds its centre.
`area_mean`: source pixels by the area that they share with the target pixel (loaders/overlap.py); the rows serve `mode` as well.
`bilinear`: the four source pixels whose centres are around the target's centre, in the source's projection.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import ArrayLike, NDArray

from loaders.catalog import add_pixels
from loaders.grids import Grid
from loaders.lake import EMPTY, WEIGHT_SCHEMA, Lake, LakeError, said, sweep, write_tables
from loaders.month_file import METADATA_KEY
from loaders.overlap import Plane, overlaps
from loaders.regions import refresh_membership

WEIGHTS_FORMAT = 2  # a higher number makes every file be computed again

# The file that serves a method of a study; None: kernels give the weights in SQL.
FILE_OF = {"nearest": "nearest", "area_mean": "area_mean", "mode": "area_mean", "bilinear": "bilinear", "kriging": None}
METHODS = tuple(sorted({file for file in FILE_OF.values() if file}))

# In cells: a centre this near to a border between two cells lies on it. Projections come back to 1e-9 of a cell, and centres of
# grids of the same cell size that are half a cell apart must not be drawn to either side by rounding.
_BORDER = 1e-6
_CHUNK = 500_000  # target pixels whose rows are made together
MOST_PIXELS = 50_000_000  # of a grid that no product delivers: beyond this the box is most likely forgotten

Rows = "tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], NDArray[np.float64] | None]"


# -- the cell under a point ---------------------------------------------------------------------------------------------


def nearest_cells(grid: Grid, lon: ArrayLike, lat: ArrayLike) -> NDArray[np.int64]:
    """The pixel of `grid` under each point, int64, shape of `lon`; -1 outside the grid and for NaN.

    `lon` and `lat` are degrees, WGS 84, longitudes -180 to 360. A point on the border of two cells is in the eastern, the southern one,
    and on the outer edge of the grid in its last cell.
    """
    across, down = _position(grid, lon, lat)
    col, row = _cell(across, grid.n_cols), _cell(down, grid.n_rows)
    return np.where((row >= 0) & (col >= 0), row * grid.n_cols + col, -1)


def _position(grid: Grid, lon: ArrayLike, lat: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(columns, rows) from the grid's upper left corner, in cells; NaN for NaN."""
    lon, lat = np.broadcast_arrays(np.asarray(lon, np.float64), np.asarray(lat, np.float64))
    known = np.isfinite(lon) & np.isfinite(lat)
    x, y = grid.xy_of_lonlat(np.where(lon > 180, lon - 360, lon)[known], lat[known])
    across, down = np.full(lon.shape, np.nan), np.full(lon.shape, np.nan)
    across[known] = (x - grid.left) / grid.cell_width
    down[known] = (grid.top - y) / grid.cell_height
    return across, down


def _cell(position: NDArray[np.float64], n: int) -> NDArray[np.int64]:
    """The number of the cell at each position, counted in cells from the first edge; -1 outside."""
    border = np.round(position)
    with np.errstate(invalid="ignore"):
        number = np.where(np.abs(position - border) < _BORDER, border, np.floor(position))
        number = np.where(number == n, np.where(position <= n + _BORDER, n - 1, n), number)
        inside = (number >= 0) & (number < n)
    return np.where(inside, number, -1).astype(np.int64)


# -- weights of one pair of grids ---------------------------------------------------------------------------------------


def weights(lake: Lake, source: str, target: str, method: str) -> pa.Table:
    """`WEIGHT_SCHEMA` rows of one pair of grids and method, by target pixel, then source pixel; only pixels that both grids have in the lake.

    The weights of a target pixel add up to 1; one that shares nothing with a source pixel of the lake has no row. Raises LookupError for an
    unknown grid, KeyError for an unknown method, LakeError when a file of pixels is damaged.
    """
    return pa.concat_tables([WEIGHT_SCHEMA.empty_table(), *_tables(lake, source, target, method)])


def _tables(lake: Lake, source: str, target: str, method: str) -> Iterator[pa.Table]:
    of_method = {"nearest": _nearest, "area_mean": _area_mean, "bilinear": _bilinear}[method]
    sources, targets = _pixels(lake, source), _pixels(lake, target)
    for target_id, source_id, weight, km2 in of_method(lake.grid(source), sources, lake.grid(target), targets):
        zeros = pa.array(np.zeros(target_id.size, np.int8))
        yield pa.table(
            {
                "source_grid_id": pa.array([source], pa.string()).take(zeros),
                "target_grid_id": pa.array([target], pa.string()).take(zeros),
                "method": pa.array([method], pa.string()).take(zeros),
                "source_pixel_id": pa.array(source_id, pa.int64()),
                "target_pixel_id": pa.array(target_id, pa.int64()),
                "weight": pa.array(weight),
                "overlap_km2": pa.nulls(target_id.size, pa.float64()) if km2 is None else pa.array(km2),
            },
            schema=WEIGHT_SCHEMA,
        )


def _nearest(source: Grid, sources: NDArray, target: Grid, targets: NDArray) -> Iterator[Rows]:
    for part in _chunks(targets):
        under = nearest_cells(source, *target.lonlat_of(*target.row_col(part)))
        exists = _are_in(under, sources)
        yield part[exists], under[exists], np.ones(int(exists.sum())), None


def _area_mean(source: Grid, sources: NDArray, target: Grid, targets: NDArray) -> Iterator[Rows]:
    for target_id, source_id, km2 in overlaps(source, target, targets):
        exists = _are_in(source_id, sources)
        target_id, source_id, km2 = target_id[exists], source_id[exists], km2[exists]
        yield target_id, source_id, _shares(target_id, km2), km2


def _bilinear(source: Grid, sources: NDArray, target: Grid, targets: NDArray) -> Iterator[Rows]:
    goes_round = Plane(source).goes_round
    for part in _chunks(targets):
        across, down = _position(source, *target.lonlat_of(*target.row_col(part)))
        with np.errstate(invalid="ignore"):
            inside = (down >= -_BORDER) & (down <= source.n_rows + _BORDER)
            inside &= (across >= -_BORDER) & (across <= source.n_cols + _BORDER)
        part, across, down = part[inside], _near_whole(across[inside] - 0.5), _near_whole(down[inside] - 0.5)
        if not goes_round:
            across = np.clip(across, 0, source.n_cols - 1)
        down = np.clip(down, 0, source.n_rows - 1)
        col, row = np.floor(across), np.floor(down)
        right, below = across - col, down - row
        corners = [
            (row + s, col + e, (below if s else 1 - below) * (right if e else 1 - right))
            for s in (0, 1)
            for e in (0, 1)
        ]
        number = np.tile(np.arange(part.size), 4)
        rows, cols, weight = (np.concatenate([c[i] for c in corners]) for i in range(3))
        keep = weight > 0
        number, rows, cols, weight = (
            number[keep],
            rows[keep].astype(np.int64),
            cols[keep].astype(np.int64),
            weight[keep],
        )
        source_id = rows * source.n_cols + cols % source.n_cols
        exists = _are_in(source_id, sources)
        number, source_id, weight = number[exists], source_id[exists], weight[exists]
        order = np.lexsort((source_id, number))
        target_id = part[number[order]]
        yield target_id, source_id[order], _shares(target_id, weight[order]), None


def _near_whole(position: NDArray[np.float64]) -> NDArray[np.float64]:
    whole = np.round(position)
    return np.where(np.abs(position - whole) < _BORDER, whole, position)


def _shares(target_id: NDArray[np.int64], amount: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each amount as a part of its target's sum; `target_id` comes in runs."""
    if not target_id.size:
        return amount
    first = np.flatnonzero(np.concatenate([[True], np.diff(target_id) != 0]))
    return amount / np.repeat(np.add.reduceat(amount, first), np.diff(np.append(first, target_id.size)))


def _are_in(ids: NDArray[np.int64], known: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which of `ids` are in `known` (ascending)."""
    if not known.size:
        return np.zeros(ids.shape, bool)
    return known[np.minimum(np.searchsorted(known, ids), known.size - 1)] == ids


def _chunks(targets: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    for start in range(0, targets.size, _CHUNK):
        yield targets[start : start + _CHUNK]


# -- what the lake keeps ------------------------------------------------------------------------------------------------


def ensure_pixels(lake: Lake, grid_id: str, box: tuple[float, float, float, float]) -> int:
    """Put the pixels of a grid that no product delivers into the lake, those with a centre in a box; how many are new.

    `box` is west, south, east, north in degrees (west > east crosses the antimeridian); a centre on its edge is inside. A grid on which a
    product was loaded stays as it is, and 0 is returned: its pixels are the product's. Memberships in regions follow.
    Raises LookupError for an unknown grid, LakeError when the box holds no pixel or more than 50 million.
    """
    grid = lake.grid(grid_id)
    if _is_delivered(lake, grid_id):
        return 0
    ids = _pixels_in_box(grid, box)
    if not ids.size:
        raise LakeError(f"grid {grid_id} has no pixel with a centre in {_said_box(box)}: see `region` of the study")
    known = lake.pixels_path(grid_id)
    before = pq.read_metadata(known).num_rows if known.exists() else 0
    if not add_pixels(lake, grid, ids, ""):
        return 0
    refresh_membership(lake, [grid_id])
    return pq.read_metadata(known).num_rows - before


def _is_delivered(lake: Lake, grid_id: str) -> bool:
    for path in (lake.root / "catalog" / "products").glob("[!._]*.parquet"):
        if path.name != EMPTY and grid_id in pq.read_table(path, columns=["grid_id"])["grid_id"].to_pylist():
            return True
    return False


def _pixels_in_box(grid: Grid, box: tuple[float, float, float, float]) -> NDArray[np.int64]:
    west, south, east, north = box
    found, n = [], 0
    rows = max(1, _CHUNK // grid.n_cols)
    for first in range(0, grid.n_rows, rows):
        row, col = np.meshgrid(np.arange(first, min(first + rows, grid.n_rows)), np.arange(grid.n_cols), indexing="ij")
        lon, lat = grid.lonlat_of(row, col)
        with np.errstate(invalid="ignore"):
            inside = (lat >= south) & (lat <= north)
            inside &= ((lon >= west) & (lon <= east)) if west <= east else ((lon >= west) | (lon <= east))
        found.append((row * grid.n_cols + col)[inside])
        n += found[-1].size
        if n > MOST_PIXELS:
            raise LakeError(
                f"grid {grid.grid_id} has more than {MOST_PIXELS:,} pixels in {_said_box(box)}: give the study a smaller region"
            )
    return np.concatenate(found)


def _said_box(box: tuple[float, float, float, float]) -> str:
    return f"the box {box[0]:g} to {box[2]:g} E, {box[1]:g} to {box[3]:g} N"


def ensure_weights(lake: Lake, wanted: Iterable[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    """Make the weights that a study needs; the (source, target, method) files that were computed now.

    `wanted` are (source grid_id, target grid_id, method) with a method of `FILE_OF`: `mode` uses the file of `area_mean`, `kriging` has none.
    A grid to itself needs no weights. Raises LakeError for an unknown method, an unknown grid, one without pixels, or damaged pixels.
    """
    files: dict[tuple[str, str, str], None] = {}
    for source, target, method in wanted:
        if method not in FILE_OF:
            raise LakeError(f"there are no weights called {method!r}; known: {', '.join(sorted(FILE_OF))}")
        if source != target and (file := FILE_OF[method]) is not None:
            files[source, target, file] = None
    for grid_id in sorted({grid_id for triple in files for grid_id in triple[:2]}):
        if not lake.pixels_path(grid_id).exists():
            raise LakeError(f"grid {grid_id} has no pixels in {lake.root}: load a product on it, or name a region")
    with lake.lock_shared("weights"):
        sweep(lake.root / "weights")
        return _bring_up_to_date(lake, files)


def refresh_weights(lake: Lake, grids: Iterable[str] | None = None) -> list[tuple[str, str, str]]:
    """Bring weights/ up to date; the (source, target, method) that were computed.

    `nearest` is kept for every two grids that have pixels in the same part of the world, the other methods where they were ensured once
    (`grids`: only pairs with one of these); files of grids that are gone are removed. Raises LakeError when a file of pixels is damaged.
    """
    pixels = lake.root / "grids" / "pixels"
    with_pixels = sorted(p.stem for p in pixels.glob("[!._]*.parquet") if p.name != EMPTY)
    asked = set(with_pixels if grids is None else grids)
    with lake.lock_shared("weights"):
        folder = lake.root / "weights"
        sweep(folder)
        possible = {
            lake.weights_path(source, target, method): (source, target, method)
            for source in with_pixels
            for target in with_pixels
            for method in METHODS
            if source != target
        }
        for path in folder.glob("[!._]*.parquet"):
            if path not in possible and path.name != EMPTY:
                path.unlink(missing_ok=True)
        boxes = {grid_id: _box(lake.pixels_path(grid_id)) for grid_id in with_pixels}
        kept = [
            triple
            for path, triple in possible.items()
            if asked & set(triple[:2])
            and (path.exists() or (triple[2] == "nearest" and _may_meet(boxes[triple[0]], boxes[triple[1]])))
        ]
        return _bring_up_to_date(lake, kept)


def _box(path: Path) -> tuple[float, float, float, float]:
    """West, south, east, north of the centres in a file of pixels, by its row groups' own statistics; the world when they are not there."""
    world = (-180.0, -90.0, 180.0, 90.0)
    try:
        file = pq.read_metadata(path)
        of = {name: file.schema.names.index(name) for name in ("lon", "lat")}
        found = [[file.row_group(i).column(of[n]).statistics for i in range(file.num_row_groups)] for n in of]
    except (OSError, ValueError, pa.ArrowException):
        return world
    if any(s is None or not s.has_min_max for group in found for s in group) or not all(found):
        return world
    (west, south), (east, north) = ([min(s.min for s in g) for g in found], [max(s.max for s in g) for g in found])
    return west, south, east, north


def _may_meet(
    one: tuple[float, float, float, float], other: tuple[float, float, float, float], room: float = 1.0
) -> bool:
    """Whether cells (of less than a degree or so) about the centres of two boxes may touch, also over the antimeridian."""
    if max(one[1], other[1]) > min(one[3], other[3]) + 2 * room:
        return False
    if any(abs(box[0] + 180) < room or abs(box[2] - 180) < room for box in (one, other)):
        return True
    return max(one[0], other[0]) <= min(one[2], other[2]) + 2 * room


def _bring_up_to_date(lake: Lake, triples: Iterable[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    digests: dict[str, str] = {}
    computed = []
    for source, target, method in triples:
        for grid_id in (source, target):
            if grid_id not in digests:
                digests[grid_id] = _digest(lake.pixels_path(grid_id))
        made_of = {"format": WEIGHTS_FORMAT, "source": digests[source], "target": digests[target]}
        path = lake.weights_path(source, target, method)
        if _made_of(path) == made_of:
            continue
        try:
            tables = _tables(lake, source, target, method)
            write_tables(WEIGHT_SCHEMA, tables, path, {METADATA_KEY: json.dumps(made_of, sort_keys=True)})
        except LookupError as error:
            raise LakeError(str(error)) from error
        computed.append((source, target, method))
    return computed


def _pixels(lake: Lake, grid_id: str) -> NDArray[np.int64]:
    """The grid's pixels in the lake, ascending."""
    path = lake.pixels_path(grid_id)
    try:
        return pq.read_table(path, columns=["pixel_id"], partitioning=None)["pixel_id"].to_numpy()
    except (OSError, pa.ArrowException) as error:
        raise LakeError(f"{path} is damaged ({said(error)}): remove it and load again") from error


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _made_of(path: Path) -> dict | None:
    try:
        return json.loads((pq.read_metadata(path).metadata or {})[METADATA_KEY.encode()])
    except (OSError, KeyError, ValueError, pa.ArrowException):
        return None
