"""Numpy arrays as Arrow columns."""

from __future__ import annotations

import numpy as np
import pyarrow as pa


def struct_array(struct: pa.StructType, fields: list[np.ndarray], is_null: np.ndarray) -> pa.StructArray:
    """One struct a row from one array a field; NULL where `is_null`, NaN becomes NULL in the field."""
    children = [pa.array(values, field.type, from_pandas=True) for values, field in zip(fields, struct, strict=True)]
    mask = pa.array(is_null) if is_null.any() else None
    return pa.StructArray.from_arrays(children, fields=list(struct), mask=mask)


class MemberColumns:
    """A list<struct of numbers> as numpy columns: `fields[i]` of all members, 0 where NULL, and `known[i]`, which
    tells a 0 from a NULL."""

    def __init__(self, lists: pa.ListArray) -> None:
        offsets = lists.offsets.to_numpy()
        self.offsets = offsets - offsets[0]
        self.is_valid = lists.is_valid().to_numpy(zero_copy_only=False)
        members = lists.values.slice(offsets[0], self.offsets[-1])
        is_member = members.is_valid().to_numpy(zero_copy_only=False)
        columns = [members.field(i) for i in range(members.type.num_fields)]
        self.fields = [(column.fill_null(0) if column.null_count else column).to_numpy() for column in columns]
        self.known = [is_member & column.is_valid().to_numpy(zero_copy_only=False) for column in columns]

    def row(self, row: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """The fields of one list, and which of their values are known."""
        part = slice(self.offsets[row], self.offsets[row + 1])
        return [field[part] for field in self.fields], [known[part] for known in self.known]
