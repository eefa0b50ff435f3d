"""CF conventions as far as maps need them: which variable lies on which axes, where its cells are, in which projection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import netCDF4
import numpy as np
import pyproj

from loaders.granule import BadFile
from loaders.grids import LONLAT_CRS

if TYPE_CHECKING:
    from loaders.products import Options

_X_NAMES = ("lon", "longitude", "x")
_Y_NAMES = ("lat", "latitude", "y")
TIME_NAMES = ("time", "valid_time")
EXPVER = "expver"


def all_variables(dataset: netCDF4.Dataset | netCDF4.Group, prefix: str = "") -> dict[str, netCDF4.Variable]:
    """Every variable by name, those in groups by path."""
    found = {prefix + name: variable for name, variable in dataset.variables.items()}
    for name, group in dataset.groups.items():
        found |= all_variables(group, f"{prefix}{name}/")
    return found


def packing_of(lies: netCDF4.Variable) -> tuple[float, float] | None:
    """(scale, offset) of integers that are packed by factors of the file's own; None when there is nothing to do."""
    if np.dtype(lies.dtype).kind not in "iu":
        return None
    scale, offset = float(getattr(lies, "scale_factor", 1)), float(getattr(lies, "add_offset", 0))
    return None if (scale, offset) == (1, 0) else (scale, offset)


@dataclass(frozen=True)
class Axes:
    """Which dimension of a variable runs where; `extra` have length 1, or are the two versions of old ERA5 files."""

    x: str
    y: str
    time: str | None
    extra: tuple[str, ...]


def coordinate_of(lies: netCDF4.Variable, dimension: str) -> netCDF4.Variable | None:
    """The coordinate variable of a dimension, in the variable's group or one above."""
    group = lies.group()
    while group is not None:
        found = group.variables.get(dimension)
        if found is not None:
            return found if found.dimensions == (dimension,) else None
        group = group.parent
    return None


def variable_above(lies: netCDF4.Variable, name: str) -> netCDF4.Variable | None:
    """A variable of that name in the group of `lies` or the nearest one above: SMAP keeps projection and time at the root."""
    group = lies.group()
    while group is not None:
        if name in group.variables:
            return group.variables[name]
        group = group.parent
    return None


def is_bare(lies: netCDF4.Variable) -> bool:
    """True when none of its dimensions has coordinates: the array alone does not say where it lies."""
    return all(coordinate_of(lies, dimension) is None for dimension in lies.dimensions)


def bare_axes_of(lies: netCDF4.Variable, name: str) -> Axes:
    """The axes of an array without coordinates: its two dimensions longer than 1, rows first.

    Raises BadFile when it has not two.
    """
    longer = [d for d, n in zip(lies.dimensions, lies.shape, strict=True) if n != 1]
    if len(longer) != 2:
        raise BadFile(f"{name} is no map: its shape is {' x '.join(map(str, lies.shape)) or 'a single value'}")
    return Axes(longer[1], longer[0], None, tuple(d for d in lies.dimensions if d not in longer))


def _role(dimension: str, coordinate: netCDF4.Variable | None) -> str:
    """x, y, time or other: by CF attributes, else by name."""
    if coordinate is not None:
        units = str(getattr(coordinate, "units", "")).strip().lower()
        standard = str(getattr(coordinate, "standard_name", ""))
        axis = str(getattr(coordinate, "axis", "")).upper()
        if units.startswith(("degrees_e", "degree_e")) or standard in ("longitude", "projection_x_coordinate"):
            return "x"
        if units.startswith(("degrees_n", "degree_n")) or standard in ("latitude", "projection_y_coordinate"):
            return "y"
        if " since " in f" {units} " or axis == "T":
            return "time"
        if axis in ("X", "Y"):
            return axis.lower()
    name = dimension.lower()
    for role, names in (("x", _X_NAMES), ("y", _Y_NAMES), ("time", TIME_NAMES)):
        if name in names:
            return role
    return "other"


def axes_of(lies: netCDF4.Variable, name: str, time_name: str | None = None, level: int | None = None) -> Axes:
    """The axes of a variable. Raises BadFile when it is no map, or has a dimension that is neither place nor time.

    With a `level` (from 1) one such dimension may be there, and has that many levels at least.
    """
    roles: dict[str, list[str]] = {"x": [], "y": [], "time": [], "other": []}
    for dimension in lies.dimensions:
        role = "time" if dimension == time_name else _role(dimension, coordinate_of(lies, dimension))
        roles[role].append(dimension)
    if len(roles["x"]) != 1 or len(roles["y"]) != 1:
        if any(v.ndim == 2 and _role(n, v) in "xy" for n, v in lies.group().variables.items()):
            raise BadFile(
                "its latitudes and longitudes are two-dimensional (a swath or curvilinear grid): regrid it first"
            )
        raise BadFile(f"{name} is no map: its dimensions are {', '.join(lies.dimensions) or 'none'}")
    size = dict(zip(lies.dimensions, lies.shape, strict=True))
    times = sorted(roles["time"], key=lambda d: size[d])
    extra = [*roles["other"], *times[:-1]]
    longer = [d for d in extra if size[d] != 1 and not (d == EXPVER and size[d] == 2)]
    if level is not None and len(longer) == 1:
        if level > size[longer[0]]:
            raise BadFile(f"{name} has {size[longer[0]]} levels along {longer[0]}, not {level}")
        longer = []
    for dimension in longer:
        raise BadFile(
            f"{name} has the dimension {dimension} of length {size[dimension]}, which is neither place nor time: "
            "say which `level` in the mapping, or write one file for each"
        )
    return Axes(roles["x"][0], roles["y"][0], times[-1] if times else None, tuple(extra))


def maps_of(dataset: netCDF4.Dataset) -> dict[str, netCDF4.Variable]:
    """The numeric variables that lie on both spatial axes, by name or path."""
    found = {}
    for name, lies in all_variables(dataset).items():
        if lies.dtype is str or np.dtype(lies.dtype).kind not in "iuf" or lies.ndim < 2:
            continue
        roles = [_role(d, coordinate_of(lies, d)) for d in lies.dimensions]
        if "x" in roles and "y" in roles:
            found[name] = lies
    return found


def centres_of(lies: netCDF4.Variable, dimension: str, what: str) -> tuple[np.ndarray, str]:
    """Cell centres along a spatial dimension as float64, and their units."""
    coordinate = coordinate_of(lies, dimension)
    if coordinate is None:
        raise BadFile(f"has no {what} coordinates (a variable {dimension} along the dimension {dimension})")
    values = np.asarray(coordinate[:], np.float64)
    packing = packing_of(coordinate)
    if packing is not None:
        values = values * packing[0] + packing[1]
    return values, str(getattr(coordinate, "units", "")).strip().lower()


def crs_of(lies: netCDF4.Variable, axes: Axes, units: str, options: Options) -> str:
    """The CRS of a variable: its grid mapping, else degrees by its axes, else what the product's options say."""
    mapping = getattr(lies, "grid_mapping", None)
    if mapping is not None:
        described = variable_above(lies, str(mapping).split(":")[0].strip())
        if described is not None and described.ncattrs():
            return _crs_of_mapping({k: described.getncattr(k) for k in described.ncattrs()})
    if options.crs is not None:
        return options.crs
    is_degrees = units.startswith("degree") or axes.x.lower() in ("lon", "longitude")
    if is_degrees and not units.startswith(("m", "km")):
        return LONLAT_CRS
    raise BadFile(
        f"carries no projection: its axes {axes.x} and {axes.y} are not degrees (units {units!r}) and no grid mapping "
        "says what they are; give crs in the mapping if you know it"
    )


def _crs_of_mapping(attributes: Mapping[str, Any]) -> str:
    plain = {k: v.decode() if isinstance(v, bytes) else v for k, v in attributes.items()}
    try:
        for key in ("crs_wkt", "spatial_ref"):
            if plain.get(key):
                return pyproj.CRS.from_wkt(str(plain[key])).to_wkt()
        if plain.get("grid_mapping_name") == "latitude_longitude":
            return LONLAT_CRS
        return pyproj.CRS.from_cf(plain).to_wkt()
    except (pyproj.exceptions.CRSError, KeyError, ValueError) as error:
        raise BadFile(f"its grid mapping ({plain.get('grid_mapping_name', 'no name')}) is not understood") from error
