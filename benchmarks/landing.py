"""Landing: 365 daily GeoTIFFs become rows, by our loader and by what people write themselves.

400 x 400 cells, 143,000 of them valid: 52.2 million pixel-days of soil moisture as int16 x 10,000, made up here (smooth
fields that wander from day to day, with noise). Every route reads the same files and ends in Parquet partitioned by year
and month; each runs in a process of its own, so that its peak memory is its own, several times, in turn; medians count.
Ours also checks every file, takes its digest, keeps provenance and the catalogue, and brings its bytes to the disk.

    ours      `loaders.load.load` of a product `raster`, two threads
    xarray    month by month: Dataset -> to_dataframe -> dropna -> to_parquet
    DuckDB    COPY (...) TO ... (PARTITION_BY (year, month)) from a stream of Arrow batches
    polars    lazy frames, sink_parquet partitioned by year and month
"""

from __future__ import annotations

import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from benchmarks import Result

SIDE, N_PIXELS, N_DAYS, YEAR, FILL = 400, 143_000, 365, 2021, -9999
N_ROWS = N_PIXELS * N_DAYS
ROUNDS = 3
# polars has no goal of its own: its files are three times as large, and not in the order of pixels
GOALS = {"xarray": 0.30, "DuckDB COPY": 0.5, "polars sink": None}
GOAL_BYTES, GOAL_GB = 1.35, 0.5


def _field(random: np.random.Generator, roughness: float) -> np.ndarray:
    """A Gaussian random field with a power spectrum k^(-2 roughness), mean 0, standard deviation 1."""
    k = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE)[None])
    k[0, 0] = 1
    spectrum = (random.normal(size=k.shape) + 1j * random.normal(size=k.shape)) * k**-roughness
    spectrum[0, 0] = 0
    field = np.fft.irfft2(spectrum, s=(SIDE, SIDE))
    return (field / field.std()).astype(np.float32)


def write_files(folder: Path) -> None:
    """The year as GeoTIFFs `sm_YYYYMMDD.tif`, EPSG:4326, 0.01 degree, deflate."""
    import rasterio
    from rasterio.transform import from_origin

    random = np.random.default_rng(1)
    base, amplitude, weather = _field(random, 1.8), _field(random, 1.8), _field(random, 1.6)
    row, column = np.mgrid[:SIDE, :SIDE]
    distance = np.hypot(row - SIDE / 2, column - SIDE / 2) + 25 * _field(random, 2.0)
    outside = np.ones(SIDE * SIDE, bool)
    outside[np.argsort(distance.ravel())[:N_PIXELS]] = False
    outside = outside.reshape(SIDE, SIDE)
    folder.mkdir(parents=True)
    for day in range(N_DAYS):
        weather = 0.93 * weather + 0.37 * _field(random, 1.5)
        season = np.sin(2 * np.pi * (day - 110) / 365)
        noise = 0.004 * random.normal(size=(SIDE, SIDE))
        value = np.clip(0.24 + 0.06 * base + (0.05 + 0.015 * amplitude) * season + 0.025 * weather + noise, 0.02, 0.55)
        stored = np.where(outside, FILL, np.round(value * 1e4)).astype(np.int16)
        name = folder / f"sm_{date(YEAR, 1, 1) + timedelta(days=day):%Y%m%d}.tif"
        with rasterio.open(
            name, "w", driver="GTiff", height=SIDE, width=SIDE, count=1, dtype="int16", crs="EPSG:4326",
            transform=from_origin(100, 40, 0.01, 0.01), nodata=FILL, compress="deflate", predictor=2,
        ) as dataset:  # fmt: skip
            dataset.write(stored, 1)


# -- the routes; each returns after its files are written, and is timed without its imports -----------------------------


def _day_of(path: Path) -> np.datetime64:
    text = path.stem.removeprefix("sm_")
    return np.datetime64(f"{text[:4]}-{text[4:6]}-{text[6:]}", "D")


def _ours(files: Path, out: Path) -> Callable[[], None]:
    from loaders.load import load
    from loaders.products import complete, find_product

    mapping = {"variables": [{"name": "soil_moisture", "layer": "0-5 cm", "unit": "m3 m-3"}]}
    paths = sorted(files.glob("*.tif"))
    product = complete(find_product("raster"), "landing", None, mapping, paths)

    def run() -> None:
        report = load(product, [files], out)
        assert report.ok and report.n_rows == N_ROWS, report.counts

    return run


def _xarray(files: Path, out: Path) -> Callable[[], None]:
    import pandas as pd
    import rasterio
    import xarray as xr

    paths = sorted(files.glob("*.tif"))

    def run() -> None:
        months = pd.DatetimeIndex([_day_of(p) for p in paths]).month
        for month in range(1, 13):
            of_month = [p for p, m in zip(paths, months, strict=True) if m == month]
            maps = []
            for path in of_month:
                with rasterio.open(path) as dataset:
                    maps.append(dataset.read(1))
            x, y = 100 + (np.arange(SIDE) + 0.5) * 0.01, 40 - (np.arange(SIDE) + 0.5) * 0.01
            coordinates = {"time": pd.DatetimeIndex([_day_of(p) for p in of_month]), "y": y, "x": x}
            data = xr.Dataset({"sm": (("time", "y", "x"), np.stack(maps))}, coords=coordinates)
            frame = data.where(data.sm != FILL).to_dataframe().dropna().reset_index()
            folder = out / f"year={YEAR}" / f"month={month}"
            folder.mkdir(parents=True)
            frame.to_parquet(folder / "data.parquet", index=False)

    return run


def _maps(files: Path):
    """(pixel numbers, day, values) of every file, the outline taken from the first."""
    import rasterio

    inside = None
    for path in sorted(files.glob("*.tif")):
        with rasterio.open(path) as dataset:
            values = dataset.read(1).ravel()
        if inside is None:
            inside = np.flatnonzero(values != FILL).astype(np.int32)
        yield inside, _day_of(path), values[inside]


def _duckdb(files: Path, out: Path) -> Callable[[], None]:
    import duckdb
    import pyarrow as pa

    schema = pa.schema([("pixel_id", pa.int32()), ("obs_date", pa.date32()), ("value", pa.int16())])

    def batches():
        for pixel, day, values in _maps(files):
            yield pa.record_batch(
                [pa.array(pixel), pa.array(np.full(pixel.size, day)), pa.array(values)], schema=schema
            )

    def run() -> None:
        connection = duckdb.connect(config={"threads": 2, "memory_limit": "12GB"})
        connection.register("source", pa.RecordBatchReader.from_batches(schema, batches()))
        connection.execute(
            f"""copy (select *, year(obs_date) as year, month(obs_date) as month from source)
                to '{out}' (format parquet, partition_by (year, month))"""
        )

    return run


def _polars(files: Path, out: Path) -> Callable[[], None]:
    import polars as pl

    def run() -> None:
        frames = [
            pl.DataFrame({"pixel_id": pixel, "value": values}).lazy().with_columns(obs_date=pl.lit(day.item()))
            for pixel, day, values in _maps(files)
        ]
        rows = pl.concat(frames).with_columns(year=pl.col("obs_date").dt.year(), month=pl.col("obs_date").dt.month())
        rows.sink_parquet(pl.PartitionBy(out, key=["year", "month"], include_key=False), mkdir=True)

    return run


ROUTES = {"ours": _ours, "xarray": _xarray, "DuckDB COPY": _duckdb, "polars sink": _polars}


def _one(route: str, files: Path, out: Path) -> dict[str, float]:
    """Run a route in this process: seconds, peak memory in GB, bytes a row."""
    run = ROUTES[route](files, out)
    start = time.perf_counter()
    run()
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e9 if sys.platform == "darwin" else 1e6)
    below = out / "raw" if route == "ours" else out
    size = sum(p.stat().st_size for p in below.rglob("*.parquet"))
    return {"seconds": seconds, "peak_gb": peak, "bytes_per_row": size / N_ROWS}


def _in_own_process(route: str, files: Path, out: Path) -> dict[str, float]:
    shutil.rmtree(out, ignore_errors=True)
    command = [sys.executable, "-m", "benchmarks.landing", route, str(files), str(out)]
    done = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{route}: {done.stderr.strip()}")
    return json.loads(done.stdout.splitlines()[-1])


def measure(rounds: int = ROUNDS) -> dict[str, dict[str, float]]:
    """By route: median seconds, largest peak memory in GB, bytes a row."""
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder) / "files"
        write_files(files)
        runs: dict[str, list[dict[str, float]]] = {route: [] for route in ROUTES}
        for _ in range(rounds):
            for route in ROUTES:
                runs[route].append(_in_own_process(route, files, Path(folder) / "out"))
    return {
        route: {
            "seconds": statistics.median(r["seconds"] for r in taken),
            "peak_gb": max(r["peak_gb"] for r in taken),
            "bytes_per_row": taken[0]["bytes_per_row"],
        }
        for route, taken in runs.items()
    }


def run() -> list[Result]:
    """Ratios of our seconds to the peers', with our peak memory and bytes a row."""
    measured = measure()
    ours = measured["ours"]
    results = []
    for peer, goal in GOALS.items():
        theirs = measured[peer]
        note = (
            f"{ours['bytes_per_row']:.2f} bytes a row (goal {GOAL_BYTES}; {peer} {theirs['bytes_per_row']:.2f}), "
            f"{ours['peak_gb']:.2f} GB (goal {GOAL_GB}; {peer} {theirs['peak_gb']:.2f})"
        )
        results.append(
            Result(
                work="land 52.2 M rows from 365 GeoTIFFs",
                peer=peer,
                seconds=ours["seconds"],
                peer_seconds=theirs["seconds"],
                goal=goal,
                peak_gb=ours["peak_gb"],
                note=note,
            )
        )
    return results


if __name__ == "__main__":
    print(json.dumps(_one(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))))
