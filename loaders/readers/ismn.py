r"""Station files of the International Soil Moisture Network, loose or inside the zip archive that was downloaded.

A file (`.stm`) is one sensor's record, one line a measurement, in one of three layouts:

header and values   a line about the sensor, then `YYYY/MM/DD HH:MM  value  flag  provider's flag`
CEOP, separate      every line says all: nominal time, actual time, project, network, station, latitude, longitude, elevation,
                    depth from, depth to, value, flag, provider's flag
CEOP                a station's soil temperature and soil moisture of every depth: ... depth from (or `-`), depth to,
                    temperature, flag, moisture, flag

Lines end with CR, LF, CR LF, or LF CR; a provider's flag may lack, or be words with blanks. Times are UTC; where a file has two,
the actual one counts. The file's name says what is measured, the depths to the millimetre (the header rounds 0.0508 to 0.05)
and the sensor; the folder's `_static_variables.csv` says the land cover.

The package `ismn` is what this reader is tested against. It is not used for loading, because it takes a truncated or garbled
file as one with missing values, reads no CEOP, cuts a provider's flag at the first blank, rounds the depth of the header,
splits names at every `_`, and unpacks an archive's members to a disk.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa

from loaders.granule import BadFile, Granule
from loaders.readers._checks import check_holds_values
from loaders.readers._dates import FIRST_YEAR, LAST_YEAR
from loaders.readers._members import names_beside, read_bytes
from loaders.readers._stations import STATION_SCHEMA, check_units, to_arrow

if TYPE_CHECKING:
    from loaders.grids import Grid
    from loaders.products import Product

LAYOUT = "sparse"

VARIABLES = {
    "sm": "soil_moisture_m3m3",
    "ts": "soil_temperature_c",
    "ta": "air_temperature_c",
    "p": "precipitation_mm",
}
# A name is not split at `_`: stations and sensors may hold some. Depths have six decimals, and nothing else in a name does.
_NAME = re.compile(
    r"(?P<station>.+)_(?P<variable>[a-z]+)_(?P<top>-?\d+\.\d{6})_(?P<bottom>-?\d+\.\d{6})_(?P<sensor>.+)"
    r"_(?P<start>\d{8})_(?P<end>\d{8})\.stm"
)
_PERIOD = re.compile(r"_(?P<start>\d{8})_(?P<end>\d{8})\.stm$")
_ROUNDED = 0.6  # cm: the header rounds depths to whole centimetres

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_VALUE = rf"({_NUMBER}|[nN][aA][nN])"
_TIME = r"(\d{4}/\d{2}/\d{2})\s+(\d{2}:\d{2})(?::\d{2})?"
_FLAG = r"([A-Z]\d{0,2}(?:,[A-Z]\d{0,2})*)"
_PLACE = rf"(\S+)\s+(\S+)\s+(\S+)\s+({_NUMBER})\s+({_NUMBER})\s+(\S+)\s+(-|{_NUMBER})\s+({_NUMBER})"
_HEADER = re.compile(
    rf"\s*(?P<project>\S+)\s+(?P<network>\S+)\s+(?P<name>\S.*?)\s+(?P<lat>{_NUMBER})\s+(?P<lon>{_NUMBER})"
    rf"\s+(?P<elevation>{_NUMBER}|[nN][aA][nN])\s+(?P<top>{_NUMBER})\s+(?P<bottom>{_NUMBER})(?:\s+\S.*)?\s*"
)
_STARTS_WITH_A_DATE = re.compile(r"\s*\d{4}/?\d{2}/?\d{2}\s+\d{1,2}:?\d{2}")
_VALUE_LINE = rf"^\s*{_TIME}\s+{_VALUE}\s+{_FLAG}(?:\s+(\S.*?))?\s*$"
_SEPARATE_LINE = rf"^\s*{_TIME}\s+{_TIME}\s+{_PLACE}\s+{_VALUE}\s+{_FLAG}(?:\s+(\S.*?))?\s*$"
_CEOP_LINE = rf"^\s*{_TIME}\s+{_TIME}\s+{_PLACE}\s+{_VALUE}\s+{_FLAG}\s+{_VALUE}\s+{_FLAG}\s*$"
_PLACE_FIELDS = ("project", "network", "name", "lat", "lon", "elevation", "top", "bottom")
_VALUE_FIELDS = ("day", "clock", "value", "quality", "provider_quality")
_SEPARATE_FIELDS = ("nominal_day", "nominal_clock", "day", "clock", *_PLACE_FIELDS, *_VALUE_FIELDS[2:])
_CEOP_FIELDS = (
    *_SEPARATE_FIELDS[:-3],
    *("temperature", "temperature_quality", "moisture", "moisture_quality"),
)


@dataclass(frozen=True)
class _Sensor:
    """What a file's name says; depths in cm."""

    station: str
    variable: str
    top: float
    bottom: float
    sensor: str


@dataclass(frozen=True)
class _Station:
    network: str
    name: str
    lat: float
    lon: float
    elevation: float | None

    @property
    def station_id(self) -> str:
        return f"{self.network}_{self.name}"


@dataclass(frozen=True)
class _Record:
    """A file: its station, and its rows with layer_top_cm, layer_bottom_cm, obs_time, the variables and the flags."""

    station: _Station
    sensor: str | None
    rows: pl.DataFrame


def inspect(path: Path, product: Product, grid: Grid | None = None) -> Granule:
    """The header of one station file, or of a member of an archive; `grid` and `window` are None.

    Raises BadFile for a file that is empty, cut off, in none of the layouts, of several stations, that contradicts its name, has
    times outside the period in its name, the same time twice, a unit that cannot be, or nothing but missing values.
    """
    path = Path(path)
    if path.name.endswith("_static_variables.csv"):
        raise BadFile(
            "describes a station: it is read with the .stm files beside it, so load the folder or the archive"
        )
    names = product.parse_name(path.name)
    content = read_bytes(path)
    record = _read(path, content, product)
    return Granule(
        path=path,
        name=path.name,
        key=names["key"],
        version=names["version"],
        sha256=hashlib.sha256(content).hexdigest(),
        grid=grid,
        window=None,
        dates=tuple(record.rows["obs_time"].dt.date().unique().sort().to_list()),
        variables=tuple(v.name for v in product.variables if v.name in record.rows.columns),
    )


def read_sparse(granule: Granule, product: Product) -> pa.Table:
    """Every measurement: station_id, sensor, layer_top_cm, layer_bottom_cm, obs_date, obs_time (UTC), the variables, the flags.

    Depths of what is measured above the ground are negative heights, as in the file's name; missing values stay as delivered.
    """
    record = _read(granule.path, read_bytes(granule.path), product)
    columns = [
        pl.lit(record.station.station_id).alias("station_id"),
        pl.lit(record.sensor, pl.String).alias("sensor"),
        pl.col("obs_time").dt.date().alias("obs_date"),
    ]
    return to_arrow(record.rows.with_columns(columns))


def read_stations(granule: Granule, product: Product) -> pa.Table:
    """The file's station. `method` names every soil moisture sensor of the station's folder."""
    content = read_bytes(granule.path)
    first = re.split(r"[\r\n]", _decoded(content).lstrip(), maxsplit=1)[0]
    if _STARTS_WITH_A_DATE.match(first):
        station = _read(granule.path, content, product).station
    else:
        station = _station_of_header(first)[0]
    row = {
        "station_id": station.station_id,
        "network": station.network,
        "name": station.name,
        "lon": station.lon,
        "lat": station.lat,
        "elevation_m": station.elevation,
        "land_cover": _land_cover(granule.path),
        "method": _method(granule.path),
    }
    return pa.Table.from_pylist([row], schema=STATION_SCHEMA)


# -- one file -----------------------------------------------------------------------------------------------------------


def _read(path: Path, content: bytes, product: Product) -> _Record:
    lines = _lines(content)
    said = _sensor_of(path.name)
    first = lines["line"][0]
    if said is not None and not _STARTS_WITH_A_DATE.match(first):
        station, top, bottom = _station_of_header(first)
        _check_depth(said, top, bottom)
        fields = _fields(lines[1:], _VALUE_LINE, _VALUE_FIELDS, "header and values")
    elif said is not None:
        fields = _fields(lines, _SEPARATE_LINE, _SEPARATE_FIELDS, "CEOP, separate files")
        station, top, bottom = _station_of_lines(fields, one_layer=True)
        _check_depth(said, top, bottom)
    else:
        fields = _fields(lines, _CEOP_LINE, _CEOP_FIELDS, "CEOP")
        station, _, _ = _station_of_lines(fields, one_layer=False)
    if said is not None:
        _check_name(said, station)
        rows = _rows_of_sensor(fields, said)
    else:
        rows = _rows_of_station(fields)
    _check_times(path, rows, lines)
    rows = _without_repeats(rows)
    _check_values(rows, product)
    return _Record(station, said.sensor if said is not None else None, rows)


def _decoded(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _lines(content: bytes) -> pl.DataFrame:
    """The lines that are not blank, with their `number` from 1."""
    if not content:
        raise BadFile("is empty (0 bytes)")
    if b"\0" in content:
        raise BadFile("is no text: it is damaged, or of another format")
    text = _decoded(content)
    ended = text.rstrip(" ")
    if not ended.strip():
        raise BadFile("is empty: it has blank lines only")
    if not ended.endswith(("\n", "\r")):
        last = re.split(r"[\r\n]", ended)[-1]
        raise BadFile(f"ends in the middle of a line ({last[-40:]!r}): it is truncated")
    # two signs end one line in some files: a blank line more does no harm but to the number, so pairs count once
    text = re.sub(r"\r\n|\n\r", "\n", text).replace("\r", "\n")
    lines = pl.DataFrame({"line": text.split("\n")}).with_row_index("number", offset=1)
    return lines.filter(pl.col("line").str.strip_chars() != "")


def _fields(lines: pl.DataFrame, pattern: str, names: tuple[str, ...], layout: str) -> pl.DataFrame:
    """The fields of every line by name. Raises BadFile for the first line that is not of the layout."""
    if lines.is_empty():
        raise BadFile("has a header but no measurements")
    struct = lines["line"].str.extract_groups(pattern)
    fields = struct.struct.rename_fields(list(names)).struct.unnest().with_columns(lines["number"])
    wrong = fields["day"].is_null()
    if wrong.any():
        at = wrong.arg_true()[0]
        raise _no_layout(lines["line"][at], lines["number"][at], layout)
    return fields


def _no_layout(line: str, number: int, layout: str) -> BadFile:
    line = " ".join(line.split())
    shown = line if len(line) <= 60 else line[:57] + "..."
    return BadFile(f"is in none of the layouts of ISMN: line {number} is {shown!r} (as {layout} it cannot be read)")


def _sensor_of(name: str) -> _Sensor | None:
    """What a file's name says; None for a CEOP file, which is of a station."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    top, bottom = (round(100 * float(match[k]), 4) for k in ("top", "bottom"))
    return _Sensor(match["station"], VARIABLES[match["variable"]], top, bottom, match["sensor"])


def _station(network: str, name: str, lat: str, lon: str, elevation: str) -> _Station:
    latitude, longitude = float(lat), float(lon)
    if abs(latitude) > 90 or abs(longitude) > 180:
        raise BadFile(f"says latitude {latitude:g}, longitude {longitude:g}, which is no place on the Earth")
    try:
        height = float(elevation)
    except ValueError:
        height = float("nan")
    return _Station(network, name, latitude, longitude, height if -500 < height < 9000 else None)


def _station_of_header(line: str) -> tuple[_Station, float, float]:
    found = _HEADER.fullmatch(line)
    if found is None:
        raise _no_layout(line, 1, "header and values")
    station = _station(*(found[k] for k in ("network", "name", "lat", "lon", "elevation")))
    return station, 100 * float(found["top"]), 100 * float(found["bottom"])


def _station_of_lines(fields: pl.DataFrame, one_layer: bool) -> tuple[_Station, float, float]:
    """The station that every line names; a station that was moved is where its last line says."""
    same = ["network", "name", *(("top", "bottom") if one_layer else ())]
    for name in same:
        if fields[name].n_unique() > 1:
            row = (fields[name] != fields[name][0]).arg_true()[0]
            raise BadFile(
                f"is of several sensors: {name} is {fields[name][0]} in line {fields['number'][0]} and "
                f"{fields[name][row]} in line {fields['number'][row]}"
            )
    last = fields.row(-1, named=True)
    bottom = 100 * float(last["bottom"])
    top = bottom if last["top"] == "-" else 100 * float(last["top"])
    return _station(*(last[k] for k in ("network", "name", "lat", "lon", "elevation"))), top, bottom


def _check_depth(said: _Sensor, top: float, bottom: float) -> None:
    if abs(said.top - top) > _ROUNDED or abs(said.bottom - bottom) > _ROUNDED:
        raise BadFile(f"its name says {said.top:g} to {said.bottom:g} cm, its content {top:g} to {bottom:g} cm")


def _check_name(said: _Sensor, station: _Station) -> None:
    """Names are spelled with other signs in files than in file names: only letters and digits are compared."""
    plain = [re.sub(r"[\W_]", "", text).lower() for text in (said.station, station.network + station.name)]
    if all(text.isascii() for text in plain) and not plain[0].endswith(plain[1]):
        raise BadFile(f"its name says {said.station}, its content {station.network} {station.name}")


# -- rows ---------------------------------------------------------------------------------------------------------------


def _times(fields: pl.DataFrame) -> pl.Series:
    text = fields["day"] + " " + fields["clock"]
    times = text.str.to_datetime("%Y/%m/%d %H:%M", time_unit="us", strict=False)
    bad = (times.is_null() | ~times.dt.year().is_between(FIRST_YEAR, LAST_YEAR)).arg_true()
    if len(bad):
        raise BadFile(
            f"has {text[bad[0]]} in line {fields['number'][bad[0]]}, which is no time between {FIRST_YEAR} and {LAST_YEAR}"
        )
    return times.alias("obs_time")


def _number(column: str) -> pl.Expr:
    return pl.col(column).cast(pl.Float64, strict=False).fill_nan(None)


def _rows_of_sensor(fields: pl.DataFrame, said: _Sensor) -> pl.DataFrame:
    return fields.select(
        pl.lit(said.top).alias("layer_top_cm"),
        pl.lit(said.bottom).alias("layer_bottom_cm"),
        _times(fields),
        _number("value").alias(said.variable),
        "quality",
        "provider_quality",
        "number",
    )


def _rows_of_station(fields: pl.DataFrame) -> pl.DataFrame:
    """A CEOP line as two rows, because temperature and moisture have a flag each."""
    bottom = (100 * pl.col("bottom").cast(pl.Float64)).round(4)
    top = pl.when(pl.col("top") == "-").then(bottom).otherwise((100 * _number("top")).round(4))
    place = [top.alias("layer_top_cm"), bottom.alias("layer_bottom_cm"), _times(fields)]
    no_flag = pl.lit(None, pl.String).alias("provider_quality")
    halves = [
        fields.select(
            *place,
            _number(kind).alias(variable),
            pl.lit(kind).alias("kind"),
            quality=f"{kind}_quality",
            number="number",
        )
        for kind, variable in (("moisture", VARIABLES["sm"]), ("temperature", VARIABLES["ts"]))
    ]
    return pl.concat(halves, how="diagonal").with_columns(no_flag)


def _check_times(path: Path, rows: pl.DataFrame, lines: pl.DataFrame) -> None:
    """A row outside the period that was asked for is a damaged date."""
    spelled = _PERIOD.search(path.name)
    try:
        start, end = (datetime.strptime(spelled[k], "%Y%m%d") for k in ("start", "end"))
    except ValueError:
        raise BadFile(f"its name says {spelled['start']} to {spelled['end']}, which are no dates") from None
    outside = ~rows["obs_time"].is_between(start - timedelta(days=1), end + timedelta(days=2))
    if outside.any():
        at = outside.arg_true()[0]
        moment: datetime = rows["obs_time"][at]
        raise BadFile(
            f"has {moment:%Y-%m-%d %H:%M} in line {rows['number'][at]}, outside {date(start.year, start.month, start.day)} to "
            f"{date(end.year, end.month, end.day)}, which its name says"
        )


def _without_repeats(rows: pl.DataFrame) -> pl.DataFrame:
    """Every row once. Raises BadFile when a time comes again with something else."""
    key = [c for c in ("layer_top_cm", "layer_bottom_cm", "obs_time", "kind") if c in rows.columns]
    if rows.select(key).is_duplicated().any():
        rows = rows.filter(pl.struct(pl.exclude("number")).is_first_distinct())
        repeated = rows.select(key).is_duplicated().arg_true()
        if len(repeated):
            moment: datetime = rows["obs_time"][repeated[0]]
            line = rows["number"][repeated[0]]
            raise BadFile(f"has {moment:%Y-%m-%d %H:%M} twice with different values (line {line} is the first)")
    return rows.drop("number", "kind", strict=False)


def _check_values(rows: pl.DataFrame, product: Product) -> None:
    variables = [v for v in product.variables if v.name in rows.columns and v.dtype == "float64"]
    valid = {}
    for variable in variables:
        values = rows[variable.name].filter(rows["quality"] != "M").drop_nulls()
        valid[variable.name] = values.filter(~values.is_in([float(fill) for fill in variable.fill]))
    check_holds_values(variables, lambda v: bool(valid[v.name].len()))
    check_units(valid)


# -- the station --------------------------------------------------------------------------------------------------------


def _method(path: Path) -> str | None:
    """The soil moisture sensors of the station, which the names of the files beside this one say; None without any."""
    own = _sensor_of(path.name)
    if own is None:
        return None
    sensors = set()
    for name in names_beside(path):
        match = _NAME.fullmatch(name)
        if match is not None and match["station"] == own.station and match["variable"] == "sm":
            sensors.add(match["sensor"])
    return "; ".join(sorted(sensors)) or None


def _land_cover(path: Path) -> str | None:
    """What the static variables beside a file say: seen at the station, else of ESA's map of the latest year; None without."""
    tables = [n for n in names_beside(path) if n.endswith("_static_variables.csv")]
    own = _sensor_of(path.name)
    if own is not None:
        tables = [n for n in tables if n == f"{own.station}_static_variables.csv"]
    if len(tables) != 1:
        return None
    try:
        text = read_bytes(path.with_name(tables[0])).decode("utf-8", "replace")
    except BadFile:
        return None
    found: dict[str, str] = {}
    for line in text.splitlines():
        fields = line.split(";")
        if len(fields) > 6 and fields[0] == "land cover classification":
            found[fields[6]] = fields[5] or fields[4]
    return found.get("insitu") or found[max(found)] if found else None
