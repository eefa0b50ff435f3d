"""Archives of one file: portals hand out `NAME.hdf.zip`, and unpacking hundreds of them by hand helps nobody."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

from loaders.granule import BadFile
from loaders.readers._files import has_start

ZIP_START = b"PK\x03\x04"

# What zipfile raises for a damaged archive, its own error being one of many: a member whose name is damaged in the directory is a KeyError.
DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, KeyError, NotImplementedError, RuntimeError, ValueError, OSError)


def is_zip(path: Path) -> bool:
    """True when a file's first bytes are a zip archive's. Raises BadFile when it cannot be read."""
    return has_start(path, (ZIP_START,))


def list_zip(path: Path) -> list[str]:
    """The files in an archive; none when it cannot be read."""
    try:
        with zipfile.ZipFile(path) as archive:
            return [n for n in archive.namelist() if not n.endswith("/") and not n.startswith("__MACOSX")]
    except DAMAGE:
        return []


def only_member(path: Path, endings: tuple[str, ...], what: str) -> str:
    """The name, inside the archive, of its one file that ends in one of `endings`.

    Raises BadFile when the archive is damaged, or holds none or several of them.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = [n for n in archive.namelist() if n.lower().endswith(endings) and not n.startswith("__MACOSX")]
    except DAMAGE as error:
        raise BadFile(f"is a damaged or truncated zip archive: {error}") from error
    if len(names) != 1:
        raise BadFile(
            f"is a zip archive of {len(names) or 'no'} {what}{'s' if len(names) != 1 else ''}: unpack it first"
        )
    return names[0]


def extract(path: Path, member: str, folder: Path) -> Path:
    """One file of an archive, unpacked under its base name into `folder`. Raises BadFile when the archive is damaged."""
    target = Path(folder) / Path(member).name
    try:
        with zipfile.ZipFile(path) as archive, archive.open(member) as source, target.open("wb") as out:
            while chunk := source.read(1 << 20):
                out.write(chunk)
    except DAMAGE as error:
        raise BadFile(f"cannot be unpacked: {error}") from error
    return target
