"""Empirical semivariograms of maps: exact over all pairs of cells, by distance and direction.

Matheron's estimator (1962): gamma(h) = sum (z_i - z_j)^2 / (2 N(h)) over the N(h) pairs whose distance lies in the bin.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa

from udfs.earth_pairs import Cells, add_cells
from udfs.kernel import Kernel
from udfs.lags import DIRECTIONS, Sums, by_distance, by_offset
from udfs.lattice import Lattice, add_lattice, one_value_a_cell
from udfs.map_cells import CELLS, PLACED_CELLS, maps

MOST_BINS = 1000

WORTH_A_THREAD = 2000
"""Maps of so many cells on average are done side by side."""

BINS = pa.list_(
    pa.struct(
        [
            ("direction", pa.string()),
            ("bin", pa.int32()),
            ("lag_m", pa.float64()),
            ("lag_upper_m", pa.float64()),
            ("n_pairs", pa.int64()),
            ("semivariance", pa.float64()),
        ]
    )
)

MAP_SQUARES = pa.list_(
    pa.struct(
        [
            ("lag_east_m", pa.float64()),
            ("lag_north_m", pa.float64()),
            ("n_pairs", pa.int64()),
            ("semivariance", pa.float64()),
        ]
    )
)


def semivariogram(
    cells: pa.ListArray, cell_x_m: pa.Array, cell_y_m: pa.Array, cutoff_m: pa.Array, n_bins: pa.Array
) -> pa.ListArray:
    """The semivariogram of each map (array of type CELLS) on a grid whose cells are cell_x_m wide and cell_y_m high; type BINS.

    All pairs of cells up to cutoff_m apart in n_bins bins (lower, upper] of equal width; several values of one cell become their mean.
    NULL: an argument is NULL, or no pair of cells with values lies within the cut-off.
    ValueError: cell sizes or cut-off not positive, n_bins outside 1 .. MOST_BINS.
    """

    def one(fields: dict[str, np.ndarray], x: float, y: float, cutoff: float, n: int) -> Sums:
        _require(x > 0 and y > 0, f"semivariogram: cells of {x} x {y} m; both sides must be above 0")
        sums = by_distance(_upper("semivariogram", cutoff, n))
        add_grid(sums, fields, x, y)
        return sums

    return _lists(BINS, _bins, one, cells, cell_x_m, cell_y_m, cutoff_m, n_bins)


def semivariogram_geodesic(cells: pa.ListArray, cutoff_m: pa.Array, n_bins: pa.Array) -> pa.ListArray:
    """The semivariogram of each map (array of type PLACED_CELLS) at true distances on the WGS 84 ellipsoid; type BINS.

    The way is found from the cells: rows of parallels and meridians are paired row by row; up to 5,000 cells, and cells with a NULL
    row_index or col_index, point by point; a grid that gives every distance to 1 % with steps of its own is transformed with these;
    every other grid is put on a square one of the same cell area first. Directions are from true north, the mean of both ends.
    NULL and ValueError as in `semivariogram`.
    """

    def one(fields: dict[str, np.ndarray], cutoff: float, n: int) -> Sums:
        sums = by_distance(_upper("semivariogram_geodesic", cutoff, n))
        add_placed(sums, fields)
        return sums

    return _lists(BINS, _bins, one, cells, cutoff_m, n_bins)


def semivariogram_map(cells: pa.ListArray, cutoff_m: pa.Array, n_bins: pa.Array) -> pa.ListArray:
    """The variogram map of each map (array of type PLACED_CELLS): semivariance by lag to the east and to the north; type MAP_SQUARES.

    Squares of cutoff_m / n_bins, n_bins of them from the centre to each side. A pair counts at its lag and at the opposite one, so the map
    is symmetric about its centre. Distances and directions as in `semivariogram_geodesic`. NULL and ValueError as there.
    """

    def one(fields: dict[str, np.ndarray], cutoff: float, n: int) -> Sums:
        _upper("semivariogram_map", cutoff, n)
        sums = by_offset(cutoff, n)
        add_placed(sums, fields)
        return sums

    return _lists(MAP_SQUARES, _squares, one, cells, cutoff_m, n_bins)


def add_grid(sums: Sums, fields: dict[str, np.ndarray], cell_x_m: float, cell_y_m: float) -> None:
    """Add the pairs of one map (`map_cells.maps`) on a grid of its own metres; row 0 lies north."""
    row, col, v = fields["row_index"], fields["col_index"], fields["v"]
    is_placed = np.isfinite(row) & np.isfinite(col)
    row, col, v = row[is_placed].astype(np.int64), col[is_placed].astype(np.int64), v[is_placed]
    if v.size > 1:
        add_lattice(sums, Lattice(*one_value_a_cell(row, col, v), (float(cell_x_m), 0.0), (0.0, -float(cell_y_m))))


def add_placed(sums: Sums, fields: dict[str, np.ndarray]) -> None:
    """Add the pairs of one map whose cells know their longitude and latitude."""
    row, col = fields["row_index"], fields["col_index"]
    is_grid = bool(np.isfinite(row).all() and np.isfinite(col).all())
    if fields["v"].size > 1:
        add_cells(
            sums,
            Cells(
                row.astype(np.int64) if is_grid else None,
                col.astype(np.int64) if is_grid else None,
                fields["lon"],
                fields["lat"],
                fields["v"],
            ),
        )


def _upper(name: str, cutoff: float, n: int) -> np.ndarray:
    _require(0 < cutoff < np.inf, f"{name}: cutoff_m is {cutoff}; it is a distance above 0")
    _require(1 <= n <= MOST_BINS, f"{name}: n_bins is {n}; it goes from 1 to {MOST_BINS}")
    return cutoff * (np.arange(1, n + 1) / n)


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


def _lists(
    returns: pa.ListType,
    members: Callable[[Sums], list[np.ndarray]],
    one: Callable[..., Sums],
    cells: pa.ListArray,
    *parameters: pa.Array,
) -> pa.ListArray:
    """`members` of `one(map, *parameters)` for each row; NULL where an argument is or where nothing was found."""
    given = [column.to_pylist() for column in parameters]

    def work(row: tuple) -> list[np.ndarray] | None:
        fields, *numbers = row
        return None if fields is None or None in numbers else members(one(fields, *numbers))

    # The engine hands all maps of a batch over at once, to one of its threads; the others would look on.
    n_threads = min(len(cells), os.cpu_count() or 1) if len(cells.values) >= WORTH_A_THREAD * len(cells) else 1
    offsets, columns, is_null = [0], [[] for _ in returns.value_type], []
    with ThreadPoolExecutor(max(n_threads, 1)) as pool:
        every = list((pool.map if n_threads > 1 else map)(work, zip(maps(cells), *given, strict=True)))
    for found in every:
        is_null.append(found is None or len(found[0]) == 0)
        for column, part in zip(columns, found or [], strict=False):
            column.append(part)
        offsets.append(offsets[-1] + (0 if is_null[-1] else len(found[0])))
    arrays = [
        pa.array(np.concatenate(parts) if parts else [], field.type)
        for parts, field in zip(columns, returns.value_type, strict=True)
    ]
    struct = pa.StructArray.from_arrays(arrays, fields=list(returns.value_type))
    mask = pa.array(is_null) if any(is_null) else None
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), struct, type=returns, mask=mask)


def _bins(sums: Sums) -> list[np.ndarray]:
    """The fields of BINS: `all`, then each direction; bins without a pair are left out."""
    parts = []
    for name, rows in (("all", slice(None)), *((name, slice(i, i + 1)) for i, name in enumerate(DIRECTIONS))):
        pairs, metres, squares = (part[rows].sum(axis=0) for part in sums[:3])
        filled = np.flatnonzero(pairs > 0)
        parts.append(
            (
                np.full(filled.size, name, dtype=object),
                (filled + 1).astype(np.int32),
                metres[filled] / pairs[filled],
                sums.limits[filled],
                pairs[filled].astype(np.int64),
                squares[filled] / (2 * pairs[filled]),
            )
        )
    return [np.concatenate(columns) for columns in zip(*parts, strict=True)]


def _squares(sums: Sums) -> list[np.ndarray]:
    """The fields of MAP_SQUARES, from south to north and west to east; squares without a pair are left out."""
    n = sums.limits.size
    width = sums.limits[-1] / n
    pairs, squares = sums.pairs[0], sums.squares[0]
    filled = np.flatnonzero(pairs > 0)
    north, east = np.divmod(filled, 2 * n + 1)
    return [
        (east - n) * width,
        (north - n) * width,
        pairs[filled].astype(np.int64),
        squares[filled] / (2 * pairs[filled]),
    ]


_NULLS = "NULL where an argument is NULL, or where no pair lies within the cut-off. Members that are NULL, or whose v is NULL or NaN, are dropped."
_PLANTED = """from (
  select list({'row_index': i::integer, 'col_index': j::integer, 'v': sin(i / 3.0) + cos(j / 5.0)}) as cells
  from range(20) as a(i), range(30) as b(j)
)"""
_PLACED = """from (
  select list({'row_index': i::integer, 'col_index': j::integer, 'lon': 100 + 0.01 * j, 'lat': 40 - 0.01 * i, 'v': sin(i / 3.0) + cos(j / 5.0)}) as cells
  from range(20) as a(i), range(30) as b(j)
)"""
_MATHERON = (
    "Matheron (1962), Traite de geostatistique appliquee; Marcotte (1996), Computers & Geosciences 22, 1175-1186."
)
_LAMBERT = " Distances: Lambert (1942), within 2e-6 of the geodesic."

KERNELS = (
    Kernel(
        name="semivariogram",
        arguments={
            "cells": CELLS,
            "cell_x_m": pa.float64(),
            "cell_y_m": pa.float64(),
            "cutoff_m": pa.float64(),
            "n_bins": pa.int32(),
        },
        returns=BINS,
        function=semivariogram,
        summary="The empirical semivariogram of a map on a grid in metres, over all pairs of cells.",
        meaning=(
            "Half the mean squared difference of the pairs in each bin (lower, upper] of distance, for all directions and for four sectors "
            "of 45 degrees about 0, 45, 90 and 135 degrees clockwise from the grid's north; lag_m is the mean distance of the pairs. Bins "
            "without a pair are left out. Right only where cells have these sizes on the ground: else semivariogram_geodesic."
        ),
        nulls=_NULLS,
        minimum="Two cells.",
        citation=_MATHERON,
        example=f"select unnest(semivariogram(cells, 1000.0, 1000.0, 10000.0, 10), recursive := true)\n{_PLANTED}",
    ),
    Kernel(
        name="semivariogram_geodesic",
        arguments={"cells": PLACED_CELLS, "cutoff_m": pa.float64(), "n_bins": pa.int32()},
        returns=BINS,
        function=semivariogram_geodesic,
        summary="The empirical semivariogram of a map at true distances, over all pairs of cells.",
        meaning=(
            "As semivariogram, with distances on the WGS 84 ellipsoid and directions from true north. The way is chosen by how the cells lie: "
            "pairs of rows where rows are parallels and columns meridians; pairs of points up to 5,000 cells and where row_index and col_index "
            "are NULL; the grid's own steps as measured on the ground where they give every distance to 1 %; else the nearest values on a square "
            "grid of the same cell area about the middle of the region. Nothing is sampled."
        ),
        nulls=_NULLS,
        minimum="Two cells.",
        citation=_MATHERON + _LAMBERT,
        example=f"select unnest(semivariogram_geodesic(cells, 10000.0, 10), recursive := true)\n{_PLACED}",
    ),
    Kernel(
        name="semivariogram_map",
        arguments={"cells": PLACED_CELLS, "cutoff_m": pa.float64(), "n_bins": pa.int32()},
        returns=MAP_SQUARES,
        function=semivariogram_map,
        summary="The semivariance of a map by lag to the east and to the north: how it depends on direction.",
        meaning=(
            "Squares of cutoff_m / n_bins with their centres at lag_east_m, lag_north_m. A pair counts at its lag and at the opposite one. "
            "Distances, directions and ways as in semivariogram_geodesic."
        ),
        nulls=_NULLS,
        minimum="Two cells.",
        citation=_MATHERON + _LAMBERT,
        example=f"select unnest(semivariogram_map(cells, 5000.0, 5), recursive := true)\n{_PLACED}",
    ),
)
