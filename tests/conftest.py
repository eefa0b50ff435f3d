"""Fixtures shared by every test: where the real files and the peers' tables lie, how many cases used them, and what runs together."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling

REPOSITORY = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("SOILHOUSE_SHARED", REPOSITORY.parent / "shared"))

_cases: dict[str, int] = {}


def count_cases(label: str, n: int) -> None:
    """Add `n` to the real cases that ran under `label`; the totals close the test report.

    Raises AssertionError when the shared folder is there and no case ran: a test that found nothing to do has not passed.
    """
    assert n > 0, f"{SHARED} is there, but no case of {label!r} ran"
    _cases[label] = _cases.get(label, 0) + n


def _shared() -> Path:
    """The folder of real files and oracle tables; the test is skipped, saying so, where it is missing."""
    if not SHARED.is_dir():
        pytest.skip(f"real files and oracle tables are not at {SHARED}")
    return SHARED


shared = pytest.fixture(scope="session", name="shared")(_shared)


# Files that share a warehouse, or a server, that is made once a session: they run on one worker, one after the other.
TOGETHER = {
    "demo": ("soilhouse/test_demo.py", "soilhouse/test_demo_validation.py", "serving/test_queries.py"),
    "generated marts": (
        *("marts/test_generated.py", "marts/test_published.py", "marts/test_interannual.py"),
        *("marts/test_trend_tests.py", "marts/test_zones.py"),
    ),
    "PostgreSQL": ("serving/test_publish.py", "serving/test_bi_docs.py", "bi/test_superset.py"),
}
_GROUP_OF_FILE = {f"tests/{file}": group for group, files in TOGETHER.items() for file in files}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Raises UsageError where files that share what costs time are not kept together: it would be made once a worker."""
    groups: dict[str, set[str]] = {}
    for item in items:
        file = item.nodeid.split("::")[0]
        for name in _made_once(item):
            groups.setdefault(name, set()).add(_GROUP_OF_FILE.get(file, file))
    for name, found in groups.items():
        if len(found) > 1:
            raise pytest.UsageError(f"the files that use the fixture {name} belong into one group of TOGETHER: {found}")


def _made_once(item: pytest.Item) -> Iterator[str]:
    """The names of an item's fixtures that are ours and live as long as the session."""
    known = getattr(item, "_fixtureinfo", None)
    for name, fixtures in known.name2fixturedefs.items() if known else ():
        fixture = fixtures[-1]
        if fixture.scope == "session" and fixture.func.__module__.startswith("tests.") and fixture.func is not _shared:
            yield name


class _ByFile(LoadScopeScheduling):
    """A file's tests run on one worker, and so do those of a group of files."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::")[0]
        return _GROUP_OF_FILE.get(file, file)


def pytest_sessionfinish(session: pytest.Session) -> None:
    # On a worker of several: what it counted goes to the process that reports.
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["cases"] = _cases


class _Workers:
    """Hooks that exist only where tests are spread over processes."""

    @staticmethod
    def pytest_xdist_make_scheduler(config: pytest.Config, log) -> LoadScopeScheduling:
        return _ByFile(config, log)

    @staticmethod
    def pytest_testnodedown(node, error) -> None:
        for label, n in getattr(node, "workeroutput", {}).get("cases", {}).items():
            _cases[label] = _cases.get(label, 0) + n


def pytest_configure(config: pytest.Config) -> None:
    if config.pluginmanager.hasplugin("xdist"):
        config.pluginmanager.register(_Workers())


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """One run of the demo in a folder of its own, for every test that needs a whole warehouse: the folder, and what was printed."""
    folder = tmp_path_factory.mktemp("demo")
    kept = {k: v for k, v in os.environ.items() if not k.startswith("SOILHOUSE_")}
    own = {"DBT_TARGET_PATH": str(folder / "target"), "DBT_LOG_PATH": str(folder / "logs")}
    command = [str(Path(sys.executable).with_name("soilhouse")), "demo", "--dir", str(folder / "demo")]
    done = subprocess.run(
        command, cwd=folder, env=kept | own, capture_output=True, text=True, timeout=2400, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return folder / "demo", done


def pytest_terminal_summary(terminalreporter) -> None:
    for label, n in sorted(_cases.items()):
        terminalreporter.write_line(f"real cases: {label}: {n}")
    if not SHARED.is_dir():
        terminalreporter.write_line(f"real cases: none, {SHARED} is missing")
