"""dbt plugin, found by its name's prefix `dbt_`: the kernels on the Spark session that dbt-spark opens.

dbt-spark makes its session when it runs the first statement and offers no hook there, so that the cursor's `execute`
is wrapped. (On DuckDB the kernels come with `udfs/plugin.py`.)
"""

from __future__ import annotations

import functools
import os
import sys
from typing import Any

from dbt.plugins.manager import dbtPlugin


class SparkKernels(dbtPlugin):
    """Registers the kernels once a session, before its first statement."""

    def initialize(self) -> None:
        """Wrap dbt-spark's cursor; nothing is imported or done when dbt runs on another engine."""
        if "dbt.adapters.spark" not in sys.modules:
            return
        from dbt.adapters.spark import session

        if not hasattr(session.Cursor.execute, "registers_kernels"):
            session.Cursor.execute = _with_kernels(session.Cursor.execute)


def _with_kernels(execute: Any) -> Any:
    @functools.wraps(execute)
    def execute_with_kernels(cursor: Any, sql: str, *parameters: Any) -> None:
        from pyspark.sql import SparkSession

        _settle(cursor.server_side_parameters)
        # The very builder of dbt-spark: whichever of the two runs first makes the session the other finds.
        builder = SparkSession.builder.enableHiveSupport()
        for name, value in cursor.server_side_parameters.items():
            builder = builder.config(name, value)
        spark = builder.getOrCreate()
        if not hasattr(spark, "has_soilhouse_kernels"):
            import udfs

            udfs.register_spark(spark)
            spark.has_soilhouse_kernels = True
        return execute(cursor, sql, *parameters)

    execute_with_kernels.registers_kernels = True
    return execute_with_kernels


def _settle(parameters: dict[str, str]) -> None:
    """Two settings that the profile cannot make.

    dbt-spark writes ANSI mode off over whatever the profile says; without it whole numbers that overflow wrap, text that is
    no number and divisions by zero are NULL, all without a word, where DuckDB stops the build. And pyspark refuses a
    session that is given both a master and, by SPARK_REMOTE, a server to connect to.
    """
    parameters["spark.sql.ansi.enabled"] = "true"
    if "SPARK_REMOTE" in os.environ:
        parameters.pop("spark.master", None)


plugins = [SparkKernels]
