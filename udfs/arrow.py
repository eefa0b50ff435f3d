"""Numpy arrays as Arrow columns."""

from __future__ import annotations

import numpy as np
import pyarrow as pa


def struct_array(struct: pa.StructType, fields: list[np.ndarray], is_null: np.ndarray) -> pa.StructArray:
    """One struct a row from one array a field; NULL where `is_null`, NaN becomes NULL in the field."""
    children = [pa.array(values, field.type, from_pandas=True) for values, field in zip(fields, struct, strict=True)]
    mask = pa.array(is_null) if is_null.any() else None
    return pa.StructArray.from_arrays(children, fields=list(struct), mask=mask)
