"""Every real file of satellite and reanalysis products: it loads, equal to what another library reads, or is refused with its reason."""

from __future__ import annotations

import shutil
from datetime import date, datetime, timedelta
from pathlib import Path

import h5py
import netCDF4
import numpy as np
import pandas as pd
import polars as pl
import pytest
import xarray as xr

from loaders.grids import GRIDS
from loaders.lake import Lake
from loaders.load import LoadReport, load
from loaders.products import complete, find_product
from tests.conftest import count_cases
from tests.loaders.load_files import rows_of
from tests.warehouse import Warehouse

L4_NAME = "SMAP_L4_SM_aup_20200128T030000_Vv4030_001.h5"


def loaded(root: Path, product: str, paths: list[Path], **template) -> tuple[LoadReport, pl.DataFrame]:
    """The report and the lake's rows of files loaded as a product (with `template`: as one completed from it)."""
    lake = Lake(root / "lake")
    found = find_product(product)
    if template:
        found = complete(found, template["name"], template.get("grid"), template.get("mapping"), paths)
    report = load(found, paths, lake)
    rows = pl.from_arrow(rows_of(lake, found.name)) if lake.month_files(found.name) else pl.DataFrame()
    return report, rows


def reasons(report: LoadReport) -> dict[str, str]:
    return {f.name: f.reason for f in report.files if f.status == "skipped"}


@pytest.fixture(scope="module")
def house(shared, tmp_path_factory) -> Warehouse:
    """One lake of real files, and the staging views of four products over it: a dbt call takes longer than all of them."""
    house = Warehouse(tmp_path_factory.mktemp("real"))
    data = shared / "data"
    for product, path in (
        ("gldas_noah_3h", data / "gldas"),
        ("era5_hourly", data / "era5_netcdf_legacy"),
        ("spl3smp_points", data / "smap_l3_timeseries/pakistan"),
        ("spl3smp_e_points", data / "smap_l3_timeseries/pakistan_9km"),
    ):
        load(find_product(product), [path], Lake(house.lake))
    soil = {"variable": "soil_moisture", "layer": "0-5 cm"}
    house.study = {
        "name": "real",
        "groups": [],
        "period": {"start": "2010-01-01", "end": "2025-01-01"},
        "time_zone": "UTC",
        "series": [
            {"variable": "soil_moisture", "product": "gldas_noah_3h", "layer": "0-10 cm", "hours": [0, 24]},
            {"variable": "soil_moisture", "product": "gldas_noah_3h", "layer": "10-40 cm"},
            {"variable": "soil_moisture", "product": "era5_hourly", "layer": "0-7 cm", "hours": [0, 24]},
            {"product": "spl3smp_points", **soil},
            {"product": "spl3smp_e_points", **soil},
        ],
    }
    views = ("gldas_noah_3h", "era5_hourly", "spl3smp_points", "spl3smp_e_points")
    house.dbt("run", "--select", *(f"stg_{view}" for view in views))
    return house


# -- GLDAS --------------------------------------------------------------------------------------------------------------


def test_gldas_equals_xarray_and_becomes_volumetric(shared, house):
    (path,) = (shared / "data/gldas").glob("*.nc4")
    rows = pl.from_arrow(rows_of(Lake(house.lake), "gldas_noah_3h"))
    with xr.open_dataset(path, engine="netcdf4", mask_and_scale=False) as data:
        upper, lower = data["SoilMoi0_10cm_inst"].values[0], data["SoilMoi10_40cm_inst"].values[0]
        lat, lon = data["lat"].values, data["lon"].values
    i, j = np.nonzero(upper != -9999)
    # the file runs south to north: 89.875 is the grid's row 0
    pixel = np.round((89.875 - lat[i]) / 0.25).astype(int) * 1440 + np.round((lon[j] + 179.875) / 0.25).astype(int)
    expected = pl.DataFrame({"pixel_id": pixel.astype(np.int32), "a": upper[i, j], "b": lower[i, j]}).sort("pixel_id")
    assert rows.height == expected.height == 243_883
    np.testing.assert_array_equal(rows["pixel_id"], expected["pixel_id"])
    np.testing.assert_array_equal(rows["SoilMoi0_10cm_inst"], expected["a"])
    np.testing.assert_array_equal(rows["SoilMoi10_40cm_inst"], expected["b"])
    assert set(rows["obs_time"]) == {datetime(2016, 1, 1, 6)}

    got = house.query(
        "select pixel_id, obs_date, soil_moisture_0_10cm as a, soil_moisture_10_40cm as b from staging.stg_gldas_noah_3h order by pixel_id"
    )
    assert set(got["obs_date"]) == {date(2016, 1, 1)}
    np.testing.assert_allclose(got["a"], expected["a"].cast(pl.Float64) / 100, rtol=1e-12)
    assert got["b"].null_count() == got.height  # one of eight values makes no day
    assert got["a"].min() > 0.019 and got["a"].max() < 0.48
    count_cases("GLDAS values against xarray", 2 * expected.height)


# -- ERA5 ---------------------------------------------------------------------------------------------------------------


def test_era5_legacy_file_and_its_sea(shared, house):
    (path,) = (shared / "data/era5_netcdf_legacy").glob("*.nc")
    got = house.query(
        "select pixel_id, soil_moisture_0_7cm as sm from staging.stg_era5_hourly where soil_moisture_0_7cm is not null order by pixel_id"
    )
    with xr.open_dataset(path, engine="netcdf4") as data:
        land = data["lsm"].values >= 0.5
        sm = np.maximum(data["swvl1"].values, 0).astype(np.float64)
        row = np.round((90 - data["latitude"].values) / 0.25).astype(int)
        column = np.round(((data["longitude"].values + 180) % 360) / 0.25).astype(int)
        assert data["swvl1"].values[~land].max() < 0.8 and data["swvl1"].values.min() < 0
    i, j = np.nonzero(land)
    expected = pl.DataFrame({"pixel_id": row[i] * 1440 + column[j], "sm": sm[i, j]}).sort("pixel_id")
    np.testing.assert_array_equal(got["pixel_id"], expected["pixel_id"])
    np.testing.assert_allclose(got["sm"], expected["sm"], rtol=1e-12)
    count_cases("ERA5 land cells against xarray", expected.height)


@pytest.mark.parametrize(("area", "grid", "refused"), [("pakistan", "era5_0p25", 0), ("australia", "era5_hourly", 3)])
def test_era5_windows_load_on_their_own_grid(shared, tmp_path, area, grid, refused):
    paths = sorted((shared / "data/era5_timeseries" / area).glob("*.nc"))
    report, rows = loaded(tmp_path, "era5_hourly", paths)
    assert report.grid_id == grid
    # windows that were asked for by lists of days and months repeat hours of others
    assert len(reasons(report)) == refused
    assert all("the same place and time as rows of" in reason for reason in reasons(report).values())
    skipped = set(reasons(report))
    kept = [p for p in paths if p.name not in skipped]
    frames = []
    for path in kept:
        with xr.open_dataset(path, engine="netcdf4") as data:
            frame = data[["swvl1", "lsm"]].to_dataframe().reset_index()
        frames.append(frame[["valid_time", "latitude", "longitude", "swvl1", "lsm"]])
    expected = pl.from_pandas(pd.concat(frames))
    place = Lake(tmp_path / "lake").grid(grid)
    row, column, _ = place.locate(expected["longitude"].to_numpy(), expected["latitude"].to_numpy())
    expected = expected.with_columns(
        pl.Series("pixel_id", place.pixel_id(row, column)),
        pl.col("valid_time").cast(pl.Datetime("us")).alias("obs_time"),
    ).sort("pixel_id", "obs_time")
    rows = rows.sort("pixel_id", "obs_time")
    assert rows.height == expected.height
    for column in ("pixel_id", "obs_time", "swvl1", "lsm"):
        assert rows[column].to_list() == expected[column].to_list(), column
    # the window that ends before it begins: three days of one month, read from the time axis
    if area == "australia":
        days = rows.filter(pl.col("granule") == "ERA5_20181031_20181002.nc")["obs_time"].dt.date().unique().sort()
        assert days.to_list() == [date(2018, 10, 1), date(2018, 10, 2), date(2018, 10, 31)]
    count_cases("ERA5 window files", len(kept))


def _grib1(content: bytes) -> dict[tuple[int, int], np.ndarray]:
    """GRIB edition 1 decoded by hand (simple packing): {(parameter, top of the layer): values, rows as in the file}."""
    found, at = {}, 0
    while at < len(content):
        assert content[at : at + 4] == b"GRIB" and content[at + 7] == 1
        length = int.from_bytes(content[at + 4 : at + 7], "big")
        pds = at + 8
        parameter, top = content[pds + 8], content[pds + 10]
        decimal = _signed(content[pds + 26 : pds + 28])
        flag = content[pds + 7]
        gds = pds + int.from_bytes(content[pds : pds + 3], "big")
        n_x, n_y = (int.from_bytes(content[gds + k : gds + k + 2], "big") for k in (6, 8))
        scan = content[gds + 27]
        section = gds + int.from_bytes(content[gds : gds + 3], "big")
        assert flag & 0x80 and not flag & 0x40  # a grid and no bitmap
        binary = _signed(content[section + 4 : section + 6])
        reference = content[section + 6 : section + 10]
        mantissa = int.from_bytes(reference[1:], "big") / 2**24 * 16.0 ** ((reference[0] & 0x7F) - 64)
        base = -mantissa if reference[0] & 0x80 else mantissa
        bits = content[section + 10]
        packed = np.unpackbits(np.frombuffer(content[section + 11 : at + length - 4], np.uint8))
        whole = packed[: n_x * n_y * bits].reshape(n_x * n_y, bits) if bits else np.zeros((n_x * n_y, 0), int)
        numbers = whole @ (2.0 ** np.arange(bits)[::-1])
        values = ((base + numbers * 2.0**binary) / 10.0**decimal).reshape(n_y, n_x)
        found[parameter, top] = values[::-1] if scan & 0x40 else values
        at += length
    return found


def _signed(two: bytes) -> int:
    number = int.from_bytes(two, "big")
    return -(number & 0x7FFF) if number & 0x8000 else number


def test_era5_grib_equals_a_decoding_by_hand(shared, tmp_path):
    (path,) = (shared / "data/era5_grib").glob("*.grib")
    decoded = _grib1(path.read_bytes())
    names = {
        "t2m": 167,
        "stl1": 139,
        "stl2": 170,
        "stl3": 183,
        "stl4": 236,
        "slt": 43,
        "swvl1": 39,
        "swvl2": 40,
        "swvl3": 41,
        "swvl4": 42,
    }
    by_parameter = {parameter: values for (parameter, _), values in decoded.items()}
    assert set(by_parameter) == set(names.values())
    for product, template in (("era5_land_hourly", {}), ("raster", {"name": "mix", "mapping": {"time_step": "instant"}}), ("raster", {"name": "daily"})):  # fmt: skip
        report, rows = loaded(tmp_path / (template.get("name") or product), product, [path], **template)
        assert report.ok
        assert rows["obs_date"].unique().to_list() == [date(2022, 1, 1)]
        for name in names.keys() & set(rows.columns):
            values = rows.sort("pixel_id")[name].to_numpy().reshape(6, 6)
            np.testing.assert_allclose(values, by_parameter[names[name]], rtol=1e-6, atol=1e-6)
    assert 250 < by_parameter[167].min() < 300  # Kelvin, though the message's unit tag says degrees Celsius
    count_cases("GRIB values against a decoding by hand", 36 * len(names))
    report, _ = loaded(tmp_path / "era5", "era5_hourly", [path])
    assert "has no variable lsm" in reasons(report)[path.name]


# -- SMAP ---------------------------------------------------------------------------------------------------------------


def test_smap_l4_equals_h5py_by_the_files_own_columns(shared, tmp_path):
    folder = tmp_path / "files"
    folder.mkdir()
    source = shared / "data/smap_l4_h5/SMAP_L4_SM_aup_input.h5"
    shutil.copy(source, folder / L4_NAME)
    report, rows = loaded(tmp_path, "spl4smau", [folder])
    assert report.ok and report.grid_id == "ease2_m09"
    with h5py.File(source) as file:
        column = file["cell_column"][:]
        y = file["y"][:]
        values = {
            name: file[f"Analysis_Data/{name}_analysis"][:] for name in ("sm_surface", "sm_profile", "surface_temp")
        }
        seconds = float(file["time"][0])
    row = np.round((7314540.8306386 - y) / 9008.055210146 - 0.5).astype(int)[:, None] + 0 * column.astype(int)
    valid = np.any([v != -9999 for v in values.values()], axis=0)
    pixel = (row * 3856 + column)[valid]
    order = np.argsort(pixel)
    assert valid.sum() == rows.height
    np.testing.assert_array_equal(rows["pixel_id"], pixel[order])
    for name, array in values.items():
        np.testing.assert_array_equal(rows[name], array[valid][order])
    moment = datetime(2000, 1, 1, 11, 58, 55, 816000) + timedelta(seconds=seconds)
    assert abs(rows["obs_time"][0] - moment) <= timedelta(seconds=0.5)
    count_cases("SMAP L4 cells against h5py", int(valid.sum()))


def test_smap_l4_reprojected_to_degrees_is_refused(shared, tmp_path):
    path = shared / "data/smap_l4_h5/SMAP_L4_SM_aup_dimension_list_input.h5"
    report, _ = loaded(tmp_path, "spl4smau", [path])
    assert "its coordinates are in degrees, those of grid ease2_m09 in metres" in reasons(report)[path.name]
    count_cases("SMAP L4 files refused", 1)


def test_smap_l3_coordinates_lie_on_the_grid_and_the_files_without_soil_moisture_are_refused(shared, tmp_path):
    folder = shared / "data/smap_l3_h5"
    rows, columns = np.indices((406, 964))
    lon, lat = GRIDS["ease2_m36"].lonlat_of(rows, columns)
    n = 0
    with h5py.File(folder / "SC_SPL3SMP_009_prefetch.nc4") as file:
        for group, suffix in (("Soil_Moisture_Retrieval_Data_AM", ""), ("Soil_Moisture_Retrieval_Data_PM", "_pm")):
            its_lat, its_lon = file[f"{group}/latitude{suffix}"][:], file[f"{group}/longitude{suffix}"][:]
            seen = its_lat != -9999
            assert 0.3 < seen.mean() < 0.7  # holes where nothing was observed
            np.testing.assert_allclose(its_lat[seen], lat[seen], atol=2e-5)
            np.testing.assert_allclose(its_lon[seen], lon[seen], atol=2e-5)
            n += int(seen.sum())
    count_cases("SMAP L3 cells placed by their row and column", n)
    for number, name in enumerate(sorted(p.name for p in folder.iterdir())):
        official = tmp_path / f"SMAP_L3_SM_P_2015040{number + 1}_R18290_001.h5"
        shutil.copy(folder / name, official)
        for product, group in (("spl3smp_am", "_AM/soil_moisture"), ("spl3smp_pm", "_PM/soil_moisture_pm")):
            report, _ = loaded(tmp_path / product, product, [official])
            assert group in reasons(report)[official.name] and "; it has" in reasons(report)[official.name]
            assert "its name is not that of" in reasons(loaded(tmp_path / product, product, [folder / name])[0])[name]
    count_cases("SMAP L3 files refused", 2)


def _by_cell_and_day(frame: pl.DataFrame) -> pl.DataFrame:
    values = pl.col("sm").cast(pl.Float64).fill_nan(None).sum()
    keys = [pl.col("pixel_id").cast(pl.Int64), "obs_date"]
    return frame.group_by(keys).agg(pl.len(), values).sort("pixel_id", "obs_date")


@pytest.mark.parametrize(
    ("area", "product", "outages"),
    [
        ("pakistan", "spl3smp_points", 7),
        ("australia", "spl3smp_points", 5),
        ("thailand", "spl3smp_points", 0),
        ("pakistan_9km", "spl3smp_e_points", 0),
    ],
)
def test_smap_points_equal_netcdf4_and_outages_say_so(shared, house, tmp_path, area, product, outages):
    paths = sorted((shared / "data/smap_l3_timeseries" / area).glob("*.nc"))
    report, rows = loaded(tmp_path, product, paths)
    refused = reasons(report)
    assert len(refused) == outages and all("nothing was observed (an outage)" in r for r in refused.values())
    grid = GRIDS[find_product(product).grid]
    parts = []
    for path in paths:
        if path.name in refused:
            continue
        with netCDF4.Dataset(path) as data:
            lat, lon = (np.asarray(data[name][:].data, np.float64) for name in ("latitude", "longitude"))
            sm = data["soil_moisture"][:].filled(np.nan)
        day = path.name.split("_")[1] if "9km" not in path.name else path.name[-13:-3].replace("-", "")
        # cells from the projection by hand: lambert cylindrical equal area on the ellipsoid
        e = np.sqrt(2 / 298.257223563 - 1 / 298.257223563**2)
        s, k = np.sin(np.radians(lat)), np.cos(np.radians(30)) / np.sqrt(1 - (e * np.sin(np.radians(30))) ** 2)
        q = (1 - e**2) * (s / (1 - (e * s) ** 2) + np.arctanh(e * s) / e)
        x, y = 6378137 * k * np.radians(lon), 6378137 * q / (2 * k)
        column = np.floor((x + 17367530.4451615) / grid.cell_width).astype(int)
        row = np.floor((7314540.8306386 - y) / grid.cell_height).astype(int)
        parts.append(
            pl.DataFrame(
                {
                    "pixel_id": row * grid.n_cols + column,
                    "sm": sm,
                    "obs_date": [datetime.strptime(day, "%Y%m%d").date()] * sm.size,
                }
            )
        )
    expected = pl.concat(parts)
    assert rows.height == expected.height
    of_lake, of_files = (_by_cell_and_day(f) for f in (rows.rename({"soil_moisture": "sm"}), expected))
    assert of_lake.drop("sm").equals(of_files.drop("sm"))
    np.testing.assert_allclose(of_lake["sm"], of_files["sm"], rtol=1e-9)
    count_cases("SMAP point files", len(paths))

    if not area.startswith("pakistan"):
        return  # the others share their product's staging view
    got = house.query(
        f"select pixel_id, obs_date, soil_moisture_0_5cm as sm from staging.stg_{product} where soil_moisture_0_5cm is not null"
    )
    means = (
        expected.with_columns(pl.col("sm").cast(pl.Float64).fill_nan(None), pl.col("pixel_id").cast(pl.Int64))
        .filter(pl.col("sm").is_between(float(np.float32(0.02)), 0.5))
        .group_by("pixel_id", "obs_date")
        .agg(pl.col("sm").mean().alias("mean"))
    )
    both = got.join(means, on=["pixel_id", "obs_date"])
    assert both.height == got.height == means.height
    np.testing.assert_allclose(both["sm"], both["mean"], rtol=1e-9)


# -- all of them --------------------------------------------------------------------------------------------------------


def test_every_file_of_the_folders_is_loaded_or_refused_above(shared):
    """The folders that the tests here (and those of the readers) walk are all there are of satellites and reanalyses."""
    walked = {
        "gldas", "era5_netcdf_legacy", "era5_timeseries", "era5_grib", "smap_l4_h5", "smap_l3_h5", "smap_l3_timeseries",
        "smap_l2_h5", "esa_cci_daily", "era5_land", "imerg", "chirps_java_monthly",
    }  # fmt: skip
    words = ("smap", "era5", "gldas", "fldas", "cci", "c3s", "imerg", "chirps", "amsr", "smops", "smci", "terraclimate")
    folders = {p.name for p in (shared / "data").iterdir() if p.is_dir() and any(w in p.name for w in words)}
    assert folders - {"conus_smap_daily"} == walked  # conus_smap_daily is a table, made of SMAP by others
    count_cases("folders of satellites and reanalyses", len(walked))
