"""Fixtures shared by every test: where the real files and the peers' tables lie, how many cases used them, and what runs together."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep together, on one worker, the tests of a file, and all tests of a warehouse that is built once a session: it is built once in all."""
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_shared_fixture(item) or item.location[0]))


def _shared_fixture(item: pytest.Item) -> str | None:
    """The first fixture of ours that lives as long as the session and costs time."""
    known = getattr(item, "_fixtureinfo", None)
    for name in sorted(known.name2fixturedefs) if known else ():
        fixture = known.name2fixturedefs[name][-1]
        if fixture.scope == "session" and fixture.func.__module__.startswith("tests.") and fixture.func is not _shared:
            return name
    return None


def pytest_sessionfinish(session: pytest.Session) -> None:
    # On a worker of several: what it counted goes to the process that reports.
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["cases"] = _cases


class _Workers:
    """Hooks that exist only where tests are spread over processes."""

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
    done = subprocess.run(command, cwd=folder, env=kept | own, capture_output=True, text=True, timeout=2400, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return folder / "demo", done


def pytest_terminal_summary(terminalreporter) -> None:
    for label, n in sorted(_cases.items()):
        terminalreporter.write_line(f"real cases: {label}: {n}")
    if not SHARED.is_dir():
        terminalreporter.write_line(f"real cases: none, {SHARED} is missing")
