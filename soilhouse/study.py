"""The study file: its schema, and the one message that lists everything wrong with it.

A study is data: dbt reads the same file (`dbt build --vars "$(cat studies/x.yml)"`) and merges it with `study_defaults` of
dbt_project.yml by the rule of macros/study.sql. Nothing here has a default of its own: a key that the study leaves out takes the
value written there, and one that is in neither must be given.

What needs the products and the lake (is the product known, is it loaded, does it deliver the variable) is in
soilhouse/study_check.py; `validate` does both.
"""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, get_args, get_origin

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from loaders.grids import GRIDS, Grid
from loaders.names import COLUMN, NAME, checked_layer, layer_limits
from loaders.nearest import suggestion
from soilhouse.problems import Problem, StudyError
from soilhouse.settings import PROJECT_FILE, project_root
from soilhouse.study_downscaling import downscaling_problems
from soilhouse.study_validation import validation_problems
from udfs.downscaling.parameters import ESTIMATORS, PARAMETERS

# Of fct_soil_moisture_daily and everything compared with it: a column there has one unit.
SOIL_MOISTURE_UNIT = "m3 m-3"

# The methods of int_weights and the one that takes the most frequent class of area_mean's overlaps.
REGRIDDINGS = ("area_mean", "mode", "nearest", "bilinear", "kriging")

# Those of the kernel krige_weights.
SEMIVARIOGRAM_MODELS = ("linear", "spherical", "exponential", "gaussian")

# The bands that each index is made of; macro index_of has the formulas.
INDEX_BANDS = {
    "ndvi": {"red", "nir"},
    "evi": {"red", "nir", "blue"},
    "ndwi": {"green", "nir"},
    "lswi": {"nir", "swir1"},
    "nsdsi": {"swir1", "swir2"},
}

DISCRETISATIONS = ("equal", "quantile", "natural", "geometric", "sd")

GROUPS = ("patterns", "trends", "drivers", "downscaling", "validation", "desk")


def _identifier(value: str) -> str:
    if not NAME.fullmatch(value):
        raise ValueError("small letters, digits and underscores, beginning with a letter")
    return value


def _column(value: str) -> str:
    # The column is written into SQL without quotes, so nothing but an identifier may pass.
    if not COLUMN.fullmatch(value):
        raise ValueError(
            "a column is letters, digits and underscores; rename it in the file, or with --mapping at the load"
        )
    return value


def _member(value: str) -> str:
    # VARIABLE, or PRODUCT.VARIABLE of another product.
    for part in value.split(".", 1):
        _identifier(part)
    return value


def _text(value: str) -> str:
    # A backslash is an escape inside an SQL string on Spark and an ordinary letter on DuckDB.
    if "\\" in value or not value.isprintable():
        raise ValueError("plain text on one line, without backslashes")
    return value


def _calendar_day(value: Any) -> Any:
    # YAML turns 2011-01-01 into a date by itself, but not '2011-01-01'.
    if isinstance(value, str):
        try:
            return date.fromisoformat(value)
        except ValueError:
            raise ValueError("a date is written 2011-01-01") from None
    return value


def _month_start(value: date) -> date:
    if isinstance(value, datetime) or value.day != 1:
        following = date(value.year + value.month // 12, value.month % 12 + 1, 1)
        raise ValueError(
            f"the first day of a month, such as {value:%Y-%m}-01, because marts are built by whole months;"
            f" `end` is not included, so an end that takes in {value:%Y-%m} is {following}"
        )
    return value


Name = Annotated[str, AfterValidator(_identifier)]
Text = Annotated[str, AfterValidator(_text)]
MonthStart = Annotated[date, BeforeValidator(_calendar_day), AfterValidator(_month_start)]


class _Part(BaseModel):
    """A mapping of the study file. Strict, because dbt passes the file's values on as they are written: '8' is not 8 there."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, populate_by_name=True)


class Period(_Part):
    """The months that are analysed; `end` is the first month that is not."""

    start: MonthStart
    end: MonthStart

    @model_validator(mode="after")
    def _in_order(self) -> Period:
        if self.start >= self.end:
            raise ValueError(f"start {self.start} is not before end {self.end} (end is not included)")
        return self


class Region(_Part):
    """A box in degrees, or a registered set of regions (of which `ids` picks some); empty: every pixel, as region `all`.

    A pixel belongs to a region of a set when at least `min_fraction` of its area does.
    """

    bbox: Annotated[list[float], Field(min_length=4, max_length=4)] | None = None
    set: Name | None = None
    ids: Annotated[list[Text], Field(min_length=1)] | None = None
    min_fraction: Annotated[float, Field(gt=0, le=1)]

    @model_validator(mode="after")
    def _one_kind(self) -> Region:
        if self.bbox and self.set:
            raise ValueError("give `bbox` or `set`, not both")
        if self.ids is not None and not self.set:
            raise ValueError("`ids` is about the regions of a `set`: name the set too")
        if self.bbox:
            west, south, east, north = self.bbox
            if not (-90 <= south < north <= 90):
                raise ValueError(
                    "bbox is [west, south, east, north]: south must be below north, both within -90 and 90"
                )
            if not (-180 <= west < east <= 180):
                raise ValueError(
                    "bbox is [west, south, east, north]: west must be below east, both within -180 and 180"
                    " (across 180 degrees, use a file of regions: soilhouse load regions)"
                )
        return self


class UserGrid(_Part):
    """A grid of the study's own: `origin` is the left and top edge, `cell` its width and height, in units of the CRS."""

    name: Name
    crs: str
    origin: Annotated[list[float], Field(min_length=2, max_length=2)]
    cell: Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=2, max_length=2)]
    shape: Annotated[list[Annotated[int, Field(gt=0)]], Field(min_length=2, max_length=2)]

    @model_validator(mode="before")
    @classmethod
    def _square_cells(cls, value: Any) -> Any:
        if (
            isinstance(value, dict)
            and isinstance(value.get("cell"), (int, float))
            and not isinstance(value["cell"], bool)
        ):
            return {**value, "cell": [value["cell"], value["cell"]]}
        return value

    @model_validator(mode="after")
    def _is_a_grid(self) -> UserGrid:
        grid = self.grid()
        if self.name in GRIDS and GRIDS[self.name] != grid:
            raise ValueError(f"{self.name} is a named grid already, and another one: choose a name of your own")
        return self

    def grid(self) -> Grid:
        """The grid itself. Raises ValueError where the definition cannot be one."""
        (left, top), (width, height), (n_rows, n_cols) = self.origin, self.cell, self.shape
        return Grid(self.name, self.crs, left, top, width, height, n_rows, n_cols)


class SeriesCoverage(_Part):
    """What of the study's `coverage` is another for one series, such as that of a satellite that comes every third day."""

    min_days: Annotated[int, Field(ge=1, le=31)] | None = None
    min_dekads: Annotated[int, Field(ge=1, le=3)] | None = None

    @model_validator(mode="after")
    def _says_something(self) -> SeriesCoverage:
        if not self.model_fields_set:
            raise ValueError("is empty: give min_days, min_dekads or both, or leave it out")
        return self


class Kriging(_Part):
    """The semivariogram that ordinary kriging goes by (as fct_semivariogram_models gives it), and which neighbours it takes."""

    model: Literal[SEMIVARIOGRAM_MODELS]
    nugget: Annotated[float, Field(ge=0)]
    partial_sill: Annotated[float, Field(ge=0)]
    range_parameter_m: Annotated[float, Field(gt=0)]
    n_neighbours: Annotated[int, Field(ge=1, le=64)]
    radius_m: Annotated[float, Field(gt=0)]

    @model_validator(mode="after")
    def _has_a_sill(self) -> Kriging:
        if self.nugget + self.partial_sill == 0:
            raise ValueError("nugget and partial_sill are both 0: that is no semivariogram")
        return self


class Smoothing(_Part):
    """The filter of Savitzky and Golay: polynomials of degree `order` over 2 half_width + 1 days."""

    half_width: Annotated[int, Field(ge=1, le=60)]
    order: Annotated[int, Field(ge=0, le=10)]

    @model_validator(mode="after")
    def _fits(self) -> Smoothing:
        if self.order > 2 * self.half_width:
            raise ValueError(f"a window of {2 * self.half_width + 1} days holds no polynomial of degree {self.order}")
        return self


class Prepare(_Part):
    """What is done to a series before it is analysed: brought to another grid, made daily, filled, smoothed."""

    grid: Name | None = None
    regrid: Literal[REGRIDDINGS] | None = None
    min_covered: Annotated[float, Field(gt=0, le=1)] | None = None
    kriging: Kriging | None = None
    centred_mean_days: Annotated[int, Field(ge=1, le=60)] | None = None
    composite_days: Annotated[int, Field(ge=2, le=366)] | None = None
    to_daily: Literal["linear", "hold"] | None = None
    max_gap_days: Annotated[int, Field(ge=1, le=366)] | None = None
    smoothing: Smoothing | None = None

    @model_validator(mode="after")
    def _complete(self) -> Prepare:
        if not self.model_fields_set:
            raise ValueError("is empty: say what is to be done, or leave it out")
        if self.grid is None and (self.regrid or self.min_covered or self.kriging):
            raise ValueError("`regrid`, `min_covered` and `kriging` bring the series to a `grid`: name it")
        if (self.regrid == "kriging") != (self.kriging is not None):
            raise ValueError("`regrid: kriging` and the semivariogram `kriging` go together")
        if self.to_daily is not None and self.composite_days is None:
            raise ValueError("`to_daily` is about composites: give `composite_days`, the days that one stands for")
        if self.regrid == "mode" and self.temporal():
            raise ValueError(f"classes have no {', '.join(self.temporal())}: that is for numbers")
        return self

    def temporal(self) -> list[str]:
        """The steps over days that are asked."""
        return [
            key
            for key in ("centred_mean_days", "composite_days", "max_gap_days", "smoothing")
            if getattr(self, key) is not None
        ]


class Preparation(_Part):
    """How series (`regrid`) and factors (`factor_regrid`) reach other grids unless they say so, and how much of a pixel must have values."""

    regrid: Literal["area_mean", "mode", "nearest", "bilinear"]
    factor_regrid: Literal["area_mean", "mode", "nearest", "bilinear"]
    min_covered: Annotated[float, Field(gt=0, le=1)]


class FrozenMask(_Part):
    """The series of the study that says where the soil is frozen: by being `below` a value, or (soil moisture) by its product's flag."""

    variable: Name
    product: Name
    layer: Annotated[str, AfterValidator(checked_layer)] = "surface"
    below: float | None = None

    @model_validator(mode="after")
    def _says_frost(self) -> FrozenMask:
        if (self.below is None) != (self.variable == "soil_moisture"):
            raise ValueError(
                "a temperature needs `below` (0 of soil temperature in degC); soil moisture is frozen where its product says, without `below`"
            )
        return self


class WaterMask(_Part):
    """Pixels of which more than `max_share` has one of the codes of a land cover: they have no soil moisture."""

    product: Name
    column: Annotated[str, AfterValidator(_column)]
    codes: Annotated[list[float], Field(min_length=1)]
    max_share: Annotated[float, Field(ge=0, lt=1)]


class Masks(_Part):
    """What has no soil moisture: frozen soil and water."""

    frozen: FrozenMask | None = None
    water: WaterMask | None = None


class Series(_Part):
    """One variable of one product at one layer. `column` to `valid_max` are for products that users bring themselves.

    `columns` are the bands that an index (the variable) is made of; `mean_of` names what else of the product, or PRODUCT.VARIABLE of another
    series' product on the same grid, it is the mean of.
    """

    variable: Name
    product: Name
    layer: Annotated[str, AfterValidator(checked_layer)] = "surface"
    column: Annotated[str, AfterValidator(_column)] | None = None
    columns: dict[str, Annotated[str, AfterValidator(_column)]] | None = None
    mean_of: Annotated[list[Annotated[str, AfterValidator(_member)]], Field(min_length=2)] | None = None
    prepare: Prepare | None = None
    unit: Text | None = None
    scale: float = 1
    offset: float = 0
    valid_min: float | None = None
    valid_max: float | None = None
    monthly_statistic: Literal["mean", "total", "maximum"] | None = None
    coverage: SeriesCoverage | None = None
    hours: Annotated[list[Annotated[float, Field(ge=0, le=24)]], Field(min_length=2, max_length=2)] | None = None
    solar_time: Annotated[float, Field(ge=0, lt=24)] | None = None

    @model_validator(mode="after")
    def _one_time_of_day(self) -> Series:
        if self.hours is not None and self.solar_time is not None:
            raise ValueError("give `hours` or `solar_time`, not both")
        if self.hours is not None and self.hours[0] >= self.hours[1]:
            raise ValueError("hours are [from, to] within one day, such as [6, 9]; [0, 24] is the whole day")
        return self

    @model_validator(mode="after")
    def _one_source(self) -> Series:
        given = [key for key in ("column", "columns", "mean_of") if getattr(self, key) is not None]
        if len(given) > 1:
            raise ValueError(f"give one of {', '.join(given)}")
        if self.columns is not None:
            bands = INDEX_BANDS.get(self.variable)
            if bands is None:
                raise ValueError(
                    f"`columns` are the bands of an index, and the variable is one of {', '.join(INDEX_BANDS)}"
                )
            if set(self.columns) != bands:
                raise ValueError(f"the columns of {self.variable} are {', '.join(sorted(bands))}")
        return self

    @model_validator(mode="after")
    def _scaled_only_as_delivered(self) -> Series:
        if self.column is None and self.columns is None:
            given = [k for k in ("unit", "scale", "offset", "valid_min", "valid_max") if k in self.model_fields_set]
            if given:
                raise ValueError(
                    f"{', '.join(given)} needs `column`: the columns of a product of ours come in physical units"
                )
        if self.scale == 0:
            raise ValueError("a scale of 0 makes every value the same")
        if self.valid_min is not None and self.valid_max is not None and self.valid_min >= self.valid_max:
            raise ValueError(f"valid_min {self.valid_min:g} is not below valid_max {self.valid_max:g}")
        return self


class Coverage(_Part):
    """How many days, in how many of its three dekads, a month needs before it counts; for a total also the share of its days."""

    min_days: Annotated[int, Field(ge=1, le=31)]
    min_dekads: Annotated[int, Field(ge=1, le=3)]
    min_share_of_total: Annotated[float, Field(gt=0, le=1)]


class Trends(_Part):
    """Which series of years or months are tested, and when a trend is significant."""

    time_steps: Annotated[list[Literal["year", "month"]], Field(min_length=1)]
    seasons: Annotated[list[str], Field(min_length=1)]
    min_valid: Annotated[int, Field(ge=3)]
    alpha: Annotated[float, Field(gt=0, lt=1)]
    min_months_share: Annotated[float, Field(gt=0, le=1)]
    epsilon: dict[str, Annotated[float, Field(ge=0)]]
    tests: list[Literal["seasonal_kendall", "hamed_rao", "trend_free_prewhitening"]]


class Stability(_Part):
    """Over what temporal stability is taken: the whole period, each year of it."""

    periods: Annotated[list[Literal["all", "year"]], Field(min_length=1)]


class Composite(_Part):
    """A layer made of the layers of one product that it is divided into, weighted by their thickness: a series of its own."""

    variable: Name
    product: Name
    layer: Annotated[str, AfterValidator(checked_layer)]
    of: Annotated[list[Annotated[str, AfterValidator(checked_layer)]], Field(min_length=2)]

    @model_validator(mode="after")
    def _filled_by_its_parts(self) -> Composite:
        for layer in (self.layer, *self.of):
            if layer == "surface":
                raise ValueError("`surface` has no depth: a composite is made of depth intervals such as `10-20 cm`")
        top, bottom = layer_limits(self.layer)
        reached = top
        for part in sorted(self.of, key=layer_limits):
            part_top, part_bottom = layer_limits(part)
            if part_top < top or part_bottom > bottom:
                raise ValueError(f"{part} is not within {self.layer}")
            if part_top > reached:
                raise ValueError(f"nothing fills {reached:g}-{part_top:g} cm of {self.layer}")
            if part_top < reached:
                raise ValueError(
                    f"{part} overlaps with another of its layers: down to {reached:g} cm it is filled already"
                )
            reached = part_bottom
        if reached < bottom:
            raise ValueError(f"nothing fills {reached:g}-{bottom:g} cm of {self.layer}")
        return self


class Factor(_Part):
    """What may explain a target: a column of a product without dates, a series of the study, or a coordinate of the pixel.

    `column` with `product` is a static product's; `variable` with `product` (and `layer`) names a series of the study.
    `method` and `k` fix its discretisation; without them it is optimised. `exclude`: class codes that are no data, such as water.
    """

    factor: Name
    kind: Literal["continuous", "categorical"] = "continuous"
    product: Name | None = None
    column: Annotated[str, AfterValidator(_column)] | None = None
    variable: Name | None = None
    layer: Annotated[str, AfterValidator(checked_layer)] = "surface"
    coordinate: Literal["lon", "lat"] | None = None
    unit: Text | None = None
    scale: float = 1
    offset: float = 0
    valid_min: float | None = None
    valid_max: float | None = None
    exclude: Annotated[list[float], Field(min_length=1)] | None = None
    method: Literal[DISCRETISATIONS] | None = None
    k: Annotated[int, Field(ge=2, le=50)] | None = None
    regrid: Literal[REGRIDDINGS] | None = None
    min_covered: Annotated[float, Field(gt=0, le=1)] | None = None
    kriging: Kriging | None = None
    scheme: Name | None = None
    as_: Annotated[Literal["octant", "northness", "eastness"] | None, Field(alias="as")] = None

    @model_validator(mode="after")
    def _made_of_a_map(self) -> Factor:
        given = [k for k in ("regrid", "min_covered", "kriging", "scheme", "as_") if getattr(self, k) is not None]
        if self.column is None and given:
            raise ValueError(
                f"{', '.join(k.rstrip('_') for k in given)} needs `column`: series say how they are prepared, coordinates need no preparation"
            )
        if self.scheme is not None and self.as_ is not None:
            raise ValueError("`scheme` is for classes of land cover, `as` for an aspect")
        if (self.scheme is not None or self.as_ == "octant") and self.kind != "categorical":
            raise ValueError(f"`{'scheme' if self.scheme else 'as: octant'}` gives classes: say `kind: categorical`")
        if self.as_ in ("northness", "eastness") and self.kind == "categorical":
            raise ValueError(f"{self.as_} is a number from -1 to 1, not a class")
        if self.kind == "categorical" and self.regrid in ("area_mean", "bilinear", "kriging"):
            raise ValueError(f"classes have no {self.regrid}: take `mode` or `nearest`")
        if (self.regrid == "kriging") != (self.kriging is not None):
            raise ValueError("`regrid: kriging` and the semivariogram `kriging` go together")
        return self

    @model_validator(mode="after")
    def _one_source(self) -> Factor:
        sources = [s for s in (self.column, self.variable, self.coordinate) if s is not None]
        if len(sources) != 1 or (self.coordinate is None) != (self.product is not None):
            raise ValueError(
                "comes from one place: `product` and `column` (a product without dates), `product` and `variable`"
                " (a series of the study), or `coordinate` (lon, lat)"
            )
        if (self.method is None) != (self.k is None):
            raise ValueError("`method` and `k` fix the discretisation together: give both or neither")
        if self.kind == "categorical" and self.method is not None:
            raise ValueError("a categorical factor is its own strata: `method` and `k` say nothing about it")
        if self.column is None:
            given = [k for k in ("scale", "offset", "valid_min", "valid_max", "exclude") if k in self.model_fields_set]
            if given:
                raise ValueError(f"{', '.join(given)} needs `column`: series and coordinates come in physical units")
        return self


class Zone(_Part):
    """Zones of a static factor: its classes as they are, `breaks` between bands, or `k` bands of equal pixel count (`quantile`)."""

    factor: Name
    k: Annotated[int, Field(ge=2, le=50)] | None = None
    breaks: Annotated[list[float], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Zone:
        if self.k is not None and self.breaks is not None:
            raise ValueError("give `k` or `breaks`, not both")
        if self.breaks is not None and sorted(set(self.breaks)) != self.breaks:
            raise ValueError("breaks rise from one to the next")
        return self


class SeasonRule(_Part):
    """A season that is not on the calendar: the months in which a series of the study, at the pixel, is above or below a value.

    `growing` where the air is above 5 degC; `frozen` where the soil is below 0 degC.
    """

    season: Text
    variable: Name
    product: Name
    layer: Annotated[str, AfterValidator(checked_layer)] = "surface"
    above: float | None = None
    below: float | None = None

    @model_validator(mode="after")
    def _one_side(self) -> SeasonRule:
        if (self.above is None) == (self.below is None):
            raise ValueError("give `above` or `below`, the value that a month's series is on that side of")
        return self


class Sampling(_Part):
    """Which pixels of a map enter variograms and detectors: all, every one about `spacing_m` apart, or `n` at random."""

    kind: Literal["all", "systematic", "random"]
    spacing_m: Annotated[float, Field(gt=0)] | None = None
    n: Annotated[int, Field(ge=10)] | None = None
    seed: int

    @model_validator(mode="after")
    def _complete(self) -> Sampling:
        if (self.kind == "systematic") != (self.spacing_m is not None) or (self.kind == "random") != (
            self.n is not None
        ):
            raise ValueError("`systematic` needs `spacing_m`, `random` needs `n`, `all` neither")
        return self


class Variograms(_Part):
    """How maps are looked at by distance. Without `cutoff_m` a third of the region's diagonal, without `range_bound_m` no bound."""

    variables: list[Name] | None = None
    cutoff_m: Annotated[float, Field(gt=0)] | None = None
    n_bins: Annotated[int, Field(ge=3, le=200)]
    range_bound_m: Annotated[float, Field(gt=0)] | None = None
    directions: bool
    map: bool


class Drivers(_Part):
    """What the geographical detector explains (`targets`: variables), by which factors, over which periods, and how."""

    targets: Annotated[list[Name], Field(min_length=1)]
    factors: list[Name] | None = None
    periods: Annotated[list[Literal["all", "year", "season", "month"]], Field(min_length=1)]
    seasons: Annotated[list[str], Field(min_length=1)]
    min_months_share: Annotated[float, Field(gt=0, le=1)]
    min_pixels: Annotated[int, Field(ge=3)]
    methods: Annotated[list[Literal[DISCRETISATIONS]], Field(min_length=1)]
    k_min: Annotated[int, Field(ge=2)]
    k_max: Annotated[int, Field(le=50)]
    optimise: Literal["largest", "first_small_gain"]
    min_gain: Annotated[float, Field(gt=0, lt=1)]
    choose: Literal["period", "once"]
    permutations: Annotated[int, Field(ge=0, le=9999)]
    alpha: Annotated[float, Field(gt=0, lt=1)]
    seed: int

    @model_validator(mode="after")
    def _k_in_order(self) -> Drivers:
        if self.k_min > self.k_max:
            raise ValueError(f"k_min {self.k_min} is above k_max {self.k_max}")
        return self


class Correlations(_Part):
    """Which targets are correlated in time with which series of the study, for which units, on which values."""

    targets: Annotated[list[Name], Field(min_length=1)]
    factors: list[Name] | None = None
    unit_kinds: Annotated[list[Literal["pixel", "region", "station"]], Field(min_length=1)]
    time_steps: Annotated[list[Literal["month", "year"]], Field(min_length=1)]
    seasons: Annotated[list[str], Field(min_length=1)]
    forms: Annotated[list[Literal["raw", "anomaly"]], Field(min_length=1)]
    min_valid: Annotated[int, Field(ge=3)]
    alpha: Annotated[float, Field(gt=0, lt=1)]


class Ssmi(_Part):
    """The standardised soil moisture index: its reference (first and last month's next; without it the study's period), its scales."""

    reference: Period | None = None
    scales: Annotated[list[Annotated[int, Field(ge=1, le=24)]], Field(min_length=1)]
    kinds: Annotated[list[Literal["pixel_month", "layer_pooled"]], Field(min_length=1)]
    min_years: Annotated[int, Field(ge=2)]
    depth_periods: Annotated[list[Literal["all", "year"]], Field(min_length=1)]
    epsilon_per_year: Annotated[float, Field(ge=0)]

    @model_validator(mode="after")
    def _single_months_too(self) -> Ssmi:
        if 1 not in self.scales:
            raise ValueError("`scales` must hold 1: depth profiles are made of single months")
        if len(set(self.scales)) < len(self.scales):
            raise ValueError("a scale of `scales` comes twice")
        return self


class Desk(_Part):
    """What a drought desk and a basin agency look at: dekads, months or both, days that a dekad needs, years that a normal needs."""

    periods: Annotated[list[Literal["dekad", "month"]], Field(min_length=1)]
    min_days: Annotated[int, Field(ge=1, le=8)]
    min_years: Annotated[int, Field(ge=2)]
    map_periods: Annotated[int, Field(ge=1)]


class SeriesName(_Part):
    """A series of the study, by its names."""

    variable: Name
    product: Name
    layer: Annotated[str, AfterValidator(checked_layer)] = "surface"


class FrozenRule(SeriesName):
    """Soil counts as frozen where a series, such as the soil's temperature, is below a value in its unit."""

    below: float


class ThermalFit(_Part):
    """What the thermal inertia framework is fitted on: three series of one grid, such as those of a reanalysis."""

    soil_moisture: SeriesName
    day: SeriesName
    night: SeriesName


class ThermalInertia(_Part):
    """Soil moisture from the difference of surface temperature between day and night, by land cover and NDVI level.

    Fitted on `fit`, applied to `day` and `night` of the fine grid, corrected so that the first of `reference` with a value keeps its mean.
    """

    framework: Literal["thermal_inertia"]
    product: Name
    fit: ThermalFit
    day: SeriesName
    night: SeriesName
    ndvi: SeriesName
    ndvi_hold_days: Annotated[int, Field(ge=1)]
    ndvi_levels: Name
    land_cover: Name
    land_cover_scheme: Name
    min_class_share: Annotated[float, Field(ge=0, le=1)]
    window_months: Annotated[int, Field(ge=1)] | None
    min_samples: Annotated[int, Field(ge=3)]
    reference: list[SeriesName]
    min_valid_fraction: Annotated[float, Field(ge=0, le=1)]
    porosity: Name | None
    largest: Annotated[float, Field(gt=0, le=1)]


class Learned(_Part):
    """What the two frameworks share that learn from samples: which estimators, on which rows, how they are chosen and scored."""

    estimators: Annotated[list[Literal[ESTIMATORS]], Field(min_length=1)]
    hyperparameters: dict[Literal[ESTIMATORS], dict[str, Annotated[list[Any], Field(min_length=1)]]]
    partitions: Annotated[list[Literal["whole", "unit"]], Field(min_length=1)]
    publish: Annotated[list[str], Field(min_length=1)]
    suffix: Name | None
    min_samples: Annotated[int, Field(ge=20)]
    max_samples: Annotated[int, Field(ge=100)]
    outer_share: Annotated[float, Field(ge=0, le=0.5)]
    train_share: Annotated[float, Field(ge=0.1, le=0.9)]
    min_ks_p: Annotated[float, Field(ge=0, lt=1)]
    max_draws: Annotated[int, Field(ge=1, le=10000)]
    folds: Annotated[int, Field(ge=2, le=20)]
    folds_of: Literal["rows", "blocks"]
    max_fit_samples: dict[Literal[ESTIMATORS], Annotated[int, Field(ge=100)]]
    max_search_samples: Annotated[int, Field(ge=100)]
    max_score_samples: Annotated[int, Field(ge=100)]
    refit: bool
    interval_level: Annotated[float, Field(gt=0.5, lt=1)]
    interval_from: Literal["test", "blocks"]
    permutations: Annotated[int, Field(ge=0, le=100)]
    shap_samples: Annotated[int, Field(ge=0, le=20000)]
    largest: Annotated[float, Field(gt=0, le=1)]
    seed: Annotated[int, Field(ge=0, lt=2**31)]

    @property
    def products(self) -> list[str]:
        """The names of all products that it trains, published or not: the rule of the macro learned_product()."""
        of_windows = f"_{self.window_days}day" if isinstance(self, Windows) else ""
        of_whole = "" if isinstance(self, Windows) else "_whole"
        return [
            name
            + of_windows
            + ("_by_unit" if partition == "unit" else of_whole)
            + (f"_{self.suffix}" if self.suffix else "")
            for partition in self.partitions
            for name in (*self.estimators, "best" if isinstance(self, Windows) else "stack")
        ]

    @model_validator(mode="after")
    def _known(self) -> Learned:
        if len(set(self.estimators)) < len(self.estimators):
            raise ValueError("an estimator of `estimators` comes twice")
        combination = "best" if self.framework == "windows" else "stack"
        for name in self.publish:
            if name not in (combination, *self.estimators):
                raise ValueError(
                    f"`publish` names {name}: it takes {combination}, and estimators that `estimators` names too"
                )
        for estimator, grid in self.hyperparameters.items():
            for parameter in grid:
                if parameter not in PARAMETERS[estimator]:
                    known = suggestion(parameter, PARAMETERS[estimator])
                    raise ValueError(f"{parameter} is not a hyperparameter of {estimator} that can be set. {known}")
        return self


class Windows(Learned):
    """The best of several estimators in each window of days (northern China)."""

    framework: Literal["windows"]
    window_days: Annotated[int, Field(ge=1, le=366)]
    select_by: Literal["train_and_test", "test", "blocks"]


class Stacking(Learned):
    """Boosted trees and a second level over them, for each terrain unit and for all together (Anhui)."""

    framework: Literal["stacking"]


FRAMEWORKS: dict[str, type[_Part]] = {"thermal_inertia": ThermalInertia, "windows": Windows, "stacking": Stacking}
Framework = Annotated[ThermalInertia | Windows | Stacking, Field(discriminator="framework")]


class Downscaling(_Part):
    """From a coarse series to a fine grid by features, with one or more frameworks; without frameworks nothing is downscaled.

    `features` are factors of the study, and `day_of_year`. `hold_days`: for how many days a value of a feature that does not come every
    day counts. `upscale` says how features reach the coarse grid.
    """

    grid: Name | None
    target: SeriesName | None
    period: Period | None
    features: list[Name]
    hold_days: dict[str, Annotated[int, Field(ge=1)]]
    upscale: Literal["area_mean", "nearest"]
    min_valid_share: Annotated[float, Field(gt=0, le=1)]
    unit: Name | None
    water: Name | None
    water_classes: list[int]
    max_water_share: Annotated[float, Field(ge=0, le=1)]
    frozen: FrozenRule | None
    block_cells: Annotated[int, Field(ge=1)]
    frameworks: list[Framework]

    @model_validator(mode="after")
    def _complete(self) -> Downscaling:
        if self.frameworks:
            missing = [key for key in ("grid", "target") if getattr(self, key) is None]
            if missing:
                raise ValueError(f"names frameworks, so it needs {' and '.join(f'`{key}`' for key in missing)} too")
        learned = [framework for framework in self.frameworks if isinstance(framework, Learned)]
        if learned and not self.features:
            raise ValueError("names frameworks that learn from samples, so it needs `features` to learn from")
        if self.unit is None and any("unit" in framework.partitions for framework in learned):
            raise ValueError(
                "has a framework with `partitions: [unit, ...]`: say which factor is the terrain unit (`unit`),"
                " or take `partitions: [whole]`"
            )
        names: list[str] = []
        for framework in self.frameworks:
            names += framework.products if isinstance(framework, Learned) else [framework.product]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(
                    f"two of `frameworks` give the product {name}: tell them apart by `suffix` (or `product`)"
                )
        return self


class SeriesPick(_Part):
    """Soil moisture of one product, a series, composite or downscaled product of the study, or one of its products of stations."""

    product: Name
    layer: Annotated[str, AfterValidator(checked_layer)]


class DayOffset(_Part):
    """How many days after its own date a product's value is compared: -1 for a morning that carries the date of the night before it."""

    product: Name
    days: Annotated[int, Field(ge=-5, le=5)]


class Comparison(_Part):
    """Products that are compared, every two of them, on their common days or months and pixels of the coarser (or finer) grid."""

    of: Annotated[list[SeriesPick], Field(min_length=2)]
    time_step: Literal["day", "month"] = "day"
    grid: Literal["coarser", "finer"] = "coarser"


class RandomPairs(_Part):
    """Values of two products at pixels drawn at random, `n` a region, on each of these days."""

    dates: Annotated[list[Annotated[date, BeforeValidator(_calendar_day)]], Field(min_length=1)]
    n: Annotated[int, Field(ge=3)]
    seed: int


class Triple(_Part):
    """Three products for triple collocation; with `force` also where one is made from another."""

    of: Annotated[list[SeriesPick], Field(min_length=3, max_length=3)]
    force: bool = False


class BeforeAfter(_Part):
    """Two products whose scores at the stations are compared on common days: a coarse one and what was downscaled from it."""

    before: SeriesPick
    after: SeriesPick


class Validation(_Part):
    """Which products are held against which stations and against one another, on which values, and how."""

    products: list[SeriesPick] | None
    references: list[Name] | None
    hours: Annotated[list[Annotated[float, Field(ge=0, le=24)]], Field(min_length=2, max_length=2)] | None
    day_offsets: list[DayOffset]
    station_layers: list[Annotated[str, AfterValidator(checked_layer)]] | None
    max_depth_gap_cm: Annotated[float, Field(ge=0)]
    unit_kinds: Annotated[list[Literal["station", "network", "region"]], Field(min_length=1)]
    min_share_of_stations: Annotated[float, Field(gt=0, le=1)]
    forms: Annotated[list[Literal["raw", "anomaly"]], Field(min_length=1)]
    anomaly: Literal["window", "climatology"]
    anomaly_window_days: Annotated[int, Field(ge=1, le=365)]
    anomaly_min_values: Annotated[int, Field(ge=1)]
    scalings: Annotated[list[Literal["none", "mean_std", "cdf"]], Field(min_length=1)]
    cdf_bins: Annotated[int, Field(ge=1, le=1000)]
    cdf_min_in_bin: Annotated[int, Field(ge=2)]
    periods: Annotated[list[Literal["all", "year"]], Field(min_length=1)]
    seasons: Annotated[list[str], Field(min_length=1)]
    min_n: Annotated[int, Field(ge=4)]
    confidence: Annotated[float, Field(gt=0, lt=1)]
    effective_n: bool
    before_after: list[BeforeAfter]
    comparisons: list[Comparison]
    min_share_of_pixels: Annotated[float, Field(gt=0, le=1)]
    random_pairs: RandomPairs | None
    triples: list[Triple]
    triple_min_n: Annotated[int, Field(ge=10)]
    rain_product: Name | None
    rain_unit_kinds: Annotated[list[Literal["station", "region", "pixel"]], Field(min_length=1)]
    rain_threshold_mm: Annotated[float, Field(gt=0)]
    rain_dry_days: Annotated[int, Field(ge=1, le=60)]
    rain_dry_mm: Annotated[float, Field(gt=0)]
    rain_before_days: Annotated[int, Field(ge=1, le=30)]
    rain_after_days: Annotated[int, Field(ge=1, le=30)]
    rain_max_days: Annotated[int, Field(ge=1, le=180)]

    @model_validator(mode="after")
    def _hours_in_order(self) -> Validation:
        if self.hours is not None and self.hours[0] >= self.hours[1]:
            raise ValueError("hours are [from, to] within one day, such as [6, 9]")
        return self

    @model_validator(mode="after")
    def _rain_windows_in_order(self) -> Validation:
        if self.rain_max_days < self.rain_after_days:
            raise ValueError(
                f"rain_max_days {self.rain_max_days} ends before the window after the rain does (rain_after_days {self.rain_after_days})"
            )
        return self


class RankStability(_Part):
    """How far apart two months may be whose ranks are compared."""

    max_lag_months: Annotated[int, Field(ge=1)]


class Study(_Part):
    """A study with its defaults filled in. `notes` are remarks that do not stop a build."""

    name: Name
    title: Text
    paper: Name | None
    mode: Literal["paper", "recommended"]
    simulated: bool
    groups: list[Literal[GROUPS]]
    period: Period
    time_zone: str
    region: Region
    grids: list[UserGrid]
    series: Annotated[list[Series], Field(min_length=1)]
    preparation: Preparation
    masks: Masks
    composites: list[Composite]
    factors: list[Factor]
    zones: list[Zone]
    season_rules: list[SeasonRule]
    stations: list[Name]
    station_quality: list[Annotated[str, Field(min_length=1)]]
    sampling: Sampling
    exclude_frozen: bool
    coverage: Coverage
    trends: Trends
    stability: Stability
    rank_stability: RankStability
    variograms: Variograms
    drivers: Drivers
    correlations: Correlations
    ssmi: Ssmi
    desk: Desk
    downscaling: Downscaling
    validation: Validation

    _notes: list[str] = []

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple(self._notes)


def study_defaults() -> dict[str, Any]:
    """`study_defaults` of dbt_project.yml, as written."""
    return _project_vars()["study_defaults"]


def given_default_study() -> dict[str, Any]:
    """The study that `dbt build` builds without --vars, as written in dbt_project.yml: the demo's."""
    return _project_vars()["study"]


def _project_vars() -> dict[str, Any]:
    return yaml.safe_load((project_root() / PROJECT_FILE).read_text(encoding="utf-8"))["vars"]


def with_defaults(given: Mapping[str, Any]) -> dict[str, Any]:
    """`given` over the defaults, nested mappings merged one level deep: the rule of the macro study()."""
    merged = dict(given)
    for key, default in study_defaults().items():
        value = given.get(key)
        if value is None:
            merged[key] = default
        elif isinstance(value, dict) and isinstance(default, dict):
            merged[key] = {**default, **value}
    return _with_framework_defaults(merged)


def _with_framework_defaults(study: dict[str, Any]) -> dict[str, Any]:
    """Each entry of `downscaling.frameworks` over the defaults of its framework: the rule of the macro study_frameworks()."""
    downscaling = study.get("downscaling")
    if not isinstance(downscaling, dict) or not isinstance(downscaling.get("frameworks"), list):
        return study
    defaults = _project_vars()["framework_defaults"]
    frameworks = [
        {**defaults.get(entry["framework"], {}), **entry}
        if isinstance(entry, dict) and isinstance(entry.get("framework"), str)
        else entry
        for entry in downscaling["frameworks"]
    ]
    return {**study, "downscaling": {**downscaling, "frameworks": frameworks}}


def load_study(path: str | Path) -> Study:
    """Read a study file and check all that can be checked without a lake. Raises StudyError with every problem."""
    path = Path(path)
    text, given = read_study_file(path)
    study, problems = parse(given)
    if problems:
        raise StudyError(str(path), problems, text)
    return study


def validate(path: str | Path, lake: str | Path) -> Study:
    """Read a study file and check it against the products and what the lake holds.

    Returns the study with its defaults and its `notes`. Raises StudyError with every problem of the file and of the lake in one
    message; a product that is not loaded comes with the command that loads it.
    """
    path = Path(path)
    text, given = read_study_file(path)
    return check(given, Path(lake), source=str(path), text=text)


def check(given: Mapping[str, Any], lake: Path, source: str, text: str = "") -> Study:
    """`validate` for a study that was read already; `source` is what the message calls it."""
    from soilhouse.study_check import problems_with_lake

    study, problems = parse(given)
    # Also a study with a wrong key has products to look up: everything is said at once, so nobody mends a file in five rounds.
    more, notes = problems_with_lake(with_defaults(given), lake)
    problems += [p for p in more if p.path not in {q.path for q in problems}]
    if problems:
        raise StudyError(source, problems, text)
    study._notes.extend(notes)
    return study


class _UniqueKeys(yaml.SafeLoader):
    """YAML in which a key that comes twice is an error: of two `series:` dbt takes the second without a word."""

    def construct_mapping(self, node, deep=False):
        seen = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key `{key.value}` comes twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def read_study_file(path: Path) -> tuple[str, dict[str, Any]]:
    """The text of a study file and its `study`. Raises StudyError when it is not YAML of that form."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        beside = [p.name for p in path.parent.glob("*.yml")] if path.parent.is_dir() else []
        found = f" {suggestion(path.name, beside)}" if beside else ""
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise StudyError(str(path), [Problem("", f"cannot be read: {reason}.{found}")]) from None
    try:
        content = yaml.load(text, _UniqueKeys)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise StudyError(str(path), [Problem("", f"{where}{getattr(error, 'problem', error)}")]) from None
    if not isinstance(content, dict) or not isinstance(content.get("study"), dict):
        raise StudyError(
            str(path), [Problem("", "has no mapping `study:` at its top; everything else is indented below it")]
        )
    others = [k for k in content if k != "study"]
    if others:
        problem = Problem(
            str(others[0]),
            f"is outside `study:`. {suggestion(others[0], Study.model_fields)} Indent it below `study:`.",
        )
        raise StudyError(str(path), [problem], text)
    return text, content["study"]


def parse(given: Mapping[str, Any]) -> tuple[Study | None, list[Problem]]:
    """The study with its defaults, or None and every problem that shows without a lake."""
    empty = [
        Problem(_path(loc), "has no value; write one, or leave the key out to take the default")
        for loc, value in _leaves(given, ("study",))
        if value is None
    ]
    study, problems = None, []
    try:
        study = Study.model_validate(with_defaults(given))
    except ValidationError as error:
        problems = [_in_plain_words(e) for e in error.errors()]
    problems += _across(with_defaults(given))
    told = {p.path for p in empty}
    problems = empty + [p for p in problems if p.path not in told]
    return (study if not problems else None), problems


def _across(study: Mapping[str, Any]) -> Iterator[Problem]:
    """What one key cannot say about itself: names from seeds and from the time zone database, and entries that come twice."""
    from soilhouse.seeds import papers, seasons

    zone = study.get("time_zone")
    if isinstance(zone, str) and zone not in zoneinfo.available_timezones():
        yield Problem(
            "study.time_zone", f"{zone!r} is not a time zone. {suggestion(zone, zoneinfo.available_timezones())}"
        )

    paper = study.get("paper")
    if isinstance(paper, str) and paper not in papers():
        yield Problem(
            "study.paper", f"{paper!r} is not a paper of seeds/published_values.csv. {suggestion(paper, papers())}"
        )

    rules = [r for r in _list(study.get("season_rules")) if isinstance(r, dict)]
    for i, rule in enumerate(_list(study.get("season_rules"))):
        if isinstance(rule, dict) and rule.get("season") in seasons():
            yield Problem(
                f"study.season_rules[{i}].season",
                f"{rule['season']!r} is a season of seeds/season_calendars.csv already: give the rule a name of its own",
            )
    known_seasons = [*seasons(), *(r["season"] for r in rules if isinstance(r.get("season"), str))]
    for key, possible in (
        ("trends", known_seasons),
        ("drivers", seasons()),
        ("correlations", seasons()),
        ("validation", seasons()),
    ):
        part = study.get(key)
        for i, season in enumerate(_list(part.get("seasons") if isinstance(part, dict) else None)):
            if isinstance(season, str) and season not in possible:
                yield Problem(
                    f"study.{key}.seasons[{i}]",
                    f"{season!r} is not a season of seeds/season_calendars.csv. {suggestion(season, possible)}",
                )

    series = [s for s in _list(study.get("series")) if isinstance(s, dict)]
    analysed = {s["variable"] for s in series if isinstance(s.get("variable"), str)}
    for i, entry in enumerate(_list(study.get("series"))):
        if not isinstance(entry, dict) or entry.get("variable") != "soil_moisture" or entry.get("column") is None:
            continue
        unit = entry.get("unit")
        if isinstance(unit, str) and unit != SOIL_MOISTURE_UNIT:
            yield Problem(
                f"study.series[{i}].unit",
                f"{unit!r}: soil moisture is kept in {SOIL_MOISTURE_UNIT}, and this is the unit after `scale`,"
                f" which turns percent of volume into {SOIL_MOISTURE_UNIT} with 0.01",
            )
    trends = study.get("trends")
    epsilon = trends.get("epsilon") if isinstance(trends, dict) else None
    for variable in epsilon if isinstance(epsilon, dict) else ():
        if variable not in analysed:
            yield Problem(
                f"study.trends.epsilon.{variable}",
                f"is not a variable of the study's series. {suggestion(variable, analysed)}",
            )

    yield from _preparation(study, series)
    yield from _references(study, series)
    yield from validation_problems(study)
    yield from _twice(
        "study.series", [(s.get("variable"), s.get("product"), s.get("layer", "surface")) for s in series]
    )
    named = [(s.get("variable"), s.get("product"), s.get("layer", "surface")) for s in series]
    composites = [
        (c.get("variable"), c.get("product"), c.get("layer"))
        for c in _list(study.get("composites"))
        if isinstance(c, dict)
    ]
    yield from _twice("study.composites", composites)
    for i, entry in enumerate(composites):
        if entry in named:
            yield Problem(
                f"study.composites[{i}]",
                f"is a series already: study.series[{named.index(entry)}]; a series of the study has one source",
            )
    yield from _twice("study.grids", [g.get("name") for g in _list(study.get("grids")) if isinstance(g, dict)])
    for key in ("groups", "stations"):
        yield from _twice(f"study.{key}", _list(study.get(key)))
    for key, name in (("factors", "factor"), ("zones", "factor"), ("season_rules", "season")):
        yield from _twice(f"study.{key}", [e.get(name) for e in _list(study.get(key)) if isinstance(e, dict)])


def _preparation(study: Mapping[str, Any], series: list[dict]) -> Iterator[Problem]:
    """What preparation takes from elsewhere: grids, schemes, the series that knows the frost, the day's own products; and what a mode forbids."""
    from soilhouse.seeds import land_cover_schemes

    grids = {*GRIDS, *(g.get("name") for g in _list(study.get("grids")) if isinstance(g, dict))}
    held = {(s.get("variable"), s.get("product"), s.get("layer", "surface")) for s in series}
    products = {s.get("product") for s in series}
    for i, entry in enumerate(_list(study.get("series"))):
        if not isinstance(entry, dict):
            continue
        prepare = entry.get("prepare")
        grid = prepare.get("grid") if isinstance(prepare, dict) else None
        # A grid that only the lake knows is looked up there.
        if isinstance(grid, str) and NAME.fullmatch(grid) is None:
            yield Problem(f"study.series[{i}].prepare.grid", f"{grid!r} is not a grid. {suggestion(grid, grids)}")
        for j, member in enumerate(_list(entry.get("mean_of"))):
            other = member.split(".")[0] if isinstance(member, str) and "." in member else None
            if other is not None and other not in products:
                yield Problem(
                    f"study.series[{i}].mean_of[{j}]",
                    f"{other} is not a product of the study's series: name what it delivers in `series` too",
                )
    schemes = land_cover_schemes()
    for i, entry in enumerate(_list(study.get("factors"))):
        if not isinstance(entry, dict):
            continue
        scheme = entry.get("scheme")
        if isinstance(scheme, str) and scheme not in schemes:
            yield Problem(
                f"study.factors[{i}].scheme",
                f"{scheme!r} is not a scheme of seeds/land_cover_schemes.csv. {suggestion(scheme, schemes)}",
            )
        in_degrees = entry.get("column") == "aspect" and entry.get("as") is None
        if in_degrees and study.get("mode") != "paper":
            yield Problem(
                f"study.factors[{i}]",
                "is an aspect: degrees go round, so 359 and 1 are neighbours. Give `as: octant` with `kind: categorical` (detectors),"
                " or `as: northness` and `as: eastness` (models). Degrees as they are need `mode: paper`",
            )
    frozen = study["masks"].get("frozen") if isinstance(study.get("masks"), dict) else None
    if isinstance(frozen, dict):
        wanted = (frozen.get("variable"), frozen.get("product"), frozen.get("layer", "surface"))
        if wanted not in held:
            named = " ".join(str(part) for part in wanted)
            yield Problem("study.masks.frozen", f"{named} is not one of the study's series: add it to `series`")


def _references(study: Mapping[str, Any], series: list[dict]) -> Iterator[Problem]:
    """Names that one part of the study takes from another: series, their variables, factors."""
    held = {(s.get("variable"), s.get("product"), s.get("layer", "surface")) for s in series}
    composites = [c for c in _list(study.get("composites")) if isinstance(c, dict)]
    for i, entry in enumerate(composites):
        for j, layer in enumerate(_list(entry.get("of"))):
            if (entry.get("variable"), entry.get("product"), layer) not in held:
                yield Problem(
                    f"study.composites[{i}].of[{j}]",
                    f"{layer!r} of {entry.get('variable')} in {entry.get('product')} is not one of the study's series: add it to `series`",
                )
        members = [
            s
            for s in series
            if (s.get("variable"), s.get("product")) == (entry.get("variable"), entry.get("product"))
            and s.get("layer") in _list(entry.get("of"))
        ]
        for key in ("unit", "monthly_statistic"):
            if len({str(s.get(key)) for s in members}) > 1:
                yield Problem(
                    f"study.composites[{i}].of", f"its series differ in `{key}`: a mean of them means nothing"
                )
    held |= {(c.get("variable"), c.get("product"), c.get("layer")) for c in composites}
    for key in ("factors", "season_rules"):
        for i, entry in enumerate(_list(study.get(key))):
            if not isinstance(entry, dict) or entry.get("variable") is None:
                continue
            wanted = (entry.get("variable"), entry.get("product"), entry.get("layer", "surface"))
            if wanted not in held:
                named = " ".join(str(part) for part in wanted)
                yield Problem(f"study.{key}[{i}]", f"{named} is not one of the study's series: add it to `series`")

    variables = {v for v, _, _ in held if isinstance(v, str)}
    factors = {
        f["factor"]: f for f in _list(study.get("factors")) if isinstance(f, dict) and isinstance(f.get("factor"), str)
    }
    for key, names, possible in (
        ("variograms", "variables", variables),
        ("drivers", "factors", factors),
        ("correlations", "factors", factors),
    ):
        part = study.get(key)
        for i, name in enumerate(_list(part.get(names) if isinstance(part, dict) else None)):
            if isinstance(name, str) and name not in possible:
                what = "a variable of the study's series" if names == "variables" else "a factor of the study"
                yield Problem(f"study.{key}.{names}[{i}]", f"{name!r} is not {what}. {suggestion(name, possible)}")
    for i, entry in enumerate(_list(study.get("zones"))):
        name = entry.get("factor") if isinstance(entry, dict) else None
        if not isinstance(name, str):
            continue
        if name not in factors:
            yield Problem(
                f"study.zones[{i}].factor", f"{name!r} is not a factor of the study. {suggestion(name, factors)}"
            )
        elif factors[name].get("variable") is not None:
            yield Problem(f"study.zones[{i}].factor", f"{name} changes in time: zones are of a factor without dates")
    yield from downscaling_problems(study)


def _twice(path: str, entries: list[Any]) -> Iterator[Problem]:
    for i, entry in enumerate(entries):
        if entry in entries[:i]:
            yield Problem(f"{path}[{i}]", f"says the same as {path}[{entries.index(entry)}]")


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _leaves(value: Any, loc: tuple) -> Iterator[tuple[tuple, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, (*loc, key))
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from _leaves(inner, (*loc, i))
    else:
        yield loc, value


def _path(loc: tuple) -> str:
    """('study', 'series', 2, 'product') as `study.series[2].product`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc).lstrip(".")


def _in_plain_words(error: Mapping[str, Any]) -> Problem:
    """One of pydantic's errors as a problem with the path in the file, the value and the nearest known names."""
    loc, kind, value, context = error["loc"], error["type"], error["input"], error.get("ctx", {})
    path = _path(("study", *_as_written(loc)))
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        named = value.get("framework") if isinstance(value, dict) else value
        said = f"{named!r} is not one of them" if named is not None else "is missing"
        return Problem(f"{path}.framework", f"{said}. {suggestion(str(named), FRAMEWORKS)}")
    if kind == "extra_forbidden":
        known = _keys_at(loc[:-1])
        return Problem(path, f"is not a key here. {suggestion(loc[-1], known)}")
    if kind == "missing":
        return Problem(path, "is missing")
    if kind == "literal_error":
        known = re.findall(r"'([^']*)'", context["expected"])
        return Problem(path, f"{value!r} is not one of them. {suggestion(value, known)} Possible: {', '.join(known)}.")
    if kind == "value_error":
        reason = str(context["error"])
        return Problem(path, reason if isinstance(value, dict) else f"{_shown(value)}: {reason}")
    wanted = {
        "string_type": "text",
        "int_type": "a whole number",
        "float_type": "a number",
        "bool_type": "true or false",
        "list_type": "a list, in [brackets] or a line with `-` each",
        "dict_type": "a mapping of keys and values",
        "model_type": "a mapping of keys and values",
        "model_attributes_type": "a mapping of keys and values",
        "date_type": "a date such as 2011-01-01",
    }.get(kind)
    if wanted:
        quoted = (
            " (without quotes)" if isinstance(value, str) and kind in ("int_type", "float_type", "bool_type") else ""
        )
        return Problem(path, f"{_shown(value)} is not {wanted}{quoted}")
    if kind in ("too_short", "too_long"):
        return Problem(path, f"has {context['actual_length']} entries; {_count(kind, context)}")
    return Problem(path, f"{_shown(value)}: {error['msg'].replace('Input should', 'must')}")


def _as_written(loc: tuple) -> tuple:
    """A place in the file without what pydantic puts into it: the name of the framework that an entry was read as."""
    return tuple(step for i, step in enumerate(loc) if not (step in FRAMEWORKS and i and isinstance(loc[i - 1], int)))


def _shown(value: Any) -> str:
    return str(value) if isinstance(value, date) else repr(value)


def _count(kind: str, context: Mapping[str, Any]) -> str:
    return (
        f"at least {context['min_length']} must be given"
        if kind == "too_short"
        else f"at most {context['max_length']} are read"
    )


def _keys_at(loc: tuple) -> list[str]:
    """The keys that the schema knows at a place of the file."""
    part: Any = Study
    for step in loc:
        if isinstance(step, str) and isinstance(part, type) and issubclass(part, BaseModel):
            part = part.model_fields[step].annotation if step in part.model_fields else None
        elif isinstance(step, int):
            part = get_args(part)[0]
        if step in FRAMEWORKS:
            part = FRAMEWORKS[step]
        while get_origin(part) in (Annotated, UnionType):
            part = get_args(part)[0]
    return list(part.model_fields) if isinstance(part, type) and issubclass(part, BaseModel) else []
