"""Maps for tests: numpy arrays as the Arrow lists that kernels take, and pairs looked at one by one."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from pyproj import Geod

from udfs.map_cells import CELLS, PLACED_CELLS

GEOD = Geod(ellps="WGS84")


def listed(kind: pa.ListType, *maps: dict[str, np.ndarray] | None) -> pa.ListArray:
    """One list a map; the order of its members is that of the arrays, NaN of an index is NULL."""
    rows = []
    for fields in maps:
        if fields is None:
            rows.append(None)
            continue
        columns = []
        for field in kind.value_type:
            values = np.asarray(fields[field.name], dtype=float)
            columns.append(
                [int(v) if np.isfinite(v) else None for v in values]
                if pa.types.is_integer(field.type)
                else values.tolist()
            )
        names = [field.name for field in kind.value_type]
        rows.append([dict(zip(names, members, strict=True)) for members in zip(*columns, strict=True)])
    return pa.array(rows, kind)


def cells(*maps: dict[str, np.ndarray] | None) -> pa.ListArray:
    return listed(CELLS, *maps)


def placed(*maps: dict[str, np.ndarray] | None) -> pa.ListArray:
    return listed(PLACED_CELLS, *maps)


def doubles(*values: float | None) -> pa.Array:
    return pa.array(values, pa.float64())


def whole(*values: int | None) -> pa.Array:
    return pa.array(values, pa.int32())


def gappy(rng: np.random.Generator, n_rows: int, n_cols: int, share: float = 0.8) -> dict[str, np.ndarray]:
    """A smooth field with noise and holes, in no order."""
    row, col = (part.ravel() for part in np.indices((n_rows, n_cols)))
    v = 0.25 + 0.05 * np.sin(row / 4) + 0.03 * np.cos(col / 3) + rng.normal(0, 0.02, row.size)
    kept = rng.permutation(np.flatnonzero(rng.random(row.size) < share))
    return {"row_index": row[kept], "col_index": col[kept], "v": v[kept]}


def pairs_on_a_plane(fields: dict[str, np.ndarray], cell_x: float, cell_y: float) -> tuple[np.ndarray, ...]:
    """Distance, azimuth in [0, 180) and squared difference of every pair."""
    i, j = np.triu_indices(len(fields["v"]), 1)
    east = (fields["col_index"][j] - fields["col_index"][i]) * cell_x
    north = (fields["row_index"][i] - fields["row_index"][j]) * cell_y
    return np.hypot(east, north), np.degrees(np.arctan2(east, north)) % 180, (fields["v"][j] - fields["v"][i]) ** 2


def pairs_on_earth(fields: dict[str, np.ndarray]) -> tuple[np.ndarray, ...]:
    """The same by Karney's geodesics; the azimuth is the mean of both ends."""
    i, j = np.triu_indices(len(fields["v"]), 1)
    lon, lat = fields["lon"], fields["lat"]
    ahead, back, metres = GEOD.inv(lon[i], lat[i], lon[j], lat[j])
    turn = (back + 180 - ahead + 180) % 360 - 180
    return metres, (ahead + turn / 2) % 180, (fields["v"][j] - fields["v"][i]) ** 2


def brute(pairs: tuple[np.ndarray, ...], upper: np.ndarray, tolerance: float = 1e-12) -> dict[tuple[str, int], tuple]:
    """(direction, bin) -> (lag, n, semivariance), written out: bins (lower, upper], sectors of 45 degrees."""
    metres, azimuth, square = pairs
    found = {}
    for direction in ("all", "0", "45", "90", "135"):
        chosen = np.ones(metres.size, bool)
        if direction != "all":
            chosen = np.abs((azimuth - float(direction) + 90) % 180 - 90) < 22.5
        lower = 0.0
        for k, limit in enumerate(upper):
            inside = chosen & (metres > lower * (1 + tolerance)) & (metres <= limit * (1 + tolerance)) & (metres > 0)
            if inside.any():
                found[direction, k + 1] = (metres[inside].mean(), int(inside.sum()), square[inside].mean() / 2)
            lower = limit
    return found


def ours(bins: list[dict]) -> dict[tuple[str, int], tuple]:
    return {(b["direction"], b["bin"]): (b["lag_m"], b["n_pairs"], b["semivariance"]) for b in bins}
