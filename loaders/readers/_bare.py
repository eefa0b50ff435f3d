"""Arrays without coordinates: the whole of the product's grid, north up, or the part that an EASE-Grid index beside them names.

SMAP files carry latitudes and longitudes as arrays with holes where nothing was seen. They never place a cell; they only serve
to see that the file is on the grid.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from loaders.granule import BadFile, Window
from loaders.readers._placement import Placement

if TYPE_CHECKING:
    import netCDF4

    from loaders.grids import Grid
    from loaders.readers._cf import Axes

ROW, COLUMN = "EASE_row_index", "EASE_column_index"
PLACE_TOLERANCE_DEGREES = 0.004  # float32 coordinates are right to 1e-5; the next cell of 1 km is 0.008 degree away


def place_bare(lies: netCDF4.Variable, axes: Axes, grid: Grid | None, west: float | None) -> Placement:
    """Where an array of rows and columns lies. `west` is the longitude of its western edge when that is not the grid's.

    Raises BadFile when it is neither the whole grid nor placed by an index, or when the latitudes beside it are not the grid's.
    """
    shape = tuple(lies.shape[lies.dimensions.index(d)] for d in (axes.y, axes.x))
    if grid is None:
        raise BadFile("carries no coordinates, and the product names no grid")
    if shape == (grid.n_rows, grid.n_cols):
        window, roll = grid.window, 0
        if west is not None:
            roll = round((west - grid.left) / grid.cell_width) % grid.n_cols
    else:
        window, roll = _window_by_index(lies, shape, grid), 0
    _check_places(lies, window, grid)
    return Placement(grid, window, flip_rows=False, flip_columns=False, roll=roll)


def _beside(lies: netCDF4.Variable, start: str, shape: tuple[int, int]) -> np.ndarray | None:
    """The array of the variable's group whose name begins so (SMAP adds suffixes: _pm, _1km), if it has the shape."""
    for name, variable in lies.group().variables.items():
        if name.startswith(start) and variable.shape == shape:
            return np.asarray(variable[:])
    return None


def _window_by_index(lies: netCDF4.Variable, shape: tuple[int, int], grid: Grid) -> Window:
    row, column = _beside(lies, ROW, shape), _beside(lies, COLUMN, shape)
    said = f"its arrays are {shape[0]} x {shape[1]}, grid {grid.grid_id} is {grid.n_rows} x {grid.n_cols}"
    if row is None or column is None:
        raise BadFile(f"{said}, and no {ROW} and {COLUMN} say which part they are: is it a subset, or on another grid?")
    # a filled index (65534) is beyond every grid's rows; the columns of the 1 km grid stay below it too
    known = (row < grid.n_rows) & (column < grid.n_cols)
    if not known.any():
        raise BadFile(f"{said}, and its {ROW} is nothing but fill: nothing was observed")
    down, across = np.nonzero(known)
    top, left = np.unique(row[known].astype(np.int64) - down), np.unique(column[known].astype(np.int64) - across)
    if top.size > 1 or left.size > 1 or top[0] < 0 or left[0] < 0:
        raise BadFile(f"{said}, and its {ROW} and {COLUMN} do not run with the rows and columns of the array")
    window = Window(int(top[0]), int(left[0]), *shape)
    if window.row + window.height > grid.n_rows or window.column + window.width > grid.n_cols:
        raise BadFile(f"{said}, and by its index it reaches beyond the grid: is it on another grid?")
    return window


def _check_places(lies: netCDF4.Variable, window: Window, grid: Grid) -> None:
    lat, lon = (_beside(lies, name, (window.height, window.width)) for name in ("latitude", "longitude"))
    if lat is None or lon is None:
        return
    known = (np.abs(lat) <= 90) & (np.abs(lon) <= 180)
    down, across = np.nonzero(known)
    if not down.size:
        return
    cell_lon, cell_lat = grid.lonlat_of(down + window.row, across + window.column)
    off = np.maximum(np.abs(lat[known] - cell_lat), np.abs((lon[known] - cell_lon + 180) % 360 - 180))
    worst = int(np.argmax(off))
    if off[worst] > PLACE_TOLERANCE_DEGREES:
        raise BadFile(
            f"its cell at row {down[worst] + window.row}, column {across[worst] + window.column} is at lon "
            f"{lon[known][worst]:.3f}, lat {lat[known][worst]:.3f}, but on grid {grid.grid_id} at lon {cell_lon[worst]:.3f}, "
            f"lat {cell_lat[worst]:.3f}: is it on another grid?"
        )
