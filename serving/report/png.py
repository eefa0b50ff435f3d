"""A picture of pixels as a PNG in a data address: one cell, one pixel; the page enlarges it without blurring."""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np
from numpy.typing import NDArray


def png(pixels: NDArray[np.uint8]) -> bytes:
    """The PNG of (height, width, 4) red, green, blue, opacity. Raises ValueError for another shape."""
    if pixels.ndim != 3 or pixels.shape[2] != 4 or pixels.dtype != np.uint8:
        raise ValueError(f"a picture is (height, width, 4) of uint8, not {pixels.shape} of {pixels.dtype}")
    height, width = pixels.shape[:2]
    lines = np.zeros((height, 1 + width * 4), np.uint8)  # each line begins with its filter, 0: none
    lines[:, 1:] = pixels.reshape(height, width * 4)
    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(lines.tobytes(), 9)), (b"IEND", b""))
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body


def address(pixels: NDArray[np.uint8]) -> str:
    """The same as a data address for an `<image>`."""
    return "data:image/png;base64," + base64.b64encode(png(pixels)).decode()
