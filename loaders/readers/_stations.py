"""What every reader of stations shares: the columns of a station, the kinds of measurement, and checks of their units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl
import pyarrow as pa

from loaders.granule import BadFile

STATION_SCHEMA = pa.schema(
    [
        ("station_id", pa.string()),
        ("network", pa.string()),
        ("name", pa.string()),
        ("lon", pa.float64()),
        ("lat", pa.float64()),
        ("elevation_m", pa.float64()),
        ("land_cover", pa.string()),
        ("method", pa.string()),
    ]
)


@dataclass(frozen=True)
class Measured:
    """A kind of measurement, named with its unit.

    unit      as in seeds/variables.csv
    in_soil   it is taken at a depth, so a row needs a layer
    highest   the median of a file's values cannot lie above this when they are in the unit; None: no limit
    lowest    the median cannot lie below this
    instead   what to do when it does
    """

    unit: str
    in_soil: bool
    highest: float | None = None
    lowest: float | None = None
    instead: str = ""


_KELVIN = "subtract 273.15: it looks like kelvin"
MEASURED: Mapping[str, Measured] = {
    "soil_moisture_m3m3": Measured(
        "m3 m-3",
        True,
        highest=1,
        instead="percent of the volume is soil_moisture_volume_percent, percent of the dry mass soil_moisture_mass_percent",
    ),
    "soil_moisture_volume_percent": Measured(
        "percent", True, highest=100, lowest=1, instead="a fraction of the volume is soil_moisture_m3m3"
    ),
    "soil_moisture_mass_percent": Measured(
        "percent", True, highest=500, lowest=0.5, instead="multiply a fraction by 100"
    ),
    "soil_temperature_c": Measured("degC", True, highest=100, lowest=-90, instead=_KELVIN),
    "air_temperature_c": Measured("degC", False, highest=70, lowest=-90, instead=_KELVIN),
    "precipitation_mm": Measured("mm", False),
}
BULK_DENSITY = "bulk_density_g_cm3"
NUMBERS = (*MEASURED, BULK_DENSITY)


def check_units(values: Mapping[str, pl.Series]) -> None:
    """Raises BadFile when the median of a column cannot be in the unit that its name says. Values without fill."""
    for name, series in values.items():
        middle = series.drop_nulls().median()
        kind = MEASURED.get(name)
        if middle is None:
            continue
        if name == BULK_DENSITY and not 0 < middle <= 3:
            raise BadFile(f"half of its {name} lie above {middle:g}, which is no bulk density in g cm-3")
        if kind is None:
            continue
        if kind.highest is not None and middle > kind.highest:
            raise BadFile(f"half of its {name} lie above {middle:g}: its unit is another one ({kind.instead})")
        if kind.lowest is not None and middle < kind.lowest and middle != 0:
            raise BadFile(f"half of its {name} lie below {middle:g}: its unit is another one ({kind.instead})")


def to_arrow(frame: pl.DataFrame) -> pa.Table:
    """Plain Arrow strings: polars' own views are not readable everywhere."""
    arrow = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
    plain = [f.with_type(pa.string()) if pa.types.is_large_string(f.type) else f for f in arrow.schema]
    return arrow.cast(pa.schema(plain))
