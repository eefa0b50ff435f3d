"""The dbt-duckdb plugin: extensions from their wheels and kernels, on every connection dbt opens."""

from __future__ import annotations

from importlib import resources

import duckdb
from dbt.adapters.duckdb.plugins import BasePlugin

import udfs

EXTENSIONS = ("spatial",)


def extension_path(name: str) -> str:
    """The signed binary of a DuckDB extension inside its wheel `duckdb-extension-<name>`.

    FileNotFoundError, with what to install, when the wheel is missing or belongs to another version of DuckDB.
    """
    wheel = f"duckdb-extension-{name}=={duckdb.__version__}"
    try:
        folder = resources.files(f"duckdb_extension_{name}")
    except ModuleNotFoundError:
        raise FileNotFoundError(f"the DuckDB extension {name!r} is not installed: pip install {wheel}") from None
    path = folder / "extensions" / f"v{duckdb.__version__}" / f"{name}.duckdb_extension"
    if not path.is_file():
        raise FileNotFoundError(f"the DuckDB extension {name!r} is of another version: pip install {wheel}")
    return str(path)


class Plugin(BasePlugin):
    """Named in profiles.yml as `plugins: [{module: udfs.plugin}]`."""

    def configure_connection(self, conn: duckdb.DuckDBPyConnection) -> None:
        """Load the extensions and register the kernels; on the parent connection, cursors inherit both."""
        for name in EXTENSIONS:
            conn.load_extension(extension_path(name))
        udfs.register(conn)
