"""Files inside zip archives as paths: `Data.zip/MAQU/CST-01/x.stm` is the member `MAQU/CST-01/x.stm` of `Data.zip`.

So a member can be a granule like any file: it is named in full where it is refused, and nothing is unpacked on a disk.
"""

from __future__ import annotations

import zipfile
from functools import lru_cache
from pathlib import Path

from loaders.granule import BadFile
from loaders.readers._zip import DAMAGE, is_zip


def list_members(archive: Path) -> list[Path]:
    """The files of an archive, as paths below it, in the order of their names; hidden ones and macOS's shadows left out.

    Raises BadFile when the archive is damaged or cannot be read.
    """
    archive = Path(archive)
    names = _open(archive).namelist()
    shown = [n for n in names if not n.endswith("/") and not any(p[:1] == "." or p == "__MACOSX" for p in n.split("/"))]
    return [archive / name for name in sorted(set(shown))]


def read_bytes(path: Path) -> bytes:
    """The bytes of a file, or of a member of an archive. Raises BadFile when they cannot be read."""
    path = Path(path)
    try:
        archive = archive_of(path)
        if archive is None:
            return path.read_bytes()
    except OSError as error:
        raise BadFile(f"cannot be read: {error.strerror or error}") from error
    member = path.relative_to(archive).as_posix()
    try:
        return _open(archive).read(member)
    except KeyError:
        raise BadFile(f"{archive.name} holds no {member}") from None
    except DAMAGE as error:
        raise BadFile(f"cannot be unpacked from {archive.name}: {error}") from error


def names_beside(path: Path) -> tuple[str, ...]:
    """The base names of the files that lie in one folder with a file or member, itself among them, in order."""
    path = Path(path)
    archive = archive_of(path)
    try:
        if archive is None:
            return _names_in(path.parent, path.parent.stat().st_mtime_ns)
        folder = path.relative_to(archive).parent.as_posix()
        return _names_by_folder(_open(archive)).get(folder, ())
    except OSError:
        return (path.name,)


def archive_of(path: Path) -> Path | None:
    """The archive that a path leads into; None for a plain file (which need not exist)."""
    if path.exists():
        return None
    for parent in path.parents:
        if parent.is_file():
            return parent if is_zip(parent) else None
    return None


def _open(archive: Path) -> zipfile.ZipFile:
    """An open archive; its directory is read once. (Members can be read from several threads.)"""
    try:
        found = archive.stat()
        return _opened(archive, found.st_mtime_ns, found.st_size)
    except zipfile.BadZipFile as error:
        raise BadFile(f"is a damaged or truncated zip archive: {error}") from error
    except OSError as error:
        raise BadFile(f"cannot be read: {error.strerror or error}") from error


@lru_cache(maxsize=8)
def _opened(archive: Path, _mtime: int, _size: int) -> zipfile.ZipFile:
    return zipfile.ZipFile(archive)


@lru_cache(maxsize=8)
def _names_by_folder(archive: zipfile.ZipFile) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for name in sorted(archive.namelist()):
        folder, _, base = name.rpartition("/")
        found.setdefault(folder or ".", []).append(base)
    return {folder: tuple(names) for folder, names in found.items()}


@lru_cache(maxsize=64)
def _names_in(folder: Path, _mtime: int) -> tuple[str, ...]:
    return tuple(sorted(p.name for p in folder.iterdir()))
