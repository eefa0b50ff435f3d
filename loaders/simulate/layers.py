"""Monthly soil moisture at five depths, with a planted sequence of deficits and surpluses from the surface down.

    value = mean(layer) + offset(reach, layer) + season(layer, month) + anomaly(reach, layer, year) + place(pixel, layer) + noise

The anomaly of a year is -2 or +1 steps (or +2 and -1), so that over three years it adds up to nothing: one year of three is the odd one.
Which, and on which side, is written below as the signs that an index against the pixel's own calendar months must find. The offsets
are what an index against all pixels of the basin finds over the whole record: which reach is wet or dry for its depth.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from loaders.simulate.geometry import LOWER, MIDDLE, REACHES, SIZE, UPPER, reach_of_row

if TYPE_CHECKING:
    from loaders.simulate.basin import World

LAYERS = ("0-10 cm", "10-20 cm", "20-30 cm", "30-40 cm", "40-50 cm")
PROFILE = {"0-10 cm": (0,), "10-30 cm": (1, 2), "30-40 cm": (3,), "40-50 cm": (4,)}
"""The layers as papers look at them, with those of LAYERS that they are the mean of."""

FIRST_YEAR = 2018
SIGNS = {
    UPPER: ("+-++", "-+--", "++-+"),
    MIDDLE: ("--++", "++--", "-++-"),
    LOWER: ("++--", "++--", "--++"),
}
"""By reach and year, the sign of each layer of PROFILE; the years repeat every three. In each layer one year of three differs."""

OFFSET_SIGNS = {UPPER: "-+--", MIDDLE: "+-++", LOWER: "+-++"}
"""By reach, whether it is wetter or drier than the basin in each layer of PROFILE."""

MEAN = (0.20, 0.23, 0.25, 0.26, 0.27)
SEASON_AMPLITUDE = (0.045, 0.035, 0.025, 0.015, 0.010)
STEP = 0.01
OFFSET = {UPPER: 0.02, MIDDLE: 0.008, LOWER: 0.012}
PLACE_SD, NOISE_SD = 0.006, 0.004
N_YEARS = 3


def layered_moisture(world: World) -> np.ndarray:
    """(months, layers, SIZE, SIZE): monthly mean soil moisture, m3 m-3; NaN over water."""
    from loaders.simulate.basin import stream

    years = world.months.astype("datetime64[Y]").astype(int) + 1970
    calendar_month = world.months.astype("datetime64[M]").astype(int) % 12
    season = np.cos(2 * np.pi * (calendar_month - 6) / 12)
    shape = (len(world.months), len(LAYERS), SIZE, SIZE)
    rng = stream(world.seed, "soil moisture layers")
    total = rng.normal(0, PLACE_SD, shape[1:]) + stream(world.seed, "soil moisture layers, noise").normal(
        0, NOISE_SD, shape
    )
    total += np.array(MEAN)[:, None, None] + season[:, None, None, None] * np.array(SEASON_AMPLITUDE)[:, None, None]
    by_reach = np.stack([_anomaly(reach, years) + _offset(reach) for reach in REACHES], axis=-1)
    total += by_reach[:, :, reach_of_row()][..., None]
    total[:, :, world.is_water] = np.nan
    return total


def planted_signs(reach: str, year: int) -> str:
    """The signs of the layers of PROFILE in a year, from the surface down."""
    return SIGNS[reach][(year - FIRST_YEAR) % N_YEARS]


def _anomaly(reach: str, years: np.ndarray) -> np.ndarray:
    """(months, layers): what the year adds in the reach."""
    by_year = {int(year): _year_anomaly(reach, int(year)) for year in np.unique(years)}
    return np.stack([by_year[int(year)] for year in years])


def _year_anomaly(reach: str, year: int) -> list[float]:
    found = [0.0] * len(LAYERS)
    for place, members in enumerate(PROFILE.values()):
        signs = [planted_signs(reach, year + k)[place] for k in range(N_YEARS)]
        steps = 2 if signs.count(signs[0]) == 1 else 1
        for layer in members:
            found[layer] = STEP * steps * (1 if signs[0] == "+" else -1)
    return found


def _offset(reach: str) -> np.ndarray:
    """(layers,): what the reach adds in every year."""
    found = np.zeros(len(LAYERS))
    for sign, members in zip(OFFSET_SIGNS[reach], PROFILE.values(), strict=True):
        found[list(members)] = OFFSET[reach] * (1 if sign == "+" else -1)
    return found
