"""The NetCDF reader: real files against xarray, and small files that show each turn and each refusal."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr

from loaders.granule import BadFile, Window
from loaders.grids import GRIDS, find_grid
from loaders.products import complete, find_product, validate
from loaders.readers import netcdf
from tests.conftest import count_cases

MONTHLY = "era5-land-monthly-temp-precip-1990-2025-sierra-leone.nc"
DAILY = "era5-land-daily-mean-temperature-2m-july-2025-sierra-leone.nc"


def _inspect(path: Path, product):
    return netcdf.inspect(path, product, find_grid(None, product.grid) if product.grid in GRIDS else None)


# -- real files ---------------------------------------------------------------------------------------------------------


def test_esa_cci_equals_xarray(shared):
    (path,) = (shared / "data" / "esa_cci_daily").glob("*.nc")
    product = find_product("esa_cci_combined")
    granule = _inspect(path, product)
    assert granule.dates == (date(2022, 1, 1),)
    assert (granule.window, granule.version, granule.key) == (Window(0, 0, 720, 1440), "08.1", "20220101")
    truth = xr.open_dataset(path, engine="netcdf4", mask_and_scale=False)
    n = 0
    for variable in granule.variables:
        values = netcdf.read_dense(granule, product, variable, granule.dates)
        expected = truth[product.variable(variable).source_name]
        assert values.dtype == expected.dtype and values.shape == (1, 720, 1440)
        np.testing.assert_array_equal(values, expected.values)
        n += values.size
    sm = netcdf.read_dense(granule, product, "sm", granule.dates)
    flag = netcdf.read_dense(granule, product, "flag", granule.dates)
    valid = product.variable("sm").is_valid(sm)
    # the counts of an independent look at this file: flag 0, and 64 which is only an advisory
    assert [(int((flag[valid] == f).sum())) for f in (0, 64)] == [95475, 901] and valid.sum() == 95475 + 901
    # a pixel by its coordinates
    row, col, _ = granule.grid.locate(-5.125, 12.375)
    assert sm[0, row[0], col[0]] == truth["sm"].sel(lat=12.375, lon=-5.125).item()
    count_cases("ESA CCI values against xarray", n)


@pytest.mark.parametrize(("name", "product"), [(MONTHLY, "era5_land_monthly"), (DAILY, "era5_land_daily")])
def test_era5_land_equals_xarray(shared, name, product):
    path = shared / "data" / "era5_land" / name
    product = find_product(product)
    granule = _inspect(path, product)
    truth = xr.open_dataset(path, engine="netcdf4")
    days = truth["valid_time"].values.astype("datetime64[D]").tolist()
    assert list(granule.dates) == days
    rows = granule.window.row + np.arange(granule.window.height)
    lon, lat = granule.grid.lonlat_of(rows[:, None], granule.window.column + np.arange(granule.window.width))
    np.testing.assert_allclose(lat[:, 0], truth["latitude"], atol=1e-9)
    np.testing.assert_allclose(lon[0], truth["longitude"], atol=1e-9)
    rng = np.random.default_rng(1)
    n = 0
    for variable in granule.variables:
        assert variable in truth
        for some in (granule.dates[:3], sorted(rng.choice(granule.dates, 5, replace=False)), granule.dates[-1:]):
            values = netcdf.read_dense(granule, product, variable, some)
            expected = truth[variable].sel(valid_time=np.array(some, "datetime64[ns]")).values
            np.testing.assert_array_equal(values, expected)  # NaN, the sea, stays NaN
            n += values.size
    # preliminary months are kept
    if "expver" in truth:
        assert set(truth["expver"].values) == {"0001", "0005"} and len(granule.dates) == truth.sizes["valid_time"]
    count_cases("ERA5-Land values against xarray", n)


def test_daily_and_monthly_era5_are_not_taken_for_each_other(shared):
    folder = shared / "data" / "era5_land"
    with pytest.raises(BadFile, match="has 31 time steps in 2025-07, but era5_land_monthly has one a month"):
        _inspect(folder / DAILY, find_product("era5_land_monthly"))
    with pytest.raises(
        BadFile, match=r"has one time step a month \(1990-01 to 2025-08\), but era5_land_daily is daily"
    ):
        _inspect(folder / MONTHLY, find_product("era5_land_daily"))
    count_cases("ERA5-Land files as the other product", 2)


def test_raster_reads_imerg_and_land_cover(shared):
    path = shared / "data" / "imerg" / "java_cli_imerg_1months_2000_2020.nc"
    product = complete(find_product("raster"), "imerg", "latlon_0p1", None, [path])
    assert product.time_step == "month"
    granule = _inspect(path, product)
    truth = xr.open_dataset(path, engine="netcdf4", mask_and_scale=False)["precipitation"]
    values = netcdf.read_dense(granule, product, "precipitation", granule.dates[::50])
    np.testing.assert_array_equal(values, truth.values[::50, ::-1])  # the file runs south to north
    assert granule.dates[0] == date(2000, 6, 1) and len(granule.dates) == 247
    path = shared / "data" / "land_cover_global" / "IGBP.nc"
    product = complete(find_product("raster"), "igbp", None, None, [path])
    granule = _inspect(path, product)
    assert (product.time_step, granule.grid.grid_id, granule.dates) == ("static", "latlon_0p1", ())
    truth = xr.open_dataset(path, engine="netcdf4", mask_and_scale=False)["IGBP"]
    np.testing.assert_array_equal(netcdf.read_dense(granule, product, "IGBP", ())[0], truth.values[::-1])
    count_cases("raster NetCDF files against xarray", 2)


def test_legacy_era5_is_rolled_to_180_west(shared):
    path = shared / "data" / "era5_netcdf_legacy" / "ERA5_AN_20100101_0000.nc"
    product = complete(find_product("raster"), "era5", "era5_0p25", {"variables": [{"name": "swvl1"}]}, [path])
    granule = _inspect(path, product)
    assert granule.dates == (date(2010, 1, 1),)
    truth = xr.open_dataset(path, engine="netcdf4")["swvl1"]
    values = netcdf.read_dense(granule, product, "swvl1", granule.dates)
    rng = np.random.default_rng(2)
    for i, j in zip(rng.integers(0, 721, 200), rng.integers(0, 1440, 200), strict=True):
        lat, lon = float(truth.latitude[i]), float(truth.longitude[j])
        row, col, _ = granule.grid.locate(lon, lat)
        np.testing.assert_equal(values[0, row[0], col[0]], truth.values[i, j])
    count_cases("pixels of a 0..360 file", 200)


def test_an_outage_is_said(shared):
    empty = [p for p in (shared / "data" / "smap_l3_timeseries").rglob("*.nc") if _has_no_variables(p)]
    product = _product()
    for path in empty:
        with pytest.raises(BadFile, match=r"holds no variables at all.*outage"):
            netcdf.inspect(path, product, None)
    count_cases("outage files without variables", len(empty))


def _has_no_variables(path: Path) -> bool:
    with netCDF4.Dataset(path) as dataset:
        return set(dataset.variables) <= set(dataset.dimensions)


# -- small files --------------------------------------------------------------------------------------------------------


def _product(dtype="float32", fill=(-9999,), grid="latlon_0p25", **changes):
    fields = {
        "name": "test", "title": "t", "format": "netcdf", "kind": "gridded", "grid": grid, "time_step": "day", "source": "s",
        "variables": [{"name": "sm", "dtype": dtype, "fill": list(fill), "unit": "m3 m-3"}],
    }  # fmt: skip
    return validate({**fields, **changes}, "test")


LAT = 50 - 0.125 - 0.25 * np.arange(3)
LON = 10 + 0.125 + 0.25 * np.arange(4)
VALUES = np.arange(24, dtype=np.float32).reshape(2, 3, 4)


def _write(
    path: Path, values=VALUES, lat=LAT, lon=LON, time=(18262, 18263), units="days since 1970-01-01", dtype=None,
    names=("time", "lat", "lon"), variable="sm", format="NETCDF4", coordinates=None, time_fill=None, **attributes,
) -> Path:  # fmt: skip
    with netCDF4.Dataset(path, "w", format=format) as out:
        out.set_auto_maskandscale(False)
        x, y = coordinates or ({"units": "degrees_east"}, {"units": "degrees_north"})
        lengths = {names[0]: None if time is None else len(time), "lat": len(lat), "lon": len(lon)}
        for name in names:
            if lengths.get(name) is not None:
                out.createDimension(name, lengths[name])
        for name, centres, described in (("lon", lon, x), ("lat", lat, y)):
            out.createVariable(name, "f8", (name,))[:] = centres
            out[name].setncatts(described)
        if time is not None:
            out.createVariable(names[0], np.asarray(time).dtype, (names[0],), fill_value=time_fill)[:] = time
            out[names[0]].units = units
        fill = attributes.pop("_FillValue", None)
        lies = out.createVariable(
            variable, dtype or values.dtype, tuple(n for n in names if n in out.dimensions), fill_value=fill
        )
        lies.set_auto_maskandscale(False)
        lies.setncatts(attributes)
        lies[:] = values
    return path


def _read(path, product=None, variable="sm"):
    product = product or _product()
    granule = _inspect(path, product)
    return granule, netcdf.read_dense(granule, product, variable, granule.dates)


@pytest.mark.parametrize("format", ["NETCDF4", "NETCDF3_CLASSIC", "NETCDF3_64BIT_OFFSET"])
def test_a_plain_file(tmp_path, format):
    granule, values = _read(_write(tmp_path / "a.nc", time=np.array([18262, 18263], "i4"), format=format))
    assert granule.dates == (date(2020, 1, 1), date(2020, 1, 2))
    assert granule.window == Window(160, 760, 3, 4)
    np.testing.assert_array_equal(values, VALUES)
    assert values.flags.c_contiguous and values.dtype == np.float32


def test_south_up_lon_first_and_times_out_of_order(tmp_path):
    turned = VALUES[::-1, ::-1].transpose(2, 0, 1)
    path = tmp_path / "a.nc"
    with netCDF4.Dataset(path, "w") as out:
        for name, centres, units in (
            ("lon", LON, "degrees_east"),
            ("lat", LAT[::-1], "degrees_north"),
            ("time", [2, 1], "days since 2019-12-31"),
        ):
            out.createDimension(name, len(centres))
            out.createVariable(name, "f4", (name,))[:] = centres
            out[name].units = units
        out.createVariable("sm", "f4", ("lon", "time", "lat"))[:] = turned
    granule, values = _read(path)
    assert granule.dates == (date(2020, 1, 1), date(2020, 1, 2))
    np.testing.assert_array_equal(values, VALUES)


def test_longitudes_from_0_to_360(tmp_path):
    lon = 0.125 + 0.25 * np.arange(1440)
    values = np.broadcast_to(lon.astype(np.float32), (1, 3, 1440)).copy()
    granule, read = _read(_write(tmp_path / "a.nc", values, lon=lon, time=[18262]))
    assert granule.window == Window(160, 0, 3, 1440)
    np.testing.assert_array_equal(read[0, 0], np.r_[lon[720:], lon[:720]].astype(np.float32))
    # a window west of Greenwich, given as 0..360
    granule, _ = _read(_write(tmp_path / "b.nc", lon=LON + 340))
    assert granule.window.column == round((LON[0] - 20 + 180 - 0.125) / 0.25)
    with pytest.raises(BadFile, match="crosses longitude -180, where grid latlon_0p25 begins: cut it in two there"):
        _read(_write(tmp_path / "c.nc", lon=LON - LON[0] + 179.625))


def test_unsigned_times_names_as_dates_and_static(tmp_path):
    granule, _ = _read(_write(tmp_path / "a.nc", time=np.array([18262, 18263], "u2"), time_fill=65535))
    assert granule.dates[0] == date(2020, 1, 1)
    path = _write(tmp_path / "sm_20200105.nc", VALUES[0], time=None)
    assert _read(path)[0].dates == (date(2020, 1, 5),)
    granule, values = _read(path, _product(time_step="static"))
    assert granule.dates == () and values.shape == (1, 3, 4)
    # a time axis wins over whatever looks like a date in the name
    assert len(_read(_write(tmp_path / "window_20200301_20200302_made_20240101.nc"))[0].dates) == 2
    with pytest.raises(BadFile, match="more than one date"):
        _read(_write(tmp_path / "sm_20200105_20200106.nc", VALUES[0], time=None))
    monthly = _write(tmp_path / "m.nc", time=[18262 + 14, 18262 + 45])
    assert _read(monthly, _product(time_step="month"))[0].dates == (date(2020, 1, 1), date(2020, 2, 1))


def test_packed_integers_are_unpacked_only_when_floats_are_declared(tmp_path):
    packed = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    packed[0, 0, 0] = -32767
    path = _write(tmp_path / "a.nc", packed, scale_factor=0.01, add_offset=0.5, _FillValue=np.int16(-32767))
    _, values = _read(path, _product(fill=()))
    expected = xr.open_dataset(path, engine="netcdf4")["sm"].values.astype(np.float32)
    np.testing.assert_allclose(values, expected, rtol=1e-6)
    assert np.isnan(values[0, 0, 0])
    assert _read(path)[1][0, 0, 0] == -9999  # the product's fill where it has one
    _, raw = _read(path, _product("int16", [-32767]))
    np.testing.assert_array_equal(raw, packed)


def test_the_files_own_fill_becomes_the_products(tmp_path):
    values = VALUES.copy()
    values[1, 2, 3] = 1e20
    path = _write(tmp_path / "a.nc", values, missing_value=np.float32(1e20))
    _, read = _read(path)
    assert read[1, 2, 3] == -9999 and (read == values).sum() == 23
    assert np.isnan(_read(path, _product(fill=()))[1][1, 2, 3])
    whole = _write(tmp_path / "b.nc", values.astype(np.int16), _FillValue=np.int16(-7))
    with pytest.raises(BadFile, match="sm marks missing values with -7, which the product does not declare as fill"):
        _read(whole, _product("int16", []))


def test_unsigned_bytes_of_netcdf3(tmp_path):
    values = np.array([[[0, 100], [-56, -1]]], np.int8)
    path = _write(
        tmp_path / "a.nc", values, LAT[:2], LON[:2], time=np.array([18262], "i4"), format="NETCDF3_CLASSIC",
        _Unsigned="true", _FillValue=np.int8(-1),
    )  # fmt: skip
    _, read = _read(path, _product("uint8", [255]))
    assert read.dtype == np.uint8 and read.tolist() == [[[0, 100], [200, 255]]]


def test_final_and_preliminary_versions_of_old_era5_are_united(tmp_path):
    path = tmp_path / "a.nc"
    both = np.stack([VALUES, VALUES + 100], axis=1)
    both[1, 0] = np.nan  # the second day is only preliminary
    both[0, 1] = np.nan
    with netCDF4.Dataset(path, "w") as out:
        for name, centres, units in (
            ("longitude", LON, "degrees_east"),
            ("latitude", LAT, "degrees_north"),
            ("time", [18262, 18263], "days since 1970-01-01"),
            ("expver", [1, 5], "1"),
        ):
            out.createDimension(name, len(centres))
            out.createVariable(name, "f8", (name,))[:] = centres
            out[name].units = units
        out.createVariable("sm", "f4", ("time", "expver", "latitude", "longitude"))[:] = both
    _, values = _read(path)
    np.testing.assert_array_equal(values, np.stack([VALUES[0], VALUES[1] + 100]))


def test_projected_axes_and_their_crs(tmp_path):
    grid = GRIDS["ease2_m36"]
    x, _ = grid.xy_of(0, np.arange(100, 104))
    _, y = grid.xy_of(np.arange(50, 53), 0)
    metres = (
        {"units": "m", "standard_name": "projection_x_coordinate"},
        {"units": "m", "standard_name": "projection_y_coordinate"},
    )
    product = _product(grid="ease2_m36")
    with pytest.raises(BadFile, match="carries no projection"):
        _read(_write(tmp_path / "none.nc", lat=y, lon=x, coordinates=metres), product)
    path = _write(tmp_path / "a.nc", lat=y, lon=x, coordinates=metres, grid_mapping="crs")
    with netCDF4.Dataset(path, "a") as out:
        out.createVariable("crs", "i4").setncatts(
            {"grid_mapping_name": "lambert_cylindrical_equal_area", "standard_parallel": 30.0, "longitude_of_central_meridian": 0.0,
             "semi_major_axis": 6378137.0, "inverse_flattening": 298.257223563}
        )  # fmt: skip
    assert _read(path, product)[0].window == Window(50, 100, 3, 4)
    with pytest.raises(BadFile, match="coordinates are in metres, those of grid latlon_0p25 in degrees"):
        _read(path)
    known = _product(grid="ease2_m36", options={"crs": "EPSG:6933"})
    assert _read(_write(tmp_path / "b.nc", lat=y, lon=x, coordinates=metres), known)[0].window == Window(50, 100, 3, 4)
    other = _product(grid="ease2_m36", options={"crs": "EPSG:3857"})
    with pytest.raises(BadFile, match="its projection is EPSG:3857, that of grid ease2_m36 is EPSG:6933"):
        _read(_write(tmp_path / "c.nc", lat=y, lon=x, coordinates=metres), other)


def test_the_files_own_grid(tmp_path):
    product = _product(grid="from_file")
    assert _inspect(_write(tmp_path / "a.nc"), product).grid.grid_id == "latlon_0p25"
    granule = _inspect(_write(tmp_path / "b.nc", lat=LAT + 0.01), product)
    assert (granule.grid.grid_id, granule.grid.n_rows, granule.grid.n_cols) == ("test", 3, 4)
    assert (granule.grid.left, granule.grid.top, granule.grid.cell_width) == (10.0, 50.01, 0.25)


def test_read_dense_of_a_file_that_was_replaced(tmp_path):
    path = _write(tmp_path / "a.nc")
    _, before = _read(path)
    path.unlink()
    _, after = _read(_write(path, VALUES + 1))
    np.testing.assert_array_equal(after, before + 1)
    # written over in place, same inode, while the reader still has it open
    path.write_bytes(_write(tmp_path / "b.nc", VALUES + 7).read_bytes())
    np.testing.assert_array_equal(_read(path)[1], VALUES + 7)


# -- what is refused ----------------------------------------------------------------------------------------------------


def _empty_file(tmp_path):
    path = tmp_path / "a.nc"
    path.write_bytes(b"")
    return path


def _truncated(tmp_path):
    path = _write(tmp_path / "a.nc", np.random.default_rng(0).random((2, 3, 4), np.float32))
    path.write_bytes(path.read_bytes()[:-300])
    return path


def _words(tmp_path, start: bytes):
    path = tmp_path / "a.nc"
    path.write_bytes(start + b" " * 100)
    return path


def _without_times(tmp_path):
    path = _write(tmp_path / "a.nc")
    with netCDF4.Dataset(path, "a") as out:
        out.renameVariable("time", "when")
    return path


def _extra_dimension(tmp_path):
    path = tmp_path / "a.nc"
    with netCDF4.Dataset(_write(path), "a") as out:
        out.createDimension("depth", 2)
        out.renameVariable("sm", "other")
        out.createVariable("sm", "f4", ("depth", "lat", "lon"))[:] = VALUES
    return path


REFUSALS = {
    "empty": (_empty_file, {}, r"is empty \(0 bytes\)"),
    "truncated": (_truncated, {}, "truncated"),
    "zip": (lambda t: _words(t, b"PK\x03\x04"), {}, "is not a NetCDF file but a zip archive: unpack it first"),
    "login page": (lambda t: _words(t, b"<!DOCTYPE html>"), {}, "but a web page"),
    "text": (lambda t: _words(t, b"hello"), {}, "is not a NetCDF file"),
    "GeoTIFF": (lambda t: _words(t, b"II*\x00"), {}, "but a TIFF image"),
    "other product's name": (lambda t: _write(t / "a.nc"), {"file_pattern": r"^b(?P<date>\d{8})"}, "its name is not that of a test file"),
    "other variables": (lambda t: _write(t / "a.nc", variable="swvl1"), {}, "has no variable sm; it has lat, lon, swvl1, time"),
    "other type": (lambda t: _write(t / "a.nc", VALUES.astype("f8")), {}, "sm is float64, but the product says float32"),
    "other cell size": (lambda t: _write(t / "a.nc", lat=LAT[0] - 0.5 * np.arange(3)), {}, r"its cells are 0\.25 x 0\.5, those of grid latlon_0p25"),
    "shifted": (lambda t: _write(t / "a.nc", lat=LAT + 0.125, lon=LON + 0.125), {}, r"lie 0\.50 of a cell beside those of grid latlon_0p25; it would fit era5_0p25"),
    "uneven": (lambda t: _write(t / "a.nc", lat=[50, 49.75, 49.4]), {}, "not evenly spaced"),
    "NaN coordinates": (lambda t: _write(t / "a.nc", lat=[np.nan, 49.75, 49.5]), {}, "empty or not finite"),
    "all fill": (lambda t: _write(t / "a.nc", np.full_like(VALUES, -9999)), {}, "every value of sm is fill"),
    "all NaN": (lambda t: _write(t / "a.nc", np.full_like(VALUES, np.nan)), {}, "every value of sm is fill"),
    "impossible year": (lambda t: _write(t / "a.nc", time=[18262, 999999]), {}, "outside 1850 to 2200"),
    "missing time": (lambda t: _write(t / "a.nc", time=np.array([18262, 65535], "u2"), time_fill=65535), {}, "has missing times"),
    "no time units": (lambda t: _write(t / "a.nc", units="days"), {}, "has no units like"),
    "no times": (_without_times, {}, r"has a time dimension \(time\) without times"),
    "no date anywhere": (lambda t: _write(t / "a.nc", VALUES[0], time=None), {}, "has no time: neither a time coordinate nor a date in its name"),
    "hourly": (lambda t: _write(t / "a.nc", time=[18262, 18262.5]), {}, "has 2 time steps in 2020-01-01, but test has one a day: aggregate it first"),
    "daily for a monthly product": (lambda t: _write(t / "a.nc"), {"time_step": "month"}, "has 2 time steps in 2020-01, but test has one a month"),
    "times for a static product": (lambda t: _write(t / "a.nc"), {"time_step": "static"}, "has 2 time steps, but test does not change"),
    "renamed": (lambda t: _write(t / "a20200107.nc", VALUES[:1], time=[18262]), {"file_pattern": r"a(?P<date>\d{8})"}, "its name says 2020-01-07, its time axis 2020-01-01"),
    "depths": (_extra_dimension, {}, "has the dimension depth of length 2, which is neither place nor time"),
    "flat": (lambda t: _write(t / "a.nc", variable="sm", coordinates=({"units": "1"}, {"units": "1"}), names=("time", "lat", "lon")), {"variables": [{"name": "lat", "dtype": "float64", "unit": "1"}]}, "lat is no map: its dimensions are lat"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSALS)
def test_what_is_refused_and_why(tmp_path, case):
    write, changes, reason = REFUSALS[case]
    path = write(tmp_path)
    with pytest.raises(BadFile, match=reason) as error:
        _read(path, _product(**changes))
    assert str(tmp_path) not in error.value.reason and "\n" not in error.value.reason


def test_curvilinear_files_are_refused(tmp_path):
    path = tmp_path / "a.nc"
    with netCDF4.Dataset(path, "w") as out:
        out.createDimension("j", 3)
        out.createDimension("i", 4)
        for name, units in (("lat", "degrees_north"), ("lon", "degrees_east")):
            out.createVariable(name, "f4", ("j", "i"))[:] = 1
            out[name].units = units
        out.createVariable("sm", "f4", ("j", "i"))[:] = 1
    with pytest.raises(BadFile, match="two-dimensional"):
        _read(path)


def test_many_steps_are_read_in_any_selection(tmp_path):
    days = [date(2020, 1, 1) + timedelta(days=i) for i in range(40)]
    values = np.random.default_rng(3).random((40, 3, 4), np.float32)
    product = _product()
    granule = _inspect(_write(tmp_path / "a.nc", values, time=18262 + np.arange(40)), product)
    for chosen in ([0], [3, 4, 5], [0, 7, 39]):
        read = netcdf.read_dense(granule, product, "sm", [days[i] for i in chosen])
        np.testing.assert_array_equal(read, values[chosen])
