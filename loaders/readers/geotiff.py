"""GeoTIFF and Cloud-Optimised GeoTIFF, JPEG 2000 and SRTM's HGT tiles: one date a file, named in the file name, or one date a band.

A zip archive of one such file is read as it is. Where each variable has a file of its own (AppEEARS, SoilGrids), the group `layer` of
the product's `file_pattern` says which one a file holds.

Values are the file's integers or floats: a scale or offset in the band's metadata is not applied (files made by GDAL
carry factors to divide by as well as factors to multiply with).
"""

from __future__ import annotations

import calendar
import re
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import rasterio
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window as RasterWindow

from loaders.granule import BadFile, Granule
from loaders.readers._checks import (
    apply_fill,
    calendar_dates,
    check_dtype,
    check_exceeds,
    check_holds_values,
    native_fill,
)
from loaders.readers._dates import find_date, first_of_month, parse_date
from loaders.readers._files import (
    JP2_STARTS,
    TIFF_STARTS,
    as_column,
    check_start,
    has_start,
    is_srtm_tile,
    list_names,
    sha256_of,
)
from loaders.readers._placement import Axis, Placement, place, widened
from loaders.readers._zip import is_zip, only_member

if TYPE_CHECKING:
    from loaders.grids import Grid
    from loaders.products import DeliveredAs, Described, Product, Variable

LAYOUT = "dense"

_ENDINGS = (".tif", ".tiff", ".hgt")
_SRTM_SIDES = (1201, 3601)

# Without this GDAL lists the whole folder at every open, to look for side files (.tfw, .aux.xml): half of the time.
# A file that has no georeferencing of its own is opened again with them.
_ALONE = {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR"}

# Said as a refusal in _place_cached; a filter for each open would not be safe for threads.
warnings.filterwarnings("ignore", category=NotGeoreferencedWarning)


def inspect(path: Path, product: Product, grid: Grid | None) -> Granule:
    """The header of one GeoTIFF: its window on `grid` (None: its own grid), dates and variables.

    Raises BadFile for a file that is empty, truncated, no TIFF, of another product (name, bands, type), without a
    projection, off the grid, without a date, or all fill (files of several bands; a file of one band when it is read).
    """
    path = Path(path)
    names = product.parse_name(path.name)
    with _open(path) as dataset:
        header = _header(dataset, product.options.shared_edge)
        placement = _place(header, grid, product)
        dates = _dates(header, product, names["date"])
        bands = _bands(header, product, path.name)
        for variable, band in bands.items():
            check_dtype(variable, np.dtype(header.dtypes[band - 1]), f"band {band}")
            native_fill(variable, header.nodata[band - 1], f"band {band}")
        if header.count > 1:
            _check_holds_values(dataset, header, product, bands, len(dates))
    return Granule(
        path=path,
        name=path.name,
        key=names["key"],
        version=names["version"],
        sha256=sha256_of(path),
        grid=placement.grid,
        window=placement.window,
        dates=tuple(sorted(dates)),
        variables=tuple(v.name for v in bands),
    )


def read_dense(granule: Granule, product: Product, variable: str, dates: Sequence[date]) -> np.ndarray:
    """One variable, shape (len(dates), height, width) (1 for static), dtype as declared, north up and west left.

    Fill values stay; a nodata value the product does not list becomes its first fill (NaN for floats without one).
    Raises BadFile when the file is truncated, or when all there is to read of it is fill.
    """
    declared = product.variable(variable)
    with _open(granule.path) as dataset:
        header = _header(dataset, product.options.shared_edge)
        placement = _place(header, granule.grid, product)
        first = _bands(header, product, granule.path.name)[declared]
        indexes = [first]
        if product.options.dates == "bands":
            by_date = {day: band for band, day in enumerate(_dates(header, product, None), start=1)}
            indexes = [by_date[day] for day in dates]
        try:
            values = _read(dataset, header, granule.path, indexes)
        except RasterioError as error:
            raise BadFile(f"cannot be read to the end, it is truncated or damaged: {_said(error)}") from error
    values = placement.arrange(values.astype(declared.dtype, copy=False))
    values = apply_fill(values, native_fill(declared, header.nodata[first - 1], f"band {first}"))
    if header.count == 1:
        check_holds_values([declared], lambda v: v.has_valid(values))
    check_exceeds(declared, values)
    return values


# A file that stores the bands of a cell side by side is decoded as a whole for every band asked of it. A stack of dates is
# asked a month at a time, so the last one that is not too large to keep stays decoded.
_STACK_BYTES = 256 << 20
_stack_lock = threading.Lock()
_stack: dict[tuple, np.ndarray] = {}


def _read(dataset: rasterio.DatasetReader, header: _Header, path: Path, indexes: list[int]) -> np.ndarray:
    size = header.count * header.height * header.width * np.dtype(header.dtypes[0]).itemsize
    is_side_by_side = dataset.interleaving is not None and dataset.interleaving.name == "pixel"
    if len(indexes) == header.count or header.count < 3 or not is_side_by_side or size > _STACK_BYTES:
        return dataset.read(indexes, window=header.kept)
    stat = path.stat()
    key = (str(path.resolve()), stat.st_mtime_ns, stat.st_size)
    with _stack_lock:
        if key not in _stack:
            decoded = dataset.read(window=header.kept)
            _stack.clear()
            _stack[key] = decoded
        return _stack[key][np.asarray(indexes) - 1]


def describe(path: Path, asked: DeliveredAs) -> Described:
    """What a GeoTIFF of no known product holds: a variable a band (one in all when bands are dates)."""
    from loaders.products import Described, Variable

    with _open(Path(path), with_side_files=True) as dataset:
        header = _header(dataset)
    bands = range(1, 2) if asked.dates == "bands" else range(1, header.count + 1)
    variables = []
    for band in bands:
        nodata = header.nodata[band - 1]
        described = header.descriptions[band - 1] if asked.dates == "name" else None
        variables.append(
            Variable(
                name=as_column(described) if described else ("value" if len(bands) == 1 else f"band_{band}"),
                dtype=header.dtypes[band - 1],
                fill=() if nodata is None or nodata != nodata else (_plain(nodata, header.dtypes[band - 1]),),
                unit=header.units[band - 1] or "unknown",
                description=described or "",
                band=band,
            )
        )
    step = "day"
    if asked.dates == "name" and asked.date_pattern is None:
        if asked.file_pattern is None:
            found = find_date(Path(path).name)
            step = found[1] if found else "static"
        else:
            groups = set(re.compile(asked.file_pattern).groupindex)
            step = "day" if groups & {"date", "doy", "day"} else "month" if "year" in groups else "static"
    return Described(time_step=step, variables=tuple(variables))


# -- the header ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Header:
    transform: tuple[float, ...]
    crs: str | None
    height: int
    width: int
    count: int
    dtypes: tuple[str, ...]
    nodata: tuple[float | None, ...]
    descriptions: tuple[str | None, ...]
    units: tuple[str | None, ...]
    is_complex: bool
    kept: RasterWindow  # what is read: all of it, but of SRTM tiles not the row and column of their neighbours


@contextmanager
def _open(path: Path, with_side_files: bool = False) -> Iterator[rasterio.DatasetReader]:
    """A rasterio dataset, with what makes it unreadable said as BadFile."""
    with ExitStack() as stack:
        stack.enter_context(rasterio.Env(**({} if with_side_files else _ALONE)))
        dataset = stack.enter_context(_open_dataset(path))
        if with_side_files or not (dataset.crs is None or dataset.transform.is_identity):
            yield dataset
            return
    with _open(path, with_side_files=True) as dataset:
        yield dataset


def _open_dataset(path: Path) -> rasterio.DatasetReader:
    name, starts = str(path), TIFF_STARTS + JP2_STARTS
    if is_zip(path):
        member = only_member(path, _ENDINGS, "GeoTIFF")
        name, path, starts = f"/vsizip/{{{path}}}/{member}", Path(member), ()
    driver = "SRTMHGT" if is_srtm_tile(path) else "GTiff"
    if starts and driver == "GTiff" and has_start(path, JP2_STARTS):
        driver = "JP2OpenJPEG"
    try:
        return rasterio.open(name, driver=driver)
    except RasterioError as error:
        if driver == "SRTMHGT":
            raise BadFile("is no whole HGT tile, which has 1201 x 1201 or 3601 x 3601 heights of two bytes") from error
        if starts:
            check_start(path, "a GeoTIFF", starts)
        raise BadFile(f"is a damaged or truncated TIFF: {_said(error)}") from error


def _said(error: Exception) -> str:
    """What GDAL said, without the file it begins with."""
    said = " ".join(str(error.__cause__ or error).split())
    return re.sub(r"^(\S*?[^\s/]+\.(tiff?|TIFF?|cog)\b[:,]? ?)+", "", said)


def _header(dataset: rasterio.DatasetReader, shared_edge: bool = False) -> _Header:
    crs = dataset.crs
    transform, height, width, top = tuple(dataset.transform)[:6], dataset.height, dataset.width, 0
    is_tile = height == width and width in _SRTM_SIDES
    if is_tile and (shared_edge or dataset.driver == "SRTMHGT"):
        # the northern row and the eastern column are those of the neighbours
        a, b, c, d, e, f = transform
        transform, height, width, top = (a, b, c, d, e, f + e), height - 1, width - 1, 1
    return _Header(
        transform=transform,
        crs=crs.to_wkt() if crs else None,
        height=height,
        width=width,
        kept=RasterWindow(0, top, width, height),
        count=dataset.count,
        dtypes=tuple(dataset.dtypes),
        nodata=tuple(dataset.nodatavals),
        descriptions=tuple(dataset.descriptions),
        units=tuple(dataset.units),
        is_complex=any(d.startswith("complex") for d in dataset.dtypes),
    )


def _place(header: _Header, grid: Grid | None, product: Product) -> Placement:
    crs = header.crs or product.options.crs
    placement = _place_cached(header.transform, crs, header.height, header.width, grid, product.name)
    if grid is None and product.options.wide_grid:
        wide = widened(placement.grid)
        placement = _place_cached(header.transform, crs, header.height, header.width, wide, product.name)
    return placement


@lru_cache(maxsize=64)
def _place_cached(
    transform: tuple[float, ...], crs: str | None, height: int, width: int, grid: Grid | None, own_name: str
) -> Placement:
    a, b, c, d, e, f = transform
    if (a, b, c, d, e, f) == (1.0, 0.0, 0.0, 0.0, 1.0, 0.0):
        raise BadFile("carries no georeferencing: it is a picture, not a map")
    if b or d:
        raise BadFile("is rotated against its projection: warp it to a north-up grid first (gdalwarp)")
    if crs is None:
        raise BadFile("carries no projection: give crs in the mapping if you know it, for example crs: EPSG:4326")
    return place(Axis(c + a / 2, a, width), Axis(f + e / 2, e, height), crs, grid, own_name)


# -- bands and dates ----------------------------------------------------------------------------------------------------


def _bands(header: _Header, product: Product, filename: str) -> dict[Variable, int]:
    """The band each variable lies in: by the layer in the file's name, by number, by description, or the only band for the only variable."""
    if header.is_complex:
        raise BadFile("holds complex numbers")
    if product.options.dates == "bands":
        if len(product.variables) != 1:
            raise BadFile(f"has a date a band, which leaves room for one variable, but {product.name} has several")
        return {product.variables[0]: 1}
    layer = _layer_of(filename, product)
    if layer is not None:
        found = [v for v in product.variables if v.source_name.lower() == layer.lower()]
        if not found:
            known = list_names([v.source_name for v in product.variables])
            raise BadFile(f"its name says layer {layer}, {product.name} has {known}")
        if header.count != 1:
            raise BadFile(f"its name says layer {layer}, but it has {header.count} bands")
        return {found[0]: 1}
    described = {d: i for i, d in enumerate(header.descriptions, start=1) if d}
    bands: dict[Variable, int] = {}
    for variable in product.variables:
        if variable.band is not None:
            band = variable.band if variable.band <= header.count else None
        elif variable.source_name in described:
            band = described[variable.source_name]
        else:
            band = 1 if len(product.variables) == 1 and header.count == 1 else None
        if band is not None:
            bands[variable] = band
        elif not variable.optional:
            asked = f"band {variable.band}" if variable.band else f"band described as {variable.source_name!r}"
            has = f" ({list_names(list(described))})" if described else ""
            raise BadFile(f"has no {asked} for {variable.name}; it has {header.count} band(s){has}")
    if not bands:
        raise BadFile(f"has none of the bands of {product.name}")
    return bands


def _layer_of(filename: str, product: Product) -> str | None:
    """What the group `layer` of the product's `file_pattern` finds in a file's name; None without such a group."""
    match = re.search(product.file_pattern, filename) if product.file_pattern is not None else None
    return match.groupdict().get("layer") if match is not None else None


def _dates(header: _Header, product: Product, in_name: date | None) -> list[date]:
    """The date of the file, or of each band in the file's order; [] for static."""
    if product.time_step == "static":
        return []
    if product.options.dates == "name":
        if in_name is None:
            raise BadFile("its name carries no date: give date_pattern in the mapping, or time_step: static")
        return [in_name]
    start = product.options.start
    if start is not None:
        days = [_step_from(start, i, product.time_step) for i in range(header.count)]
    else:
        days = [_date_of_band(d, i) for i, d in enumerate(header.descriptions, start=1)]
    return calendar_dates(days, product)


def _date_of_band(description: str | None, band: int) -> date:
    day = parse_date(description) if description else None
    if day is None and description:
        found = find_date(description)
        day = found[0] if found else None
    if day is None:
        said = f"described as {description!r}" if description else "without a description"
        raise BadFile(f"its band {band} is {said}, which is no date: give start (the date of band 1) in the mapping")
    return day


def _step_from(start: date, steps: int, time_step: str) -> date:
    if time_step == "day":
        return start + timedelta(days=steps)
    month = first_of_month(start)
    for _ in range(steps):
        month += timedelta(days=calendar.monthrange(month.year, month.month)[1])
    return month


def _check_holds_values(dataset, header: _Header, product: Product, bands: dict[Variable, int], n_dates: int) -> None:
    """Read block by block until a value is found; a file of fill is read to its end."""

    def has_valid(variable: Variable) -> bool:
        dates_are_bands = product.options.dates == "bands"
        indexes = range(1, n_dates + 1) if dates_are_bands else (bands[variable],)
        replacement = native_fill(variable, header.nodata[bands[variable] - 1], "")
        rows = max(64, dataset.block_shapes[0][0])
        for index in indexes:
            for top in range(0, header.height, rows):
                window = RasterWindow(0, header.kept.row_off + top, header.width, min(rows, header.height - top))
                if variable.has_valid(apply_fill(dataset.read(index, window=window), replacement)):
                    return True
        return False

    try:
        check_holds_values(list(bands), has_valid)
    except RasterioError as error:
        raise BadFile(f"cannot be read to the end, it is truncated or damaged: {_said(error)}") from error


def _plain(value: float, dtype: str) -> int | float:
    return int(value) if np.dtype(dtype).kind in "iu" and value == int(value) else float(value)
