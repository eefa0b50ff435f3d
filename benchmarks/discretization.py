"""Natural breaks of a map: all numbers of classes up to 10, exact, of 143,000 values, against ckwrap, mapclassify and jenkspy.

The peers give one number of classes a call, so each is timed at 6 classes once, and ckwrap, the fastest, also at all of
them. Values that all differ are the hardest case; those in whole units of 0.01 are what data are like. Ours and the peer
run in turn on one input; medians of the rounds count. mapclassify and jenkspy take time by the square of the number of
values: they get a part, and their time is not scaled.
"""

from __future__ import annotations

import importlib
import statistics
import time
from collections.abc import Callable

import numpy as np
import pyarrow as pa

from benchmarks import Result
from udfs.discretization import candidate_breaks

N, PART, ROUNDS = 143_000, 3_000, 5
K_MIN, K_MAX, K = 2, 10, 6


def run() -> list[Result]:
    """Ratios for values that all differ and for values in units of 0.01; every peer that can be imported."""
    values = 0.25 + 0.08 * np.random.default_rng(0).normal(size=N)
    skewed = np.round(np.random.default_rng(1).gamma(1.5, 30.0, N), 2)
    results = []
    for name, x in (("all different", values), (f"{np.unique(skewed).size:,} different", skewed)):
        for peer, k_range in (("one k", [K]), ("all k", range(K_MIN, K_MAX + 1))):
            results += _against("ckwrap", peer, x, name, lambda m, x, ks=k_range: [m.ckmeans(x, k) for k in ks])
    results += _against("mapclassify", "one k", values[:PART], "", lambda m, x: m.FisherJenks(x, K))
    results += _against("jenkspy", "one k", values[:PART], "", lambda m, x: m.jenks_breaks(x, K))
    return results


def _against(
    package: str, what: str, x: np.ndarray, kind: str, call: Callable[[object, np.ndarray], object]
) -> list[Result]:
    try:
        module = importlib.import_module(package)
    except ImportError:
        return []
    ours, theirs = _times(lambda: _natural(x), lambda: call(module, x))
    return [
        Result(
            work=f"natural breaks, {len(x):,} values" + (f", {kind}" if kind else ""),
            peer=f"{package}, {what}",
            seconds=ours,
            peer_seconds=theirs,
            goal=0.05 if what == "all k" else None,
            note=f"ours: all k from {K_MIN} to {K_MAX}",
        )
    ]


def _natural(x: np.ndarray) -> int:
    number = [pa.array([value], pa.int32()) for value in (K_MIN, K_MAX, 1)]
    return len(candidate_breaks(pa.array([x]), pa.array(["natural"]), *number)[0])


def _times(*calls: Callable[[], object]) -> list[float]:
    """The median time of each, called in turn; the first round warms up."""
    rounds = []
    for _ in range(ROUNDS + 1):
        times = []
        for call in calls:
            start = time.perf_counter()
            call()
            times.append(time.perf_counter() - start)
        rounds.append(times)
    return [statistics.median(column) for column in zip(*rounds[1:], strict=True)]
