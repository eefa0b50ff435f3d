"""Maps with times of day from NetCDF, HDF5 and GRIB (ERA5 by the hour, GLDAS and SMAP L4 every three): a row a cell and time.

The files are those of netcdf.py; here their times are kept, and only cells with a value become rows.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from loaders.readers import netcdf
from loaders.readers._map_files import open_map_file
from loaders.readers._maps import inspect_maps, read_rows

if TYPE_CHECKING:
    import pyarrow as pa

    from loaders.granule import Granule
    from loaders.grids import Grid
    from loaders.products import Product

LAYOUT = "sparse"

describe = netcdf.describe


def inspect(path: Path, product: Product, grid: Grid | None) -> Granule:
    """The header of one file: its UTC dates and variables; `window` is None. Raises BadFile as netcdf.py does, and for a file
    without times, or with the same time twice."""
    path = Path(path)
    with open_map_file(path) as file:
        return inspect_maps(path, file, product, grid, is_dense=False)


def read_sparse(granule: Granule, product: Product) -> pa.Table:
    """A row a cell and time in which any variable is not fill: pixel_id, obs_date, obs_time (TIMESTAMP us, UTC), the
    product's variables, types and fills as delivered."""
    with open_map_file(granule.path) as file:
        return read_rows(granule, file, product)
