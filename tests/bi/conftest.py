"""Superset once for all tests, only where `make test-bi` asks for it: it takes minutes to start and an environment of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bi.marts import made_snapshot
from tests.bi.superset import Superset
from tests.serving.postgres import INSTALL, Server, binaries


@pytest.fixture(scope="session")
def superset(tmp_path_factory) -> Iterator[Superset]:
    """SOILHOUSE_TEST_BI names the python of the environment that has Superset."""
    python = os.environ.get("SOILHOUSE_TEST_BI")
    if not python:
        pytest.skip("Apache Superset runs in an environment of its own: make test-bi")
    running = Superset.start(Path(python), tmp_path_factory.mktemp("superset"))
    yield running
    running.stop()


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A PostgreSQL server."""
    found = binaries()
    if found is None:
        (pytest.fail if os.environ.get("SOILHOUSE_TEST_BI") else pytest.skip)(INSTALL)
    running = Server.start(found)
    yield running
    running.stop()


@pytest.fixture(scope="session")
def snapshot(tmp_path_factory) -> Path:
    return made_snapshot(tmp_path_factory.mktemp("marts"))
