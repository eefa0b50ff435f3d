"""The lake's folders, its month files and its locks."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import date
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loaders.granule import Window
from loaders.grids import GRIDS
from loaders.lake import READ_FOLDERS, ROW_GROUP, Lake, LakeError, write_atomically, write_table
from loaders.month_file import (
    DenseBlock,
    Entry,
    Provenance,
    dense_schema,
    distinct_pixels,
    read_dense_block,
    read_header,
    write_dense,
)
from tests.loaders.load_files import FILL, daily_product, days, digests, leftovers

GRID = GRIDS["latlon_0p1"]
PRODUCT = daily_product(
    variables=[
        {"name": "sm", "band": 1, "dtype": "int16", "fill": [FILL], "unit": "1"},
        {"name": "temperature", "band": 1, "dtype": "float32", "unit": "K"},
    ]
)
SCHEMA = dense_schema(PRODUCT, GRID)


def provenance(n_days: int = 2) -> Provenance:
    entry = Entry(
        "a.tif", "a", "1", "00", ("sm",), tuple(days(date(2020, 1, 1), n_days)), Window(0, 0, 2, 3), 1, {"sm": FILL}
    )
    return Provenance("daily", "latlon_0p1", "dense", (entry,))


def block(n_pixels: int, n_days: int, seed: int = 0) -> DenseBlock:
    random = np.random.default_rng(seed)
    temperature = random.normal(280, 10, (n_days, n_pixels)).astype(np.float32)
    temperature[random.random(temperature.shape) < 0.2] = np.nan
    return DenseBlock(
        pixel_ids=np.sort(random.choice(GRID.n_pixels, n_pixels, replace=False)).astype(np.int32),
        dates=tuple(days(date(2020, 1, 1), n_days)),
        values={"sm": random.integers(-100, 100, (n_days, n_pixels)).astype(np.int16), "temperature": temperature},
        valid={"sm": random.random((n_days, n_pixels)) < 0.9, "temperature": None},
    )


def copy(b: DenseBlock) -> DenseBlock:
    return DenseBlock(b.pixel_ids.copy(), b.dates, dict(b.values), dict(b.valid))


def test_every_folder_a_model_reads_holds_a_typed_empty_file(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake").init()
    for folder, schema in READ_FOLDERS.items():
        table = pq.read_table(lake.root / folder / "empty.parquet")
        assert table.schema == schema and table.num_rows == 0
        # both engines read these folders by a glob
        assert duckdb.sql(f"select * from '{lake.root}/{folder}/*.parquet'").fetchall() == []
    before = digests(lake.root)
    stamps = {p: p.stat().st_mtime_ns for p in lake.root.rglob("*.parquet")}
    lake.init()
    assert digests(lake.root) == before
    assert {p: p.stat().st_mtime_ns for p in lake.root.rglob("*.parquet")} == stamps


def test_a_lake_that_cannot_be_written_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "lake").write_text("a file where the folder should be")
    with pytest.raises(LakeError, match=r"the lake .* cannot be written"):
        Lake(tmp_path / "lake").init()


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 60), st.integers(1, 31), st.integers(0, 99))
def test_a_dense_month_comes_back_as_it_was(tmp_path_factory, n_pixels: int, n_days: int, seed: int) -> None:
    path = tmp_path_factory.mktemp("dense") / "m.parquet"
    b = block(n_pixels, n_days, seed)
    write_dense(path, copy(b), SCHEMA, provenance(n_days))
    back = read_dense_block(path, SCHEMA)
    np.testing.assert_array_equal(back.pixel_ids, b.pixel_ids)
    assert back.dates == b.dates
    valid = back.valid["sm"] if back.valid["sm"] is not None else np.ones(b.values["sm"].shape, bool)
    np.testing.assert_array_equal(valid, b.valid["sm"])
    np.testing.assert_array_equal(back.values["sm"][valid], b.values["sm"][valid])
    seen = back.valid["temperature"]
    nan = np.isnan(b.values["temperature"])
    np.testing.assert_array_equal(np.zeros_like(nan) if seen is None else ~seen, nan)
    np.testing.assert_array_equal(back.values["temperature"][~nan], b.values["temperature"][~nan])


def test_layout_is_that_of_the_contract(tmp_path: Path) -> None:
    path = tmp_path / "m.parquet"
    b = block(40_000, 31)
    write_dense(path, copy(b), SCHEMA, provenance(31))
    file = pq.ParquetFile(path)
    sizes = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
    assert sum(sizes) == 40_000 * 31 and set(sizes[:-1]) == {ROW_GROUP} == {122_880}
    column = {c: file.metadata.row_group(0).column(i) for i, c in enumerate(SCHEMA.names)}
    for name in ("pixel_id", "obs_date", "sm"):
        assert "DELTA_BINARY_PACKED" in column[name].encodings
    assert "BYTE_STREAM_SPLIT" in column["temperature"].encodings
    assert all(c.compression == "ZSTD" and not c.has_dictionary_page for c in column.values())
    rows = pl.read_parquet(path, hive_partitioning=False)
    assert rows.equals(rows.sort("pixel_id", "obs_date"))
    assert rows["temperature"].is_nan().sum() == 0
    assert rows["temperature"].null_count() == int(np.isnan(b.values["temperature"]).sum())
    np.testing.assert_array_equal(distinct_pixels(path), b.pixel_ids)
    # a value at a place, checked without the reader
    day, pixel = 17, 12_345
    found = rows.filter(pl.col("pixel_id") == int(b.pixel_ids[pixel]), pl.col("obs_date") == b.dates[day])
    assert found["sm"][0] == (b.values["sm"][day, pixel] if b.valid["sm"][day, pixel] else None)


def test_the_same_block_gives_the_same_bytes(tmp_path: Path) -> None:
    b = block(5000, 28)
    for name in ("one", "two"):
        write_dense(tmp_path / name, copy(b), SCHEMA, provenance(28))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_provenance_is_readable_in_sql_and_holds_no_time(tmp_path: Path) -> None:
    path = tmp_path / "m.parquet"
    write_dense(path, block(10, 2), SCHEMA, provenance())
    (text,) = duckdb.sql(
        f"select decode(value) from parquet_kv_metadata('{path}') where decode(key) = 'soilhouse'"
    ).fetchone()
    assert json.loads(text) == {
        "format": 1,
        "product": "daily",
        "grid_id": "latlon_0p1",
        "layout": "dense",
        "granules": [
            {
                "name": "a.tif",
                "key": "a",
                "version": "1",
                "sha256": "00",
                "variables": ["sm"],
                "dates": ["2020-01-01", "2020-01-02"],
                "window": [0, 0, 2, 3],
                "n_months": 1,
                "blank": {"sm": FILL},
            }
        ],
    }
    header = read_header(path)
    assert header.provenance == provenance() and header.n_rows == 20


def test_damaged_and_foreign_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "m.parquet"
    write_dense(path, block(100, 2), SCHEMA, provenance())
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(LakeError, match=r"m\.parquet is damaged .* remove it"):
        read_header(path)
    pq.write_table(pa.table({"pixel_id": [1]}), path)
    with pytest.raises(LakeError, match="was not written by a load"):
        read_header(path)
    write_dense(path, block(100, 2), SCHEMA, provenance())
    other = dense_schema(daily_product(), GRID)
    with pytest.raises(LakeError, match="the product now pixel_id, obs_date, sm:"):
        read_dense_block(path, other)


def test_foreign_files_in_a_product_folder_are_named(tmp_path: Path) -> None:
    lake = Lake(tmp_path).init()
    folder = lake.raw("daily") / "year=2020" / "month=01"
    folder.mkdir(parents=True)
    (folder / "mine.parquet").write_bytes(b"")
    with pytest.raises(LakeError, match=r"mine\.parquet was not written by a load"):
        lake.month_files("daily")


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    write_table(pa.table({"a": [1]}), path)
    before = path.read_bytes()

    def fail(temporary: Path) -> None:
        temporary.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_atomically(path, fail)
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["t.parquet"]


def test_the_same_table_is_not_written_again(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    table = pa.table({"a": [1], "b": ["x"]}).replace_schema_metadata({"soilhouse": "{}"})
    assert write_table(table, path) is True
    inode = path.stat().st_ino
    assert write_table(table, path) is False and path.stat().st_ino == inode
    assert pq.read_metadata(path).metadata[b"soilhouse"] == b"{}"
    assert leftovers(Lake(tmp_path)) == []


def test_a_second_process_is_told_who_holds_the_lock(tmp_path: Path) -> None:
    lake = Lake(tmp_path).init()
    code = f"from loaders.lake import Lake\nwith Lake({str(tmp_path)!r}).lock_product('daily'): pass"
    with lake.lock_product("daily"):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert done.returncode != 0
        assert "another load of daily" in done.stderr and "(process " in done.stderr
        with pytest.raises(LakeError, match="try again"), lake.lock_product("daily"):
            pass
        with lake.lock_product("other"):
            pass
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
