"""Staging on real files: the flags, units and ranges of each product against the file read by another library and masked by hand."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import h5py
import numpy as np
import polars as pl
import pytest
import rasterio
import xarray as xr

from loaders.lake import Lake
from loaders.load import load
from loaders.products import find_product
from tests.conftest import count_cases
from tests.warehouse import Warehouse, small_grid


def staged(
    root: Path, product: str, files: list[Path], series: dict, start: str, end: str, time_zone: str = "UTC"
) -> Warehouse:
    """The files of one product, loaded by the loaders, and the product's staging view."""
    house = Warehouse(root)
    report = load(find_product(product), files, Lake(house.lake))
    assert report.ok, [file.reason for file in report.files if file.reason]
    house.study = {
        "name": "staging",
        "groups": [],
        "period": {"start": start, "end": end},
        "time_zone": time_zone,
        "series": [{"product": product, **series}],
    }
    house.dbt("build", "--select", f"stg_{product}")
    return house


def test_esa_cci_keeps_flag_0_and_64_only(shared: Path, tmp_path: Path) -> None:
    files = sorted((shared / "data/esa_cci_daily").glob("*.nc"))
    house = staged(
        tmp_path,
        "esa_cci_combined",
        files,
        {"variable": "soil_moisture", "layer": "0-5 cm"},
        "2022-01-01",
        "2022-02-01",
    )
    with xr.open_dataset(files[0], engine="netcdf4", mask_and_scale=False) as data:
        flag, sm = data["flag"].values[0].ravel(), data["sm"].values[0].ravel()
    used = np.flatnonzero(np.isin(flag, (0, 64)) & (sm >= 0) & (sm <= 1))
    assert used.size == 95_475 + 901
    got = house.query(
        "select pixel_id, soil_moisture_0_5cm as sm, is_frozen_0_5cm as is_frozen, obs_date from staging.stg_esa_cci_combined order by pixel_id"
    )
    valid = got.filter(pl.col("sm").is_not_null())
    np.testing.assert_array_equal(valid["pixel_id"], used)
    np.testing.assert_array_equal(valid["sm"], sm[used].astype(np.float64))
    assert set(got["obs_date"]) == {date(2022, 1, 1)}
    frozen = got.filter(pl.col("is_frozen"))["pixel_id"].to_numpy()
    np.testing.assert_array_equal(frozen, np.flatnonzero((flag >= 0) & (flag & 1 == 1)))
    assert not got.filter(pl.col("is_frozen") & pl.col("sm").is_not_null()).height
    count_cases("staging: ESA CCI values", used.size)


def test_smap_half_orbit_keeps_recommended_values_in_range(shared: Path, tmp_path: Path) -> None:
    files = sorted((shared / "data/smap_l2_h5").glob("*.h5"))
    house = staged(
        tmp_path,
        "spl2smp",
        files,
        {"variable": "soil_moisture", "layer": "0-5 cm"},
        "2015-08-01",
        "2015-09-01",
        "Pacific/Auckland",
    )
    with h5py.File(files[0]) as file:
        group = file["Soil_Moisture_Retrieval_Data"]
        sm, quality = group["soil_moisture"][:], group["retrieval_qual_flag"][:]
        pixel = group["EASE_row_index"][:].astype(int) * 964 + group["EASE_column_index"][:]
    assert ((sm > 0) & (quality & 1 == 0)).sum() == 592
    used = (quality & 1 == 0) & (sm >= np.float32(0.02)) & (sm <= np.float32(0.5))
    expected = dict(zip(pixel[used].tolist(), sm[used].astype(np.float64).tolist(), strict=True))
    got = house.query(
        "select pixel_id, obs_date, soil_moisture_0_5cm as sm from staging.stg_spl2smp where soil_moisture_0_5cm is not null"
    )
    assert dict(zip(got["pixel_id"], got["sm"], strict=True)) == expected
    # 01:30 UTC on 11 August is the afternoon of that day in New Zealand.
    assert set(got["obs_date"]) == {date(2015, 8, 11)}
    count_cases("staging: SMAP L2 values", len(expected))


def test_era5_land_monthly_units(shared: Path, tmp_path: Path) -> None:
    files = sorted((shared / "data/era5_land").glob("*monthly*.nc"))
    house = staged(tmp_path, "era5_land_monthly", files, {"variable": "air_temperature"}, "1990-01-01", "2026-01-01")
    with xr.open_dataset(files[0], engine="netcdf4") as data:
        frame = pl.from_pandas(data[["t2m", "tp"]].to_dataframe().reset_index().dropna(subset=["t2m"]))
    days = frame["valid_time"].dt.month_end().dt.day().to_numpy()
    expected = frame.select(
        pl.col("valid_time").dt.date().alias("obs_date"),
        ((90.05 - pl.col("latitude")) / 0.1).floor().cast(pl.Int64).alias("row"),
        ((pl.col("longitude") + 180.05) / 0.1).floor().cast(pl.Int64).alias("col"),
        (pl.col("t2m").cast(pl.Float64) - 273.15).alias("t"),
        (pl.col("tp").cast(pl.Float64) * 1000 * pl.Series(days)).alias("p"),
    ).select("obs_date", (pl.col("row") * 3600 + pl.col("col")).alias("pixel_id"), "t", "p")
    got = house.query(
        "select obs_date, pixel_id, air_temperature, precipitation from staging.stg_era5_land_monthly where air_temperature is not null"
    )
    both = got.join(expected, on=["obs_date", "pixel_id"])
    assert both.height == got.height == expected.height
    np.testing.assert_allclose(both["air_temperature"], both["t"], rtol=1e-12)
    np.testing.assert_allclose(both["precipitation"], both["p"], rtol=1e-12)
    count_cases("staging: ERA5-Land values", 2 * got.height)


def test_chirps_sea_is_null(shared: Path, tmp_path: Path) -> None:
    files = sorted((shared / "data/chirps_java_monthly").glob("*.tif"))[:12]
    house = staged(tmp_path, "chirps_monthly", files, {"variable": "precipitation"}, "2011-01-01", "2012-01-01")
    expected = {}
    for file in files:
        with rasterio.open(file) as raster:
            values = raster.read(1).ravel()
        month = date(int(file.name.split(".")[-3]), int(file.name.split(".")[-2]), 1)
        expected[month] = np.sort(values[values >= 0].astype(np.float64))
    got = house.query("select obs_date, precipitation from staging.stg_chirps_monthly where precipitation is not null")
    for month, values in expected.items():
        np.testing.assert_array_equal(np.sort(got.filter(pl.col("obs_date") == month)["precipitation"]), values)
    assert got.height == sum(map(len, expected.values())) == 12 * 4_908
    count_cases("staging: CHIRPS values", got.height)


@pytest.fixture
def field(tmp_path: Path) -> Warehouse:
    """A product of the user's own with fill, NaN, infinity and values out of range."""
    house = Warehouse(tmp_path)
    house.grid("g", small_grid(1, 8))
    values = [-9999.0, float("nan"), float("inf"), -0.5, 0.0, 1000.0, 5000.0, 12000.0]
    rows = pl.DataFrame({"pixel_id": range(8), "obs_date": [date(2020, 1, 1)] * 8, "sm": values})
    house.product("field", "g", rows, fills={"sm": -9999})
    house.study = {"name": "staging", "groups": [], "period": {"start": "2020-01-01", "end": "2021-01-01"}}
    return house


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"scale": 0.0001, "valid_min": 0, "valid_max": 1}, {4: 0.0, 5: 0.1, 6: 0.5}),
        ({"scale": 0.0001, "valid_min": 0}, {4: 0.0, 5: 0.1, 6: 0.5, 7: 1.2}),
        ({"offset": 1}, {3: 0.5, 4: 1.0, 5: 1001.0, 6: 5001.0, 7: 12001.0}),
    ],
)
def test_custom_series_apply_fill_scale_offset_and_range(field: Warehouse, given: dict, expected: dict) -> None:
    field.study["series"] = [
        {"variable": "soil_moisture", "product": "field", "layer": "0-5 cm", "column": "sm", **given}
    ]
    field.dbt("build", "--select", "stg_custom")
    got = field.query("select pixel_id, value from staging.stg_custom where value is not null order by pixel_id")
    assert got["pixel_id"].to_list() == list(expected)
    np.testing.assert_allclose(got["value"], list(expected.values()), rtol=1e-15)
