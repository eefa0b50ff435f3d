"""Fixtures shared by every test: where the real files and the peers' tables lie, and how many cases used them."""

from __future__ import annotations

import os
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


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real files and oracle tables; the test is skipped, saying so, where it is missing."""
    if not SHARED.is_dir():
        pytest.skip(f"real files and oracle tables are not at {SHARED}")
    return SHARED


def pytest_terminal_summary(terminalreporter) -> None:
    for label, n in sorted(_cases.items()):
        terminalreporter.write_line(f"real cases: {label}: {n}")
    if not SHARED.is_dir():
        terminalreporter.write_line(f"real cases: none, {SHARED} is missing")
