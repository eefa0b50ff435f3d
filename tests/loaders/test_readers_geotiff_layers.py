"""GeoTIFFs whose layers lie in files of their own, archives, tiles with shared edges, wide grids, and the documented static products."""

from __future__ import annotations

import os
import re
import zipfile
from datetime import date
from pathlib import Path

import netCDF4
import numpy as np
import polars as pl
import pyproj
import pytest
import rasterio
from affine import Affine

from loaders.granule import BadFile, Window
from loaders.grids import GRIDS
from loaders.lake import Lake
from loaders.load import load
from loaders.products import ProductError, complete, find_product
from loaders.readers import geotiff, netcdf

DEGREES = Affine(0.25, 0, 10, 0, -0.25, 50)


def _write(path: Path, values, transform=DEGREES, crs="EPSG:4326", descriptions=(), scale=None, **how) -> Path:
    bands = np.atleast_3d(np.asarray(values).T).T if np.ndim(values) == 2 else np.asarray(values)
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(
        path, "w", driver="GTiff", count=bands.shape[0], height=bands.shape[1], width=bands.shape[2], dtype=bands.dtype,
        crs=crs, transform=transform, **how,
    ) as out:  # fmt: skip
        out.write(bands)
        for i, text in enumerate(descriptions, start=1):
            out.set_band_description(i, text)
        if scale is not None:
            out.scales = [scale] * bands.shape[0]
    return path


def _inspect(path: Path, product):
    return geotiff.inspect(path, product, GRIDS.get(product.grid))


def _refused(path: Path, product) -> str:
    with pytest.raises(BadFile) as bad:
        granule = _inspect(path, product)
        for variable in granule.variables:
            geotiff.read_dense(granule, product, variable, granule.dates)
    return bad.value.reason


# -- a file a layer -----------------------------------------------------------------------------------------------------

LAYERS = {
    "file_pattern": r"MOD13A2\.061_(?P<layer>.+)_doy(?P<date>\d{7})_aid\d+\.tif$",
    "variables": [
        {"name": "ndvi", "dataset": "1_km_16_days_NDVI", "dtype": "int16", "fill": -3000, "optional": True},
        {"name": "reliability", "dataset": "1_km_16_days_pixel_reliability", "dtype": "int8", "fill": -1, "optional": True},
    ],
}  # fmt: skip


def test_layers_of_one_day_become_columns_of_one_row(tmp_path):
    ndvi = np.array([[4200, -3000], [100, 200]], np.int16)
    reliability = np.array([[0, -1], [3, 1]], np.int8)
    files = [
        _write(tmp_path / "MOD13A2.061_1_km_16_days_NDVI_doy2020017_aid0001.tif", ndvi, nodata=-3000, scale=10000),
        _write(tmp_path / "MOD13A2.061_1_km_16_days_pixel_reliability_doy2020017_aid0001.tif", reliability, nodata=-1),
    ]
    product = complete(find_product("raster"), "vi", None, LAYERS, files)
    assert (product.time_step, [v.dtype for v in product.variables]) == ("day", ["int16", "int8"])
    report = load(product, files, Lake(tmp_path / "lake"))
    assert report.ok, [f.reason for f in report.files]
    rows = pl.read_parquet(next((tmp_path / "lake" / "raw" / "vi").rglob("*.parquet"))).sort("pixel_id")
    assert rows["obs_date"].unique().to_list() == [date(2020, 1, 17)]
    # the scale in the band's metadata, 10000, is what MOD13 divides by: it is not applied
    assert rows["ndvi"].to_list() == [4200, 100, 200] and rows["reliability"].to_list() == [0, 3, 1]
    other = _write(tmp_path / "MOD13A2.061_1_km_16_days_EVI_doy2020017_aid0001.tif", ndvi, nodata=-3000)
    assert _refused(other, product) == (
        "its name says layer 1_km_16_days_EVI, vi has 1_km_16_days_NDVI, 1_km_16_days_pixel_reliability"
    )
    several = _write(tmp_path / "MOD13A2.061_1_km_16_days_NDVI_doy2020033_aid0001.tif", np.stack([ndvi, ndvi]))
    assert _refused(several, product) == "its name says layer 1_km_16_days_NDVI, but it has 2 bands"


@pytest.mark.parametrize(
    ("pattern", "step"),
    [(r"a_(?P<date>\d{8})", "day"), (r"a_(?P<year>\d{4})_(?P<doy>\d{3})", "day"), (r"a_(?P<year>\d{4})(?P<month>\d\d)", "month"), (r"a_(?P<layer>.*)", "static")],
)  # fmt: skip
def test_a_pattern_says_whether_files_have_dates(tmp_path, pattern, step):
    path = _write(tmp_path / "a_20200101.tif", np.ones((2, 2), np.uint8))
    assert complete(find_product("raster"), "own", None, {"file_pattern": pattern}, [path]).time_step == step


def test_an_export_of_earth_engine_names_its_bands(tmp_path):
    """Bands are only known by their descriptions; what is missing is NaN, nothing is scaled."""
    bands = np.stack([np.array([[0.4, np.nan]]), np.array([[290.5, 291.0]])]).astype(np.float32)
    path = _write(tmp_path / "export_2020_06_09.tif", bands, descriptions=("NDVI", "LST_Day_1km"))
    product = complete(find_product("raster"), "gee", None, None, [path])
    granule = _inspect(path, product)
    assert (granule.variables, granule.dates) == (("NDVI", "LST_Day_1km"), (date(2020, 6, 9),))
    np.testing.assert_array_equal(geotiff.read_dense(granule, product, "NDVI", granule.dates)[0], bands[0])


# -- archives, JPEG 2000, HGT -------------------------------------------------------------------------------------------


def test_an_archive_of_one_map_is_read_one_of_several_is_not(tmp_path):
    path = _write(tmp_path / "ndvi_20200101.tif", np.array([[1, 2]], np.int16))
    archive = tmp_path / "ndvi_20200101.tif.zip"
    with zipfile.ZipFile(archive, "w") as out:
        out.write(path, "folder with space/ndvi_20200101.tif")
    product = complete(find_product("raster"), "own", None, None, [archive])
    granule = _inspect(archive, product)
    assert granule.dates == (date(2020, 1, 1),)
    np.testing.assert_array_equal(geotiff.read_dense(granule, product, "value", granule.dates)[0], [[1, 2]])
    with zipfile.ZipFile(archive, "w") as out:
        out.write(path, "a.tif")
        out.write(path, "b.tif")
    assert _refused(archive, product) == "is a zip archive of 2 GeoTIFFs: unpack it first"


def test_a_stack_of_dates_is_decoded_once_and_never_stale(tmp_path):
    """Bands stored side by side are decoded together; a file that was written over is read anew."""
    mapping = {"dates": "bands", "start": date(2020, 1, 1), "variables": [{"name": "sm", "band": 1}]}
    path = tmp_path / "stack.tif"
    for offset in (0, 1000):
        stack = (np.arange(5 * 2 * 3, dtype=np.int16) + offset).reshape(5, 2, 3)
        _write(path, stack, interleave="pixel", compress="deflate")
        product = complete(find_product("raster"), "stack", None, mapping, [path])
        granule = _inspect(path, product)
        days = granule.dates
        np.testing.assert_array_equal(geotiff.read_dense(granule, product, "sm", days), stack)
        np.testing.assert_array_equal(geotiff.read_dense(granule, product, "sm", (days[1], days[4])), stack[[1, 4]])
        os.utime(path, (offset, offset))  # the clock of some file systems is too coarse to tell two writes apart


def test_what_is_no_map_is_named(tmp_path):
    product = find_product("srtm_3s")
    short = tmp_path / "N57E011.hgt"
    short.write_bytes(b"\0" * 1000)
    assert _refused(short, product) == "is no whole HGT tile, which has 1201 x 1201 or 3601 x 3601 heights of two bytes"
    cut = tmp_path / "N57E012.tif"
    cut.write_bytes(b"\x00\x00\x00\x0cjP  \r\n\x87\n cut off")
    assert "is a damaged or truncated TIFF" in _refused(cut, product)


def test_tiles_with_shared_edges_join_and_cut_outs_stay_whole(tmp_path):
    """An SRTM GeoTIFF of 1201 x 1201 is a whole tile; anything else was cut out and keeps its edges."""
    third = 1 / 1200
    product = find_product("srtm_3s")
    tile = ((np.arange(1201)[:, None] * 7 + np.arange(1201)) % 30_000 + 1).astype(np.int16)
    place = Affine(third, 0, 11 - third / 2, 0, -third, 58 + third / 2)
    granule = _inspect(_write(tmp_path / "n57_e011_3arc.tif", tile, place, nodata=-32768), product)
    assert (granule.window.height, granule.window.width) == (1200, 1200)
    lon, lat = granule.grid.lonlat_of(granule.window.row, granule.window.column)
    assert (float(lon), float(lat)) == (pytest.approx(11), pytest.approx(58 - third))
    values = geotiff.read_dense(granule, product, "elevation", ())[0]
    np.testing.assert_array_equal(values, tile[1:, :-1])
    cut = _inspect(_write(tmp_path / "cut.tif", tile[:5, :7], place, nodata=-32768), product)
    assert (cut.window.height, cut.window.width) == (5, 7)


# -- grids --------------------------------------------------------------------------------------------------------------


def test_scenes_of_one_projection_share_a_wide_grid(tmp_path):
    product = find_product("sentinel1_descending")
    decibel = np.full((3, 4), -12.5, np.float32)

    def scene(day: str, left: float, top: float, crs="EPSG:32631") -> Path:
        name = f"S1A__IW___D_{day}T054356_VV_grd_mli_geo_norm_db.tif"
        return _write(tmp_path / name, decibel, Affine(20, 0, left, 0, -20, top), crs, nodata=-99)

    files = [
        scene("20170309", 644_428, 4_807_334),
        scene("20170310", 620_048, 4_830_114),
        scene("20170311", 300_008, 20_014),
    ]
    lake = Lake(tmp_path / "lake")
    assert load(product, files, lake).ok
    report = load(
        product, [scene("20170312", 644_438, 4_807_334), scene("20170313", 400_008, 20_014, "EPSG:32632")], lake
    )
    reasons = [f.reason for f in report.files]
    assert "lie 0.50 of a cell beside" in reasons[0] and "its projection is EPSG:32632" in reasons[1]
    grid = lake.grid("sentinel1_descending")
    assert grid.n_pixels > 2**31 and (644_428 - grid.left) % 20 == 0


def test_a_projection_without_a_name_is_known_by_where_it_draws(tmp_path):
    cell = GRIDS["modis_sin_500m"].cell_width
    ellipse = 'PROJCS["unnamed",GEOGCS["unnamed ellipse",DATUM["unknown",SPHEROID["unnamed",6371007.181,0]],PRIMEM["Greenwich",0],UNIT["degree",0.0174532925199433]],PROJECTION["Sinusoidal"],PARAMETER["longitude_of_center",0],PARAMETER["false_easting",0],PARAMETER["false_northing",0],UNIT["Meter",1]]'
    left, top = GRIDS["modis_sin_500m"].left + 40000 * cell, GRIDS["modis_sin_500m"].top - 9000 * cell
    path = _write(
        tmp_path / "ndvi_20200101.tif", np.ones((2, 3), np.int16), Affine(cell, 0, left, 0, -cell, top), ellipse
    )
    granule = _inspect(path, complete(find_product("raster"), "own", None, None, [path]))
    assert (granule.grid.grid_id, granule.window) == ("modis_sin_500m", Window(9000, 40000, 2, 3))


# -- products without dates, in the structure of their documentation ------------------------------------------------------


def _homolosine(folder: Path, name: str, values: np.ndarray) -> Path:
    return _write(folder / name, values, Affine(250, 0, 1_000_000, 0, -250, 4_500_000), "ESRI:54052", nodata=-32768)


def test_soilgrids_in_mapped_units_and_what_was_divided(tmp_path):
    product = find_product("soilgrids")
    clay = np.array([[270, 631, -32768], [12, 40, 300]], np.int16)
    bulk = np.array([[131, 95, -32768], [140, 150, 128]], np.int16)
    files = [
        _homolosine(tmp_path, "clay_0-5cm_mean.tif", clay),
        _homolosine(tmp_path, "bdod_0-5cm_mean.tif", bulk),
        _homolosine(tmp_path, "soc_0-5cm_Q0.5.tif", bulk),
    ]
    report = load(product, files, Lake(tmp_path / "lake"))
    assert report.ok, [f.reason for f in report.files]
    rows = pl.read_parquet(tmp_path / "lake" / "raw" / "soilgrids" / "static" / "soilgrids.parquet").sort("pixel_id")
    assert rows["clay_0_5cm"].to_list() == [270, 631, 12, 40, 300]
    assert rows["bdod_0_5cm"].to_list() == [131, 95, 140, 150, 128]
    assert rows["sand_0_5cm"].null_count() == rows.height == 5
    grid = Lake(tmp_path / "lake").grid("soilgrids")
    lon, lat = grid.lonlat_of(*grid.row_col(rows["pixel_id"].to_numpy()))
    x, y = pyproj.Transformer.from_crs("EPSG:4326", "ESRI:54052", always_xy=True).transform(lon, lat)
    np.testing.assert_allclose(x[:2], [1_000_125, 1_000_375], atol=1e-3)
    np.testing.assert_allclose(y[:2], 4_499_875, atol=1e-3)

    divided = _homolosine(tmp_path, "clay_5-15cm_mean.tif", clay // 10 * (clay > 0))
    assert _refused(divided, product) == (
        "no value of clay_5_15cm is above 100 g kg-1 (the largest is 63): it seems to be in another unit already; load it as `raster` "
        "with its own unit"
    )
    floats = _homolosine(tmp_path, "sand_5-15cm_mean.tif", (clay / 10).astype(np.float32))
    assert "band 1 is float32, but the product says int16" in _refused(floats, product)
    other = _homolosine(tmp_path, "phh2o_0-5cm_mean.tif", clay)
    assert "its name is not that of a soilgrids file" in _refused(other, product)


def test_hwsd_marks_water_without_saying_so(tmp_path):
    place = Affine(1 / 120, 0, -81, 0, -1 / 120, 34)
    sand = _write(tmp_path / "d1_sand.tif", np.array([[40, -9, np.nan]], np.float32), place)
    clay = _write(tmp_path / "d1_clay.tif", np.array([[22, -9, 30]], np.float32), place)
    report = load(find_product("hwsd"), [sand, clay], Lake(tmp_path / "lake"))
    assert report.ok and report.grid_id == "latlon_30s"
    rows = pl.read_parquet(tmp_path / "lake" / "raw" / "hwsd" / "static" / "hwsd.parquet").sort("pixel_id")
    fills = pl.read_parquet(tmp_path / "lake" / "catalog" / "columns" / "hwsd.parquet")
    assert fills.filter(pl.col("column_name") == "d1_sand")["fill_value"].to_list() == [
        -9
    ]  # what the factors' view masks
    assert rows["d1_clay"].to_list() == [22, 30] and rows["d1_sand"].to_list() == [40, None]


def test_gebco_cut_out(tmp_path):
    """Latitude rises, centres lie half of 15 seconds inside the edges."""
    second = 15 / 3600
    path = tmp_path / "GEBCO_2023_n40.05_s40.0_w97.1_e97.2.nc"
    with netCDF4.Dataset(path, "w") as out:
        lat, lon = 40 + second * (np.arange(12) + 0.5), 97.1 + second * (np.arange(24) + 0.5)
        for name, values, units in (("lat", lat, "degrees_north"), ("lon", lon, "degrees_east")):
            out.createDimension(name, values.size)
            variable = out.createVariable(name, "f8", (name,))
            variable[:], variable.units, variable.standard_name = (
                values,
                units,
                "latitude" if name == "lat" else "longitude",
            )
        heights = np.arange(12 * 24, dtype=np.int16).reshape(12, 24) - 100
        variable = out.createVariable("elevation", "i2", ("lat", "lon"), fill_value=-32767)
        variable[:], variable.units = heights, "m"
    product = find_product("gebco")
    granule = netcdf.inspect(path, product, None)
    assert granule.grid.grid_id == "gebco" and granule.dates == ()
    np.testing.assert_array_equal(netcdf.read_dense(granule, product, "elevation", ())[0], heights[::-1])


def _layered(path: Path, values: np.ndarray, name: str = "SA") -> Path:
    """A NetCDF of (depth, lat, lon) on 30 arc seconds from 105 E, 39 N; latitude falls."""
    with netCDF4.Dataset(path, "w") as out:
        axes = {
            "depth": np.arange(values.shape[0]) + 1.0,
            "lat": 39 - (np.arange(values.shape[1]) + 0.5) / 120,
            "lon": 105 + (np.arange(values.shape[2]) + 0.5) / 120,
        }
        for axis, centres in axes.items():
            out.createDimension(axis, centres.size)
            variable = out.createVariable(axis, "f8", (axis,))
            variable[:], variable.units = centres, {"depth": "cm", "lat": "degrees_north", "lon": "degrees_east"}[axis]
        variable = out.createVariable(name, values.dtype, tuple(axes), fill_value=-999)
        variable[:] = values
    return path


def test_layers_of_soil_in_one_netcdf(tmp_path):
    """CSCD has eight layers along a depth axis: a variable says which; a mapping can, too."""
    values = np.arange(8 * 2 * 3, dtype=np.int16).reshape(8, 2, 3)
    values[:, 0, 0] = -999
    path = _layered(tmp_path / "SA.nc", values)
    report = load(find_product("cscd"), [path], Lake(tmp_path / "lake"))
    assert report.ok and report.grid_id == "latlon_30s", [f.reason for f in report.files]
    rows = pl.read_parquet(tmp_path / "lake" / "raw" / "cscd" / "static" / "cscd.parquet").sort("pixel_id")
    for level in (1, 2, 3, 4):
        np.testing.assert_array_equal(rows[f"sand_{level}"].to_numpy(), values[level - 1].ravel()[1:])
    assert rows["clay_1"].null_count() == 5

    path = _layered(tmp_path / "ksat.nc", values.astype(np.float32), "Ksat")
    asked = {"variables": [{"name": f"k_{i}", "dataset": "Ksat", "level": i, "unit": "cm day-1"} for i in (2, 8)]}
    product = complete(find_product("raster"), "ksat", None, asked, [path])
    granule = netcdf.inspect(path, product, None)
    for i in (2, 8):
        np.testing.assert_array_equal(netcdf.read_dense(granule, product, f"k_{i}", ())[0], values[i - 1])
    with pytest.raises(ProductError, match=r"has the dimension depth of length 8.* say which `level` in the mapping"):
        complete(find_product("raster"), "ksat", None, None, [path])
    too_deep = {"variables": [{"name": "k", "dataset": "Ksat", "level": 9}]}
    with pytest.raises(ProductError, match="Ksat has 8 levels along depth, not 9"):
        complete(find_product("raster"), "ksat", None, too_deep, [path])


def test_names_that_are_no_product_are_answered(tmp_path):
    (tmp_path / "frames.rda").write_bytes(b"BZh9")
    with pytest.raises(ProductError, match=re.escape("none of the files is a GeoTIFF or a NetCDF")):
        complete(find_product("raster"), "own", None, None, [tmp_path / "frames.rda"])
