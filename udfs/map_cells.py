"""Maps as numpy arrays: Arrow lists of cells, one map a list."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

CELLS = pa.list_(pa.struct([("row_index", pa.int32()), ("col_index", pa.int32()), ("v", pa.float64())]))
"""A map on a grid: an unordered list of cells."""

PLACED_CELLS = pa.list_(
    pa.struct(
        [
            ("row_index", pa.int32()),
            ("col_index", pa.int32()),
            ("lon", pa.float64()),
            ("lat", pa.float64()),
            ("v", pa.float64()),
        ]
    )
)
"""A map whose cells know where they lie: degrees, WGS 84."""


def maps(cells: pa.ListArray) -> Iterator[dict[str, np.ndarray] | None]:
    """The fields of each map's members as arrays of float64; None for a NULL list.

    Members come sorted. NULL members, and members without a finite number in every field but row_index and col_index, are dropped; a NULL index is NaN.
    """
    offsets = cells.offsets.to_numpy()
    members = cells.values.slice(offsets[0], offsets[-1] - offsets[0])
    fields = {field.name: members.field(field.name).to_numpy(zero_copy_only=False) for field in members.type}
    is_kept = np.ones(len(members), dtype=bool)
    if members.null_count:
        is_kept &= ~members.is_null().to_numpy(zero_copy_only=False)
    for name, values in fields.items():
        if name not in ("row_index", "col_index"):
            is_kept &= np.isfinite(values)
    is_null = cells.is_null().to_numpy(zero_copy_only=False)
    for row in range(len(cells)):
        if is_null[row]:
            yield None
            continue
        part = slice(offsets[row] - offsets[0], offsets[row + 1] - offsets[0])
        found = {name: values[part] for name, values in fields.items()}
        if not is_kept[part].all():
            found = {name: values[is_kept[part]] for name, values in found.items()}
        yield _in_order(found)


def _in_order(fields: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Sorted by every field in turn, the first one first: an engine's order must not show in the last digits of a sum."""
    row, col = fields["row_index"], fields["col_index"]
    following = (row[1:] > row[:-1]) | ((row[1:] == row[:-1]) & (col[1:] > col[:-1]))
    if following.all():
        return fields
    order = np.lexsort(tuple(fields.values())[::-1])
    return {name: values[order] for name, values in fields.items()}
