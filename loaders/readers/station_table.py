"""Stations as plain CSV or Parquet, in one joined file or in two: the stations, and their observations.

Stations:      station_id, lon, lat, and as far as known network, name, elevation_m, land_cover, method
Observations:  station_id, date or time, and at least one measurement (`_stations.MEASURED`); layer_top_cm, layer_bottom_cm for what is
               measured in the soil; sensor, bulk_density_g_cm3, quality and provider_quality where there are some

Observations come in one of three shapes:

long            a row is a station, a layer and a time
`across`        a row is a station and a time, and each listed column is one measurement at one depth
`stations`      a row is a time, and every other column is a station

The station may be in the file's name (a group `station_id` of `file_pattern`). A file with only one of the two halves is a granule of
its own: of stations without dates and rows, of observations without places.
"""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa

from loaders.granule import BadFile, Granule
from loaders.names import layer_limits
from loaders.readers._checks import check_holds_values
from loaders.readers._files import list_names, sha256_of
from loaders.readers._stations import BULK_DENSITY, MEASURED, NUMBERS, STATION_SCHEMA, check_units, to_arrow
from loaders.readers._tables import Table, distinct_dates, first_row_where, read_moments, refuse_repeats

if TYPE_CHECKING:
    from loaders.grids import Grid
    from loaders.products import Product

LAYOUT = "sparse"

_STATION_TEXT = ("network", "name", "land_cover", "method")
_TEXT = ("quality", "provider_quality")
_BY_MASS = "soil_moisture_mass_percent"
_MEANINGS = {
    "station_id": "which station the row belongs to",
    "layer_top_cm": "upper depth of the layer, cm",
    "layer_bottom_cm": "lower depth of the layer, cm",
    "lon": "longitude of the station, degrees",
    "lat": "latitude of the station, degrees",
    BULK_DENSITY: "dry mass of the soil by volume, g cm-3; the mapping can say one number, bulk_density",
}
_KEYS = {
    "station_id": pl.String(),
    "sensor": pl.String(),
    "layer_top_cm": pl.Float64(),
    "layer_bottom_cm": pl.Float64(),
    "obs_date": pl.Date(),
    "obs_time": pl.Datetime("us"),
}


def inspect(path: Path, product: Product, grid: Grid | None = None) -> Granule:
    """The header of one station table; `grid` and `window` are None, `dates` the days it has observations of.

    Raises BadFile for a file that is empty, truncated or no table, has neither stations nor observations, lacks a column, or has
    impossible places, layers that end above their top, unreadable dates, numbers that are none, a unit that cannot be, soil moisture by
    mass without a bulk density, or the same observation twice.
    """
    path = Path(path)
    names = product.parse_name(path.name)
    table = Table.open(path)
    halves = _halves(table, product)
    dates = ()
    variables: tuple[str, ...] = ()
    if "stations" in halves:
        _read_stations(table, product)
    if "observations" in halves:
        observations = _read_observations(table, product)
        dates = distinct_dates(observations["obs_date"])
        variables = tuple(v.name for v in product.variables if v.name in observations.columns)
    return Granule(
        path=path,
        name=path.name,
        key=names["key"],
        version=names["version"],
        sha256=sha256_of(path),
        grid=grid,
        window=None,
        dates=dates,
        variables=variables,
    )


def read_sparse(granule: Granule, product: Product) -> pa.Table:
    """Every observation: station_id, sensor, layer_top_cm, layer_bottom_cm, obs_date, obs_time (TIMESTAMP us, UTC), the variables.

    obs_time is NULL where the file says only the day, the layer where nothing of the row is measured in the soil. A file of stations alone
    gives a table without rows.
    """
    table = Table.open(granule.path)
    if "observations" in _halves(table, product):
        frame = _read_observations(table, product)
    else:
        held = {v.name: pl.String() if v.dtype == "string" else pl.Float64() for v in product.variables}
        frame = pl.DataFrame(schema=_KEYS | held)
    return to_arrow(frame)


def read_stations(granule: Granule, product: Product) -> pa.Table:
    """The stations of a file, one row each (`STATION_SCHEMA`); without rows for a file of observations alone.

    What a file does not say of a station is NULL.
    """
    table = Table.open(granule.path)
    if "stations" not in _halves(table, product):
        return STATION_SCHEMA.empty_table()
    return to_arrow(_read_stations(table, product)).cast(STATION_SCHEMA)


# -- columns ------------------------------------------------------------------------------------------------------------


def _column(product: Product, name: str) -> str:
    """What the file calls a column."""
    return product.options.columns.get(name, name)


def _has(table: Table, product: Product, name: str) -> bool:
    return _column(product, name) in table.columns


def _require(table: Table, product: Product, *names: str) -> None:
    table.require((_column(product, name), _MEANINGS[name]) for name in names)


def _station_in_name(table: Table, product: Product) -> str | None:
    """The station that the file's name says, by the group `station_id` of the product's pattern; None without."""
    if product.file_pattern is None:
        return None
    match = re.search(product.file_pattern, table.path.name)
    return match.groupdict().get("station_id") if match is not None else None


def _is_of_stations_across(table: Table, product: Product) -> bool:
    return product.options.stations is not None and not _has(table, product, "station_id")


def _halves(table: Table, product: Product) -> set[str]:
    """`stations`, `observations` or both. Raises BadFile when the table is neither."""
    if _is_of_stations_across(table, product):
        return {"observations"}
    if _station_in_name(table, product) is None:
        _require(table, product, "station_id")
    halves = set()
    if _has(table, product, "lon") or _has(table, product, "lat"):
        _require(table, product, "lon", "lat")
        halves.add("stations")
    measured = [name for name in MEASURED if _has(table, product, name)]
    across = [a.name for a in product.options.across if a.column in table.columns]
    if across or measured:
        if not across and any(MEASURED[name].in_soil for name in measured):
            _require(table, product, "layer_top_cm", "layer_bottom_cm")
        if not (_has(table, product, "date") or _has(table, product, "time")):
            raise BadFile(
                f"has observations but neither a column date nor time; it has {list_names(list(table.columns))}"
            )
        if _BY_MASS in (*measured, *across) and product.options.bulk_density is None:
            _require(table, product, BULK_DENSITY)
        halves.add("observations")
    if not halves:
        raise BadFile(
            f"has neither stations (columns lon, lat) nor observations ({', '.join(MEASURED)}); it has "
            f"{list_names(list(table.columns))}: name its columns under columns in the mapping"
        )
    return halves


def _read(table: Table, product: Product, types: dict[str, pl.DataType | None]) -> pl.DataFrame:
    """Columns by the names used here; those the file lacks are left out."""
    held = {name: dtype for name, dtype in types.items() if _has(table, product, name)}
    frame = table.read({_column(product, name): dtype for name, dtype in held.items()})
    return frame.rename({_column(product, name): name for name in held})


def _station_ids(table: Table, product: Product, frame: pl.DataFrame) -> pl.Series:
    if frame.is_empty():
        raise BadFile("has a header but no rows")
    if "station_id" not in frame.columns:
        return pl.Series("station_id", [_station_in_name(table, product)], pl.String).new_from_index(0, frame.height)
    ids = frame["station_id"].cast(pl.String).str.strip_chars()
    row = first_row_where(ids.is_null() | (ids == ""))
    if row is not None:
        raise BadFile(f"has no station_id in {table.line(row)}")
    return ids


# -- stations -----------------------------------------------------------------------------------------------------------


def _read_stations(table: Table, product: Product) -> pl.DataFrame:
    types = {"station_id": None, **dict.fromkeys(_STATION_TEXT)}
    frame = _read(table, product, types | dict.fromkeys(("lon", "lat", "elevation_m"), pl.Float64))
    frame = frame.with_columns(_station_ids(table, product, frame))
    for name, limit in (("lon", 180), ("lat", 90)):
        row = first_row_where(frame[name].is_null() | (frame[name].abs() > limit))
        if row is not None:
            raise BadFile(f"has {name} {frame[name][row]} in {table.line(row)}, which is no {_MEANINGS[name]}")
    # a joined file repeats its stations; where it contradicts itself, neither place can be believed
    stations = frame.unique(maintain_order=True)
    row = first_row_where(stations["station_id"].is_duplicated())
    if row is not None:
        station = stations["station_id"][row]
        rows = stations.filter(pl.col("station_id") == station)
        differing = next(c for c in rows.columns if rows[c].n_unique() > 1)
        values = rows[differing].unique(maintain_order=True).to_list()[:2]
        raise BadFile(f"describes station {station} in two ways: {differing} is {values[0]} and {values[1]}")
    missing = [
        pl.lit(None, pl.Float64 if name == "elevation_m" else pl.String).alias(name)
        for name in STATION_SCHEMA.names
        if name not in stations.columns
    ]
    text = [pl.col(c).cast(pl.String) for c in _STATION_TEXT if c in stations.columns]
    return stations.with_columns(*missing, *text).select(STATION_SCHEMA.names)


# -- observations -------------------------------------------------------------------------------------------------------


def _read_observations(table: Table, product: Product) -> pl.DataFrame:
    if _is_of_stations_across(table, product):
        frame = _read_stations_across(table, product)
    elif any(a.column in table.columns for a in product.options.across):
        frame = _read_across(table, product)
    else:
        frame = _read_long(table, product)
    if product.options.bulk_density is not None and _BY_MASS in frame.columns and BULK_DENSITY not in frame.columns:
        frame = frame.with_columns(pl.lit(product.options.bulk_density).alias(BULK_DENSITY))
    _check_bulk_density(table, product, frame)
    held = [v.name for v in product.variables if v.name in frame.columns]
    numbers = [product.variable(name) for name in held if name in MEASURED]
    valid = {v.name: frame[v.name].drop_nulls() for v in numbers}
    valid = {v.name: valid[v.name].filter(~valid[v.name].is_in([float(f) for f in v.fill])) for v in numbers}
    check_holds_values(numbers, lambda v: bool(valid[v.name].len()))
    if BULK_DENSITY in frame.columns:
        valid[BULK_DENSITY] = frame[BULK_DENSITY]
    check_units(valid)
    return frame.select(*_KEYS, *held)


def _read_long(table: Table, product: Product) -> pl.DataFrame:
    """One row a station, layer and time, as in the file."""
    measured = [name for name in NUMBERS if _has(table, product, name)]
    layers = dict.fromkeys(("layer_top_cm", "layer_bottom_cm"), pl.Float64)
    text = dict.fromkeys(("sensor", *_TEXT))
    numbers = dict.fromkeys(measured, pl.Float64)
    when = _when(table, product)
    frame = _read(table, product, {"station_id": None, when: None, **layers, **numbers, **text})
    frame = _with_moments(table, product, frame, when)
    frame = _with_missing_keys(frame)
    frame = frame.with_columns(pl.col(c).cast(pl.String) for c in ("sensor", *_TEXT) if c in frame.columns)
    top, bottom = frame["layer_top_cm"], frame["layer_bottom_cm"]
    wrong = (top < 0) | (bottom < top)
    if any(MEASURED[name].in_soil for name in measured if name in MEASURED):
        in_soil = frame.select(pl.any_horizontal(pl.col(n).is_not_null() for n in measured if _is_in_soil(n)))
        only_above = ~in_soil.to_series() & top.is_null() & bottom.is_null()
        wrong = wrong.fill_null(value=True) & ~only_above
    row = first_row_where(wrong)
    if row is not None:
        raise BadFile(
            f"has the layer {top[row]} to {bottom[row]} cm in {table.line(row)}: the top must not lie below the bottom"
        )
    key = list(_KEYS)
    words = ("station", "sensor", "layer from", "to", "on", "at")
    refuse_repeats(table, frame.select(key), dict(zip(key, words, strict=True)))
    return frame


def _read_across(table: Table, product: Product) -> pl.DataFrame:
    """One row a station, time and depth, made of the listed columns; those of one depth go into one row."""
    listed = [a for a in product.options.across if a.column in table.columns]
    when = _when(table, product)
    keys = {_column(product, "station_id"): None} if _has(table, product, "station_id") else {}
    extra = {_column(product, BULK_DENSITY): pl.Float64} if _has(table, product, BULK_DENSITY) else {}
    frame = table.read({**keys, _column(product, when): None, **extra, **{a.column: pl.Float64 for a in listed}})
    frame = frame.rename(
        {_column(product, n): n for n in ("station_id", when, BULK_DENSITY) if _column(product, n) in frame.columns}
    )
    frame = _with_moments(table, product, frame, when)
    refuse_repeats(
        table,
        frame.select("station_id", "obs_date", "obs_time"),
        {"station_id": "station", "obs_date": "on", "obs_time": "at"},
    )
    parts = []
    for limits in dict.fromkeys(a.limits for a in listed):
        columns = [pl.col(a.column).alias(a.name) for a in listed if a.limits == limits]
        layer = [
            pl.lit(v, pl.Float64).alias(n) for n, v in zip(("layer_top_cm", "layer_bottom_cm"), limits, strict=True)
        ]
        kept = [c for c in ("station_id", "obs_date", "obs_time", BULK_DENSITY) if c in frame.columns]
        parts.append(frame.select(*kept, *layer, *columns))
    return _with_missing_keys(pl.concat(parts, how="diagonal"))


def _read_stations_across(table: Table, product: Product) -> pl.DataFrame:
    """One row a station and time, made of a table with a column a station."""
    measured = product.options.stations
    when = next((w for w in ("time", "date") if _has(table, product, w)), None)
    if when is None and product.options.start is None:
        raise BadFile(
            "has neither a column date nor time: say the day of its first row as `start` in the mapping; it has "
            f"{list_names(list(table.columns))}"
        )
    known = _column(product, when) if when is not None else None
    stations = [c for c in table.columns if c != known and c.strip()]  # a column without a name counts the rows
    frame = table.read({**({known: None} if known else {}), **dict.fromkeys(stations, pl.Float64)})
    if frame.is_empty():
        raise BadFile("has a header but no rows")
    if when is None:
        days = pl.date_range(
            product.options.start, product.options.start + timedelta(days=frame.height - 1), eager=True
        )
        frame = frame.with_columns(days.alias("obs_date"), pl.lit(None, pl.Datetime("us")).alias("obs_time"))
    else:
        frame = _with_moments(table, product, frame.rename({known: when}), when, needs_station=False)
    moments = frame.select("obs_date", "obs_time")
    refuse_repeats(table, moments, {"obs_date": "the day", "obs_time": "at"})
    long = frame.unpivot(stations, index=["obs_date", "obs_time"], variable_name="station_id", value_name=measured)
    long = long.with_columns(pl.col("station_id").str.strip_chars()).drop_nulls(measured)
    limits = layer_limits(product.options.layer) if product.options.layer != "surface" else (None, None)
    layer = [pl.lit(v, pl.Float64).alias(n) for n, v in zip(("layer_top_cm", "layer_bottom_cm"), limits, strict=True)]
    return _with_missing_keys(long.with_columns(layer))


def _is_in_soil(name: str) -> bool:
    return name in MEASURED and MEASURED[name].in_soil


def _when(table: Table, product: Product) -> str:
    return "time" if _has(table, product, "time") else "date"


def _with_moments(
    table: Table, product: Product, frame: pl.DataFrame, when: str, needs_station: bool = True
) -> pl.DataFrame:
    """The frame with station_id, obs_date and obs_time (UTC; NULL where the file says only the day)."""
    if needs_station:
        frame = frame.with_columns(_station_ids(table, product, frame))
    elif frame.is_empty():
        raise BadFile("has a header but no rows")
    moments = read_moments(table, frame[when])
    times = moments.times
    if when == "time" and product.options.time_zone is not None and not _says_zone(frame[when]):
        times = _to_utc(table, times, product.options.time_zone)
    return frame.with_columns(
        times.dt.date().alias("obs_date"),
        # a date alone does not say when: midnight would be made up
        (times if when == "time" else pl.lit(None, pl.Datetime("us"))).alias("obs_time"),
    )


def _says_zone(column: pl.Series) -> bool:
    if isinstance(column.dtype, pl.Datetime):
        return column.dtype.time_zone is not None
    return column.dtype == pl.String and bool(column.str.contains(r"(?:[zZ]|UTC|[+-]\d{2}:?\d{2})\s*$").all())


def _to_utc(table: Table, times: pl.Series, zone: str) -> pl.Series:
    """Local times as UTC. Raises BadFile for an hour that the clock had twice, or not at all."""
    local = times.dt.replace_time_zone(zone, ambiguous="null", non_existent="null")
    row = first_row_where(local.is_null() & times.is_not_null())
    if row is not None:
        raise BadFile(f"has {times[row]} in {table.line(row)}, which {zone} has twice or not at all: give times in UTC")
    return local.dt.convert_time_zone("UTC").dt.replace_time_zone(None)


def _with_missing_keys(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.lit(None, dtype).alias(k) for k, dtype in _KEYS.items() if k not in frame.columns)


def _check_bulk_density(table: Table, product: Product, frame: pl.DataFrame) -> None:
    """Raises BadFile when soil moisture by mass has no bulk density: by volume it could be anything."""
    if _BY_MASS not in frame.columns or BULK_DENSITY not in frame.columns:
        return
    row = first_row_where(frame[_BY_MASS].is_not_null() & frame[BULK_DENSITY].is_null())
    if row is not None:
        raise BadFile(f"has soil moisture by mass without a {_column(product, BULK_DENSITY)} in {table.line(row)}")
