"""What a file is, told from its bytes: its digest, and one plain sentence when it is not what it should be."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from loaders.granule import BadFile

# The first bytes of what downloads leave behind, and the advice that goes with it.
_STARTS = (
    (b"PK\x03\x04", "a zip archive: unpack it first"),
    (b"\x1f\x8b", "compressed with gzip: unpack it first"),
    (b"<!DOCTYPE", "a web page: the download was most likely answered by a login page"),
    (b"<!doctype", "a web page: the download was most likely answered by a login page"),
    (b"<html", "a web page: the download was most likely answered by a login page"),
    (b"<?xml", "an XML text"),
    (b"CDF", "a NetCDF file"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 or NetCDF-4 file"),
    (b"\x0e\x03\x13\x01", "an HDF4 file"),
    (b"GRIB", "a GRIB file"),
    (b"II*\x00", "a TIFF image"),
    (b"MM\x00*", "a TIFF image"),
    (b"II+\x00", "a TIFF image"),
    (b"PAR1", "a Parquet file"),
    (b"%PDF", "a PDF document"),
)
# Columns the lake writes itself, or that its folders are named by.
RESERVED = (
    "pixel_id", "station_id", "sensor", "obs_date", "obs_time", "granule", "year", "month", "layer_top_cm", "layer_bottom_cm",
)  # fmt: skip
GRIB_STARTS = (b"GRIB",)
NETCDF_STARTS = (b"CDF", b"\x89HDF\r\n\x1a\n")
HDF5_STARTS = (b"\x89HDF\r\n\x1a\n",)
TIFF_STARTS = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
JP2_STARTS = (b"\x00\x00\x00\x0cjP  ",)
_SRTM_TILE = re.compile(r"[NS]\d{2}[EW]\d{3}(\.SRTMGL[13])?\.hgt", re.IGNORECASE)


def is_srtm_tile(path: Path) -> bool:
    """True for names like N57E011.hgt: an HGT tile has no header, its name is its place."""
    return _SRTM_TILE.fullmatch(Path(path).name) is not None


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes. Raises BadFile when it cannot be read."""
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BadFile(f"cannot be read: {error.strerror or error}") from error


def has_start(path: Path, starts: tuple[bytes, ...]) -> bool:
    """True when a file begins with one of `starts`. Raises BadFile when it cannot be read."""
    try:
        with Path(path).open("rb") as file:
            return file.read(16).startswith(starts)
    except OSError as error:
        raise BadFile(f"cannot be read: {error.strerror or error}") from error


def check_start(path: Path, what: str, starts: tuple[bytes, ...]) -> None:
    """Raises BadFile, saying what the file is instead, when it is empty or does not begin like `what`."""
    try:
        with Path(path).open("rb") as file:
            start = file.read(16)
    except OSError as error:
        raise BadFile(f"cannot be read: {error.strerror or error}") from error
    if not start:
        raise BadFile("is empty (0 bytes)")
    if not start.startswith(starts):
        for begins, is_instead in _STARTS:
            if start.lstrip().startswith(begins):
                raise BadFile(f"is not {what} but {is_instead}")
        raise BadFile(f"is not {what} (its first bytes are {start[:8]!r})")


def as_column(name: str) -> str:
    """A name or path from a file as a column of the lake: its last part, other signs than letters and digits as _."""
    last = name.strip().rsplit("/", 1)[-1]
    column = "".join(c if c.isascii() and (c.isalnum() or c == "_") else "_" for c in last).strip("_") or "value"
    if column.lower() in RESERVED:
        column += "_"
    return f"_{column}" if column[0].isdigit() else column


def list_names(names: list[str], most: int = 12) -> str:
    """Names for a message: sorted, the first few, and how many more."""
    names = sorted(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
