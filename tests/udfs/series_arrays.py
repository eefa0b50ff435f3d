"""Series for the tests of kernels."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from udfs.types import SERIES


def series_array(*series: Iterable[tuple[int | None, float | None]] | None) -> pa.ListArray:
    """An array of type SERIES from pairs (t, v)."""
    rows = [
        None if pairs is None else [None if pair is None else {"t": pair[0], "v": pair[1]} for pair in pairs]
        for pairs in series
    ]
    return pa.array(rows, SERIES)


def from_columns(t: Iterable[int], v: Iterable[float]) -> pa.ListArray:
    """One series, NaN as it is."""
    return series_array([(int(step), float(value)) for step, value in zip(t, v, strict=True)])


def dense_array(values: np.ndarray) -> pa.ListArray:
    """A series a row of `values`, t = 0, 1, ..."""
    rows, n = values.shape
    members = pa.StructArray.from_arrays(
        [pa.array(np.tile(np.arange(n, dtype=np.int32), rows)), pa.array(values.ravel())],
        fields=list(SERIES.value_type),
    )
    return pa.ListArray.from_arrays(pa.array(np.arange(0, rows * n + 1, n, dtype=np.int32)), members, type=SERIES)
