"""Files of every family, cut off anywhere and with any byte changed: never a crash, and a file that lost its end is not read as a whole one.

The damage is done in a process of its own (damage.py): a library that dies of it fails this test by the place where it died.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import netCDF4
import numpy as np
import pytest

from loaders.granule import BadFile
from loaders.lake import Lake
from loaders.load import load
from loaders.readers._classic import check_whole
from tests.loaders.damage import FAMILIES, attempts
from tests.loaders.load_files import digests, leftovers

N = 40  # cuts a family, and twice as many flipped bytes


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory) -> list[tuple[str, str, int, str, str]]:
    command = [sys.executable, "-m", "tests.loaders.damage", str(tmp_path_factory.mktemp("damage")), "7", str(N)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, "died at " + done.stderr[-1500:]
    return [tuple(json.loads(line)) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_file_that_was_cut_off_is_refused(outcomes, family: str) -> None:
    """Of text it cannot be told when the last number lost its last digits, or the last lines are gone whole: fewer rows are read."""
    cut = [(at, outcome, reason) for name, damage, at, outcome, reason in outcomes if (name, damage) == (family, "cut")]
    assert len(cut) > N * 0.6 and cut[0] == (0, "refused", "is empty (0 bytes)")
    if family == "table csv":
        assert sum(outcome == "refused" for _, outcome, _ in cut) > len(cut) / 2
        return
    # a byte or two of padding at the end of a file is nothing that could be missed
    assert all(outcome == "refused" or (outcome == "same" and at > cut[-1][0] - 8) for at, outcome, _ in cut), [
        c for c in cut if c[1] != "refused"
    ]


def test_a_byte_that_changed_is_never_a_crash_and_every_reason_is_a_sentence(outcomes) -> None:
    flipped = Counter((name, outcome) for name, damage, _, outcome, _ in outcomes if damage == "flipped")
    for family in FAMILIES:
        assert flipped[family, "refused"] > 0, flipped  # the damage was noticed where it can be
    reasons = [reason for *_, outcome, reason in outcomes if outcome == "refused"]
    assert all(reason and "\n" not in reason and "Traceback" not in reason for reason in reasons)


@pytest.mark.parametrize("family", ["geotiff", "netcdf3", "smap_hdf5", "modis_hdf4", "table parquet"])
def test_nothing_of_a_damaged_file_is_in_the_lake(tmp_path: Path, family: str) -> None:
    """The load names it and goes on; the file that is whole gets in when it comes."""
    path, product, grid = FAMILIES[family](tmp_path)
    whole = path.read_bytes()
    lake = Lake(tmp_path / "lake").init()
    before = digests(lake.root)
    of_grid = grid if product.grid == "given" else None
    cuts = [content for damage, _, content in attempts(whole, np.random.default_rng(3), 4) if damage == "cut"][:-1]
    for number, content in enumerate(cuts):
        bad = tmp_path / f"bad{number}" / path.name
        bad.parent.mkdir()
        bad.write_bytes(content)
        report = load(product, [bad], lake, of_grid)
        assert [f.status for f in report.files] == ["skipped"] and report.files[0].reason
        assert digests(lake.root) == before and not leftovers(lake)
    good = tmp_path / "good" / path.name
    good.parent.mkdir()
    good.write_bytes(whole)
    assert load(product, [good], lake, of_grid).ok


@pytest.mark.parametrize("format", ["NETCDF3_CLASSIC", "NETCDF3_64BIT_OFFSET", "NETCDF3_64BIT_DATA"])
@pytest.mark.parametrize("n_variables", [1, 3])
@pytest.mark.parametrize("unlimited", [True, False])
def test_how_long_a_classic_file_must_be(tmp_path: Path, format: str, n_variables: int, unlimited: bool) -> None:
    """Records of one variable are not padded, those of several are; the library itself reads zeros behind the end."""
    path = tmp_path / "a.nc"
    with netCDF4.Dataset(path, "w", format=format) as out:
        out.title = "three"
        out.createDimension("time", None if unlimited else 5)
        out.createDimension("x", 3)
        out.createVariable("x", "f8", ("x",))[:] = 1.5
        for number in range(n_variables):
            out.createVariable(f"v{number}", "i2", ("time", "x"))[:] = np.arange(1, 16).reshape(5, 3)
            out[f"v{number}"].units = "m"
    whole = path.read_bytes()
    check_whole(path)
    for less in (4, 9, 40, len(whole) - 10):
        path.write_bytes(whole[:-less])
        with pytest.raises(BadFile, match="truncated NetCDF file"):
            check_whole(path)
    (tmp_path / "b.tif").write_bytes(b"II*\0")
    check_whole(tmp_path / "b.tif")
