"""CSV or Parquet tables (also gzipped) of points on a grid: columns lon, lat, date (or none), and one a variable.

Points are snapped to the grid they are said to lie on, and refused when they do not: a table on another grid would
otherwise land on wrong cells without a word.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pyarrow as pa

from loaders.granule import BadFile, Granule
from loaders.grids import CORNER_TOLERANCE, GRIDS
from loaders.readers._checks import check_dtype, check_holds_values, present_variables
from loaders.readers._files import as_column, sha256_of
from loaders.readers._tables import Moments, Table, distinct_dates, first_row_where, read_moments, refuse_repeats

if TYPE_CHECKING:
    from loaders.grids import Grid
    from loaders.products import DeliveredAs, Described, Options, Product, Variable

LAYOUT = "sparse"


def inspect(path: Path, product: Product, grid: Grid | None) -> Granule:
    """The header of one table: its dates and variables; `window` is None.

    Places and dates are read whole; numbers are checked when rows are read. Raises BadFile for a file that is empty, truncated
    or no table, without a column it needs, with points off the grid, with a date that cannot be read, or with a point
    and date more than once.
    """
    path = Path(path)
    names = product.parse_name(path.name)
    if grid is None:
        raise BadFile("its points need a grid to lie on: --grid GRID")
    table = Table.open(path)
    places = _places(table, product.options)
    held = [c for c in table.columns if c not in places]
    present = present_variables(product, held)
    frame, moments = _read_rows(table, product, grid, [])
    _refuse_repeats(table, frame, moments, product)
    if table.is_parquet:
        for variable in present:
            _check_type(table, variable)
    return Granule(
        path=path,
        name=path.name,
        key=names["key"],
        version=names["version"],
        sha256=sha256_of(path),
        grid=grid,
        window=None,
        dates=distinct_dates(frame["obs_date"]) if moments is not None else (),
        variables=tuple(v.name for v in present),
    )


def read_sparse(granule: Granule, product: Product) -> pa.Table:
    """Every row: pixel_id, obs_date [obs_time for `instant`] (neither when static), then the variables.

    Missing values, NaN too, are NULL; declared fills stay. Raises BadFile for a value that is no number, naming column
    and line, or when every value is missing.
    """
    table = Table.open(granule.path)
    variables = [product.variable(name) for name in granule.variables]
    frame, _ = _read_rows(table, product, granule.grid, variables)
    check_holds_values(variables, lambda v: _has_valid(frame[v.name], v))
    columns = ["pixel_id"]
    if product.time_step != "static":
        columns += ["obs_date", "obs_time"] if product.time_step == "instant" else ["obs_date"]
    arrow = frame.select(*columns, *(v.name for v in variables)).to_arrow(compat_level=pl.CompatLevel.oldest())
    return arrow.set_column(0, "pixel_id", arrow["pixel_id"].cast(granule.grid.pixel_id_type))


def describe(path: Path, asked: DeliveredAs) -> Described:
    """What a table of no known product holds: every numeric column that is no place or date, and whether it has dates.

    Numbers of a CSV have no type and become float64. Raises BadFile for a column of text unless the mapping lists the
    columns to keep.
    """
    from loaders.products import Described, Variable

    table = Table.open(path)
    places = _places(table, asked)
    wanted = {v.column or v.dataset or v.name for v in asked.variables}
    variables = []
    for name in table.columns:
        if name in places:
            continue
        if wanted and name not in wanted:  # only named, so that a misspelt column can be answered
            variables.append(Variable(name=as_column(name), dataset=name, dtype="float64", unit="unknown"))
            continue
        variables.append(
            Variable(
                name=as_column(name),
                dataset=None if as_column(name) == name else name,
                dtype=_dtype_of(table, name),
                fill=_usual_fill(table, name),
                unit="unknown",
            )
        )
    if not variables:
        raise BadFile("has no columns beside places and dates")
    step = "static"
    date_column = asked.columns.get("date", "date")
    if date_column in table.columns:
        moments = read_moments(table, table.read({date_column: None})[date_column])
        step = "instant" if moments.has_times else "month" if moments.is_monthly else "day"
    return Described(time_step=step, variables=tuple(variables))


# -- rows ---------------------------------------------------------------------------------------------------------------


def _places(table: Table, options: Options) -> dict[str, str]:
    """{column in the file: lon, lat or date}. Raises BadFile when lon or lat is missing."""
    called = {word: options.columns.get(word, word) for word in ("lon", "lat", "date")}
    table.require(
        [(called["lon"], "longitude of the point, degrees"), (called["lat"], "latitude of the point, degrees")]
    )
    return {column: word for word, column in called.items() if column in table.columns}


def _read_rows(
    table: Table, product: Product, grid: Grid, variables: list[Variable]
) -> tuple[pl.DataFrame, Moments | None]:
    """pixel_id, lon, lat, [obs_date, [obs_time]] and some variables, a row a row of the file."""
    places = {word: column for column, word in _places(table, product.options).items()}
    is_static = product.time_step == "static"
    if is_static and "date" in places:
        raise BadFile(f"has a column {places['date']!r}, but {product.name} does not change with time")
    if not is_static and "date" not in places:
        table.require([(product.options.columns.get("date", "date"), "the day of the observation, YYYY-MM-DD")])
    types = {places["lon"]: pl.Float64, places["lat"]: pl.Float64}
    if not is_static:
        types[places["date"]] = None
    for variable in variables:
        if table.is_parquet:
            _check_type(table, variable)
        types[variable.source_name] = _POLARS[variable.dtype]
    raw = table.read(types)
    if raw.is_empty():
        raise BadFile("has a header but no rows")
    lon, lat = raw[places["lon"]].rename("lon"), raw[places["lat"]].rename("lat")
    columns = [_pixel_ids(table, lon, lat, grid), lon, lat]
    moments = None
    if not is_static:
        moments = read_moments(table, raw[places["date"]])
        columns += _on_calendar(table, moments, product)
    return pl.DataFrame([*columns, *(raw[v.source_name].alias(v.name) for v in variables)]), moments


def _on_calendar(table: Table, moments: Moments, product: Product) -> list[pl.Series]:
    dates = moments.dates.alias("obs_date")
    if product.time_step == "month":
        return [dates.dt.truncate("1mo")]
    if product.time_step == "instant":
        return [dates, moments.times.alias("obs_time")]
    if moments.is_monthly:
        raise BadFile(f"says only months ({moments.dates[0]:%Y-%m}), but {product.name} is daily: time_step: month")
    return [dates]


def _pixel_ids(table: Table, lon: pl.Series, lat: pl.Series, grid: Grid) -> pl.Series:
    """The cell of each row. Each distinct point is placed once: a table repeats its points every day."""
    for column in (lon, lat):
        row = first_row_where(column.is_null())
        if row is not None:
            raise BadFile(f"has no {column.name} in {table.line(row)}")
    points = pl.DataFrame([lon, lat])
    distinct = points.unique(maintain_order=True)
    x, y = distinct["lon"].to_numpy(), distinct["lat"].to_numpy()
    row, column, offset = grid.locate(x, y, tolerance=None)
    off = offset > CORNER_TOLERANCE
    if off.any():
        worst = int(np.argmax(offset))
        fitting = [g.grid_id for g in GRIDS.values() if g.grid_id != grid.grid_id and _fits(g, x, y)]
        advice = f"they would fit {' or '.join(fitting)}" if fitting else "they fit no other named grid either"
        raise BadFile(
            f"{int(off.sum()):,} of its {len(x):,} points do not lie on grid {grid.grid_id}: the worst, lon {x[worst]:.6f}, "
            f"lat {y[worst]:.6f}, is {offset[worst]:.2f} of a cell from the nearest centre; {advice}"
        )
    distinct = distinct.with_columns(pixel_id=pl.Series(grid.pixel_id(row, column).astype(np.int64)))
    return points.join(distinct, on=["lon", "lat"], how="left", maintain_order="left")["pixel_id"]


def _fits(grid: Grid, lon: np.ndarray, lat: np.ndarray) -> bool:
    try:
        grid.locate(lon, lat, CORNER_TOLERANCE)
    except BadFile:
        return False
    return True


def _refuse_repeats(table: Table, frame: pl.DataFrame, moments: Moments | None, product: Product) -> None:
    when = [] if moments is None else ["obs_time" if product.time_step == "instant" else "obs_date"]
    if not frame.select("pixel_id", *when).is_duplicated().any():
        return
    # Two spellings of one point are the same cell; say the point as the first of the rows spells it.
    refuse_repeats(
        table,
        frame.select(pl.col("lon", "lat").first().over("pixel_id"), *when),
        {"lon": "lon", "lat": "lat", "obs_date": "on", "obs_time": "at"},
    )


# -- types --------------------------------------------------------------------------------------------------------------

_POLARS = {
    "int8": pl.Int8,
    "uint8": pl.UInt8,
    "int16": pl.Int16,
    "uint16": pl.UInt16,
    "int32": pl.Int32,
    "uint32": pl.UInt32,
    "int64": pl.Int64,
    "uint64": pl.UInt64,
    "float32": pl.Float32,
    "float64": pl.Float64,
}
_NAMES = {polars: name for name, polars in _POLARS.items()}


def _dtype_of(table: Table, name: str) -> str:
    """The declared type a column gets: a Parquet file's own, float64 for the numbers of a CSV."""
    if not table.is_parquet:
        table.read({name: pl.Float64})
        return "float64"
    dtype = table.schema[name]
    if dtype == pl.Boolean:
        return "uint8"
    if isinstance(dtype, pl.Decimal):
        return "float64"
    if dtype.base_type() not in _NAMES:
        raise BadFile(
            f"its column {name!r} holds {dtype}, no numbers: list the columns to keep under variables in the mapping"
        )
    return _NAMES[dtype.base_type()]


def _usual_fill(table: Table, name: str) -> tuple[int, ...]:
    """-9999 when the column holds it: no quantity of this field is -9999, and a table has no place to declare its fill."""
    values = table.read({name: None if table.is_parquet else pl.Float64})[name]
    if values.dtype.is_unsigned_integer() or not values.dtype.is_numeric():
        return ()
    return (-9999,) if (values == -9999).any() else ()


def _check_type(table: Table, variable: Variable) -> None:
    found = _dtype_of(table, variable.source_name)
    if not isinstance(table.schema[variable.source_name], pl.Decimal):
        check_dtype(variable, np.dtype(found), f"its column {variable.source_name!r}")


def _has_valid(column: pl.Series, variable: Variable) -> bool:
    values = column.drop_nulls()
    return bool(values.len()) and variable.has_valid(values.to_numpy())
