"""The reader of ISMN's station files: its layouts, line ends, flags and archives; real files against the package `ismn`; bad files."""

from __future__ import annotations

import errno
import os
import re
import shutil
import zipfile
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loaders.granule import BadFile
from loaders.lake import Lake
from loaders.load import load
from loaders.paths import expand_paths
from loaders.products import ProductError, complete, find_product
from loaders.readers import ismn
from loaders.readers._members import list_members
from tests.conftest import count_cases

PRODUCT = find_product("ismn")
HEADER = "NET        NET             Up_Hill           49.50000    10.50000  312.00    0.05    0.05 Probe 5TM"
NAME = "NET_NET_UpHill_{variable}_{top}_{bottom}_{sensor}_20200101_20200131.stm"


def _name(variable="sm", top="0.050800", bottom="0.050800", sensor="Probe-5TM") -> str:
    return NAME.format(variable=variable, top=top, bottom=bottom, sensor=sensor)


def _lines(n=4, first=datetime(2020, 1, 1, 22), value=0.21, flags=("G", "U", "C03,D05", "M")) -> list[str]:
    """`n` hourly measurements, as header+values writes them."""
    return [
        f"{first + timedelta(hours=i):%Y/%m/%d %H:%M}   {value + i % 10 / 100:.4f} {flags[i % len(flags)]} M"
        for i in range(n)
    ]


def _write(folder: Path, name: str | None = None, lines: list[str] | None = None, end="\n", header=HEADER) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / (name or _name())
    text = end.join([header, *(lines or _lines())]) + end
    path.write_bytes(text.encode())
    return path


def _read(path: Path, product=PRODUCT):
    granule = ismn.inspect(path, product)
    return granule, ismn.read_sparse(granule, product), ismn.read_stations(granule, product)


# -- real files ---------------------------------------------------------------------------------------------------------


def _all_real(shared: Path) -> list[Path]:
    found: list[Path] = []
    for path in sorted((shared / "data" / "ismn").rglob("*")):
        if path.is_file():
            found += list_members(path) if path.suffix == ".zip" else [path]
    return found


def test_every_real_file_loads_or_says_why_not(shared):
    refused = {}
    loaded = 0
    for path in _all_real(shared):
        try:
            granule, table, stations = _read(path)
        except BadFile as bad:
            refused[path.name] = bad.reason
            continue
        loaded += 1
        assert granule.dates and table.num_rows and stations.num_rows == 1
    reasons = {
        r"REMEDHUS.*\.stm": "is in none of the layouts of ISMN: line 1 is '20150401 00:00 0 0 0",  # an imitation
        r".*_static_variables\.csv": "describes a station: it is read with the .stm files beside it",
        r"Metadata\.xml|metadata\.(log|npy)": "its name is not that of a ismn file",
    }
    for name, reason in refused.items():
        expected = next(said for pattern, said in reasons.items() if re.fullmatch(pattern, name))
        assert reason.startswith(expected), name
    assert loaded == 21 and any(n.startswith("REMEDHUS") for n in refused)
    count_cases("real ISMN files loaded", loaded)
    count_cases("real ISMN files refused", len(refused))


def _by_package(path: Path, folder: Path) -> pd.DataFrame:
    """The package's reading of a file, from a copy in a folder of its own (it looks for archives and writes beside them)."""
    from ismn.filehandlers import DataFile

    below = folder / "NETWORK"
    below.mkdir(parents=True)
    shutil.copy(path, below / path.name)
    return DataFile(folder, Path("NETWORK") / path.name).read_data()


def test_real_values_flags_and_times_are_those_of_the_package(shared, tmp_path):
    paths = [p for p in sorted((shared / "data" / "ismn").rglob("*.stm")) if not p.name.startswith("REMEDHUS")]
    n = 0
    for number, path in enumerate(paths):
        truth = _by_package(path, tmp_path / str(number))
        _, table, _ = _read(path)
        assert (
            table["obs_time"].to_numpy().astype("datetime64[m]").tolist()
            == truth.index.values.astype("datetime64[m]").tolist()
        )
        np.testing.assert_array_equal(table["soil_moisture_m3m3"].to_numpy(), truth["soil_moisture"].to_numpy(float))
        assert table["quality"].to_pylist() == truth["soil_moisture_flag"].tolist()
        n += len(truth)
    assert len(paths) == 8
    count_cases("real ISMN measurements equal to the package's", n)


def test_real_values_are_those_of_pandas(shared):
    """An independent reading by pandas, with the depth of the name and the place of the header."""
    for path in sorted((shared / "data" / "ismn").rglob("*.stm")):
        lines = path.read_bytes().decode("latin-1").replace("\r", "\n").split("\n")
        lines = [line for line in lines if line.strip()]
        if len(lines[0].split()) == 15:
            continue
        frame = pd.DataFrame([line.split()[:4] for line in lines[1:]], columns=["day", "clock", "value", "flag"])
        _, table, stations = _read(path)
        for at in (0, len(frame) // 3, len(frame) - 1):
            row = table.slice(at, 1).to_pylist()[0]
            assert row["obs_time"] == pd.Timestamp(f"{frame.day[at]} {frame.clock[at]}").to_pydatetime()
            assert (row["soil_moisture_m3m3"], row["quality"]) == (float(frame.value[at]), frame.flag[at])
        station = stations.to_pylist()[0]
        assert (station["lat"], station["lon"]) == tuple(float(f) for f in lines[0].split()[3:5])


def test_the_same_real_station_in_two_layouts_gives_the_same_rows(shared):
    paths = [p for p in _all_real(shared) if "_ARM-1_sm" in p.name or "Narbonne_sm" in p.name]
    tables: dict[str, set[bytes]] = {}
    for path in paths:
        table = _read(path)[1]
        plain = table.select([c for c in table.column_names if c != "provider_quality"]).to_pandas()
        tables.setdefault(path.name, set()).add(plain.to_csv().encode())
    assert {len(found) for found in tables.values()} == {1} and len(paths) >= 6


def test_a_real_archive_of_several_networks(shared, tmp_path):
    archive = next((shared / "data" / "ismn").rglob("Data_header_values.zip"))
    product = complete(PRODUCT, "networks", None, None, [archive])
    assert (product.name, product.format, product.verified) == ("networks", "ismn", True)
    lake = Lake(tmp_path / "lake")
    report = load(product, [archive], lake)
    assert report.ok and report.counts == {"loaded": 8}
    assert report.n_rows == 15927 + 18090 + 42895 + 55167 + 57940 + 11615 + 3676 + 6093
    stations = pl.read_parquet(lake.stations_path("networks"))
    assert set(stations["network"]) == {"MAQU", "SCAN", "SOILSCAPE"} and stations.height == 8
    assert "SCAN_Adams_Ranch_#1" in set(stations["station_id"])
    granules = pl.read_parquet(lake.catalog_path("granules", "networks"))
    assert granules.height == 8 and granules["granule"].str.ends_with(".stm").all()
    assert load(find_product("networks", lake.root), [archive], lake).counts == {"unchanged": 8}


def test_land_cover_comes_from_the_static_variables(shared):
    path = next(p for p in _all_real(shared) if "_ARM-1_sm" in p.name and ".zip" in str(p))
    assert _read(path)[2].to_pylist()[0]["land_cover"] == "Grassland"


# -- layouts ------------------------------------------------------------------------------------------------------------

EXPECTED = {
    "station_id": ["NET_Up_Hill"] * 4,
    "sensor": ["Probe-5TM"] * 4,
    "layer_top_cm": [5.08] * 4,
    "layer_bottom_cm": [5.08] * 4,
    "obs_date": [date(2020, 1, 1)] * 2 + [date(2020, 1, 2)] * 2,
    "obs_time": [datetime(2020, 1, 1, 22) + timedelta(hours=i) for i in range(4)],
    "soil_moisture_m3m3": [0.21, 0.22, 0.23, 0.24],
    "quality": ["G", "U", "C03,D05", "M"],
    "provider_quality": ["M"] * 4,
}
PLACE = "NET        NET             Up_Hill           49.50000    10.50000  312.00"


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n", "\n\r", " \r"])
def test_every_kind_of_line_end(tmp_path, end):
    granule, table, stations = _read(_write(tmp_path, end=end))
    assert table.select(list(EXPECTED)).to_pydict() == EXPECTED
    assert granule.variables == ("soil_moisture_m3m3", "quality", "provider_quality")
    assert (granule.dates, granule.grid, granule.window) == ((date(2020, 1, 1), date(2020, 1, 2)), None, None)
    assert (granule.version, granule.key) == ("20200131", "NET_NET_UpHill_sm_0.050800_0.050800_Probe-5TM_20200101")
    assert stations.to_pylist() == [
        {
            "station_id": "NET_Up_Hill", "network": "NET", "name": "Up_Hill", "lon": 10.5, "lat": 49.5, "elevation_m": 312.0,
            "land_cover": None, "method": "Probe-5TM",
        }
    ]  # fmt: skip


@pytest.mark.parametrize("end", ["\n", "\r"])
def test_ceop_in_separate_files(tmp_path, end):
    lines = [f"{line[:16]} {line[:16]} {PLACE}    0.05    0.05 {line[16:]}" for line in _lines()]
    path = tmp_path / _name()
    path.write_text(end.join(lines) + end, newline="")
    assert _read(path)[1].select(list(EXPECTED)).to_pydict() == EXPECTED


def test_the_actual_time_counts_not_the_nominal_one(tmp_path):
    lines = [f"{line[:16]} {line[:14]}20 {PLACE}    0.05    0.05 {line[16:]}" for line in _lines()]
    path = tmp_path / _name()
    path.write_text("\n".join(lines) + "\n")
    assert _read(path)[1]["obs_time"].to_pylist()[0] == datetime(2020, 1, 1, 22, 20)


def test_ceop_of_a_whole_station(tmp_path):
    """Temperature and moisture have a flag each, so a line is two rows; -999.99 stays, and staging leaves it out."""
    stamp = "2020/01/01 22:00 2020/01/01 22:00 "
    path = tmp_path / "NET_NET_UpHill_20200101_20200131.stm"
    path.write_text(
        f"{stamp}{PLACE} -   0.05   11.20 U   0.2252 U \r{stamp}{PLACE} 0.10   0.20 -999.99 M   0.2913 D03 \r",
        newline="",
    )
    granule, table, stations = _read(path)
    assert granule.variables == ("soil_moisture_m3m3", "soil_temperature_c", "quality", "provider_quality")
    columns = ["layer_top_cm", "layer_bottom_cm", "soil_moisture_m3m3", "soil_temperature_c", "quality", "sensor"]
    rows = sorted(
        table.select(columns).to_pylist(), key=lambda r: (r["soil_moisture_m3m3"] is None, r["layer_bottom_cm"])
    )
    assert [tuple(r.values()) for r in rows] == [
        (5.0, 5.0, 0.2252, None, "U", None),
        (10.0, 20.0, 0.2913, None, "D03", None),
        (5.0, 5.0, None, 11.2, "U", None),
        (10.0, 20.0, None, -999.99, "M", None),
    ]
    assert stations.to_pylist()[0]["method"] is None


def test_a_flag_of_words_and_one_that_lacks(tmp_path):
    lines = [
        "2020/01/01 22:00 0.21 G Frozen soil,OK,OK",
        "2020/01/01 23:00 0.22 U ",
        "2020/01/02 00:00 -9999 M M",
        "2020/01/02 01:00 NaN M M",
    ]
    table = _read(_write(tmp_path, lines=lines))[1]
    assert table["provider_quality"].to_pylist() == ["Frozen soil,OK,OK", None, "M", "M"]
    assert table["soil_moisture_m3m3"].to_pylist() == [0.21, 0.22, -9999.0, None]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1"])
def test_a_station_with_an_accent_is_one_station(tmp_path, encoding):
    path = tmp_path / _name().replace("UpHill", "Jicín")
    path.write_bytes(("\n".join([HEADER.replace("Up_Hill", "Jicín"), *_lines()]) + "\n").encode(encoding))
    _, table, stations = _read(path)
    assert set(table["station_id"].to_pylist()) == {"NET_Jicín"} == set(stations["station_id"].to_pylist())


@pytest.mark.parametrize(
    ("variable", "column", "depth"),
    [
        ("ts", "soil_temperature_c", "0.050000"),
        ("ta", "air_temperature_c", "-2.000000"),
        ("p", "precipitation_mm", "0.000000"),
    ],
)
def test_other_variables(tmp_path, variable, column, depth):
    header = HEADER.replace("0.05    0.05", f"{float(depth):.2f}    {float(depth):.2f}")
    granule, table, stations = _read(_write(tmp_path, _name(variable, depth, depth), header=header))
    assert granule.variables[0] == column
    assert table["layer_top_cm"].to_pylist() == [100 * float(depth)] * 4
    assert stations.to_pylist()[0]["method"] is None  # how soil moisture is measured, which this file does not say


def test_the_method_names_every_probe_of_the_station(tmp_path):
    path = _write(tmp_path)
    _write(tmp_path, _name(sensor="EC5_1_1", top="0.100000", bottom="0.100000"))
    _write(tmp_path, _name("ts", sensor="Thermometer"))
    _write(tmp_path, _name(sensor="Other").replace("UpHill", "Down"))
    assert _read(path)[2].to_pylist()[0]["method"] == "EC5_1_1; Probe-5TM"


# -- archives, folders, loads -------------------------------------------------------------------------------------------


def _zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


@pytest.fixture
def two_stations(tmp_path) -> dict[str, bytes]:
    upper = _write(tmp_path / "plain").read_bytes()
    lower = upper.replace(b"Up_Hill", b"Down")
    return {
        f"NET/Up/{_name()}": upper,
        f"NET/Down/{_name().replace('UpHill', 'Down')}": lower,
        "Metadata.xml": b"<xml/>",
    }


def test_an_archive_is_a_folder(tmp_path, two_stations):
    archive = _zip(tmp_path / "Data.zip", two_stations)
    found = expand_paths(PRODUCT, [archive])
    assert [str(f.relative_to(tmp_path)) for f in found.files] == sorted(
        f"Data.zip/{n}" for n in two_stations if n.endswith("stm")
    )
    assert expand_paths(PRODUCT, [tmp_path]).files  # also when it lies in a folder that is loaded
    lake = Lake(tmp_path / "lake")
    report = load(PRODUCT, [archive], lake)
    assert report.ok and report.counts == {"loaded": 2} and report.n_rows == 8
    rows = pl.concat(pl.read_parquet(p, hive_partitioning=False) for p in lake.month_files("ismn").values())
    assert rows.columns == [
        "station_id", "sensor", "layer_top_cm", "layer_bottom_cm", "obs_date", "obs_time",
        *(v.name for v in PRODUCT.variables), "granule",
    ]  # fmt: skip
    assert sorted(set(rows["station_id"])) == ["NET_Down", "NET_Up_Hill"]
    assert pq.read_table(lake.stations_path("ismn"))["station_id"].to_pylist() == ["NET_Down", "NET_Up_Hill"]


def test_a_file_and_the_same_file_in_an_archive_are_one(tmp_path, two_stations):
    archive = _zip(tmp_path / "Data.zip", two_stations)
    lake = Lake(tmp_path / "lake")
    assert load(PRODUCT, [tmp_path / "plain", archive], lake).counts == {"loaded": 2, "unchanged": 1}
    assert load(PRODUCT, [archive], lake).counts == {"unchanged": 2}


def test_a_damaged_member_is_named_and_the_others_load(tmp_path, two_stations):
    archive = _zip(tmp_path / "Data.zip", two_stations)
    content = bytearray(archive.read_bytes())
    with zipfile.ZipFile(archive) as opened:
        info = opened.infolist()[0]
    start = info.header_offset + 30 + len(info.filename)
    content[start + info.compress_size // 2] ^= 0xFF
    archive.write_bytes(bytes(content))
    report = load(PRODUCT, [archive], Lake(tmp_path / "lake"))
    assert report.counts == {"loaded": 1, "skipped": 1} and not report.ok
    bad = next(f for f in report.files if f.status == "skipped")
    assert bad.name == _name() and bad.reason.startswith("cannot be unpacked from Data.zip")


def test_an_archive_cut_off_or_empty_is_named(tmp_path, two_stations):
    archive = _zip(tmp_path / "Data.zip", two_stations)
    archive.write_bytes(archive.read_bytes()[:-40])
    (tmp_path / "none.zip").write_bytes(b"")
    _zip(tmp_path / "other.zip", {"readme.txt": b"nothing"})
    report = load(PRODUCT, [archive, tmp_path / "none.zip", tmp_path / "other.zip"], Lake(tmp_path / "lake"))
    reasons = {f.name: f.reason for f in report.files}
    assert reasons["Data.zip"].startswith("is a damaged or truncated zip archive")
    assert reasons["none.zip"].startswith("is a damaged or truncated zip archive")
    assert reasons["other.zip"] == "none of its 1 files has the name of a ismn file"


def test_a_longer_record_replaces_the_shorter_and_overlaps_are_refused(tmp_path):
    lake = Lake(tmp_path / "lake")
    short = _write(tmp_path / "a")
    assert load(PRODUCT, [short], lake).counts == {"loaded": 1}
    longer = _write(tmp_path / "b", _name().replace("0131", "0331"), _lines(2000))
    assert load(PRODUCT, [longer], lake).counts == {"replaced": 1}
    assert load(PRODUCT, [short], lake).counts == {"superseded": 1}
    rows = sum(pq.read_metadata(p).num_rows for p in lake.month_files("ismn").values())
    assert rows == 2000
    other_start = _write(tmp_path / "c", _name().replace("20200101", "20200102"), _lines(8))
    report = load(PRODUCT, [other_start], lake)
    assert report.counts == {"skipped": 1} and "have the same place and time as rows of" in report.files[0].reason


def test_two_sensors_and_two_variables_at_one_depth_and_time(tmp_path):
    """They are no duplicates: a probe measures moisture and temperature, and a station may have two probes at one depth."""
    _write(tmp_path / "in")
    _write(tmp_path / "in", _name(sensor="Probe-B"))
    _write(tmp_path / "in", _name("ts"))
    report = load(PRODUCT, [tmp_path / "in"], Lake(tmp_path / "lake"))
    assert report.counts == {"loaded": 3}, report.files


def test_a_name_of_its_own_needs_no_mapping_and_takes_no_grid():
    assert complete(PRODUCT, "oznet", None, None, []).name == "oznet"
    with pytest.raises(ProductError, match="ismn is complete: --grid is for"):
        complete(PRODUCT, None, "latlon_0p25", None, [])
    with pytest.raises(ProductError, match="that is a product of its own"):
        complete(PRODUCT, "stations", None, None, [])


# -- bad files ----------------------------------------------------------------------------------------------------------

GOOD = "\n".join([HEADER, *_lines()]) + "\n"
BAD = {
    "empty": (b"", r"is empty \(0 bytes\)"),
    "blank": (b"\n \r\n", "is empty: it has blank lines only"),
    "header only": (f"{HEADER}\n".encode(), "has a header but no measurements"),
    "binary": (b"\x89HDF\r\n\x1a\n\0\0", "is no text"),
    "a web page": (b"<html><body>Please log in</body></html>\n", "is in none of the layouts of ISMN: line 1 is '<html>"),
    "another table": (b"station_id,lon,lat\nA,1,2\n", "is in none of the layouts of ISMN: line 1"),
    "cut in a line": (GOOD[:-8].encode(), r"ends in the middle of a line \('.*'\): it is truncated"),
    "no flag": (GOOD.replace("0.2200 U M", "0.2200").encode(), "line 3 is '2020/01/01 23:00 0.2200'"),
    "a word for a number": (GOOD.replace("0.2200", "wet").encode(), "line 3 is '2020/01/01 23:00 wet U M'"),
    "no such day": (GOOD.replace("2020/01/01 23", "2020/02/30 23").encode(), "has 2020/02/30 23:00 in line 3, which is no time"),
    "no such hour": (GOOD.replace("01 23:00", "01 24:00").encode(), "has 2020/01/01 24:00 in line 3, which is no time"),
    "year 1066": (GOOD.replace("2020/01/01 23", "1066/01/01 23").encode(), "has 1066/01/01 23:00 in line 3, which is no time"),
    "outside its period": (
        GOOD.replace("2020/01/01 23", "2031/01/01 23").encode(),
        "has 2031-01-01 23:00 in line 3, outside 2020-01-01 to 2020-01-31, which its name says",
    ),
    "no such place": (GOOD.replace("49.50000", "149.5000").encode(), "says latitude 149.5"),
    "another station": (GOOD.replace("Up_Hill", "Valley ").encode(), "its name says NET_NET_UpHill, its content NET Valley"),
    "another depth": (GOOD.replace("0.05    0.05", "0.30    0.30").encode(), "its name says 5.08 to 5.08 cm, its content 30 to 30 cm"),
    "all missing": ("\n".join([HEADER, *_lines(flags=["M"])]).encode() + b"\n", "every value of soil_moisture_m3m3 is fill"),
    "all fill": (re.sub(r"0\.2\d00", "-9999", GOOD).encode(), "every value of soil_moisture_m3m3 is fill"),
    "percent": (re.sub(r"0\.2(\d)00", r"2\1.0", GOOD).encode(), "half of its soil_moisture_m3m3 lie above 2.*its unit is another"),
    "contradicts itself": (
        (GOOD + "2020/01/01 23:00 0.3300 U M\n").encode(),
        r"has 2020-01-01 23:00 twice with different values \(line 3 is the first\)",
    ),
    "of two stations": (
        "".join(f"{line[:16]} {line[:16]} {place} 0.05 0.05 {line[16:]}\n" for line, place in zip(
            _lines(), [PLACE, PLACE, PLACE.replace("Up_Hill", "Valley"), PLACE], strict=True)).encode(),
        "is of several sensors: name is Up_Hill in line 1 and Valley in line 3",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_is_refused_with_its_reason(tmp_path, case):
    content, reason = BAD[case]
    path = tmp_path / _name()
    path.write_bytes(content)
    with pytest.raises(BadFile, match=reason) as error:
        ismn.inspect(path, PRODUCT)
    assert "\n" not in error.value.reason and str(tmp_path) not in error.value.reason


@pytest.mark.parametrize(
    "name",
    ["readings.csv", _name("sd"), _name().replace(".stm", ".txt"), "NET_NET_UpHill_sm_0.05_0.05_P_20200101_2020.stm"],
)
def test_a_name_of_something_else_is_refused(tmp_path, name):
    with pytest.raises(BadFile, match="its name is not that of a ismn file"):
        ismn.inspect(_write(tmp_path, name), PRODUCT)


def test_dates_of_a_name_that_are_none(tmp_path):
    with pytest.raises(BadFile, match="its name says 20201301 to 20200131, which are no dates"):
        ismn.inspect(_write(tmp_path, _name().replace("20200101", "20201301")), PRODUCT)


def test_a_line_that_comes_twice_counts_once(tmp_path):
    assert _read(_write(tmp_path, lines=[*_lines(), _lines()[1]]))[1].num_rows == 4


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    """Said to every user alike: root may read what others may not."""

    def refuse(path):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    path = _write(tmp_path)
    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(BadFile, match=r"^cannot be read: Permission denied$"):
        ismn.inspect(path, PRODUCT)
    assert load(PRODUCT, [path], tmp_path / "lake").counts == {"skipped": 1}


def test_nothing_of_a_bad_file_is_in_the_lake(tmp_path):
    _write(tmp_path / "in")
    (tmp_path / "in" / _name(sensor="Cut")).write_text(GOOD[:-8])
    lake = Lake(tmp_path / "lake")
    report = load(PRODUCT, [tmp_path / "in"], lake)
    assert report.counts == {"loaded": 1, "skipped": 1} and not report.ok
    rows = pl.concat(pl.read_parquet(p, hive_partitioning=False) for p in lake.month_files("ismn").values())
    assert rows.height == 4 and set(rows["granule"]) == {_name()}


@given(cut=st.integers(0, len(GOOD) - 1))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_truncated_at_any_offset(tmp_path, cut):
    """A file cut off anywhere is refused, or, cut between two lines, holds exactly the lines before: a shorter record."""
    path = tmp_path / _name()
    path.write_text(GOOD[:cut])
    whole = GOOD[:cut].count("\n") - 1
    try:
        _, table, _ = _read(path)
    except BadFile:
        assert not GOOD[:cut].endswith("\n") or whole < 1
    else:
        assert GOOD[:cut].endswith("\n") and table.num_rows == whole
        assert table["soil_moisture_m3m3"].to_pylist() == EXPECTED["soil_moisture_m3m3"][:whole]


@given(at=st.integers(0, len(GOOD) - 1), to=st.integers(0, 255))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_byte_flipped_is_never_a_crash(tmp_path, at, to):
    content = bytearray(GOOD.encode())
    content[at] = to
    path = tmp_path / _name()
    path.write_bytes(bytes(content))
    try:
        _, table, _ = _read(path)
    except BadFile as bad:
        assert bad.reason
    else:
        assert table.num_rows <= 5
