"""The geographical detector: the SQL of the models, as dbt compiles it, against DuckDB's GROUP BY a combination, numpy and a long self-join.

143,000 pixels of a 400 x 400 grid, 15 factors without dates, 5 methods x 3 to 10 strata, 12 months: 7,200 q, and 105 interactions a month. dbt
builds the whole group once (its peak memory is that of the process, permutations included); then the models behind the candidates, and those
behind the interactions, run again in this process, in turn with the peers, on the tables that the build left. The peers get the strata of every
candidate ready-made; ours begin with the breaks.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import duckdb
import numpy as np
import polars as pl

import udfs
from benchmarks import Result
from tests.marts.drivers_world import MARTS
from tests.warehouse import Warehouse, small_grid

SIDE, N_PIXELS, N_FACTORS, N_MONTHS, K_MIN, K_MAX = 400, 143_000, 15, 12, 3, 10
THREADS = 2
ROUNDS = 3
CANDIDATE_MODELS = ("int_pixel_cell_static", "int_cell_moments", "int_factor_candidate")
PAIR_MODELS = ("int_pair_moments", "int_pair_q")


def _world(house: Warehouse, permutations: int) -> tuple[np.ndarray, np.ndarray]:
    """Write the lake; (pixels, factors) and (pixels, months) of made-up values, with ties in one factor in three."""
    rng = np.random.default_rng(1)
    pixel = np.sort(rng.choice(SIDE * SIDE, N_PIXELS, replace=False))
    x = rng.gamma(2, 1, (N_PIXELS, N_FACTORS))
    x[:, ::3] = np.round(x[:, ::3], 1)
    signal = 0.3 + 0.02 * np.log(x[:, :5] + 0.5).sum(axis=1)
    y = signal[:, None] + 0.05 * rng.standard_normal((N_PIXELS, N_MONTHS))
    house.grid("basin", small_grid(SIDE, SIDE))
    months = [date(2020, month + 1, 1) for month in range(N_MONTHS)]
    rows = pl.DataFrame(
        {
            "pixel_id": np.repeat(pixel.astype(np.int32), N_MONTHS),
            "obs_date": pl.Series(months * N_PIXELS, dtype=pl.Date),
            "sm": y.ravel(),
        }
    )
    house.product("basin", "basin", rows, time_step="month")
    names = [f"f{j:02d}" for j in range(N_FACTORS)]
    house.static("land", "basin", pl.DataFrame({"pixel_id": pixel} | dict(zip(names, x.T, strict=True))))
    house.study = {
        "name": "bench",
        "groups": ["drivers"],
        "period": {"start": date(2020, 1, 1), "end": date(2021, 1, 1)},
        "series": [{"variable": "soil_moisture", "product": "basin", "layer": "0-5 cm", "column": "sm"}],
        "factors": [{"factor": name, "product": "land", "column": name} for name in names],
        "drivers": {"periods": ["month"], "k_min": K_MIN, "k_max": K_MAX, "permutations": permutations},
    }
    return x, y


def _build(house: Warehouse) -> float:
    """Build the marts with dbt in a process of its own; its peak memory in GB."""
    selected = ("--select", *(f"+{mart}" for mart in MARTS), "--exclude-resource-type", "test", "unit_test")
    command = [sys.executable, "-c", "from dbt.cli.main import cli; cli()", *house.dbt_arguments("build", *selected)]
    process = subprocess.Popen(command, env=house.environment(), stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise RuntimeError(f"dbt ended with {os.waitstatus_to_exitcode(status)}; see {house.root / 'logs'}")
    return usage.ru_maxrss / (1e9 if sys.platform == "darwin" else 1e6)


def _statements(house: Warehouse, models: tuple[str, ...]) -> list[str]:
    """The SQL of the models, each as a temporary table in the place of the one that is there."""
    folder = house.root / "target/compiled/soilhouse/models/intermediate"
    found = []
    for model in models:
        text = (folder / f"{model}.sql").read_text()
        text = text.replace("__first_of_batch__", "1").replace("__last_of_batch__", "1000000")
        found.append(f"create or replace temp table of_{model} as {text}")
    return found


def _median_seconds(functions: dict[str, Callable[[], object]], rounds: int = ROUNDS) -> dict[str, float]:
    """All of them in turn, `rounds` times."""
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(times) for name, times in seconds.items()}


def run() -> list[Result]:
    """Ratios for 7,200 candidates and 1,260 interactions, and the peak memory of the whole build."""
    with tempfile.TemporaryDirectory() as folder:
        house = Warehouse(Path(folder))
        x, y = _world(house, permutations=9)
        started = time.perf_counter()
        peak = _build(house)
        build_seconds = time.perf_counter() - started
        connection = duckdb.connect(str(house.database), config={"threads": THREADS, "memory_limit": "4GB"})
        udfs.register(connection)
        connection.execute("set preserve_insertion_order = false")
        return [
            *_candidates(house, connection, x, y, peak, build_seconds),
            *_interactions(house, connection, peak),
        ]


def _candidates(
    house: Warehouse, connection: duckdb.DuckDBPyConnection, x: np.ndarray, y: np.ndarray, peak: float, build: float
) -> list[Result]:
    statements = _statements(house, CANDIDATE_MODELS)
    uppers = connection.execute(
        "select factor_id, method, n_strata_asked, list(upper order by stratum) from intermediate.int_factor_cuts"
        " where method <> 'cells' group by all order by all"
    ).fetchall()
    strata = [
        np.searchsorted(np.array(ends)[:-1], x[:, factor - 1], side="left").astype(np.uint8)
        for factor, _, _, ends in uppers
    ]
    labels = [f"s{i}" for i in range(len(strata))]
    months = [f"y{m}" for m in range(N_MONTHS)]
    columns = pl.DataFrame(dict(zip(labels, strata, strict=True)) | dict(zip(months, y.T, strict=True)))
    connection.register("given", columns.to_arrow())
    connection.execute("create temp table ready as select * from given")
    n_q = len(strata) * N_MONTHS
    part = slice(0, len(labels), 10)

    def ours() -> float:
        for statement in statements:
            connection.execute(statement)
        return sum(
            q
            for (q,) in connection.execute(
                "select sum(q) from of_int_factor_candidate group by factor_id, method, n_strata_asked"
                " order by factor_id, method, n_strata_asked"
            ).fetchall()[part]
        )

    def by_duckdb() -> float:
        total = 0.0
        for label in labels[part]:
            for month in months:
                total += connection.execute(
                    f"select 1 - sum(n * v) / (sum(n * v) + sum(n * (m - g) * (m - g))) from (select *, sum(n * m) over () / sum(n) over () as g"
                    f" from (select count(*) as n, avg({month}) as m, var_pop({month}) as v from ready group by {label}))"
                ).fetchone()[0]
        return total

    def by_numpy() -> float:
        total = 0.0
        for stratum in strata[part]:
            counts = np.bincount(stratum)
            for values in y.T:
                d = values - values.mean()
                between = (np.bincount(stratum, d, counts.size) ** 2 / np.maximum(counts, 1)).sum()
                total += between / (d @ d)
        return total

    np.testing.assert_allclose(ours(), by_duckdb(), rtol=1e-9)
    seconds = _median_seconds({"ours": ours, "duckdb": by_duckdb, "numpy": by_numpy})
    work = f"{n_q:,} q, {N_PIXELS:,} pixels x {N_FACTORS} factors x {N_MONTHS} months"
    share = len(labels) / len(labels[part])
    return [
        Result(work, "DuckDB, a GROUP BY a combination, strata given", seconds["ours"], seconds["duckdb"] * share, 0.35, peak, f"one in ten combinations, scaled; their q agree; whole build {build:.0f} s, peak memory that of dbt"),
        Result(work, "numpy, bincount a combination, strata given", seconds["ours"], seconds["numpy"] * share, None, peak, "one in ten combinations, scaled"),
        *_peers(strata, y, seconds["ours"], n_q, peak, work),
    ]  # fmt: skip


def _peers(strata: list[np.ndarray], y: np.ndarray, ours: float, n_q: int, peak: float, work: str) -> list[Result]:
    """py-geodetector, where it is installed: one q, times as many as there are."""
    try:
        import pandas as pd
        from py_geodetector import GeoDetector
    except ImportError:
        return []
    frame = pd.DataFrame({"y": y[:, 0], "s": strata[0]})

    def one() -> object:
        return GeoDetector(frame, "y", ["s"]).factor_dector()

    seconds = _median_seconds({"one": one}, 1)["one"]
    return [Result(work, "py-geodetector, factor detector", ours, seconds * n_q, None, peak, "one q, scaled to all")]


def _interactions(house: Warehouse, connection: duckdb.DuckDBPyConnection, peak: float) -> list[Result]:
    statements = _statements(house, PAIR_MODELS)
    long_form = " union all ".join(
        f"select driver_map_id, pixel_id, {j} as factor, stratum_{j} as stratum, deviation from intermediate.int_pixel_strata"
        for j in range(1, N_FACTORS + 1)
    )

    def ours() -> int:
        for statement in statements:
            connection.execute(statement)
        return connection.execute("select count(*) from of_int_pair_moments").fetchone()[0]

    def self_join() -> int:
        return (
            connection.execute(
                f"""
            create or replace temp table pairs as with long_form as ({long_form})
            select a.driver_map_id, a.factor as factor_1, b.factor as factor_2, a.stratum as stratum_1, b.stratum as stratum_2,
                count(*) as n, sum(a.deviation) as s, sum(a.deviation * a.deviation) as ss
            from long_form as a join long_form as b
                on a.driver_map_id = b.driver_map_id and a.pixel_id = b.pixel_id and a.factor < b.factor
            group by all
            """
            ).fetchall()
            and connection.execute("select count(*) from pairs").fetchone()[0]
        )

    assert ours() == self_join()
    seconds = _median_seconds({"ours": ours, "join": self_join})
    n = N_FACTORS * (N_FACTORS - 1) // 2
    return [
        Result(
            f"{n} interactions x {N_MONTHS} months, {N_PIXELS:,} pixels",
            "DuckDB, long self-join",
            seconds["ours"],
            seconds["join"],
            0.2,
            peak,
            "strata of the pixels given to both; as many combinations; ours to q, the join to the sums",
        )
    ]


if __name__ == "__main__":
    for result in run():
        print(
            f"{result.work} / {result.peer}: {result.ratio:.4f} (goal {result.goal}), {result.seconds:.3f} s, {result.peak_gb} GB, {result.note}"
        )
