"""Stations as plain CSV or Parquet, in one joined file or in two: the stations, and their observations (long form).

Stations:      station_id, lon, lat, and as far as known network, name, elevation_m, land_cover, method
Observations:  station_id, date or time (UTC), layer_top_cm, layer_bottom_cm, soil_moisture_m3m3, and quality if there is one

A file with only one of the two halves is a granule of its own: of stations without dates and rows, of observations without places.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa

from loaders.granule import BadFile, Granule
from loaders.readers._checks import check_holds_values
from loaders.readers._files import list_names, sha256_of
from loaders.readers._tables import Table, distinct_dates, first_row_where, read_moments, refuse_repeats

if TYPE_CHECKING:
    from loaders.grids import Grid
    from loaders.products import Product

LAYOUT = "sparse"

VALUE = "soil_moisture_m3m3"
_STATION_TEXT = ("network", "name", "land_cover", "method")
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
_MEANINGS = {
    "station_id": "which station the row belongs to",
    "layer_top_cm": "upper depth of the layer, cm",
    "layer_bottom_cm": "lower depth of the layer, cm",
    "lon": "longitude of the station, degrees",
    "lat": "latitude of the station, degrees",
}


def inspect(path: Path, product: Product, grid: Grid | None = None) -> Granule:
    """The header of one station table; `grid` and `window` are None, `dates` the days it has observations of.

    Raises BadFile for a file that is empty, truncated or no table, has neither stations nor observations, lacks a column, or has
    impossible places, layers that end above their top, unreadable dates, numbers that are none, or the same observation twice.
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
    """Every observation: station_id, layer_top_cm, layer_bottom_cm, obs_date, obs_time (TIMESTAMP us, UTC), the variables.

    obs_time is NULL where the file says only the day. A file of stations alone gives a table without rows.
    """
    table = Table.open(granule.path)
    if "observations" in _halves(table, product):
        frame = _read_observations(table, product)
    else:
        frame = pl.DataFrame(schema=_observation_schema([v.name for v in product.variables]))
    return _to_arrow(frame)


def read_stations(granule: Granule, product: Product) -> pa.Table:
    """The stations of a file, one row each (`STATION_SCHEMA`); without rows for a file of observations alone.

    What a file does not say of a station is NULL.
    """
    table = Table.open(granule.path)
    if "stations" not in _halves(table, product):
        return STATION_SCHEMA.empty_table()
    return _to_arrow(_read_stations(table, product)).cast(STATION_SCHEMA)


# -- columns ------------------------------------------------------------------------------------------------------------


def _column(product: Product, name: str) -> str:
    """What the file calls a column."""
    return product.options.columns.get(name, name)


def _has(table: Table, product: Product, name: str) -> bool:
    return _column(product, name) in table.columns


def _require(table: Table, product: Product, *names: str) -> None:
    table.require((_column(product, name), _MEANINGS[name]) for name in names)


def _halves(table: Table, product: Product) -> set[str]:
    """`stations`, `observations` or both. Raises BadFile when the table is neither."""
    _require(table, product, "station_id")
    halves = set()
    if _has(table, product, "lon") or _has(table, product, "lat"):
        _require(table, product, "lon", "lat")
        halves.add("stations")
    if _has(table, product, VALUE):
        _require(table, product, "layer_top_cm", "layer_bottom_cm")
        if not (_has(table, product, "date") or _has(table, product, "time")):
            raise BadFile(
                f"has observations but neither a column date nor time; it has {list_names(list(table.columns))}"
            )
        halves.add("observations")
    if not halves:
        raise BadFile(
            f"has neither stations (columns lon, lat) nor observations (column {VALUE}); it has "
            f"{list_names(list(table.columns))}: name its columns under columns in the mapping"
        )
    return halves


def _read(table: Table, product: Product, types: dict[str, pl.DataType | None]) -> pl.DataFrame:
    """Columns by the names used here; those the file lacks are left out."""
    held = {name: dtype for name, dtype in types.items() if _has(table, product, name)}
    frame = table.read({_column(product, name): dtype for name, dtype in held.items()})
    return frame.rename({_column(product, name): name for name in held})


def _station_ids(table: Table, frame: pl.DataFrame) -> pl.Series:
    if frame.is_empty():
        raise BadFile("has a header but no rows")
    ids = frame["station_id"].cast(pl.String).str.strip_chars()
    row = first_row_where(ids.is_null() | (ids == ""))
    if row is not None:
        raise BadFile(f"has no station_id in {table.line(row)}")
    return ids


# -- stations -----------------------------------------------------------------------------------------------------------


def _read_stations(table: Table, product: Product) -> pl.DataFrame:
    types = {"station_id": None, **dict.fromkeys(_STATION_TEXT)}
    frame = _read(table, product, types | dict.fromkeys(("lon", "lat", "elevation_m"), pl.Float64))
    frame = frame.with_columns(_station_ids(table, frame))
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


def _observation_schema(variables: list[str]) -> dict[str, pl.DataType]:
    return {
        "station_id": pl.String(),
        "layer_top_cm": pl.Float64(),
        "layer_bottom_cm": pl.Float64(),
        "obs_date": pl.Date(),
        "obs_time": pl.Datetime("us"),
        **{name: pl.Float64() if name == VALUE else pl.String() for name in variables},
    }


def _read_observations(table: Table, product: Product) -> pl.DataFrame:
    when = "time" if _has(table, product, "time") else "date"
    types = dict.fromkeys(("layer_top_cm", "layer_bottom_cm", VALUE), pl.Float64)
    frame = _read(table, product, {"station_id": None, when: None, **types, "quality": None})
    frame = frame.with_columns(_station_ids(table, frame))
    top, bottom = frame["layer_top_cm"], frame["layer_bottom_cm"]
    row = first_row_where(top.is_null() | bottom.is_null() | (top < 0) | (bottom < top))
    if row is not None:
        raise BadFile(
            f"has the layer {top[row]} to {bottom[row]} cm in {table.line(row)}: the top must not lie below the bottom"
        )
    moments = read_moments(table, frame[when])
    frame = frame.with_columns(
        moments.dates.alias("obs_date"),
        # a date alone does not say when: midnight would be made up
        (moments.times if when == "time" else pl.lit(None, pl.Datetime("us"))).alias("obs_time"),
    )
    if "quality" in frame.columns:
        frame = frame.with_columns(pl.col("quality").cast(pl.String))
    key = ["station_id", "layer_top_cm", "layer_bottom_cm", "obs_date", "obs_time"]
    words = ("station", "layer from", "to", "on", "at")
    refuse_repeats(table, frame.select(key), dict(zip(key, words, strict=True)))
    value = product.variable(VALUE)
    known = frame[VALUE].drop_nulls()
    check_holds_values([value], lambda v: bool(known.len()) and v.has_valid(known.to_numpy()))
    held = [v.name for v in product.variables if v.name in frame.columns]
    return frame.select(list(_observation_schema(held)))


def _to_arrow(frame: pl.DataFrame) -> pa.Table:
    """Plain Arrow strings: polars' own views are not readable everywhere."""
    arrow = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
    plain = [f.with_type(pa.string()) if pa.types.is_large_string(f.type) else f for f in arrow.schema]
    return arrow.cast(pa.schema(plain))
