"""Terrain of an elevation product that the lake has: its file of heights is the granule, so that a new DEM makes new terrain.

On a grid other than the DEM's the heights are first averaged over the area of each cell (loaders/overlap.py): slope and wetness are
those of the surface at that resolution.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from loaders.granule import BadFile, Granule, Window
from loaders.lake import Lake, LakeError, said
from loaders.month_file import read_header
from loaders.overlap import overlaps
from loaders.readers._files import sha256_of
from loaders.terrain import derivatives
from loaders.weights import nearest_cells

if TYPE_CHECKING:
    from loaders.grids import Grid
    from loaders.products import Product

LAYOUT = "dense"

MOST_CELLS = 150_000_000  # of the rectangle around the heights, which is held in memory
LEAST_COVERED = 0.5  # of a cell's area, for a mean height
_METRES = {"m": 1.0, "metre": 1.0, "metres": 1.0, "meter": 1.0, "meters": 1.0, "km": 1000.0}


def inspect(path: Path, product: Product, grid: Grid | None) -> Granule:
    """The header of the terrain of one file of heights in a lake: `raw/<product>/static/<product>.parquet`.

    Raises BadFile for a file that is not a lake's, has dates, has no column of elevation in metres or kilometres, or more cells than fit.
    """
    path = Path(path).resolve()
    names = product.parse_name(path.name)
    if not path.exists():
        raise BadFile("there is no such file; name a product of the lake that has elevation and no dates")
    sha256 = sha256_of(path)
    grid, window, _ = _terrain(path, sha256, grid)
    return Granule(
        path=path, name=path.name, key=names["key"], version=names["version"], sha256=sha256,
        grid=grid, window=window, dates=(), variables=tuple(v.name for v in product.variables),
    )  # fmt: skip


def read_dense(granule: Granule, product: Product, variable: str, dates: Sequence[date]) -> np.ndarray:
    """One derivative, shape (1, height, width). Raises BadFile when the heights changed since they were inspected."""
    if sha256_of(granule.path) != granule.sha256:
        raise BadFile("changed while it was read: load it again")
    return _terrain(granule.path, granule.sha256, granule.grid)[2][variable][None]


@lru_cache(maxsize=1)
def _terrain(path: Path, sha256: str, grid: Grid | None) -> tuple[Grid, Window, dict[str, np.ndarray]]:
    source, pixel_ids, heights = _heights(path)
    if grid is not None and grid != source:
        pixel_ids, heights = _averaged(source, pixel_ids, heights, grid)
    else:
        grid = source
    if not np.isfinite(heights).any():
        raise BadFile("every height is fill: there is no terrain")
    row, col = grid.row_col(pixel_ids)
    window = Window(int(row.min()), int(col.min()), int(np.ptp(row)) + 1, int(np.ptp(col)) + 1)
    if window.n_cells > MOST_CELLS:
        raise BadFile(
            f"its heights lie in a rectangle of {window.n_cells:,} cells, more than {MOST_CELLS:,}: load the tiles of one area "
            "as a product of their own, or take a coarser grid (--grid)"
        )
    surface = np.full((window.height, window.width), np.nan)
    surface[row - window.row, col - window.column] = heights
    return grid, window, derivatives(grid, window, surface)


def _heights(path: Path) -> tuple[Grid, np.ndarray, np.ndarray]:
    """The grid, pixels (ascending) and heights in metres (NaN unknown) of a product without dates."""
    try:
        header = read_header(path)
        schema = pq.read_schema(path)
    except (LakeError, OSError, pa.ArrowException):
        raise BadFile(
            "is not a file of heights in a lake; name a product of the lake that has elevation and no dates"
        ) from None
    name = header.provenance.product
    if "obs_date" in schema.names or "pixel_id" not in schema.names:
        raise BadFile(f"{name} has dates or no pixels: terrain is made of a product without dates")
    lake = Lake(path.parents[3])
    column, factor, fills = _elevation(lake, name)
    table = pq.read_table(path, columns=["pixel_id", column], partitioning=None)
    heights = table[column].to_numpy().astype(np.float64)
    heights[np.isin(heights, fills)] = np.nan
    try:
        grid = lake.grid(header.provenance.grid_id)
    except (LookupError, ValueError) as error:
        raise BadFile(str(error)) from error
    return grid, table["pixel_id"].to_numpy().astype(np.int64), heights * factor


def _elevation(lake: Lake, product: str) -> tuple[str, float, list[float]]:
    """(column, metres of its unit, fill values) of the product's heights."""
    path = lake.catalog_path("columns", product)
    try:
        rows = pq.read_table(path).to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise BadFile(
            f"the lake's catalogue of {product} cannot be read ({said(error)}): load {product} again"
        ) from error
    columns = {row["column_name"] for row in rows}
    column = "elevation" if "elevation" in columns else next(iter(columns)) if len(columns) == 1 else None
    if column is None:
        raise BadFile(f"{product} has no column elevation; it has {', '.join(sorted(columns))}")
    units = {row["unit"] for row in rows if row["column_name"] == column}
    unit = next(iter(units))
    if unit not in _METRES:
        raise BadFile(
            f"{column} of {product} is in {unit!r}, not in m or km: give its `unit` in the mapping of {product}"
        )
    fills = [row["fill_value"] for row in rows if row["column_name"] == column and row["fill_value"] is not None]
    return column, _METRES[unit], fills


def _averaged(source: Grid, pixel_ids: np.ndarray, heights: np.ndarray, target: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Mean heights of the target's cells that known heights cover by half or more."""
    known = np.isfinite(heights)
    pixel_ids, heights = pixel_ids[known], heights[known]
    parts = [pixel_ids[start : start + 1_000_000] for start in range(0, pixel_ids.size, 1_000_000)]
    under = [np.unique(nearest_cells(target, *source.lonlat_of(*source.row_col(part)))) for part in parts]
    cells = np.unique(np.concatenate(under)) if under else np.empty(0, np.int64)
    cells = cells[cells >= 0]
    if not cells.size:
        raise BadFile(f"no height lies on grid {target.grid_id}")
    middle = cells[cells.size // 2]
    size = float(target.area_km2(*target.row_col(middle)))
    of_source = float(source.area_km2(*source.row_col(pixel_ids[pixel_ids.size // 2])))
    if size < of_source * (1 - 1e-6):
        raise BadFile(
            f"its cells ({of_source:.3g} km2) are larger than those of grid {target.grid_id} ({size:.3g} km2)"
        )
    volume, covered = np.zeros(cells.size), np.zeros(cells.size)
    for target_id, source_id, km2 in overlaps(source, target, cells):
        at = np.minimum(np.searchsorted(pixel_ids, source_id), pixel_ids.size - 1)
        has = pixel_ids[at] == source_id
        number = np.searchsorted(cells, target_id[has])
        volume += np.bincount(number, km2[has] * heights[at[has]], cells.size)
        covered += np.bincount(number, km2[has], cells.size)
    enough = covered >= LEAST_COVERED * target.area_km2(*target.row_col(cells))
    return cells[enough], volume[enough] / covered[enough]
