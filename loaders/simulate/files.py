"""The simulated basin as files of real formats, written with rasterio, h5py and csv, by none of the warehouse's readers.

soil_moisture_1km/      a GeoTIFF a day, int16 x 10,000, EASE-Grid 2.0 at 1 km
soil_moisture_36km/     SMAP L2 half orbits, HDF5, three in eight days
soil_moisture_field/    a GeoTIFF a month: the planted spatial field alone, int16 x 100,000
soil_moisture_layers/   a GeoTIFF a month, five bands: soil moisture at five depths, int16 x 10,000
ndvi/                   a GeoTIFF every 16 days, int16 x 10,000
land_surface_temperature/  a GeoTIFF a day, bands day and night, uint16 x 0.02 K, 0 under clouds
land_surface_temperature_all_weather/  the same without clouds
soil_moisture_9km/      a GeoTIFF a day, int16 x 10,000, EASE-Grid 2.0 at 9 km
reanalysis/             a GeoTIFF a day, 0.1 degree, float32: soil moisture, skin temperature by day and by night
precipitation/          a CHIRPS GeoTIFF a day, float32 mm, 0.05 degree
elevation/ land_cover/ soil_texture/ terrain_units/   one GeoTIFF each
stations/               stations.csv, observations.csv
regions/                basin.geojson: the basin and its three reaches
mappings/               what `soilhouse load raster --mapping` needs
truth.json              the answers
"""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from rasterio.crs import CRS

from loaders.simulate.basin import DEFAULT_SEED, DEFAULT_START, DEFAULT_STOP, World, build_world
from loaders.simulate.downscaling import (
    MIDDLE_M,
    REANALYSIS_CELL_DEG,
    coarse_moisture,
    days_to_downscale,
    reanalysis,
    terrain_units,
)
from loaders.simulate.geometry import (
    BASIN,
    EPSG,
    FINE_M,
    LEFT_M,
    RAIN_CELL_IN_FILE_DEG,
    REACHES,
    TOP_M,
    rain_window,
    region_ring,
)
from loaders.simulate.layers import LAYERS, layered_moisture
from loaders.simulate.observed import LAYER_CM, Station, radiometer, stations
from loaders.simulate.smap_granule import write_granules
from loaders.simulate.truth import NOTICE, Truth, answers

Progress = Callable[[str, int, int], None]

MISSING_INT16 = -9999
NETWORK = "SIMULATED"
MAPPINGS = Path(__file__).parent / "mappings"
TRUTH_FILE = "truth.json"
_WRITERS = 2  # threads; GDAL lets go of Python's lock while it compresses


def simulate(
    folder: Path | str,
    seed: int = DEFAULT_SEED,
    progress: Progress | None = None,
    start: date = DEFAULT_START,
    stop: date = DEFAULT_STOP,
) -> Truth:
    """Write the simulated basin into `folder`, which must be empty or hold an earlier simulation, and return its truth.

    progress is called as progress(what, done, total), done and total in steps. start and stop are month starts, stop is
    not included. The same arguments give the same bytes. Raises FileExistsError when the folder holds anything else,
    ValueError when the record or the seed cannot be used.
    """
    folder = Path(folder)
    _clear(folder)
    # While it is being written the folder carries the notice alone: an interrupted simulation is still one, and can be repeated.
    (folder / "SIMULATED.txt").write_text(NOTICE + "\n", encoding="utf-8")

    n_steps = 13  # the truth, eleven kinds of files, the answers
    report = progress or (lambda what, done, total: None)
    report("simulating the truth", 0, n_steps)
    world = build_world(seed, start, stop)
    overpasses, network = radiometer(world), stations(world)
    kinds: list[tuple[str, Callable[[], object]]] = [
        ("soil moisture, 1 km", lambda: _write_soil_moisture(folder / "soil_moisture_1km", world)),
        ("soil moisture, 36 km", lambda: write_granules(folder / "soil_moisture_36km", world, overpasses)),
        ("spatial field", lambda: _write_field(folder / "soil_moisture_field", world)),
        ("soil moisture at five depths", lambda: _write_layers(folder / "soil_moisture_layers", world)),
        ("NDVI", lambda: _write_ndvi(folder / "ndvi", world)),
        ("land surface temperature", lambda: _write_lst(folder, world)),
        ("soil moisture, 9 km", lambda: _write_coarse(folder / "soil_moisture_9km", world)),
        ("reanalysis, 0.1 degree", lambda: _write_reanalysis(folder / "reanalysis", world)),
        ("precipitation", lambda: _write_precipitation(folder / "precipitation", world)),
        ("elevation, land cover, soil texture", lambda: _write_static(folder, world)),
        ("stations and regions", lambda: _write_stations_and_regions(folder, network)),
    ]
    for done, (what, write) in enumerate(kinds, start=1):
        report(what, done, n_steps)
        write()
    shutil.copytree(MAPPINGS, folder / "mappings", ignore=lambda _, names: [n for n in names if not n.endswith(".yml")])
    report("the answers", n_steps - 1, n_steps)
    truth = answers(world, overpasses, network)
    truth.write(folder / TRUTH_FILE)
    report("done", n_steps, n_steps)
    return truth


_OURS = {
    *("soil_moisture_1km", "soil_moisture_36km", "soil_moisture_field", "soil_moisture_layers"),
    *(
        "ndvi",
        "land_surface_temperature",
        "land_surface_temperature_all_weather",
        "soil_moisture_9km",
        "reanalysis",
        "terrain_units",
        "precipitation",
        "elevation",
        "land_cover",
        "soil_texture",
        "stations",
        "regions",
        "mappings",
    ),
    *(TRUTH_FILE, "SIMULATED.txt"),
}


def _clear(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    there = {path.name for path in folder.iterdir()}
    if there and ("SIMULATED.txt" not in there or there - _OURS):
        strange = sorted(there - _OURS) or sorted(there)
        raise FileExistsError(
            f"{folder} holds something that is no simulated basin ({', '.join(strange[:3])}): give an empty folder"
        )
    for name in there:
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()


@dataclass(frozen=True)
class _Raster:
    """How one kind of GeoTIFF is written; bands are (name, unit)."""

    dtype: str
    nodata: float
    bands: tuple[tuple[str, str], ...]
    crs_epsg: int
    transform: Affine
    predictor: int

    def write(self, path: Path, bands: np.ndarray, tags: dict[str, str]) -> None:
        """`bands` is (n_bands, rows, columns), already in `dtype`."""
        with rasterio.open(
            path,
            "w",
            driver="GTiff",
            dtype=self.dtype,
            nodata=self.nodata,
            count=len(self.bands),
            height=bands.shape[1],
            width=bands.shape[2],
            crs=CRS.from_epsg(self.crs_epsg),
            transform=self.transform,
            compress="deflate",
            predictor=self.predictor,
        ) as file:
            file.write(bands)
            file.update_tags(SIMULATED=NOTICE, **tags)
            for number, (name, unit) in enumerate(self.bands, start=1):
                file.set_band_description(number, name)
                file.update_tags(number, units=unit)


def _fine_raster(dtype: str, nodata: float, *bands: tuple[str, str]) -> _Raster:
    transform = Affine(FINE_M, 0, LEFT_M, 0, -FINE_M, TOP_M)
    return _Raster(dtype, nodata, bands, EPSG, transform, predictor=2)


def _write_all(raster: _Raster, files: Iterable[tuple[Path, np.ndarray]], tags: dict[str, str] | None = None) -> None:
    """Write (path, (n_bands, rows, columns)) pairs; the order in which they are finished does not matter to the bytes."""
    with ThreadPoolExecutor(_WRITERS) as pool:
        for _ in pool.map(lambda file: raster.write(*file, tags or {}), files):
            pass


def _packed(values: np.ndarray, factor: float, missing: int, dtype: str) -> np.ndarray:
    return np.where(np.isnan(values), missing, np.rint(values * factor)).astype(dtype)


def _compact(day: np.datetime64) -> str:
    return str(day).replace("-", "")


def _write_soil_moisture(folder: Path, world: World) -> None:
    folder.mkdir()
    packed = _packed(world.soil_moisture, 10_000, MISSING_INT16, "int16")
    raster = _fine_raster("int16", MISSING_INT16, ("soil_moisture", "1e-4 m3 m-3"))
    names = (folder / f"soil_moisture_{_compact(day)}.tif" for day in world.days)
    _write_all(raster, zip(names, packed[:, None], strict=True), {"layer": "0-5 cm"})


def _write_field(folder: Path, world: World) -> None:
    folder.mkdir()
    packed = _packed(world.monthly_field, 100_000, MISSING_INT16, "int16")
    raster = _fine_raster("int16", MISSING_INT16, ("soil_moisture_field", "1e-5 m3 m-3"))
    names = (folder / f"soil_moisture_field_{month}.tif" for month in world.months)
    _write_all(raster, zip(names, packed[:, None], strict=True))


def _write_layers(folder: Path, world: World) -> None:
    folder.mkdir()
    packed = _packed(layered_moisture(world), 10_000, MISSING_INT16, "int16")
    raster = _fine_raster("int16", MISSING_INT16, *((f"soil_moisture {layer}", "1e-4 m3 m-3") for layer in LAYERS))
    names = (folder / f"soil_moisture_layers_{month}.tif" for month in world.months)
    _write_all(raster, zip(names, packed, strict=True))


def _write_ndvi(folder: Path, world: World) -> None:
    folder.mkdir()
    packed = _packed(world.ndvi, 10_000, -3000, "int16")
    raster = _fine_raster("int16", -3000, ("ndvi", "1e-4"))
    names = (folder / f"ndvi_{_compact(day)}.tif" for day in world.composite_days)
    _write_all(raster, zip(names, packed[:, None], strict=True), {"composite": "16 days from the date in the name"})


def _write_lst(folder: Path, world: World) -> None:
    raster = _fine_raster("uint16", 0, ("LST_Day_1km", "0.02 K"), ("LST_Night_1km", "0.02 K"))
    asked = days_to_downscale(world)
    for name, days, day_and_night in (
        ("land_surface_temperature", world.days, (world.lst_day_k, world.lst_night_k)),
        (
            "land_surface_temperature_all_weather",
            world.days[asked],
            (world.lst_all_weather_day_k[asked], world.lst_all_weather_night_k[asked]),
        ),
    ):
        (folder / name).mkdir()
        packed = np.stack([_packed(lst, 50, 0, "uint16") for lst in day_and_night], axis=1)
        # A day without one clear pixel has no file, as a processor that found nothing to composite writes none.
        is_seen = packed.any(axis=(1, 2, 3))
        names = (folder / name / f"lst_{_compact(day)}.tif" for day in days[is_seen])
        _write_all(raster, zip(names, packed[is_seen], strict=True))


def _write_coarse(folder: Path, world: World) -> None:
    folder.mkdir()
    packed = _packed(coarse_moisture(world), 10_000, MISSING_INT16, "int16")
    transform = Affine(MIDDLE_M, 0, LEFT_M, 0, -MIDDLE_M, TOP_M)
    raster = _Raster("int16", MISSING_INT16, (("soil_moisture", "1e-4 m3 m-3"),), EPSG, transform, predictor=2)
    days = world.days[days_to_downscale(world)]
    names = (folder / f"soil_moisture_{_compact(day)}.tif" for day in days)
    _write_all(raster, zip(names, packed[:, None], strict=True), {"layer": "0-5 cm"})


def _write_reanalysis(folder: Path, world: World) -> None:
    folder.mkdir()
    made = reanalysis(world)
    bands = np.stack([made.soil_moisture, made.skin_day_k, made.skin_night_k], axis=1)
    bands = np.where(np.isnan(bands), MISSING_INT16, bands).astype("float32")
    transform = Affine(REANALYSIS_CELL_DEG, 0, made.left_deg, 0, -REANALYSIS_CELL_DEG, made.top_deg)
    named = (("soil_moisture", "m3 m-3"), ("skin_temperature_day", "K"), ("skin_temperature_night", "K"))
    raster = _Raster("float32", MISSING_INT16, named, 4326, transform, predictor=3)
    names = (folder / f"reanalysis_{_compact(day)}.tif" for day in world.days[days_to_downscale(world)])
    _write_all(raster, zip(names, bands, strict=True), {"layer": "0-7 cm"})


def _write_precipitation(folder: Path, world: World) -> None:
    folder.mkdir()
    window = rain_window()
    # The real files round the cell size to float32, and so do these.
    transform = Affine(RAIN_CELL_IN_FILE_DEG, 0, window.left_deg, 0, -RAIN_CELL_IN_FILE_DEG, window.top_deg)
    raster = _Raster("float32", -9999.0, (("precipitation", "mm"),), 4326, transform, predictor=3)
    names = (folder / f"chirps-v2.0.{str(day).replace('-', '.')}.tif" for day in world.days)
    _write_all(raster, zip(names, world.rain_mm[:, None], strict=True))


def _write_static(folder: Path, world: World) -> None:
    land_cover = world.land_cover[None]
    texture = np.stack([_packed(t, 10, -32768, "int16") for t in (world.sand_percent, world.clay_percent)])
    elevation = _packed(world.elevation_m, 1, -32768, "int16")[None]
    for name, raster, bands in (
        ("elevation", _fine_raster("int16", -32768, ("elevation", "m")), elevation),
        ("land_cover", _fine_raster("uint8", 255, ("land_cover", "IGBP class")), land_cover),
        ("soil_texture", _fine_raster("int16", -32768, ("sand", "g kg-1"), ("clay", "g kg-1")), texture),
        ("terrain_units", _fine_raster("uint8", 255, ("terrain_unit", "class")), terrain_units(world)[None]),
    ):
        (folder / name).mkdir()
        raster.write(folder / name / f"{name}.tif", bands, {})


def _write_stations_and_regions(folder: Path, network: list[Station]) -> None:
    (folder / "stations").mkdir()
    _write_csv(
        folder / "stations" / "stations.csv",
        ("station_id", "network", "name", "lon", "lat", "elevation_m", "land_cover", "method"),
        (
            (s.station_id, NETWORK, s.name, f"{s.lon:.6f}", f"{s.lat:.6f}", s.elevation_m, s.land_cover, "simulated")
            for s in network
        ),
    )
    _write_csv(
        folder / "stations" / "observations.csv",
        ("station_id", "date", "layer_top_cm", "layer_bottom_cm", "soil_moisture_m3m3", "quality"),
        (
            (s.station_id, day, *LAYER_CM, f"{value:.4f}", quality)
            for s in network
            for day, value, quality in zip(s.days, s.soil_moisture, s.quality, strict=True)
        ),
    )
    (folder / "regions").mkdir()
    features = [
        {
            "type": "Feature",
            "properties": {"region_id": region, "name": f"{region} (SIMULATED)", "level": level, "parent": parent},
            "geometry": {"type": "Polygon", "coordinates": [region_ring(region)]},
        }
        for region, level, parent in ((BASIN, 0, None), *((reach, 1, BASIN) for reach in REACHES))
    ]
    text = json.dumps({"type": "FeatureCollection", "description": NOTICE, "features": features}, indent=1)
    (folder / "regions" / "basin.geojson").write_text(text + "\n", encoding="utf-8")


def _write_csv(path: Path, header: tuple[str, ...], rows: Iterable[tuple]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
