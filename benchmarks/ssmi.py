"""The standardised index of a pixel's 252 months at three time scales: the kernel, through DuckDB and called directly, against numpy over
whole arrays and against scipy a calendar month at a time.

numpy has it easy: no gaps, every pixel on the same calendar, running means by cumulative sums, the reference the whole record, z only.
scipy ranks and takes quantiles as Gringorten's form asks, a pixel at a time. Ours gives both forms, with gaps and ties.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import duckdb
import numpy as np
import pyarrow as pa
from scipy import stats

import udfs
from benchmarks import Result
from udfs.ssmi import ssmi
from udfs.types import SERIES

THREADS, BATCH, ROUNDS = 2, 2048, 5
N_MONTHS, ROWS, FEW = 252, 16_384, 64
FIRST = 2000 * 12
SCALES = (1, 3, 6)


def run() -> list[Result]:
    """Ratios for n = 252 and three scales; through DuckDB and the kernel alone, each on two threads."""
    values = 0.25 + 0.03 * np.random.default_rng(1).normal(size=(ROWS, N_MONTHS))
    series = _series(values)
    connection = duckdb.connect()
    connection.execute(f"set threads = {THREADS}")
    udfs.register(connection)
    connection.register("arrow", pa.table({"s": series}))
    connection.execute("create table series as select * from arrow")
    end = FIRST + N_MONTHS
    calls = " union all ".join(
        f"select unnest(ssmi(s, {FIRST}, {end}, {scale})) as found from series" for scale in SCALES
    )
    query = f"select sum(abs(found.ssmi)), sum(abs(found.ssmi_empirical)) from ({calls})"
    parts = [series.slice(start, BATCH) for start in range(0, ROWS, BATCH)]

    def through_duckdb() -> float:
        return connection.execute(query).fetchone()[0]

    def alone() -> float:
        with ThreadPoolExecutor(THREADS) as pool:
            return sum(pool.map(_absolute_sum, parts))

    def by_numpy() -> float:
        return sum(float(np.abs(_z(values, scale)).sum()) for scale in SCALES)

    def by_scipy() -> float:
        return sum(_empirical(row, scale) for row in values[:FEW] for scale in SCALES)

    ours, kernel, numpy, scipy = _times(through_duckdb, alone, by_numpy, by_scipy)
    difference = abs(through_duckdb() / by_numpy() - 1)
    what = f"SSMI-1, -3, -6, both forms, {ROWS:,} pixels x {N_MONTHS} months"
    note = f"{1e6 * ours / ROWS:.1f} us a pixel; sum of |z| agrees to {difference:.0e}"
    whole = scipy * ROWS / FEW
    return [
        Result(f"{what}, through DuckDB", "numpy, z only", ours, numpy, None, note=note),
        Result(
            f"{what}, the kernel alone",
            "numpy, z only",
            kernel,
            numpy,
            None,
            note=f"{1e6 * kernel / ROWS:.1f} us a pixel",
        ),
        Result(f"{what}, through DuckDB", f"scipy, the empirical form, {FEW} pixels scaled", ours, whole, None),
    ]


def _series(values: np.ndarray) -> pa.ListArray:
    rows, n = values.shape
    t = np.tile(np.arange(FIRST, FIRST + n, dtype=np.int32), rows)
    members = pa.StructArray.from_arrays([pa.array(t), pa.array(values.ravel())], fields=list(SERIES.value_type))
    return pa.ListArray.from_arrays(pa.array(np.arange(0, rows * n + 1, n, dtype=np.int32)), members, type=SERIES)


def _absolute_sum(part: pa.ListArray) -> float:
    rows = len(part)
    first, after = (pa.array(np.full(rows, t, np.int32)) for t in (FIRST, FIRST + N_MONTHS))
    total = 0.0
    for scale in SCALES:
        found = ssmi(part, first, after, pa.array(np.full(rows, scale, np.int32)))
        total += float(np.abs(found.values.field("ssmi").to_numpy(zero_copy_only=False)).sum())
    return total


def _means(values: np.ndarray, scale: int) -> np.ndarray:
    sums = np.cumsum(np.insert(values, 0, 0, axis=-1), axis=-1)
    found = np.full(values.shape, np.nan)
    found[..., scale - 1 :] = (sums[..., scale:] - sums[..., :-scale]) / scale
    return found


def _z(values: np.ndarray, scale: int) -> np.ndarray:
    by_year = _means(values, scale).reshape(*values.shape[:-1], -1, 12)
    z = (by_year - np.nanmean(by_year, axis=-2, keepdims=True)) / np.nanstd(by_year, axis=-2, ddof=1, keepdims=True)
    return np.nan_to_num(z)


def _empirical(row: np.ndarray, scale: int) -> float:
    total = 0.0
    for month in _means(row, scale).reshape(-1, 12).T:
        known = month[np.isfinite(month)]
        total += np.abs(stats.norm.ppf((stats.rankdata(known) - 0.44) / (known.size + 0.12))).sum()
    return total


def _times(*calls: Callable[[], float]) -> list[float]:
    taken: list[list[float]] = [[] for _ in calls]
    for call in calls:
        call()
    for _ in range(ROUNDS):
        for call, seconds in zip(calls, taken, strict=True):
            began = time.perf_counter()
            call()
            seconds.append(time.perf_counter() - began)
    return [statistics.median(seconds) for seconds in taken]
