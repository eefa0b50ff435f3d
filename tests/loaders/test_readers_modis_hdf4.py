"""The reader of MODIS HDF4: real files against pyhdf and the projection's formula, neighbouring tiles, and what is refused."""

from __future__ import annotations

import re
import shutil
import zipfile
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from pyhdf.SD import SD, SDC

from loaders.granule import BadFile, Granule, Window
from loaders.grids import GRIDS
from loaders.lake import Lake
from loaders.load import load
from loaders.products import Product, complete, find_product, validate
from loaders.readers import modis_hdf4
from tests.conftest import count_cases
from tests.loaders.modis_files import Extent, Layer, core_metadata, lonlat, tile_extent, write_hdf

NDVI = "1 km 16 days NDVI"
RELIABILITY = "1 km 16 days pixel reliability"


def _inspect(path: Path, product: Product) -> Granule:
    return modis_hdf4.inspect(path, product, GRIDS.get(product.grid))


def _read(path: Path, product: Product) -> tuple[Granule, dict[str, np.ndarray]]:
    granule = _inspect(path, product)
    return granule, {v: modis_hdf4.read_dense(granule, product, v, granule.dates)[0] for v in granule.variables}


# -- real files ---------------------------------------------------------------------------------------------------------

REAL = [  # product, file, first day, extent as its StructMetadata says
    ("mod09a1", "MOD09A1.A2017193.h18v04.006.2017202035302.hdf.zip", date(2017, 7, 12),
     Extent("", (753346.477074, 5132114.960978), (783925.116365, 5098293.132672), 73, 66)),
    ("mod11b2", "MOD11B2.A2017001.h14v04.006.2017013155631.hdf.zip", date(2017, 1, 1),
     Extent("", (-4447802.079066, 5559752.598833), (-3335851.559300, 4447802.079066), 200, 200)),
    ("mod13a2", "h18v09/MOD13A2.A2025001.h18v09.061.2025022080611.hdf", date(2025, 1, 1),
     Extent("", (0, 0), (1111950.519667, -1111950.519667), 1200, 1200)),
    ("mod13a2", "h18v09/MOD13A2.A2025017.h18v09.061.2025035161835.hdf", date(2025, 1, 17),
     Extent("", (0, 0), (1111950.519667, -1111950.519667), 1200, 1200)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "file", "day", "extent"), REAL, ids=[f"{r[0]} {r[2]}" for r in REAL])
def test_real_files_equal_pyhdf_and_lie_where_the_projection_says(shared, tmp_path, name, file, day, extent):
    path, product = shared / "data" / "modis_hdf4" / file, find_product(name)
    granule, values = _read(path, product)
    assert granule.dates == (day,) and granule.grid.grid_id == product.grid
    plain = path
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            plain = Path(archive.extract(archive.namelist()[0], tmp_path))
    truth = SD(str(plain), SDC.READ)
    for variable, found in values.items():
        delivered = truth.select(product.variable(variable).source_name).get()
        assert found.dtype == delivered.dtype
        np.testing.assert_array_equal(found, delivered)
    lon, lat = lonlat(extent)
    rows, columns = np.meshgrid(
        granule.window.row + np.arange(extent.rows), granule.window.column + np.arange(extent.columns), indexing="ij"
    )
    own_lon, own_lat = granule.grid.lonlat_of(rows, columns)
    assert np.abs(own_lon - lon).max() < 1e-6 and np.abs(own_lat - lat).max() < 1e-6
    # an archive and its content are one granule
    again = _inspect(plain, product)
    assert (again.name, again.key, again.sha256, again.window) == (
        granule.name, granule.key, granule.sha256, granule.window,
    )  # fmt: skip
    count_cases("MODIS HDF4 values against pyhdf", sum(v.size for v in values.values()))


def test_a_real_subset_beside_the_grid_is_refused_and_loads_on_its_own(shared):
    path = shared / "data" / "modis_hdf4" / "MOD13A2.A2016145.h18v04.006.2016166145124.hdf"
    with pytest.raises(BadFile, match=r"its cells lie 0\.18 of a cell beside those of grid modis_sin_1km"):
        _inspect(path, find_product("mod13a2"))
    product = complete(find_product("raster"), "ndvi_of_a_region", None, None, [path])
    granule, values = _read(path, product)
    assert (granule.window, granule.dates) == (Window(0, 0, 185, 219), (date(2016, 5, 24),))
    assert granule.grid.left == pytest.approx(670117.907295) and granule.grid.top == pytest.approx(5608858.446491)
    np.testing.assert_array_equal(values["_1_km_16_days_NDVI"], SD(str(path), SDC.READ).select(NDVI).get())
    count_cases("MODIS HDF4 on a grid of its own", 1)


def test_neighbouring_tiles_join_without_seam_or_double_pixel(shared, tmp_path):
    """The real h18v09 and generated neighbours east and south of it, in one lake."""
    real = shared / "data" / "modis_hdf4" / "h18v09" / "MOD13A2.A2025001.h18v09.061.2025022080611.hdf"
    product = find_product("mod13a2")
    truth = SD(str(real), SDC.READ).select(NDVI).get()
    random = np.random.default_rng(0)
    tiles = {"h18v09": truth}
    files = [real]
    for tile in ("h19v09", "h18v10"):
        ndvi = np.full((1200, 1200), -3000, np.int16)
        edges = (slice(None, 40), slice(None)) if tile == "h18v10" else (slice(None), slice(None, 40))
        ndvi[edges] = random.integers(0, 9000, ndvi[edges].shape)  # what touches h18v09
        files.append(_vi_tile(tmp_path / f"MOD13A2.A2025001.{tile}.061.2025022080612.hdf", ndvi, tile))
        tiles[tile] = ndvi
    report = load(product, files, Lake(tmp_path / "lake"))
    assert report.ok, [f.reason for f in report.files]
    rows = pl.read_parquet(next((tmp_path / "lake" / "raw" / "mod13a2").rglob("*.parquet")))
    assert rows["pixel_id"].n_unique() == rows.height
    n_columns = 43200
    mosaic = np.full((2400, 2400), -3000, np.int16)
    mosaic[:1200, :1200], mosaic[:1200, 1200:], mosaic[1200:, :1200] = (
        tiles["h18v09"],
        tiles["h19v09"],
        tiles["h18v10"],
    )
    pixel = rows["pixel_id"].to_numpy().astype(np.int64)
    row, column = pixel // n_columns - 9 * 1200, pixel % n_columns - 18 * 1200
    np.testing.assert_array_equal(rows["ndvi"].to_numpy(), mosaic[row, column])
    assert set(zip(*np.nonzero(mosaic != -3000), strict=True)) <= set(zip(row, column, strict=True))
    count_cases("MODIS tiles joined", 3)


# -- small files --------------------------------------------------------------------------------------------------------

SMALL = validate(
    {
        "name": "small", "title": "t", "format": "modis_hdf4", "kind": "gridded", "grid": "modis_sin_1km",
        "time_step": "day", "source": "s",
        "file_pattern": r"^MOD00A1\.A(?P<year>\d{4})(?P<doy>\d{3})\.(?P<tile>h\d{2}v\d{2})\.(?P<version>\d{3}\.\d{13})\.hdf(\.zip)?$",
        "variables": [
            {"name": "ndvi", "dataset": NDVI, "dtype": "int16", "fill": [-3000], "unit": "0.0001"},
            {"name": "quality", "dtype": "uint8", "fill": [255], "unit": "bits", "optional": True},
        ],
    },
    "test",
)  # fmt: skip
NAME = "MOD00A1.A2020061.h18v04.061.2020070010203.hdf"
PART = {"rows": slice(10, 13), "columns": slice(20, 24)}
VALUES = np.arange(12, dtype=np.int16).reshape(3, 4)
ROW, COLUMN = 4 * 1200 + 10, 18 * 1200 + 20


def _vi_tile(path: Path, ndvi: np.ndarray, tile: str) -> Path:
    layers = {NDVI: Layer(ndvi, -3000), RELIABILITY: Layer(np.where(ndvi == -3000, -1, 0).astype(np.int8), -1)}
    return write_hdf(path, layers, tile_extent(tile, 1200, "MODIS_Grid_16DAY_1km_VI"))


def _small(folder: Path, name: str = NAME, values=VALUES, layers=None, extent=None, **how) -> Path:
    extent = extent or tile_extent("h18v04", 1200, **PART)
    return write_hdf(folder / name, layers or {NDVI: Layer(np.asarray(values), -3000)}, extent, **how)


def test_a_subset_lies_where_its_metadata_says_not_where_its_tile_is(tmp_path):
    granule, values = _read(_small(tmp_path), SMALL)
    assert granule.window == Window(ROW, COLUMN, 3, 4)
    assert (granule.dates, granule.version) == ((date(2020, 3, 1),), "061.2020070010203")
    np.testing.assert_array_equal(values["ndvi"], VALUES)
    # two subsets of one tile and day are two granules
    other = _small(
        tmp_path / "b",
        extent=tile_extent("h18v04", 1200, rows=slice(50, 53), columns=slice(20, 24)),
        values=VALUES + 50,
    )
    report = load(SMALL, [tmp_path / NAME, other], Lake(tmp_path / "lake"))
    assert report.ok and report.n_rows == 24


@pytest.mark.parametrize(
    ("origin", "turn"),
    [("HDFE_GD_UL", lambda v: v), ("HDFE_GD_LL", lambda v: v[::-1]), ("HDFE_GD_UR", lambda v: v[:, ::-1]), ("HDFE_GD_LR", lambda v: v[::-1, ::-1])],
)  # fmt: skip
def test_grids_that_begin_in_another_corner_are_turned(tmp_path, origin, turn):
    extent = tile_extent("h18v04", 1200, **PART)
    extent.origin = origin
    granule, values = _read(_small(tmp_path, extent=extent), SMALL)
    assert granule.window == Window(ROW, COLUMN, 3, 4)
    np.testing.assert_array_equal(values["ndvi"], turn(VALUES))


def test_a_renamed_file_gets_its_date_from_its_metadata(tmp_path):
    for number, core in enumerate(
        (
            core_metadata(LOCALGRANULEID=NAME),
            core_metadata(
                RANGEBEGINNINGDATE="2020-03-01", RANGEENDINGDATE="2020-03-16", SHORTNAME="MOD00A1", VERSIONID=61,
                PRODUCTIONDATETIME="2020-03-10T01:02:03.000Z",
            ),
        )
    ):  # fmt: skip
        path = _small(tmp_path / str(number), "MOD00A1.hdf", core=core)
        granule = _inspect(path, SMALL)
        assert (granule.dates, granule.key, granule.version) == (
            (date(2020, 3, 1),), f"2020_061_h18v04_r{ROW}c{COLUMN}", "061.2020070010203",
        )  # fmt: skip
    # the file under its own name and the renamed one are the same granule
    lake = Lake(tmp_path / "lake")
    renamed = tmp_path / "0" / "MOD00A1.hdf"
    assert load(SMALL, [Path(shutil.copy(renamed, tmp_path / NAME))], lake).ok
    again = load(SMALL, [renamed], lake)
    assert [f.status for f in again.files] == ["unchanged"]


def test_a_global_map_in_packed_degrees(tmp_path):
    """GCTP writes degrees, minutes and seconds as DDDMMMSSS.SS: 49 degrees 30 minutes are 49030000."""
    extent = Extent("MCD_CMG", (-10030000.0, 49030000.0), (-10000000.0, 49000000.0), 60, 60, "GCTP_GEO")
    product = find_product("mcd43d51")
    values = np.arange(3600, dtype=np.int16).reshape(60, 60)
    path = write_hdf(
        tmp_path / "MCD43D51.A2020061.061.2020070010203.hdf", {"BSA shortwave": Layer(values, 32767)}, extent
    )
    granule, read = _read(path, product)  # a product of one map takes the file's only map, whatever it is called
    assert granule.window == Window(round((90 - 49.5) * 120), round((180 - 10.5) * 120), 60, 60)
    np.testing.assert_array_equal(read["albedo"], values)


def test_two_grids_in_one_file_are_kept_apart(tmp_path):
    """MOD09GA has a 1 km and a 500 m grid: the variables say by their axes on which they lie."""
    fine = tile_extent("h18v04", 2400, "Grid_500m", rows=slice(20, 26), columns=slice(40, 48))
    coarse = tile_extent("h18v04", 1200, "Grid_1km", **PART)
    layers = {
        "sur_refl": Layer(np.ones((6, 8), np.int16), -28672, grid="Grid_500m"),
        NDVI: Layer(VALUES, -3000, grid="Grid_1km"),
    }
    path = write_hdf(tmp_path / NAME, layers, fine, coarse)
    granule, values = _read(path, SMALL)
    assert granule.window == Window(ROW, COLUMN, 3, 4)
    np.testing.assert_array_equal(values["ndvi"], VALUES)
    both = SMALL.model_copy(
        update={
            "variables": (*SMALL.variables, SMALL.variables[0].model_copy(update={"name": "b", "dataset": "sur_refl"}))
        }
    )
    with pytest.raises(BadFile, match=r"its variables lie on several grids \(Grid_1km, Grid_500m\)"):
        _inspect(path, both)


def test_fills_stay_and_quality_may_have_a_fill_that_means_good(tmp_path):
    layers = {
        NDVI: Layer(np.array([[5, -9999], [7, 8]], np.int16), -9999),
        "quality": Layer(np.zeros((2, 2), np.uint8), 0),
    }
    path = _small(tmp_path, layers=layers, extent=tile_extent("h18v04", 1200, rows=slice(0, 2), columns=slice(0, 2)))
    granule, values = _read(path, SMALL)
    assert granule.variables == ("ndvi", "quality")
    np.testing.assert_array_equal(values["ndvi"], [[5, -3000], [7, 8]])  # the file's own fill becomes the product's
    np.testing.assert_array_equal(values["quality"], 0)


def test_archives(tmp_path):
    path = _small(tmp_path)
    archive = tmp_path / f"{NAME}.zip"
    with zipfile.ZipFile(archive, "w") as out:
        out.write(path, f"folder/{NAME}")
    lake = Lake(tmp_path / "lake")
    assert [f.status for f in load(SMALL, [archive], lake).files] == ["loaded"]
    assert [f.status for f in load(SMALL, [path], lake).files] == ["unchanged"]
    with zipfile.ZipFile(archive, "w") as out:
        out.write(path, "a.hdf")
        out.write(path, "b.hdf")
    with pytest.raises(BadFile, match="is a zip archive of 2 HDF4 files: unpack it first"):
        _inspect(archive, SMALL)
    with zipfile.ZipFile(archive, "w") as out:
        out.writestr("readme.txt", "nothing")
    with pytest.raises(BadFile, match="is a zip archive of no HDF4 files"):
        _inspect(archive, SMALL)
    archive.write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(BadFile, match="is a damaged or truncated zip archive"):
        _inspect(archive, SMALL)


def _bytes(content: bytes):
    return lambda folder: _written(folder / NAME, content)


def _written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def _cut(folder: Path) -> Path:
    path = _small(folder)
    return _written(path, path.read_bytes()[: path.stat().st_size // 2])


REFUSED = {
    "empty": (_bytes(b""), "is empty (0 bytes)"),
    "login page": (_bytes(b"<!DOCTYPE html><html>"), "is not an HDF4 file but a web page"),
    "NetCDF": (_bytes(b"\x89HDF\r\n\x1a\n" + b"0" * 100), "is not an HDF4 file but an HDF5 or NetCDF-4 file"),
    "truncated": (_cut, "is a damaged or truncated HDF4 file"),
    "only its start": (_bytes(b"\x0e\x03\x13\x01"), "is a damaged or truncated HDF4 file"),
    "another product": (lambda f: _small(f, NAME.replace("MOD00A1", "MYD00A1")), "its name is not that of a small file"),
    "another product, renamed": (
        lambda f: _small(f, core=core_metadata(LOCALGRANULEID=NAME.replace("MOD00A1", "MOD11A1"))),
        "its name is not that of a small file",
    ),
    "another date in its name": (
        lambda f: _small(f, core=core_metadata(LOCALGRANULEID=NAME.replace("A2020061", "A2020062"))),
        "its name says 2020-03-01, but it was delivered as MOD00A1.A2020062",
    ),
    "renamed without metadata": (lambda f: _small(f, "MOD00A1.hdf"), "its name is not that of a small file"),
    "no such day": (lambda f: _small(f, NAME.replace("A2020061", "A2021366")), "its name says 2021-366, which is no date"),
    "without the variable": (
        lambda f: _small(f, layers={"1 km EVI": Layer(VALUES, -3000), "x": Layer(VALUES, 0)}),
        "has no variable 1 km 16 days NDVI; it has 1 km EVI, x",
    ),
    "another type": (lambda f: _small(f, values=VALUES.astype(np.float32)), "is float32, but the product says int16"),
    "all fill": (lambda f: _small(f, values=np.full((3, 4), -3000, np.int16)), "every value of ndvi is fill"),
    "a swath": (
        lambda f: _small(f, struct='GROUP=SwathStructure\n\tSwathName="MOD_Swath"\nEND\n'),
        "is a swath: its cells lie on no grid",
    ),
    "no grid": (lambda f: _small(f, struct="END\n"), "has no HDF-EOS grid in StructMetadata"),
    "an incomplete grid": (
        lambda f: _small(f, struct='GROUP=GridStructure\n\tGROUP=GRID_1\n\t\tGridName="a"\n\tEND_GROUP=GRID_1\n'),
        "its grid has no Projection in StructMetadata",
    ),
    "cut out without its metadata": (
        lambda f: _small(f, values=VALUES[:2]),
        "ndvi has 2 x 4 cells, but its grid 3 x 4: it was cut out without its metadata",
    ),
    "three dimensions": (
        lambda f: _small(f, layers={NDVI: Layer(np.ones((3, 4, 2), np.int16), -3000), "q": Layer(VALUES, 0)}),
        "1 km 16 days NDVI has 3 dimensions, a map has two",
    ),
    "another projection": (
        lambda f: _small(f, extent=Extent("a", (0, 4000), (4000, 0), 3, 4, "GCTP_LAMAZ")),
        "its grid is in the projection GCTP_LAMAZ; sinusoidal and geographic grids are read",
    ),
    "half a cell beside": (
        lambda f: _small(f, extent=Extent("a", (463.3127, 2779.8763), (4169.8145, 0), 3, 4)),
        "its cells lie 0.50 of a cell beside those of grid modis_sin_1km",
    ),
    "500 m on the 1 km grid": (
        lambda f: _small(f, extent=tile_extent("h18v04", 2400, **PART)),
        "its cells are 463.31272 x 463.31272, those of grid modis_sin_1km 926.62543 x 926.62543; it would fit modis_sin_500m",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_and_why(tmp_path, case):
    make, said = REFUSED[case]
    path = make(tmp_path)
    with pytest.raises(BadFile, match=re.escape(said)):
        _inspect(path, SMALL)


def test_a_tile_of_classes_only_holds_no_leaf_area(tmp_path):
    """Values 249 to 254 are classes: a tile of open water (254) was seen, but nothing was measured."""
    water = np.full((3, 4), 254, np.uint8)
    layers = {"Lai_500m": Layer(water, 255), "Fpar_500m": Layer(water, 255), "FparLai_QC": Layer(water, 255)}
    path = write_hdf(
        tmp_path / "MOD15A2H.A2020065.h18v04.061.2020070010203.hdf", layers, tile_extent("h18v04", 2400, **PART)
    )
    with pytest.raises(BadFile, match="every value of fpar, lai is fill"):
        _inspect(path, find_product("mod15a2h"))


def test_the_latest_year_of_static_land_cover_stays(tmp_path):
    files = []
    for year, value in ((2018, 5), (2020, 12), (2019, 10)):
        layers = {"LC_Type1": Layer(np.full((3, 4), value, np.uint8), 255)}
        name = f"MCD12Q1.A{year}001.h18v04.061.2022070010203.hdf"
        files.append(write_hdf(tmp_path / name, layers, tile_extent("h18v04", 2400, **PART)))
    lake = Lake(tmp_path / "lake")
    report = load(find_product("mcd12q1_static"), files, lake)
    assert sorted(f.status for f in report.files) == ["loaded", "superseded", "superseded"]
    rows = pl.read_parquet(lake.root / "raw" / "mcd12q1_static" / "static" / "mcd12q1_static.parquet")
    assert set(rows["lc_type1"]) == {12} and rows["lc_type5"].null_count() == 12
