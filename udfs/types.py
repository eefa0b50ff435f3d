"""The types kernels speak, and the one wrapper that enforces them on every engine.

DuckDB binds a kernel by the exact names and types of its argument and refuses everything else; Spark passes whatever
the query holds. Without a check in between, the same SQL gives different numbers on the two (a struct cast, for one,
goes by name on DuckDB and by position on Spark). `Enforced` is that check: nothing reaches a kernel undeclared.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable

import numpy as np
import pyarrow as pa

SERIES = pa.list_(pa.struct([("t", pa.int32()), ("v", pa.float64())]))
"""A time series: an unordered list of (t, v), t counted in steps of the study's choice, v in the variable's unit."""

_SCALARS = {
    pa.bool_(): ("BOOLEAN", "boolean"),
    pa.int32(): ("INTEGER", "int"),
    pa.int64(): ("BIGINT", "bigint"),
    pa.float32(): ("FLOAT", "float"),
    pa.float64(): ("DOUBLE", "double"),
    pa.string(): ("VARCHAR", "string"),
}


def duckdb_type(arrow: pa.DataType) -> str:
    """The DuckDB spelling of a kernel's Arrow type: `STRUCT(t INTEGER, v DOUBLE)[]`. TypeError when it has none."""
    if arrow in _SCALARS:
        return _SCALARS[arrow][0]
    if pa.types.is_list(arrow):
        return f"{duckdb_type(arrow.value_type)}[]"
    if pa.types.is_struct(arrow):
        return f"STRUCT({', '.join(f'{field.name} {duckdb_type(field.type)}' for field in arrow)})"
    raise TypeError(f"kernels do not use the Arrow type {arrow}")


def spark_type(arrow: pa.DataType) -> str:
    """The Spark spelling of a kernel's Arrow type: `array<struct<t:int,v:double>>`. TypeError when it has none."""
    if arrow in _SCALARS:
        return _SCALARS[arrow][1]
    if pa.types.is_list(arrow):
        return f"array<{spark_type(arrow.value_type)}>"
    if pa.types.is_struct(arrow):
        return f"struct<{','.join(f'{field.name}:{spark_type(field.type)}' for field in arrow)}>"
    raise TypeError(f"kernels do not use the Arrow type {arrow}")


def coerce(array: pa.Array, want: pa.DataType, where: str) -> pa.Array:
    """`array` as type `want`: the same values, or an error that says where they do not fit.

    Columns of type NULL become typed NULLs; integers of any width and decimals become what is declared; struct fields
    are matched by name, whatever their order and case; offsets of sliced arrays, NULL lists and NULL structs survive.

    Raises TypeError for any other type, ValueError for an integer out of the declared range; both name `where`.
    """
    have = array.type
    if have == want:
        return array
    if pa.types.is_null(have):
        return pa.nulls(len(array), want)
    if pa.types.is_dictionary(have):
        return coerce(array.dictionary_decode(), want, where)
    if pa.types.is_list(want):
        if pa.types.is_fixed_size_list(have):
            array, have = array.cast(pa.list_(have.value_type)), pa.list_(have.value_type)
        if pa.types.is_list(have) or pa.types.is_large_list(have):
            return _coerce_list(array, want, where)
    elif pa.types.is_struct(want):
        if pa.types.is_struct(have):
            return _coerce_struct(array, want, where)
    elif pa.types.is_integer(want):
        if pa.types.is_integer(have):
            try:
                return array.cast(want)
            except pa.ArrowInvalid as error:
                raise ValueError(f"{where}: {error} of {_spelled(want)}") from error
    elif pa.types.is_floating(want) and (
        pa.types.is_floating(have) or pa.types.is_integer(have) or pa.types.is_decimal(have)
    ):
        return array.cast(want, safe=False)
    raise TypeError(f"{where}: expected {_spelled(want)}, got {_spelled(have)}; cast it in the query")


def _coerce_list(array: pa.Array, want: pa.DataType, where: str) -> pa.Array:
    # A sliced list keeps its whole child: only the part its offsets span is converted.
    offsets = array.offsets.to_numpy()
    first, last = int(offsets[0]), int(offsets[-1])
    values = coerce(array.values.slice(first, last - first), want.value_type, where)
    if last - first > np.iinfo(np.int32).max:
        raise ValueError(f"{where}: {last - first} list members in one batch; make the engine's batches smaller")
    moved = pa.array((offsets - first).astype(np.int32))
    return pa.ListArray.from_arrays(moved, values, type=want, mask=array.is_null() if array.null_count else None)


def _coerce_struct(array: pa.StructArray, want: pa.DataType, where: str) -> pa.Array:
    fields = {field.name.lower(): index for index, field in enumerate(array.type)}
    wanted = [field.name for field in want]
    if sorted(fields) != sorted(name.lower() for name in wanted) or len(fields) != array.type.num_fields:
        named = ", ".join(field.name for field in array.type)
        raise TypeError(f"{where}: expected a struct of {', '.join(wanted)}, got one of {named}; name the fields so")
    children = [
        coerce(array.field(fields[field.name.lower()]), field.type, f"{where}, field {field.name}") for field in want
    ]
    return pa.StructArray.from_arrays(children, fields=list(want), mask=array.is_null() if array.null_count else None)


def _spelled(arrow: pa.DataType) -> str:
    try:
        return duckdb_type(arrow)
    except TypeError:
        return str(arrow)


class Enforced:
    """A kernel as every engine calls it: Arrow columns in, declared types enforced, one Arrow array out.

    DuckDB hands over ChunkedArrays, Spark Arrays; both are taken. A class and not a closure, so that Spark can send it
    to its workers by name.
    """

    def __init__(
        self, name: str, arguments: dict[str, pa.DataType], returns: pa.DataType, function: Callable[..., pa.Array]
    ) -> None:
        self.name = name
        self.arguments = arguments
        self.returns = returns
        self.function = function
        # DuckDB counts the parameters of what it registers, Spark reads their hints.
        self.__name__ = name
        self.__signature__ = inspect.Signature(
            [
                inspect.Parameter(argument, inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=pa.Array)
                for argument in arguments
            ],
            return_annotation=pa.Array,
        )

    def __call__(self, *columns: pa.Array | pa.ChunkedArray) -> pa.Array:
        """Apply the kernel to columns of one length. TypeError: wrong number or type of arguments."""
        if len(columns) != len(self.arguments):
            raise TypeError(f"{self.name} takes {', '.join(self.arguments)}: {len(self.arguments)}, not {len(columns)}")
        arrays = [
            coerce(_one_array(column), want, f"{self.name}, argument {argument}")
            for column, (argument, want) in zip(columns, self.arguments.items(), strict=True)
        ]
        result = self.function(*arrays)
        if result.type != self.returns:
            raise TypeError(f"{self.name} declares {self.returns} and returned {result.type}")
        return result


def _one_array(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    if not isinstance(column, pa.ChunkedArray):
        return column
    if column.num_chunks == 1:
        return column.chunk(0)
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
