"""`soilhouse load` on files that the test writes: tables, rasters, regions, folders, bad files, exit codes."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
import rasterio
import yaml
from rasterio.transform import from_origin

from loaders.grids import GRIDS
from soilhouse.cli import main
from soilhouse.demo_mark import mark


@pytest.fixture(autouse=True)
def at_work(tmp_path, monkeypatch) -> Path:
    """Commands run in the test's folder, on its lake."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SOILHOUSE_LAKE", "lake")
    return tmp_path


def table(path: Path, days: int = 40, shift: float = 0.0) -> Path:
    """A long table of six cells of EASE-Grid M36; `shift` moves the points off their centres, in degrees."""
    rows, columns = np.meshgrid([100, 101], [200, 201, 202], indexing="ij")
    lon, lat = GRIDS["ease2_m36"].lonlat_of(rows.ravel(), columns.ravel())
    lines = ["lon,lat,date,sm,rain_rate"]
    for day in range(days):
        when = date(2020, 1, 1) + timedelta(day)
        lines += [
            f"{x + shift:.9f},{y:.9f},{when},{0.2 + day / 1000:.4f},{day % 3}" for x, y in zip(lon, lat, strict=True)
        ]
    text = "\n".join(lines) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode(), mtime=0))
    else:
        path.write_text(text, encoding="utf-8")
    return path


def geotiff(path: Path, crs: str, left: float, top: float, cell: float) -> Path:
    """A 4 x 5 map of whole numbers."""
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.arange(20, dtype=np.int16).reshape(4, 5)
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=4,
        width=5,
        count=1,
        dtype="int16",
        crs=crs,
        nodata=-9999,
        transform=from_origin(left, top, cell, cell),
    ) as file:
        file.write(values, 1)
    return path


def bytes_of(lake: Path) -> dict[str, str]:
    return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted((lake / "raw").rglob("*.parquet"))}


def test_a_table_becomes_a_product_that_a_study_can_name(at_work, capsys):
    table(at_work / "daily.csv.gz")
    assert main(["load", "table", "daily.csv.gz", "--as", "my_daily", "--grid", "ease2_m36"]) == 0
    assert "loaded" in capsys.readouterr().out
    assert main(["products"]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if "my_daily" in line)
    assert "2020-01 to 2020-02" in line
    before = bytes_of(at_work / "lake")
    assert len(before) == 2
    # Its name is enough from now on, and nothing changes.
    assert main(["load", "my_daily", "daily.csv.gz"]) == 0
    assert main(["load", "table", "daily.csv.gz", "--as", "my_daily", "--grid", "ease2_m36"]) == 0
    assert "unchanged" in capsys.readouterr().out
    assert bytes_of(at_work / "lake") == before


def test_the_second_load_needs_no_mapping(at_work, capsys):
    table(at_work / "a.csv", days=5)
    (at_work / "map.yml").write_text("variables:\n  - {name: moisture, column: sm, unit: m3 m-3}\n", encoding="utf-8")
    load = ["load", "table", "a.csv", "--as", "mine", "--grid", "ease2_m36"]
    assert main([*load, "--mapping", "map.yml"]) == 0
    assert main(load) == 0, capsys.readouterr().err
    assert "unchanged" in capsys.readouterr().out


def test_a_bad_file_is_skipped_with_its_reason_and_code_1(at_work, capsys):
    good, off = table(at_work / "a.csv"), table(at_work / "b.csv", shift=0.1)
    (at_work / "c.csv").write_bytes(b"")
    assert (
        main(["load", "table", str(good), str(off), "c.csv", "missing.csv", "--as", "mine", "--grid", "ease2_m36"]) == 1
    )
    shown = capsys.readouterr()
    # A reason may go over several lines of its column.
    reasons = " ".join(shown.out.replace("│", " ").split())
    assert "ease2_m36: the worst, lon" in reasons
    assert "no such file" in reasons
    assert "3 of 4 files were skipped" in shown.err
    assert len(bytes_of(at_work / "lake")) == 2, "the good one is in the lake"


def test_a_folder_stands_for_its_files(at_work, capsys):
    table(at_work / "in" / "a.csv", days=10)
    (at_work / "in" / "notes.md").write_text("not data")
    assert main(["load", "table", "in", "--as", "mine", "--grid", "ease2_m36"]) == 0
    assert "notes.md" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["tabel", "a.csv"], "'tabel'. Nearest: table"),
        (["table", "a.csv", "--grid", "ease2_m36"], "--as NAME"),
        (["table", "a.csv", "--as", "mine"], "--grid GRID"),
        (["table", "a.csv", "--as", "mine", "--grid", "ease2_m63"], "there is no grid 'ease2_m63'. Nearest: ease2_m36"),
        (["table", "a.csv", "--as", "chirps_daily", "--grid", "ease2_m36"], "that is a product of its own"),
        (["table", "a.csv", "--as", "mine", "--grid", "ease2_m36", "--id-column", "x"], "--id-column is for regions"),
        (["table", "no.csv", "--as", "mine", "--grid", "ease2_m36"], "There is no file no.csv"),
        (["table", "a.csv", "--as", "mine", "--grid", "ease2_m36", "--mapping", "no.yml"], "no.yml"),
        (["chirps_monthly", "a.csv", "--as", "mine"], "--as is for"),
        (["regions", "a.csv"], "--as NAME"),
        (["regions", "a.csv", "--as", "mine", "--grid", "ease2_m36"], "--grid is for tables and rasters"),
        (["regions", "a.csv", "b.csv", "--as", "mine"], "is one file, and 2 are given"),
    ],
)
def test_wrong_usage_is_code_2_and_touches_nothing(at_work, capsys, arguments, said):
    table(at_work / "a.csv", days=2)
    assert main(["load", *arguments]) == 2
    shown = capsys.readouterr()
    assert said in shown.err
    assert "Traceback" not in shown.err
    assert not (at_work / "lake").exists()


def test_regions_are_registered(at_work, capsys):
    def square(west: float, code: str) -> dict:
        ring = [[west, 0], [west + 1, 0], [west + 1, 1], [west, 1], [west, 0]]
        return {"type": "Feature", "properties": {"code": code}, "geometry": {"type": "Polygon", "coordinates": [ring]}}

    text = json.dumps({"type": "FeatureCollection", "features": [square(10, "A"), square(11, "B")]})
    (at_work / "districts.geojson").write_text(text, encoding="utf-8")
    assert main(["load", "regions", "districts.geojson", "--as", "districts", "--id-column", "code"]) == 0
    assert "2 regions of districts registered" in capsys.readouterr().out
    assert main(["load", "regions", "districts.geojson", "--as", "districts", "--id-column", "code"]) == 0
    assert "unchanged" in capsys.readouterr().out
    assert main(["products"]) == 0
    assert "districts" in capsys.readouterr().out
    assert main(["load", "regions", "districts.geojson", "--as", "districts", "--id-column", "cod"]) == 1
    assert "code" in capsys.readouterr().err
    (at_work / "broken.geojson").write_text(text[:100], encoding="utf-8")
    assert main(["load", "regions", "broken.geojson", "--as", "others"]) == 1
    shown = capsys.readouterr().err
    assert "broken.geojson" in shown and "Nothing was registered" in shown


def test_a_grid_of_a_study_can_be_loaded_onto(at_work, capsys):
    geotiff(at_work / "maps" / "snow_2020-01-05.tif", "EPSG:32650", 500000, 4400000, 1000)
    study = {
        "name": "basin",
        "title": "A basin",
        "period": {"start": date(2020, 1, 1), "end": date(2020, 2, 1)},
        "grids": [
            {"name": "basin_1km", "crs": "EPSG:32650", "origin": [490000, 4410000], "cell": 1000, "shape": [60, 60]}
        ],
        "series": [
            {"variable": "snow", "product": "snow_maps", "column": "snow", "unit": "mm", "monthly_statistic": "mean"}
        ],
    }
    (at_work / "study.yml").write_text(yaml.safe_dump({"study": study}), encoding="utf-8")
    (at_work / "snow.yml").write_text(
        "time_step: day\nvariables:\n  - {name: snow, unit: mm, fill: [-9999]}\n", encoding="utf-8"
    )
    load = ["load", "raster", "maps", "--as", "snow_maps", "--grid", "basin_1km", "--mapping", "snow.yml"]
    assert main(load) == 2, "the lake does not know the grid yet"
    assert "--study STUDY.yml" in capsys.readouterr().err
    assert main([*load, "--study", "study.yml"]) == 0, capsys.readouterr().err
    assert (at_work / "lake" / "grids" / "definitions" / "basin_1km.json").is_file()
    import pyarrow.parquet as pq

    (path,) = (Path(p) for p in bytes_of(at_work / "lake"))
    pixels = pq.read_table(path)["pixel_id"].to_pylist()
    assert min(pixels) == 10 * 60 + 10, "row 10, column 10 of the study's grid"


def test_real_data_do_not_go_into_a_product_of_the_demo(at_work, capsys):
    """Only files of the demo's own folder do, which holds its notice and its answers."""
    mark(at_work / "lake", "SIMULATED", ["my_daily", "chirps_daily", "basin"])
    table(at_work / "a.csv", days=2)
    own = table(at_work / "files" / "tables" / "a.csv", days=2)
    (at_work / "files" / "SIMULATED.txt").touch()
    (at_work / "files" / "truth.json").touch()
    as_demo = ["--as", "my_daily", "--grid", "ease2_m36"]
    for arguments, another_name in (
        (["table", "a.csv", *as_demo], True),
        (["table", str(own), "a.csv", *as_demo], True),
        (["chirps_daily", "a.csv"], False),
        (["regions", "a.csv", "--as", "basin"], True),
    ):
        assert main(["load", *arguments]) == 2, arguments
        shown = capsys.readouterr().err
        assert "holds the demo's SIMULATED basin, and a.csv is not a file of the demo" in shown
        assert "--lake DIR" in shown
        assert ("--as NAME" in shown) == another_name
        assert not (at_work / "lake" / "raw").exists()
    assert main(["load", "table", "a.csv", "--as", "mine", "--grid", "ease2_m36"]) == 0
    assert main(["load", "table", str(own), *as_demo]) == 0
    capsys.readouterr()
    assert main(["products"]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if "my_daily" in line)
    assert "SIMULATED" in line


def test_a_lake_that_cannot_be_written_is_told_in_words(at_work):
    table(at_work / "a.csv", days=2)
    (at_work / "file").write_text("in the way")
    command = [
        str(Path(sys.executable).with_name("soilhouse")),
        "load",
        "table",
        "a.csv",
        "--as",
        "mine",
        "--grid",
        "ease2_m36",
    ]
    done = subprocess.run(
        [*command, "--lake", "file/lake"],
        cwd=at_work,
        capture_output=True,
        text=True,
        check=False,
        env=dict(os.environ),
    )
    assert done.returncode == 1
    assert "Nothing was loaded: the lake" in done.stderr
    assert "Traceback" not in done.stderr
