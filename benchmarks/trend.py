"""Trends and gap filling: the kernels, through DuckDB and called directly, against pymannkendall, scipy and numpy over whole arrays.

Annual series (n = 21), monthly series (n = 252; also the tests for seasons and for autocorrelation), daily series of a year with 15 %
missing. Each peer does what it is made for: pymannkendall and scipy a series at a time, numpy 5,000 series at a time (S and the median slope
only, no interval, no ties; gaps filled from both neighbours, then scipy's filter). Ours and the peer run in turn on one input; medians of
the rounds count. Peers that take a millisecond a series get a part of the input, and their time is scaled to all of it. Peak memory is that
of the process, peers included.
"""

from __future__ import annotations

import statistics
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import duckdb
import numpy as np
import pyarrow as pa
import pymannkendall
from scipy import stats
from scipy.signal import savgol_filter

import udfs
from benchmarks import Result
from udfs.preparation import fill_gaps, savitzky_golay
from udfs.trend import mann_kendall, theil_sen
from udfs.types import SERIES

THREADS = 2
BATCH = 2048
"""Rows DuckDB hands to a kernel at once."""

ROUNDS = 5
HALF_WIDTH, ORDER, MAX_GAP = 5, 4, 15


def run() -> list[Result]:
    """Ratios for n = 21, n = 252 and gap filling; each through DuckDB on two threads, and the kernel alone on two threads."""
    return [*_trend(21, 245_760), *_trend(252, 8_192), *_variants(252, 8_192), *_preparation(365, 16_384)]


def _trend(n: int, rows: int) -> list[Result]:
    rng = np.random.default_rng(1)
    values = 0.25 + 0.03 * rng.normal(size=(rows, n)) + 0.001 * np.arange(n)
    series = _series(np.tile(np.arange(n, dtype=np.int32), rows), values.ravel(), np.full(rows, n))
    query = "select sum((mann_kendall(s)).s), sum((theil_sen(s)).slope) from series"
    connection = _session(series)
    parts = _batches(series)

    def through_duckdb() -> tuple[float, float]:
        return connection.execute(query).fetchone()

    def alone() -> tuple[float, float]:
        done = _on_threads(lambda part: (mann_kendall(part), theil_sen(part)), parts)
        return (
            sum(int(np.asarray(test.field("s")).sum()) for test, _ in done),
            sum(float(np.asarray(line.field("slope")).sum()) for _, line in done),
        )

    few = values[: 12_000 // n]

    def by_pymannkendall() -> tuple[float, float]:
        tests = [pymannkendall.original_test(v) for v in few]
        return sum(test.s for test in tests), sum(test.slope for test in tests)

    def by_scipy() -> tuple[float, float]:
        steps = np.arange(n)
        lines = [(stats.kendalltau(steps, v), stats.theilslopes(v, steps)) for v in few]
        return np.nan, sum(line.slope for _, line in lines)

    def by_numpy() -> tuple[float, float]:
        first, second = np.triu_indices(n, 1)
        s = slope = 0.0
        for start in range(0, rows, 5000):
            rise = values[start : start + 5000, second] - values[start : start + 5000, first]
            s += np.sign(rise).sum()
            slope += np.median(rise / (second - first), axis=1).sum()
        return s, slope

    peers = {"pymannkendall": (by_pymannkendall, rows / len(few), 0.0015 if n == 21 else 0.01)}
    if n == 21:
        peers["numpy, S and median slope only"] = (by_numpy, 1.0, 0.15)
    else:
        peers["scipy"] = (by_scipy, rows / len(few), 0.04)
    _same(alone(), through_duckdb())
    if n == 21:
        _same(alone(), by_numpy())
    one = _series(np.tile(np.arange(n, dtype=np.int32), len(few)), few.ravel(), np.full(len(few), n))
    _same(_sums(mann_kendall(one), theil_sen(one)), by_pymannkendall())
    work = f"Mann-Kendall and Theil-Sen, n = {n}, {rows:,} series"
    return _compare(work, {"through DuckDB": through_duckdb, "kernel alone": alone}, peers)


def _variants(n: int, rows: int) -> list[Result]:
    """The tests for series with a season or with memory, each beside the same test of pymannkendall; no goals, for orientation."""
    rng = np.random.default_rng(3)
    values = 0.25 + 0.05 * np.sin(np.arange(n) / 12 * 2 * np.pi) + 0.03 * rng.normal(size=(rows, n))
    connection = _session(_series(np.tile(np.arange(n, dtype=np.int32), rows), values.ravel(), np.full(rows, n)))
    few = values[:24]
    tests = {
        "seasonal_kendall": ("seasonal_kendall(s, 12)", lambda v: pymannkendall.seasonal_test(v, 12)),
        "hamed_rao": ("hamed_rao(s)", pymannkendall.hamed_rao_modification_test),
        "trend_free_prewhitening": (
            "trend_free_prewhitening(s)",
            pymannkendall.trend_free_pre_whitening_modification_test,
        ),
    }
    results: list[Result] = []
    for name, (call, peer) in tests.items():

        def through_duckdb(call: str = call) -> tuple[float, float]:
            return connection.execute(f"select sum(t.s), sum(t.slope) from (select {call} as t from series)").fetchone()

        def by_pymannkendall(peer: Callable = peer) -> tuple[float, float]:
            found = [peer(v) for v in few]
            return sum(test.s for test in found), sum(test.slope for test in found)

        first = connection.execute(
            f"select sum(t.s), sum(t.slope) from (select {call} as t from (select s from series limit {len(few)}))"
        ).fetchone()
        _same(first, by_pymannkendall())
        results += _compare(
            f"{name}, n = {n}, {rows:,} series",
            {"through DuckDB": through_duckdb},
            {"pymannkendall": (by_pymannkendall, rows / len(few), None)},
        )
    return results


def _preparation(n: int, rows: int) -> list[Result]:
    rng = np.random.default_rng(2)
    values = 0.25 + 0.1 * np.sin(np.arange(n) / 58) + 0.03 * rng.normal(size=(rows, n))
    values[rng.random((rows, n)) < 0.15] = np.nan
    values[:, [0, -1]] = 0.25  # numpy's filling has no ends of its own
    known = ~np.isnan(values)
    steps = np.tile(np.arange(n, dtype=np.int32), rows)
    series = _series(steps[known.ravel()], values[known], known.sum(axis=1))
    connection = _session(series)
    connection.execute(
        "create table days as select [{'t': x.t, 'v': x.v, 'is_frozen': null::boolean} for x in s]"
        "::STRUCT(t INTEGER, v DOUBLE, is_frozen BOOLEAN)[] as s from series"
    )
    parts = _batches(series)
    last: dict[str, float] = {}

    def through_duckdb() -> float:
        # The length of the result and not its sum: summing a list in SQL takes longer than making it.
        return connection.execute(
            f"select sum(len(prepare_series(s, true, 0, 0, false, {MAX_GAP}, {HALF_WIDTH}, {ORDER}))) from days"
        ).fetchone()[0]

    def one_batch(part: pa.ListArray) -> tuple[int, float]:
        constant = [pa.array(np.full(len(part), value, np.int32)) for value in (MAX_GAP, HALF_WIDTH, ORDER)]
        whole = fill_gaps(part, constant[0])
        t, v, _ = whole.values.flatten()
        plain = pa.ListArray.from_arrays(
            whole.offsets, pa.StructArray.from_arrays([t, v], fields=list(SERIES.value_type)), type=SERIES
        )
        smooth = savitzky_golay(plain, *constant[1:])
        return len(smooth.values), float(smooth.values.field("v").to_numpy().sum())

    def alone() -> float:
        done = _on_threads(one_batch, parts)
        last["ours"] = sum(total for _, total in done)
        return sum(length for length, _ in done)

    def by_numpy() -> float:
        last["numpy"] = 0.0
        length = 0
        for start in range(0, rows, 2000):
            smooth = savgol_filter(_fill(values[start : start + 2000]), 2 * HALF_WIDTH + 1, ORDER, axis=1)
            last["numpy"] += smooth.sum()
            length += smooth.size
        return length

    _same((alone(),), (through_duckdb(),))
    _same((alone(), last["ours"]), (by_numpy(), last["numpy"]))
    work = f"gap filling and Savitzky-Golay, {n} days, {rows:,} series"
    return _compare(
        work,
        {"through DuckDB": through_duckdb, "kernels alone": alone},
        {"numpy and scipy over arrays": (by_numpy, 1.0, 0.15)},
    )


def _fill(values: np.ndarray) -> np.ndarray:
    """Linear filling of every gap, all series at once; as short as it goes in numpy."""
    days = np.arange(values.shape[1])
    known = ~np.isnan(values)
    left = np.maximum.accumulate(np.where(known, days, 0), axis=1)
    right = np.minimum.accumulate(np.where(known, days, days[-1])[:, ::-1], axis=1)[:, ::-1]
    before, after = np.take_along_axis(values, left, 1), np.take_along_axis(values, right, 1)
    return before + (after - before) * ((days - left) / np.maximum(right - left, 1))


def _compare(
    work: str, ours: dict[str, Callable[[], object]], peers: dict[str, tuple[Callable[[], object], float, float | None]]
) -> list[Result]:
    """All of them in turn, ROUNDS times; a peer is (function, what its time is multiplied by, goal)."""
    functions = {**ours, **{name: function for name, (function, _, _) in peers.items()}}
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(ROUNDS):
            for name, function in functions.items():
                start = time.perf_counter()
                function()
                seconds[name].append(time.perf_counter() - start)
    middle = {name: statistics.median(times) for name, times in seconds.items()}
    return [
        Result(
            f"{work}, {way}",
            peer,
            middle[way],
            middle[peer] * factor,
            goal,
            note=f"{THREADS} threads, the peer 1; results agree",
        )
        for way in ours
        for peer, (_, factor, goal) in peers.items()
    ]


def _series(t: np.ndarray, v: np.ndarray, lengths: np.ndarray) -> pa.ListArray:
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    members = pa.StructArray.from_arrays([pa.array(t), pa.array(v)], fields=list(SERIES.value_type))
    return pa.ListArray.from_arrays(pa.array(offsets), members, type=SERIES)


def _session(series: pa.ListArray) -> duckdb.DuckDBPyConnection:
    """A session with the series in a table. Row groups are small, so that a short table is read on every thread."""
    connection = duckdb.connect(config={"threads": THREADS})
    udfs.register(connection)
    connection.execute("attach ':memory:' as data (row_group_size 4096)")
    connection.execute("use data")
    connection.register("given", pa.table({"s": series}))
    connection.execute("create table series as select s from given")
    return connection


def _batches(series: pa.ListArray) -> list[pa.ListArray]:
    return [series.slice(start, BATCH) for start in range(0, len(series), BATCH)]


def _on_threads(function: Callable[[pa.ListArray], object], parts: list[pa.ListArray]) -> list:
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(function, parts))


def _sums(test: pa.StructArray, line: pa.StructArray) -> tuple[int, float]:
    return int(test.field("s").to_numpy().sum()), float(line.field("slope").to_numpy().sum())


def _same(ours: tuple, theirs: tuple) -> None:
    """AssertionError unless the results agree: a benchmark of something else says nothing."""
    np.testing.assert_allclose(np.array(ours, float), np.array(theirs, float), rtol=1e-9)


if __name__ == "__main__":
    for result in run():
        print(f"{result.work} / {result.peer}: {result.ratio:.4f} (goal {result.goal}), {result.seconds:.3f} s")
