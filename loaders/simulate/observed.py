"""What instruments see of the simulated truth: a 36 km radiometer twice or thrice a week, and twelve stations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from loaders.simulate.basin import LAND_COVER_NAMES, WATER, WETLAND, World, stream
from loaders.simulate.geometry import N_COARSE, REACHES, coarse_means, region_mask, to_lonlat

# The radiometer repeats its track every eight days and passes the basin on three of them, at 06:00 local solar time,
# which is the evening before in UTC at 100 degrees east.
REPEAT_DAYS, PASS_DAYS = 8, (0, 3, 6)
PASS_SECONDS_UTC = 23 * 3600 + 20 * 60
OUTAGE = (np.datetime64("2019-06-20"), np.datetime64("2019-07-22"))  # as the real radiometer's, both days included

# retrieval_qual_flag: bit 0 not recommended, bit 1 not attempted, bit 2 failed, bit 3 freeze-thaw retrieval failed
GOOD, GOOD_WITHOUT_FREEZE_THAW, NOT_RECOMMENDED, FAILED, OUTSIDE = 0, 8, 1, 5, 15
# surface_flag: bit 4 precipitation
DRY_SURFACE, RAIN_ON_SURFACE = 0, 16
_SHARE_OF_FLAG = {GOOD: 0.78, GOOD_WITHOUT_FREEZE_THAW: 0.12, NOT_RECOMMENDED: 0.07, FAILED: 0.03}
NOT_RECOMMENDED_NOISE_SD = 0.06
RADIOMETER_RANGE = (0.02, 0.5)  # the product's valid_min and valid_max

STATIONS_PER_REACH = 4
LAYER_CM = (0.0, 5.0)
_SHARE_OF_QUALITY = {"G": 0.94, "D06": 0.02, "M": 0.04}  # good; dubious (a spike); missing, no row is written


@dataclass(frozen=True)
class Overpasses:
    """The radiometer's half orbits over the basin.

    days (k,) datetime64[D], UTC; soil_moisture (k, 2, 2) m3 m-3, NaN where the retrieval failed; quality, surface
    (k, 2, 2) uint16; noise (k, 2, 2), what was added to the area mean.
    """

    days: np.ndarray
    soil_moisture: np.ndarray
    quality: np.ndarray
    surface: np.ndarray
    noise: np.ndarray


def radiometer(world: World) -> Overpasses:
    """Area means of the truth of the overpass's UTC day plus noise; some values not recommended, some failed."""
    is_pass = np.isin(np.arange(len(world.days)) % REPEAT_DAYS, PASS_DAYS)
    is_pass &= (world.days < OUTAGE[0]) | (world.days > OUTAGE[1])
    shape = (int(is_pass.sum()), N_COARSE, N_COARSE)
    rng = stream(world.seed, "radiometer")
    quality = rng.choice(list(_SHARE_OF_FLAG), size=shape, p=list(_SHARE_OF_FLAG.values())).astype(np.uint16)
    sd = np.where(quality == NOT_RECOMMENDED, NOT_RECOMMENDED_NOISE_SD, world.planted.coarse_noise_sd)
    noise = rng.standard_normal(shape) * sd
    value = np.clip(coarse_means(world.soil_moisture[is_pass]) + noise, *RADIOMETER_RANGE)
    value[quality == FAILED] = np.nan
    surface = np.where(quality == NOT_RECOMMENDED, RAIN_ON_SURFACE, DRY_SURFACE).astype(np.uint16)
    return Overpasses(world.days[is_pass], value, quality, surface, noise)


@dataclass(frozen=True)
class Station:
    """A station and its days; row and column are its cell in the fine window."""

    station_id: str
    name: str
    reach: str
    row: int
    column: int
    lon: float
    lat: float
    elevation_m: float
    land_cover: str
    days: np.ndarray
    soil_moisture: np.ndarray
    quality: np.ndarray


def stations(world: World) -> list[Station]:
    """Twelve stations, four a reach, none in water or a wetland: the truth of the cell plus noise, some spikes and gaps."""
    found = []
    for reach in REACHES:
        rng = stream(world.seed, f"stations, {reach}")
        candidates = np.argwhere(region_mask(reach) & ~np.isin(world.land_cover, (WATER, WETLAND)))
        for number, (row, column) in enumerate(rng.choice(candidates, STATIONS_PER_REACH, replace=False), start=1):
            found.append(_station(world, rng, reach, number, int(row), int(column)))
    return found


def _station(world: World, rng: np.random.Generator, reach: str, number: int, row: int, column: int) -> Station:
    down, right = rng.uniform(0.2, 0.8, 2)
    lon, lat = to_lonlat(column + right, row + down)
    quality = rng.choice(list(_SHARE_OF_QUALITY), size=len(world.days), p=list(_SHARE_OF_QUALITY.values()))
    value = world.soil_moisture[:, row, column] + rng.normal(0, world.planted.station_noise_sd, len(world.days))
    value[quality == "D06"] += 0.25
    has_row = quality != "M"
    return Station(
        station_id=f"SIM-{reach[0].upper()}{number}",
        name=f"Simulated {reach} reach {number}",
        reach=reach,
        row=row,
        column=column,
        lon=float(lon),
        lat=float(lat),
        elevation_m=float(world.elevation_m[row, column]),
        land_cover=LAND_COVER_NAMES[int(world.land_cover[row, column])],
        days=world.days[has_row],
        soil_moisture=np.maximum(value[has_row], 0.0),
        quality=quality[has_row],
    )
