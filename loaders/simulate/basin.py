"""The simulated truth: a basin whose trends, drivers, spatial field and stable pixels are known because they were put in.

Daily soil moisture of a fine pixel is a sum of parts that do not disturb one another:

    static(pixel)   land cover + elevation + clay + NDVI + rest: uncorrelated with one another over the basin, so that
                    each one's share of the variance is exactly the planted one
  + trend(reach)    a straight line, zero in the middle of the record
  + season(day)     a cosine that is symmetric about the middle of the record: over whole years it moves neither a
                    least squares nor a Theil-Sen slope
  + rain(pixel)     what the last rains left, r[d] = memory r[d-1] + gain rain[d], without its own mean and line
  + field(month)    every month an independent Gaussian field of the planted variogram
  + noise           independent from pixel to pixel and day to day

Stable pixels have neither season nor rain. Everything is drawn from named streams of one seed, so a change of one part
leaves the others as they were. No file is read or written here.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

import numpy as np

from loaders.simulate.fields import Variogram, gaussian_fields, uncorrelated
from loaders.simulate.geometry import (
    BASIN,
    LOWER,
    MIDDLE,
    REACHES,
    SIZE,
    UPPER,
    cell_size_m,
    rain_cell_of_pixel,
    rain_window,
    reach_of_row,
    region_mask,
)

DEFAULT_SEED = 20200101
DEFAULT_START, DEFAULT_STOP = date(2018, 1, 1), date(2021, 1, 1)
WETTEST_DAY = np.datetime64("2019-07-02")  # the middle of the default record

FOREST, GRASSLAND, WETLAND, CROPLAND, BARREN, WATER = 1, 10, 11, 12, 16, 17  # IGBP
LAND_COVER_NAMES = {
    FOREST: "evergreen needleleaf forest",
    GRASSLAND: "grassland",
    WETLAND: "permanent wetland",
    CROPLAND: "cropland",
    BARREN: "barren",
    WATER: "water",
}
_MOISTURE_ORDER = {WETLAND: 1.6, FOREST: 0.9, CROPLAND: 0.5, GRASSLAND: -0.2, BARREN: -1.3}


@dataclass(frozen=True)
class ThermalInertia:
    """LST_day - LST_night = intercept_k - slope_k * soil moisture (K; K per m3 m-3)."""

    intercept_k: float
    slope_k: float


@dataclass(frozen=True)
class Planted:
    """The numbers that are put into the world. Soil moisture in m3 m-3."""

    mean: float = 0.25
    static_sd: float = 0.03
    variance_shares: Mapping[str, float] = field(
        default_factory=lambda: {"land_cover": 0.45, "elevation": 0.20, "clay": 0.15, "ndvi": 0.12, "rest": 0.08}
    )
    trend_per_year: Mapping[str, float] = field(default_factory=lambda: {UPPER: -0.03, MIDDLE: 0.0, LOWER: 0.02})
    season_amplitude: float = 0.045
    rain_gain_per_mm: float = 0.0015
    rain_memory_per_day: float = 0.85
    variogram: Variogram = field(default_factory=lambda: Variogram(nugget=2e-5, partial_sill=1e-4, range_m=4000.0))
    daily_noise_sd: float = 0.002
    thermal_inertia: Mapping[int, ThermalInertia] = field(
        default_factory=lambda: {
            FOREST: ThermalInertia(14.0, 25.0),
            GRASSLAND: ThermalInertia(24.0, 40.0),
            WETLAND: ThermalInertia(13.0, 20.0),
            CROPLAND: ThermalInertia(20.0, 35.0),
            BARREN: ThermalInertia(30.0, 50.0),
        }
    )
    thermal_noise_sd_k: float = 0.5
    coarse_noise_sd: float = 0.01
    station_noise_sd: float = 0.02


@dataclass(frozen=True)
class World:
    """The truth on its own grids. `fine` is (SIZE, SIZE); water has no soil moisture (NaN).

    days (n,) datetime64[D]; months (m,) datetime64[M]; land_cover fine uint8; elevation_m, clay_percent, sand_percent,
    ndvi_mean fine float64; static: part -> fine float64, m3 m-3; is_stable, is_water fine boolean; monthly_field
    (m, fine); soil_moisture (n, fine); rain_mm (n, rain window) float32; composite_days (c,); ndvi (c, fine);
    lst_day_k, lst_night_k (n, fine) float32, NaN under clouds and over water; lst_all_weather_day_k, lst_all_weather_night_k
    the same below the clouds too.
    """

    seed: int
    planted: Planted
    days: np.ndarray
    months: np.ndarray
    land_cover: np.ndarray
    elevation_m: np.ndarray
    clay_percent: np.ndarray
    sand_percent: np.ndarray
    ndvi_mean: np.ndarray
    static: dict[str, np.ndarray]
    is_stable: np.ndarray
    is_water: np.ndarray
    monthly_field: np.ndarray
    soil_moisture: np.ndarray
    rain_mm: np.ndarray
    composite_days: np.ndarray
    ndvi: np.ndarray
    lst_day_k: np.ndarray
    lst_night_k: np.ndarray
    lst_all_weather_day_k: np.ndarray
    lst_all_weather_night_k: np.ndarray

    @property
    def month_of_day(self) -> np.ndarray:
        """(n,) index into months of every day."""
        return (self.days.astype("datetime64[M]") - self.months[0]).astype(int)

    def monthly_means(self) -> np.ndarray:
        """(m, SIZE, SIZE): mean soil moisture of the days of each month; NaN over water."""
        first_days = np.flatnonzero(np.diff(self.month_of_day, prepend=-1))
        counts = np.bincount(self.month_of_day)
        return np.add.reduceat(self.soil_moisture, first_days, axis=0) / counts[:, None, None]


def stream(seed: int, name: str) -> np.random.Generator:
    """The random numbers of one named part of the world."""
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


def build_world(
    seed: int = DEFAULT_SEED, start: date = DEFAULT_START, stop: date = DEFAULT_STOP, planted: Planted | None = None
) -> World:
    """The truth from `start` to before `stop`, both month starts.

    Raises ValueError when a date is no month start or stop is not after start, and when a seed or planted numbers put
    soil moisture outside 0.01-0.60 m3 m-3: clipping would falsify what is planted.
    """
    if start.day != 1 or stop.day != 1 or stop <= start:
        raise ValueError(f"the record must run from a month start to a later one, not from {start} to {stop}")
    planted = planted or Planted()
    days = np.arange(np.datetime64(start), np.datetime64(stop))
    months = np.arange(np.datetime64(start, "M"), np.datetime64(stop, "M"))
    land_cover, is_stable = _land_cover(seed)
    is_water = land_cover == WATER
    basin = region_mask(BASIN) & ~is_water
    scaled = _uncorrelated_drivers(seed, land_cover, basin)
    static = {
        part: planted.static_sd * np.sqrt(share) * scaled[part] for part, share in planted.variance_shares.items()
    }
    rain_mm = _rain(seed, days)
    monthly_field = gaussian_fields(
        stream(seed, "monthly field"), len(months), (SIZE, SIZE), cell_size_m(), planted.variogram
    )
    soil_moisture = _soil_moisture(seed, planted, days, months, static, rain_mm, monthly_field, is_stable, is_water)

    elevation_m = np.round(1800 + 180 * scaled["elevation"])
    clay_percent = np.round(20 + 4.5 * scaled["clay"], 1)
    sand_percent = np.round(45 - 0.8 * (clay_percent - 20) + 4 * scaled["rest"], 1)
    ndvi_mean = 0.38 + 0.08 * scaled["ndvi"]
    composite_days = days[(_day_of_year(days) - 1) % 16 == 0]
    all_day_k, all_night_k = _surface_temperature(seed, planted, days, land_cover, elevation_m, soil_moisture)
    is_cloudy_day, is_cloudy_night = _clouds(seed, rain_mm)
    return World(
        seed=seed,
        planted=planted,
        days=days,
        months=months,
        land_cover=land_cover,
        elevation_m=elevation_m,
        clay_percent=clay_percent,
        sand_percent=sand_percent,
        ndvi_mean=ndvi_mean,
        static=static,
        is_stable=is_stable,
        is_water=is_water,
        monthly_field=monthly_field,
        soil_moisture=soil_moisture,
        rain_mm=rain_mm,
        composite_days=composite_days,
        ndvi=_ndvi(seed, ndvi_mean, composite_days),
        lst_day_k=np.where(is_cloudy_day, np.float32(np.nan), all_day_k),
        lst_night_k=np.where(is_cloudy_night, np.float32(np.nan), all_night_k),
        lst_all_weather_day_k=all_day_k,
        lst_all_weather_night_k=all_night_k,
    )


def _smooth(seed: int, name: str, n: int, range_m: float) -> np.ndarray:
    return gaussian_fields(stream(seed, name), n, (SIZE, SIZE), cell_size_m(), Variogram(0.0, 1.0, range_m))


def _land_cover(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """IGBP classes, uint8, and the stable pixels: four spring-fed wetlands of 3 x 3 pixels in the middle reach."""
    classes = np.array([FOREST, GRASSLAND, CROPLAND, BARREN], dtype=np.uint8)
    suitability = _smooth(seed, "land cover", len(classes), 9000.0) + np.array([0.0, 0.35, 0.0, 0.1])[:, None, None]
    land_cover = classes[suitability.argmax(axis=0)]
    row, column = np.indices((SIZE, SIZE))
    land_cover[((row - 38) / 2.6) ** 2 + ((column - 38) / 4.2) ** 2 <= 1] = WATER
    is_stable = np.zeros((SIZE, SIZE), dtype=bool)
    for top, left in ((29, 22), (30, 48), (42, 28), (42, 50)):
        is_stable[top : top + 3, left : left + 3] = True
    land_cover[is_stable] = WETLAND
    return land_cover, is_stable


def _uncorrelated_drivers(seed: int, land_cover: np.ndarray, basin: np.ndarray) -> dict[str, np.ndarray]:
    """Drivers with mean 0 and sd 1 over the basin, every one uncorrelated with the others and with every class."""
    classes = np.stack([land_cover == c for c in _MOISTURE_ORDER]).astype(float)
    by_class = np.tensordot(list(_MOISTURE_ORDER.values()), classes, axes=1)
    drivers = {"land_cover": (by_class - by_class[basin].mean()) / by_class[basin].std()}
    southwards = np.broadcast_to(np.linspace(-1.2, 1.2, SIZE)[:, None], (SIZE, SIZE))
    wanted = {
        "elevation": southwards + 0.7 * _smooth(seed, "elevation", 1, 12000.0)[0],
        "clay": _smooth(seed, "clay", 1, 9000.0)[0],
        "ndvi": _smooth(seed, "ndvi", 1, 7000.0)[0],
        "rest": _smooth(seed, "rest", 1, 5000.0)[0],
    }
    for part, raw in wanted.items():
        others = np.stack([*classes, *(drivers[p] for p in drivers if p != "land_cover")])
        drivers[part] = uncorrelated(raw, _smooth(seed, f"{part}, helpers", 40, 9000.0), others, basin)
    return drivers


def _day_of_year(days: np.ndarray) -> np.ndarray:
    return (days - days.astype("datetime64[Y]").astype("datetime64[D]")).astype(int) + 1


def _season(days: np.ndarray, peak_days_later: float = 0.0) -> np.ndarray:
    """A yearly cosine, 1 on the wettest day (or so many days later)."""
    return np.cos(2 * np.pi * ((days - WETTEST_DAY).astype(float) - peak_days_later) / 365.25)


def years_from_middle(days: np.ndarray) -> np.ndarray:
    """Years of 365.25 days since the middle of the record."""
    return (np.arange(len(days)) - (len(days) - 1) / 2) / 365.25


def _rain(seed: int, days: np.ndarray) -> np.ndarray:
    """Daily rain on the CHIRPS cells, mm, float32: on about 47 days a year, mostly in summer, patchy within the basin."""
    rng = stream(seed, "rain")
    window = rain_window()
    is_wet = rng.random(len(days)) < 0.13 + 0.12 * _season(days)
    depth_mm = np.minimum(rng.gamma(0.9, 9.0, len(days)), 35.0)
    log_sd = 0.45
    patches = gaussian_fields(
        rng, int(is_wet.sum()), (window.height, window.width), (4340.0, 5550.0), Variogram(0.0, log_sd**2, 15000.0)
    )
    rain_mm = np.zeros((len(days), window.height, window.width), dtype=np.float32)
    rain_mm[is_wet] = depth_mm[is_wet][:, None, None] * np.exp(patches - log_sd**2 / 2)
    return rain_mm


def _wetness(planted: Planted, rain_mm: np.ndarray) -> np.ndarray:
    """What past rains left in each rain cell, m3 m-3, without its mean and its straight line."""
    wetness = np.empty(rain_mm.shape)
    store = planted.rain_gain_per_mm * rain_mm.mean(axis=0, dtype=float) / (1 - planted.rain_memory_per_day)
    for day, rain in enumerate(rain_mm):
        store = planted.rain_memory_per_day * store + planted.rain_gain_per_mm * rain
        wetness[day] = store
    t = np.arange(len(wetness)) - (len(wetness) - 1) / 2
    wetness -= wetness.mean(axis=0)
    slope = np.tensordot(t, wetness, axes=1) / (t @ t)
    return wetness - t[:, None, None] * slope


def _soil_moisture(
    seed: int,
    planted: Planted,
    days: np.ndarray,
    months: np.ndarray,
    static: dict[str, np.ndarray],
    rain_mm: np.ndarray,
    monthly_field: np.ndarray,
    is_stable: np.ndarray,
    is_water: np.ndarray,
) -> np.ndarray:
    month_of_day = (days.astype("datetime64[M]") - months[0]).astype(int)
    trend_by_row = np.array([planted.trend_per_year[reach] for reach in REACHES])[reach_of_row()]
    season = _season(days)
    total = stream(seed, "daily noise").normal(0, planted.daily_noise_sd, (len(days), SIZE, SIZE))
    total += planted.mean + sum(static.values())
    total += years_from_middle(days)[:, None, None] * trend_by_row[:, None]
    rain_row, rain_column = rain_cell_of_pixel()
    total += _wetness(planted, rain_mm)[:, rain_row, rain_column] * ~is_stable
    total += (planted.season_amplitude * (season - season.mean()))[:, None, None] * ~is_stable
    total += monthly_field[month_of_day]
    total[:, is_water] = np.nan
    lowest, highest = np.nanmin(total), np.nanmax(total)
    if lowest < 0.01 or highest > 0.60:
        raise ValueError(
            f"seed {seed} gives soil moisture from {lowest:.3f} to {highest:.3f} m3 m-3, outside 0.01-0.60: "
            "take another seed or smaller planted numbers"
        )
    return total


def _ndvi(seed: int, ndvi_mean: np.ndarray, composite_days: np.ndarray) -> np.ndarray:
    season = _season(composite_days, peak_days_later=25)
    amplitude = 0.18 * ndvi_mean / 0.38
    noise = stream(seed, "ndvi noise").normal(0, 0.008, (len(composite_days), SIZE, SIZE))
    return ndvi_mean + season[:, None, None] * amplitude + noise


def _surface_temperature(
    seed: int,
    planted: Planted,
    days: np.ndarray,
    land_cover: np.ndarray,
    elevation_m: np.ndarray,
    soil_moisture: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Day and night temperature, K float32: their mean from season, weather and height, their difference from moisture."""
    rng = stream(seed, "temperature")
    weather = np.empty(len(days))
    state = 0.0
    for day, shock in enumerate(rng.normal(0, 1.2, len(days))):
        state = 0.8 * state + shock
        weather[day] = state
    mean_k = 293 + 9 * _season(days, peak_days_later=20) + weather
    intercept, slope = np.full(256, np.nan), np.full(256, np.nan)
    for cover, inertia in planted.thermal_inertia.items():
        intercept[cover], slope[cover] = inertia.intercept_k, inertia.slope_k
    noise = rng.normal(0, planted.thermal_noise_sd_k, soil_moisture.shape)
    difference = intercept[land_cover] - slope[land_cover] * soil_moisture + noise
    middle = mean_k[:, None, None] - 0.0065 * (elevation_m - 1800)
    return (middle + difference / 2).astype(np.float32), (middle - difference / 2).astype(np.float32)


def _clouds(seed: int, rain_mm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Boolean (n, SIZE, SIZE) twice, by day and by night: patches over 35 % of a dry day's map, 85 % of a wet one's."""
    n = len(rain_mm)
    cover = _smooth(seed, "clouds", 2 * n, 12000.0).reshape(n, 2, SIZE, SIZE)
    threshold = np.where(rain_mm.mean(axis=(1, 2)) > 0, -1.036, 0.385)[:, None, None]  # normal quantiles of .15, .65
    return cover[:, 0] > threshold, cover[:, 1] > threshold
