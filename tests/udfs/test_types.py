"""The type wrapper: what each engine may hand over, and what the kernel then gets."""

from __future__ import annotations

import datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from tests.udfs.series_arrays import series_array
from udfs import KERNELS
from udfs.trend import theil_sen
from udfs.types import SERIES, Enforced, coerce, duckdb_type, spark_type

PAIRS = [(1, 1.0), (2, 2.5), (4, 3.0)]


def struct_list(t: pa.DataType, v: pa.DataType, names=("t", "v"), values=None) -> pa.ListArray:
    """PAIRS as another type says them."""
    values = values or PAIRS
    members = pa.StructArray.from_arrays(
        [pa.array([pair[0] for pair in values], t), pa.array([pair[1] for pair in values], v)], names=list(names)
    )
    return pa.ListArray.from_arrays(pa.array([0, len(values)], pa.int32()), members)


def series(array: pa.Array) -> list:
    result = coerce(array, SERIES, "kernel, argument series")
    assert result.type == SERIES
    result.validate(full=True)
    return [None if row is None else [m and (m["t"], m["v"]) for m in row] for row in result.to_pylist()]


@pytest.mark.parametrize("t", [pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint16(), pa.uint64()])
@pytest.mark.parametrize("v", [pa.float32(), pa.float64()])
def test_numbers_become_what_is_declared(t, v):
    assert series(struct_list(t, v)) == [PAIRS]


def test_integers_and_decimals_become_doubles():
    whole = [(1, 1), (2, 7)]
    assert series(struct_list(pa.int32(), pa.int64(), values=whole)) == [whole]
    exact = [(1, Decimal("0.25")), (2, Decimal("-1.5"))]
    assert series(struct_list(pa.int32(), pa.decimal128(9, 3), values=exact)) == [[(1, 0.25), (2, -1.5)]]


def test_fields_go_by_name_in_any_order_and_case():
    members = pa.StructArray.from_arrays([pa.array([1.5, 2.5]), pa.array([7, 9], pa.int32())], names=["V", "T"])
    assert series(pa.ListArray.from_arrays(pa.array([0, 2], pa.int32()), members)) == [[(7, 1.5), (9, 2.5)]]


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (struct_list(pa.float64(), pa.float64()), r"argument series, field t: expected INTEGER, got DOUBLE"),
        (struct_list(pa.int32(), pa.bool_(), values=[(1, True)]), r"field v: expected DOUBLE, got BOOLEAN"),
        (struct_list(pa.int32(), pa.string(), values=[(1, "2")]), r"field v: expected DOUBLE, got VARCHAR"),
        (
            struct_list(pa.date32(), pa.float64(), values=[(datetime.date(2020, 1, 1), 1.0)]),
            r"field t: expected INTEGER, got date32",
        ),
        (struct_list(pa.int32(), pa.float64(), names=("year", "value")), r"a struct of t, v, got one of year, value"),
        (pa.array([[1.0, 2.0]]), r"expected STRUCT\(t INTEGER, v DOUBLE\), got DOUBLE"),
        (pa.array([1.0]), r"expected STRUCT\(t INTEGER, v DOUBLE\)\[\], got DOUBLE"),
        (pa.array([[{"t": 1, "v": 1.0, "w": 2}]]), r"a struct of t, v, got one of t, v, w"),
    ],
)
def test_what_does_not_fit_is_named(array, message):
    with pytest.raises(TypeError, match=message):
        coerce(array, SERIES, "kernel, argument series")


def test_an_integer_out_of_range_is_named():
    with pytest.raises(ValueError, match=r"argument series, field t: .*3000000000.* INTEGER"):
        coerce(struct_list(pa.int64(), pa.float64(), values=[(3_000_000_000, 1.0)]), SERIES, "k, argument series")


def test_untyped_nulls_become_typed():
    assert coerce(pa.nulls(3), SERIES, "").type == SERIES
    assert series(pa.nulls(2)) == [None, None]
    assert series(pa.array([[None, None], None, []], pa.list_(pa.null()))) == [[None, None], None, []]
    assert series(struct_list(pa.int32(), pa.null(), values=[(1, None), (2, None)])) == [[(1, None), (2, None)]]


ODD = [[(1, 1.0)], None, [], [(2, None), None, (None, 4.0)], [(5, 5.0), (6, 6.0)]]


@pytest.mark.parametrize("kind", ["list", "large_list", "bigint", "fields turned"])
def test_slices_nulls_and_large_lists_keep_their_rows(kind):
    array = series_array(*ODD)
    if kind == "large_list":
        array = array.cast(pa.large_list(SERIES.value_type))
    elif kind == "bigint":
        array = array.cast(pa.list_(pa.struct([("t", pa.int64()), ("v", pa.float64())])))
    elif kind == "fields turned":
        array = pa.array([row and [m and {"v": m[1], "t": m[0]} for m in row] if row else row for row in ODD])
        assert array.type.value_type.field(0).name == "v"
    assert series(array) == ODD
    for start in range(len(ODD)):
        for length in range(len(ODD) - start + 1):
            assert series(array.slice(start, length)) == ODD[start : start + length]


def test_a_null_list_that_hides_members_stays_null():
    members = series_array([(1, 1.0), (2, 2.0), (3, 3.0)]).values
    hiding = pa.ListArray.from_arrays(pa.array([0, 2, 3], pa.int32()), members, mask=pa.array([True, False]))
    assert theil_sen(hiding).to_pylist()[0] is None
    assert series(hiding.cast(pa.large_list(SERIES.value_type))) == [None, [(3, 3.0)]]


def test_fixed_size_lists_and_dictionaries():
    array = series_array([(1, 1.0), (2, 2.0)], [(3, 3.0), (4, 4.0)])
    fixed = pa.FixedSizeListArray.from_arrays(array.values, 2)
    assert series(fixed) == [[(1, 1.0), (2, 2.0)], [(3, 3.0), (4, 4.0)]]
    assert coerce(pa.array([1, 5, 1], pa.int64()).dictionary_encode(), pa.int32(), "").to_pylist() == [1, 5, 1]


def test_chunks_and_arrays_are_taken():
    call = Enforced("total", {"x": pa.float64()}, pa.float64(), lambda x: x)
    assert call(pa.array([1, 2], pa.int16())).to_pylist() == [1.0, 2.0]
    assert call(pa.chunked_array([[1.0], [2.0, None]])).to_pylist() == [1.0, 2.0, None]
    assert call(pa.chunked_array([], pa.float64())).to_pylist() == []
    with pytest.raises(TypeError, match="total takes x: 1, not 2"):
        call(pa.array([1.0]), pa.array([1.0]))
    wrong = Enforced("total", {"x": pa.float64()}, pa.int32(), lambda x: x)
    with pytest.raises(TypeError, match="total declares int32 and returned double"):
        wrong(pa.array([1.0]))


def test_type_names():
    assert duckdb_type(SERIES) == "STRUCT(t INTEGER, v DOUBLE)[]"
    assert spark_type(SERIES) == "array<struct<t:int,v:double>>"
    with pytest.raises(TypeError):
        duckdb_type(pa.date32())
    with pytest.raises(TypeError):
        spark_type(pa.date32())


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.name)
def test_every_kernel_takes_nothing_and_nulls(kernel):
    empty = [pa.array([], arrow) for arrow in kernel.arguments.values()]
    assert kernel.call(*empty).type == kernel.returns
    assert len(kernel.call(*empty)) == 0
    assert kernel.call(*[pa.nulls(3)] * len(empty)).to_pylist() == [None] * 3
    assert kernel.call(*[pa.chunked_array([], arrow) for arrow in kernel.arguments.values()]).to_pylist() == []
