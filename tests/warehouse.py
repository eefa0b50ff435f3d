"""A small warehouse for tests: a lake written straight from tables (not by the loaders), a study, and dbt in a process of its own."""

from __future__ import annotations

import gc
import json
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import polars as pl

REPOSITORY = Path(__file__).resolve().parents[1]

# Importing dbt takes longer than most builds of a test: a server imports it once, and every call is a fork of it.
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["dbt.cli.main", "dbt.adapters.duckdb", "udfs.plugin", "loaders.dbt_files"])


@dataclass(frozen=True)
class Finished:
    """A dbt call that has ended: its exit code (negative: the signal that killed it) and what it printed."""

    returncode: int
    stdout: str


def _child(arguments: list[str], environment: dict[str, str], output: str, before: Callable[[], None] | None) -> None:
    from dbt.cli.main import dbtRunner

    # Parsing makes millions of objects that live as long as the process: looking for garbage among them is a fifth of its time.
    gc.disable()

    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(REPOSITORY)
    if before is not None:
        before()
    success = dbtRunner().invoke(arguments).success
    # A fork ends without the destructors that close the database: close it, as the end of a dbt process would.
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager

    DuckDBConnectionManager.close_all_connections()
    sys.exit(0 if success else 1)


def run_dbt(arguments: list[str], environment: dict[str, str], before: Callable[[], None] | None = None) -> Finished:
    """Run one dbt call in a forked process; `before` (picklable) is called in it first."""
    with tempfile.NamedTemporaryFile(suffix=".log") as output:
        process = _FORKS.Process(target=_child, args=(arguments, environment, output.name, before))
        process.start()
        process.join()
        return Finished(process.exitcode, Path(output.name).read_text())


_EMPTY = {
    "regions/region": {
        "region_set": pl.String,
        "region_id": pl.String,
        "name": pl.String,
        "level": pl.Int32,
        "area_km2": pl.Float64,
        "geometry_wkb": pl.Binary,
    },
    "regions/pixel_region": {
        "region_set": pl.String,
        "region_id": pl.String,
        "grid_id": pl.String,
        "pixel_id": pl.Int64,
        "fraction": pl.Float64,
    },
    "weights": {
        "source_grid_id": pl.String,
        "target_grid_id": pl.String,
        "method": pl.String,
        "source_pixel_id": pl.Int64,
        "target_pixel_id": pl.Int64,
        "weight": pl.Float64,
    },
    "stations": {
        "product": pl.String,
        "station_id": pl.String,
        "network": pl.String,
        "name": pl.String,
        "lon": pl.Float64,
        "lat": pl.Float64,
        "elevation_m": pl.Float64,
        "land_cover": pl.String,
        "method": pl.String,
    },
}


# A file of stations has a column for everything that stations measure.
_STATION_COLUMNS = {
    "sensor": pl.String,
    "soil_moisture_m3m3": pl.Float64,
    "soil_moisture_volume_percent": pl.Float64,
    "soil_moisture_mass_percent": pl.Float64,
    "bulk_density_g_cm3": pl.Float64,
    "soil_temperature_c": pl.Float64,
    "air_temperature_c": pl.Float64,
    "precipitation_mm": pl.Float64,
    "quality": pl.String,
    "provider_quality": pl.String,
}


@dataclass
class Warehouse:
    """A lake and a database in `root`, the study they are built for, and how to run dbt on them."""

    root: Path
    study: dict = field(default_factory=dict)

    def __post_init__(self) -> None:
        for folder, schema in _EMPTY.items():
            if not (self.lake / folder / "empty.parquet").is_file():
                self._write(f"{folder}/empty.parquet", pl.DataFrame(schema=schema))

    @property
    def lake(self) -> Path:
        return self.root / "lake"

    @property
    def database(self) -> Path:
        return self.root / "soilhouse.duckdb"

    def _write(self, path: str, frame: pl.DataFrame) -> None:
        target = self.lake / path
        target.parent.mkdir(parents=True, exist_ok=True)
        frame.write_parquet(target)

    def grid(self, grid_id: str, pixels: pl.DataFrame) -> None:
        """Put the pixels of a grid in: columns of `grids/pixels` in docs/architecture.md, without grid_id."""
        frame = pixels.select(
            pl.lit(grid_id).alias("grid_id"),
            pl.col("pixel_id").cast(pl.Int64),
            *(pl.col(name).cast(pl.Int32) for name in ("row_index", "col_index")),
            *(pl.col(name).cast(pl.Float64) for name in ("lon", "lat", "x_m", "y_m", "area_km2")),
        )
        self._write(f"grids/pixels/{grid_id}.parquet", frame)

    def regions(self, region_set: str, grid_id: str, regions: pl.DataFrame, members: pl.DataFrame) -> None:
        """Register regions (region_id, name, level, area_km2) and which pixels they hold (region_id, pixel_id, fraction)."""
        schema = _EMPTY["regions/region"]
        self._write(
            f"regions/region/{region_set}.parquet",
            regions.with_columns(region_set=pl.lit(region_set), geometry_wkb=pl.lit(b"")).select(
                pl.col(name).cast(kind) for name, kind in schema.items()
            ),
        )
        schema = _EMPTY["regions/pixel_region"]
        self._write(
            f"regions/pixel_region/{region_set}__{grid_id}.parquet",
            members.with_columns(region_set=pl.lit(region_set), grid_id=pl.lit(grid_id)).select(
                pl.col(name).cast(kind) for name, kind in schema.items()
            ),
        )

    def product(
        self,
        product: str,
        grid_id: str,
        rows: pl.DataFrame,
        *,
        time_step: str = "day",
        fills: Mapping[str, float] | None = None,
    ) -> None:
        """Put a product in: `rows` has pixel_id, obs_date and its variables; one file a month, as the loaders write.

        Rows of stations have station_id, layers and obs_time too, and may leave out what was not measured.
        """
        if "station_id" in rows.columns:
            missing = {name: kind for name, kind in _STATION_COLUMNS.items() if name not in rows.columns}
            rows = rows.with_columns(pl.lit(None, kind).alias(name) for name, kind in missing.items())
        dates = rows["obs_date"]
        for (year, month), part in rows.group_by(dates.dt.year().alias("y"), dates.dt.month().alias("m")):
            self._write(
                f"raw/{product}/year={year}/month={month:02d}/{product}_{year}-{month:02d}.parquet",
                part.sort("pixel_id", "obs_date"),
            )
        self._catalog(product, grid_id, rows, time_step, fills or {})

    def static(
        self, product: str, grid_id: str, rows: pl.DataFrame, *, fills: Mapping[str, float] | None = None
    ) -> None:
        """Put a product without dates in: `rows` has pixel_id and its variables."""
        self._write(f"raw/{product}/static/{product}.parquet", rows.sort("pixel_id"))
        self._catalog(product, grid_id, rows, "static", fills or {})

    def weights(self, source: str, target: str, pairs: pl.DataFrame, method: str = "nearest") -> None:
        """Put the weights of two grids in: columns source_pixel_id, target_pixel_id and, but for `nearest`, weight."""
        schema = _EMPTY["weights"]
        if "weight" not in pairs.columns:
            pairs = pairs.with_columns(weight=1.0)
        if "overlap_km2" in schema and "overlap_km2" not in pairs.columns:
            pairs = pairs.with_columns(overlap_km2=pl.lit(None, pl.Float64))
        self._write(
            f"weights/{source}__{target}__{method}.parquet",
            pairs.with_columns(
                source_grid_id=pl.lit(source), target_grid_id=pl.lit(target), method=pl.lit(method)
            ).select(pl.col(name).cast(kind) for name, kind in schema.items()),
        )

    def _catalog(
        self, product: str, grid_id: str, rows: pl.DataFrame, time_step: str, fills: Mapping[str, float]
    ) -> None:
        dates = rows["obs_date"] if "obs_date" in rows.columns else pl.Series([None], dtype=pl.Date)
        variables = [name for name in rows.columns if name not in ("pixel_id", "obs_date")]
        text = dict.fromkeys(("title", "format", "source", "citation", "shares_input_with"), "")
        self._write(
            f"catalog/products/{product}.parquet",
            pl.DataFrame(
                {
                    "product": product,
                    "grid_id": grid_id,
                    "time_step": time_step,
                    "kind": "table",
                    "verified": False,
                    **text,
                }
            ),
        )
        self._write(
            f"catalog/variables/{product}.parquet",
            pl.DataFrame(
                {"product": product, "variable": variables, "layer": "surface", "unit": "", "description": ""}
            ),
        )
        self._write(
            f"catalog/columns/{product}.parquet",
            pl.DataFrame(
                {
                    "product": product,
                    "column_name": variables,
                    "dtype": [str(rows[name].dtype).lower() for name in variables],
                    "fill_value": pl.Series([fills.get(name) for name in variables], dtype=pl.Float64),
                    "unit": "",
                    "description": "",
                }
            ),
        )
        self._write(
            f"catalog/granules/{product}.parquet",
            pl.DataFrame(
                {
                    "product": product,
                    "granule": f"{product}.csv",
                    "granule_key": product,
                    "version": "",
                    "sha256": "0" * 64,
                    "first_date": dates.min(),
                    "last_date": dates.max(),
                    "n_months": dates.dt.truncate("1mo").n_unique(),
                }
            ).with_columns(pl.col("n_months").cast(pl.Int32)),
        )

    def environment(self) -> dict[str, str]:
        return os.environ | {"SOILHOUSE_LAKE": str(self.lake), "SOILHOUSE_DB": str(self.database)}

    def dbt_arguments(self, *arguments: str, extra: Mapping | None = None) -> list[str]:
        """The arguments of one dbt call, with the study (and `extra` vars) and folders of its own."""
        return [
            *arguments,
            "--project-dir",
            str(REPOSITORY),
            "--profiles-dir",
            str(REPOSITORY),
            "--target-path",
            str(self.root / "target"),
            "--log-path",
            str(self.root / "logs"),
            "--vars",
            json.dumps({"study": self.study, **(extra or {})}, default=str),
        ]

    def dbt(self, *arguments: str, extra: Mapping | None = None, check: bool = True) -> Finished:
        """Run dbt in a process of its own; with `check` a failure raises AssertionError with dbt's words."""
        done = run_dbt(["--no-use-colors", *self.dbt_arguments(*arguments, extra=extra)], self.environment())
        assert not check or done.returncode == 0, done.stdout[-6000:]
        return done

    def query(self, sql: str, parameters: Sequence | None = None) -> pl.DataFrame:
        """Ask the built database, read-only, as any other process would."""
        with duckdb.connect(str(self.database), read_only=True) as connection:
            return connection.execute(sql, parameters).pl()


def small_grid(n_rows: int, n_cols: int) -> pl.DataFrame:
    """Pixels of a made-up grid, for `Warehouse.grid`."""
    return pl.DataFrame({"pixel_id": range(n_rows * n_cols)}).with_columns(
        row_index=pl.col("pixel_id") // n_cols,
        col_index=pl.col("pixel_id") % n_cols,
        lon=100 + 0.01 * (pl.col("pixel_id") % n_cols),
        lat=40 - 0.01 * (pl.col("pixel_id") // n_cols),
        x_m=1000.0 * (pl.col("pixel_id") % n_cols),
        y_m=-1000.0 * (pl.col("pixel_id") // n_cols),
        area_km2=1.0 + 0.01 * (pl.col("pixel_id") // n_cols),
    )
