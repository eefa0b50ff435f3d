"""The kernels on Spark: the same Arrow functions, registered as arrow_udf."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
from pyspark.sql import SparkSession
from pyspark.sql.functions import arrow_udf

from udfs.registry import KERNELS
from udfs.types import Enforced


def register_kernels(session: SparkSession) -> None:
    """Register every kernel as a SQL function of `session`."""
    for kernel in KERNELS:
        session.udf.register(kernel.name, arrow_udf(_annotated(kernel.call), kernel.spark_returns))


def _annotated(call: Enforced) -> Callable[..., pa.Array]:
    """`call` as a function whose hints tell Spark that it takes and gives Arrow arrays."""

    def kernel(*columns: pa.Array) -> pa.Array:
        return call(*columns)

    kernel.__name__ = call.name
    return kernel
