"""From station files to days: flags, units, time zones, sensors and variables, against pandas on the same files."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

from loaders.lake import Lake
from loaders.load import load
from loaders.products import complete, find_product
from tests.conftest import count_cases
from tests.warehouse import Warehouse, small_grid

ZONE = "Asia/Shanghai"
START, END = date(2020, 1, 1), date(2020, 3, 1)
FLAGS = ("G", "G", "U", "C01", "D05,C03", "M", "G", "G")
MODELS = ("fct_station_daily", "fct_station_variable_daily", "dim_station", "dim_layer")


def _study(stations: list[str], period=(START, END), zone=ZONE, **more) -> dict:
    return {
        "name": "network", "groups": [], "period": {"start": str(period[0]), "end": str(period[1])}, "time_zone": zone,
        "stations": stations, "series": [{"variable": "soil_moisture", "product": "field", "column": "sm"}], **more,
    }  # fmt: skip


def _house(root: Path, stations: list[str], **study) -> Warehouse:
    house = Warehouse(root, _study(stations, **study))
    house.grid("grid", small_grid(1, 1))
    day = study.get("period", (START, END))[0]
    house.product("field", "grid", pl.DataFrame({"pixel_id": [0], "obs_date": [day], "sm": [0.2]}))
    return house


def _ismn(folder: Path, variable: str, sensor: str, frame: pd.DataFrame, depth="0.050000") -> Path:
    """One header+values file; `frame` has time, value, flag."""
    path = folder / f"NET_NET_Up_{variable}_{depth}_{depth}_{sensor}_20191201_20200401.stm"
    lines = [f"NET NET Up 36.5 100.5 3100.0 {float(depth):.2f} {float(depth):.2f} {sensor}"]
    lines += [f"{t:%Y/%m/%d %H:%M} {v:.4f} {f} M" for t, v, f in zip(frame.time, frame.value, frame.flag, strict=True)]
    path.write_text("\r".join(lines) + "\r", newline="")
    return path


def _measurements(seed: int, low: float, high: float, step_hours: int = 1, with_flags: bool = True) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    n = 100 * 24 // step_hours
    times = [datetime(2019, 12, 15) + timedelta(hours=step_hours * i) for i in range(n)]
    flags = random.choice(FLAGS, n) if with_flags else np.full(n, "G")
    values = np.round(random.uniform(low, high, n), 4)
    return pd.DataFrame({"time": times, "value": np.where(flags == "M", -999.99, values), "flag": flags})


@pytest.fixture(scope="module")
def frames() -> dict[str, pd.DataFrame]:
    return {
        "first": _measurements(1, -0.05, 1.05),  # some outside what soil moisture can be
        "second": _measurements(2, 0.1, 0.4, step_hours=3),
        "temperature": _measurements(3, -20, 20),
        "rain": _measurements(4, 0, 3).assign(flag=lambda f: np.where(np.arange(len(f)) % 53 == 0, "D01", "G"), value=lambda f: f.value.abs()),
    }  # fmt: skip


@pytest.fixture(scope="module")
def house(tmp_path_factory, frames) -> Warehouse:
    root = tmp_path_factory.mktemp("stations")
    house = _house(root, ["ismn", "plots", "gauges"])
    files = root / "files"
    files.mkdir()
    rain = frames["rain"].assign(value=lambda f: np.where(f.value > 900, 1.0, f.value))
    frames["rain"] = rain
    paths = [
        _ismn(files, "sm", "Probe-A", frames["first"]),
        _ismn(files, "sm", "Probe-B", frames["second"]),
        _ismn(files, "ts", "Probe-A", frames["temperature"]),
        _ismn(files, "p", "Gauge", rain, depth="0.000000"),
    ]
    report = load(find_product("ismn"), paths, Lake(house.lake))
    assert report.ok, [f.reason for f in report.files]

    (files / "plots.csv").write_text(
        "plot,lon,lat,when,top,bottom,gwc,density\n"
        "P1,100.1,36.1,2020-01-05,0,10,20,1.25\nP1,100.1,36.1,2020-01-05,10,20,30,1.4\nP2,100.2,36.2,2020-01-06,0,10,90,1.3\n"
    )
    names = {
        "station_id": "plot", "date": "when", "layer_top_cm": "top", "layer_bottom_cm": "bottom",
        "soil_moisture_mass_percent": "gwc", "bulk_density_g_cm3": "density",
    }  # fmt: skip
    product = complete(find_product("stations"), "plots", None, {"columns": names}, [])
    assert load(product, [files / "plots.csv"], Lake(house.lake)).ok

    (files / "gauges.csv").write_text(",G1,G2\n0,1.5,0\n1,NA,2.25\n2,4,-9999\n")
    product = complete(
        find_product("stations"), "gauges", None, {"stations": "precipitation_mm", "start": "2020-01-30"}, []
    )
    assert load(product, [files / "gauges.csv"], Lake(house.lake)).ok
    house.dbt("build", "--select", *(f"+{m}" for m in MODELS))
    return house


def _local_days(frame: pd.DataFrame) -> pd.DataFrame:
    """The measurements with their day in China (UTC+8 without summer time)."""
    days = (frame.time + pd.Timedelta(hours=8)).dt.date
    return frame.assign(day=days)[(days >= START) & (days < END)]


def _good(frame: pd.DataFrame, low: float, high: float, flags=("G", "U")) -> pd.Series:
    return frame.value.where(frame.flag.isin(flags) & (frame.value >= low) & (frame.value <= high))


def _daily_mean(frame: pd.DataFrame, low: float, high: float, flags=("G", "U")) -> pd.Series:
    frame = _local_days(frame)
    return _good(frame, low, high, flags).groupby(frame.day).mean().dropna()


def test_days_are_local_and_the_mean_of_the_sensors_means(house, frames):
    got = house.query("select * from marts.fct_station_daily where product = 'ismn' order by obs_date")
    first, second = _daily_mean(frames["first"], 0, 1), _daily_mean(frames["second"], 0, 1)
    expected = pd.concat([first, second], axis=1).mean(axis=1).sort_index()
    assert got["obs_date"].to_list() == list(expected.index)
    np.testing.assert_allclose(got["soil_moisture_m3m3"], expected, rtol=1e-12)
    assert set(got["station_id"]) == {"NET_Up"} and set(got["layer"]) == {"5-5 cm"} and set(got["study"]) == {"network"}
    assert set(got["quality"]) <= {"G", "U"} and set(got["n_sensors"]) <= {1, 2}
    both = [
        _good(_local_days(f), 0, 1).notna().groupby(_local_days(f).day).sum()
        for f in (frames["first"], frames["second"])
    ]
    n = pd.concat(both, axis=1).sum(axis=1).reindex(expected.index)
    assert got["n_values"].to_list() == n.astype(int).to_list()
    count_cases("station days against pandas", len(expected))


def test_temperature_is_a_mean_and_precipitation_a_total_of_whole_days(house, frames):
    got = house.query(
        "select * from marts.fct_station_variable_daily where product = 'ismn' order by variable, obs_date"
    )
    temperature = _daily_mean(frames["temperature"], -90, 80).sort_index()
    rows = got.filter(pl.col("variable") == "soil_temperature")
    assert rows["obs_date"].to_list() == list(temperature.index) and set(rows["layer"]) == {"5-5 cm"}
    np.testing.assert_allclose(rows["value"], temperature, rtol=1e-12)

    frame = _local_days(frames["rain"])
    by_day = _good(frame, 0, 2000).groupby(frame.day)
    total = by_day.sum()[by_day.count() == by_day.size()].sort_index()
    assert 0 < len(total) < by_day.ngroups  # some days have a flagged hour, and no total
    rows = got.filter(pl.col("variable") == "precipitation")
    assert rows["obs_date"].to_list() == list(total.index)
    assert set(rows["layer"]) == {"surface"} and set(rows["unit"]) == {"mm"}
    np.testing.assert_allclose(rows["value"], total, rtol=1e-12)


def test_mass_percent_becomes_a_volume_by_the_bulk_density(house):
    got = house.query(
        "select station_id, layer, obs_date, soil_moisture_m3m3 from marts.fct_station_daily where product = 'plots' order by all"
    )
    assert got.rows() == [
        ("P1", "0-10 cm", date(2020, 1, 5), pytest.approx(0.20 * 1.25)),
        ("P1", "10-20 cm", date(2020, 1, 5), pytest.approx(0.30 * 1.4)),
    ]  # 90 % of 1.3 g cm-3 is more than the soil's volume


def test_a_table_with_a_column_a_gauge(house):
    got = house.query(
        "select station_id, variable, layer, obs_date, value from marts.fct_station_variable_daily where product = 'gauges' order by all"
    )
    day = date(2020, 1, 30)
    assert got.rows() == [
        ("G1", "precipitation", "surface", day, 1.5),
        ("G1", "precipitation", "surface", day + timedelta(days=2), 4.0),
        ("G2", "precipitation", "surface", day, 0.0),
        ("G2", "precipitation", "surface", day + timedelta(days=1), 2.25),
    ]


def test_stations_and_layers(house):
    stations = house.query("select product, station_id, network, method from marts.dim_station order by all")
    assert ("ismn", "NET_Up", "NET", "Probe-A; Probe-B") in stations.rows()
    assert ("plots", "P1", None, None) in stations.rows()
    layers = house.query("select layer, layer_top_cm, layer_bottom_cm from marts.dim_layer order by all")
    assert {("5-5 cm", 5.0, 5.0), ("0-10 cm", 0.0, 10.0), ("surface", None, None)} <= set(layers.rows())


def test_measurements_keep_time_sensor_flag_and_doubtful_rows_without_a_value(house, frames):
    got = house.query(
        "select sensor, obs_time, value, quality from staging.stg_stations where variable = 'soil_moisture' and product = 'ismn'"
    )
    assert set(got["sensor"]) == {"Probe-A", "Probe-B"}
    assert got.height == len(frames["first"]) + len(frames["second"])
    assert (
        got.filter(~pl.col("quality").is_in(["G", "U"]))["value"].null_count()
        == got.filter(~pl.col("quality").is_in(["G", "U"])).height
    )
    assert got["obs_time"].min() == datetime(2019, 12, 15)


def test_the_study_says_which_flags_are_good(house, frames):
    strict = Warehouse(house.root, house.study | {"station_quality": ["G"]})
    strict.dbt(
        "build", "--select", "stg_stations", "int_station_variable_daily", "int_station_daily", "fct_station_daily"
    )
    got = strict.query(
        "select soil_moisture_m3m3 from marts.fct_station_daily where product = 'ismn' order by obs_date"
    )
    means = [_daily_mean(frames[k], 0, 1, ("G",)) for k in ("first", "second")]
    np.testing.assert_allclose(
        got["soil_moisture_m3m3"], pd.concat(means, axis=1).mean(axis=1).sort_index(), rtol=1e-12
    )


def test_real_stations_by_day(shared, tmp_path):
    """OZNET, three stations, in the days of New South Wales with its summer time."""
    folder = shared / "data" / "ismn" / "oznet_australia"
    period, zone = (date(2019, 1, 1), date(2020, 1, 1)), "Australia/Sydney"
    house = _house(tmp_path, ["ismn"], period=period, zone=zone)
    assert load(find_product("ismn"), [folder], Lake(house.lake)).ok
    house.dbt("build", "--select", "+fct_station_daily")
    n = 0
    for path in sorted(folder.glob("*.stm")):
        frame = pd.read_csv(path, sep=r"\s+", skiprows=1, names=["day", "clock", "value", "flag", "own"])
        times = pd.to_datetime(frame.day + " " + frame.clock, utc=True).dt.tz_convert(zone)
        good = frame.value.where(frame.flag.isin(["G", "U"]) & frame.value.between(0, 1))
        daily = good.groupby(times.dt.date).mean().dropna()
        daily = daily[(daily.index >= period[0]) & (daily.index < period[1])]
        station = "OZNET_" + path.name.split("_")[2]
        got = house.query(
            "select obs_date, soil_moisture_m3m3 from marts.fct_station_daily where station_id = ? order by 1",
            [station],
        )
        assert got["obs_date"].to_list() == list(daily.index)
        np.testing.assert_allclose(got["soil_moisture_m3m3"], daily, rtol=1e-12)
        n += len(daily)
    assert n > 500
    count_cases("real station days against pandas", n)
