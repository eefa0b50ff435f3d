"""The GeoTIFF reader: real files against rasterio, and small files that show each turn and each refusal."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from loaders.granule import BadFile, Window
from loaders.grids import GRIDS, find_grid
from loaders.products import complete, find_product, validate
from loaders.readers import geotiff
from tests.conftest import count_cases


def _inspect(path: Path, product):
    return geotiff.inspect(path, product, find_grid(None, product.grid) if product.grid in GRIDS else None)


# -- real files ---------------------------------------------------------------------------------------------------------


def test_chirps_of_java_equals_rasterio(shared):
    paths = sorted((shared / "data" / "chirps_java_monthly").glob("*.tif"))
    assert len(paths) == 84
    product = find_product("chirps_monthly")
    rng = np.random.default_rng(0)
    for i, path in enumerate(paths):
        granule = _inspect(path, product)
        assert granule.dates == (date(2011 + i // 12, i % 12 + 1, 1),)
        assert (granule.variables, granule.version) == (("precipitation",), "2.0")
        values = geotiff.read_dense(granule, product, "precipitation", granule.dates)
        with rasterio.open(path) as truth:
            np.testing.assert_array_equal(values[0], truth.read(1))
            assert values.dtype == truth.dtypes[0]
            # where GDAL puts a cell, the grid puts it too
            for row, col in zip(rng.integers(0, truth.height, 3), rng.integers(0, truth.width, 3), strict=True):
                lon, lat = truth.xy(row, col)
                grid_row, grid_col, off = granule.grid.locate(lon, lat)
                assert (grid_row[0], grid_col[0]) == (granule.window.row + row, granule.window.column + col)
                assert off[0] < 0.001
        assert product.variable("precipitation").is_valid(values).sum() == 4908
    count_cases("CHIRPS GeoTIFFs against rasterio", len(paths))


def test_real_geotiffs_of_other_makers(shared):
    """MODIStsp, sits, HWSD and Sentinel-1 files through product `raster`, on their own grids."""
    data = shared / "data"
    n = 0
    for path in [
        data / "hwsd" / "t_sand.tif",
        data / "rfmerge_valparaiso" / "ValparaisoDEM5km.tif",
        *sorted((data / "sentinel1_vv").glob("*.tif")),
    ]:
        product = complete(find_product("raster"), "own", None, None, [path])
        granule = _inspect(path, product)
        with rasterio.open(path) as truth:
            assert (granule.window.height, granule.window.width) == truth.shape
            for variable, band in zip(granule.variables, truth.indexes, strict=True):
                values = geotiff.read_dense(granule, product, variable, granule.dates)
                np.testing.assert_array_equal(values[0], truth.read(band))
            west, north = truth.transform.c, truth.transform.f
        left, _, _, top = granule.grid.edges_of(granule.window.row, granule.window.column)
        assert abs(left - west) < 0.01 * granule.grid.cell_width and abs(top - north) < 0.01 * granule.grid.cell_height
        n += 1
    count_cases("other GeoTIFFs against rasterio", n)


# -- small files --------------------------------------------------------------------------------------------------------

PLACE = Affine(0.25, 0, 10, 0, -0.25, 50)
VALUES = np.arange(12, dtype=np.float32).reshape(3, 4)


def _product(**changes):
    fields = {
        "name": "test", "title": "t", "format": "geotiff", "kind": "gridded", "grid": "latlon_0p25", "time_step": "day",
        "source": "s", "variables": [{"name": "sm", "dtype": "float32", "fill": [-9999], "unit": "1"}],
    }  # fmt: skip
    return validate({**fields, **changes}, "test")


def _write(path: Path, values=VALUES, transform=PLACE, crs="EPSG:4326", nodata=None, descriptions=(), **how) -> Path:
    values = np.asarray(values)
    bands = values if values.ndim == 3 else values[np.newaxis]
    with rasterio.open(
        path, "w", driver="GTiff", count=bands.shape[0], height=bands.shape[1], width=bands.shape[2], dtype=bands.dtype,
        crs=crs, transform=transform, nodata=nodata, **how,
    ) as out:  # fmt: skip
        out.write(bands)
        for i, description in enumerate(descriptions, start=1):
            out.set_band_description(i, description)
    return path


def _read(path, product=None, variable=None):
    product = product or _product()
    granule = _inspect(path, product)
    return granule, geotiff.read_dense(granule, product, variable or product.variables[0].name, granule.dates)


@pytest.mark.parametrize(
    "how",
    [{}, {"compress": "deflate", "predictor": 3}, {"tiled": True, "blockxsize": 16, "blockysize": 16}, {"BIGTIFF": "YES"}, {"endianness": "BIG"}],
)  # fmt: skip
def test_a_plain_file(tmp_path, how):
    granule, values = _read(_write(tmp_path / "sm_20200103.tif", **how))
    assert (granule.dates, granule.window, granule.name) == (
        (date(2020, 1, 3),),
        Window(160, 760, 3, 4),
        "sm_20200103.tif",
    )
    np.testing.assert_array_equal(values, VALUES[np.newaxis])
    assert values.dtype == np.float32 and values.dtype.isnative


def test_south_up_east_left_and_0_to_360(tmp_path):
    south_up = Affine(0.25, 0, 10, 0, 0.25, 49.25)
    granule, values = _read(_write(tmp_path / "a20200103.tif", VALUES[::-1], south_up))
    assert granule.window == Window(160, 760, 3, 4)
    np.testing.assert_array_equal(values[0], VALUES)
    world = np.broadcast_to(np.arange(1440, dtype=np.float32), (3, 1440))
    granule, values = _read(_write(tmp_path / "b20200103.tif", world, Affine(0.25, 0, 0, 0, -0.25, 50)))
    assert granule.window == Window(160, 0, 3, 1440)
    np.testing.assert_array_equal(values[0, 0], np.r_[720:1440, 0:720])
    granule, _ = _read(_write(tmp_path / "c20200103.tif", transform=Affine(0.25, 0, 350, 0, -0.25, 50)))
    assert granule.window.column == 680


def test_bands_are_variables(tmp_path):
    two = [
        {"name": "day", "dtype": "uint16", "fill": [0], "unit": "K", "band": 2},
        {"name": "night", "dtype": "uint16", "fill": [0], "unit": "K"},
        {"name": "angle", "dtype": "uint8", "unit": "1", "optional": True},
    ]
    product = _product(variables=two)
    values = np.arange(24, dtype=np.uint16).reshape(2, 3, 4)
    path = _write(tmp_path / "a20200103.tif", values, descriptions=("night", "whatever"))
    granule, day = _read(path, product, "day")
    assert granule.variables == ("day", "night")
    np.testing.assert_array_equal(day[0], values[1])
    np.testing.assert_array_equal(geotiff.read_dense(granule, product, "night", granule.dates)[0], values[0])


def test_bands_are_dates(tmp_path):
    values = np.arange(36, dtype=np.float32).reshape(3, 3, 4)
    product = _product(options={"dates": "bands"})
    path = _write(tmp_path / "a.tif", values, descriptions=("X2020.01.05", "20200104", "doy2020006"))
    granule, read = _read(path, product)
    assert granule.dates == (date(2020, 1, 4), date(2020, 1, 5), date(2020, 1, 6))
    np.testing.assert_array_equal(read, values[[1, 0, 2]])
    np.testing.assert_array_equal(geotiff.read_dense(granule, product, "sm", [date(2020, 1, 6)]), values[2:])
    started = _product(options={"dates": "bands", "start": "2020-02-28"})
    assert _read(path, started)[0].dates == (date(2020, 2, 28), date(2020, 2, 29), date(2020, 3, 1))
    monthly = _product(options={"dates": "bands", "start": "2020-11-15"}, time_step="month")
    assert _read(path, monthly)[0].dates == (date(2020, 11, 1), date(2020, 12, 1), date(2021, 1, 1))


def test_the_files_own_nodata_becomes_the_products(tmp_path):
    values = VALUES.copy()
    values[0, 0] = -3.4e38
    path = _write(tmp_path / "a20200103.tif", values, nodata=float(np.float32(-3.4e38)))
    _, read = _read(path)
    assert read[0, 0, 0] == -9999 and (read[0] == values).sum() == 11
    kept = _product(variables=[{"name": "sm", "dtype": "float32", "fill": [-3.4e38], "unit": "1"}])
    assert _read(path, kept)[1][0, 0, 0] == np.float32(-3.4e38)
    with pytest.raises(BadFile, match="marks missing values with 7, which the product does not declare"):
        whole = _write(tmp_path / "b20200103.tif", values.astype("u1"), nodata=7)
        _read(whole, _product(variables=[{"name": "sm", "dtype": "uint8", "unit": "1"}]))


def test_a_smaller_type_widens_and_static_has_no_date(tmp_path):
    path = _write(tmp_path / "dem.tif", VALUES.astype(np.int16))
    granule, values = _read(path, _product(time_step="static"))
    assert granule.dates == () and values.shape == (1, 3, 4) and values.dtype == np.float32


def test_side_files_are_read_when_the_file_has_no_place_of_its_own(tmp_path):
    path = _write(tmp_path / "a20200103.tif", transform=None, crs=None)
    (tmp_path / "a20200103.tfw").write_text("0.25\n0\n0\n-0.25\n10.125\n49.875\n")
    assert _read(path, _product(options={"crs": "EPSG:4326"}))[0].window == Window(160, 760, 3, 4)


def test_projections_written_differently_are_the_same(tmp_path):
    grid = GRIDS["ease2_m36"]
    left, _, _, top = grid.edges_of(50, 100)
    place = Affine(grid.cell_width, 0, float(left), 0, -grid.cell_height, float(top))
    product = _product(grid="ease2_m36")
    for i, crs in enumerate(["EPSG:6933", "+proj=cea +lat_ts=30 +lon_0=0 +ellps=WGS84 +units=m"]):
        assert _read(_write(tmp_path / f"a2020010{i + 1}.tif", crs=crs, transform=place), product)[0].window == Window(
            50, 100, 3, 4
        )
    with pytest.raises(BadFile, match="its projection is EPSG:3410, that of grid ease2_m36 is EPSG:6933"):
        _read(_write(tmp_path / "b20200101.tif", crs="EPSG:3410", transform=place), product)


def test_the_files_own_grid(tmp_path):
    product = _product(grid="from_file")
    assert _inspect(_write(tmp_path / "a20200101.tif"), product).grid.grid_id == "latlon_0p25"
    place = Affine(1000, 0, 500_000, 0, -1000, 4_000_000)
    granule = _inspect(_write(tmp_path / "b20200101.tif", crs="EPSG:32631", transform=place), product)
    grid = granule.grid
    assert (grid.grid_id, grid.left, grid.top, grid.cell_width, grid.n_rows, grid.n_cols) == (
        "test",
        500_000,
        4_000_000,
        1000,
        3,
        4,
    )
    assert granule.window == Window(0, 0, 3, 4)
    # a second file, inspected with the first one's grid
    part = Affine(1000, 0, 501_000, 0, -1000, 3_999_000)
    again = geotiff.inspect(_write(tmp_path / "c20200102.tif", VALUES[:2, :2], part, "EPSG:32631"), product, grid)
    assert again.window == Window(1, 1, 2, 2)


# -- what is refused ----------------------------------------------------------------------------------------------------


def _bytes(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def _cut(path: Path, keep: float) -> Path:
    content = path.read_bytes()
    return _bytes(path, content[: int(len(content) * keep)])


NAME = "a20200103.tif"
BIG = np.random.default_rng(0).random((60, 80), np.float32)
REFUSALS = {
    "empty": (lambda t: _bytes(t / NAME, b""), {}, r"is empty \(0 bytes\)"),
    "truncated header": (lambda t: _bytes(t / NAME, b"II*\x00\x08\x00"), {}, "damaged or truncated TIFF"),
    "truncated values": (lambda t: _cut(_write(t / NAME, BIG, compress="deflate"), 0.5), {}, "truncated or damaged"),
    "login page": (lambda t: _bytes(t / NAME, b"<!DOCTYPE html><html>"), {}, "is not a GeoTIFF but a web page"),
    "gzip": (lambda t: _bytes(t / NAME, b"\x1f\x8b" + b"0" * 50), {}, "compressed with gzip: unpack it first"),
    "NetCDF": (lambda t: _bytes(t / NAME, b"\x89HDF\r\n\x1a\n" + b"0" * 50), {}, "is not a GeoTIFF but an HDF5 or NetCDF-4 file"),
    "other product's name": (lambda t: _write(t / NAME), {"file_pattern": r"^b(?P<date>\d{8})"}, "its name is not that of a test file"),
    "no date in the name": (lambda t: _write(t / "sm.tif"), {}, "its name carries no date: give date_pattern"),
    "impossible date": (lambda t: _write(t / "a20201399.tif"), {"file_pattern": r"a(?P<date>\d{8})"}, "its name says 20201399, which is no date"),
    "date_pattern of another name": (lambda t: _write(t / NAME), {"options": {"date_pattern": r"b(?P<date>\d{8})"}}, "carries no date by the date_pattern"),
    "no projection": (lambda t: _write(t / NAME, crs=None), {}, "carries no projection: give crs in the mapping"),
    "a picture": (lambda t: _write(t / NAME, crs=None, transform=None), {}, "carries no georeferencing"),
    "rotated": (lambda t: _write(t / NAME, transform=Affine(0.25, 0.1, 10, 0.1, -0.25, 50)), {}, "is rotated"),
    "metres on a grid of degrees": (lambda t: _write(t / NAME, crs="EPSG:6933"), {}, "coordinates are in metres, those of grid latlon_0p25 in degrees"),
    "other cell size": (lambda t: _write(t / NAME, transform=Affine(0.1, 0, 10, 0, -0.1, 50)), {}, r"its cells are 0\.1 x 0\.1, those of grid latlon_0p25 0\.25 x 0\.25; it would fit latlon_0p1"),
    "half a cell beside": (lambda t: _write(t / NAME, transform=Affine(0.25, 0, 10.125, 0, -0.25, 50)), {}, r"lie 0\.50 of a cell beside"),
    "outside": (lambda t: _write(t / NAME, transform=Affine(0.25, 0, 10, 0, -0.25, 90.5)), {}, "outside grid latlon_0p25|not degrees"),
    "other type": (lambda t: _write(t / NAME, VALUES.astype("f8")), {}, "band 1 is float64, but the product says float32"),
    "missing band": (lambda t: _write(t / NAME), {"variables": [{"name": "sm", "dtype": "float32", "unit": "1", "band": 3}]}, r"has no band 3 for sm; it has 1 band\(s\)"),
    "unnamed bands": (lambda t: _write(t / NAME, np.stack([VALUES, VALUES]), descriptions=("a", "b")), {}, r"has no band described as 'sm' for sm; it has 2 band\(s\) \(a, b\)"),
    "all fill": (lambda t: _write(t / NAME, np.full((3, 4), -9999, "f4")), {}, "every value of sm is fill"),
    "all NaN": (lambda t: _write(t / NAME, np.full((3, 4), np.nan, "f4")), {}, "every value of sm is fill"),
    "all the file's own nodata": (lambda t: _write(t / NAME, np.full((3, 4), -1, "f4"), nodata=-1), {}, "every value of sm is fill"),
    "all bands fill": (lambda t: _write(t / "a.tif", np.full((2, 3, 4), -9999, "f4"), descriptions=("20200101", "20200102")), {"options": {"dates": "bands"}}, "every value of sm is fill"),
    "band without a date": (lambda t: _write(t / "a.tif", np.stack([VALUES, VALUES]), descriptions=("20200101", "mean")), {"options": {"dates": "bands"}}, "its band 2 is described as 'mean', which is no date: give start"),
    "a date twice": (lambda t: _write(t / "a.tif", np.stack([VALUES, VALUES]), descriptions=("20200101", "20200101")), {"options": {"dates": "bands"}}, "has 2 time steps in 2020-01-01"),
    "complex": (lambda t: _write(t / NAME, VALUES.astype("c8")), {}, "complex numbers"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSALS)
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_what_is_refused_and_why(tmp_path, case):
    write, changes, reason = REFUSALS[case]
    path = write(tmp_path)
    with pytest.raises(BadFile, match=reason) as error:
        _read(path, _product(**changes))
    assert str(tmp_path) not in error.value.reason and "\n" not in error.value.reason


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(BadFile, match="cannot be read: No such file"):
        _read(tmp_path / NAME)
