"""Files in the structure that providers document, of products of which no real file could be had. Written with h5py and netCDF4
alone: nothing of the readers is used. Every function returns the values that were written, north up, by name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import h5py
import netCDF4
import numpy as np

M36, M09 = (406, 964), (1624, 3856)


def smap_l3(path: Path, shape: tuple[int, int], day_seed: int, window: tuple[slice, slice] | None = None) -> dict:
    """A daily SMAP composite: two groups, the afternoon's with the suffix _pm, no dimension scales, coordinates with holes."""
    random = np.random.default_rng(day_seed)
    rows, columns = np.indices(shape)
    cut = window or (slice(None), slice(None))
    written = {}
    with h5py.File(path, "w") as file:
        for group_name, suffix in (("Soil_Moisture_Retrieval_Data_AM", ""), ("Soil_Moisture_Retrieval_Data_PM", "_pm")):
            seen = random.random(shape) < 0.3
            seen[10, 20] = seen[11, 21] = seen[12, 22] = True
            moisture = np.where(seen, random.uniform(0.03, 0.6, shape), -9999).astype("f4")
            quality = np.where(seen, random.choice([0, 1, 8, 9], shape), 65534).astype("u2")
            surface = np.where(seen, random.choice([0, 4, 32, 256], shape), 65534).astype("u2")
            moisture[10, 20], quality[10, 20], surface[10, 20] = 0.25, 8, 0  # recommended, though a flag is set
            moisture[11, 21], quality[11, 21] = 0.3, 1  # not recommended
            moisture[12, 22], quality[12, 22] = 0.55, 0  # beyond the valid range
            group = file.create_group(group_name)
            for name, values, fill in (
                ("soil_moisture", moisture, np.float32(-9999)),
                ("retrieval_qual_flag", quality, np.uint16(65534)),
                ("surface_flag", surface, np.uint16(65534)),
                ("EASE_row_index", np.where(seen, rows, 65534).astype("u2"), np.uint16(65534)),
                ("EASE_column_index", np.where(seen, columns, 65534).astype("u2"), np.uint16(65534)),
            ):
                dataset = group.create_dataset(name + suffix, data=values[cut], compression="gzip")
                dataset.attrs["_FillValue"] = fill
            group.create_dataset("landcover_class" + suffix, data=np.full((3, 4, 3), 254, "u1"))
            written[suffix] = {"soil_moisture": moisture, "quality": quality, "surface": surface}
    return written


def smap_l4(path: Path, time: float, level: float) -> np.ndarray:
    """A 3-hourly SMAP L4 file as delivered: whole grid, no dimension scales, time in seconds from J2000."""
    moisture = np.full(M09, -9999, "f4")
    moisture[700:702, 1900:1903] = level + np.arange(6, dtype="f4").reshape(2, 3) / 100
    with h5py.File(path, "w") as file:
        group = file.create_group("Geophysical_Data")
        for name, values in (
            ("sm_surface", moisture),
            ("sm_rootzone", np.where(moisture > 0, moisture + np.float32(0.1), moisture)),
            ("surface_temp", np.where(moisture > 0, np.float32(270 + 20 * level), moisture)),
        ):
            group.create_dataset(name, data=values, compression="gzip").attrs["_FillValue"] = np.float32(-9999)
        file["time"] = np.array([time])
        file["time"].attrs["units"] = "seconds since 2000-01-01 11:58:55.816"
    return moisture


def smap_sentinel(path: Path, row: int, column: int) -> np.ndarray:
    """A scene of SMAP/Sentinel-1: two-dimensional arrays with EASE-Grid indices, every name with the suffix of its resolution."""
    random = np.random.default_rng(row)
    rows, columns = np.indices((6, 8))
    seen = random.random((6, 8)) < 0.8
    moisture = np.where(seen, random.uniform(0.03, 0.45, (6, 8)), -9999).astype("f4")
    quality = np.where(seen, random.choice([0, 1], (6, 8)), 65534).astype("u2")
    moisture[0, 0], quality[0, 0], seen[0, 0] = 0.2, 0, True
    with h5py.File(path, "w") as file:
        for resolution in (1, 3):
            group = file.create_group(f"Soil_Moisture_Retrieval_Data_{resolution}km")
            s = f"_{resolution}km"
            top, left = row // resolution, column // resolution
            for name, values, fill in (
                ("soil_moisture", moisture, np.float32(-9999)),
                ("retrieval_qual_flag", quality, np.uint16(65534)),
                ("EASE_row_index", np.where(seen, rows + top, 65534).astype("u2"), np.uint16(65534)),
                ("EASE_column_index", np.where(seen, columns + left, 65534).astype("u2"), np.uint16(65534)),
            ):
                group[name + s] = values
                group[name + s].attrs["_FillValue"] = fill
    return np.where((quality & 1) == 0, moisture, -9999)


def lonlat(
    path: Path,
    variables: dict[str, np.ndarray],
    cell: float,
    north: float,
    west: float,
    *,
    names: tuple[str, str] = ("lat", "lon"),
    days: Sequence[float] | None = None,
    time_units: str = "days since 1970-01-01 00:00:00",
    south_up: bool = False,
    lon_first: bool = False,
    group: str | None = None,
    attributes: dict[str, dict] | None = None,
) -> None:
    """A NetCDF of maps (time, lat, lon) or (lat, lon): `variables` are north up, `north`, `west` the first cell's centre."""
    y_name, x_name = names
    n_y, n_x = next(iter(variables.values())).shape[-2:]
    lat, lon = north - cell * np.arange(n_y), west + cell * np.arange(n_x)
    with netCDF4.Dataset(path, "w") as root:
        data = root.createGroup(group) if group else root
        for name, values, units in (
            (y_name, lat[::-1] if south_up else lat, "degrees_north"),
            (x_name, lon, "degrees_east"),
        ):
            data.createDimension(name, len(values))
            data.createVariable(name, "f8", (name,))[:] = values
            data[name].units = units
        if days is not None:
            data.createDimension("time", len(days))
            data.createVariable("time", "f8", ("time",))[:] = days
            data["time"].units = time_units
        for name, values in variables.items():
            own = dict((attributes or {}).get(name, {}))
            fill = own.pop("_FillValue", None)
            axes = (("time",) if values.ndim == 3 else ()) + ((x_name, y_name) if lon_first else (y_name, x_name))
            written = data.createVariable(name, values.dtype, axes, fill_value=fill)
            written.set_auto_maskandscale(False)
            turned = values[..., ::-1, :] if south_up else values
            written[:] = np.swapaxes(turned, -1, -2) if lon_first else turned
            written.setncatts(own)


def amsr2(path: Path, shape: tuple[int, int], cells: dict[tuple[int, int], int]) -> None:
    """An AMSR2 L3 file of JAXA: no coordinates, columns from longitude 0, codes below 0. `cells` by row and column from 180 W."""
    values = np.full((*shape, 1), -32768, "i2")
    half = shape[1] // 2
    for (row, column), value in cells.items():
        values[row, (column - half) % shape[1], 0] = value
    with h5py.File(path, "w") as file:
        file["Geophysical Data"] = values
        file["Geophysical Data"].attrs["SCALE FACTOR"] = np.array([0.1], "f4")
        file["Geophysical Data"].attrs["UNIT"] = b"%"
        file["Time Information"] = np.full(shape, 810, "i2")
