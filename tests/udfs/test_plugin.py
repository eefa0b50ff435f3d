"""The dbt-duckdb plugin on a connection of its own."""

from __future__ import annotations

import duckdb

from udfs import plugin


def test_a_connection_gets_the_kernels_and_nothing_else():
    loaded = "select count(*) from duckdb_extensions() where loaded"
    with duckdb.connect() as connection:
        before = connection.execute(loaded).fetchone()
        plugin.Plugin("soilhouse", {}).configure_connection(connection)
        assert connection.execute("select normal_quantile(0.5)").fetchone() == (0.0,)
        # dbt runs models on cursors.
        assert connection.cursor().execute("select normal_quantile(0.5)").fetchone() == (0.0,)
        # An extension costs every connection time, and no model calls one.
        assert connection.execute(loaded).fetchone() == before
