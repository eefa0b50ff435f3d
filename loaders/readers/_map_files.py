"""Open files of maps: which format a file is, and the last few kept open, since they are read a variable and month at a time."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rasterio.errors import RasterioError

from loaders.granule import BadFile
from loaders.readers._files import GRIB_STARTS, NETCDF_STARTS, check_start
from loaders.readers._grib import GribFile
from loaders.readers._netcdf import NetCDFFile

if TYPE_CHECKING:
    import numpy as np

    from loaders.grids import Grid
    from loaders.products import Product
    from loaders.readers._maps import Layout, MapFile

# The NetCDF C library is not safe for threads: one reader at a time, whatever file.
netcdf_lock = threading.RLock()
_OPEN_FILES = 4


@dataclass
class _Opened:
    """An open file and what it is to the products it was asked for: a month's read must not decode the axes again."""

    file: MapFile
    state: tuple[int, int]  # modification time and size when it was opened
    layouts: dict[tuple, Layout] = field(default_factory=dict)

    def layout(self, product: Product, grid: Grid | None, filename: str) -> Layout:
        key = (product, grid)
        if key not in self.layouts:
            self.layouts[key] = self.file.layout(product, grid, filename)
        return self.layouts[key]

    def check(self, variable) -> None:
        self.file.check(variable)

    def read(self, layout, variable, steps) -> np.ndarray:
        return self.file.read(layout, variable, steps)

    def close(self) -> None:
        self.file.close()


_opened: OrderedDict[tuple, _Opened] = OrderedDict()


@contextmanager
def open_map_file(path: Path) -> Iterator[_Opened]:
    """An open file of maps, for this thread alone; a `MapFile` that remembers its layouts.

    Raises BadFile when it cannot be read, is neither NetCDF nor GRIB, or breaks off while it is being read.
    """
    with netcdf_lock:
        try:
            stat = path.stat()
        except OSError as error:
            raise BadFile(f"cannot be read: {error.strerror or error}") from error
        # HDF5 knows an open file by its inode: one that was written over must be closed before it is opened again
        key, state = (stat.st_dev, stat.st_ino), (stat.st_mtime_ns, stat.st_size)
        opened = _opened.pop(key, None)
        if opened is not None and opened.state != state:
            opened.close()
            opened = None
        opened = opened or _Opened(_open(path), state)
        _opened[key] = opened
        while len(_opened) > _OPEN_FILES:
            _opened.popitem(last=False)[1].close()
        try:
            yield opened
        except (RuntimeError, OSError, RasterioError) as error:
            _opened.pop(key).close()
            said = str(error).replace(str(path), "the file")
            raise BadFile(f"cannot be read to the end, it is truncated or damaged: {said}") from error


def _open(path: Path) -> MapFile:
    with path.open("rb") as file:
        start = file.read(4)
    if start == GRIB_STARTS[0]:
        return GribFile(path)
    check_start(path, "a NetCDF file", NETCDF_STARTS)
    return NetCDFFile(path)
