"""DuckDB's spatial extension, from its wheel: nothing is downloaded while Soilhouse runs."""

from __future__ import annotations

from importlib import resources

import duckdb


class SpatialMissing(RuntimeError):
    """The extension cannot be loaded; the message says what to install."""


def spatial_connection() -> duckdb.DuckDBPyConnection:
    """A DuckDB connection in memory with the spatial extension. Raises SpatialMissing."""
    wheel = f"duckdb-extension-spatial=={duckdb.__version__}"
    try:
        package = resources.files("duckdb_extension_spatial")
    except ModuleNotFoundError:
        raise SpatialMissing(f"DuckDB's spatial extension is not installed: pip install {wheel}") from None
    # The wheel's file is named by the version of DuckDB it was built for, and no other loads.
    binary = package / "extensions" / f"v{duckdb.__version__}" / "spatial.duckdb_extension"
    if not binary.is_file():
        raise SpatialMissing(f"DuckDB's spatial extension is of another version: pip install {wheel}")
    connection = duckdb.connect(config={"autoinstall_known_extensions": False, "autoload_known_extensions": False})
    try:
        connection.load_extension(str(binary))
    except duckdb.Error as error:
        connection.close()
        raise SpatialMissing(f"DuckDB's spatial extension does not load ({error}): pip install {wheel}") from error
    return connection
