"""A generated warehouse for the marts of validation: two grids, two products and a copy of one, rain, stations of two networks at two depths."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import numpy as np
import polars as pl

from loaders.grids import GRIDS
from tests.warehouse import Warehouse, small_grid

START, END = date(2018, 1, 1), date(2020, 1, 1)
DAYS = pl.date_range(START, END, closed="left", eager=True)
N_ROWS, N_COLS, SCALE = 8, 12, 4
N_FINE, N_COARSE = N_ROWS * N_COLS, N_ROWS * N_COLS // SCALE**2
HOURS = (6, 9)
UTC_OF_LOCAL = timedelta(hours=-8)  # Asia/Shanghai
RAIN_DAYS = (20, 60, 100, 106, 150, 205, 300, 420, 421, 500)
FILL = -9999.0
# Grids of other shapes, with a product each that nothing is asked of, and places that have no readings: where stations lie.
OTHER_GRIDS = ("ease2_m36", "ease2_m09", "latlon_0p1", "modis_sin_1km")
N_PLACES = 60

# station: network, pixel of the fine grid, offset from its centre in cells (east, south), layers, unit of the file
STATIONS = {
    "a1": ("A", 0, (0.0, 0.0), ((0.0, 5.0), (10.0, 10.0)), "volume"),
    "a2": ("A", 15, (0.48, 0.0), ((0.0, 10.0),), "volume"),
    "a3": ("A", 30, (-0.3, -0.49), ((20.0, 20.0), (2.5, 2.5)), "volume"),
    "b1": ("B", 71, (0.1, 0.4), ((0.0, 5.0),), "percent"),
    "b2": ("B", 95, (0.0, 0.2), ((0.0, 5.0),), "mass"),
    "b3": ("B", 50, (0.0, 0.0), ((0.0, 5.0),), "mass without density"),
    "deep": ("B", 52, (0.0, 0.0), ((40.0, 60.0),), "volume"),
    "outside": ("B", 11, (0.6, 0.0), ((0.0, 5.0),), "volume"),
}
INSIDE = {
    "west": [p for p in range(N_FINE) if p % N_COLS < 6],
    "all_of_it": list(range(N_FINE)),
}
INSIDE_COARSE = {"west": [0, 3], "all_of_it": list(range(N_COARSE))}


class World:
    """The values as they were written, NaN where there is none: (pixels, days); stations (days) by name and layer."""

    def __init__(self, house: Warehouse) -> None:
        self.house = house
        rng = np.random.default_rng(7)
        n = len(DAYS)
        day = np.arange(n)
        row, col = np.divmod(np.arange(N_FINE), N_COLS)
        self.under = row // SCALE * (N_COLS // SCALE) + col // SCALE
        self.area = 1.0 + 0.01 * row
        rain = np.zeros(n)
        rain[list(RAIN_DAYS)] = [14, 18, 25, 30, 12, 22, 16, 19, 15, 40]
        rain[99] = 2.0  # the gap before day 100 is not dry
        self.rain = np.round(rain[None, :] * (1 + 0.1 * (col[:, None] % 2)), 2)
        memory = np.zeros(n)
        for i in range(1, n):
            memory[i] = 0.85 * memory[i - 1] + 0.002 * rain[i]
        weather = np.zeros(n)
        for i in range(1, n):
            weather[i] = 0.9 * weather[i - 1] + rng.normal(0, 0.006)
        season = 0.05 * np.cos(2 * np.pi * (day - 200) / 365.25)
        self.truth = 0.22 + 0.002 * col[:, None] + season + memory + weather + rng.normal(0, 0.004, (N_FINE, n))
        model = 0.9 * self.truth + 0.04 + rng.normal(0, 0.012, (N_FINE, n))
        model[5, :] = np.nan
        model[:, 400] = np.nan
        coarse = np.stack(
            [
                np.average(self.truth[self.under == k], axis=0, weights=self.area[self.under == k])
                for k in range(N_COARSE)
            ]
        )
        satellite = coarse - 0.03 + rng.normal(0, 0.02, coarse.shape)
        satellite[rng.random(coarse.shape) < 0.4] = np.nan
        self.values = {
            "model": model,
            "satellite": satellite,
            "rain": self.rain,
            "third": coarse * 1.2 + rng.normal(0, 0.015, coarse.shape),
        }
        self.stations: dict[tuple[str, tuple[float, float]], np.ndarray] = {}
        self._write(rng)

    def _write(self, rng: np.random.Generator) -> None:
        house = self.house
        fine, coarse = small_grid(N_ROWS, N_COLS), small_grid(N_ROWS // SCALE, N_COLS // SCALE)
        coarse = coarse.with_columns(
            lon=100.015 + 0.04 * pl.col("col_index"), lat=39.985 - 0.04 * pl.col("row_index"), area_km2=16.3
        )
        house.grid("fine", fine)
        house.grid("coarse", coarse)
        pairs = pl.DataFrame({"target_pixel_id": np.arange(N_FINE), "source_pixel_id": self.under})
        house.weights("coarse", "fine", pairs)
        centres = {k: int(np.flatnonzero(self.under == k)[10]) for k in range(N_COARSE)}
        house.weights(
            "fine",
            "coarse",
            pl.DataFrame({"target_pixel_id": list(centres), "source_pixel_id": list(centres.values())}),
        )
        for name, values in self.values.items():
            pixels = len(values)
            rows = pl.DataFrame(
                {
                    "pixel_id": np.repeat(np.arange(pixels, dtype=np.int32), len(DAYS)),
                    "obs_date": pl.concat([DAYS] * pixels),
                    "value": np.where(np.isnan(values), FILL, values).ravel(),
                }
            )
            if name == "satellite":  # its files carry the date of the day after: `day_offsets` of the study
                rows = rows.with_columns(pl.col("obs_date").dt.offset_by("1d"))
            house.product(name, "fine" if pixels == N_FINE else "coarse", rows, fills={"value": FILL})
            catalog = house.lake / "catalog" / "products" / f"{name}.parquet"
            shares = {"third": "model, other"}.get(name, "")
            pl.read_parquet(catalog).with_columns(shares_input_with=pl.lit(shares)).write_parquet(catalog)
        regions = pl.DataFrame({"region_id": list(INSIDE), "name": list(INSIDE), "level": [1, 0], "area_km2": 1.0})
        for grid, members in (("fine", INSIDE), ("coarse", INSIDE_COARSE)):
            house.regions(
                "parts",
                grid,
                regions,
                pl.DataFrame(
                    [{"region_id": r, "pixel_id": p, "fraction": 1.0} for r, ps in members.items() for p in ps]
                ),
            )
        self._write_other_grids()
        self._write_stations(rng)

    def _write_other_grids(self) -> None:
        for name in OTHER_GRIDS:
            grid = GRIDS[name]
            (first_row, last_row), (first_col, last_col) = (
                sorted(numbers) for numbers in grid.locate([99.5, 100.5], [40.5, 39.5], tolerance=None)[:2]
            )
            row, col = (
                a.ravel()
                for a in np.meshgrid(np.arange(first_row - 2, last_row + 3), np.arange(first_col - 2, last_col + 3))
            )
            (lon, lat), (x, y) = grid.lonlat_of(row, col), grid.metres_of(row, col)
            pixels = pl.DataFrame(
                {
                    "pixel_id": grid.pixel_id(row, col),
                    "row_index": row,
                    "col_index": col,
                    "lon": lon,
                    "lat": lat,
                    "x_m": x,
                    "y_m": y,
                }
            )
            self.house.grid(name, pixels.with_columns(area_km2=pl.Series(grid.area_km2(row, col))))
            rows = pl.DataFrame({"pixel_id": pixels["pixel_id"][:1], "obs_date": [START], "value": [1.0]})
            self.house.product(f"on_{name}", name, rows)

    def _write_stations(self, rng: np.random.Generator) -> None:
        """Readings every three hours of UTC; only those of 6 to 9 of the local clock count, the others are far off."""
        rows, places = [], []
        for name, (network, pixel, (east, south), layers, kind) in STATIONS.items():
            row, col = divmod(pixel, N_COLS)
            places.append(
                {"product": "probes", "station_id": name, "network": network, "name": name, "lon": 100 + 0.01 * (col + east), "lat": 40 - 0.01 * (row + south),
                 "elevation_m": None, "land_cover": None, "method": "drying" if "mass" in kind else "probe"}
            )  # fmt: skip
            for layer in layers:
                # not rounded: means over stations would tie, or not, by their last digit, and Spearman's rho with them
                value = self.truth[pixel] + 0.01 * layer[1] / 5 + rng.normal(0, 0.02, len(DAYS))
                value[rng.random(len(DAYS)) < 0.15] = np.nan
                self.stations[name, layer] = value
                for day, reading in zip(DAYS, value, strict=True):
                    if np.isnan(reading):
                        continue
                    midnight = datetime(day.year, day.month, day.day) + UTC_OF_LOCAL
                    for hour, moved in ((6, -0.01), (8, 0.01), (9, 0.3), (21, -0.1)):
                        rows.append((name, layer, midnight + timedelta(hours=hour), reading + moved, kind))
        for number, (lon, lat) in enumerate(
            np.random.default_rng(1).uniform((99.5, 39.5), (100.5, 40.5), (N_PLACES, 2))
        ):
            places.append(
                {
                    "product": "probes",
                    "station_id": f"place {number}",
                    "network": "C",
                    "name": "",
                    "lon": lon,
                    "lat": lat,
                    "elevation_m": None,
                    "land_cover": None,
                    "method": "",
                }
            )
        readings = pl.DataFrame(
            {
                "station_id": [r[0] for r in rows],
                "sensor": "s",
                "layer_top_cm": [r[1][0] for r in rows],
                "layer_bottom_cm": [r[1][1] for r in rows],
                "obs_time": pl.Series([r[2] for r in rows], dtype=pl.Datetime("us")),
                "soil_moisture_m3m3": pl.Series([r[3] if r[4] == "volume" else None for r in rows], dtype=pl.Float64),
                "soil_moisture_volume_percent": pl.Series(
                    [100 * r[3] if r[4] == "percent" else None for r in rows], dtype=pl.Float64
                ),
                "soil_moisture_mass_percent": pl.Series(
                    [100 * r[3] / 1.25 if "mass" in r[4] else None for r in rows], dtype=pl.Float64
                ),
                "bulk_density_g_cm3": pl.Series([1.25 if r[4] == "mass" else None for r in rows], dtype=pl.Float64),
                "pixel_id": 0,
            }
        ).with_columns(obs_date=pl.col("obs_time").dt.date())
        self.house.product("probes", "none", readings, time_step="instant")
        pl.DataFrame(places, schema_overrides={"elevation_m": pl.Float64, "land_cover": pl.String}).write_parquet(
            self.house.lake / "stations" / "probes.parquet"
        )


def study() -> dict:
    """Everything that validation can be asked for."""
    pick = {name: {"product": name, "layer": "0-5 cm"} for name in ("model", "satellite", "third")}
    return {
        "name": "validated",
        "groups": ["validation"],
        "period": {"start": START, "end": END},
        "time_zone": "Asia/Shanghai",
        "region": {"set": "parts"},
        "series": [
            *({"variable": "soil_moisture", "product": name, "layer": "0-5 cm", "column": "value", "valid_min": 0} for name in pick),
            {"variable": "precipitation", "product": "rain", "column": "value", "valid_min": 0},
            *({"variable": "air_temperature", "product": f"on_{grid}", "column": "value"} for grid in OTHER_GRIDS),
        ],
        "stations": ["probes"],
        "coverage": {"min_days": 3, "min_dekads": 1},
        "validation": {
            "products": [pick["model"], pick["satellite"]],
            "hours": list(HOURS),
            "day_offsets": [{"product": "satellite", "days": -1}],
            "max_depth_gap_cm": 20,
            "min_share_of_stations": 0.6,
            "scalings": ["none", "mean_std", "cdf"],
            "periods": ["all", "year"],
            "seasons": ["annual", "DJF"],
            "min_n": 20,
            "before_after": [{"before": pick["satellite"], "after": pick["model"]}],
            "comparisons": [
                {"of": [pick["model"], pick["satellite"], pick["third"]]},
                {"of": [pick["satellite"], pick["model"]], "time_step": "month", "grid": "finer"},
            ],
            "random_pairs": {"dates": ["2018-04-15", "2019-07-15"], "n": 3, "seed": 5},
            "triples": [
                {"of": [pick["satellite"], pick["model"], {"product": "probes", "layer": "0-5 cm"}]},
                {"of": [pick["satellite"], pick["model"], pick["third"]]},
                {"of": [pick["satellite"], pick["model"], pick["third"]], "force": True},
            ],
            "rain_product": "rain",
            "rain_unit_kinds": ["station", "region", "pixel"],
        },
    }  # fmt: skip
