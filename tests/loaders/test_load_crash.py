"""A load that is killed (SIGKILL) before any of its steps on files: what readers find, and what the next load makes of it.

The children are forked from a process that has imported everything and loaded nothing; a child counts its own calls of
the operating system's file functions and kills itself before the n-th. No part of the loader knows of this.
"""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from loaders.lake import Lake
from loaders.load import load
from tests.loaders.load_files import digests, leftovers, some_map, write_tif, yearly_product

FIRST = date(2020, 1, 1)

DRIVER = """
import json, os, signal, shutil, sys
from datetime import date
from pathlib import Path
import pyarrow.parquet as pq
from loaders.lake import Lake
from loaders.load import load
import loaders.load, loaders.regions, loaders.readers.geotiff, loaders.staging, loaders.catalog
from tests.loaders.load_files import digests, leftovers, yearly_product

work, old, every = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
files = [Path(p) for p in sys.argv[4:]]
product = yearly_product(date(2020, 1, 1))

def kill_before(n):
    count = 0
    def counted(function):
        def call(*arguments, **more):
            nonlocal count
            count += 1
            if count == n:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **more)
        return call
    for name in ("replace", "rename", "unlink", "fsync", "mkdir", "rmdir"):
        setattr(os, name, counted(getattr(os, name)))
    pq.ParquetWriter.write_table = counted(pq.ParquetWriter.write_table)
    pq.ParquetWriter.close = counted(pq.ParquetWriter.close)

def in_child(work):
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return os.waitpid(child, 0)[1]

def save(path, lake):
    found = {"raw": digests(lake.raw("yearly")), "all": digests(lake.root), "hidden": leftovers(lake)}
    for p in lake.raw("yearly").rglob("[!.]*.parquet"):
        pq.read_table(p)  # every visible file can be read
    path.write_text(json.dumps(found))

results, n = [], 1
while True:
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(old, work / "lake")
    lake = Lake(work / "lake")
    def first():
        kill_before(n)
        load(product, files, lake, workers=1)
    status = in_child(first)
    killed = os.WIFSIGNALED(status)
    assert killed or os.waitstatus_to_exitcode(status) == 0, status
    def after():
        save(work / "killed.json", lake)
        load(product, [work / "nothing.tif"], lake)
        save(work / "recovered.json", lake)
        load(product, files, lake)
        save(work / "again.json", lake)
    assert in_child(after) == 0, n
    results.append({name: json.loads((work / f"{name}.json").read_text()) for name in ("killed", "recovered", "again")})
    if not killed:
        break
    n += every
print(json.dumps(results))
"""


def _file(path: Path, n_days: int, seed: int, **more) -> Path:
    maps = np.concatenate([some_map(seed + i) for i in range(n_days)])
    return write_tif(path, maps, **more)


@pytest.mark.parametrize("every", [1])
def test_killed_at_every_step(tmp_path: Path, every: int) -> None:
    """A newer version of a granule of four months with only two, and a new one beside it of three: renames and removals."""
    product = yearly_product(FIRST)
    old_file = _file(tmp_path / "in/east_year_v1.tif", 100, 1)
    new_files = [
        _file(tmp_path / "in/east_year_v2.tif", 40, 200),
        _file(tmp_path / "in/west_year.tif", 65, 400, column=8),
    ]
    old, new = Lake(tmp_path / "old"), Lake(tmp_path / "new")
    assert load(product, [old_file], old).ok
    assert load(product, [old_file], new).ok
    assert load(product, new_files, new).counts == {"replaced": 1, "loaded": 1}
    states = {"old": digests(old.raw("yearly")), "new": digests(new.raw("yearly"))}
    assert len(states["old"]) == 4 and len(states["new"]) == 3

    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", textwrap.dedent(DRIVER), tmp_path / "work", old.root, every, *new_files]
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, cwd=root, check=False)
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout.splitlines()[-1])
    assert len(results) > 25, "the load has fewer steps than it can have: is the counting broken?"
    seen = set()
    for step, found in enumerate(results, start=1):
        # between two renames some months are old and some new, but each is whole
        for name, digest in found["killed"]["raw"].items():
            assert digest in (states["old"].get(name), states["new"].get(name)), (step, name)
        for name in set(states["old"]) & set(states["new"]):
            assert name in found["killed"]["raw"], (step, name)
        # the next load, of anything, makes it all old or all new
        state = [s for s, tree in states.items() if tree == found["recovered"]["raw"]]
        assert state, step
        assert found["recovered"]["hidden"] == [], step
        seen.add(state[0])
        # and the same load ends in the same lake, catalogue and pixels included
        assert found["again"]["all"] == digests(new.root), step
        assert found["again"]["hidden"] == [], step
    assert seen == {"old", "new"}
    mixed = [r for r in results if r["killed"]["raw"] not in states.values()]
    assert mixed, "no kill fell between two renames"


def test_what_a_kill_left_is_not_read(tmp_path: Path) -> None:
    """Hidden files beside the months are invisible to the engines."""
    import duckdb

    lake = Lake(tmp_path / "lake")
    load(yearly_product(FIRST), [_file(tmp_path / "east_year.tif", 40, 1)], lake)
    month = lake.month_path("yearly", FIRST)
    (month.parent / f".{month.name}.tmp-1-1").write_bytes(b"half a file")
    glob = lake.raw("yearly") / "year=*" / "month=*" / "*.parquet"
    assert duckdb.sql(f"select count(distinct obs_date) from read_parquet('{glob}')").fetchone() == (40,)
    assert leftovers(lake)
    load(yearly_product(FIRST), [tmp_path / "east_year.tif"], lake)
    assert leftovers(lake) == []
