"""Whether the directory of an HDF4 file can be followed, and all that it points to lies inside the file.

The library follows a damaged directory in circles, taking memory until there is none; so it does not get to see such a file. Format:
HDF4 Specification and Developer's Guide, chapter 1: blocks of data descriptors, each with the offset of the next block.
"""

from __future__ import annotations

import struct
from pathlib import Path

from loaders.granule import BadFile

_MAGIC = b"\x0e\x03\x13\x01"
_UNUSED = 0xFFFFFFFF


def check_directory(path: Path) -> None:
    """Raises BadFile when an HDF4 file is cut off or its directory is damaged; files that are not HDF4 pass."""
    size = path.stat().st_size
    with path.open("rb") as file:
        if file.read(4) != _MAGIC:
            return
        at, seen = 4, set()
        while at:
            seen.add(at)
            file.seek(at)
            head = file.read(6)
            if len(head) < 6:
                raise BadFile("is a damaged or truncated HDF4 file: its directory lies behind its end")
            n, following = struct.unpack(">hI", head)
            entries = file.read(12 * max(n, 0))
            if n <= 0 or len(entries) < 12 * n:
                raise BadFile("is a damaged or truncated HDF4 file: its directory cannot be followed")
            for _, _, offset, length in struct.iter_unpack(">HHII", entries):
                if _UNUSED not in (offset, length) and offset + length > size:
                    raise BadFile(
                        f"is a damaged or truncated HDF4 file: it has {size:,} bytes, and something in it ends at {offset + length:,}"
                    )
            if following in seen:
                raise BadFile("is a damaged or truncated HDF4 file: its directory runs in a circle")
            at = following
