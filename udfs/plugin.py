"""The dbt-duckdb plugin: the kernels on every connection dbt opens."""

from __future__ import annotations

import duckdb
from dbt.adapters.duckdb.plugins import BasePlugin

import udfs


class Plugin(BasePlugin):
    """Named in profiles.yml as `plugins: [{module: udfs.plugin}]`."""

    def configure_connection(self, conn: duckdb.DuckDBPyConnection) -> None:
        """Register the kernels on the parent connection; its cursors, on which dbt runs the models, inherit them."""
        udfs.register(conn)
