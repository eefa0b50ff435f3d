"""Kernels: statistics that SQL lacks, as functions of any DuckDB or Spark session.

    import duckdb, udfs
    connection = duckdb.connect()
    udfs.register(connection)
    connection.sql("select normal_quantile(0.975)")

What there is: `docs/kernels.md`, or `udfs.KERNELS`.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import duckdb

from udfs.registry import KERNELS, Kernel

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["KERNELS", "Kernel", "register", "register_spark"]


def register(connection: duckdb.DuckDBPyConnection) -> None:
    """Make every kernel a function of `connection` and of every other connection to the same database in this process.

    They live as long as the database is open here, and no other process has them: a view that calls one cannot be read
    from elsewhere. Registering again changes nothing. duckdb.CatalogException: a macro has the name of a kernel.
    """
    for kernel in KERNELS:
        with suppress(duckdb.InvalidInputException):  # this connection has not registered it
            connection.remove_function(kernel.name)
        try:
            connection.create_function(
                kernel.name,
                kernel.call,
                kernel.duckdb_arguments,
                kernel.duckdb_returns,
                type="arrow",
                null_handling="special",
                side_effects=False,
            )
        except duckdb.CatalogException:
            if not _is_registered(connection, kernel):
                raise


def _is_registered(connection: duckdb.DuckDBPyConnection, kernel: Kernel) -> bool:
    """Whether another connection to the same database has registered the kernel for all of them."""
    query = "select 1 from duckdb_functions() where function_name = ? and function_type = 'scalar'"
    return connection.execute(query, [kernel.name]).fetchone() is not None


def register_spark(session: SparkSession) -> None:
    """Make every kernel a function of the SQL of `session` (Spark 4.1 or later).

    Workers must be able to import `udfs`: install the package in their environment.
    """
    from udfs.spark import register_kernels

    register_kernels(session)
