"""One GRIB file as maps, through GDAL: a message a variable and time.

GDAL names a message by the parameter table (`GRIB_ELEMENT`); three soil temperatures of ERA5 have names from before 1993 there.
Its unit tag is not to be trusted (Kelvin tagged as degC), so no unit is read from it, and it is asked not to convert. The sphere
that a weather model calls the Earth is taken for WGS 84, as the model's own NetCDF files do.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import rasterio
from rasterio.errors import RasterioError

from loaders.granule import BadFile
from loaders.grids import LONLAT_CRS
from loaders.readers._checks import present_variables
from loaders.readers._files import GRIB_STARTS
from loaders.readers._maps import Layout, step_dates
from loaders.readers._placement import Axis, place

if TYPE_CHECKING:
    from loaders.grids import Grid
    from loaders.products import Product, Variable

# GDAL's element: the name in the Climate Data Store's NetCDF files
_NAMES = {
    "2T": "t2m", "2D": "d2m", "10U": "u10", "10V": "v10",
    "ST": "stl1", "STL1": "stl1", "DST": "stl2", "STL2": "stl2", "CDST": "stl3", "STL3": "stl3", "STL4": "stl4",
}  # fmt: skip


class GribFile:
    """An open GRIB file; a `MapFile`. Raises BadFile when it cannot be opened, or holds one variable and time twice."""

    def __init__(self, path: Path) -> None:
        _check_whole(path)
        try:
            # kept while the file is open: bands are read later than opened
            self.environment = rasterio.Env(GRIB_NORMALIZE_UNITS="NO")
            with self.environment:
                self.dataset = rasterio.open(path, driver="GRIB")
                tags = [self.dataset.tags(band) for band in self.dataset.indexes]
        except RasterioError as error:
            said = str(error).replace(str(path), "the file")
            raise BadFile(f"is a damaged or truncated GRIB file: {said}") from error
        self.bands: dict[tuple[str, datetime], int] = {}
        self.long_names: dict[str, str] = {}
        for band, tag in zip(self.dataset.indexes, tags, strict=True):
            name, time = _name_of(tag), _time_of(tag)
            if (name, time) in self.bands:
                raise BadFile(
                    f"has {name} at {time:%Y-%m-%d %H:%M} more than once (members, steps or levels): write one file for each"
                )
            self.bands[name, time] = band
            self.long_names[name] = tag.get("GRIB_COMMENT", "").rsplit(" [", 1)[0]

    def close(self) -> None:
        self.dataset.close()

    @cached_property
    def times(self) -> list[datetime]:
        """The times of the file, ascending."""
        return sorted({time for _, time in self.bands})

    def describe(self) -> list[Variable]:
        """Every variable, as float32: GRIB packs 8 to 24 bits."""
        from loaders.products import Variable

        return [
            Variable(name=name, dtype="float32", unit="unknown", description=text)
            for name, text in self.long_names.items()
        ]

    def layout(self, product: Product, grid: Grid | None, filename: str) -> Layout:
        present = present_variables(product, self.long_names)
        transform = self.dataset.transform
        if transform.b or transform.d:
            raise BadFile("is rotated: a grid with a turned pole cannot be placed; regrid it first")
        x = Axis(transform.c + transform.a / 2, transform.a, self.dataset.width)
        y = Axis(transform.f + transform.e / 2, transform.e, self.dataset.height)
        crs = self.dataset.crs
        if crs is None:
            raise BadFile("carries no projection")
        placement = place(x, y, LONLAT_CRS if crs.is_geographic else crs.to_wkt(), grid, product.name)
        wanted = {v.source_name for v in present}
        times = tuple(sorted({time for name, time in self.bands if name in wanted}))
        return Layout(present, placement, times, step_dates(times, product, filename))

    def check(self, variable: Variable) -> None:
        if np.dtype(variable.dtype).kind != "f":
            raise BadFile(f"{variable.source_name} is a float in GRIB, but the product says {variable.dtype}")

    def read(self, layout: Layout, variable: Variable, steps: Sequence[int]) -> np.ndarray:
        known = [f for f in variable.fill if f == f]
        blank = known[0] if known else np.nan
        shape = (len(steps), self.dataset.height, self.dataset.width)
        values = np.full(shape, blank, np.dtype(variable.dtype))
        for i, step in enumerate(steps):
            band = self.bands.get((variable.source_name, layout.times[step]))
            if band is None:
                continue  # this variable has no message at that time
            with self.environment:
                raw, valid = self.dataset.read(band), self.dataset.read_masks(band) != 0
            values[i][valid] = raw[valid]
        return values


def _check_whole(path: Path) -> None:
    """Raises BadFile when the last message goes on beyond the end of the file, which GDAL passes over."""
    size, at = path.stat().st_size, 0
    with path.open("rb") as file:
        while at < size:
            file.seek(at)
            start = file.read(16)
            if len(start) < 16 or not start.startswith(GRIB_STARTS):
                if start.strip(b"\0"):
                    raise BadFile(f"is a damaged or truncated GRIB file: no message begins at byte {at:,}")
                at += 16  # padding
                continue
            length = int.from_bytes(start[4:7], "big") if start[7] == 1 else int.from_bytes(start[8:16], "big")
            if start[7] == 1 and length & 0x800000:
                return  # a message beyond 8 MiB: its length is written in a way of its own
            if length < 16 or at + length > size:
                raise BadFile("is a damaged or truncated GRIB file: its last message is cut off")
            at += length


def _name_of(tag: dict[str, str]) -> str:
    element = tag.get("GRIB_ELEMENT", "")
    if not element:
        raise BadFile("has a message whose parameter GDAL does not know")
    return _NAMES.get(element, element.lower())


def _time_of(tag: dict[str, str]) -> datetime:
    try:
        seconds = int(tag["GRIB_VALID_TIME"].split()[0])
    except (KeyError, ValueError, IndexError) as error:
        raise BadFile("has a message without a valid time") from error
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)
