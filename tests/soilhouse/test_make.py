"""The Makefile and the benchmarks' table: what a newcomer types first."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from benchmarks import Result
from benchmarks.__main__ import cells, names
from soilhouse.settings import project_root

ROOT = project_root()


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False, timeout=60
    )


def test_make_alone_lists_every_target():
    done = make("--no-print-directory")
    assert done.returncode == 0
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)[1].split()
    assert {"demo", "test", "lint", "parity", "bench", "docs", "lock", "clean"} <= set(phony)
    for target in phony:
        assert re.search(rf"^  {target}\s", done.stdout, re.MULTILINE), target


def test_no_python_that_will_do_is_told_in_words():
    done = make("PYTHON=", "VENV=/nonexistent/venv", "environment")
    assert done.returncode != 0
    assert "Soilhouse needs Python 3.11, 3.12 or 3.13, and none is on the PATH" in done.stdout
    done = make("PYTHON=false", "VENV=/nonexistent/venv", "environment")
    assert done.returncode != 0
    assert "Name another one: make PYTHON=" in done.stdout


@pytest.mark.parametrize(
    "name", ["Makefile", ".ci/run", "requirements.lock", "requirements-dev.lock", "tests/bi/requirements.lock"]
)
def test_there_is_no_address(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    assert not re.search(r"https?://|file://|--(extra-)?index-url|--find-links", text)


def test_installs_are_by_hash_and_ci_is_make_test():
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert text.count("--require-hashes -r") == 3
    assert "make test" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111


def test_a_ratio_is_missed_only_above_its_goal():
    assert Result("work", "peer", seconds=9.0, peer_seconds=4.0, goal=None).is_reached
    reached = Result("work", "peer", seconds=1.0, peer_seconds=4.0, goal=0.25, peak_gb=0.5)
    missed = Result("work", "peer", seconds=1.1, peer_seconds=4.0, goal=0.25, peak_gb=0.5)
    assert "0.25" in cells(reached) and reached.is_reached
    assert "0.275 (missed)" in cells(missed)


def test_a_benchmark_that_does_not_exist():
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "nothing"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert all(name in done.stderr for name in names())
