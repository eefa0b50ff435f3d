"""The station reader: joined and separate files, dates and times, and what it refuses."""

from __future__ import annotations

import csv
import errno
import os
from datetime import date, datetime
from pathlib import Path

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loaders.granule import BadFile
from loaders.lake import Lake
from loaders.load import load
from loaders.products import ProductError, complete, find_product
from loaders.readers import station_table
from tests.conftest import count_cases

STATIONS = (
    "station_id,network,name,lon,lat,elevation_m,land_cover,method\n"
    "A1,NET,Upper,10.5,49.5,312,grassland,TDR\n7,NET,Lower,-10.25,-35.1,,,\n"
)
OBSERVATIONS = (
    "station_id,date,layer_top_cm,layer_bottom_cm,soil_moisture_m3m3,quality\n"
    "A1,2020-01-01,0,5,0.21,G\nA1,2020-01-01,5,10,0.25,G\n7,2020-01-02,0,5,,M\n"
)


def _write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def _product(columns=None, **mapping):
    return complete(find_product("stations"), "net", None, {"columns": columns or {}, **mapping}, [])


def _read(path: Path, product=None):
    product = product or _product()
    granule = station_table.inspect(path, product, None)
    return granule, station_table.read_sparse(granule, product), station_table.read_stations(granule, product)


# -- real stations ------------------------------------------------------------------------------------------------------


def test_real_stations_written_as_a_plain_table(shared, tmp_path):
    """OZNET stations, put into the plain layout with csv and pandas, come back as they are."""
    paths = sorted((shared / "data" / "ismn").rglob("*_sm_*.stm"))[:6]
    rows, truth = [], []
    for number, path in enumerate(paths):
        lines = path.read_text(encoding="latin-1").replace("\r", "\n").split("\n")
        fields = lines[0].split()
        if len(fields) < 9 or not fields[0].isalpha():
            continue  # another layout: a row carries everything
        top, bottom = (100 * float(f) for f in fields[6:8])
        for line in lines[1:400]:
            if line.strip():
                day, clock, value, flag = line.split()[:4]
                stamp = f"{day} {clock}".replace("/", "-")
                rows.append([f"s{number}", fields[3 + 1], fields[3], stamp, top, bottom, value, flag])
                truth.append((f"s{number}", pd.Timestamp(stamp).to_pydatetime(), float(value), flag))
    path = tmp_path / "a.csv"
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(
            ["station_id", "lon", "lat", "time", "layer_top_cm", "layer_bottom_cm", "soil_moisture_m3m3", "quality"]
        )
        out.writerows(rows)
    _, table, stations = _read(path)
    found = zip(
        *(table[c].to_pylist() for c in ("station_id", "obs_time", "soil_moisture_m3m3", "quality")), strict=True
    )
    assert list(found) == truth
    assert stations.num_rows == len({t[0] for t in truth})
    count_cases("real station observations", len(truth))


# -- small files --------------------------------------------------------------------------------------------------------


def test_two_files(tmp_path):
    granule, table, stations = _read(_write(tmp_path / "stations.csv", STATIONS))
    assert (granule.dates, granule.variables, granule.grid, granule.window) == ((), (), None, None)
    assert table.num_rows == 0 and stations.num_rows == 2
    assert stations.to_pylist()[0] == {
        "station_id": "A1", "network": "NET", "name": "Upper", "lon": 10.5, "lat": 49.5, "elevation_m": 312.0,
        "land_cover": "grassland", "method": "TDR",
    }  # fmt: skip
    assert stations.to_pylist()[1]["station_id"] == "7" and stations.to_pylist()[1]["elevation_m"] is None
    granule, table, stations = _read(_write(tmp_path / "observations.csv", OBSERVATIONS))
    assert granule.dates == (date(2020, 1, 1), date(2020, 1, 2))
    assert granule.variables == ("soil_moisture_m3m3", "quality")
    assert stations.num_rows == 0 and stations.schema == station_table.STATION_SCHEMA
    assert table.to_pydict() == {
        "station_id": ["A1", "A1", "7"],
        "sensor": [None, None, None],
        "layer_top_cm": [0.0, 5.0, 0.0],
        "layer_bottom_cm": [5.0, 10.0, 5.0],
        "obs_date": [date(2020, 1, 1), date(2020, 1, 1), date(2020, 1, 2)],
        "obs_time": [None, None, None],
        "soil_moisture_m3m3": [0.21, 0.25, None],
        "quality": ["G", "G", "M"],
    }
    assert table.schema.field("obs_time").type == pa.timestamp("us")


def test_one_joined_file_with_times_and_names_of_its_own(tmp_path):
    text = (
        "site,x,y,when,from,to,theta\n"
        "A,10,50,2020-01-01T00:00:00Z,0,5,0.2\nA,10,50,2020-01-01T06:00:00+07:00,0,5,0.3\nB,11,50,2020-01-01 12:00,0,5,0.4\n"
    )
    names = {
        "station_id": "site", "lon": "x", "lat": "y", "time": "when", "layer_top_cm": "from", "layer_bottom_cm": "to",
        "soil_moisture_m3m3": "theta",
    }  # fmt: skip
    granule, table, stations = _read(_write(tmp_path / "a.csv", text), _product(names))
    assert table["obs_time"].to_pylist() == [
        datetime(2020, 1, 1), datetime(2019, 12, 31, 23), datetime(2020, 1, 1, 12),
    ]  # fmt: skip
    assert granule.dates == (date(2019, 12, 31), date(2020, 1, 1))
    assert granule.variables == ("soil_moisture_m3m3",) and "quality" not in table.column_names
    assert [(s["station_id"], s["lon"], s["network"]) for s in stations.to_pylist()] == [
        ("A", 10.0, None),
        ("B", 11.0, None),
    ]


def test_parquet_with_numeric_station_ids(tmp_path):
    path = tmp_path / "a.parquet"
    frame = pl.read_csv(OBSERVATIONS.encode()).filter(pl.col("station_id") == "7").with_columns(
        station_id=pl.lit(7), soil_moisture_m3m3=pl.lit(0.5)
    )  # fmt: skip
    frame.write_parquet(path)
    assert _read(path)[1]["station_id"].to_pylist() == ["7"]


def test_completing_keeps_the_columns_and_names_the_product():
    product = _product({"station_id": "site"})
    assert (product.name, product.kind, product.grid, product.options.columns) == (
        "net",
        "stations",
        "none",
        {"station_id": "site"},
    )


JOINED = OBSERVATIONS.replace("station_id", "station_id,lon,lat").replace("A1,", "A1,10,50,").replace("7,", "7,11,51,")
REFUSALS = {
    "empty": ("", r"is empty \(0 bytes\)"),
    "header only": (OBSERVATIONS.split("\n")[0] + "\n", "has a header but no rows"),
    "no station_id": (OBSERVATIONS.replace("station_id", "station"), r"has no column 'station_id' .*is it 'station'"),
    "neither half": ("station_id,height\n1,2\n", r"has neither stations \(columns lon, lat\) nor observations"),
    "lon without lat": (STATIONS.replace("lat,", "latitude,"), "has no column 'lat' "),
    "no layer": (OBSERVATIONS.replace("layer_top_cm", "top"), "has no column 'layer_top_cm' .upper depth of the layer, cm"),
    "no date": (OBSERVATIONS.replace("date", "day"), "has observations but neither a column date nor time"),
    "unreadable date": (OBSERVATIONS.replace("2020-01-02", "2.1.2020"), "its column 'date' has '2.1.2020' in line 4, which is no date"),
    "layer upside down": (OBSERVATIONS.replace("5,10,", "10,5,"), r"has the layer 10\.0 to 5\.0 cm in line 3: the top must not lie below"),
    "layer missing": (OBSERVATIONS.replace("5,10,", ",10,"), r"has the layer None to 10\.0 cm in line 3"),
    "value is a word": (OBSERVATIONS.replace("0.25", "wet"), "its column 'soil_moisture_m3m3' has 'wet' in line 3, which is no number"),
    "nameless station": (OBSERVATIONS.replace("A1,2020-01-01,5", ",2020-01-01,5"), "has no station_id in line 3"),
    "twice": (OBSERVATIONS.replace("5,10,", "0,5,"), r"has station A1, layer from 0\.0, to 5\.0, on 2020-01-01 more than once \(line 2 and line 3\)"),
    "impossible place": (STATIONS.replace("-35.1", "135.1"), r"has lat 135\.1 in line 3, which is no latitude"),
    "missing place": (STATIONS.replace("10.5", ""), "has lon None in line 2"),
    "two places": (JOINED.replace("A1,10,50,2020-01-01,5", "A1,10,51,2020-01-01,5"), r"describes station A1 in two ways: lat is 50\.0 and 51\.0"),
    "all missing": (OBSERVATIONS.replace("0.21", "").replace("0.25", "NaN"), "every value of soil_moisture_m3m3 is fill"),
    "percent": (OBSERVATIONS.replace("0.21", "21").replace("0.25", "25"), "half of its soil_moisture_m3m3 lie above 23: .*soil_moisture_volume_percent"),
    "fill only": (OBSERVATIONS.replace("0.21", "-9999").replace("0.25", "-99.99"), "every value of soil_moisture_m3m3 is fill"),
    "year 1066": (OBSERVATIONS.replace("2020-01-02", "1066-01-02"), "its column 'date' has '1066-01-02' in line 4, which is no date between 1850"),
    "a web page": ("<html>please log in</html>\n", "is not a table but a web page"),
    "kelvin": (OBSERVATIONS.replace("soil_moisture_m3m3", "soil_temperature_c").replace("0.2", "28"), "half of its soil_temperature_c lie above .* it looks like kelvin"),
    "by mass": (OBSERVATIONS.replace("soil_moisture_m3m3", "soil_moisture_mass_percent"), "has no column 'bulk_density_g_cm3' .dry mass of the soil by volume"),
    "truncated": (OBSERVATIONS + "7,2020-01-0", "ends in the middle of a line"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSALS)
def test_what_is_refused_and_why(tmp_path, case):
    text, reason = REFUSALS[case]
    with pytest.raises(BadFile, match=reason) as error:
        _read(_write(tmp_path / "a.csv", text))
    assert str(tmp_path) not in error.value.reason and "\n" not in error.value.reason


def test_the_joined_fixture_is_sound(tmp_path):
    _, table, stations = _read(_write(tmp_path / "a.csv", JOINED))
    assert (table.num_rows, stations.num_rows) == (3, 2)


# -- other variables, shapes and units ----------------------------------------------------------------------------------


def test_weather_needs_no_layer(tmp_path):
    text = "station_id,date,precipitation_mm,air_temperature_c\nA,2020-01-01,1.5,\nA,2020-01-02,-999,4.5\n"
    granule, table, _ = _read(_write(tmp_path / "a.csv", text))
    assert granule.variables == ("air_temperature_c", "precipitation_mm")
    assert table["layer_top_cm"].to_pylist() == [None, None]
    assert table["precipitation_mm"].to_pylist() == [1.5, -999.0]  # as delivered


def test_a_column_a_depth_with_the_station_in_the_files_name_and_local_time(tmp_path):
    """A logger's file: no station, no layer, the clock of its country."""
    text = "TIMESTAMP,SM_4,SM_10,T_4\n2020-01-01 06:00,21.5,25,-1.5\n2020-01-01 12:00,22,,0.5\n"
    product = _product(
        {"time": "TIMESTAMP"},
        file_pattern=r"(?P<station_id>WATERNET_\d+)_.*\.csv$",
        time_zone="Asia/Shanghai",
        variables=[
            {"name": "soil_moisture_volume_percent", "column": "SM_4", "layer": "4-4 cm"},
            {"name": "soil_moisture_volume_percent", "column": "SM_10", "layer": "10-10 cm", "unit": "percent"},
            {"name": "soil_temperature_c", "column": "T_4", "layer": "4-4 cm"},
        ],
    )
    granule, table, stations = _read(_write(tmp_path / "WATERNET_07_2020.csv", text), product)
    rows = table.select(
        ["station_id", "layer_top_cm", "obs_time", "soil_moisture_volume_percent", "soil_temperature_c"]
    )
    assert [tuple(r.values()) for r in rows.to_pylist()] == [
        ("WATERNET_07", 4.0, datetime(2019, 12, 31, 22), 21.5, -1.5),
        ("WATERNET_07", 4.0, datetime(2020, 1, 1, 4), 22.0, 0.5),
        ("WATERNET_07", 10.0, datetime(2019, 12, 31, 22), 25.0, None),
        ("WATERNET_07", 10.0, datetime(2020, 1, 1, 4), None, None),
    ]
    assert granule.dates == (date(2019, 12, 31), date(2020, 1, 1)) and stations.num_rows == 0


def test_an_hour_that_the_clock_had_twice_is_refused(tmp_path):
    text = "station_id,time,precipitation_mm\nA,2020-11-01 01:30,2\n"
    with pytest.raises(BadFile, match="which America/Chicago has twice or not at all: give times in UTC"):
        _read(_write(tmp_path / "a.csv", text), _product(time_zone="America/Chicago"))
    with_zone = text.replace("01:30", "01:30:00-05:00")
    table = _read(_write(tmp_path / "b.csv", with_zone), _product(time_zone="America/Chicago"))[1]
    assert table["obs_time"].to_pylist() == [datetime(2020, 11, 1, 6, 30)]


def test_a_column_a_station(tmp_path):
    text = "date,A1,7\n2020-01-01,0.2,0.3\n2020-01-02,,0.35\n"
    product = _product(stations="soil_moisture_m3m3", layer="4-4 cm")
    table = _read(_write(tmp_path / "a.csv", text), product)[1]
    columns = ["station_id", "layer_top_cm", "layer_bottom_cm", "obs_date", "soil_moisture_m3m3"]
    assert [tuple(r.values()) for r in table.select(columns).to_pylist()] == [
        ("A1", 4.0, 4.0, date(2020, 1, 1), 0.2),
        ("7", 4.0, 4.0, date(2020, 1, 1), 0.3),
        ("7", 4.0, 4.0, date(2020, 1, 2), 0.35),
    ]
    with pytest.raises(BadFile, match="has neither a column date nor time: say the day of its first row as `start`"):
        _read(_write(tmp_path / "b.csv", text.replace("date", "")), product)


def test_bulk_density_in_the_file_or_in_the_mapping(tmp_path):
    text = OBSERVATIONS.replace("soil_moisture_m3m3", "soil_moisture_mass_percent").replace("0.2", "2")
    table = _read(_write(tmp_path / "a.csv", text), _product(bulk_density=1.31))[1]
    assert set(table["bulk_density_g_cm3"].to_pylist()) == {1.31}
    assert table["soil_moisture_mass_percent"].to_pylist() == [21.0 / 10 * 10, 25.0, None]
    lines = text.splitlines()
    joined = "\n".join([lines[0] + ",rho", lines[1] + ",1.3", lines[2] + ",", lines[3] + ",", ""])
    with pytest.raises(BadFile, match="has soil moisture by mass without a rho in line 3"):
        _read(_write(tmp_path / "b.csv", joined), _product({"bulk_density_g_cm3": "rho"}))
    in_kg = joined.replace(",1.3", ",1300").replace(",\n", ",1400\n")
    with pytest.raises(BadFile, match="which is no bulk density in g cm-3"):
        _read(_write(tmp_path / "c.csv", in_kg), _product({"bulk_density_g_cm3": "rho"}))


def test_two_sensors_at_one_depth(tmp_path):
    text = OBSERVATIONS.replace("station_id", "station_id,sensor").replace("A1,", "A1,x,").replace("7,", "7,x,")
    both = text.replace("A1,x,2020-01-01,5,10", "A1,y,2020-01-01,0,5")
    assert _read(_write(tmp_path / "a.csv", both))[1]["sensor"].to_pylist() == ["x", "y", "x"]
    with pytest.raises(BadFile, match=r"has station A1, sensor x, layer from 0\.0"):
        _read(_write(tmp_path / "b.csv", both.replace(",y,", ",x,")))


@pytest.mark.parametrize(
    ("mapping", "said"),
    [
        ({"variables": [{"name": "soil_moisture", "layer": "0-5 cm"}]}, "unknown measurement 'soil_moisture'"),
        ({"variables": [{"name": "soil_moisture_m3m3"}]}, "soil_moisture_m3m3 needs the depth of 'soil_moisture_m3m3'"),
        ({"variables": [{"name": "soil_moisture_m3m3", "layer": "9-5 cm"}]}, "a layer is a depth interval"),
        ({"variables": [{"name": "soil_moisture_m3m3", "layer": "0-5 cm", "unit": "%"}]}, "is in m3 m-3, not in %"),
        ({"stations": "soil_moisture_m3m3"}, "needs the depth of 'stations'"),
        ({"stations": "rain"}, "unknown measurement 'rain'"),
        ({"time_zone": "Asia/Beijing"}, "unknown time zone 'Asia/Beijing'"),
        ({"bulk_density": 1300}, "bulk_density"),
        ({"columns": {"moisture": "sm"}}, "unknown column 'moisture'"),
    ],
)
def test_a_mapping_that_cannot_be_is_refused(mapping, said):
    with pytest.raises(ProductError, match=said):
        complete(find_product("stations"), "net", None, mapping, [])


def test_the_mapping_is_kept_for_the_next_load(tmp_path):
    product = _product(stations="precipitation_mm", start="2020-01-01", time_zone="Asia/Jakarta")
    path = _write(tmp_path / "a.csv", ",A\n0,1.5\n1,2\n")
    lake = Lake(tmp_path / "lake")
    assert load(product, [path], lake).counts == {"loaded": 1}
    assert find_product("net", lake.root) == product
    assert load(find_product("net", lake.root), [path], lake).counts == {"unchanged": 1}


# -- real gauges and probes ---------------------------------------------------------------------------------------------


def test_real_gauges_of_valparaiso(shared, tmp_path):
    """A table with a column a gauge and no dates (the first row is 1983-01-01), and a table of the gauges."""
    folder = shared / "data" / "rfmerge_valparaiso"
    files = [folder / "ValparaisoPPgis_converted.csv", folder / "ValparaisoPPts_converted.csv"]
    mapping = {"columns": {"station_id": "Code", "name": "NOM_COM", "network": "NOM_REG"}}
    mapping |= {"stations": "precipitation_mm", "start": "1983-01-01"}
    product = complete(find_product("stations"), "valparaiso_gauges", None, mapping, files)
    lake = Lake(tmp_path / "lake")
    report = load(product, files, lake)
    assert report.counts == {"loaded": 2}, [f.reason for f in report.files]
    truth = pd.read_csv(files[1], index_col=0)
    rows = pl.concat(
        pl.read_parquet(p, hive_partitioning=False) for p in lake.month_files("valparaiso_gauges").values()
    )
    assert rows.height == int(truth.notna().sum().sum())
    total = rows.group_by("station_id").agg(pl.col("precipitation_mm").sum()).sort("station_id")
    assert total.rows() == [(c, pytest.approx(truth[c].sum())) for c in sorted(truth.columns)]
    gauges, places = pl.read_parquet(lake.stations_path("valparaiso_gauges")), pd.read_csv(files[0])
    assert dict(gauges.select("station_id", "lat").rows()) == dict(zip(places.Code, places.lat, strict=True))
    count_cases("real gauge days", rows.height)


@pytest.mark.parametrize("name", ["cookfarm/cookfarm.rda", "rfmerge_valparaiso/ValparaisoPPts.RData"])
def test_real_tables_of_r_are_refused_with_the_next_step(shared, name):
    with pytest.raises(BadFile, match=r"is an R data file: in R, load\(\) it and write.csv\(\) its table"):
        _read(shared / "data" / name)


# -- damage -------------------------------------------------------------------------------------------------------------


@given(cut=st.integers(0, len(JOINED) - 1))
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_truncated_at_any_offset(tmp_path, cut):
    """Refused, or the whole lines before the cut; a CSV may end without a line end, so the last field is believed when all are there."""
    path = _write(tmp_path / "a.csv", JOINED[:cut])
    try:
        _, table, _ = _read(path)
    except BadFile as bad:
        assert bad.reason
    else:
        whole = JOINED[:cut].count("\n") - 1
        complete_but_its_end = JOINED[:cut].rsplit("\n", 1)[-1].count(",") == JOINED.split("\n")[0].count(",")
        assert whole <= table.num_rows <= whole + complete_but_its_end


@given(at=st.integers(0, len(JOINED) - 1), to=st.integers(0, 255))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_byte_flipped_is_never_a_crash(tmp_path, at, to):
    content = bytearray(JOINED.encode())
    content[at] = to
    path = tmp_path / "a.csv"
    path.write_bytes(bytes(content))
    try:
        _, table, stations = _read(path)
    except BadFile as bad:
        assert bad.reason
    else:
        assert table.num_rows <= 3 or stations.num_rows <= 3


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    path = _write(tmp_path / "a.csv", OBSERVATIONS)
    opened = Path.open

    def refuse(self, *arguments, **options):
        if self == path:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))
        return opened(self, *arguments, **options)

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(BadFile, match=r"^cannot be read: Permission denied$"):
        _read(path)


def test_the_same_table_twice_and_one_that_overlaps(tmp_path):
    lake = Lake(tmp_path / "lake")
    first = _write(tmp_path / "a.csv", OBSERVATIONS)
    assert load(_product(), [first], lake).counts == {"loaded": 1}
    copy = _write(tmp_path / "b.csv", OBSERVATIONS)
    report = load(_product(), [copy], lake)
    assert report.counts == {"skipped": 1}
    assert "have the same place and time as rows of a.csv" in report.files[0].reason
    changed = _write(tmp_path / "a.csv", OBSERVATIONS.replace("0.25", "0.26"))
    assert load(_product(), [changed], lake).counts == {"replaced": 1}
