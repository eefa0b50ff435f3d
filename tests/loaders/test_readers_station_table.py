"""The station reader: joined and separate files, dates and times, and what it refuses."""

from __future__ import annotations

import csv
from datetime import date, datetime
from pathlib import Path

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from loaders.granule import BadFile
from loaders.products import complete, find_product
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


def _product(columns=None):
    return complete(find_product("stations"), "net", None, {"columns": columns or {}}, [])


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
