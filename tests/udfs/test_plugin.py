"""The dbt-duckdb plugin on a connection of its own."""

from __future__ import annotations

import duckdb
import pytest

from udfs import plugin


def test_a_connection_gets_the_extensions_and_the_kernels():
    with duckdb.connect() as connection:
        plugin.Plugin("soilhouse", {}).configure_connection(connection)
        assert connection.execute("select st_x(st_point(1, 2)), normal_quantile(0.5)").fetchone() == (1.0, 0.0)
        # dbt runs models on cursors.
        assert connection.cursor().execute("select st_x(st_point(1, 2)), normal_quantile(0.5)").fetchone() == (1.0, 0.0)


def test_a_missing_extension_says_what_to_install(monkeypatch):
    with pytest.raises(FileNotFoundError, match=rf"pip install duckdb-extension-nowhere=={duckdb.__version__}"):
        plugin.extension_path("nowhere")
    monkeypatch.setattr(plugin.duckdb, "__version__", "9.9.9")
    with pytest.raises(FileNotFoundError, match=r"another version: pip install duckdb-extension-spatial==9\.9\.9"):
        plugin.extension_path("spatial")
