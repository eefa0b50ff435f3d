"""From hours to days: daily means, hours of the study's time zone, local solar time, and precipitation that accumulates."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path

import netCDF4
import numpy as np
import polars as pl
import pytest

from loaders.lake import Lake
from loaders.load import load
from loaders.products import complete, find_product
from tests.warehouse import Warehouse

START = datetime(2020, 6, 1)
HOURS = [START + timedelta(hours=h) for h in range(24 * 4 + 1)]  # 00:00 of 1 June to 00:00 of 5 June
LON, LAT = np.array([100.0, 100.1]), np.array([30.1, 30.0])
SERIES = [
    {"variable": "skin_temperature", "product": "era5_land_hourly", "solar_time": 10.5},
    {"variable": "air_temperature", "product": "era5_land_hourly", "hours": [6, 9]},
    {"variable": "soil_temperature", "product": "era5_land_hourly", "layer": "0-7 cm"},
    {"variable": "precipitation", "product": "era5_land_hourly"},
    {"variable": "air_temperature", "product": "my_hours", "column": "t2m", "unit": "degC", "offset": -273.15, "hours": [0, 24]},
]  # fmt: skip


def _values() -> dict[str, np.ndarray]:
    """Hourly maps, (time, lat, lon): temperatures, and rain that accumulates from 00 UTC as ERA5-Land has it."""
    random = np.random.default_rng(3)
    shape = (len(HOURS), 2, 2)
    rain = random.uniform(0, 0.002, shape)  # of the hour that ends at each time
    tp = np.zeros(shape)
    for i, moment in enumerate(HOURS):
        tp[i] = rain[i] + (tp[i - 1] if i and moment.hour != 1 else 0)
    return {
        "skt": random.uniform(270, 320, shape).astype("f4"),
        "t2m": random.uniform(270, 310, shape).astype("f4"),
        "stl1": random.uniform(272, 275, shape).astype("f4"),
        "tp": tp.astype("f4"),
        "rain": rain,
    }


def _write(path: Path, variables: dict[str, np.ndarray], style: str, steps: slice = slice(None)) -> Path:
    """As the Climate Data Store wrote before 2024 (`old`: packed, time in hours from 1900) or writes now (`new`)."""
    moments = HOURS[steps]
    with netCDF4.Dataset(path, "w", format="NETCDF3_64BIT_OFFSET" if style == "old" else "NETCDF4") as data:
        time = "time" if style == "old" else "valid_time"
        origin, unit = (datetime(1900, 1, 1), "hours") if style == "old" else (datetime(1970, 1, 1), "seconds")
        for name, values, units in (("latitude", LAT, "degrees_north"), ("longitude", LON, "degrees_east")):
            data.createDimension(name, 2)
            data.createVariable(name, "f4" if style == "old" else "f8", (name,))[:] = values
            data[name].units = units
        data.createDimension(time, len(moments))
        seconds = np.array([(m - origin).total_seconds() for m in moments])
        data.createVariable(time, "i4" if style == "old" else "i8", (time,))[:] = seconds / (
            3600 if style == "old" else 1
        )
        data[time].units = f"{unit} since {origin:%Y-%m-%d %H:%M:%S}"
        for name, values in variables.items():
            values = values[steps]
            if style == "new":
                data.createVariable(name, "f4", (time, "latitude", "longitude"), fill_value=np.float32("nan"))[:] = (
                    values
                )
                continue
            scale, offset = float(np.ptp(values)) / 60000, float(values.min() + values.max()) / 2
            packed = data.createVariable(name, "i2", (time, "latitude", "longitude"), fill_value=np.int16(-32767))
            packed.set_auto_maskandscale(False)
            packed[:] = np.round((values - offset) / scale).astype("i2")
            packed.setncatts({"scale_factor": scale, "add_offset": offset, "missing_value": np.int16(-32767)})
    return path


@pytest.fixture(scope="module")
def lake(tmp_path_factory) -> tuple[Path, dict[str, np.ndarray]]:
    root = tmp_path_factory.mktemp("hours")
    folder = root / "files"
    folder.mkdir()
    values = _values()
    # two days in a file of the new style, two in one of the old; rain in a file of its own
    split = 50
    temperatures = {name: values[name] for name in ("skt", "t2m", "stl1")}
    _write(folder / "first.nc", temperatures, "new", slice(0, split))
    _write(folder / "second.nc", temperatures, "old", slice(split, None))
    _write(folder / "rain.nc", {"tp": values["tp"]}, "new")
    report = load(find_product("era5_land_hourly"), [folder], Lake(root / "lake"))
    assert report.ok and report.grid_id == "era5_land_0p1", [f.reason for f in report.files]
    (own := root / "own").mkdir()
    path = _write(own / "temperature.nc", {"t2m": values["t2m"]}, "new")
    mine = complete(find_product("raster"), "my_hours", None, None, [path])
    assert (mine.format, mine.time_step) == ("subdaily", "instant")  # seen in the file
    assert load(mine, [path], Lake(root / "lake")).ok
    return root, values


def _house(lake, time_zone: str) -> Warehouse:
    house = Warehouse(lake[0])
    house.study = {
        "name": "hours",
        "groups": [],
        "period": {"start": "2020-06-01", "end": "2020-07-01"},
        "time_zone": time_zone,
        "series": SERIES,
    }
    house.dbt("run", "--select", "stg_era5_land_hourly", "stg_custom")
    return house


def _staged(house: Warehouse, column: str, view: str = "stg_era5_land_hourly") -> dict[date, np.ndarray]:
    """{day: (lat, lon)} of a column where it is not NULL."""
    rows = house.query(f"select obs_date, pixel_id, {column} as v from staging.{view} where {column} is not null")
    pixels = {
        599 * 3600 + 2800: (0, 0),
        599 * 3600 + 2801: (0, 1),
        600 * 3600 + 2800: (1, 0),
        600 * 3600 + 2801: (1, 1),
    }
    found: dict[date, np.ndarray] = {}
    for day, pixel, value in rows.iter_rows():
        found.setdefault(day, np.full((2, 2), np.nan))[pixels[pixel]] = value
    return found


def _check(found: dict[date, np.ndarray], expected: dict[date, np.ndarray], tolerance: float) -> None:
    assert found.keys() == expected.keys()
    for day, values in expected.items():
        np.testing.assert_allclose(found[day], values, atol=tolerance, err_msg=str(day))


def _local(moments: list[datetime], hours: float) -> list[datetime]:
    return [m + timedelta(hours=hours) for m in moments]


@pytest.mark.parametrize(("time_zone", "offset"), [("UTC", 0), ("Asia/Shanghai", 8)])
def test_hours_become_days(lake, time_zone, offset):
    house, values = _house(lake, time_zone), lake[1]
    local = _local(HOURS, offset)
    packing = 5e-4  # half a step of the old style's packing
    days = sorted({m.date() for m in local})

    # the mean of at least half of the day's hours
    of_day = {d: [i for i, m in enumerate(local) if m.date() == d] for d in days}
    means = {d: values["stl1"][i].astype(float).mean(axis=0) - 273.15 for d, i in of_day.items() if len(i) >= 12}
    _check(_staged(house, "soil_temperature_0_7cm"), means, packing)
    frozen = _staged(house, "is_frozen_0_7cm")
    for day, mean in means.items():
        certain = np.abs(mean) > packing
        np.testing.assert_array_equal(frozen[day][certain] == 1, mean[certain] < 0)

    # the hours that the study names, up to but without the last
    morning = {d: [i for i in of_day[d] if 6 <= local[i].hour < 9] for d in days}
    expected = {d: values["t2m"][i].astype(float).mean(axis=0) - 273.15 for d, i in morning.items() if i}
    _check(_staged(house, "air_temperature"), expected, packing)

    # a product of the user's own: its whole days, however many hours they have
    rows = house.query("select obs_date, pixel_id, value from staging.stg_custom where series_id = 5")
    expected = {d: values["t2m"][i].astype(float).mean(axis=0) - 273.15 for d, i in of_day.items()}
    got = dict(rows.group_by("obs_date").agg(pl.col("value").sort_by("pixel_id")).iter_rows())
    _check({d: np.reshape(v, (2, 2)) for d, v in got.items()}, expected, 1e-9)

    # precipitation: the value at 00:00 UTC is the total of the day before; in another zone the sum of 24 hours
    rain = values["rain"]
    ends = [m - timedelta(minutes=30) for m in local]
    whole = {d: [i for i, m in enumerate(ends) if m.date() == d] for d in days}
    expected = {d: rain[i].sum(axis=0) * 1000 for d, i in whole.items() if len(i) == 24}
    if offset == 0:
        # 31 May: its total stands at 00:00 of 1 June, though none of its hours is in the file
        expected[date(2020, 5, 31)] = values["tp"][0].astype(float) * 1000
    _check(_staged(house, "precipitation"), expected, 1e-4)


def test_local_solar_time_is_linear_between_two_hours(lake):
    house, values = _house(lake, "Asia/Shanghai"), lake[1]
    expected: dict[date, np.ndarray] = {}
    for j in range(2):
        # 10:30 by the sun is 10:30 - longitude / 15 hours by UTC: at 100 E 03:50, between the values of 03:00 and 04:00
        for d in range(4):
            moment = START + timedelta(days=d, hours=10.5 - LON[j] / 15)
            i = int((moment - START).total_seconds() // 3600)
            share = (moment - HOURS[i]).total_seconds() / 3600
            before, after = values["skt"][i, :, j].astype(float), values["skt"][i + 1, :, j].astype(float)
            day = expected.setdefault((START + timedelta(days=d)).date(), np.full((2, 2), np.nan))
            day[:, j] = before + share * (after - before) - 273.15
    # longitudes are of whole seconds here: 50 K an hour are 0.014 K a second
    _check(_staged(house, "skin_temperature"), expected, 0.02)
