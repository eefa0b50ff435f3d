"""Which files a load is asked to read: files as given, folders searched for what the product can mean."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from loaders.granule import BadFile
from loaders.lake import said
from loaders.readers._members import list_members

if TYPE_CHECKING:
    from loaders.products import Product

_TABLES = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".txt", ".txt.gz", ".parquet", ".pq")
_NETCDF = (".nc", ".nc4", ".cdf", ".netcdf")
_TIFF = (".tif", ".tiff", ".cog", ".jp2", ".hgt", ".tif.zip", ".hgt.zip")
_GRIB = (".grib", ".grb", ".grib2", ".grb2")
_HDF4 = (".hdf", ".hdf.zip")
ENDINGS: dict[str, tuple[str, ...]] = {
    "netcdf": _NETCDF + _GRIB,
    "subdaily": _NETCDF + _GRIB,
    "point_netcdf": _NETCDF,
    "geotiff": _TIFF,
    "modis_hdf4": _HDF4,
    "raster": _TIFF + _NETCDF + _GRIB + _HDF4,
    "smap_hdf5": (".h5", ".hdf5", ".he5"),
    "table": _TABLES,
    "station_table": _TABLES,
    "ismn": (".stm",),
    "terrain": (".parquet",),
    "vector": (".geojson", ".json", ".gpkg", ".shp"),
}


@dataclass
class FoundFiles:
    """`files` in the order of their names; `problems` are (path, reason) of what was asked for and cannot be read."""

    files: list[Path] = field(default_factory=list)
    problems: list[tuple[Path, str]] = field(default_factory=list)


# Products that come as archives of many files: each file inside is a granule, and a path through its archive.
ARCHIVED = ("ismn",)


def can_mean(product: Product, name: str) -> bool:
    """True when a file of this name, met in a folder, may be the product's (by `file_pattern`, else by its ending)."""
    if product.file_pattern is not None:
        return re.search(product.file_pattern, name) is not None
    endings = ENDINGS.get(product.format)
    return endings is None or name.lower().endswith(endings)


def expand_paths(product: Product, paths: Iterable[Path | str]) -> FoundFiles:
    """Files and the files below folders, hidden ones (a name beginning with `.`) left out, each once.

    A file that is named is always tried; in a folder only what `can_mean` the product. Where the product comes as archives of many
    files, an archive is a folder.
    """
    found = FoundFiles()
    seen: set[Path] = set()

    def add(path: Path) -> None:
        real = path.resolve()
        if real in seen:
            return
        seen.add(real)
        if product.format in ARCHIVED and path.suffix.lower() == ".zip":
            inside = _inside(product, path, found)
            seen.update(inside)
            found.files += inside
        else:
            found.files.append(path)

    for path in map(Path, paths):
        try:
            if path.is_dir():
                below = list(_below(path, found))
                chosen = [f for f in below if can_mean(product, f.name) or _is_archive_of(product, f.name)]
                for file in chosen:
                    add(file)
                if not chosen and not any(p == path for p, _ in found.problems):
                    looked = f"the pattern {product.file_pattern}" if product.file_pattern else "the format's endings"
                    what = f"none of its {len(below):,} files" if below else "it is empty: no file"
                    found.problems.append((path, f"{what} has the name of a {product.name} file ({looked})"))
            elif path.exists():
                add(path)
            else:
                found.problems.append((path, "there is no such file or folder"))
        except OSError as error:
            found.problems.append((path, f"cannot be read: {said(error)}"))
    found.files.sort(key=lambda f: (f.name, str(f)))
    return found


def _is_archive_of(product: Product, name: str) -> bool:
    return product.format in ARCHIVED and name.lower().endswith(".zip")


def _inside(product: Product, archive: Path, found: FoundFiles) -> list[Path]:
    try:
        members = list_members(archive)
    except BadFile as bad:
        found.problems.append((archive, bad.reason))
        return []
    chosen = [m for m in members if can_mean(product, m.name)]
    if not chosen:
        found.problems.append((archive, f"none of its {len(members):,} files has the name of a {product.name} file"))
    return chosen


def _below(folder: Path, found: FoundFiles) -> Iterable[Path]:
    def refused(error: OSError) -> None:
        found.problems.append((Path(error.filename or folder), f"cannot be read: {said(error)}"))

    for here, folders, names in os.walk(folder, onerror=refused):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        yield from (Path(here) / name for name in sorted(names) if not name.startswith("."))
