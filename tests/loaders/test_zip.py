"""A damaged archive is a bad file, wherever the damage is: never an error of the library that unpacks it."""

from __future__ import annotations

import zipfile

from loaders.granule import BadFile
from loaders.readers._zip import extract

CONTENT = bytes(range(256)) * 8


def test_any_byte_flipped(tmp_path):
    whole = tmp_path / "whole.zip"
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("map.hdf", CONTENT)
    data = whole.read_bytes()
    assert extract(whole, "map.hdf", tmp_path).read_bytes() == CONTENT

    damaged, outcomes = tmp_path / "damaged.zip", {"refused": 0, "unharmed": 0}
    for offset in range(len(data)):
        damaged.write_bytes(data[:offset] + bytes([data[offset] ^ 0xFF]) + data[offset + 1 :])
        try:
            assert extract(damaged, "map.hdf", tmp_path).read_bytes() == CONTENT
            outcomes["unharmed"] += 1
        except BadFile:
            outcomes["refused"] += 1
    # Flags and times of day of an archive may be anything; its content may not.
    assert outcomes["refused"] > outcomes["unharmed"]
