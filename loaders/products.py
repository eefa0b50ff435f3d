"""Products: what a delivered file is called, holds and means, one YAML file each in `loaders/products/`.

A product is data, not code: a new one of a known format is a new YAML. `table`, `raster`, `stations` and `regions` are
templates without variables; `complete` fills them in from a user's files at the load.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, get_args
from zoneinfo import available_timezones

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator

from loaders.granule import BadFile
from loaders.names import COLUMN, LAYER, NAME, checked_layer, layer_limits
from loaders.nearest import suggestion
from loaders.readers._dates import date_from_groups, find_date, first_of_month
from loaders.readers._files import RESERVED, is_srtm_tile
from loaders.readers._stations import MEASURED, NUMBERS
from loaders.readers._zip import list_zip

BUILT_IN = Path(__file__).parent / "products"
DEFINITIONS = Path("catalog") / "definitions"

Format = Literal[
    "netcdf",
    "subdaily",
    "point_netcdf",
    "geotiff",
    "smap_hdf5",
    "modis_hdf4",
    "table",
    "station_table",
    "ismn",
    "raster",
    "vector",
    "terrain",
]
Kind = Literal["gridded", "table", "stations", "regions"]
TimeStep = Literal["instant", "day", "month", "static", "from_file"]
Number = Literal[
    "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64", "string"
]


class ProductError(ValueError):
    """A product or mapping that cannot be used; the message names the file, the field and the nearest known word."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Variable(_Strict):
    """One variable as it lies in the file.

    name         its column in the lake
    dtype        the type it is kept in, the file's own
    fill         values that mean "no value", as delivered; NaN always does
    dataset      where it lies in the file when that is not `name`: a NetCDF variable, an HDF5 path, a table column
    band         its band in a GeoTIFF, from 1
    optional     a file may lack it
    path_pattern a regular expression on a file's folder and name (`folder/name`): only such files hold it. For products
                 whose files call several things by one name, such as a layer a file
    level        NetCDF with one dimension beside place and time (soil layers): which of it, from 1
    exceeds      some value of every file is above this, in the declared unit; a file where none is was rescaled by somebody
    """

    name: str
    dtype: Number
    fill: tuple[int | float, ...] = ()
    unit: str
    description: str = ""
    dataset: str | None = None
    band: int | None = Field(default=None, ge=1)
    optional: bool = False
    path_pattern: str | None = None
    level: int | None = Field(default=None, ge=1)
    exceeds: float | None = None

    @field_validator("path_pattern")
    @classmethod
    def _path_pattern_compiles(cls, pattern: str | None) -> str | None:
        if pattern is not None:
            _compile(pattern)
        return pattern

    @field_validator("name")
    @classmethod
    def _name_is_a_column(cls, name: str) -> str:
        if not COLUMN.fullmatch(name):
            raise ValueError(f"{name!r} cannot be a column: letters, digits and _ only, not beginning with a digit")
        if name.lower() in RESERVED:
            raise ValueError(f"{name!r} is a column the lake writes itself; give the variable another name")
        return name

    @field_validator("fill", mode="before")
    @classmethod
    def _one_fill_is_a_list(cls, fill: Any) -> Any:
        return fill if isinstance(fill, list | tuple) else [fill]

    @property
    def source_name(self) -> str:
        """What the variable is called in the file."""
        return self.dataset or self.name

    def is_valid(self, values: np.ndarray) -> np.ndarray:
        """Boolean, the shape of `values`: True where a value is none of the fills and not NaN."""
        valid = ~np.isnan(values) if values.dtype.kind == "f" else np.ones(values.shape, dtype=bool)
        for fill in self.fill:
            if fill == fill and (values.dtype.kind == "f" or _fits(fill, values.dtype)):
                valid &= values != values.dtype.type(fill)
        return valid

    def has_valid(self, values: np.ndarray) -> bool:
        """True when any value of `values` is none of the fills and not NaN."""
        if values.size > 4096 and self.is_valid(values.reshape(-1)[::61]).any():
            return True  # nearly always: a look at every 61st value is enough
        return bool(self.is_valid(values).any())


def _fits(value: float, dtype: np.dtype) -> bool:
    limits = np.iinfo(dtype)
    return value == int(value) and limits.min <= value <= limits.max


class Delivered(_Strict):
    """One variable of the staging view: its standard name, layer (`0-5 cm`, or `surface` without depth) and unit."""

    variable: str
    layer: str = "surface"
    unit: str

    @field_validator("layer")
    @classmethod
    def _layer_is_a_depth_interval(cls, layer: str) -> str:
        try:
            return checked_layer(layer)
        except ValueError as error:
            raise ValueError(f"{layer!r}: {error}") from None


def _measurement(name: str) -> str:
    if name not in MEASURED:
        raise ValueError(f"unknown measurement {name!r}. {suggestion(name, MEASURED)}")
    return name


class Across(_Strict):
    """A column of a station table that is one measurement at one depth: `name` what it is, `layer` as `0-5 cm` or `5-5 cm`."""

    name: str
    column: str
    layer: str = "surface"

    @field_validator("name")
    @classmethod
    def _name_is_known(cls, name: str) -> str:
        return _measurement(name)

    @field_validator("layer")
    @classmethod
    def _layer_may_be_one_depth(cls, layer: str) -> str:
        if layer != "surface" and (LAYER.fullmatch(layer) is None or layer_limits(layer)[0] > layer_limits(layer)[1]):
            raise ValueError(
                f"{layer!r}: a layer is a depth interval such as `0-5 cm`, one depth `5-5 cm`, or `surface`"
            )
        return layer

    @model_validator(mode="after")
    def _soil_has_a_depth(self) -> Across:
        if self.layer == "surface" and MEASURED[self.name].in_soil:
            raise ValueError(f"{self.name} needs the depth of {self.column!r}: layer, such as `0-5 cm` or `5-5 cm`")
        return self

    @property
    def limits(self) -> tuple[float | None, float | None]:
        """Top and bottom, cm; (None, None) for what has no depth."""
        return layer_limits(self.layer) if self.layer != "surface" else (None, None)


class Options(_Strict):
    """What a reader needs to know beyond the variables; each format uses its own few.

    date_pattern  netcdf, geotiff, table: where a file name carries the date, as in `file_pattern`
    dates         geotiff: `name` (one date a file) or `bands` (one date a band)
    start         geotiff with `dates: bands` and no dates in the band descriptions: the date of band 1
    crs           netcdf, geotiff: the CRS of files that carry none
    time          netcdf: the time coordinate, when it is not called time or valid_time
    whole_grid    netcdf, subdaily: arrays without coordinates are the whole of the product's grid, north up (or the part of it
                  that an EASE-Grid index beside them names)
    west          netcdf, subdaily with `whole_grid`: the longitude of their western edge, when it is not the grid's
    group, suffix smap_hdf5: the HDF5 group, and what its datasets' names end in
    shared_edge   geotiff: neighbouring tiles share a row and a column (SRTM: 1201 or 3601 cells a side); a tile keeps its southern
                  rows and western columns
    wide_grid     geotiff without a named grid: its own grid reaches over the projection's whole area, since scenes differ in extent
    columns       table, station_table: what the file calls a column, by the name used here
    across        station_table: columns that each are one measurement at one layer of the row's station
    stations      station_table: what is measured where every column but the date is a station, named by its station_id; `layer` is its
                  depth
    time_zone     station_table: the zone of times that say none (else UTC)
    bulk_density  station_table: g cm-3, where soil moisture is in percent of the dry mass and no column says the density
    """

    date_pattern: str | None = None
    dates: Literal["name", "bands"] = "name"
    start: date | None = None
    crs: str | None = None
    time: str | None = None
    whole_grid: bool = False
    west: float | None = None
    group: str | None = None
    suffix: str = ""
    shared_edge: bool = False
    wide_grid: bool = False
    columns: dict[str, str] = Field(default_factory=dict)
    across: tuple[Across, ...] = ()
    stations: str | None = None
    layer: str = "surface"
    time_zone: str | None = None
    bulk_density: float | None = Field(default=None, gt=0, le=3)

    @model_validator(mode="after")
    def _stations_measure_something_known(self) -> Options:
        if self.stations is not None:
            Across(name=self.stations, column="stations", layer=self.layer)
        return self

    @field_validator("time_zone")
    @classmethod
    def _time_zone_is_known(cls, zone: str | None) -> str | None:
        if zone is not None and zone not in available_timezones():
            raise ValueError(f"unknown time zone {zone!r}. {suggestion(zone, available_timezones())}")
        return zone

    @field_validator("date_pattern")
    @classmethod
    def _pattern_spells_a_date(cls, pattern: str | None) -> str | None:
        if pattern is not None:
            groups = _compile(pattern).groupindex
            if not ({"date", "year"} & set(groups)):
                raise ValueError("has no group that spells a date: use (?P<date>...) or (?P<year>...)(?P<month>...)")
        return pattern

    @field_validator("columns")
    @classmethod
    def _columns_are_known(cls, columns: dict[str, str]) -> dict[str, str]:
        for column in columns:
            if column not in KNOWN_COLUMNS:
                raise ValueError(f"unknown column {column!r}. {suggestion(column, KNOWN_COLUMNS)}")
        return columns


STATION_COLUMNS = ("station_id", "network", "name", "lon", "lat", "elevation_m", "land_cover", "method")
OBSERVATION_COLUMNS = (
    *("station_id", "sensor", "date", "time", "layer_top_cm", "layer_bottom_cm"),
    *NUMBERS,
    *("quality", "provider_quality"),
)
KNOWN_COLUMNS = tuple(dict.fromkeys((*STATION_COLUMNS, *OBSERVATION_COLUMNS)))


def _compile(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise ValueError(f"is not a regular expression: {error}") from error


class Product(_Strict):
    """A product; see docs/architecture.md for the meaning of each field and docs/products.md for those built in."""

    name: str
    title: str
    format: Format
    kind: Kind
    grid: str
    time_step: TimeStep
    file_pattern: str | None = None
    variables: tuple[Variable, ...] = ()
    delivers: tuple[Delivered, ...] = ()
    source: str
    citation: str = ""
    verified: bool = False
    shares_input_with: tuple[str, ...] = ()
    options: Options = Field(default_factory=Options)

    @field_validator("name")
    @classmethod
    def _name_is_simple(cls, name: str) -> str:
        if not NAME.fullmatch(name):
            raise ValueError(
                f"{name!r} cannot be a product's name: small letters, digits and _, beginning with a letter"
            )
        return name

    @field_validator("file_pattern")
    @classmethod
    def _pattern_compiles(cls, pattern: str | None) -> str | None:
        if pattern is not None:
            _compile(pattern)
        return pattern

    @model_validator(mode="after")
    def _is_consistent(self, info: ValidationInfo) -> Product:
        for what, names in (
            ("variables", [v.name.lower() for v in self.variables]),
            ("delivers", [f"{d.variable}, layer {d.layer}" for d in self.delivers]),
        ):
            repeated = sorted({n for n in names if names.count(n) > 1})
            if repeated:
                raise ValueError(f"{what}: {repeated[0]} is there twice")
        if self.grid == "none" and self.kind in ("gridded", "table"):
            raise ValueError("grid: a gridded product or a table needs a grid, `from_file` or `given`")
        if self.time_step == "from_file" and self.variables:
            raise ValueError("time_step: `from_file` is for templates; write instant, day, month or static")
        if self.variables and all(v.optional for v in self.variables) and self.kind == "table":
            raise ValueError("variables: at least one must not be optional")
        return self

    def __hash__(self) -> int:
        return hash(self.name)  # products are keys of reader caches; equality still compares every field

    @property
    def is_template(self) -> bool:
        """True for `table`, `raster` and whatever else must be completed before a file of it can be read."""
        return not self.variables and self.kind != "regions"

    def variable(self, name: str) -> Variable:
        """The variable of that name. Raises ProductError with the nearest known name."""
        for variable in self.variables:
            if variable.name == name:
                return variable
        known = [v.name for v in self.variables]
        raise ProductError(f"{self.name} has no variable {name!r}. {suggestion(name, known)}")

    @property
    def names_files_by_folder(self) -> bool:
        """True when a file is known by its folder too, because files of several folders may share a name."""
        return any(v.path_pattern is not None for v in self.variables)

    def in_file(self, path: Path) -> Product:
        """The product as far as one file can hold it: without the variables whose `path_pattern` its folder and name do not match.

        Raises BadFile when none is left.
        """
        if not self.names_files_by_folder:
            return self
        called = f"{path.parent.name}/{path.name}"
        left = tuple(v for v in self.variables if v.path_pattern is None or re.search(v.path_pattern, called))
        if not left:
            raise BadFile(f"neither its name nor its folder ({called}) says which of {self.name}'s variables it holds")
        return self.model_copy(update={"variables": left})

    def parse_name(self, filename: str, guess: bool = True) -> dict[str, Any]:
        """`{"date": date | None, "version": str, "key": str}` from a file's base name.

        The key joins what `file_pattern` captures, without `version`; without a pattern it is the file's name. For a
        monthly product the date is the first of the month. Without a pattern, or when the pattern has no date, a gridded product's date
        is looked for by `options.date_pattern`, then, unless `guess` is False, by its spelling (see `find_date`).

        Raises BadFile when the name does not fit the pattern (it is another product's file), or spells no real date.
        """
        groups: dict[str, str | None] = {}
        key = filename
        if self.file_pattern is not None:
            match = re.search(self.file_pattern, filename)
            if match is None:
                raise BadFile(
                    f"its name is not that of a {self.name} file (expected the pattern {self.file_pattern}): "
                    "is it of another product?"
                )
            groups = match.groupdict()
            parts = [value.strip("_") for group, value in groups.items() if group != "version" and value]
            key = "_".join(p for p in parts if p) or filename
        day = date_from_groups(groups)
        if day is None and self.kind == "gridded":
            day = self._date_in(filename, guess)
        if day is not None and self.time_step == "month":
            day = first_of_month(day)
        return {"date": day, "version": groups.get("version") or "", "key": key}

    def _date_in(self, filename: str, guess: bool) -> date | None:
        if self.time_step == "static" or self.options.dates == "bands":
            return None
        if self.options.date_pattern is None:
            found = find_date(filename) if guess and self.file_pattern is None else None
            if found is None:
                return None
            if found[1] == "month" and self.time_step == "day":
                raise BadFile(f"its name says only the month ({found[0]:%Y-%m}), and {self.name} is daily")
            return found[0]
        match = re.search(self.options.date_pattern, filename)
        if match is None:
            raise BadFile(f"its name carries no date by the date_pattern {self.options.date_pattern}")
        return date_from_groups(match.groupdict())

    def to_yaml(self) -> str:
        """The product as YAML that `read_product` reads back to an equal product; keys in the order of docs."""
        plain = self.model_dump(mode="json", exclude_defaults=True)
        return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=120)


def validate(fields: Any, origin: str) -> Product:
    """A product from plain fields. Raises ProductError, one line a mistake, each naming `origin` and the field."""
    if not isinstance(fields, Mapping):
        raise ProductError(f"{origin}: holds no product (a YAML mapping with name, title, format, ...)")
    try:
        return Product.model_validate(fields)
    except ValidationError as error:
        raise ProductError("\n".join(_explain(problem, origin) for problem in error.errors())) from error


_MODELS: dict[str, type[BaseModel]] = {"variables": Variable, "delivers": Delivered, "options": Options}


def _explain(problem: Mapping[str, Any], origin: str, top: type[BaseModel] = Product) -> str:
    """One line of a validation error: file, field, what is wrong, the nearest known word."""
    loc = problem["loc"]
    field = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc).lstrip(".")
    model = top
    if len(loc) > 1:
        model = MappedVariable if top is DeliveredAs else _MODELS.get(str(loc[0]), top)
    match problem["type"]:
        case "extra_forbidden":
            said = f"unknown field. {suggestion(str(loc[-1]), model.model_fields)}"
        case "missing":
            said = "is missing"
        case "literal_error":
            words = _words(model.model_fields[str(loc[-1])].annotation)
            said = f"{problem['input']!r} is not known. {suggestion(str(problem['input']), words)}"
        case _:
            said = problem["msg"].removeprefix("Value error, ")
    return f"{origin}: {field}: {said}" if field else f"{origin}: {said}"


def _words(annotation: Any) -> list[str]:
    """The words a Literal allows, also inside `Literal[...] | None`."""
    parts = get_args(annotation)
    return [w for part in parts for w in (_words(part) if get_args(part) else [part]) if isinstance(w, str)]


def read_yaml(path: Path) -> Any:
    """What a YAML file holds. Raises ProductError when it cannot be read."""
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ProductError(f"{path}: cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise ProductError(f"{path}: is not YAML: {' '.join(str(error).split())}") from error


def read_product(path: Path) -> Product:
    """The product of one YAML file, whose stem must be the product's name. Raises ProductError."""
    product = validate(read_yaml(path), str(path))
    if product.name != path.stem:
        raise ProductError(f"{path}: name: is {product.name!r}, but the file is called {path.name}")
    return product


@cache
def _built_in() -> dict[str, Product]:
    return {path.stem: read_product(path) for path in sorted(BUILT_IN.glob("*.yml"))}


def all_products(lake: Path | None = None) -> dict[str, Product]:
    """Every product by name: those built in, and with `lake` those completed and kept there.

    Raises ProductError when a definition is wrong.
    """
    products = dict(_built_in())
    if lake is not None:
        for path in sorted((Path(lake) / DEFINITIONS).glob("[!._]*.yml")):
            products.setdefault(path.stem, read_product(path))
    return products


def find_product(name: str, lake: Path | None = None) -> Product:
    """The product called `name`: built in, or completed at an earlier load and kept in the lake's catalogue.

    Raises ProductError with the nearest known names.
    """
    if name in _built_in():
        return _built_in()[name]
    kept = Path(lake) / DEFINITIONS / f"{name}.yml" if lake is not None and NAME.fullmatch(name) else None
    if kept is not None and kept.is_file():
        return read_product(kept)
    known = set(_built_in())
    if lake is not None:
        known |= {path.stem for path in (Path(lake) / DEFINITIONS).glob("[!._]*.yml")}
    raise ProductError(f"there is no product {name!r}. {suggestion(name, known)}")


class MappedVariable(_Strict):
    """One variable of a mapping; whatever is left out is taken from the file."""

    name: str
    column: str | None = None
    dataset: str | None = None
    band: int | None = Field(default=None, ge=1)
    level: int | None = Field(default=None, ge=1)
    dtype: Number | None = None
    fill: tuple[int | float, ...] | None = None
    unit: str | None = None
    layer: str = "surface"
    description: str = ""
    optional: bool = False

    @field_validator("fill", mode="before")
    @classmethod
    def _one_fill_is_a_list(cls, fill: Any) -> Any:
        return fill if fill is None or isinstance(fill, list | tuple) else [fill]


class DeliveredAs(Options):
    """A mapping file: what `complete` cannot see in the files themselves. Options stand beside the rest, not below."""

    title: str | None = None
    time_step: Literal["instant", "day", "month", "static"] | None = None
    file_pattern: str | None = None
    variables: tuple[MappedVariable, ...] = ()
    source: str | None = None
    citation: str = ""
    shares_input_with: tuple[str, ...] = ()


@dataclass(frozen=True)
class Described:
    """What a reader sees in a file of which nothing is known: its variables, and whether it has dates."""

    time_step: str
    variables: tuple[Variable, ...]


def read_mapping(mapping: Mapping[str, Any] | Path | str | None) -> DeliveredAs:
    """A mapping from a YAML file or plain fields; None is an empty one. Raises ProductError."""
    origin = "the mapping"
    if isinstance(mapping, str | Path):
        origin = str(mapping)
        mapping = read_yaml(Path(mapping))
    if mapping is None:
        return DeliveredAs()
    if not isinstance(mapping, Mapping):
        raise ProductError(f"{origin}: holds no mapping (YAML keys such as variables, date_pattern, time_step)")
    try:
        return DeliveredAs.model_validate(mapping)
    except ValidationError as error:
        raise ProductError("\n".join(_explain(p, origin, DeliveredAs) for p in error.errors())) from error


def complete(
    product: Product,
    name: str | None,
    grid: str | None,
    mapping: Mapping[str, Any] | Path | str | None,
    paths: Sequence[Path],
) -> Product:
    """`table`, `raster` or `stations` made into a product of its own, from the mapping and the first readable of `paths`.

    The mapping wins where it says something; the files say the rest (variables, types, fills, whether there are dates).
    `grid` may be None for `raster`: the files' own grid is taken. Any other product is returned as it is.

    Raises ProductError when a name or grid is missing, or the mapping asks for what the files do not have.
    """
    if product.format == "terrain" and mapping is None:
        return _complete_terrain(product, name, grid)
    # files of a network keep their format under a name of their own
    is_renamed = product.kind == "stations" and name is not None and grid is None and mapping is None
    if product.name not in TEMPLATES and not is_renamed:
        given = {"--as": name, "--grid": grid, "--mapping": mapping}
        if wrong := [flag for flag, value in given.items() if value is not None]:
            raise ProductError(f"{product.name} is complete: {', '.join(wrong)} is for {', '.join(TEMPLATES)}")
        return product
    if product.kind == "stations":
        return _complete_stations(product, name, grid, read_mapping(mapping))
    if name is None:
        raise ProductError(f"{product.name} needs a name for what is in the files: --as NAME")
    if name in _built_in():
        raise ProductError(
            f"--as {name}: that is a product of its own; load the files as {name}, or choose another name"
        )
    if grid is None and product.grid == "given":
        raise ProductError(f"{product.name} needs the grid its points lie on: --grid GRID, for example ease2_m36")
    asked = read_mapping(mapping)
    format_ = _format_of(product, paths)
    described = _describe(format_, asked, paths)
    if format_ == "netcdf" and (asked.time_step or described.time_step) == "instant":
        format_ = "subdaily"
    variables, delivers = _choose(described, asked, str(mapping) if isinstance(mapping, str | Path) else "the mapping")
    options = {field: getattr(asked, field) for field in Options.model_fields if field in asked.model_fields_set}
    return validate(
        {
            "name": name,
            "title": asked.title or name.replace("_", " "),
            "format": format_,
            "kind": product.kind,
            "grid": grid or product.grid,
            "time_step": asked.time_step or described.time_step,
            "file_pattern": asked.file_pattern,
            "variables": [v.model_dump() for v in variables],
            "delivers": [d.model_dump() for d in delivers],
            "source": asked.source or "files given at the load",
            "citation": asked.citation,
            "shares_input_with": asked.shares_input_with,
            "options": options,
        },
        f"--as {name}",
    )


TEMPLATES = ("table", "raster", "stations")


def _complete_terrain(product: Product, name: str | None, grid: str | None) -> Product:
    """Terrain of another DEM, or on another grid, is a product of its own."""
    if grid is not None and name is None:
        raise ProductError(f"{product.name} on a grid of its own needs a name: --as NAME --grid {grid}")
    changes: dict[str, Any] = {"grid": grid} if grid is not None else {}
    if name is not None and name != product.name:
        if name in _built_in():
            raise ProductError(f"--as {name}: that is a product of its own; choose another name")
        changes |= {"name": name, "title": name.replace("_", " ")}
    return validate({**product.model_dump(), **changes}, f"--as {name or product.name}")


def _complete_stations(product: Product, name: str | None, grid: str | None, asked: DeliveredAs) -> Product:
    if grid is not None:
        raise ProductError("stations have places, not a grid: leave --grid out")
    changes: dict[str, Any] = {}
    if product.name in TEMPLATES:
        options = {f: getattr(asked, f) for f in Options.model_fields if f in asked.model_fields_set}
        options["across"] = tuple(_across(v, number) for number, v in enumerate(asked.variables)) or asked.across
        changes["options"] = {k: v for k, v in options.items() if v}
        changes["file_pattern"] = asked.file_pattern or product.file_pattern
    if name is not None and name != product.name:
        if name in _built_in():
            raise ProductError(f"--as {name}: that is a product of its own; choose another name")
        changes |= {"name": name, "title": asked.title or name.replace("_", " ")}
        if product.name in TEMPLATES:
            changes |= {
                "verified": False,
                "source": asked.source or "files given at the load",
                "citation": asked.citation,
            }
    return validate({**product.model_dump(), **changes}, f"--as {name or product.name}")


def _across(wanted: MappedVariable, number: int) -> Across:
    """One of a mapping's variables as a column of a station table. Raises ProductError."""
    field = f"the mapping: variables[{number}]"
    unit = MEASURED[wanted.name].unit if wanted.name in MEASURED else None
    if wanted.unit is not None and unit is not None and wanted.unit != unit:
        raise ProductError(
            f"{field}.unit: {wanted.name} is in {unit}, not in {wanted.unit}; known are {', '.join(MEASURED)}"
        )
    try:
        return Across(name=wanted.name, column=wanted.column or wanted.name, layer=wanted.layer)
    except ValidationError as error:
        said = "; ".join(problem["msg"].removeprefix("Value error, ") for problem in error.errors())
        raise ProductError(f"{field}: {said}") from error


def _format_of(product: Product, paths: Sequence[Path]) -> Format:
    """`raster` is several formats: the first bytes of the first file that has any tell which."""
    if product.format != "raster":
        return product.format
    for path in _files(paths):
        try:
            with path.open("rb") as file:
                start = file.read(8)
        except OSError:
            continue
        if start[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+") or start[4:] == b"jP  " or is_srtm_tile(path):
            return "geotiff"
        if start[:4] == b"\x0e\x03\x13\x01":
            return "modis_hdf4"
        if start[:4] == b"PK\x03\x04":
            names = [name.lower() for name in list_zip(path)]
            if any(name.endswith(".hdf") for name in names):
                return "modis_hdf4"
            if any(name.endswith((".tif", ".tiff", ".hgt")) for name in names):
                return "geotiff"
        if start[:3] == b"CDF" or start == b"\x89HDF\r\n\x1a\n" or start[:4] == b"GRIB":
            return "netcdf"
    raise ProductError("none of the files is a GeoTIFF or a NetCDF (or GRIB), which is what `raster` reads")


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    """The files among `paths` and inside the folders among them, in order."""
    for path in map(Path, paths):
        if path.is_dir():
            yield from (p for p in sorted(path.rglob("*")) if p.is_file() and not p.name.startswith("."))
        else:
            yield path


def _describe(format_: Format, asked: DeliveredAs, paths: Sequence[Path]) -> Described:
    reader = import_module(f"loaders.readers.{format_}")
    first_reason = "there are no files"
    for number, path in enumerate(_files(paths)):
        try:
            return reader.describe(path, asked)
        except BadFile as bad:
            if number == 0:
                first_reason = f"{path.name}: {bad.reason}"
    raise ProductError(f"no file can be read to see what is in it: {first_reason}")


def _choose(described: Described, asked: DeliveredAs, origin: str) -> tuple[list[Variable], list[Delivered]]:
    """The variables to keep: those of the mapping, completed from the file, or without a mapping all of the file's."""
    if not asked.variables:
        return list(described.variables), [Delivered(variable=v.name, unit=v.unit) for v in described.variables]
    by_band = {v.band: v for v in described.variables if v.band is not None}
    by_name = {v.source_name: v for v in described.variables}
    variables, delivers = [], []
    for number, wanted in enumerate(asked.variables):
        field = f"{origin}: variables[{number}]"
        called = wanted.column or wanted.dataset or wanted.name
        if wanted.band is not None:
            found = by_band.get(wanted.band)
            missing = f"{field}.band: there is no band {wanted.band}, the file has {len(by_band)}."
        else:
            found = by_name.get(called)
            if found is None and len(by_name) == len(asked.variables) == 1 and by_band:
                found = described.variables[0]  # one band, one variable: the name is free
            missing = f"{field}: there is no {called!r} in the file. {suggestion(called, by_name)}"
        if found is None and (not wanted.optional or wanted.dtype is None):
            raise ProductError(missing + ("" if not wanted.optional else " An optional variable needs its dtype."))
        variables.append(
            Variable(
                name=wanted.name,
                dtype=wanted.dtype or found.dtype,
                fill=wanted.fill if wanted.fill is not None else (found.fill if found else ()),
                unit=wanted.unit or (found.unit if found else "unknown"),
                description=wanted.description or (found.description if found else ""),
                dataset=None if wanted.band or called == wanted.name else called,
                band=found.band if found else wanted.band,
                level=wanted.level,
                optional=wanted.optional,
            )
        )
        delivers.append(Delivered(variable=wanted.name, layer=wanted.layer, unit=variables[-1].unit))
    return variables, delivers
