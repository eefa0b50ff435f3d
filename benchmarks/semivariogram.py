"""Semivariograms of one map over all pairs of its cells: the kernels beside scikit-gstat, GSTools and a plain FFT in numpy.

A map of 400 x 400 cells, 143,000 of them with a value, pairs up to a third of the diagonal in 15 bins, from Arrow lists to Arrow lists; the same on
a grid of parallels and meridians at true distances, and 1,000 x 1,000 cells in a process of its own for the memory. scikit-gstat and GSTools
look at every pair of points, which for all cells is 10 billion: they get 10,000 of the cells, drawn at random (1 pair in 200), and their time is
not scaled. Each is left out where it is not installed. The plain FFT pads to twice the size, makes no directions, and gives the same numbers.
"""

from __future__ import annotations

import importlib.util
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
import pyarrow as pa

from benchmarks import Result
from udfs.map_cells import CELLS, PLACED_CELLS
from udfs.semivariogram import semivariogram, semivariogram_geodesic

SIDE, N_VALID = 400, 143_000
CELL_M, N_BINS = 1000.0, 15
N_SAMPLED = 10_000
ROUNDS = 5
GOAL, GOAL_GB, WIDE_SIDE = 0.002, 0.4, 1000


def run() -> list[Result]:
    """Ratios on 400 x 400 cells; peak memory on 1,000 x 1,000."""
    peak = _peak_of_a_wide_map()  # first: Linux counts what the parent held when it started a process as that one's
    row, col, v = _map(SIDE, N_VALID)
    cutoff = _cutoff(SIDE)
    cells = _list(CELLS, row, col, v)
    lon, lat = 100 + 0.01 * col, 40 - 0.01 * row
    placed = _list(PLACED_CELLS, row, col, lon, lat, v)
    few = np.random.default_rng(2).choice(N_VALID, N_SAMPLED, replace=False)
    places = np.column_stack([col[few], row[few]]) * CELL_M

    def ours() -> list[float]:
        return [b["semivariance"] for b in _kernel(cells, cutoff)[0].as_py() if b["direction"] == "all"]

    def at_true_distances() -> None:
        semivariogram_geodesic(placed, pa.array([cutoff]), pa.array([N_BINS], pa.int32()))

    peers: dict[str, tuple[Callable[[], object], float | None]] = {
        "numpy, FFT padded to twice the size, no directions": (lambda: _by_numpy(row, col, v, cutoff), None)
    }
    if importlib.util.find_spec("skgstat"):
        peers["scikit-gstat, 10,000 cells of them"] = (lambda: _by_skgstat(places, v[few], cutoff), GOAL)
    if importlib.util.find_spec("gstools"):
        peers["GSTools, 10,000 cells of them"] = (lambda: _by_gstools(places, v[few], cutoff), None)
    np.testing.assert_allclose(
        ours(), _by_numpy(row, col, v, cutoff), rtol=1e-9
    )  # a benchmark of something else says nothing
    at_true_distances()
    ways = {"cells in metres": ours, "parallels and meridians, true distances": at_true_distances}
    seconds = _in_turn({**ways, **{name: peer for name, (peer, _) in peers.items()}})
    work = f"semivariogram, {SIDE} x {SIDE}, all pairs of {N_VALID:,} cells"
    note = f"1 thread; {WIDE_SIDE} x {WIDE_SIDE}: {peak:.2f} GB (goal {GOAL_GB})"
    return [
        Result(
            f"{work}, {way}", name, seconds[way], seconds[name], goal if way == "cells in metres" else None, peak, note
        )
        for way in ways
        for name, (_, goal) in peers.items()
    ]


def _map(side: int, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    row, col = (part.ravel() for part in np.indices((side, side)))
    kept = np.sort(rng.choice(row.size, n, replace=False))
    row, col = row[kept], col[kept]
    return row, col, 0.25 + 0.05 * np.sin(row / 30) + 0.05 * np.cos(col / 50) + rng.normal(0, 0.02, n)


def _cutoff(side: int) -> float:
    return side * CELL_M * 2**0.5 / 3


def _list(kind: pa.ListType, *columns: np.ndarray) -> pa.ListArray:
    fields = [pa.array(column, field.type) for column, field in zip(columns, kind.value_type, strict=True)]
    members = pa.StructArray.from_arrays(fields, fields=list(kind.value_type))
    return pa.ListArray.from_arrays(pa.array([0, len(members)], pa.int32()), members, type=kind)


def _kernel(cells: pa.ListArray, cutoff: float) -> pa.ListArray:
    side = pa.array([CELL_M])
    return semivariogram(cells, side, side, pa.array([cutoff]), pa.array([N_BINS], pa.int32()))


def _by_numpy(row: np.ndarray, col: np.ndarray, v: np.ndarray, cutoff: float) -> list[float]:
    """As short as it goes: three forward and three inverse transforms of the doubled grid, then the bins."""
    size = 2 * SIDE
    grid, mask = np.zeros((size, size)), np.zeros((size, size))
    grid[row, col], mask[row, col] = v - v.mean(), 1
    f, g, m = np.fft.rfft2(grid), np.fft.rfft2(grid**2), np.fft.rfft2(mask)
    n = np.rint(np.fft.irfft2(abs(m) ** 2))
    cross = np.fft.irfft2(np.conj(m) * g) + np.fft.irfft2(np.conj(g) * m - 2 * abs(f) ** 2)
    step = np.fft.fftfreq(size, 1 / size) * CELL_M
    distance = np.hypot(step[:, None], step)
    chosen = (distance > 0) & (distance <= cutoff * (1 + 1e-12))
    place = np.ceil(distance[chosen] / (cutoff / N_BINS) * (1 - 1e-12)).astype(int) - 1
    pairs, squares = (np.bincount(place, part[chosen], N_BINS) for part in (n, cross))
    return (squares / (2 * pairs)).tolist()


def _by_skgstat(places: np.ndarray, v: np.ndarray, cutoff: float) -> None:
    import skgstat

    variogram = skgstat.Variogram(places, v, maxlag=cutoff, n_lags=N_BINS, fit_method=None)
    _ = variogram.experimental


def _by_gstools(places: np.ndarray, v: np.ndarray, cutoff: float) -> None:
    import gstools

    gstools.vario_estimate(places.T, v, np.linspace(0, cutoff, N_BINS + 1))


def _in_turn(functions: dict[str, Callable[[], object]]) -> dict[str, float]:
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(ROUNDS):
        for name, function in functions.items():
            # A peer of many seconds is timed once: it is a thousand times too far from the goal to need a median.
            if seconds[name] and seconds[name][0] > 5:
                continue
            start = time.perf_counter()
            function()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(taken) for name, taken in seconds.items()}


def _peak_of_a_wide_map() -> float:
    """Peak memory in GB of a process that does nothing but the semivariogram of 1,000 x 1,000 cells."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.semivariogram", "wide"], capture_output=True, text=True, check=True
    )
    return float(done.stdout)


def _wide() -> None:
    import resource

    columns = _map(WIDE_SIDE, int(0.9 * WIDE_SIDE**2))
    _kernel(_list(CELLS, *columns), _cutoff(WIDE_SIDE))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e9 if sys.platform == "darwin" else 1e6))


if __name__ == "__main__":
    if sys.argv[1:] == ["wide"]:
        _wide()
    else:
        for result in run():
            print(
                f"{result.work} / {result.peer}: {result.ratio:.5f} (goal {result.goal}), {result.seconds:.3f} s, {result.note}"
            )
