"""The samples of one training: Arrow lists as rows in one order, whatever order they came in."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

SAMPLES = pa.list_(
    pa.struct(
        [
            ("pixel_id", pa.int64()),
            ("obs_day", pa.int32()),
            ("target", pa.float64()),
            ("block_id", pa.int32()),
            ("features", pa.list_(pa.float32())),
        ]
    )
)
"""Samples: a coarse pixel and day (as the number YYYYMMDD), the target, the spatial block, the features in the study's order."""


@dataclass(frozen=True)
class Rows:
    """Complete samples ordered by pixel, day and then everything else: pixel_id (n,) int64, obs_day (n,) int32, target (n,)
    float64, block_id (n,) int32, features (n, p) float32, none of them NaN."""

    pixel_id: np.ndarray
    obs_day: np.ndarray
    target: np.ndarray
    block_id: np.ndarray
    features: np.ndarray

    def __len__(self) -> int:
        return self.target.size

    def take(self, index: np.ndarray) -> Rows:
        return Rows(*(getattr(self, name)[index] for name in self.__dataclass_fields__))

    def digest(self) -> bytes:
        """A hash of the values: the same rows have the same, in whatever order they were given."""
        digest = hashlib.sha256()
        for name in self.__dataclass_fields__:
            column = np.ascontiguousarray(getattr(self, name))
            digest.update(f"{name} {column.dtype.str} {column.shape}".encode())
            digest.update(column.tobytes())
        return digest.digest()


def rows_of(members: pa.StructArray, n_features: int) -> Rows:
    """The complete members of one list; a member with a NULL, NaN or infinity anywhere is dropped (a NULL block is block 0).

    ValueError: a sample with another number of features than the study has.
    """
    # What lies under a NULL struct is of any length.
    members = members.filter(members.is_valid()) if members.null_count else members
    features, is_listed = feature_matrix(members.field("features"), n_features, "train_downscaler")
    target = _numbers(members.field("target"), np.nan)
    known = (
        members.field("pixel_id").is_valid().to_numpy(zero_copy_only=False)
        & members.field("obs_day").is_valid().to_numpy(zero_copy_only=False)
        & np.isfinite(target)
        & is_listed
        & np.isfinite(features).all(axis=1)
    )
    rows = Rows(
        _numbers(members.field("pixel_id"), 0)[known].astype(np.int64),
        _numbers(members.field("obs_day"), 0)[known].astype(np.int32),
        target[known] + 0.0,  # -0.0 and 0.0 are one value
        _numbers(members.field("block_id"), 0)[known].astype(np.int32),
        features[known] + np.float32(0.0),
    )
    order = np.lexsort((rows.obs_day, rows.pixel_id))
    sorted_ids = rows.pixel_id[order], rows.obs_day[order]
    if np.any((sorted_ids[0][1:] == sorted_ids[0][:-1]) & (sorted_ids[1][1:] == sorted_ids[1][:-1])):
        order = np.lexsort((*rows.features.T, rows.block_id, rows.target, rows.obs_day, rows.pixel_id))
    return rows.take(order)


def feature_matrix(lists: pa.ListArray, n_features: int, kernel: str) -> tuple[np.ndarray, np.ndarray]:
    """Lists of float32 as a matrix (n, n_features), NaN where a member is NULL, and which rows have a list at all.

    ValueError: a list of another length.
    """
    offsets = lists.offsets.to_numpy()
    lengths = np.diff(offsets)
    is_listed = lists.is_valid().to_numpy(zero_copy_only=False)
    wrong = is_listed & (lengths != n_features)
    if wrong.any():
        raise ValueError(
            f"{kernel}: a row has {lengths[wrong.argmax()]} features and the model {n_features}; give the features of the study, in its order"
        )
    values = _numbers(lists.values.slice(offsets[0], offsets[-1] - offsets[0]), np.nan)
    if is_listed.all():
        return values.reshape(len(lists), n_features), is_listed
    matrix = np.full((len(lists), n_features), np.nan, np.float32)
    # A NULL list may still span members.
    matrix[is_listed] = values[np.repeat(is_listed, lengths)].reshape(-1, n_features)
    return matrix, is_listed


def _numbers(column: pa.Array, missing: float) -> np.ndarray:
    return (column.fill_null(missing) if column.null_count else column).to_numpy()
