"""What downscaling starts from, made of the simulated truth: a daily coarse product, a reanalysis, terrain units.

The reanalysis is a world of its own, as real ones are: each of its cells has one land cover, the commonest below it, a moisture that
follows the truth with a bias, and the skin temperatures at a satellite's times that this cover's thermal inertia gives to *that* moisture.
So a fit of its moisture on its temperatures finds the planted inertia, whatever its bias.

One year is enough for all of it, and three times as fast to load as three.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from loaders.simulate.basin import WATER, World, stream
from loaders.simulate.geometry import COARSE_M, SIZE, to_lonlat

YEAR = 2019

# A cell of the 9 km grid (M09) is exactly 9 x 9 cells of the 1 km grid.
MIDDLE_NESTING = 9
MIDDLE_M = COARSE_M / 4
MIDDLE_NOISE_SD = 0.01

# ERA5-Land: centres on whole tenths of a degree.
REANALYSIS_CELL_DEG = 0.1
REANALYSIS_BIAS = 0.02
REANALYSIS_MOISTURE_NOISE_SD = 0.008
REANALYSIS_TEMPERATURE_NOISE_SD_K = 0.2
_LARGEST_WATER_SHARE = 0.2

PLAIN, HILLS, MOUNTAINS = 1, 2, 3
UNIT_NAMES = {PLAIN: "plain", HILLS: "hills", MOUNTAINS: "mountains"}


def days_to_downscale(world: World) -> np.ndarray:
    """(n,) boolean: the days of YEAR; of a record without them all days."""
    is_of_year = world.days.astype("datetime64[Y]").astype(int) + 1970 == YEAR
    return is_of_year if is_of_year.any() else np.ones(len(world.days), bool)


def coarse_moisture(world: World) -> np.ndarray:
    """(k, 8, 8), the k days to downscale: the area mean of the truth in each 9 km cell, m3 m-3, plus noise that is independent from cell to cell and day to day."""
    n_cells = SIZE // MIDDLE_NESTING
    moisture = world.soil_moisture[days_to_downscale(world)]
    blocks = moisture.reshape(-1, n_cells, MIDDLE_NESTING, n_cells, MIDDLE_NESTING)
    mean = np.nanmean(blocks, axis=(2, 4))
    return np.clip(mean + stream(world.seed, "soil moisture, 9 km").normal(0, MIDDLE_NOISE_SD, mean.shape), 0.0, 1.0)


def terrain_units(world: World) -> np.ndarray:
    """(SIZE, SIZE) uint8: plain, hills and mountains, a third of the window each, by height."""
    low, high = np.quantile(world.elevation_m, [1 / 3, 2 / 3])
    return (PLAIN + (world.elevation_m > low) + (world.elevation_m > high)).astype(np.uint8)


@dataclass(frozen=True)
class Reanalysis:
    """Whole cells of the 0.1 degree grid within the window; left and top are its outer edges, degrees.

    land_cover (rows, columns) uint8; soil_moisture (k, rows, columns) m3 m-3 of the k days to downscale; skin_day_k, skin_night_k alike, K. NaN where more than a
    fifth of the cell is water.
    """

    left_deg: float
    top_deg: float
    land_cover: np.ndarray
    soil_moisture: np.ndarray
    skin_day_k: np.ndarray
    skin_night_k: np.ndarray


def reanalysis(world: World) -> Reanalysis:
    """The reanalysis of the default or any other record of the world."""
    centre = np.arange(SIZE) + 0.5
    lon, _ = to_lonlat(centre, np.full(SIZE, SIZE / 2))
    _, lat = to_lonlat(np.full(SIZE, SIZE / 2), centre)
    (west, east), (north, south) = to_lonlat([0, SIZE], [0, SIZE])
    # Cells are counted by their centres, in whole tenths of a degree; the first and last that lie whole within the window.
    columns = _whole_cells(west, east)
    rows = _whole_cells(south, north)[::-1]
    column_of = np.rint(lon / REANALYSIS_CELL_DEG).astype(int)
    row_of = np.rint(lat / REANALYSIS_CELL_DEG).astype(int)

    asked = days_to_downscale(world)
    truth = world.soil_moisture[asked]
    shape = (len(rows), len(columns))
    rng = stream(world.seed, "reanalysis")
    land_cover = np.zeros(shape, np.uint8)
    moisture = np.full((len(truth), *shape), np.nan)
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            cell = np.ix_(row_of == row, column_of == column)
            cover = world.land_cover[cell]
            land_cover[i, j] = np.bincount(cover.ravel()[cover.ravel() != WATER], minlength=1).argmax()
            if (cover == WATER).mean() <= _LARGEST_WATER_SHARE:
                moisture[:, i, j] = np.nanmean(truth[:, *cell], axis=(1, 2))
    moisture += REANALYSIS_BIAS + rng.normal(0, REANALYSIS_MOISTURE_NOISE_SD, moisture.shape)

    inertia = world.planted.thermal_inertia
    intercept = np.vectorize(lambda code: inertia[code].intercept_k)(land_cover)
    slope = np.vectorize(lambda code: inertia[code].slope_k)(land_cover)
    difference = intercept - slope * moisture + rng.normal(0, REANALYSIS_TEMPERATURE_NOISE_SD_K, moisture.shape)
    by_day, by_night = world.lst_all_weather_day_k[asked], world.lst_all_weather_night_k[asked]
    middle = np.nanmean((by_day + by_night) / 2, axis=(1, 2), dtype=float)
    return Reanalysis(
        left_deg=round(columns[0] * REANALYSIS_CELL_DEG - REANALYSIS_CELL_DEG / 2, 2),
        top_deg=round(rows[0] * REANALYSIS_CELL_DEG + REANALYSIS_CELL_DEG / 2, 2),
        land_cover=land_cover,
        soil_moisture=moisture,
        skin_day_k=middle[:, None, None] + difference / 2,
        skin_night_k=middle[:, None, None] - difference / 2,
    )


def _whole_cells(low: float, high: float) -> np.ndarray:
    """Numbers of the cells, ascending, whose both edges lie between two longitudes or latitudes."""
    first = np.ceil(low / REANALYSIS_CELL_DEG + 0.5)
    last = np.floor(high / REANALYSIS_CELL_DEG - 0.5)
    return np.arange(first, last + 1).astype(int)
