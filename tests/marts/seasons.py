"""A second generated warehouse: months on two grids, seasons by rule, zones of a terrain, a study that names a paper.

The fixture `ruled` is imported by the modules that use it through conftest, so that it is built once a session.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.marts.reference import SEASONS
from tests.warehouse import Warehouse, small_grid

START, END = date(2003, 7, 1), date(2018, 1, 1)
N_ROWS, N_COLS = 5, 6
N_PIXELS = N_ROWS * N_COLS
CONSTANT = 4
ABOVE, BELOW = 5.0, 0.0
"""Thresholds of the growing and the frozen season, degrees Celsius."""

SHARE = 0.6
K, BREAKS = 4, [2.5, 10.0]
TRENDS = {
    "time_steps": ["year", "month"],
    "seasons": ["annual", "DJF", "growing", "frozen"],
    "min_valid": 8,
    "min_months_share": SHARE,
    "tests": ["seasonal_kendall", "hamed_rao", "trend_free_prewhitening"],
}
VARIABLES = {"soil_moisture": "sm", "precipitation": "rain", "soil_temperature": "ts"}

Months = dict[int, dict[tuple[int, int], float]]
"""pixel_id -> (year, month) -> value, covered months only."""


@dataclass(frozen=True)
class Ruled:
    """The built warehouse beside the data it was built from."""

    house: Warehouse
    months: dict[str, Months]
    air: Months  # on the coarse grid
    coarse_of: np.ndarray
    terrain: pl.DataFrame
    members: pl.DataFrame  # region_id, pixel_id, weight_km2

    def mart(self, name: str, variable: str) -> pl.DataFrame:
        return self.house.query(f"select * from marts.{name} where variable = ?", [variable])

    def season_months(self, season: str, pixel: int) -> dict[tuple[int, int], tuple[int, int, bool]]:
        """Calendar month -> (year of the season, months that it has, whether it is known), at a pixel of the fine grid."""
        if season in SEASONS:
            months = [(y, m) for y in range(START.year, END.year + 1) for m in range(1, 13)]
            calendar = SEASONS[season]
            return {(y, m): (y + calendar[m], len(calendar), True) for y, m in months if m in calendar}
        if season == "growing":
            ruling, inside = self.air[int(self.coarse_of[pixel])], lambda value: value > ABOVE
        else:
            ruling, inside = self.months["soil_temperature"].get(pixel, {}), lambda value: value < BELOW
        found = {}
        for year in {y for y, _ in ruling}:
            of_year = {ym: value for ym, value in ruling.items() if ym[0] == year}
            within = [ym for ym, value in of_year.items() if inside(value)]
            found |= {ym: (year, len(within), len(of_year) >= SHARE * 12) for ym in within}
        return found

    def seasonal(self, variable: str, season: str, pixel: int) -> dict[int, tuple[float | None, int, int]]:
        """Year -> (value or None, covered months, months of the season)."""
        rule, values = self.season_months(season, pixel), self.months[variable].get(pixel, {})
        by_year: dict[int, list[tuple[int, int]]] = {}
        for ym in sorted(values):
            if ym in rule:
                by_year.setdefault(rule[ym][0], []).append(ym)
        found = {}
        for year, covered in by_year.items():
            _, n_months, is_known = rule[covered[0]]
            x = [values[ym] for ym in covered]
            is_enough = is_known and len(x) >= SHARE * n_months
            value = sum(x) if variable == "precipitation" else x[0] if len(set(x)) == 1 else float(np.mean(x))
            found[year] = (value if is_enough else None, len(x), n_months)
        return found


def _frame(n_pixels: int, months: pl.Series, name: str, values: np.ndarray) -> pl.DataFrame:
    """Rows of a monthly product; NaN is not delivered."""
    frame = pl.DataFrame({"pixel_id": pl.Series(range(n_pixels), dtype=pl.Int32)}).join(
        pl.DataFrame({"obs_date": months}), how="cross"
    )
    return frame.with_columns(pl.Series(name, values.ravel())).filter(pl.col(name).is_not_nan())


def _months(frame: pl.DataFrame, name: str) -> Months:
    found: Months = {}
    for pixel, day, value in frame.select("pixel_id", "obs_date", name).iter_rows():
        found.setdefault(pixel, {})[day.year, day.month] = value
    return found


@pytest.fixture(scope="session")
def ruled(tmp_path_factory: pytest.TempPathFactory) -> Ruled:
    """Built once a session by dbt, with the data tests and unit tests of the models that it needs."""
    root: Path = tmp_path_factory.mktemp("ruled")
    rng = np.random.default_rng(20030701)
    months = pl.date_range(START, END, interval="1mo", closed="left", eager=True)
    n = len(months)
    phase = np.cos(2 * np.pi * (months.dt.month().to_numpy() - 7) / 12)
    pixel = np.arange(N_PIXELS)[:, None]

    noise = rng.normal(0, 0.02, (N_PIXELS, n))
    for i in range(1, n):  # months that resemble the one before
        noise[:, i] += 0.5 * noise[:, i - 1]
    sm = 0.2 + 0.002 * pixel + 0.05 * phase + (pixel - 15) * 2e-5 * np.arange(n) + noise
    sm = np.round(sm * 1024) / 1024
    sm[CONSTANT] = 0.25
    sm[rng.random((N_PIXELS, n)) < 0.08] = np.nan
    sm[7, : n - 50] = np.nan  # too short for years
    rain = np.maximum(np.round(rng.normal(30 + 30 * phase, 20, (N_PIXELS, n))), 0)
    ts = np.round((6 + 9 * phase - 0.2 * pixel + rng.normal(0, 1.5, (N_PIXELS, n))) * 16) / 16
    ts[rng.random((N_PIXELS, n)) < 0.05] = np.nan
    ts[9, 30:35] = np.nan  # a year of which less than the share is known
    air = np.round((8 + 11 * phase - 2 * np.arange(4)[:, None] + rng.normal(0, 2, (4, n))) * 16) / 16
    air[1, 60:70] = np.nan

    frames = {
        "soil_moisture": ("field", _frame(N_PIXELS, months, "sm", sm)),
        "precipitation": ("rain", _frame(N_PIXELS, months, "rain", rain)),
        "soil_temperature": ("ground", _frame(N_PIXELS, months, "ts", ts)),
    }
    coarse = _frame(4, months, "t2m", air)
    row, col = np.divmod(np.arange(N_PIXELS), N_COLS)
    coarse_of = 2 * (row >= 3) + (col >= 3)
    terrain = pl.DataFrame(
        {
            "pixel_id": pl.Series(range(N_PIXELS), dtype=pl.Int32),
            "elevation": np.round(2000 + 40.0 * rng.permutation(N_PIXELS) + rng.random(N_PIXELS), 2),
            "slope": np.round(15 * rng.random(N_PIXELS), 1),
            "cover": rng.choice([1.0, 4.0, 10.0], N_PIXELS),
        }
    )
    grid = small_grid(N_ROWS, N_COLS)
    house = Warehouse(root)
    house.grid("g", grid)
    house.grid("c", small_grid(2, 2))
    for product, frame in frames.values():
        house.product(product, "g", frame, time_step="month")
    house.product("weather", "c", coarse, time_step="month")
    house.static("terrain", "g", terrain)
    house.weights("c", "g", pl.DataFrame({"source_pixel_id": coarse_of, "target_pixel_id": np.arange(N_PIXELS)}))
    inside = {
        "basin": {p: 0.6 if p < 10 else 1.0 if p < 20 else 0.75 for p in range(24)},
        "upper": {p: 0.5 + 0.02 * p for p in range(10)},  # of pixels 6 to 9 more than lies in the basin
    }
    members = pl.DataFrame(
        [{"region_id": r, "pixel_id": p, "fraction": f} for r, pixels in inside.items() for p, f in pixels.items()]
    )
    regions = pl.DataFrame(
        {"region_id": ["basin", "upper"], "name": ["Basin", "Upper"], "level": [0, 1], "area_km2": [24.0, 9.0]}
    )
    house.regions("basins", "g", regions, members)
    house.regions("basins", "c", regions, pl.DataFrame({"region_id": "basin", "pixel_id": range(4), "fraction": 1.0}))
    house.study = {
        "name": "ruled",
        "paper": "heihe",
        "groups": ["patterns", "trends"],
        "period": {"start": str(START), "end": str(END)},
        "region": {"set": "basins"},
        "series": [
            {"variable": "soil_moisture", "product": "field", "layer": "0-5 cm", "column": "sm"},
            {"variable": "precipitation", "product": "rain", "column": "rain"},
            {"variable": "soil_temperature", "product": "ground", "layer": "0-5 cm", "column": "ts"},
            {"variable": "air_temperature", "product": "weather", "column": "t2m"},
        ],
        "factors": [
            {"factor": "elevation", "product": "terrain", "column": "elevation", "unit": "m"},
            {"factor": "slope", "product": "terrain", "column": "slope", "unit": "degrees"},
            {"factor": "cover", "product": "terrain", "column": "cover", "kind": "categorical"},
        ],
        "zones": [{"factor": "elevation", "k": K}, {"factor": "slope", "breaks": BREAKS}, {"factor": "cover"}],
        "season_rules": [
            {"season": "growing", "variable": "air_temperature", "product": "weather", "above": ABOVE},
            {
                "season": "frozen",
                "variable": "soil_temperature",
                "product": "ground",
                "layer": "0-5 cm",
                "below": BELOW,
            },
        ],
        "rank_stability": {"max_lag_months": 1},
        "variograms": {"variables": ["soil_moisture"], "directions": False},
        "trends": TRENDS,
    }
    marts = (
        "fct_trends",
        "fct_trend_tests",
        "fct_interannual_variation",
        "fct_zone_monthly",
        "fct_published_comparison",
    )
    house.dbt("build", "--select", *(f"+{mart}" for mart in marts))
    in_study = members.filter(pl.col("fraction") >= 0.5).join(grid.select("pixel_id", "area_km2"), on="pixel_id")
    kept = set(in_study["pixel_id"])
    values = {
        variable: {p: of_pixel for p, of_pixel in _months(frame, VARIABLES[variable]).items() if p in kept}
        for variable, (_, frame) in frames.items()
    }
    return Ruled(
        house,
        values,
        _months(coarse, "t2m"),
        coarse_of,
        terrain.filter(pl.col("pixel_id").is_in(list(kept))),
        in_study.select("region_id", "pixel_id", weight_km2=pl.col("area_km2") * pl.col("fraction")),
    )
