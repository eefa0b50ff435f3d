"""Maps of a mart as files of a GIS: Cloud-Optimised GeoTIFF, the x10,000 integers of the northern China data set, CF NetCDF.

A map is what remains of a mart's rows when every column of its grain but the pixel is held: one month of one product, one season's
trend. Its cells are those of the named grid, cropped to the pixels it has; nothing is resampled and no value is changed.

CF: Climate and Forecast conventions 1.9 (the first with unsigned bytes). Julian dates: P. Rao et al. 2022, ESSD: int16 = value x 10,000, YYYYDDD in the name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import netCDF4
import numpy as np
import pyproj
import rasterio
from numpy.typing import NDArray
from rasterio.shutil import copy as copy_raster
from rasterio.transform import from_origin

from loaders.grids import Grid
from loaders.nearest import suggestion
from serving.dictionary import Described
from serving.errors import ServingError

FORMS = ("geotiff", "scaled", "netcdf")
SCALE = 10_000
SCALED_NODATA = -9999
INTEGER_NODATA = -2_147_483_648
CLASS_NODATA = 0
FLAG_NODATA = 255

# The columns of a grain that say when a map is, in this order; the first that varies is the axis of time of a NetCDF file.
TIMES = ("obs_date", "month", "period_start", "window_start", "event_date", "month_1")

# Units that a column's own name states.
_SUFFIXES = (
    ("_m3m3", "m3 m-3"),
    ("_km2", "km2"),
    ("_mm", "mm"),
    ("_days", "day"),
    ("_fraction", "1"),
    ("_m", "m"),
)
# Columns that are numbers of their own, whatever the unit of the variable: probabilities, counts, indices, ratios.
_UNITLESS = re.compile(
    r"^(n|n_\w+|\w*_p|p|p_\w+|mk_s|mk_var_s|mk_z|z|s|var_s|tau_b|r|r2|q|q_\w+|rho|cv|cv_\w+|coverage|fraction\w*|ssmi\w*|\w*ssmi|stratum|t_statistic|f_statistic"
    r"|mean_relative_difference|sd_relative_difference|coefficient_standardised|vif|df|importance_rank|snr_db_\d|r_\d|col_index|row_index)$"
)


@dataclass(frozen=True)
class Request:
    """What is exported: a column of a mart, the rows of `where` (SQL, empty for all), and columns beside the grain that split maps."""

    mart: str
    column: str
    where: str = ""
    by: tuple[str, ...] = ()


@dataclass(frozen=True)
class Kind:
    """How a column is stored: the dtype, its no-data value, and the classes that its codes 1, 2, ... stand for."""

    dtype: str
    nodata: float
    classes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Map:
    """One map: what holds for all of it, and its values (height, width) in the dtype of its kind, no-data where there is no value."""

    keys: Mapping[str, Any]
    values: NDArray


@dataclass(frozen=True)
class Maps:
    """The maps of a request on one grid: where their cells lie (`row`, `column` of the upper left one on the grid) and what they are."""

    request: Request
    grid: Grid
    row: int
    column: int
    height: int
    width: int
    kind: Kind
    unit: str
    meaning: str
    keys: tuple[dict[str, Any], ...]
    varying: tuple[str, ...]
    provenance: Mapping[str, str]

    @property
    def left(self) -> float:
        return self.grid.left + self.column * self.grid.cell_width

    @property
    def top(self) -> float:
        return self.grid.top - self.row * self.grid.cell_height


Progress = Callable[[str, int, int], None]


def maps_of(
    connection: duckdb.DuckDBPyConnection,
    request: Request,
    find_grid: Callable[[str], Grid],
    described: Mapping[str, Described],
    provenance: Mapping[str, str],
) -> list[Maps]:
    """The maps of a request, a set a grid. Values are read later (`read`), a map at a time.

    Raises ServingError, with the next step, for a mart or column that does not exist or has no pixels, a condition that is not SQL,
    one that no row meets, and rows that hold a pixel more than once.
    """
    types = _columns(connection, request)
    keys = _keys(request, types, described)
    found = _ask(
        connection,
        request,
        f"select {', '.join(['grid_id', *map(_name, keys)])}, count(*), count(distinct pixel_id), count({_name(request.column)}),"
        f" min(row_index), max(row_index), min(col_index), max(col_index)"
        f" from {_source(connection, request)} group by all order by all",
    )
    if not found:
        raise ServingError(
            f"No row of {request.mart} meets the condition{' ' + repr(request.where) if request.where else ''}.",
            f"See what it holds: select {', '.join(keys) or '*'}, count(*) from marts.{request.mart} group by all",
        )
    n = 1 + len(keys)
    twice = next((row for row in found if row[n] != row[n + 1]), None)
    if twice is not None:
        _refuse_twice(connection, request, keys, types)
    kind = _kind(connection, request, types[request.column])
    unit = _unit(connection, request, types)
    sets = []
    for grid_id in dict.fromkeys(row[0] for row in found):
        mine = [row for row in found if row[0] == grid_id]
        top, bottom = min(r[n + 3] for r in mine), max(r[n + 4] for r in mine)
        left, right = min(r[n + 5] for r in mine), max(r[n + 6] for r in mine)
        values = tuple(dict(zip(keys, row[1:n], strict=True)) for row in mine)
        varying = tuple(k for k in keys if len({repr(v[k]) for v in values}) > 1)
        try:
            grid = find_grid(grid_id)
        except LookupError as error:
            raise ServingError(
                f"Grid {grid_id} of {request.mart} is not known here: {error}",
                "A grid of a study's own is kept in its lake: name the lake, --lake DIR.",
            ) from None
        meaning = (described.get(request.mart) or Described()).columns.get(request.column, "")
        sets.append(
            Maps(
                request,
                grid,
                top,
                left,
                bottom - top + 1,
                right - left + 1,
                kind,
                unit,
                meaning,
                values,
                varying,
                {**provenance, "mart": request.mart, "column": request.column, "where": request.where},
            )
        )
    return sets


def read(connection: duckdb.DuckDBPyConnection, maps: Maps, keys: Mapping[str, Any]) -> Map:
    """The values of one map."""
    request = maps.request
    condition = " and ".join(f"{_name(k)} is not distinct from ${i + 1}" for i, k in enumerate(keys))
    rows = connection.execute(
        f"select row_index, col_index, {_name(request.column)} as v from {_source(connection, request)}"
        f" where grid_id = ${len(keys) + 1} and {_name(request.column)} is not null{' and ' + condition if condition else ''}",
        [*keys.values(), maps.grid.grid_id],
    ).to_arrow_table()
    values = np.full((maps.height, maps.width), maps.kind.nodata, maps.kind.dtype)
    given = rows.column("v")
    if maps.kind.classes:
        code = {c: i + 1 for i, c in enumerate(maps.kind.classes)}
        numbers = np.array([code[v] for v in given.to_pylist()], maps.kind.dtype)
    else:
        numbers = np.asarray(given.to_numpy(), maps.kind.dtype)
    down = rows.column("row_index").to_numpy() - maps.row
    across = rows.column("col_index").to_numpy() - maps.column
    values[down, across] = numbers
    return Map(keys, values)


def write(
    connection: duckdb.DuckDBPyConnection,
    sets: Sequence[Maps],
    folder: Path,
    form: str = "geotiff",
    progress: Progress = lambda what, done, total: None,
) -> list[Path]:
    """Write every map in one of FORMS: a GeoTIFF each, or a NetCDF file for maps that differ in time only. The files, in order.

    A file is complete or not there. Raises ServingError where a value cannot be held in the form or two maps would get one name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    total = sum(len(s.keys) for s in sets)
    several = len(sets) > 1
    written: list[Path] = []
    done = 0
    for maps in sets:
        for path, group in _groups(maps, folder, form, several):
            if path in written:
                raise ServingError(f"Two maps would be written to {path.name}.", 'Choose one of them: --where "...".')
            temporary = path.with_name(f".{path.name}.tmp{path.suffix}")
            try:
                if form == "netcdf":
                    _netcdf(
                        connection, maps, group, temporary, lambda i, d=done, p=path: progress(p.name, d + i, total)
                    )
                else:
                    _geotiff(read(connection, maps, group[0]), maps, temporary, scaled=form == "scaled")
                temporary.replace(path)
            finally:
                temporary.unlink(missing_ok=True)
            done += len(group)
            written.append(path)
            progress(path.name, done, total)
    return written


# -- what is asked ---------------------------------------------------------------------------------------------------------


def _name(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'


def _source(connection: duckdb.DuckDBPyConnection, request: Request) -> str:
    """The rows of a request with the row and column of their pixels."""
    inner = f"(select * from marts.{_name(request.mart)}" + (f" where ({request.where}\n))" if request.where else ")")
    has_place = connection.execute(
        "select count(*) from duckdb_columns() where database_name = current_database() and schema_name = 'marts' and table_name = $1"
        " and column_name in ('row_index', 'col_index')",
        [request.mart],
    ).fetchone()[0]
    if has_place == 2:
        return f"{inner} as rows"
    return f"{inner} as rows inner join (select grid_id, pixel_id, row_index, col_index from marts.dim_pixel) as place using (grid_id, pixel_id)"


def _ask(connection: duckdb.DuckDBPyConnection, request: Request, sql: str) -> list[tuple]:
    try:
        return connection.execute(sql).fetchall()
    except duckdb.IOException as error:
        raise ServingError(
            f"{request.mart} stands on files that cannot be read: {str(error).splitlines()[0]}",
            "Daily marts are views over the lake: read the database beside its lake.",
        ) from None
    except duckdb.Error as error:
        raise ServingError(
            f"The condition {request.where!r} is not one of {request.mart}: {str(error).splitlines()[0]}",
            f"It is what stands after WHERE in SQL, such as \"product = 'smap' and year(month) = 2020\"; the columns: describe marts.{request.mart}",
        ) from None


def _columns(connection: duckdb.DuckDBPyConnection, request: Request) -> dict[str, str]:
    """The columns of the mart and their types, after it is known that a map can be made of it."""
    found = connection.execute(
        "select table_name, column_name, data_type from duckdb_columns()"
        " where database_name = current_database() and schema_name = 'marts' order by column_index"
    ).fetchall()
    marts = sorted({t for t, _, _ in found})
    with_pixels = [t for t in marts if {"grid_id", "pixel_id"} <= {c for x, c, _ in found if x == t}]
    if request.mart not in marts:
        raise ServingError(
            f"There is no mart {request.mart!r} in this database. {suggestion(request.mart, with_pixels)}",
            f"Marts with pixels: {', '.join(with_pixels)}",
        )
    types = {c: kind for t, c, kind in found if t == request.mart}
    if request.mart not in with_pixels:
        raise ServingError(
            f"{request.mart} has no pixels: its rows are not maps.", f"Marts with pixels: {', '.join(with_pixels)}"
        )
    for what, column in (("column", request.column), *(("column of --by", c) for c in request.by)):
        if column not in types:
            raise ServingError(
                f"{request.mart} has no {what} {column!r}. {suggestion(column, types)}",
                f"Its columns: {', '.join(types)}",
            )
    if request.column in ("grid_id", "study"):
        raise ServingError(f"{request.column} is not a value of a pixel.", f"Choose one of: {', '.join(types)}")
    return types


def _keys(request: Request, types: Mapping[str, str], described: Mapping[str, Described]) -> list[str]:
    """The columns of the mart's grain without the pixel, and those of `by`."""
    grain = (described.get(request.mart) or Described()).grain
    keys = [c for c in grain if c in types and c not in ("study", "grid_id", "pixel_id", request.column)]
    return [*keys, *(c for c in request.by if c not in keys and c != request.column)]


def _refuse_twice(
    connection: duckdb.DuckDBPyConnection, request: Request, keys: Sequence[str], types: Mapping[str, str]
) -> None:
    others = [c for c in types if c not in {*keys, request.column, "study", "grid_id", "pixel_id"}]
    groups = ", ".join(["grid_id", "pixel_id", *map(_name, keys)])
    inner = ", ".join(f"count(distinct {_name(c)}) as {_name(c + '_n')}" for c in others)
    counted = ", ".join(f"max({_name(c + '_n')})" for c in others)
    row = connection.execute(
        f"select {counted} from (select {inner} from {_source(connection, request)} group by {groups})"
    ).fetchone()
    differing = [c for c, most in zip(others, row, strict=True) if most > 1]
    raise ServingError(
        f"The same pixel comes more than once in a map of {request.mart}; its rows differ in {', '.join(differing) or 'nothing'}.",
        f'Choose with --where "{differing[0] if differing else "column"} = ...", or write a map of each with --by {differing[0] if differing else "COLUMN"}.',
    )


def _kind(connection: duckdb.DuckDBPyConnection, request: Request, type_: str) -> Kind:
    if type_ in ("DOUBLE", "FLOAT") or type_.startswith("DECIMAL"):
        return Kind("float64", float("nan"))
    if type_ == "BOOLEAN":
        return Kind("uint8", FLAG_NODATA)
    if type_ == "VARCHAR":
        found = _ask(
            connection,
            request,
            f"select distinct {_name(request.column)} from {_source(connection, request)} where {_name(request.column)} is not null order by all",
        )
        classes = tuple(row[0] for row in found)
        if len(classes) > 32_000:
            raise ServingError(
                f"{request.column} has {len(classes):,} different texts: that is no map of classes.",
                "Choose another column.",
            )
        return Kind("uint8" if len(classes) < 255 else "int16", CLASS_NODATA, classes)
    if type_ in ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"):
        low, high = _ask(
            connection,
            request,
            f"select min({_name(request.column)}), max({_name(request.column)}) from {_source(connection, request)}",
        )[0]
        if low is None or (low > INTEGER_NODATA and high <= 2_147_483_647):
            return Kind("int32", INTEGER_NODATA)
        return Kind("float64", float("nan"))
    raise ServingError(
        f"{request.column} is {type_}: a map holds numbers, classes or yes and no.",
        "Choose another column: describe marts." + request.mart,
    )


def _unit(connection: duckdb.DuckDBPyConnection, request: Request, types: Mapping[str, str]) -> str:
    """The unit of the column: what its name states, else the mart's column `unit` where one unit holds for all rows, else 1."""
    column = request.column
    if types[column] in ("VARCHAR", "BOOLEAN") or _UNITLESS.fullmatch(column):
        return "1"
    for suffix, unit in _SUFFIXES:
        if column.endswith(suffix):
            return unit
    if "unit" not in types:
        return "m3 m-3" if "soil_moisture" in column else "1"
    units = [
        row[0]
        for row in _ask(connection, request, f"select distinct unit from {_source(connection, request)} order by all")
    ]
    if len(units) > 1:
        raise ServingError(
            f"The rows have different units ({', '.join(str(u) for u in units)}): a file of maps has one.",
            "Choose one variable: --where \"variable = 'soil_moisture'\".",
        )
    unit = units[0] or "1"
    return (unit if unit != "1" else "").strip() + (" year-1" if column.endswith("_per_year") else "") or "1"


# -- files -----------------------------------------------------------------------------------------------------------------


def _safe(value: Any) -> str:
    """A value as a part of a file's name."""
    return re.sub(r"[^A-Za-z0-9.]+", "-", str(value)).strip("-") or "none"


def _parts(keys: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    return [_safe(keys[k]) for k in names if keys[k] is not None]


def _day(value: Any) -> date | None:
    if isinstance(value, datetime):
        return value.date()
    return value if isinstance(value, date) else None


def _groups(maps: Maps, folder: Path, form: str, several: bool) -> Iterator[tuple[Path, list[dict[str, Any]]]]:
    """The files and the maps in each: all times of what else is the same in one NetCDF file, a map in a GeoTIFF."""
    stem = [maps.request.mart, maps.request.column, *((maps.grid.grid_id,) if several else ())]
    time = next((k for k in TIMES if k in maps.varying), None)
    if form == "netcdf":
        groups: dict[tuple, list[dict[str, Any]]] = {}
        others = [k for k in maps.varying if k != time and not (k == "period_end" and time == "period_start")]
        for keys in maps.keys:
            groups.setdefault(tuple(keys[k] for k in others), []).append(keys)
        for group in groups.values():
            days = [_day(keys[time]) for keys in group] if time else []
            if len(set(days)) < len(days):
                raise ServingError(f"Two maps have the same {time}.", f'Choose one of them: --where "{time} = ...".')
            yield folder / ("_".join([*stem, *_parts(group[0], others)]) + ".nc"), group
        return
    for keys in maps.keys:
        if form == "scaled":
            day = next((_day(keys[k]) for k in TIMES if k in keys), None)
            if day is None:
                raise ServingError(
                    f"The maps of {maps.request.mart} have no date, which the x10,000 form carries in its names.",
                    "Choose another form: --form geotiff or --form netcdf.",
                )
            parts = [
                *stem,
                *_parts(keys, [k for k in maps.varying if k not in TIMES and k != "period_end"]),
                f"{day:%Y%j}",
            ]
        else:
            parts = [
                *stem,
                *_parts(keys, [k for k in maps.varying if not (k == "period_end" and "period_start" in maps.varying)]),
            ]
        yield folder / ("_".join(parts) + ".tif"), [keys]


def _tags(maps: Maps, keys: Mapping[str, Any]) -> dict[str, str]:
    tags = {k: str(v) for k, v in {**maps.provenance, **keys}.items() if v not in (None, "")}
    tags |= {"units": maps.unit, "grid_id": maps.grid.grid_id}
    if maps.meaning:
        tags["description"] = maps.meaning
    if maps.kind.classes:
        tags["classes"] = "; ".join(f"{i + 1} = {c}" for i, c in enumerate(maps.kind.classes))
    return tags


def to_scaled(values: NDArray[np.float64]) -> NDArray[np.int16]:
    """Values x 10,000, rounded to int16, NaN as -9999. Raises ServingError for values that int16 does not hold."""
    missing = np.isnan(values)
    whole = np.rint(np.where(missing, 0.0, values) * SCALE)
    if whole.size and (whole.max() > 32767 or whole.min() <= SCALED_NODATA):
        raise ServingError(
            f"Values from {np.nanmin(values):g} to {np.nanmax(values):g} do not fit the x10,000 form, which holds -0.9998 to 3.2767.",
            "Choose another form: --form geotiff or --form netcdf.",
        )
    return np.where(missing, SCALED_NODATA, whole).astype(np.int16)


def _geotiff(given: Map, maps: Maps, path: Path, scaled: bool) -> None:
    values, nodata, dtype = given.values, maps.kind.nodata, maps.kind.dtype
    tags = _tags(maps, given.keys)
    if scaled:
        if dtype != "float64":
            raise ServingError(
                f"{maps.request.column} has no decimals: the x10,000 form is for values such as soil moisture.",
                "Choose --form geotiff.",
            )
        values, nodata, dtype = to_scaled(values), SCALED_NODATA, "int16"
        tags["scale_factor"] = repr(1 / SCALE)
    profile = {
        "driver": "GTiff",
        "height": maps.height,
        "width": maps.width,
        "count": 1,
        "dtype": dtype,
        "crs": rasterio.CRS.from_user_input(maps.grid.crs),
        "transform": from_origin(maps.left, maps.top, maps.grid.cell_width, maps.grid.cell_height),
        "nodata": nodata,
    }
    with rasterio.MemoryFile() as memory:
        with memory.open(**profile) as target:
            target.write(values, 1)
            target.update_tags(**tags)
            target.set_band_description(1, maps.request.column)
            target.set_band_unit(1, maps.unit)
            if scaled:
                target.scales, target.offsets = (1 / SCALE,), (0.0,)
        # Overviews are of the nearest cell: an average of classes, or over no-data, would be a value that is nowhere.
        with memory.open() as source:
            copy_raster(
                source,
                str(path),
                driver="COG",
                compress="DEFLATE",
                predictor="YES",
                overview_resampling="NEAREST",
                level="9",
            )


def _netcdf(
    connection: duckdb.DuckDBPyConnection,
    maps: Maps,
    group: Sequence[dict[str, Any]],
    path: Path,
    progress: Callable[[int], None],
) -> None:
    time = next((k for k in TIMES if k in group[0] and _day(group[0][k]) is not None), None)
    rows, columns = np.arange(maps.row, maps.row + maps.height), np.arange(maps.column, maps.column + maps.width)
    y, x = maps.grid.xy_of(rows, 0)[1], maps.grid.xy_of(0, columns)[0]
    crs = pyproj.CRS.from_user_input(maps.grid.crs)
    with netCDF4.Dataset(path, "w", format="NETCDF4") as target:
        target.Conventions = "CF-1.9"
        target.title = f"{maps.request.column} of {maps.request.mart}"
        for key, value in _tags(maps, {}).items():
            if key not in ("units", "description", "classes"):
                setattr(target, key, value)
        for key in group[0]:
            if key != time and len({repr(keys[key]) for keys in group}) == 1 and group[0][key] is not None:
                setattr(target, key, str(group[0][key]))
        names = ("lat", "lon") if maps.grid.is_geographic else ("y", "x")
        for name, values, axis, standard, unit in (
            (
                names[0],
                y,
                "Y",
                "latitude" if maps.grid.is_geographic else "projection_y_coordinate",
                "degrees_north" if maps.grid.is_geographic else "m",
            ),
            (
                names[1],
                x,
                "X",
                "longitude" if maps.grid.is_geographic else "projection_x_coordinate",
                "degrees_east" if maps.grid.is_geographic else "m",
            ),
        ):
            target.createDimension(name, len(values))
            made = target.createVariable(name, "f8", (name,))
            made.axis, made.standard_name, made.units = axis, standard, unit
            made[:] = values
        mapping = target.createVariable("crs", "i4")
        for key, value in crs.to_cf().items():
            if value is not None:
                setattr(mapping, key, value)
        mapping.GeoTransform = " ".join(
            repr(float(v)) for v in (maps.left, maps.grid.cell_width, 0, maps.top, 0, -maps.grid.cell_height)
        )
        dimensions = names
        if time:
            dimensions = ("time", *names)
            target.createDimension("time", len(group))
            made = target.createVariable("time", "f8", ("time",))
            made.units, made.calendar, made.standard_name, made.axis = "days since 1970-01-01", "standard", "time", "T"
            days = [(_day(keys[time]) - date(1970, 1, 1)).days for keys in group]
            made[:] = days
            ends = [_end(keys, time) for keys in group]
            if all(ends):
                made.bounds = "time_bounds"
                target.createDimension("bounds", 2)
                bounds = target.createVariable("time_bounds", "f8", ("time", "bounds"))
                bounds[:] = [[d, (end - date(1970, 1, 1)).days] for d, end in zip(days, ends, strict=True)]
        value = target.createVariable(
            maps.request.column,
            maps.kind.dtype,
            dimensions,
            zlib=True,
            complevel=4,
            shuffle=True,
            fill_value=maps.kind.nodata,
        )
        value.grid_mapping = "crs"
        value.long_name = maps.request.column.replace("_", " ")
        if maps.meaning:
            value.description = maps.meaning
        if maps.kind.classes:
            value.flag_values = np.arange(1, len(maps.kind.classes) + 1, dtype=maps.kind.dtype)
            value.flag_meanings = " ".join(re.sub(r"\W+", "_", c) for c in maps.kind.classes)
        elif maps.kind.dtype == "uint8":
            value.flag_values = np.array([0, 1], "uint8")
            value.flag_meanings = "no yes"
        else:
            value.units = maps.unit
        value.set_auto_mask(False)
        for i, keys in enumerate(group):
            values = read(connection, maps, keys).values
            if time:
                value[i] = values
            else:
                value[:] = values
            progress(i + 1)


def _end(keys: Mapping[str, Any], time: str) -> date | None:
    """The first day after the map's period."""
    if time == "month":
        first = _day(keys["month"])
        return (first.replace(day=1) + timedelta(days=32)).replace(day=1)
    if time == "obs_date":
        return _day(keys["obs_date"]) + timedelta(days=1)
    return _day(keys.get({"period_start": "period_end", "window_start": "window_end"}.get(time, ""), None))
