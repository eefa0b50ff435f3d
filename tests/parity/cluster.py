"""dbt on a Spark cluster of two workers, in this process, so that its tables and views can be asked afterwards."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa

from soilhouse.errors import UserError
from tests.warehouse import Warehouse

MASTER = "local-cluster[2,1,1024]"

# A minute of Java spends most of its time compiling itself: the first compiler alone is quicker here.
_QUICK_JAVA = "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=256m -XX:+UseSerialGC"
_LOG4J = """\
rootLogger.level = error
logger.sql.name = SQLQueryContextLogger
logger.sql.level = off
rootLogger.appenderRef.stderr.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.target = SYSTEM_ERR
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = Spark: %p %c{1}: %m%n%ex{3}
"""


class Cluster:
    """Two worker processes beside the driver: kernels are imported by Python processes that this one did not start."""

    def __init__(self, house: Warehouse) -> None:
        self.house = house
        self.warehouse = house.root / "spark"
        self.target = house.root / "target_spark"
        os.environ.update(
            SOILHOUSE_LAKE=str(house.lake),
            SOILHOUSE_DB=str(house.database),
            SOILHOUSE_SPARK_MASTER=MASTER,
            SOILHOUSE_SPARK_WAREHOUSE=str(self.warehouse),
            PYSPARK_PYTHON=sys.executable,
            PYSPARK_DRIVER_PYTHON=sys.executable,
            SPARK_HOME=str(_spark_home(house.root / "spark_home")),
            SPARK_CONF_DIR=str(_spark_conf(house.root / "spark_conf")),
            SPARK_SUBMIT_OPTS=_QUICK_JAVA,
            SOILHOUSE_SPARK_THREADS="4",
        )

    def build(self, *arguments: str, extra: Mapping | None = None) -> list[str]:
        """`dbt build --target spark`; what failed, in dbt's words."""
        from dbt.cli.main import dbtRunner

        given = self.house.dbt_arguments(
            "build", "--target", "spark", "--quiet", "--log-level", "none", *arguments, extra=extra
        )
        given[given.index("--target-path") + 1] = str(self.target)
        result = dbtRunner().invoke(given)
        if result.exception is not None:
            return [str(result.exception)]
        return [
            f"{node.node.resource_type} {node.node.name}: {node.message}"
            for node in result.result.results
            if str(node.status) not in ("success", "pass", "no-op")
        ]

    def manifest(self) -> dict:
        return json.loads((self.target / "manifest.json").read_text(encoding="utf-8"))

    def has(self, name: str) -> bool:
        """Whether there is a table or view `schema.name`."""
        return self._session().catalog.tableExists(name)

    def table(self, name: str) -> pa.Table:
        """A table or view, `schema.name`."""
        return self._session().table(name).toArrow()

    def query(self, sql: str) -> pa.Table:
        return self._session().sql(sql).toArrow()

    def files(self, name: str) -> list[str]:
        """The Parquet files of an unpartitioned table; none for views and partitioned tables."""
        schema, table = name.split(".")
        return sorted(str(path) for path in (self.warehouse / f"{schema}.db" / table).glob("*.parquet"))

    def stop(self) -> None:
        self._session().stop()

    def _session(self):
        from pyspark.sql import SparkSession

        return SparkSession.builder.getOrCreate()


def _spark_conf(folder: Path) -> Path:
    """Settings that only make small data quick and the output short; what decides results is in profiles.yml, as for everybody."""
    folder.mkdir(parents=True)
    (folder / "spark-defaults.conf").write_text(f"spark.executor.extraJavaOptions {_QUICK_JAVA}\n", encoding="utf-8")
    (folder / "log4j2.properties").write_text(_LOG4J, encoding="utf-8")
    return folder


def _spark_home(folder: Path) -> Path:
    """pyspark's own folder by links: workers write their logs into SPARK_HOME/work, which would be in the environment."""
    try:
        import pyspark
    except ImportError:
        raise UserError(
            "pyspark is not installed.",
            "Install the extra: pip install 'soilhouse[spark]', or run make environment-dev.",
        ) from None
    folder.mkdir(parents=True)
    for entry in Path(pyspark.__file__).parent.iterdir():
        if entry.name != "work":
            (folder / entry.name).symlink_to(entry)
    return folder
