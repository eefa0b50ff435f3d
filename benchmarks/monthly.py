"""Monthly aggregation: the SQL of `int_pixel_monthly`, as dbt compiles it, against xarray with flox and DuckDB's plain GROUP BY.

143,000 pixels of a 400 x 400 grid x 366 days of soil moisture as scaled 16-bit integers. Ours reads the lake's month files and computes
min, max, sample standard deviation, total, mean, number of days and of dekads; the peers mean, min, max and standard deviation.
The three run in turn in one process, several times; medians count.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import xarray as xr

from benchmarks import Result
from tests.warehouse import Warehouse, small_grid

SIDE, N_PIXELS, YEAR, FILL = 400, 143_000, 2020, -9999
ROUNDS = 3


def _simulated_cube() -> tuple[np.ndarray, np.ndarray]:
    """Days and a (day, row, column) cube of int16 x 10,000 with fill outside the basin; made up, for its size only."""
    random = np.random.default_rng(1)
    days = np.arange(np.datetime64(f"{YEAR}-01-01"), np.datetime64(f"{YEAR + 1}-01-01"))
    outside = np.ones(SIDE * SIDE, bool)
    outside[random.choice(SIDE * SIDE, N_PIXELS, replace=False)] = False
    field = 600 * np.sin(np.arange(SIDE) / 40)[:, None] * np.cos(np.arange(SIDE) / 55)[None, :]
    cube = np.empty((days.size, SIDE, SIDE), np.int16)
    for day in range(days.size):
        cube[day] = 2500 + field + 400 * np.sin(day / 58) + random.normal(0, 60, (SIDE, SIDE))
    cube.reshape(days.size, -1)[:, outside] = FILL
    return days, cube


def _write_lake(house: Warehouse, days: np.ndarray, cube: np.ndarray) -> None:
    """The cube as the loaders lay it out: a file a month, by pixel and day, narrow types, delta encoding."""
    house.grid("basin", small_grid(SIDE, SIDE))
    first = pl.DataFrame({"pixel_id": [0], "obs_date": [date(YEAR, 1, 1)], "sm": [0]})
    house.product("basin", "basin", first, fills={"sm": FILL})
    pixels = np.flatnonzero(cube[0].ravel() != FILL).astype(np.int32)
    months = days.astype("datetime64[M]")
    for month in np.unique(months):
        of_month = np.flatnonzero(months == month)
        values = np.ascontiguousarray(cube[of_month].reshape(of_month.size, -1)[:, pixels].T)
        table = pa.table(
            {
                "pixel_id": np.repeat(pixels, of_month.size),
                "obs_date": pa.array(np.tile(days[of_month], pixels.size)),
                "sm": values.ravel(),
            }
        )
        folder = house.lake / f"raw/basin/year={YEAR}/month={int(str(month)[-2:]):02d}"
        folder.mkdir(parents=True, exist_ok=True)
        pq.write_table(
            table,
            folder / f"basin_{month}.parquet",
            row_group_size=122_880,
            compression="zstd",
            compression_level=1,
            use_dictionary=False,
            column_encoding=dict.fromkeys(table.column_names, "DELTA_BINARY_PACKED"),
        )


def _write_zarr(folder: Path, days: np.ndarray, cube: np.ndarray) -> None:
    values = np.where(cube == FILL, np.nan, cube * np.float32(1e-4)).astype(np.float32)
    data = xr.Dataset({"sm": (("time", "y", "x"), values)}, coords={"time": days.astype("datetime64[ns]")})
    data.chunk(time=31, y=SIDE // 2, x=SIDE).to_zarr(folder, mode="w", consolidated=False)


def _compiled(house: Warehouse) -> str:
    """The SQL of the model, with its views and tables in the database of `house`."""
    house.study = {
        "name": "benchmark",
        "groups": [],
        "period": {"start": f"{YEAR}-01-01", "end": f"{YEAR + 1}-01-01"},
        "series": [
            {
                "variable": "soil_moisture",
                "product": "basin",
                "layer": "0-5 cm",
                "column": "sm",
                "scale": 1e-4,
                "valid_min": 0,
                "valid_max": 1,
            }
        ],
    }
    house.dbt(
        "build",
        "--select",
        "variables",
        "int_series",
        "stg_custom",
        "int_observed_daily",
        "int_prepared_daily",
        "int_daily",
        "--resource-type",
        "model",
        "seed",
    )
    house.dbt("compile", "--select", "int_pixel_monthly")
    return (house.root / "target/compiled/soilhouse/models/intermediate/int_pixel_monthly.sql").read_text()


def _in_turn(work: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Median seconds of each, run one after the other, ROUNDS times."""
    seconds: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(ROUNDS):
        for name, run in work.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(taken) for name, taken in seconds.items()}


def run() -> list[Result]:
    """Ratios of our seconds to those of xarray with flox, and of DuckDB's GROUP BY over the same files."""
    with tempfile.TemporaryDirectory() as folder:
        house = Warehouse(Path(folder))
        days, cube = _simulated_cube()
        _write_lake(house, days, cube)
        _write_zarr(Path(folder) / "cube.zarr", days, cube)
        del cube
        mart = _compiled(house)
        connection = duckdb.connect(str(house.database), config={"threads": 2, "memory_limit": "4GB"})
        connection.execute("set preserve_insertion_order = false")
        raw = f"read_parquet('{house.lake}/raw/basin/*/*/*.parquet', hive_partitioning = true)"

        def ours() -> None:
            connection.execute(f"create or replace temp table ours as {mart}")

        def plain() -> None:
            connection.execute(
                "create or replace temp table plain as select pixel_id, date_trunc('month', obs_date) as month, avg(sm) as mean, "
                f"min(sm) as min, max(sm) as max, stddev_samp(sm) as sd from {raw} group by all"
            )

        def flox() -> None:
            months = xr.open_zarr(Path(folder) / "cube.zarr", consolidated=False).sm.groupby("time.month")
            xr.Dataset({name: getattr(months, name)() for name in ("mean", "min", "max", "std")}).compute()

        seconds = _in_turn({"ours": ours, "xarray + flox": flox, "DuckDB GROUP BY": plain})
        rows = connection.execute("select count(*) from ours").fetchone()
        assert rows is not None and rows[0] == N_PIXELS * 12
    goals = {"xarray + flox": 0.9, "DuckDB GROUP BY": None}
    return [
        Result(
            work="monthly statistics of 52.3 M pixel-days",
            peer=peer,
            seconds=seconds["ours"],
            peer_seconds=seconds[peer],
            goal=goal,
            note="ours also counts days and dekads",
        )
        for peer, goal in goals.items()
    ]
