"""The table reader: the real tables against pandas, and small ones that show each spelling and each refusal."""

from __future__ import annotations

import gzip
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

from loaders.granule import BadFile
from loaders.grids import GRIDS
from loaders.products import complete, find_product
from loaders.readers import table as table_reader
from tests.conftest import count_cases


def _complete(path: Path, grid: str, mapping=None):
    return complete(find_product("table"), "test", grid, mapping, [path])


def _read(path: Path, product=None, grid: str = "latlon_0p25"):
    product = product or _complete(path, grid)
    granule = table_reader.inspect(path, product, GRIDS[grid])
    return granule, table_reader.read_sparse(granule, product)


# -- real tables --------------------------------------------------------------------------------------------------------


def test_usa_tables_equal_pandas(shared):
    folder = shared / "data" / "conus_table"
    path = folder / "conus_daily_2015-04_2016-03.csv.gz"
    granule, table = _read(path, grid="ease2_m36")
    truth = pd.read_csv(path, parse_dates=["date"])
    assert granule.variables == ("soil_moisture", "precipitation", "air_temperature")
    assert granule.dates == tuple(truth["date"].dt.date.drop_duplicates().sort_values())
    assert len(granule.dates) == 366 and table.num_rows == 412 * 366
    found = table.to_pandas()
    np.testing.assert_array_equal(pd.to_datetime(found["obs_date"]), truth["date"])
    for name in granule.variables:
        np.testing.assert_array_equal(found[name], truth[name])
        assert table[name].null_count == truth[name].isna().sum()
    # cells, placed by the grid's published formula: columns are even in longitude, rows in the sine of latitude
    cells = found.drop_duplicates("pixel_id")["pixel_id"].to_numpy()
    assert cells.size == 412
    lon, lat = GRIDS["ease2_m36"].lonlat_of(found["pixel_id"].to_numpy() // 964, found["pixel_id"].to_numpy() % 964)
    np.testing.assert_allclose(lon, truth["lon"], atol=1e-4)
    np.testing.assert_allclose(lat, truth["lat"], atol=1e-4)
    np.testing.assert_array_equal(found["pixel_id"] % 964, np.floor((truth["lon"] + 180) / 360 * 964))
    count_cases("USA table rows against pandas", table.num_rows)
    static = folder / "conus_static.csv"
    granule, table = _read(static, grid="ease2_m36")
    truth = pd.read_csv(static)
    assert granule.dates == () and table.column_names == ["pixel_id", *truth.columns[2:]]
    pd.testing.assert_frame_equal(table.to_pandas()[truth.columns[2:]], truth[truth.columns[2:]])
    np.testing.assert_array_equal(np.sort(table["pixel_id"]), np.sort(cells))
    count_cases("USA static rows against pandas", table.num_rows)


def test_usa_table_on_a_wrong_grid_is_refused(shared):
    path = shared / "data" / "conus_table" / "conus_static.csv"
    product = _complete(path, "latlon_0p25")
    reason = r"412 of its 412 points do not lie on grid latlon_0p25: the worst, lon -?\d.*is 0\.\d\d of a cell.*would fit ease2_m36$"
    with pytest.raises(BadFile, match=reason):
        table_reader.inspect(path, product, GRIDS["latlon_0p25"])
    count_cases("USA tables on a wrong grid", 1)


# -- small tables -------------------------------------------------------------------------------------------------------

ROWS = "lon,lat,date,sm\n10.125,49.875,2020-01-01,0.1\n10.375,49.875,2020-01-01,0.2\n10.125,49.875,2020-01-02,\n"
PIXELS = [160 * 1440 + 760, 160 * 1440 + 761, 160 * 1440 + 760]


def _write(path: Path, text: str = ROWS) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_a_plain_table(tmp_path):
    granule, table = _read(_write(tmp_path / "a.csv"))
    assert granule.dates == (date(2020, 1, 1), date(2020, 1, 2)) and granule.window is None
    assert table.to_pydict() == {
        "pixel_id": PIXELS,
        "obs_date": [date(2020, 1, 1), date(2020, 1, 1), date(2020, 1, 2)],
        "sm": [0.1, 0.2, None],
    }


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.replace(",", ";"),
        lambda t: t.replace(",", "\t"),
        lambda t: t.replace("\n", "\r\n"),
        lambda t: "\ufeff" + t,
        lambda t: t.replace("2020-01-0", "2020010"),
        lambda t: t.replace("2020-01-0", "2020/01/0"),
        lambda t: t.replace("2020-01-0", "202000"),  # year and day of the year
        lambda t: t.replace("0.2\n", "0.2\n").replace("02,\n", "02,NA\n"),
        lambda t: t.replace("02,\n", "02,NaN\n"),
        lambda t: t.rstrip("\n"),
        lambda t: t.replace("10.125", "10.1251"),
    ],
)
def test_spellings_of_the_same_table(tmp_path, change):
    _, table = _read(_write(tmp_path / "a.csv", change(ROWS)))
    assert table["pixel_id"].to_pylist() == PIXELS
    assert table["obs_date"].to_pylist() == [date(2020, 1, 1), date(2020, 1, 1), date(2020, 1, 2)]
    assert table["sm"].to_pylist() == [0.1, 0.2, None]


def test_longitudes_from_0_to_360(tmp_path):
    west = ROWS.replace("10.125", "349.875").replace("10.375", "-10.125").replace("2020-01-02", "2020-01-03")
    _, table = _read(_write(tmp_path / "a.csv", west.replace("-10.125,49.875,2020-01-01", "-10.125,49.875,2020-01-02")))
    assert table["pixel_id"].unique().to_pylist() == [160 * 1440 + 679]


def test_parquet_and_gzipped_tables(tmp_path):
    frame = pl.read_csv(ROWS.encode(), try_parse_dates=True).with_columns(pl.col("sm").cast(pl.Float32))
    frame = frame.with_columns(pl.col("sm").fill_null(float("nan")), n=pl.Series([1, 2, 3], dtype=pl.Int16))
    frame.write_parquet(tmp_path / "a.parquet")
    (tmp_path / "b.parquet.gz").write_bytes(gzip.compress((tmp_path / "a.parquet").read_bytes()))
    (tmp_path / "c.csv.gz").write_bytes(gzip.compress(ROWS.encode()))
    for name in ("a.parquet", "b.parquet.gz"):
        _, table = _read(tmp_path / name)
        assert table["pixel_id"].to_pylist() == PIXELS
        assert [str(table.schema.field(c).type) for c in ("sm", "n")] == ["float", "int16"]
        assert table["sm"].to_pylist() == [pytest.approx(0.1), pytest.approx(0.2), None]  # NaN is NULL
    assert _read(tmp_path / "c.csv.gz")[1]["sm"].to_pylist() == [0.1, 0.2, None]


def test_times_months_and_zones(tmp_path):
    text = "lon,lat,date,sm\n10.125,49.875,2020-01-01T23:30:00+00:00,1\n10.125,49.875,2020-01-02T01:00:00+02:00,2\n"
    _, table = _read(_write(tmp_path / "a.csv", text))
    assert table["obs_time"].to_pylist() == [datetime(2020, 1, 1, 23, 30), datetime(2020, 1, 1, 23, 0)]
    assert table["obs_date"].to_pylist() == [date(2020, 1, 1)] * 2
    stamps = pl.Series([datetime(2020, 1, 1, 1, tzinfo=UTC)]).dt.convert_time_zone("Asia/Jakarta")
    pl.DataFrame({"lon": [10.125], "lat": [49.875], "date": stamps, "sm": [1.0]}).write_parquet(tmp_path / "b.parquet")
    assert _read(tmp_path / "b.parquet")[1]["obs_time"].to_pylist() == [datetime(2020, 1, 1, 1)]
    monthly = _write(tmp_path / "c.csv", ROWS.replace("2020-01-01", "2020-01").replace("2020-01-02", "2020-02"))
    assert _read(monthly)[0].dates == (date(2020, 1, 1), date(2020, 2, 1))
    mid_month = _write(tmp_path / "d.csv", ROWS.replace("2020-01-02", "2020-02-15"))
    product = _complete(mid_month, "latlon_0p25", {"time_step": "month"})
    assert _read(mid_month, product)[0].dates == (date(2020, 1, 1), date(2020, 2, 1))


def test_renamed_columns_and_declared_types(tmp_path):
    path = _write(tmp_path / "a.csv", ROWS.replace("lon,lat,date,sm", "x,y,day,Soil (m3)").replace(",\n", ",-9999\n"))
    mapping = {
        "columns": {"lon": "x", "lat": "y", "date": "day"},
        "variables": [{"name": "sm", "column": "Soil (m3)", "dtype": "float32", "fill": -9999, "unit": "m3 m-3"}],
    }
    _, table = _read(path, _complete(path, "latlon_0p25", mapping))
    assert table["sm"].to_pylist() == [pytest.approx(0.1), pytest.approx(0.2), -9999]  # fill stays as delivered
    assert str(table.schema.field("sm").type) == "float"


def test_optional_columns_may_lack(tmp_path):
    full = _write(
        tmp_path / "a.csv", "lon,lat,date,sm,t\n10.125,49.875,2020-01-01,0.1,1\n10.125,49.875,2020-01-02,,3\n"
    )
    mapping = {"variables": [{"name": "sm"}, {"name": "t", "optional": True}]}
    product = _complete(full, "latlon_0p25", mapping)
    assert _read(full, product)[0].variables == ("sm", "t")
    assert _read(_write(tmp_path / "b.csv"), product)[0].variables == ("sm",)


# -- what is refused ----------------------------------------------------------------------------------------------------


def _bytes(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def _half_parquet(folder: Path) -> Path:
    pl.DataFrame(
        {"lon": [10.125] * 999, "lat": [49.875] * 999, "date": ["2020-01-01"] * 999, "sm": np.arange(999.0)}
    ).write_parquet(folder / "p")
    return _bytes(folder / "a.parquet", (folder / "p").read_bytes()[:-2000])


REFUSALS = {
    "empty": (lambda t: _bytes(t / "a.csv", b""), r"is empty \(0 bytes\)"),
    "header only": (lambda t: _write(t / "a.csv", "lon,lat,date,sm\n"), "has a header but no rows"),
    "truncated gzip": (lambda t: _bytes(t / "a.csv.gz", gzip.compress(ROWS.encode() * 500)[:-30]), "damaged or truncated gzip"),
    "truncated line": (lambda t: _write(t / "a.csv", ROWS + "10.375,49.87"), r"ends in the middle of a line \('10.375,49.87'\)"),
    "truncated Parquet": (_half_parquet, "damaged or truncated Parquet"),
    "binary": (lambda t: _bytes(t / "a.csv", b"\x89HDF\r\n\x1a\n" + b"\x00" * 99), "neither a CSV nor a Parquet table"),
    "login page": (lambda t: _write(t / "a.csv", "<!DOCTYPE html>\n<html>"), "not a table but a web page"),
    "no lon": (lambda t: _write(t / "a.csv", ROWS.replace("lon", "longitude")), "has no column 'lon' \\(longitude of the point, degrees\\).*; it has date, lat, longitude, sm"),
    "no date": (lambda t: _write(t / "a.csv", ROWS.replace("date", "dates")), "has no column 'date' .*is it 'dates'"),
    "no variable": (lambda t: _write(t / "a.csv", ROWS.replace("sm", "tp")), "has no variable sm; it has tp"),
    "off the grid": (lambda t: _write(t / "a.csv", ROWS.replace("10.375", "10.3001")), r"1 of its 2 points do not lie on grid latlon_0p25: the worst, lon 10\.300100, lat 49\.875000, is 0\.30 of a cell from the nearest centre; they fit no other"),
    "other grid": (lambda t: _write(t / "a.csv", ROWS.replace("10.375", "10.25").replace("10.125", "10.5").replace("49.875", "50.25")), r"they would fit era5_0p25"),
    "swapped": (lambda t: _write(t / "a.csv", ROWS.replace("10.375", "120").replace("lon,lat", "lat,lon")), "columns lon and lat swapped"),
    "missing place": (lambda t: _write(t / "a.csv", ROWS.replace("10.375,", ",")), "has no lon in line 3"),
    "place is a word": (lambda t: _write(t / "a.csv", ROWS.replace("10.375", "east")), "its column 'lon' has 'east' in line 3, which is no number"),
    "value is a word": (lambda t: _write(t / "a.csv", ROWS.replace("0.2", "wet")), "its column 'sm' has 'wet' in line 3, which is no number"),
    "decimal commas": (lambda t: _write(t / "a.csv", ROWS.replace(",", ";").replace("0.2", "0,2")), "its column 'sm' has '0,2' in line 3"),
    "unreadable date": (lambda t: _write(t / "a.csv", ROWS.replace("2020-01-02", "02/01/2020")), r"its column 'date' has '02/01/2020' in line 4, which is no date between 1850 and 2200 \(write YYYY-MM-DD\)"),
    "impossible date": (lambda t: _write(t / "a.csv", ROWS.replace("2020-01-02", "2020-02-30")), "'2020-02-30' in line 4"),
    "missing date": (lambda t: _write(t / "a.csv", ROWS.replace("2020-01-02", "")), "its column 'date' is empty in line 4"),
    "only months": (lambda t: _write(t / "a.csv", ROWS.replace("-01-01", "-01").replace("-01-02", "-02")), r"says only months \(2020-01\), but test is daily"),
    "duplicate": (lambda t: _write(t / "a.csv", ROWS.replace("2020-01-02", "2020-01-01")), r"has lon 10\.125, lat 49\.875, on 2020-01-01 more than once \(line 2 and line 4\)"),
    "duplicate cell": (lambda t: _write(t / "a.csv", ROWS.replace("10.375", "10.1251")), r"more than once \(line 2 and line 3\)"),
    "all missing": (lambda t: _write(t / "a.csv", ROWS.replace(",0.1", ",").replace(",0.2", ",NA")), "every value of sm is fill"),
    "too many fields": (lambda t: _write(t / "a.csv", ROWS.replace("0.2", "0.2,9")), "line 3 has 5 fields, the header 4"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSALS)
def test_what_is_refused_and_why(tmp_path, case):
    write, reason = REFUSALS[case]
    product = _complete(_write(tmp_path / "good.csv"), "latlon_0p25")
    with pytest.raises(BadFile, match=reason) as error:
        _read(write(tmp_path), product)
    assert str(tmp_path) not in error.value.reason and "\n" not in error.value.reason


def test_dates_and_static_products_do_not_mix(tmp_path):
    static = _write(tmp_path / "static.csv", "lon,lat,sm\n10.125,49.875,0.1\n")
    product = _complete(static, "latlon_0p25")
    with pytest.raises(BadFile, match="has a column 'date', but test does not change with time"):
        _read(_write(tmp_path / "a.csv"), product)
    with pytest.raises(BadFile, match=r"has lon 10\.125, lat 49\.875 more than once"):
        _read(_write(tmp_path / "b.csv", "lon,lat,sm\n10.125,49.875,0.1\n10.125,49.875,0.2\n"), product)


def test_a_type_that_would_lose_values_is_refused(tmp_path):
    pl.DataFrame({"lon": [10.125], "lat": [49.875], "sm": pl.Series([1], dtype=pl.Int32)}).write_parquet(
        tmp_path / "a.parquet"
    )
    product = _complete(tmp_path / "a.parquet", "latlon_0p25")
    pl.DataFrame({"lon": [10.125], "lat": [49.875], "sm": [1.5]}).write_parquet(tmp_path / "b.parquet")
    with pytest.raises(BadFile, match="its column 'sm' is float64, but the product says int32"):
        _read(tmp_path / "b.parquet", product)
    whole = _complete(_write(tmp_path / "c.csv"), "latlon_0p25", {"variables": [{"name": "sm", "dtype": "int8"}]})
    with pytest.raises(BadFile, match=r"its column 'sm' has '0\.1' in line 2, which is no whole number that fits"):
        _read(tmp_path / "c.csv", whole)
