"""Small real files, products and comparisons that the tests of the lake share."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import rasterio
from rasterio.transform import from_origin

from loaders.lake import Lake
from loaders.products import Product, complete, find_product

FILL = -9999
LEFT, TOP, CELL = 10.0, 50.0, 0.1  # on grid latlon_0p1
NAME_PATTERN = r"(?P<area>[a-z]+)_(?P<date>\d{8})(?:_v(?P<version>\d+))?\.tif$"
YEAR_PATTERN = r"(?P<area>[a-z]+)_year(?:_v(?P<version>\d+))?\.tif$"


def digests(folder: Path, hidden: bool = False) -> dict[str, str]:
    """{path below `folder`: digest} of its files; hidden ones only when asked."""
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file() and (hidden or not any(part.startswith(".") for part in p.relative_to(folder).parts))
    }


def leftovers(lake: Lake) -> list[str]:
    """Hidden files that no finished load leaves behind."""
    return [str(p) for p in lake.root.rglob(".*") if p.name != ".lock"]


def write_tif(
    path: Path, bands: np.ndarray, row: float = 0, column: float = 0, fill: float | None = FILL, **more
) -> Path:
    """A GeoTIFF of bands (n, height, width) whose upper-left cell is `row`, `column` south and east of (LEFT, TOP)."""
    bands = np.asarray(bands)
    path.parent.mkdir(parents=True, exist_ok=True)
    transform = from_origin(LEFT + column * CELL, TOP - row * CELL, CELL, CELL)
    with rasterio.open(
        path, "w", driver="GTiff", height=bands.shape[1], width=bands.shape[2], count=bands.shape[0],
        dtype=bands.dtype, crs="EPSG:4326", transform=transform, nodata=fill, **more,
    ) as dataset:  # fmt: skip
        dataset.write(bands)
    return path


def some_map(seed: int, height: int = 6, width: int = 8, dtype: str = "int16") -> np.ndarray:
    """(1, height, width) of values with about a third fill, reproducible."""
    random = np.random.default_rng(seed)
    values = random.integers(0, 5000, (1, height, width)).astype(dtype)
    values[random.random((1, height, width)) < 0.35] = FILL
    values[0, seed % height, seed % width] = seed  # never all fill
    return values


def daily_product(name: str = "daily", pattern: str | None = NAME_PATTERN, **mapping) -> Product:
    """Daily int16 GeoTIFFs of one variable `sm` on latlon_0p1, versions in the name."""
    fields = {"variables": [{"name": "sm", "band": 1, "dtype": "int16", "fill": [FILL], "unit": "1"}]}
    fields |= {"time_step": "day", "file_pattern": pattern} | mapping
    return _complete("raster", name, "latlon_0p1", fields)


def yearly_product(start: date, name: str = "yearly") -> Product:
    """GeoTIFFs with a day a band from `start`."""
    return daily_product(name, YEAR_PATTERN, dates="bands", start=start)


def static_product(name: str = "soil") -> Product:
    return daily_product(name, None, time_step="static")


def _complete(template: str, name: str, grid: str, fields: dict) -> Product:
    # the files' own description is not needed where the mapping says everything, but `complete` looks at one
    folder = Path(__import__("tempfile").mkdtemp())
    path = write_tif(folder / "area_20200101.tif", some_map(1))
    try:
        return complete(find_product(template), name, grid, fields, [path])
    finally:
        path.unlink()
        folder.rmdir()


def table_product(path: Path, name: str = "points", grid: str = "latlon_0p1", **mapping) -> Product:
    """A table product as a user completes it from a file."""
    return complete(find_product("table"), name, grid, mapping or None, [path])


def write_csv(path: Path, rows: Sequence[tuple], header: str = "lon,lat,date,sm") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(header + "\n" + "".join(",".join(str(v) for v in row) + "\n" for row in rows), encoding="utf-8")
    return path


def days(first: date, n: int) -> list[date]:
    return [first + timedelta(days=i) for i in range(n)]


def rows_of(lake: Lake, product: str) -> pa.Table:
    """All rows of a product, by pixel and date."""
    tables = [pq.read_table(p, partitioning=None) for p in lake.month_files(product).values()]
    table = pa.concat_tables(tables)
    keys = [(c, "ascending") for c in ("pixel_id", "obs_date") if c in table.column_names]
    return table.sort_by(keys)


def status_of(report) -> dict[str, str]:
    return {f.name: f.status for f in report.files}
