"""The answers: what was planted in the simulated basin, and what an exact analysis of it must find.

`planted` numbers went in; `expected` numbers are computed from the truth before it is rounded into files, with SciPy and
NumPy and none of the warehouse's own code. They differ a little: a slope found in 36 noisy months is not the line that
was drawn through them.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import norm, theilslopes

from loaders.simulate.basin import LAND_COVER_NAMES, World
from loaders.simulate.geometry import (
    BASIN,
    COARSE_COLUMN,
    COARSE_ROW,
    FINE_M,
    INSET_CELLS,
    NESTING,
    REACHES,
    SIZE,
    cell_size_m,
    coarse_means,
    region_mask,
    to_lonlat,
)
from loaders.simulate.layers import LAYERS, N_YEARS, OFFSET_SIGNS, PROFILE, layered_moisture, planted_signs
from loaders.simulate.observed import Overpasses, Station

NOTICE = "SIMULATED by Soilhouse: no measurement, no satellite, no real place. For demonstrations and tests only."
# Rain events worth looking at: at least so much over the basin, after so many days with less than 1 mm in all.
EVENT_MM, DRY_DAYS_BEFORE = 10.0, 4
ALPHA = 0.05


@dataclass(frozen=True)
class Truth:
    """Everything that is known about the simulated basin; plain numbers, written beside the files as truth.json.

    Soil moisture in m3 m-3, slopes per year, lengths in metres. `cells` are [row, column] on the grid `ease2_m01`
    (row 0 north), pixel_id = row x 34704 + column. The fields:

    trends              region -> planted_slope_per_year; expected_sen_slope_per_year: Theil-Sen over the monthly means
                        of the region's mean; expected_median_pixel_slope_per_year, expected_significant_fraction: over
                        its pixels, the same on 36 months a pixel (Mann-Kendall, p < 0.05, no correction)
    coarse_trends       [[...], [...]] expected Theil-Sen slope of the monthly area means of the 36 km cells
    variogram           planted exponential model of the monthly field: nugget, partial_sill, sill, range_m,
                        effective_range_m; cell_width_m, cell_height_m on the ground, which it was simulated with
    drivers             planted variance_shares over the basin without water; expected_q_land_cover of the map of means
                        over the whole record, and of each month; expected_r2_<factor>: squared correlation of that map
                        of means with elevation, clay and NDVI as they are in the files
    temporal_stability  cells: the stable pixels; expected_highest_stable_sd, expected_lowest_other_sd: standard
                        deviation of monthly means (n - 1) over the basin
    rain_events         date, rain_mm (basin mean), expected_rise: basin mean of that day less that of the day before
    rain_response       planted gain_per_mm, memory_per_day
    thermal_inertia     land cover -> LST_day - LST_night = intercept_k - slope_k x soil moisture, noise_sd_k
    coarse              noise_sd of recommended values; n_overpasses, n_recommended, n_not_recommended, n_failed
    depth               layers of the files; profile: the layers as the study looks at them; planted_pattern by reach and year, from the
                        surface down; for the basin and each reach expected_mean_ssmi (a number a layer of the profile) and
                        expected_pattern, against a pixel's own calendar months by year, and against all pixels and months
                        of the basin over the whole record (`all`). Without three whole calendar years: only what is planted
    stations            station_id, reach, cell; noise_sd, without the rows whose quality is not G
    """

    notice: str
    seed: int
    first_day: str
    last_day: str
    window: dict[str, Any]
    regions: dict[str, Any]
    trends: dict[str, Any]
    coarse_trends: list[list[float]]
    variogram: dict[str, float]
    drivers: dict[str, Any]
    temporal_stability: dict[str, Any]
    rain_events: list[dict[str, Any]]
    rain_response: dict[str, float]
    thermal_inertia: dict[str, Any]
    coarse: dict[str, Any]
    depth: dict[str, Any]
    stations: dict[str, Any]

    def write(self, path: Path) -> None:
        """Write as JSON, the same bytes for the same truth."""
        path.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Truth:
        """What `write` wrote."""
        return cls(**json.loads(path.read_text(encoding="utf-8")))


def answers(world: World, overpasses: Overpasses, stations: list[Station]) -> Truth:
    """The truth of a world and of what was observed of it."""
    monthly = world.monthly_means()
    planted = world.planted
    return Truth(
        notice=NOTICE,
        seed=world.seed,
        first_day=str(world.days[0]),
        last_day=str(world.days[-1]),
        window=_window(),
        regions={region: {"n_pixels": int(_land(world, region).sum())} for region in (BASIN, *REACHES)},
        trends=_trends(world, monthly),
        coarse_trends=_coarse_trends(monthly),
        variogram={
            **asdict(planted.variogram),
            "sill": planted.variogram.sill,
            "effective_range_m": planted.variogram.effective_range_m,
            "cell_width_m": cell_size_m()[0],
            "cell_height_m": cell_size_m()[1],
        },
        drivers=_drivers(world, monthly),
        temporal_stability=_stability(world, monthly),
        rain_events=_rain_events(world),
        rain_response={"gain_per_mm": planted.rain_gain_per_mm, "memory_per_day": planted.rain_memory_per_day},
        thermal_inertia={
            "noise_sd_k": planted.thermal_noise_sd_k,
            "land_cover": {LAND_COVER_NAMES[c]: asdict(inertia) for c, inertia in planted.thermal_inertia.items()},
        },
        coarse=_coarse(world, overpasses),
        depth=_depth(world),
        stations={
            "noise_sd": planted.station_noise_sd,
            "stations": [
                {"station_id": s.station_id, "reach": s.reach, "cell": _cells(np.array([[s.row, s.column]]))[0]}
                for s in stations
            ],
        },
    )


def _land(world: World, region: str) -> np.ndarray:
    return region_mask(region) & ~world.is_water


def _cells(fine_cells: np.ndarray) -> list[list[int]]:
    corner = (COARSE_ROW * NESTING, COARSE_COLUMN * NESTING)
    return [[int(row), int(column)] for row, column in fine_cells + corner]


def _window() -> dict[str, Any]:
    (west, east), (north, south) = to_lonlat([0, SIZE], [0, SIZE])
    return {
        "grid": "ease2_m01",
        "row": COARSE_ROW * NESTING,
        "column": COARSE_COLUMN * NESTING,
        "height": SIZE,
        "width": SIZE,
        "cell_m": FINE_M,
        "bbox": [float(west), float(south), float(east), float(north)],
        "polygon_inset_cells": INSET_CELLS,
    }


def _sen_slope_per_year(monthly_values: np.ndarray) -> float | None:
    """Theil-Sen slope of a monthly series, per year; None for a single month, which has none."""
    if len(monthly_values) < 2:
        return None
    return float(theilslopes(monthly_values, np.arange(len(monthly_values)) / 12).slope)


def _trends(world: World, monthly: np.ndarray) -> dict[str, Any]:
    trends = {}
    for region in (BASIN, *REACHES):
        series = monthly[:, _land(world, region)]
        slopes, p = _pixel_trends(series)
        trends[region] = {
            "planted_slope_per_year": world.planted.trend_per_year.get(region),
            "expected_sen_slope_per_year": _sen_slope_per_year(series.mean(axis=1)),
            "expected_median_pixel_slope_per_year": None if slopes is None else float(np.median(slopes)),
            "expected_significant_fraction": None if p is None else float((p < ALPHA).mean()),
        }
    return trends


def _pixel_trends(series: np.ndarray) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Theil-Sen slope per year and two-sided Mann-Kendall p of every column of (months, pixels); no ties, no gaps."""
    n = len(series)
    if n < 3:
        return None, None
    earlier, later = np.triu_indices(n, 1)
    difference = series[later] - series[earlier]
    slopes = np.median(difference / ((later - earlier) / 12)[:, None], axis=0)
    s = np.sign(difference).sum(axis=0)
    z = (s - np.sign(s)) / np.sqrt(n * (n - 1) * (2 * n + 5) / 18)
    return slopes, 2 * norm.sf(np.abs(z))


def _coarse_trends(monthly: np.ndarray) -> list[list[float]]:
    means = coarse_means(monthly)
    return [[_sen_slope_per_year(means[:, r, c]) for c in range(means.shape[2])] for r in range(means.shape[1])]


def _q(values: np.ndarray, strata: np.ndarray) -> float:
    """Share of the variance of values (pixels,) that lies between strata: Wang et al. 2010."""
    _, stratum = np.unique(strata, return_inverse=True)
    n = np.bincount(stratum)
    means = np.bincount(stratum, weights=values) / n
    return float((n * (means - values.mean()) ** 2).sum() / ((values - values.mean()) ** 2).sum())


def _drivers(world: World, monthly: np.ndarray) -> dict[str, Any]:
    basin = _land(world, BASIN)
    mean_map = monthly[:, basin].mean(axis=0)
    classes = world.land_cover[basin]
    factors = {"elevation": world.elevation_m, "clay": world.clay_percent, "ndvi": world.ndvi_mean}
    return {
        "variance_shares": dict(world.planted.variance_shares),
        "expected_q_land_cover": _q(mean_map, classes),
        "expected_q_land_cover_by_month": {
            str(month): _q(values[basin], classes) for month, values in zip(world.months, monthly, strict=True)
        },
        **{f"expected_r2_{f}": float(np.corrcoef(mean_map, m[basin])[0, 1] ** 2) for f, m in factors.items()},
    }


def _stability(world: World, monthly: np.ndarray) -> dict[str, Any]:
    several = len(monthly) > 1
    sd = monthly.std(axis=0, ddof=1) if several else None
    others = _land(world, BASIN) & ~world.is_stable
    return {
        "cells": _cells(np.argwhere(world.is_stable)),
        "expected_highest_stable_sd": float(sd[world.is_stable].max()) if several else None,
        "expected_lowest_other_sd": float(sd[others].min()) if several else None,
    }


def _rain_events(world: World) -> list[dict[str, Any]]:
    rain = world.rain_mm.mean(axis=(1, 2), dtype=float)
    moisture = world.soil_moisture[:, _land(world, BASIN)].mean(axis=1)
    return [
        {
            "date": str(world.days[day]),
            "rain_mm": float(rain[day]),
            "expected_rise": float(moisture[day] - moisture[day - 1]),
        }
        for day in range(DRY_DAYS_BEFORE, len(rain))
        if rain[day] >= EVENT_MM and rain[day - DRY_DAYS_BEFORE : day].sum() < 1.0
    ]


def _coarse(world: World, overpasses: Overpasses) -> dict[str, Any]:
    not_recommended = (overpasses.quality & 1) == 1
    failed = np.isnan(overpasses.soil_moisture)
    return {
        "noise_sd": world.planted.coarse_noise_sd,
        "n_overpasses": len(overpasses.days),
        "n_recommended": int((~not_recommended).sum()),
        "n_not_recommended": int((not_recommended & ~failed).sum()),
        "n_failed": int(failed.sum()),
    }


_STATES = {"-": "deficit", "+": "surplus"}


def _pattern(signs: str) -> str:
    """Neighbouring layers of one sign merged: `--+` is deficit>surplus."""
    return ">".join(_STATES[sign] for i, sign in enumerate(signs) if i == 0 or sign != signs[i - 1])


def _depth(world: World) -> dict[str, Any]:
    years = sorted(set((world.months.astype("datetime64[Y]").astype(int) + 1970).tolist()))
    found: dict[str, Any] = {
        "layers": list(LAYERS),
        "profile": list(PROFILE),
        "planted_pattern": {r: {str(y): _pattern(planted_signs(r, y)) for y in years} for r in REACHES},
        "planted_offset_pattern": {r: _pattern(OFFSET_SIGNS[r]) for r in REACHES},
        "expected_mean_ssmi": None,
        "expected_pattern": None,
    }
    if len(years) < N_YEARS or len(world.months) != 12 * len(years):
        return found
    layers = layered_moisture(world)
    profile = np.stack([layers[:, list(members)].mean(axis=1) for members in PROFILE.values()], axis=1)
    by_year = profile.reshape(len(years), 12, *profile.shape[1:])
    own = ((by_year - by_year.mean(axis=0)) / by_year.std(axis=0, ddof=1)).mean(axis=1)
    inside = profile[:, :, _land(world, BASIN)]
    mean, sd = inside.mean(axis=(0, 2)), np.array([layer.std(ddof=1) for layer in np.moveaxis(inside, 1, 0)])
    pooled = ((profile - mean[:, None, None]) / sd[:, None, None]).mean(axis=0)
    means: dict[str, dict[str, list[float]]] = {}
    for region in (BASIN, *REACHES):
        land = _land(world, region)
        means[region] = {str(year): own[i][:, land].mean(axis=1).tolist() for i, year in enumerate(years)}
        if region != BASIN:  # against itself its mean is 0 by construction
            means[region]["all"] = pooled[:, land].mean(axis=1).tolist()
    found["expected_mean_ssmi"] = means
    found["expected_pattern"] = {
        region: {period: _pattern("".join("-+"[x > 0] for x in values)) for period, values in periods.items()}
        for region, periods in means.items()
    }
    return found
