"""The load transaction on real small files: what goes in, what stays out and why, and that nothing else changes."""

from __future__ import annotations

import io
import itertools
import shutil
import subprocess
import sys
import textwrap
from datetime import date
from pathlib import Path

import netCDF4
import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
import rasterio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console
from rich.progress import Progress

from loaders.catalog import write_catalog
from loaders.grids import GRIDS
from loaders.lake import Lake, LakeError
from loaders.load import load
from loaders.month_file import read_header
from loaders.products import all_products, complete, find_product
from tests.conftest import count_cases
from tests.loaders.load_files import (
    CELL,
    FILL,
    LEFT,
    TOP,
    daily_product,
    days,
    digests,
    leftovers,
    rows_of,
    some_map,
    static_product,
    status_of,
    table_product,
    write_csv,
    write_tif,
    yearly_product,
)

GRID = GRIDS["latlon_0p1"]
DAILY = daily_product()


def reason_of(report, name: str) -> str:
    return next(f.reason for f in report.files if f.name == name)


def a_week(folder: Path, first: date = date(2020, 1, 29), n: int = 7, **more) -> list[Path]:
    """Daily files around a month's end."""
    return [write_tif(folder / f"area_{d:%Y%m%d}.tif", some_map(i, **more)) for i, d in enumerate(days(first, n))]


def expected_rows(paths: list[Path]) -> dict[tuple[int, date], int]:
    """{(pixel, date): value}: every pixel that has a value in a month, on every date of that month; by rasterio alone."""
    maps: dict[date, dict[int, int]] = {}
    for path in paths:
        with rasterio.open(path) as file:
            values, t = file.read(1), file.transform
        text = path.stem.split("_")[1]
        day = date(int(text[:4]), int(text[4:6]), int(text[6:8]))
        for r, c in np.ndindex(values.shape):
            lon, lat = t.c + (c + 0.5) * t.a, t.f + (r + 0.5) * t.e
            pixel = round((90 - lat) / 0.1 - 0.5) * 3600 + round((lon + 180) / 0.1 - 0.5)
            maps.setdefault(day, {})[pixel] = int(values[r, c])
    rows = {}
    for month in {(d.year, d.month) for d in maps}:
        of_month = {d: m for d, m in maps.items() if (d.year, d.month) == month}
        pixels = {p for m in of_month.values() for p, v in m.items() if v != FILL}
        rows |= {(p, d): m.get(p) for d, m in of_month.items() for p in pixels}
    return rows


# -- what goes in -------------------------------------------------------------------------------------------------------


def test_every_value_is_in_the_lake_and_nothing_else(tmp_path: Path) -> None:
    paths = a_week(tmp_path / "in")
    lake = Lake(tmp_path / "lake")
    report = load(DAILY, [tmp_path / "in"], lake)
    assert report.ok and report.counts == {"loaded": 7} and report.n_month_files == 2
    rows = rows_of(lake, "daily")
    found = {(p, d): v for p, d, v in zip(*(rows[c].to_pylist() for c in ("pixel_id", "obs_date", "sm")), strict=True)}
    assert found == expected_rows(paths)
    assert len(found) == rows.num_rows == report.n_rows
    assert FILL in found.values()  # fill stays as delivered
    assert leftovers(lake) == []


def test_windows_that_do_not_cover_a_pixel_leave_null(tmp_path: Path) -> None:
    write_tif(tmp_path / "in/west_20200101.tif", some_map(1))
    write_tif(tmp_path / "in/east_20200102.tif", some_map(2), column=100)
    lake = Lake(tmp_path / "lake")
    assert load(DAILY, [tmp_path / "in"], lake).ok
    rows = pl.from_arrow(rows_of(lake, "daily")).with_columns(col=pl.col("pixel_id") % 3600)
    west = rows.filter(pl.col("col") < 1950)
    assert west.filter(pl.col("obs_date") == date(2020, 1, 2))["sm"].null_count() == west.height / 2 > 0
    assert west.filter(pl.col("obs_date") == date(2020, 1, 1))["sm"].null_count() == 0


def test_nan_is_null_and_declared_fill_stays(tmp_path: Path) -> None:
    values = some_map(3, dtype="float32")
    values[0, 0, :3] = [np.nan, 7, np.nan]
    write_tif(tmp_path / "in/area_20200101.tif", values)
    product = daily_product(variables=[{"name": "sm", "band": 1, "dtype": "float32", "fill": [FILL], "unit": "1"}])
    lake = Lake(tmp_path / "lake")
    assert load(product, [tmp_path / "in"], lake).ok
    row = pl.from_arrow(rows_of(lake, "daily"))
    assert row["sm"].is_nan().sum() == 0 and row["sm"].null_count() == 2
    # the pixels that are only fill have no rows; those that are NaN where fill is -9999 have
    assert row.height == int(np.count_nonzero(values != FILL))


def test_static_products_have_one_file(tmp_path: Path) -> None:
    values = some_map(4)
    write_tif(tmp_path / "in/clay.tif", values)
    lake = Lake(tmp_path / "lake")
    product = static_product()
    assert load(product, [tmp_path / "in"], lake).ok
    rows = pl.from_arrow(pq.read_table(lake.root / "raw/soil/static/soil.parquet"))
    assert rows.columns == ["pixel_id", "sm"]
    assert sorted(rows["sm"]) == sorted(values[values != FILL].tolist())
    # a second tile beside the first joins it
    write_tif(tmp_path / "in/clay_east.tif", some_map(5), column=8)
    report = load(product, [tmp_path / "in"], lake)
    assert status_of(report) == {"clay.tif": "unchanged", "clay_east.tif": "loaded"}
    assert pq.read_metadata(lake.root / "raw/soil/static/soil.parquet").num_rows > rows.height


def test_loading_twice_changes_no_byte_of_the_lake(tmp_path: Path) -> None:
    a_week(tmp_path / "in")
    lake = Lake(tmp_path / "lake")
    load(DAILY, [tmp_path / "in"], lake)
    before, stamps = digests(lake.root, hidden=True), {p: p.stat().st_ino for p in lake.root.rglob("*.parquet")}
    report = load(DAILY, [tmp_path / "in"], lake)
    assert report.ok and report.counts == {"unchanged": 7} and report.n_month_files == 0
    assert digests(lake.root, hidden=True) == before
    assert {p: p.stat().st_ino for p in lake.root.rglob("*.parquet")} == stamps


def _varied_files(folder: Path) -> list[Path]:
    """Granules of one month that differ in window, outline and variables with two fills, and one across the month's end."""
    made = []
    for i, (row, column) in enumerate([(0, 0), (0, 0), (3, 20), (3, 20), (40, 2)]):
        values = some_map(10 + i, dtype="float32")
        values[0, 1, :4] = [-1, np.nan, -1, np.nan]
        if i % 2:
            values[values == FILL] = -1  # mostly the second fill
        made.append(write_tif(folder / f"area_202001{10 + i:02d}.tif", values, row, column))
    made.append(write_tif(folder / "area_20200201.tif", some_map(30, dtype="float32")))
    return made


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(range(6)), cuts=st.sets(st.integers(1, 5)))
def test_order_and_number_of_loads_change_no_byte(tmp_path_factory, order: list[int], cuts: set[int]) -> None:
    folder = tmp_path_factory.mktemp("order")
    paths = _varied_files(folder / "in")
    product = daily_product(variables=[{"name": "sm", "band": 1, "dtype": "float32", "fill": [FILL, -1], "unit": "1"}])
    once = Lake(folder / "once")
    assert load(product, paths, once).ok
    pieces = Lake(folder / "pieces")
    bounds = [0, *sorted(cuts), 6]
    for start, stop in itertools.pairwise(bounds):
        assert load(product, [paths[i] for i in order[start:stop]], pieces).ok
    assert digests(pieces.raw("daily")) == digests(once.raw("daily"))
    assert digests(pieces.root / "catalog") == digests(once.root / "catalog")
    assert digests(pieces.root / "grids") == digests(once.root / "grids")


def test_threads_change_no_byte(tmp_path: Path) -> None:
    a_week(tmp_path / "in", date(2020, 1, 20), 60)
    trees = []
    for workers in (1, 2, 5):
        lake = Lake(tmp_path / f"lake{workers}")
        assert load(DAILY, [tmp_path / "in"], lake, workers=workers).ok
        trees.append(digests(lake.root))
    assert trees[0] == trees[1] == trees[2]


# -- versions -----------------------------------------------------------------------------------------------------------


def test_a_newer_version_replaces_and_an_older_one_stays_out(tmp_path: Path) -> None:
    old = write_tif(tmp_path / "in/area_20200101_v9.tif", some_map(1))
    new = write_tif(tmp_path / "in/area_20200101_v10.tif", some_map(2), row=1)
    other = write_tif(tmp_path / "in/area_20200102_v9.tif", some_map(3))
    lake, fresh = Lake(tmp_path / "lake"), Lake(tmp_path / "fresh")
    load(DAILY, [old, other], lake)
    report = load(DAILY, [new], lake)
    assert report.ok and status_of(report) == {"area_20200101_v10.tif": "replaced"}
    assert "version 9 (area_20200101_v9.tif) went" in reason_of(report, new.name)
    load(DAILY, [new, other], fresh)
    assert digests(lake.raw("daily")) == digests(fresh.raw("daily"))
    report = load(DAILY, [old], lake)
    assert report.ok and status_of(report) == {"area_20200101_v9.tif": "superseded"}
    assert digests(lake.raw("daily")) == digests(fresh.raw("daily"))
    # both at once
    both = Lake(tmp_path / "both")
    report = load(DAILY, [old, new, other], both)
    assert status_of(report) == {old.name: "superseded", new.name: "loaded", other.name: "loaded"}
    assert digests(both.raw("daily")) == digests(fresh.raw("daily"))


def test_the_same_name_with_other_bytes_replaces(tmp_path: Path) -> None:
    path = write_tif(tmp_path / "in/area_20200101.tif", some_map(1))
    lake, fresh = Lake(tmp_path / "lake"), Lake(tmp_path / "fresh")
    load(DAILY, [path], lake)
    write_tif(path, some_map(2))
    report = load(DAILY, [path], lake)
    assert status_of(report) == {path.name: "replaced"} and reason_of(report, path.name) == "its bytes changed"
    load(DAILY, [path], fresh)
    assert digests(lake.raw("daily")) == digests(fresh.raw("daily"))


def test_when_the_newer_version_is_damaged_the_older_one_is_loaded(tmp_path: Path) -> None:
    good = write_tif(tmp_path / "in/area_20200101_v1.tif", some_map(1))
    bad = write_tif(tmp_path / "in/area_20200101_v2.tif", np.full((1, 6, 8), FILL, "int16"))  # found out while reading
    lake, fresh = Lake(tmp_path / "lake"), Lake(tmp_path / "fresh")
    report = load(DAILY, [good, bad], lake)
    assert status_of(report) == {good.name: "loaded", bad.name: "skipped"} and not report.ok
    load(DAILY, [good], fresh)
    assert digests(lake.raw("daily")) == digests(fresh.raw("daily"))
    # and what is in the lake stays when a newer version of it is damaged
    bad3 = write_tif(tmp_path / "in/area_20200101_v3.tif", np.full((1, 6, 8), FILL, "int16"))
    assert status_of(load(DAILY, [bad3], lake)) == {bad3.name: "skipped"}
    assert digests(lake.raw("daily")) == digests(fresh.raw("daily"))


# -- what stays out -----------------------------------------------------------------------------------------------------


def test_bad_files_are_named_and_the_others_go_in(tmp_path: Path) -> None:
    good = a_week(tmp_path / "in", date(2020, 1, 1), 4)
    clean = Lake(tmp_path / "clean")
    load(DAILY, good, clean)

    bad = tmp_path / "bad"
    bad.mkdir()
    (bad / "area_20200105.tif").write_bytes(b"")
    (bad / "area_20200106.tif").write_bytes(good[0].read_bytes()[:200])
    (bad / "area_20200107.tif").write_text("<!DOCTYPE html><html>log in</html>")
    write_tif(bad / "area_20200108.tif", np.full((1, 6, 8), FILL, "int16"))
    write_tif(bad / "area_20200109.tif", some_map(1).astype("float64"))
    with rasterio.open(
        bad / "area_20200110.tif", "w", driver="GTiff", height=6, width=8, count=1, dtype="int16", crs="EPSG:4326",
        transform=rasterio.transform.from_origin(LEFT + 0.3 * CELL, TOP, CELL, CELL),
    ) as file:  # fmt: skip
        file.write(some_map(1))
    shutil.copy(good[0], bad / "area_20209999.tif")
    shutil.copy(good[0], bad / "other_product.tif")
    truncated = bad / "area_20200111.tif"
    write_tif(truncated, np.random.default_rng(0).integers(0, 3000, (1, 300, 400)).astype("int16"))
    truncated.write_bytes(truncated.read_bytes()[: truncated.stat().st_size // 2])

    lake = Lake(tmp_path / "lake")
    report = load(DAILY, [*good, *sorted(bad.iterdir()), tmp_path / "missing_20200101.tif"], lake)
    assert not report.ok
    skipped = {f.name: f.reason for f in report.files if f.status == "skipped"}
    assert set(skipped) == {*(p.name for p in bad.iterdir()), "missing_20200101.tif"}
    assert report.counts == {"loaded": 4, "skipped": 10}
    said = {
        "area_20200105.tif": "empty",
        "area_20200106.tif": "",
        "area_20200107.tif": "web page",
        "area_20200108.tif": "fill",
        "area_20200109.tif": "float64",
        "area_20200110.tif": "0.30 of a cell",
        "area_20209999.tif": "",
        "other_product.tif": "name",
        "area_20200111.tif": "truncated",
        "missing_20200101.tif": "no such file",
    }
    for name, words in said.items():
        assert words in skipped[name] and skipped[name] and "\n" not in skipped[name], (name, skipped[name])
    assert digests(lake.root) == digests(clean.root)
    assert leftovers(lake) == []


def test_bad_files_alone_leave_no_trace_of_a_product(tmp_path: Path) -> None:
    bad = write_tif(tmp_path / "area_20200108.tif", np.full((1, 6, 8), FILL, "int16"))
    lake, empty = Lake(tmp_path / "lake"), Lake(tmp_path / "empty").init()
    assert not load(DAILY, [bad], lake).ok
    assert digests(lake.root) == digests(empty.root)
    assert not list(lake.raw("daily").glob("year=*"))


def test_an_outage_is_said_and_brings_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "ESACCI-SOILMOISTURE-L3S-SSMV-COMBINED-20220102000000-fv08.1.nc"
    netCDF4.Dataset(path, "w").close()
    lake = Lake(tmp_path / "lake")
    report = load(find_product("esa_cci_combined"), [path], lake)
    assert not report.ok and "no variables" in report.files[0].reason
    assert lake.month_files("esa_cci_combined") == {}


def test_two_granules_with_the_same_cells_and_dates_do_not_both_go_in(tmp_path: Path) -> None:
    first = write_tif(tmp_path / "in/east_20200101.tif", some_map(1))
    later = write_tif(tmp_path / "in/west_20200101.tif", some_map(2), column=7)  # one column in common
    beside = write_tif(tmp_path / "in/zone_20200101.tif", some_map(3), column=15)
    lake = Lake(tmp_path / "lake")
    report = load(DAILY, [tmp_path / "in"], lake)
    assert status_of(report) == {first.name: "loaded", later.name: "skipped", beside.name: "loaded"}
    assert "same cells, dates and variables as east_20200101.tif" in reason_of(report, later.name)
    before = digests(lake.root)
    report = load(DAILY, [later], lake)
    assert status_of(report) == {later.name: "skipped"} and "east_20200101.tif" in report.files[0].reason
    assert digests(lake.root) == before


def test_copies_are_recognised(tmp_path: Path) -> None:
    path = write_tif(tmp_path / "a/area_20200101.tif", some_map(1))
    twin = tmp_path / "b/area_20200101.tif"
    twin.parent.mkdir()
    shutil.copy(path, twin)
    alias = tmp_path / "b/copy_20200101.tif"
    shutil.copy(path, alias)
    lake = Lake(tmp_path / "lake")
    report = load(DAILY, [path, path, twin, alias], lake)
    assert [(f.path, f.status) for f in report.files] == [
        (path, "loaded"), (twin, "unchanged"), (alias, "skipped"),
    ]  # fmt: skip
    assert "a copy of area_20200101.tif" in reason_of(report, alias.name)
    changed = write_tif(tmp_path / "c/area_20200101.tif", some_map(2))
    report = load(DAILY, [twin, changed], Lake(tmp_path / "two"))
    assert sorted(f.status for f in report.files) == ["loaded", "skipped"]
    assert any("bytes differ" in f.reason for f in report.files)


def test_folders_are_searched_and_hidden_files_left_out(tmp_path: Path) -> None:
    write_tif(tmp_path / "in/deep/er/area_20200101.tif", some_map(1))
    write_tif(tmp_path / "in/.hidden/area_20200102.tif", some_map(1))
    write_tif(tmp_path / "in/.area_20200103.tif", some_map(1))
    write_tif(tmp_path / "in/unrelated.tif", some_map(1))
    (tmp_path / "in/notes.txt").write_text("read me")
    (tmp_path / "nothing").mkdir()
    report = load(DAILY, [tmp_path / "in", tmp_path / "nothing"], tmp_path / "lake")
    assert status_of(report) == {"area_20200101.tif": "loaded", "nothing": "skipped"}
    assert "it is empty" in reason_of(report, "nothing")
    only_other = load(DAILY, [tmp_path / "in/.hidden/../deep/er/.."], tmp_path / "lake")
    assert only_other.counts == {"unchanged": 1}
    (tmp_path / "text").mkdir()
    (tmp_path / "text/notes.txt").write_text("read me")
    report = load(DAILY, [tmp_path / "text"], tmp_path / "lake")
    assert "none of its 1 files" in reason_of(report, "text") and not report.ok


# -- granules of many months --------------------------------------------------------------------------------------------


def _year_file(path: Path, n: int, seed: int = 0, **more) -> Path:
    random = np.random.default_rng(seed)
    return write_tif(path, random.integers(0, 3000, (n, 60, 80)).astype("int16"), **more)


def test_a_granule_of_many_months_is_in_all_of_them(tmp_path: Path) -> None:
    product = yearly_product(date(2019, 12, 20))
    path = _year_file(tmp_path / "area_year_v1.tif", 100)
    lake = Lake(tmp_path / "lake")
    report = load(product, [path], lake)
    assert report.ok and report.files[0].n_months == 4 and report.files[0].n_rows == 60 * 80 * 100
    with rasterio.open(path) as file:
        values = file.read()
    rows = pl.from_arrow(rows_of(lake, "yearly"))
    pixel = int(GRID.pixel_id(400 + 7, 1900 + 11))
    assert rows.filter(pl.col("pixel_id") == pixel)["sm"].to_list() == values[:, 7, 11].tolist()
    granule = pq.read_table(lake.catalog_path("granules", "yearly")).to_pylist()[0]
    assert (granule["n_months"], granule["first_date"], granule["last_date"]) == (
        4, date(2019, 12, 20), date(2020, 3, 28),
    )  # fmt: skip


def test_a_granule_that_breaks_in_a_later_month_leaves_none_of_it(tmp_path: Path) -> None:
    product = yearly_product(date(2020, 1, 1))
    good = _year_file(tmp_path / "east_year.tif", 100, 1)
    bad = _year_file(tmp_path / "west_year.tif", 100, 2, column=200)
    bad.write_bytes(bad.read_bytes()[: int(bad.stat().st_size * 0.7)])
    lake, clean = Lake(tmp_path / "lake"), Lake(tmp_path / "clean")
    report = load(product, [good, bad], lake)
    assert status_of(report) == {good.name: "loaded", bad.name: "skipped"}
    assert "truncated" in reason_of(report, bad.name)
    load(product, [good], clean)
    assert digests(lake.root) == digests(clean.root)


def test_a_newer_version_with_fewer_months_removes_the_old_ones(tmp_path: Path) -> None:
    product = yearly_product(date(2020, 1, 1))
    lake, clean = Lake(tmp_path / "lake"), Lake(tmp_path / "clean")
    load(product, [_year_file(tmp_path / "area_year_v1.tif", 100)], lake)
    assert len(lake.month_files("yearly")) == 4
    new = _year_file(tmp_path / "area_year_v2.tif", 40, 5)
    assert status_of(load(product, [new], lake)) == {new.name: "replaced"}
    load(product, [new], clean)
    assert digests(lake.raw("yearly")) == digests(clean.raw("yearly"))
    assert len(lake.month_files("yearly")) == 2


def test_a_month_file_that_was_removed_comes_back(tmp_path: Path) -> None:
    product = yearly_product(date(2020, 1, 1))
    path = _year_file(tmp_path / "area_year.tif", 100)
    lake = Lake(tmp_path / "lake")
    load(product, [path], lake)
    before = digests(lake.root)
    lake.month_path("yearly", date(2020, 2, 1)).unlink()
    assert status_of(load(product, [path], lake)) == {path.name: "loaded"}
    assert digests(lake.root) == before


def test_everything_but_raw_is_made_again(tmp_path: Path) -> None:
    a_week(tmp_path / "in")
    other = daily_product("other")
    lake = Lake(tmp_path / "lake")
    write_tif(tmp_path / "in2/area_20200101.tif", some_map(77), row=30)
    load(other, [tmp_path / "in2"], lake)
    load(DAILY, [tmp_path / "in"], lake)
    before = digests(lake.root)
    shutil.rmtree(lake.root / "grids")
    shutil.rmtree(lake.root / "catalog/granules")
    load(DAILY, [tmp_path / "in"], lake)
    load(other, [tmp_path / "in2"], lake)
    assert digests(lake.root) == before


def test_variables_in_files_of_their_own_meet_in_a_row(tmp_path: Path) -> None:
    """As the ERA5 archive delivers: one NetCDF a variable."""
    product = complete(
        find_product("raster"), "weather", "latlon_0p1",
        {"time_step": "day", "variables": [
            {"name": "t2m", "dtype": "float32", "unit": "K", "optional": True},
            {"name": "tp", "dtype": "float32", "unit": "m", "optional": True}]},
        [_netcdf(tmp_path / "describe.nc", ["t2m", "tp"])],
    )  # fmt: skip
    lake, once = Lake(tmp_path / "lake"), Lake(tmp_path / "once")
    first, second = _netcdf(tmp_path / "a.nc", ["t2m"]), _netcdf(tmp_path / "b.nc", ["tp"])
    assert load(product, [second], lake).ok and load(product, [first], lake).ok
    assert load(product, [first, second], once).ok
    assert digests(lake.root) == digests(once.root)
    rows = pl.from_arrow(rows_of(lake, "weather"))
    assert rows["t2m"].null_count() == rows["tp"].null_count() == 0 and rows.height == 3 * 4 * 2
    assert "a copy of b.nc" in load(product, [_netcdf(tmp_path / "c.nc", ["tp"])], lake).files[0].reason
    again = _netcdf(tmp_path / "other.nc", ["tp"])
    assert "same cells, dates and variables as b.nc" in load(product, [again], lake).files[0].reason


def _netcdf(path: Path, names: list[str]) -> Path:
    with netCDF4.Dataset(path, "w") as file:
        for name, values in (
            ("time", [0, 40]),
            ("latitude", TOP - CELL * (np.arange(3) + 0.5)),
            ("longitude", LEFT + CELL * (np.arange(4) + 0.5)),
        ):
            file.createDimension(name, len(values))
            variable = file.createVariable(name, "f8", (name,))
            variable[:] = values
            variable.units = {"time": "days since 2020-01-01", "latitude": "degrees_north"}.get(name, "degrees_east")
        for i, name in enumerate(names):
            variable = file.createVariable(name, "f4", ("time", "latitude", "longitude"))
            variable[:] = np.arange(24).reshape(2, 3, 4) + 100 * i + len(path.name)
            variable.units = "K"
    return path


# -- sparse -------------------------------------------------------------------------------------------------------------


def _points(path: Path, first: date, n_days: int, column: int = 0, seed: int = 0, n: int = 5) -> Path:
    random = np.random.default_rng(seed)
    rows = [
        (round(LEFT + (column + c + 0.5) * CELL, 5), round(TOP - 0.5 * CELL, 5), d, round(random.random(), 4))
        for d in days(first, n_days)
        for c in range(n)
    ]
    random.shuffle(rows)
    return write_csv(path, rows)


def test_tables_keep_their_rows_and_say_where_they_came_from(tmp_path: Path) -> None:
    path = _points(tmp_path / "a.csv", date(2020, 1, 20), 50)
    product = table_product(path)
    lake = Lake(tmp_path / "lake")
    report = load(product, [path], lake)
    assert report.ok and report.files[0].n_months == 3 and report.n_rows == 250
    rows = pl.from_arrow(rows_of(lake, "points"))
    assert rows.columns == ["pixel_id", "obs_date", "sm", "granule"]
    assert rows["granule"].unique().to_list() == ["a.csv"]
    source = pl.read_csv(path, try_parse_dates=True).with_columns(
        pixel_id=(400 * 3600 + ((pl.col("lon") + 180) / 0.1 - 0.5).round()).cast(pl.Int32)
    )
    joined = rows.join(source, left_on=["pixel_id", "obs_date"], right_on=["pixel_id", "date"], how="inner")
    assert joined.height == 250 and (joined["sm"] == joined["sm_right"]).all()


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(range(4)), cuts=st.sets(st.integers(1, 3)))
def test_order_of_tables_changes_no_byte(tmp_path_factory, order: list[int], cuts: set[int]) -> None:
    folder = tmp_path_factory.mktemp("tables")
    paths = [
        _points(folder / "a.csv", date(2020, 1, 20), 30),
        _points(folder / "b.csv", date(2020, 1, 20), 30, column=9),
        _points(folder / "c.csv", date(2020, 2, 19), 5),
        _points(folder / "d.csv", date(2020, 3, 1), 1),
    ]
    product = table_product(paths[0])
    once, pieces = Lake(folder / "once"), Lake(folder / "pieces")
    assert load(product, paths, once).ok
    bounds = [0, *sorted(cuts), 4]
    for start, stop in itertools.pairwise(bounds):
        assert load(product, [paths[i] for i in order[start:stop]], pieces).ok
    assert digests(pieces.root) == digests(once.root)


def test_rows_of_the_same_place_and_date_are_refused_once(tmp_path: Path) -> None:
    first = _points(tmp_path / "a.csv", date(2020, 1, 20), 30)
    later = _points(tmp_path / "b.csv", date(2020, 2, 10), 30, seed=4)  # shares 9 days, all in February
    product = table_product(first)
    lake, clean = Lake(tmp_path / "lake"), Lake(tmp_path / "clean")
    report = load(product, [first, later], lake)
    assert status_of(report) == {"a.csv": "loaded", "b.csv": "skipped"}
    assert "45 of its rows have the same place and time as rows of a.csv" in reason_of(report, "b.csv")
    load(product, [first], clean)
    assert digests(lake.root) == digests(clean.root)
    assert status_of(load(product, [later], lake)) == {"b.csv": "skipped"}
    assert digests(lake.root) == digests(clean.root)


def test_a_table_that_changed_replaces_itself(tmp_path: Path) -> None:
    path = _points(tmp_path / "a.csv", date(2020, 1, 20), 30)
    other = _points(tmp_path / "b.csv", date(2020, 2, 1), 3, column=9)
    product = table_product(path)
    lake, clean = Lake(tmp_path / "lake"), Lake(tmp_path / "clean")
    load(product, [path, other], lake)
    _points(path, date(2020, 1, 25), 4, seed=9)
    assert status_of(load(product, [path], lake)) == {"a.csv": "replaced"}
    load(product, [path, other], clean)
    assert digests(lake.raw("points")) == digests(clean.raw("points"))


def test_many_months_of_rows_wait_on_disk_when_memory_is_short(tmp_path: Path, monkeypatch) -> None:
    import loaders.load as module

    paths = [_points(tmp_path / f"{c}.csv", date(2020, 1, 1), 90, column=9 * i) for i, c in enumerate("abc")]
    product = table_product(paths[0])
    in_memory, on_disk = Lake(tmp_path / "memory"), Lake(tmp_path / "disk")
    assert load(product, paths, in_memory).ok
    monkeypatch.setattr(module, "SPARSE_MEMORY", 1)
    assert load(product, paths, on_disk).ok
    assert digests(on_disk.root) == digests(in_memory.root) and leftovers(on_disk) == []


def test_stations_and_their_observations(tmp_path: Path) -> None:
    stations = write_csv(
        tmp_path / "stations.csv", [("s1", 10.5, 49.5, "North"), ("s2", 11.5, 49.5, "South")], "station_id,lon,lat,name"
    )
    observations = write_csv(
        tmp_path / "observations.csv",
        [("s2", "2020-01-31T22:00:00", 0, 5, 0.21), ("s1", "2020-02-01T01:00:00", 0, 5, 0.31)],
        "station_id,time,layer_top_cm,layer_bottom_cm,soil_moisture_m3m3",
    )
    product = complete(find_product("stations"), "valley", None, None, [stations])
    lake = Lake(tmp_path / "lake")
    report = load(product, [stations, observations], lake)
    assert report.ok and report.counts == {"loaded": 2}
    table = pl.from_arrow(pq.read_table(lake.stations_path("valley")))
    assert table["station_id"].to_list() == ["s1", "s2"] and set(table["product"]) == {"valley"}
    rows = pl.concat([pl.read_parquet(p, hive_partitioning=False) for p in lake.month_files("valley").values()])
    assert rows.columns[:6] == ["station_id", "sensor", "layer_top_cm", "layer_bottom_cm", "obs_date", "obs_time"]
    assert rows["station_id"].to_list() == ["s2", "s1"]
    before = digests(lake.root)
    assert load(product, [stations, observations], lake).counts == {"unchanged": 2}
    assert digests(lake.root) == before
    write_csv(stations, [("s1", 10.5, 49.5, "North, moved")], "station_id,lon,lat,name".replace("name", "name"))
    stations.write_text('station_id,lon,lat,name\ns1,10.6,49.5,"North, moved"\n')
    assert status_of(load(product, [stations], lake)) == {"stations.csv": "replaced"}
    moved = pl.from_arrow(pq.read_table(lake.stations_path("valley")))
    assert moved["lon"].to_list() == [10.6, 11.5] and moved["name"][0] == "North, moved"


# -- grids, products, catalogue -----------------------------------------------------------------------------------------


def test_a_grid_taken_from_a_file_stays_the_products_grid(tmp_path: Path) -> None:
    # 0.03 of a degree beside every named grid
    first = write_tif(tmp_path / "hills_20200101.tif", some_map(1), column=0.3)
    product = complete(find_product("raster"), "hills", None, None, [first])
    lake = Lake(tmp_path / "lake")
    report = load(product, [first], lake)
    assert report.ok and report.grid_id == "hills"
    grid = lake.grid("hills")
    assert (grid.n_rows, grid.n_cols) == (6, 8) and abs(grid.left - LEFT - 0.03) < 1e-9
    part = write_tif(tmp_path / "hills_20200102.tif", some_map(2, 3, 3), row=2, column=4.3)
    assert load(product, [part], lake).ok
    entry = read_header(lake.month_path("hills", date(2020, 1, 1))).provenance.entries[1]
    assert (entry.window.row, entry.window.column) == (2, 4)
    outside = write_tif(tmp_path / "hills_20200103.tif", some_map(2), column=5.3)
    assert "outside grid hills" in load(product, [outside], lake).files[0].reason


def test_pixels_are_those_of_all_products_on_the_grid(tmp_path: Path) -> None:
    write_tif(tmp_path / "a/area_20200101.tif", some_map(1))
    write_tif(tmp_path / "b/area_20200101.tif", some_map(2), row=4)
    lake = Lake(tmp_path / "lake")
    load(DAILY, [tmp_path / "a"], lake)
    other = daily_product("other")
    load(other, [tmp_path / "b"], lake)
    pixels = pl.from_arrow(pq.read_table(lake.pixels_path("latlon_0p1")))
    in_raw = set(rows_of(lake, "daily")["pixel_id"].to_pylist()) | set(rows_of(lake, "other")["pixel_id"].to_pylist())
    assert pixels["pixel_id"].to_list() == sorted(in_raw)
    lon, lat = GRID.lonlat_of(pixels["row_index"].to_numpy(), pixels["col_index"].to_numpy())
    assert (pixels["lon"] == lon).all() and (pixels["lat"] == lat).all()
    assert (pixels["pixel_id"] == pixels["row_index"].cast(pl.Int64) * 3600 + pixels["col_index"]).all()
    assert pixels["area_km2"].is_between(70, 90).all()


def test_the_catalogue_says_what_was_loaded(tmp_path: Path) -> None:
    a_week(tmp_path / "in")
    lake = Lake(tmp_path / "lake")
    load(DAILY, [tmp_path / "in"], lake)
    product = pq.read_table(lake.catalog_path("products", "daily")).to_pylist()[0]
    assert (product["grid_id"], product["time_step"], product["kind"]) == ("latlon_0p1", "day", "gridded")
    assert pq.read_table(lake.catalog_path("variables", "daily"))["variable"].to_pylist() == ["sm"]
    granules = pq.read_table(lake.catalog_path("granules", "daily")).to_pylist()
    assert [g["granule"] for g in granules] == [f"area_{d:%Y%m%d}.tif" for d in days(date(2020, 1, 29), 7)]
    assert granules[0]["first_date"] == granules[0]["last_date"] == date(2020, 1, 29)
    # the completed product is kept, and the next load needs no mapping
    assert find_product("daily", lake.root) == DAILY


def test_every_variable_delivered_is_described(tmp_path: Path) -> None:
    """By the file's words where it has a variable of that name, else by the standard name's."""
    lake = Lake(tmp_path).init()
    for product in all_products().values():
        write_catalog(lake, product, None, {})
        rows = pq.read_table(lake.catalog_path("variables", product.name)).to_pylist()
        assert [(r["variable"], r["layer"]) for r in rows] == [(d.variable, d.layer) for d in product.delivers]
        assert all(r["description"] for r in rows), product.name
    described = {
        (p, r["variable"]): r["description"]
        for p in ("era5_land_monthly", "chirps_daily")
        for r in pq.read_table(lake.catalog_path("variables", p)).to_pylist()
    }
    assert described["era5_land_monthly", "soil_moisture"] == "volumetric soil moisture"
    assert described["chirps_daily", "precipitation"] == "total precipitation of the day"


def test_another_meaning_under_the_same_name_is_refused(tmp_path: Path) -> None:
    write_tif(tmp_path / "in/area_20200101.tif", some_map(1))
    lake = Lake(tmp_path / "lake")
    load(DAILY, [tmp_path / "in"], lake)
    before = digests(lake.root)
    other = daily_product(variables=[{"name": "sm", "band": 1, "dtype": "int16", "fill": [0], "unit": "1"}])
    with pytest.raises(LakeError, match="loaded before with other variables"):
        load(other, [tmp_path / "in"], lake)
    assert digests(lake.root) == before


def test_grids_that_do_not_fit_are_said_before_any_work(tmp_path: Path) -> None:
    path = _points(tmp_path / "a.csv", date(2020, 1, 1), 3)
    with pytest.raises(LakeError, match=r"no grid 'latlon_0p2'\. Nearest: latlon_0p25"):
        load(table_product(path, grid="latlon_0p1"), [path], tmp_path / "lake", grid="latlon_0p2")
    with pytest.raises(LakeError, match="leave --grid out"):
        load(DAILY, [path], tmp_path / "lake", grid="latlon_0p25")
    report = load(table_product(path, grid="latlon_0p1"), [path], tmp_path / "lake")
    assert report.ok
    with pytest.raises(LakeError, match="template"):
        load(find_product("raster"), [path], tmp_path / "lake")


# -- the machine --------------------------------------------------------------------------------------------------------


def _child(code: str, *arguments: object) -> subprocess.CompletedProcess:
    """Run Python code in a process of its own, from the repository."""
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=root, check=False)


LOAD_IN_CHILD = """
import sys
from pathlib import Path
from loaders.load import load
from loaders.lake import LakeError
from tests.loaders.load_files import daily_product
"""


def test_a_second_load_of_a_product_is_told_to_wait(tmp_path: Path) -> None:
    a_week(tmp_path / "in")
    lake = Lake(tmp_path / "lake").init()
    code = LOAD_IN_CHILD + "load(daily_product(), [sys.argv[1]], sys.argv[2])"
    with lake.lock_product("daily"):
        done = _child(code, tmp_path / "in", lake.root)
    assert done.returncode != 0 and "another load of daily" in done.stderr
    assert lake.month_files("daily") == {}
    assert _child(code, tmp_path / "in", lake.root).returncode == 0


def test_a_file_that_may_not_be_read_is_skipped(tmp_path: Path) -> None:
    paths = a_week(tmp_path / "in", n=2)
    paths[0].chmod(0)
    tmp_path.chmod(0o755)
    lake = tmp_path / "lake"
    lake.mkdir(mode=0o777)
    lake.chmod(0o777)
    code = LOAD_IN_CHILD + (
        "import os\nproduct = daily_product()\n"
        "for p in [Path(sys.argv[2]), *Path(sys.argv[2]).parents]: p.stat()\n"
        "os.seteuid(65534) if os.geteuid() == 0 else None\n"
        "for f in load(product, [Path(p) for p in sys.argv[3:]], sys.argv[2]).files: print(f.name, f.status, f.reason)"
    )
    for parent in tmp_path.parents:  # pytest's own folders are closed to others
        if parent.stat().st_uid == 0 and str(parent).startswith("/tmp/pytest"):
            parent.chmod(0o755)
    done = _child(code, "", lake, *paths)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith(f"{paths[0].name} skipped") and "permission denied" in lines[0].lower()
    assert lines[1].startswith(f"{paths[1].name} loaded")


def test_a_disk_that_refuses_leaves_the_lake_as_it_was(tmp_path: Path) -> None:
    """A limit on the size of files stands for a full disk: the operating system refuses the write."""
    random = np.random.default_rng(0)
    small = write_tif(tmp_path / "in/area_20200101.tif", some_map(1))
    lake = Lake(tmp_path / "lake")
    load(DAILY, [small], lake)
    before = digests(lake.root)
    noise = random.integers(0, 30_000, (1, 600, 600)).astype("int16")
    large = write_tif(tmp_path / "in/large_20200102.tif", noise, row=100)
    fits = write_tif(tmp_path / "in/area_20200301.tif", some_map(2))
    code = LOAD_IN_CHILD + (
        "import resource\nproduct = daily_product()\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))\n"
        "r = load(product, [Path(p) for p in sys.argv[2:]], sys.argv[1])\n"
        "for f in r.files: print(f.name, f.status, f.reason)"
    )
    done = _child(code, lake.root, large, fits)
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert said[0].startswith(f"{fits.name} loaded")
    assert said[1].startswith(f"{large.name} skipped could not be written into the lake: File too large")
    after = digests(lake.raw("daily"))
    kept = {k.removeprefix("raw/daily/"): v for k, v in before.items() if k.startswith("raw/daily")}
    assert {k: after[k] for k in kept} == kept and len(after) == len(kept) + 1
    assert leftovers(lake) == []
    assert load(DAILY, [large], lake).ok


def test_a_disk_that_fills_up_during_the_write(tmp_path: Path) -> None:
    """A real one of 1 MB: the load ends with the file named and the lake as it was; with room, the next load completes."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip(
            "a small disk can be mounted by root only: test_a_disk_that_refuses_leaves_the_lake_as_it_was stands in its place"
        )
    try:
        lake = Lake(disk / "lake")
        small = write_tif(tmp_path / "in/area_20200101.tif", some_map(1))
        assert load(DAILY, [small], lake).ok
        before = digests(lake.raw("daily"))
        noise = np.random.default_rng(0).integers(0, 30_000, (1, 1000, 1000)).astype("int16")
        large = write_tif(tmp_path / "in/large_20200202.tif", noise)
        report = load(DAILY, [large], lake)
        assert not report.ok and report.files[0].name == large.name
        assert report.files[0].reason.startswith("could not be written into the lake: No space left on device")
        assert digests(lake.raw("daily")) == before and leftovers(lake) == []
        assert load(DAILY, [small], lake).counts == {"unchanged": 1}
        assert subprocess.run(["mount", "-o", "remount,size=200m", str(disk)]).returncode == 0
        assert load(DAILY, [large], lake).ok and len(lake.month_files("daily")) == 2
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_full_disk_stops_the_load_and_says_so(tmp_path: Path, monkeypatch) -> None:
    import loaders.staging as staging

    a_week(tmp_path / "in", date(2020, 1, 1), 120)
    lake = Lake(tmp_path / "lake")
    real = staging.write_dense
    calls = []

    def full(path, *arguments):
        calls.append(path)
        if len(calls) > 1:
            path.write_bytes(b"half")
            raise OSError(28, "No space left on device")
        real(path, *arguments)

    monkeypatch.setattr(staging, "write_dense", full)
    report = load(DAILY, [tmp_path / "in"], lake, workers=1)
    assert not report.ok and set(report.counts) == {"loaded", "skipped"}
    reasons = {f.reason for f in report.files if f.status == "skipped"}
    assert any(r.startswith("could not be written into the lake: No space left") for r in reasons)
    assert any(r.startswith("not tried") for r in reasons) and len(calls) == 2
    assert len(lake.month_files("daily")) == 1 and leftovers(lake) == []
    monkeypatch.undo()
    again = load(DAILY, [tmp_path / "in"], lake)
    assert again.ok and again.counts == {"unchanged": 31, "loaded": 89}


def test_a_damaged_month_stops_only_what_needs_it(tmp_path: Path) -> None:
    a_week(tmp_path / "in")
    lake = Lake(tmp_path / "lake")
    load(DAILY, [tmp_path / "in"], lake)
    path = lake.month_path("daily", date(2020, 1, 1))
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    with pytest.raises(LakeError, match="is damaged"):
        load(DAILY, [tmp_path / "in"], lake)
    path.unlink()
    assert load(DAILY, [tmp_path / "in"], lake).ok
    assert path.read_bytes() == whole


# -- the report ---------------------------------------------------------------------------------------------------------


def test_progress_and_report(tmp_path: Path) -> None:
    a_week(tmp_path / "in", n=30)
    write_tif(tmp_path / "in/area[bold]_20200401.tif", np.full((1, 6, 8), FILL, "int16"))
    screen = Console(file=io.StringIO(), width=120)
    with Progress(console=screen) as progress:
        product = daily_product(pattern=r"(?P<area>\S+?)_(?P<date>\d{8})\.tif$")
        report = load(product, [tmp_path / "in"], tmp_path / "lake", progress=progress)
    assert all(t.finished for t in progress.tasks) and len(progress.tasks) == 2
    screen.print(report.table())
    text = screen.file.getvalue()
    assert "area[bold]_20200401.tif" in text and "30 files" in text and "skipped" in text and "fill" in text


def test_real_products_load_twice_to_the_same_lake(shared: Path, tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    rows = {}
    for name, folder, n_files in (
        ("chirps_monthly", "chirps_java_monthly", 84),
        ("esa_cci_combined", "esa_cci_daily", 1),
        ("spl2smp", "smap_l2_h5", 1),
    ):
        report = load(find_product(name), [shared / "data" / folder], lake)
        assert report.ok and report.counts == {"loaded": n_files}, report.files
        rows[name] = report.n_rows
    assert rows["chirps_monthly"] == 84 * 4908
    assert rows["spl2smp"] == 17_251
    before = digests(lake.root)
    for name, folder in (("chirps_monthly", "chirps_java_monthly"), ("esa_cci_combined", "esa_cci_daily")):
        assert set(load(find_product(name), [shared / "data" / folder], lake).counts) == {"unchanged"}
    assert digests(lake.root) == before
    count_cases("real files loaded into a lake", 86)
