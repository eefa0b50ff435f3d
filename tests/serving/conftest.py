"""A PostgreSQL server, started once for all tests that publish."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.serving.postgres import INSTALL, PASSWORD, Server, binaries


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """The server; where it is not installed the test is skipped, saying so, but for `make test-postgres`, where it fails."""
    found = binaries()
    if found is None:
        (pytest.fail if os.environ.get("SOILHOUSE_TEST_POSTGRES") else pytest.skip)(INSTALL)
    running = Server.start(found)
    yield running
    running.stop()


@pytest.fixture
def database(server: Server, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty database with a name of its own; libpq's environment holds the password, as a user's would."""
    name = f"db_{abs(hash(request.node.nodeid)):x}"
    server.create_database(name)
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    return name
