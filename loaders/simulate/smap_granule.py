"""SMAP L2 passive half orbits (SPL2SMP, HDF5) with the structure of the real product, R18: group, names, types, fills.

What is not simulated (brightness temperatures, vegetation, ...) is fill, as it is in a real granule where nothing was
retrieved. `tb_time_seconds` counts SI seconds from J2000 (2000-01-01 12:00 terrestrial time), which is what puts the real
granule's equator crossing where its metadata says; `tb_time_utc` is the right UTC here, while R18's is 68 s late.
Unlike the real one the datasets are stored contiguous, not in compressed chunks: of sixteen cells a chunk index would
be larger than the values. Product: O'Neill et al., SMAP L2 Radiometer Half-Orbit 36 km EASE-Grid
Soil Moisture, doi:10.5067/LPJ8F0TAK6E0.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from pyproj import Transformer

from loaders.simulate.basin import WATER, World
from loaders.simulate.geometry import (
    COARSE_COLUMN,
    COARSE_M,
    COARSE_ROW,
    EPSG,
    GRID_LEFT_M,
    GRID_TOP_M,
    N_COARSE,
    coarse_means,
)
from loaders.simulate.observed import OUTSIDE, PASS_SECONDS_UTC, Overpasses
from loaders.simulate.truth import NOTICE

GROUP = "Soil_Moisture_Retrieval_Data"
RELEASE = "R18290"
MARGIN = 1  # coarse cells around the basin: seen, nothing retrieved
_SIDE = N_COARSE + 2 * MARGIN
_SECONDS_PER_ROW = 5.3
_HALF_ORBIT_STARTS_SECONDS_BEFORE = 14 * 60
_J2000 = np.datetime64("2000-01-01T12:00:00")  # terrestrial time
_TERRESTRIAL_TIME_AHEAD_OF_UTC_SECONDS = 69.184  # since 2017-01-01: 37 leap seconds and 32.184 s
# Orbit 2801 passed at this time; 14.624463 orbits a day.
_KNOWN_ORBIT, _KNOWN_ORBIT_TIME, _ORBITS_PER_DAY = 2801, np.datetime64("2015-08-11T01:30:02"), 14.624463

_COORDINATES = f"/{GROUP}/latitude /{GROUP}/longitude"
_TYPE_FILL = {"f4": -9999.0, "f8": -9999.0, "u2": 65534, "u1": 254}


@dataclass(frozen=True)
class _Dataset:
    dtype: str
    units: str | None = None
    valid: tuple[float, float] | None = None
    n_flags: int = 0
    width: int | None = None
    has_fill: bool = True
    has_coordinates: bool = True


def _numbers(names: str, lowest: float, highest: float, units: str | None = None) -> dict[str, _Dataset]:
    return {name: _Dataset("f4", units, (lowest, highest)) for name in names.split()}


_DATASETS: dict[str, _Dataset] = {
    "EASE_column_index": _Dataset("u2", valid=(0, 963)),
    "EASE_row_index": _Dataset("u2", valid=(0, 405)),
    "grid_surface_status": _Dataset("u2", valid=(0, 1)),
    "landcover_class": _Dataset("u1", width=3, has_coordinates=False),
    "landcover_class_fraction": _Dataset("f4", valid=(0, 1), width=3, has_coordinates=False),
    "latitude": _Dataset("f4", "degrees_north", has_fill=False, has_coordinates=False),
    "longitude": _Dataset("f4", "degrees_east", has_fill=False, has_coordinates=False),
    "tb_time_seconds": _Dataset("f8", "seconds", (-999999.9, 940000000.0)),
    "tb_time_utc": _Dataset("S24", has_fill=False),
    "surface_flag": _Dataset("u2", n_flags=12),
    **{f"retrieval_qual_flag{o}": _Dataset("u2", n_flags=4) for o in ("", "_option1", "_option2", "_option3")},
    **{f"tb_qual_flag_{p}": _Dataset("u2", n_flags=n) for p, n in (("3", 14), ("4", 14), ("h", 16), ("v", 16))},
    **_numbers("boresight_incidence", 0, 90, "degrees"),
    **_numbers("latitude_centroid", -90, 90, "degrees"),
    **_numbers("longitude_centroid", -180, 179.999, "degrees"),
    **_numbers("bulk_density", 0, 2.65),
    **_numbers("organic_content", 0, 1000),
    **_numbers("albedo albedo_option3 clay_fraction sand_fraction freeze_thaw_fraction", 0, 1),
    **_numbers("radar_water_body_fraction static_water_body_fraction", 0, 1),
    **_numbers("surface_water_fraction_mb_h surface_water_fraction_mb_v", 0, 1),
    **_numbers("roughness_coefficient roughness_coefficient_option3", 0, 1),
    **_numbers("soil_moisture soil_moisture_option1 soil_moisture_option2", 0.02, 0.5, "cm**3/cm**3"),
    **_numbers("soil_moisture_option3", 0.02, 0.5, "cm**3/cm**3"),
    **_numbers("soil_moisture_error", 0, 0.2, "cm**3/cm**3"),
    **_numbers("surface_temperature", 0, 350, "Kelvins"),
    **_numbers("tb_3_corrected tb_4_corrected", -50, 50, "Kelvin"),
    **_numbers("tb_h_corrected tb_h_uncorrected tb_v_corrected tb_v_uncorrected", 0, 330, "Kelvin"),
    **_numbers("vegetation_opacity vegetation_opacity_option1 vegetation_opacity_option2", 0, 10),
    **_numbers("vegetation_opacity_option3", 0, 10),
    **_numbers("vegetation_water_content", 0, 20, "kg/m**2"),
}

_FLAG_BITS = {
    "retrieval_qual_flag": (
        "Soil_moisture_retrieval_recommended Soil_moisture_retrieval_attempted "
        "Soil_moisture_retrieval_success FT_retrieval_success"
    ),
    "surface_flag": (
        "36_km_static_water_body 36_km_radar_water_body_detection 36_km_coastal_proximity 36_km_urban_area "
        "36_km_precipitation 36_km_snow_or_ice 36_km_permanent_snow_or_ice 36_km_radiometer_frozen_ground "
        "36_km_model_frozen_ground 36_km_mountainous_terrain 36_km_dense_vegetation 36_km_nadir_region"
    ),
}


def write_granules(folder: Path, world: World, overpasses: Overpasses) -> list[Path]:
    """One file an overpass in `folder`, named as the product's; the paths, in order of time."""
    folder.mkdir(parents=True, exist_ok=True)
    template = _template(world)
    surface_temperature_k = _surface_temperature(world, overpasses.days)
    return [
        _write(folder, template, overpasses, number, float(surface_temperature_k[number]))
        for number in range(len(overpasses.days))
    ]


def _text(text: str) -> np.bytes_:
    return np.bytes_(text.encode("ascii"))


def _cells() -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the cells of a granule: by column, then row, as the product orders them."""
    column, row = np.meshgrid(np.arange(_SIDE), np.arange(_SIDE), indexing="ij")
    return (COARSE_ROW - MARGIN + row).ravel(), (COARSE_COLUMN - MARGIN + column).ravel()


def _is_basin(row: np.ndarray, column: np.ndarray) -> np.ndarray:
    return (
        (row >= COARSE_ROW)
        & (row < COARSE_ROW + N_COARSE)
        & (column >= COARSE_COLUMN)
        & (column < COARSE_COLUMN + N_COARSE)
    )


def _spread(coarse: np.ndarray, background: float, dtype: str) -> np.ndarray:
    """(2, 2) values of the basin's cells as the granule's list of cells, with `background` (or NaN) as fill elsewhere."""
    row, column = _cells()
    values = np.full(row.shape, background, dtype=dtype)
    inside = _is_basin(row, column)
    values[inside] = np.nan_to_num(coarse, nan=background)[row[inside] - COARSE_ROW, column[inside] - COARSE_COLUMN]
    return values


def _template(world: World) -> bytes:
    """The bytes of a granule with everything that does not change from one overpass to the next."""
    row, column = _cells()
    to_lonlat = Transformer.from_crs(EPSG, 4326, always_xy=True)
    lon, lat = to_lonlat.transform(GRID_LEFT_M + (column + 0.5) * COARSE_M, GRID_TOP_M - (row + 0.5) * COARSE_M)
    land = np.where(world.is_water, np.nan, 1.0)
    fixed = {
        "EASE_row_index": row,
        "EASE_column_index": column,
        "latitude": lat,
        "longitude": lon,
        "latitude_centroid": lat,
        "longitude_centroid": lon,
        "boresight_incidence": np.full(row.shape, 40.0),
        "grid_surface_status": np.zeros(row.shape),
        "clay_fraction": _spread(coarse_means(land * world.clay_percent / 100), -9999.0, "f4"),
        "sand_fraction": _spread(coarse_means(land * world.sand_percent / 100), -9999.0, "f4"),
        "static_water_body_fraction": _spread(coarse_means((world.land_cover == WATER).astype(float)), 0.0, "f4"),
        **{f"tb_qual_flag_{p}": np.zeros(row.shape) for p in "34hv"},
    }
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", track_order=False) as file:
        file.attrs["SIMULATED"] = _text(NOTICE)
        group = file.create_group(GROUP)
        for name, dataset in _DATASETS.items():
            _create(group, name, dataset, len(row), fixed.get(name))
        _create_metadata(file)
    return buffer.getvalue()


def _create(group: h5py.Group, name: str, dataset: _Dataset, n: int, values: np.ndarray | None) -> None:
    dtype = np.dtype(dataset.dtype)
    fill = _TYPE_FILL.get(dataset.dtype, b"")
    data = np.full((n,) if dataset.width is None else (n, dataset.width), fill, dtype=dtype)
    if values is not None:
        data[:] = values
    node = group.create_dataset(name, data=data, track_times=False)
    attributes: dict[str, object] = {"long_name": _text(f"SIMULATED {name.replace('_', ' ')}")}
    if dataset.has_fill:
        attributes["_FillValue"] = dtype.type(fill)
    if dataset.has_coordinates:
        attributes["coordinates"] = _text(_COORDINATES)
    if dataset.units is not None:
        attributes["units"] = _text(dataset.units)
    if dataset.valid is not None:
        attributes["valid_min"], attributes["valid_max"] = (dtype.type(v) for v in dataset.valid)
    if dataset.n_flags:
        attributes["flag_masks"] = _text(", ".join(f"{1 << bit}s" for bit in range(dataset.n_flags)))
        known = next((meanings for flag, meanings in _FLAG_BITS.items() if name.startswith(flag)), None)
        attributes["flag_meanings"] = _text(known or " ".join(f"not_simulated_{b}" for b in range(dataset.n_flags)))
    for key in sorted(attributes):
        node.attrs[key] = attributes[key]


_BLANK_NAME = f"SMAP_L2_SM_P_00000_D_00000000T000000_{RELEASE}_001.h5"
_BLANK_TIME = "0000-00-00T00:00:00.000Z"


def _create_metadata(file: h5py.File) -> None:
    """The few entries of the product's long metadata that tell what the granule is."""
    for path, attributes in {
        "Metadata/DatasetIdentification": {
            "SMAPShortName": "L2_SM_P",
            "shortName": "SPL2SMP",
            "CompositeReleaseID": RELEASE,
            "fileName": _BLANK_NAME,
            "abstract": NOTICE,
        },
        "Metadata/Extent": {"rangeBeginningDateTime": _BLANK_TIME, "rangeEndingDateTime": _BLANK_TIME},
        "Metadata/OrbitMeasuredLocation": {"orbitDirection": "Descending", "revNumber": "00000"},
        "Metadata/ProcessStep": {"timeVariableEpoch": "J2000", "algorithmDescription": NOTICE},
    }.items():
        group = file.create_group(path)
        for name, value in attributes.items():
            group.attrs[name] = _text(value)


def _surface_temperature(world: World, days: np.ndarray) -> np.ndarray:
    """(k,) K: the mean of what is clear of the night's map, else of all nights."""
    nights = world.lst_night_k[np.searchsorted(world.days, days)]
    clear = ~np.isnan(nights)
    n = clear.sum(axis=(1, 2))
    mean = np.where(clear, nights, 0).sum(axis=(1, 2), dtype=float) / np.maximum(n, 1)
    return np.where(n > 0, mean, np.nanmean(world.lst_night_k, dtype=float))


def _write(folder: Path, template: bytes, overpasses: Overpasses, number: int, surface_temperature_k: float) -> Path:
    row, column = _cells()
    passed = overpasses.days[number].astype("datetime64[ms]") + np.timedelta64(1000 * PASS_SECONDS_UTC, "ms")
    begins = passed - np.timedelta64(1000 * _HALF_ORBIT_STARTS_SECONDS_BEFORE, "ms")
    times = passed + (1000 * _SECONDS_PER_ROW * (row - COARSE_ROW)).astype("timedelta64[ms]")
    orbit = _KNOWN_ORBIT + int((begins - _KNOWN_ORBIT_TIME) / np.timedelta64(1, "D") * _ORBITS_PER_DAY)
    stamp = str(begins.astype("datetime64[s]")).replace("-", "").replace(":", "")
    path = folder / f"SMAP_L2_SM_P_{orbit:05d}_D_{stamp}_{RELEASE}_001.h5"

    moisture = _spread(overpasses.soil_moisture[number], -9999.0, "f4")
    quality = _spread(overpasses.quality[number], OUTSIDE, "u2")
    temperature = np.where(_is_basin(row, column), surface_temperature_k, -9999.0)
    path.write_bytes(template)
    with h5py.File(path, "r+") as file:
        group = file[GROUP]
        group["soil_moisture"][...] = group["soil_moisture_option3"][...] = moisture
        for option in ("", "_option1", "_option2", "_option3"):
            group[f"retrieval_qual_flag{option}"][...] = quality
        group["surface_flag"][...] = _spread(overpasses.surface[number], 0, "u2")
        group["surface_temperature"][...] = temperature
        group["tb_time_seconds"][...] = (times - _J2000) / np.timedelta64(
            1, "s"
        ) + _TERRESTRIAL_TIME_AHEAD_OF_UTC_SECONDS
        group["tb_time_utc"][...] = np.array([f"{t}Z" for t in times], dtype="S24")
        file["Metadata/DatasetIdentification"].attrs.modify("fileName", _text(path.name))
        extent = file["Metadata/Extent"].attrs
        extent.modify("rangeBeginningDateTime", _text(f"{begins}Z"))
        extent.modify("rangeEndingDateTime", _text(f"{times.max()}Z"))
        file["Metadata/OrbitMeasuredLocation"].attrs.modify("revNumber", _text(f"{orbit:05d}"))
    return path
