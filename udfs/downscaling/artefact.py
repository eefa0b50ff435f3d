"""A model as bytes that depend on nothing but the model, and back.

A file is `SOILHOUSE MODEL 1`, the length of a JSON header, the header with sorted keys, and the blobs that it names one after the other:
arrays as they lie in memory (little-endian), boosters in the format of their library. No time stamps, no pickles: reading a file runs
no code of its own.
"""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np

MAGIC = b"SOILHOUSE MODEL 1\n"

Blob = bytes | np.ndarray


class DamagedModel(ValueError):
    """Bytes that are not a model of this format."""


def pack(header: dict[str, Any], blobs: dict[str, Blob]) -> bytes:
    """A model's header (anything JSON takes) and blobs as one file."""
    described, parts = [], []
    for name in sorted(blobs):
        blob = blobs[name]
        if isinstance(blob, np.ndarray):
            blob = np.ascontiguousarray(blob)
            little = blob.astype(blob.dtype.newbyteorder("<"), copy=False)
            described.append({"name": name, "dtype": little.dtype.str, "shape": list(blob.shape)})
            parts.append(little.tobytes())
        else:
            described.append({"name": name, "dtype": "bytes", "shape": [len(blob)]})
            parts.append(bytes(blob))
    text = json.dumps({"header": header, "blobs": described}, sort_keys=True, separators=(",", ":")).encode()
    return b"".join([MAGIC, struct.pack("<Q", len(text)), text, *parts])


def unpack(data: bytes) -> tuple[dict[str, Any], dict[str, Blob]]:
    """Header and blobs of a file; arrays are read-only. DamagedModel: not a model, cut short, or too long."""
    start = len(MAGIC) + 8
    if not data.startswith(MAGIC) or len(data) < start:
        raise DamagedModel("not a model of this warehouse")
    end = start + struct.unpack("<Q", data[len(MAGIC) : start])[0]
    try:
        described = json.loads(data[start:end])
        found: dict[str, Blob] = {}
        for blob in described["blobs"]:
            dtype = np.dtype(np.uint8 if blob["dtype"] == "bytes" else blob["dtype"])
            size = int(np.prod(blob["shape"], dtype=np.int64)) * dtype.itemsize
            part = data[end : end + size]
            if len(part) != size:
                raise DamagedModel("cut short")
            found[blob["name"]] = (
                part if blob["dtype"] == "bytes" else np.frombuffer(part, dtype).reshape(blob["shape"])
            )
            end += size
    except (KeyError, TypeError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DamagedModel("its header cannot be read") from error
    if end != len(data):
        raise DamagedModel("longer than its header says")
    return described["header"], found
