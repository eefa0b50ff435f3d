"""What a kernel is: a pure function of Arrow arrays, and everything that an engine or a reader must know of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa

from udfs.types import Enforced, duckdb_type, spark_type


@dataclass(frozen=True)
class Kernel:
    """A pure function of Arrow arrays, and everything an engine or a reader must know of it.

    `function` takes one array an argument, of exactly the declared types, and returns one array of type `returns`,
    of the same length. `example` is a DuckDB query that runs as it stands.
    """

    name: str
    arguments: dict[str, pa.DataType]
    returns: pa.DataType
    function: Callable[..., pa.Array]
    summary: str
    meaning: str
    nulls: str
    minimum: str
    citation: str
    example: str

    @property
    def call(self) -> Enforced:
        """The function as engines call it, with its types enforced."""
        return Enforced(self.name, self.arguments, self.returns, self.function)

    @property
    def duckdb_arguments(self) -> list[str]:
        return [duckdb_type(arrow) for arrow in self.arguments.values()]

    @property
    def duckdb_returns(self) -> str:
        return duckdb_type(self.returns)

    @property
    def spark_returns(self) -> str:
        return spark_type(self.returns)
