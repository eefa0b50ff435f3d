"""Weights between grids: regridding is a join with them, the same for every date.

`nearest`: a target pixel takes the source pixel whose cell holds its centre. Every pair of grids that have pixels in the lake is
computed at the end of a load, and anew only when the pixels of one of the two changed, so that `dbt build` alone finds them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import ArrayLike, NDArray

from loaders.grids import Grid
from loaders.lake import EMPTY, WEIGHT_SCHEMA, Lake, LakeError, said, sweep, write_table
from loaders.month_file import METADATA_KEY

WEIGHTS_FORMAT = 1  # a higher number makes every file be computed again

# In cells: a centre this near to a border between two cells lies on it. Projections come back to 1e-9 of a cell, and centres of
# grids of the same cell size that are half a cell apart must not be drawn to either side by rounding.
_BORDER = 1e-6


def nearest_cells(grid: Grid, lon: ArrayLike, lat: ArrayLike) -> NDArray[np.int64]:
    """The pixel of `grid` under each point, int64, shape of `lon`; -1 outside the grid and for NaN.

    `lon` and `lat` are degrees, WGS 84, longitudes -180 to 360. A point on the border of two cells is in the eastern, the southern one,
    and on the outer edge of the grid in its last cell.
    """
    lon, lat = np.broadcast_arrays(np.asarray(lon, np.float64), np.asarray(lat, np.float64))
    known = np.isfinite(lon) & np.isfinite(lat)
    x, y = grid._xy_of_lonlat(np.where(lon > 180, lon - 360, lon)[known], lat[known])
    col = _cell((x - grid.left) / grid.cell_width, grid.n_cols)
    row = _cell((grid.top - y) / grid.cell_height, grid.n_rows)
    found = np.full(lon.shape, -1, np.int64)
    found[known] = np.where((row >= 0) & (col >= 0), row * grid.n_cols + col, -1)
    return found


def _cell(position: NDArray[np.float64], n: int) -> NDArray[np.int64]:
    """The number of the cell at each position, counted in cells from the first edge; -1 outside."""
    border = np.round(position)
    with np.errstate(invalid="ignore"):
        number = np.where(np.abs(position - border) < _BORDER, border, np.floor(position))
        number = np.where(number == n, np.where(position <= n + _BORDER, n - 1, n), number)
        inside = (number >= 0) & (number < n)
    return np.where(inside, number, -1).astype(np.int64)


def nearest_weights(lake: Lake, source: str, target: str) -> pa.Table:
    """`WEIGHT_SCHEMA` rows of one pair of grids, by target pixel; only pixels that both grids have in the lake."""
    sources = _pixels(lake, source, ["pixel_id"])["pixel_id"].to_numpy()
    targets = _pixels(lake, target, ["pixel_id", "lon", "lat"])
    under = nearest_cells(lake.grid(source), *(targets[name].to_numpy(zero_copy_only=False) for name in ("lon", "lat")))
    exists = np.zeros(under.shape, bool)
    if sources.size:
        place = np.minimum(np.searchsorted(sources, under), sources.size - 1)
        exists = sources[place] == under
    ids = targets["pixel_id"].to_numpy()[exists]
    zeros = pa.array(np.zeros(ids.size, np.int8))
    return pa.table(
        {
            "source_grid_id": pa.array([source], pa.string()).take(zeros),
            "target_grid_id": pa.array([target], pa.string()).take(zeros),
            "method": pa.array(["nearest"], pa.string()).take(zeros),
            "source_pixel_id": pa.array(under[exists], pa.int64()),
            "target_pixel_id": pa.array(ids, pa.int64()),
            "weight": pa.array(np.ones(ids.size)),
        },
        schema=WEIGHT_SCHEMA,
    )


def refresh_weights(lake: Lake, grids: Iterable[str] | None = None) -> list[tuple[str, str]]:
    """Bring weights/ up to date; the (source, target) that were computed.

    Every grid that has pixels is a source and a target of every other (`grids`: only pairs with one of these); files of grids that are
    gone are removed. Raises LakeError when a file of pixels is damaged.
    """
    pixels = lake.root / "grids" / "pixels"
    with_pixels = sorted(p.stem for p in pixels.glob("[!._]*.parquet") if p.name != EMPTY)
    asked = set(with_pixels if grids is None else grids)
    computed = []
    with lake.lock_shared("weights"):
        folder = lake.root / "weights"
        sweep(folder)
        wanted = {
            lake.weights_path(source, target): (source, target)
            for source in with_pixels
            for target in with_pixels
            if source != target
        }
        for path in folder.glob("[!._]*.parquet"):
            if path not in wanted and path.name != EMPTY:
                path.unlink(missing_ok=True)
        digests: dict[str, str] = {}
        for path, (source, target) in wanted.items():
            if not asked & {source, target}:
                continue
            for grid_id in (source, target):
                if grid_id not in digests:
                    digests[grid_id] = _digest(lake.pixels_path(grid_id))
            made_of = {"format": WEIGHTS_FORMAT, "source": digests[source], "target": digests[target]}
            if _made_of(path) == made_of:
                continue
            try:
                table = nearest_weights(lake, source, target)
            except LookupError as error:
                raise LakeError(str(error)) from error
            write_table(table.replace_schema_metadata({METADATA_KEY: json.dumps(made_of, sort_keys=True)}), path)
            computed.append((source, target))
    return computed


def _pixels(lake: Lake, grid_id: str, columns: list[str]) -> pa.Table:
    path = lake.pixels_path(grid_id)
    try:
        return pq.read_table(path, columns=columns, partitioning=None)
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
