"""Every real file of the land surface and of the ground at hand: loaded into a lake, its values against rasterio, pyhdf or netCDF4, or refused, with why.

What is compared is the lake's rows, placed by longitude and latitude (or x and y) of their pixels, so that grids, turns, trimmed edges
and fills are all in the comparison.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import netCDF4
import numpy as np
import polars as pl
import pytest
import rasterio

from loaders.lake import Lake
from loaders.load import LoadReport, load
from loaders.products import ProductError, complete, find_product
from tests.conftest import count_cases

# What a user writes to load files that are no product of their own.
APPEEARS = {
    "file_pattern": r"MCD12Q2\.006_(?P<layer>\w+)_doy(?P<date>\d{7})_aid\d+\.tif$",
    "variables": [
        {"name": name, "dataset": name, "dtype": "int16", "fill": 32767, "optional": True}
        for name in ("Greenup_0", "Greenup_1", "QA_Detailed_0", "QA_Detailed_1", "QA_Overall_0", "QA_Overall_1")
    ],
}
MODISTSP = {"variables": [{"name": "ndvi", "unit": "0.0001"}]}
SITS = {"variables": [{"name": "ndvi", "unit": "0.0001", "fill": -3000}]}
BFAST = {"dates": "bands", "variables": [{"name": "ndvi", "unit": "0.0001"}]}

# product, --as, mapping, files, grid (None: of its own), dates in the lake
GEOTIFFS: list[tuple] = [
    ("srtm_3s", None, None, "dem/spdatalarge/srtm.tif", "srtm_3s", 0),
    ("raster", "zion_nlcd", None, "dem/spdatalarge/nlcd.tif", None, 0),
    ("raster", "mongon_dem", None, "dem/spdatalarge/dem.tif", None, 0),
    ("raster", "mongon_ndvi", None, "dem/spdatalarge/ndvi.tif", None, 0),
    ("hwsd", None, None, "hwsd/d1_sand.tif", "latlon_30s", 0),
    ("hwsd_0p05", None, None, "hwsd/t_sand.tif", "latlon_0p05", 0),
    ("raster", "aspect", None, "app_gwr/Aspect.tif", None, 0),
    ("raster", "elevation", None, "app_gwr/ELEV.tif", None, 0),
    ("raster", "ndvi_west", None, "app_gwr/NDVI.tif", None, 0),
    ("raster", "silt_and_clay", None, "app_gwr/Silt_Clay.tif", None, 0),
    ("raster", "slope", None, "app_gwr/Slope.tif", None, 0),
    ("raster", "cook", None, "cookfarm/predictors_2012-03-25.tif", None, 1),
    ("raster", "valparaiso_dem", None, "rfmerge_valparaiso/ValparaisoDEM5km.tif", "latlon_0p05", 0),
    ("raster", "sits", SITS, "modis_geotiff_ts/sits_mod13q1/*.jp2", "modis_sin_250m", 12),
    ("raster", "bfast", BFAST, "modis_geotiff_ts/modisraster.tif", "latlon_0p05", 275),
    ("raster", "rain_of_valparaiso", {"dates": "bands", "start": "1983-01-01"}, "rfmerge_valparaiso/CHIRPS5km.tif", "latlon_0p05", 243),
    ("raster", "greenup", APPEEARS, "appeears/raster/*.tif", None, 1),
    ("sentinel1_ascending", None, None, "sentinel1_vv/*___A_*.tif", None, 1),
    ("sentinel1_descending", None, None, "sentinel1_vv/*___D_*.tif", None, 2),
]  # fmt: skip


def _load(lake: Path, product: str, name: str | None, mapping, files: list[Path]) -> tuple[LoadReport, pl.DataFrame]:
    completed = complete(find_product(product), name, None, mapping, files)
    report = load(completed, files, Lake(lake))
    parts = sorted((lake / "raw" / completed.name).rglob("*.parquet"))
    return report, pl.concat([pl.read_parquet(p) for p in parts]) if parts else pl.DataFrame()


def _places(lake: Path, report: LoadReport, rows: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    grid = Lake(lake).grid(report.grid_id)
    return grid.xy_of(*grid.row_col(rows["pixel_id"].to_numpy()))


@pytest.mark.parametrize(
    ("product", "name", "mapping", "files", "grid", "n_dates"), GEOTIFFS, ids=[g[1] or g[3].replace("/", " ") for g in GEOTIFFS]
)  # fmt: skip
def test_geotiffs_equal_rasterio(shared, tmp_path, product, name, mapping, files, grid, n_dates):
    paths = sorted((shared / "data").glob(files))
    report, rows = _load(tmp_path, product, name, mapping, paths)
    assert report.ok, [f.reason for f in report.files]
    assert report.grid_id == (grid or name or product)
    assert (rows["obs_date"].n_unique() if "obs_date" in rows.columns else 0) == n_dates
    assert not rows.select([c for c in ("pixel_id", "obs_date") if c in rows.columns]).is_duplicated().any()
    x, y = _places(tmp_path, report, rows)
    completed = complete(find_product(product), name, None, mapping, paths)
    n = 0
    for path in paths:
        with rasterio.open(path) as truth:
            row, column = (np.asarray(v, int) for v in rasterio.transform.rowcol(truth.transform, x, y))
            inside = (row >= 0) & (row < truth.height) & (column >= 0) & (column < truth.width)
            for number, variable in enumerate(completed.variables):
                layer = variable.source_name
                if n_dates > 12:  # a date a band
                    bands, days = truth.indexes, sorted(set(rows["obs_date"]))
                elif "layer" in (completed.file_pattern or "") and layer.lower() not in path.name.lower():
                    continue
                else:
                    bands, days = [variable.band or (1 if truth.count == 1 else number + 1)], [None]
                    if n_dates > 1:
                        days = [completed.parse_name(path.name)["date"]]
                for band, day in zip(bands, days, strict=True):
                    here = inside & (
                        np.ones(rows.height, bool) if day is None else (rows["obs_date"] == day).to_numpy()
                    )
                    got = rows[variable.name].filter(here).cast(pl.Float64).to_numpy()
                    delivered = truth.read(band)
                    wanted = delivered[row[here], column[here]].astype(float)
                    np.testing.assert_array_equal(got, wanted)
                    valid = variable.is_valid(delivered)
                    assert valid.sum() == variable.is_valid(wanted).sum() > 0  # nothing that is no fill is missing
                    n += got.size
    count_cases("real GeoTIFF values in the lake", n)


def test_an_hgt_tile_keeps_its_southern_rows_and_western_columns(shared, tmp_path):
    """Pixel is point: 1201 values stand on both edges of the degree. A neighbour made of the same edge joins without a double pixel."""
    path = shared / "data" / "dem" / "srtm_hgt" / "N57E011.hgt"
    heights = np.fromfile(path, ">i2").reshape(1201, 1201)
    east, north = tmp_path / "N57E012.hgt", tmp_path / "N58E011.hgt"
    for neighbour, shared_edge in (
        (east, heights[:, ::-1]),
        (north, heights[::-1]),
    ):  # mirrored: the shared edge is the same
        neighbour.write_bytes(shared_edge.astype(">i2").tobytes())
    zipped = tmp_path / "N58E011.SRTMGL3.hgt.zip"
    with zipfile.ZipFile(zipped, "w") as out:
        out.write(north, "N58E011.hgt")
    report, rows = _load(tmp_path / "lake", "srtm_3s", None, None, [path, east, zipped])
    assert report.ok, [f.reason for f in report.files]
    assert rows.height == 3 * 1200 * 1200 == rows["pixel_id"].n_unique()
    lon, lat = (v.round(9) for v in _places(tmp_path / "lake", report, rows))
    # the value in row r and column c of the file stands at 58 - r / 1200 north, 11 + c / 1200 east
    r, c = np.rint((58 - lat) * 1200).astype(int), np.rint((lon - 11) * 1200).astype(int)
    assert (r.min(), r.max(), c.min(), c.max()) == (-1199, 1200, 0, 2399)
    np.testing.assert_allclose(lat, 58 - r / 1200, atol=1e-9)
    wanted = heights[np.abs(r), np.where(c <= 1200, c, 2400 - c)]  # the neighbours are its mirror images
    np.testing.assert_array_equal(rows["elevation"].to_numpy(), wanted)
    count_cases("SRTM tiles joined", 3)


# product, files with (variable, NetCDF variable), what the delivered integers become, grid
NETCDFS: list[tuple] = [
    ("etopo5", {"dem/etopo_hawaii/HI_topo_02.nc": ("elevation", "z")}, lambda v: np.float32(v * 0.001), "etopo5"),
    ("land_cover_0p1", {"land_cover_global/IGBP.nc": ("IGBP", "IGBP"), "land_cover_global/PFT.nc": ("PFT", "PFT")}, lambda v: v, "latlon_0p1"),
    ("climate_zone_0p1", {"land_cover_global/Climate_zone.nc": ("climate_zone", "climate_zone")}, lambda v: v, "era5_land_0p1"),
]  # fmt: skip


@pytest.mark.parametrize(("product", "files", "of", "grid"), NETCDFS, ids=[n[0] for n in NETCDFS])
def test_netcdf_maps_equal_netcdf4(shared, tmp_path, product, files: dict, of: Callable, grid):
    report, rows = _load(tmp_path, product, None, None, [shared / "data" / file for file in files])
    assert report.ok and report.grid_id == grid
    n_rows = rows.height
    counts = {v: (rows[v] != -9999).sum() for v, _ in files.values()}
    sample = rows.sample(100_000, seed=1)
    x, y = _places(tmp_path, report, sample)
    for file, (variable, dataset) in files.items():
        with netCDF4.Dataset(shared / "data" / file) as truth:
            truth.set_auto_maskandscale(False)
            lon, lat, values = truth["lon"][:], truth["lat"][:], truth[dataset][:]
            fill = truth[dataset].getncattr("_FillValue")
        turned = np.where(x > lon.max() + 1e-6, x - 360, np.where(x < lon.min() - 1e-6, x + 360, x))
        column = np.rint((turned - lon[0]) / (lon[-1] - lon[0]) * (lon.size - 1)).astype(int)
        row = np.rint((y - lat[0]) / (lat[-1] - lat[0]) * (lat.size - 1)).astype(int)
        assert np.abs(lon[column] - turned).max() < 1e-6 and np.abs(lat[row] - y).max() < 1e-6
        np.testing.assert_array_equal(sample[variable].to_numpy(), of(values[row, column]))
        assert counts[variable] == (values != fill).sum()
    count_cases("real NetCDF values in the lake", n_rows)


def test_modistsp_writes_two_conventions_into_one_folder(shared, tmp_path):
    """23 files of one series: 21 are integers times 10,000, the last two floats that were divided already."""
    archive = shared / "data" / "modis_geotiff_ts" / "NDVI.zip"
    with pytest.raises(ProductError, match=r"NDVI\.zip: is a zip archive of 23 GeoTIFFs: unpack it first"):
        complete(find_product("raster"), "modistsp", None, MODISTSP, [archive])
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(tmp_path)
    files = sorted((tmp_path / "NDVI").glob("*.tif"))
    report, rows = _load(tmp_path / "lake", "raster", "modistsp", MODISTSP, files)
    assert report.grid_id == "modis_sin_500m"  # though the files call their ellipse "unnamed"
    assert report.counts == {"loaded": 21, "skipped": 2}
    refused = {f.name: f.reason for f in report.files if f.status == "skipped"}
    assert set(refused) == {"MOD13A1_NDVI_2016_337.tif", "MOD13A1_NDVI_2016_353.tif"}
    assert all("band 1 is float32, but the product says int16" in reason for reason in refused.values())
    report, rows = _load(tmp_path / "floats", "raster", "modistsp_floats", MODISTSP, files[-2:])
    assert report.ok and rows.filter(pl.col("ndvi") != 32767)["ndvi"].max() <= 1
    count_cases("MODIStsp files", len(files))


def test_a_modis_array_without_projection_needs_one(shared, tmp_path):
    path = shared / "data" / "modis_other" / "MODIS_ARRAY.nc"
    report, _ = _load(tmp_path / "a", "raster", "array", None, [path])
    assert "carries no projection" in report.files[0].reason and "give crs in the mapping" in report.files[0].reason
    crs = "+proj=sinu +lon_0=0 +R=6371007.181 +units=m +no_defs"
    report, rows = _load(tmp_path / "b", "raster", "array", {"crs": crs}, [path])
    assert report.ok and report.grid_id == "modis_sin_250m"
    with netCDF4.Dataset(path) as truth:
        truth.set_auto_maskandscale(False)
        values = truth["__xarray_dataarray_variable__"][:]
    assert rows.height == (values != -28672).sum()
    count_cases("MODIS array in NetCDF", 1)


@pytest.mark.parametrize("file", ["modis_other/arcachon_lai.rda", "cookfarm/cookfarm.rda"])
def test_frames_of_r_are_refused(shared, file):
    with pytest.raises(ProductError, match="none of the files is a GeoTIFF or a NetCDF"):
        complete(find_product("raster"), "frames", None, None, [shared / "data" / file])
    count_cases("R data frames refused", 1)
