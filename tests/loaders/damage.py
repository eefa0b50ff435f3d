"""Small valid files of every family of readers, damaged at random places and read, in a process of its own.

`python -m tests.loaders.damage FOLDER SEED N` writes a line of JSON an attempt: family, damage, place, outcome (`refused`, `same`, `other`) and the
reason. What kills the process (a library that does not stand damage) leaves its family and place as the last line on stderr.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import resource
import signal
import sys
from collections.abc import Callable, Iterator
from datetime import date
from importlib import import_module
from pathlib import Path

import numpy as np
import polars as pl

from loaders.granule import Granule
from loaders.grids import GRIDS, Grid
from loaders.load import reason_of
from loaders.products import Product, find_product
from tests.loaders import test_readers_modis_hdf4 as modis
from tests.loaders import test_readers_netcdf as netcdf
from tests.loaders import test_readers_smap_hdf5 as smap
from tests.loaders import test_readers_subdaily as subdaily
from tests.loaders.load_files import daily_product, some_map, table_product, write_csv, write_tif

Made = tuple[Path, Product, Grid]


def _geotiff(folder: Path) -> Made:
    return (
        write_tif(folder / "alps_20200101.tif", some_map(1, 40, 50), compress="deflate"),
        daily_product(),
        GRIDS["latlon_0p1"],
    )


def _netcdf(name: str) -> Callable[[Path], Made]:
    def make(folder: Path) -> Made:
        path = netcdf._write(folder / "a.nc", time=np.array([18262, 18263], "i4"), format=name)
        return path, netcdf._product(), GRIDS["latlon_0p25"]

    return make


def _hours(folder: Path) -> Made:
    path = subdaily._hours(folder / "hours.nc")
    return path, find_product("era5_land_hourly"), GRIDS["era5_land_0p1"]


def _points(folder: Path) -> Made:
    return subdaily._points(folder / subdaily.POINTS), find_product("spl3smp_points"), GRIDS["ease2_m36"]


def _half_orbit(folder: Path) -> Made:
    return smap._write(folder), find_product("spl2smp"), smap.GRID


def _tile(folder: Path) -> Made:
    return modis._small(folder), modis.SMALL, GRIDS["modis_sin_1km"]


def _rows(n: int = 40) -> list[tuple]:
    return [(round(10.05 + 0.1 * (i % 8), 2), 49.95, date(2020, 1, 1 + i // 8), i / 100) for i in range(n)]


def _csv(folder: Path) -> Made:
    path = write_csv(folder / "points.csv", _rows())
    return path, table_product(path), GRIDS["latlon_0p1"]


def _gzipped(folder: Path) -> Made:
    plain = write_csv(folder / "plain.csv", _rows())
    path = folder / "points.csv.gz"
    path.write_bytes(gzip.compress(plain.read_bytes(), mtime=0))
    return path, table_product(path), GRIDS["latlon_0p1"]


def _parquet(folder: Path) -> Made:
    path = folder / "points.parquet"
    pl.DataFrame(_rows(), schema=["lon", "lat", "date", "sm"], orient="row").write_parquet(path)
    return path, table_product(path), GRIDS["latlon_0p1"]


FAMILIES: dict[str, Callable[[Path], Made]] = {
    "geotiff": _geotiff, "netcdf4": _netcdf("NETCDF4"), "netcdf3": _netcdf("NETCDF3_CLASSIC"), "subdaily": _hours, "point_netcdf": _points,
    "smap_hdf5": _half_orbit, "modis_hdf4": _tile, "table csv": _csv, "table gzip": _gzipped, "table parquet": _parquet,
}  # fmt: skip


def values_of(path: Path, product: Product, grid: Grid) -> str:
    """A digest of all that a reader makes of a file."""
    reader = import_module(f"loaders.readers.{product.format}")
    granule: Granule = reader.inspect(path, product, grid)
    digest = hashlib.sha256(repr((granule.key, granule.window, granule.dates, granule.variables)).encode())
    if reader.LAYOUT == "dense":
        for variable in granule.variables:
            digest.update(np.ascontiguousarray(reader.read_dense(granule, product, variable, granule.dates)).tobytes())
    else:
        table = reader.read_sparse(granule, product)
        digest.update(repr(table.to_pydict()).encode())
    return digest.hexdigest()


def attempts(whole: bytes, rng: np.random.Generator, n: int) -> Iterator[tuple[str, int, bytes]]:
    """(damage, place, bytes): cut at any offset, and one byte changed anywhere."""
    for at in sorted({0, 1, len(whole) - 1, *rng.integers(0, len(whole), n).tolist()}):
        yield "cut", at, whole[:at]
    for at in rng.integers(0, len(whole), 2 * n).tolist():
        changed = bytearray(whole)
        changed[at] ^= int(rng.integers(1, 256))
        yield "flipped", at, bytes(changed)


def main(folder: Path, seed: int, n: int) -> None:
    resource.setrlimit(
        resource.RLIMIT_AS, (6 << 30, 6 << 30)
    )  # a length that was damaged must not take the machine's memory
    for number, (family, make) in enumerate(FAMILIES.items()):
        below = folder / family.replace(" ", "_")
        below.mkdir()
        path, product, grid = make(below)
        whole = path.read_bytes()
        truth = values_of(path, product, grid)
        for damage, at, content in attempts(whole, np.random.default_rng(seed + number), n):
            print(f"{family}: {damage} at {at} of {len(whole)}", file=sys.stderr, flush=True)
            # a folder of its own: HDF4 keeps what it failed to open under the file's path
            path = below / f"{damage}_{at}_{number}" / path.name
            path.parent.mkdir(exist_ok=True)
            path.unlink(missing_ok=True)
            path.write_bytes(content)
            signal.alarm(20)  # a reader that never ends is killed
            try:
                outcome, reason = "same" if values_of(path, product, grid) == truth else "other", ""
            except Exception as error:
                outcome, reason = "refused", reason_of(error)
            signal.alarm(0)
            print(json.dumps([family, damage, at, outcome, reason]), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
