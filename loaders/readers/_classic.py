"""Whether a classic NetCDF file (CDF-1, CDF-2, CDF-5) has all the bytes that its header speaks of.

The library reads what is missing at the end of a truncated file as fill or zero, without a word. Format: NetCDF Classic and 64-bit Offset
Formats, Unidata; CDF-5: 64-bit Data Format.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

from loaders.granule import BadFile

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 4, 6: 8, 7: 1, 8: 2, 9: 4, 10: 8, 11: 8}  # bytes of a value by nc_type
_STREAMING = (0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF)


def check_whole(path: Path) -> None:
    """Raises BadFile when a classic NetCDF file is shorter than its header says, or its header cannot be followed; other files pass."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(4)
        if start[:3] != b"CDF" or len(start) < 4 or start[3] not in (1, 2, 5):
            return
        try:
            needed = _Header(file, start[3], size).end()
        except (struct.error, KeyError, OverflowError, IndexError, MemoryError) as error:
            raise BadFile("is a damaged or truncated NetCDF file: its header cannot be followed") from error
    if size < needed:
        raise BadFile(f"is a truncated NetCDF file: it has {size:,} bytes, its header speaks of {needed:,}")


class _Header:
    def __init__(self, file: BinaryIO, version: int, size: int) -> None:
        self.file, self.size = file, size
        self.count = ">Q" if version == 5 else ">I"
        self.offset = ">I" if version == 1 else ">Q"

    def end(self) -> int:
        """The first byte behind the last value."""
        n_records = self._number(self.count)
        lengths = [self._length_of_dimension() for _ in range(self._list())]
        self._skip_attributes()
        fixed, records = 0, []
        for _ in range(self._list()):
            self._skip_name()
            dimensions = [self._number(self.count) for _ in range(self._number(self.count))]
            self._skip_attributes()
            size = _SIZES[self._number(">I")]
            self._number(self.count)  # vsize: padded, and too small for large variables
            begin = self._number(self.offset)
            is_record = bool(dimensions) and lengths[dimensions[0]] == 0
            for dimension in dimensions[is_record:]:
                size *= lengths[dimension]
            if is_record:
                records.append((begin, size))
            else:
                fixed = max(fixed, begin + size)
        if not records or n_records in (0, *_STREAMING):
            return fixed
        # the records of several variables are padded to 4 bytes each, those of a single one are not
        step = sum(-(-size // 4) * 4 for _, size in records) if len(records) > 1 else records[0][1]
        return max(fixed, *(begin + (n_records - 1) * step + size for begin, size in records))

    def _number(self, how: str) -> int:
        return struct.unpack(how, self.file.read(struct.calcsize(how)))[0]

    def _list(self) -> int:
        self._number(">I")  # the tag of the list
        return self._number(self.count)

    def _skip(self, n: int) -> None:
        n = -(-n // 4) * 4
        if n > self.size:
            raise struct.error("longer than the file")
        self.file.seek(n, 1)

    def _skip_name(self) -> None:
        self._skip(self._number(self.count))

    def _length_of_dimension(self) -> int:
        self._skip_name()
        return self._number(self.count)

    def _skip_attributes(self) -> None:
        for _ in range(self._list()):
            self._skip_name()
            size = _SIZES[self._number(">I")]
            self._skip(size * self._number(self.count))
