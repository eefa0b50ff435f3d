"""Every real file at hand, one table: what it is loaded as, or why it is not. A file that no line of the table speaks of fails the test.

That all values are right is tested product by product (test_real_products_*.py, test_readers_*.py); here a sample of the pixels of every map
and point file is looked up by libraries and arithmetic that the readers do not share.
"""

from __future__ import annotations

import fnmatch
import zipfile
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import polars as pl
import pytest
import rasterio

from loaders.grids import GRIDS
from loaders.lake import Lake
from loaders.load import FileReport, LoadReport, load
from loaders.paths import can_mean
from loaders.products import ProductError, complete, find_product
from tests.conftest import count_cases
from tests.loaders.test_real_products_surface import APPEEARS, BFAST, MODISTSP, SITS

AS_A_TABLE_IT_LACKS = "has no column 'lon'"
R_DATA = "none of the files is a GeoTIFF or a NetCDF"
OUTAGE = "nothing was observed (an outage)"
NOT_ITS_NAME = "its name is not that of"
GAUGES = {"columns": {"station_id": "Code", "name": "NOM_COM"}}
RAIN = {"columns": {"date": "Unnamed: 0"}, "stations": "precipitation_mm", "start": "1983-01-01"}


@dataclass(frozen=True)
class Line:
    """Files, what they are loaded as, and the reasons for which some are refused ({part of a name: part of the reason})."""

    files: str
    product: str
    name: str | None = None
    grid: str | None = None
    mapping: dict[str, Any] | None = None
    refused: dict[str, str] = field(default_factory=dict)
    n_refused: int | None = None  # of several files: how many
    is_loaded_elsewhere: bool = False  # large maps: only their headers here, test_real_products_surface.py loads them

    @property
    def called(self) -> str:
        return self.name or self.product


ALL = "*"
TABLE = [
    # satellites and reanalyses
    Line("chirps_java_monthly/*.tif", "chirps_monthly"),
    Line("imerg/*.nc", "raster", "imerg_java", "latlon_0p1"),
    Line("esa_cci_daily/*.nc", "esa_cci_combined"),
    Line("era5_land/era5-land-monthly-*.nc", "era5_land_monthly"),
    Line("era5_land/era5-land-daily-*.nc", "era5_land_daily"),
    Line("era5_netcdf_legacy/*.nc", "raster", "era5_2010", "era5_0p25"),
    Line("era5_timeseries/pakistan/*.nc", "era5_hourly"),
    Line("era5_timeseries/australia/*.nc", "era5_hourly", refused={"ERA5_": "the same place and time as rows of"}, n_refused=3),
    Line("era5_grib/*.grib", "raster", "era5_grib"),
    Line("gldas/*.nc4", "gldas_noah_3h"),
    Line("smap_l2_h5/*.h5", "spl2smp"),
    Line("smap_l3_h5/*.nc4", "spl3smp_am", refused={ALL: NOT_ITS_NAME}),
    Line("smap_l4_h5/*list_input.h5", "spl4smau", refused={ALL: "its coordinates are in degrees, those of grid ease2_m09 in metres"}),
    Line("smap_l4_h5/*aup_input.h5", "spl4smau"),
    Line("smap_l3_timeseries/pakistan/*.nc", "spl3smp_points", refused={"SMAP_": OUTAGE}, n_refused=7),
    Line("smap_l3_timeseries/australia/*.nc", "spl3smp_points", refused={"SMAP_": OUTAGE}, n_refused=5),
    Line("smap_l3_timeseries/thailand/*.nc", "spl3smp_points"),
    Line("smap_l3_timeseries/pakistan_9km/*.nc", "spl3smp_e_points"),
    # the land surface
    Line("modis_hdf4/h18v09/MOD13A2.*.hdf", "mod13a2"),
    Line("modis_hdf4/MOD13A2.*.hdf", "mod13a2", refused={ALL: "its cells lie 0.18 of a cell beside those of grid modis_sin_1km"}),
    Line("modis_hdf4/MOD09A1.*.hdf.zip", "mod09a1"),
    Line("modis_hdf4/MOD11B2.*.hdf.zip", "mod11b2"),
    Line("modis_other/MODIS_ARRAY.nc", "raster", "array", refused={ALL: "carries no projection"}),
    Line("modis_other/*.rda", "raster", "arcachon", refused={ALL: R_DATA}),
    Line("modis_geotiff_ts/modisraster.tif", "raster", "bfast", mapping=BFAST, is_loaded_elsewhere=True),
    Line("modis_geotiff_ts/NDVI.zip", "raster", "modistsp", mapping=MODISTSP, refused={ALL: "is a zip archive of 23 GeoTIFFs: unpack it first"}),
    Line("modis_geotiff_ts/sits_mod13q1/*.jp2", "raster", "sits", mapping=SITS),
    Line("appeears/raster/*.tif", "raster", "greenup", mapping=APPEEARS),
    Line("sentinel1_vv/*___A_*.tif", "sentinel1_ascending"),
    Line("sentinel1_vv/*___D_*.tif", "sentinel1_descending"),
    Line("land_cover_global/IGBP.nc", "land_cover_0p1", is_loaded_elsewhere=True),
    Line("land_cover_global/PFT.nc", "land_cover_0p1", is_loaded_elsewhere=True),
    Line("land_cover_global/Climate_zone.nc", "climate_zone_0p1", is_loaded_elsewhere=True),
    Line("hwsd/d1_sand.tif", "hwsd"),
    Line("hwsd/t_sand.tif", "hwsd_0p05"),
    Line("dem/srtm_hgt/*.hgt", "srtm_3s", is_loaded_elsewhere=True),
    Line("dem/spdatalarge/srtm.tif", "srtm_3s", is_loaded_elsewhere=True),
    Line("dem/spdatalarge/nlcd.tif", "raster", "zion_nlcd", is_loaded_elsewhere=True),
    Line("dem/spdatalarge/dem.tif", "raster", "mongon_dem"),
    Line("dem/spdatalarge/ndvi.tif", "raster", "mongon_ndvi"),
    Line("dem/etopo_hawaii/*.nc", "etopo5"),
    Line("app_gwr/Aspect.tif", "raster", "gwr_aspect"),
    Line("app_gwr/ELEV.tif", "raster", "gwr_elevation"),
    Line("app_gwr/NDVI.tif", "raster", "gwr_ndvi"),
    Line("app_gwr/Silt_Clay.tif", "raster", "gwr_silt_clay"),
    Line("app_gwr/Slope.tif", "raster", "gwr_slope"),
    Line("cookfarm/predictors_2012-03-25.tif", "raster", "cook"),
    Line("rfmerge_valparaiso/ValparaisoDEM5km.tif", "raster", "valparaiso_dem"),
    Line("rfmerge_valparaiso/CHIRPS5km.tif", "raster", "valparaiso_rain", mapping={"dates": "bands", "start": "1983-01-01"}),
    # tables and stations
    Line("conus_table/conus_daily*.csv.gz", "table", "conus_daily", "ease2_m36"),
    Line("conus_table/conus_static.csv", "table", "conus_static", "ease2_m36"),
    Line("conus_smap_daily/*.csv", "table", "conus_matrices", "ease2_m36", refused={ALL: AS_A_TABLE_IT_LACKS}),
    Line("app_gwr/soil_data_gp.csv", "table", "gwr_soil", "latlon_0p1", refused={ALL: AS_A_TABLE_IT_LACKS}),
    Line("rfmerge_valparaiso/ValparaisoPPgis_converted.csv", "stations", "gauges", mapping=GAUGES),
    Line("rfmerge_valparaiso/ValparaisoPPts_converted.csv", "stations", "gauges", mapping=RAIN),
    Line("rfmerge_valparaiso/*.RData", "stations", "gauges_of_r", refused={ALL: "is an R data file"}),
    Line("cookfarm/cookfarm.rda", "raster", "cook_frames", refused={ALL: R_DATA}),
    Line("ismn/oznet_australia/*.stm", "ismn", "oznet"),
    Line("ismn/maqu/REMEDHUS*.stm", "ismn", "remedhus", refused={ALL: "is in none of the layouts of ISMN"}),
    Line("ismn/maqu/MAQU/*.stm", "ismn", "maqu"),
    Line("ismn/maqu/SOILSCAPE/*.stm", "ismn", "soilscape"),
    Line("ismn/package_tests/format_header_values/*.stm", "ismn", "smosmania"),
    Line("ismn/package_tests/format_ceop_sep/*.stm", "ismn", "smosmania_ceop"),
    Line("ismn/package_tests/Data_seperate_files_header*/*.stm", "ismn", "cosmos"),
    Line("ismn/package_tests/Data_seperate_files_header*/*_static_variables.csv", "ismn", "cosmos_words",
         refused={ALL: "describes a station: it is read with the .stm files beside it"}),
    Line("ismn/package_tests/zip_archives/*.zip", "ismn", "archives", refused={".stm": "stands for the same as"}, n_refused=2),
]  # fmt: skip
# What stands beside data: no product reads such a name out of a folder.
BESIDE = ["MANIFEST.csv", "README.md", "appeears/raster/*.csv", "appeears/raster/*.md", "appeears/raster/*.xml",
          "appeears/raster/*.txt", "appeears/raster/*.json"]  # fmt: skip


def matching(root: Path, pattern: str) -> list[Path]:
    return sorted(p for p in root.rglob("*") if p.is_file() and fnmatch.fnmatch(str(p.relative_to(root)), pattern))


def loaded(line: Line, files: list[Path], lake: Lake) -> LoadReport | str:
    """The report, or the reason for which not even a product could be made of the files."""
    product = find_product(line.product)
    try:
        if line.name is not None:
            known = lake.definition_path(line.name)
            again = known.exists() and line.mapping is None
            product = (
                find_product(line.name, lake.root)
                if again
                else complete(product, line.name, line.grid, line.mapping, files)
            )
    except ProductError as error:
        return str(error)
    if line.is_loaded_elsewhere:
        reader = import_module(f"loaders.readers.{product.format}")
        granules = [reader.inspect(path, product, GRIDS.get(product.grid)) for path in files]
        return LoadReport(product.name, lake.root, [FileReport(g.path, "loaded") for g in granules])
    return load(product, files, lake)


@pytest.fixture(scope="module")
def walk(shared: Path, tmp_path_factory) -> tuple[Path, list[tuple[Line, list[Path], LoadReport | str]]]:
    root, folder = shared / "data", tmp_path_factory.mktemp("walk")
    seen: list[tuple[Line, list[Path], LoadReport | str]] = []
    taken: set[Path] = set()
    for line in TABLE:
        files = [f for f in matching(root, line.files) if f not in taken]
        taken |= set(files)
        # a lake a product (all files on one grid; two windows of ERA5 lie on grids of their own): no weights between 30 grids
        area = line.files.split("/")[1] if "timeseries" in line.files else ""
        seen.append((line, files, loaded(line, files, Lake(folder / f"{line.called}{area}"))))
    return root, seen


def test_no_file_is_unaccounted_for(walk) -> None:
    root, seen = walk
    spoken = {f for _, files, _ in seen for f in files} | {f for pattern in BESIDE for f in matching(root, pattern)}
    everything = {p for p in root.rglob("*") if p.is_file()}
    assert sorted(str(p.relative_to(root)) for p in everything - spoken) == []
    assert all(files for _, files, _ in seen), [line.files for line, files, _ in seen if not files]
    for pattern in BESIDE:
        for path in matching(root, pattern):
            assert not can_mean(find_product("raster"), path.name) and not can_mean(find_product("ismn"), path.name)
    count_cases("real files accounted for", len(everything))


def test_each_loads_or_is_refused_for_its_reason(walk) -> None:
    _, seen = walk
    wrong, n_loaded, n_refused = [], 0, 0
    for line, files, report in seen:
        if isinstance(report, str):
            reasons = {f.name: report for f in files}
            good = []
        else:
            reasons = {f.name: f.reason for f in report.files if f.status == "skipped"}
            good = [f.name for f in report.files if f.status != "skipped"]
            assert not report.problems
        n_loaded, n_refused = n_loaded + len(good), n_refused + len(reasons)
        for name, reason in reasons.items():
            expected = [said for part, said in line.refused.items() if part in (ALL, name) or part in name]
            if not any(said in reason for said in expected):
                wrong.append(f"{line.files} {name}: {reason}")
        n_expected = len(files) if ALL in line.refused else line.n_refused or 0
        if len(reasons) != n_expected:
            wrong.append(f"{line.files}: {len(reasons)} refused, {n_expected} expected, {len(good)} loaded")
    assert not wrong, "\n".join(wrong)
    count_cases("real files loaded", n_loaded)
    count_cases("real files refused for their reason", n_refused)


def test_a_sample_of_pixels_is_what_the_file_says(walk) -> None:
    """Maps: values at a pixel's place, by rasterio's own look-up or by the nearest latitude and longitude of a NetCDF."""
    _, seen = walk
    rng = np.random.default_rng(4)
    n_maps = n_values = 0
    for line, files, report in seen:
        if isinstance(report, str) or not report.ok or "timeseries" in line.files or report.grid_id is None:
            continue
        lake = Lake(report.lake)
        product = find_product(line.called, lake.root)
        parts = list(lake.month_files(product.name).values())
        for path in files[:3]:
            if path.suffix in (".tif", ".jp2", ".hgt") and product.time_step == "static":
                n = _look_up_raster(path, product, parts[0], lake.grid(report.grid_id), rng)
            elif path.suffix == ".tif" and product.time_step == "month":
                month = product.parse_name(path.name)["date"]
                n = _look_up_raster(path, product, lake.month_path(product.name, month), lake.grid(report.grid_id), rng)
            elif path.suffix == ".nc" and product.time_step == "static":
                n = _look_up_netcdf(path, product, parts[0], lake.grid(report.grid_id), rng)
            else:
                continue
            n_maps, n_values = n_maps + 1, n_values + n
    assert n_maps > 12
    count_cases("maps whose pixels were looked up", n_maps)
    count_cases("pixels looked up", n_values)


def _sample(rows: pl.DataFrame, rng) -> pl.DataFrame:
    return rows[np.sort(rng.choice(len(rows), min(len(rows), 200), replace=False))]


def _look_up_raster(path: Path, product, month: Path, grid, rng) -> int:
    rows = _sample(pl.read_parquet(month), rng)
    x, y = grid.xy_of(*grid.row_col(rows["pixel_id"].to_numpy()))
    n = 0
    with rasterio.open(path) as truth:
        across, down = ~truth.transform * (x, y)
        if "SRTM" in product.title.upper():
            across, down = np.round(across - 0.5) + 0.5, np.round(down - 0.5) + 0.5
        inside = (across >= 0) & (down >= 0) & (across < truth.width) & (down < truth.height)
        for number, variable in enumerate(product.variables):
            band = variable.band or (1 if truth.count == 1 else number + 1)
            if band > truth.count or (truth.count == 1 and len(product.variables) > 1):
                continue
            wanted = truth.read(band)[down[inside].astype(int), across[inside].astype(int)].astype(float)
            got = rows[variable.name].cast(pl.Float64).fill_null(np.nan).to_numpy()[inside]
            np.testing.assert_array_equal(got, wanted, str(path))
            n += got.size
    return n


def _look_up_netcdf(path: Path, product, month: Path, grid, rng) -> int:
    rows = _sample(pl.read_parquet(month), rng)
    lon, lat = grid.lonlat_of(*grid.row_col(rows["pixel_id"].to_numpy()))
    n = 0
    with netCDF4.Dataset(path) as truth:
        axes = {name.lower()[:3]: np.asarray(v[:], float) for name, v in truth.variables.items() if v.ndim == 1}
        lons, lats = axes.get("lon", axes.get("x")), axes.get("lat", axes.get("y"))
        if lons is None or lats is None:
            return 0
        column = np.abs((lons[None, :] - lon[:, None] + 180) % 360 - 180).argmin(axis=1)
        row = np.abs(lats[None, :] - lat[:, None]).argmin(axis=1)
        for variable in product.variables:
            if variable.source_name in truth.variables:
                held = np.ma.asarray(truth[variable.source_name][:], float)
                fill = variable.fill[0] if variable.fill else np.nan
                wanted = np.ma.filled(held, fill)[row, column]
                got = rows[variable.name].cast(pl.Float64).fill_null(np.nan).to_numpy()
                np.testing.assert_allclose(got, wanted, rtol=1e-6, err_msg=str(path))
                n += got.size
    return n


def test_files_that_need_a_step_load_after_it(walk, shared: Path, tmp_path: Path) -> None:
    """What the reasons advise: unpack the archive, give the projection, take the official name, load beside the grid as a raster."""
    data, lake = shared / "data", Lake(tmp_path / "lake")
    with zipfile.ZipFile(data / "modis_geotiff_ts/NDVI.zip") as packed:
        packed.extractall(tmp_path)
    steps = [
        (Line("", "raster", "modistsp", mapping=MODISTSP), sorted((tmp_path / "NDVI").glob("*.tif"))[:4]),
        (Line("", "raster", "array", mapping={"crs": "+proj=sinu +lon_0=0 +R=6371007.181 +units=m +no_defs"}), [data / "modis_other/MODIS_ARRAY.nc"]),
        (Line("", "raster", "beside"), sorted((data / "modis_hdf4").glob("MOD13A2*.hdf"))),
    ]  # fmt: skip
    for line, files in steps:
        report = loaded(line, files, lake)
        assert files and not isinstance(report, str) and report.ok, report
    official = tmp_path / "SMAP_L4_SM_aup_20200128T030000_Vv4030_001.h5"
    official.symlink_to(data / "smap_l4_h5/SMAP_L4_SM_aup_input.h5")
    assert load(find_product("spl4smau"), [official], lake).ok
    count_cases("real files loaded after a step", sum(len(files) for _, files in steps) + 1)
