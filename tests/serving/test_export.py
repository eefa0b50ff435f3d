"""Exported maps, read back by rasterio, GDAL's own gdalinfo and xarray: the same values, projection and no-data on every kind of grid."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import duckdb
import numpy as np
import pyproj
import pytest
import rasterio
import xarray

from loaders.grids import GRIDS, Grid, find_grid, register_grid
from serving.dictionary import Described, dictionary
from serving.errors import ServingError
from serving.rasters import SCALED_NODATA, Request, maps_of, to_scaled, write
from soilhouse.cli import main
from tests.serving.marts import REPOSITORY, create, months, pixels

OWN = Grid("utm_basin", "EPSG:32647", 400_000, 4_300_000, 1000, 1000, 60, 50)
# Where each grid's window lies: over land, away from the edges, and for one at them.
WINDOWS = {
    "ease2_m36": (75, 749), "ease2_m09": (300, 2990), "ease2_m03": (900, 8980), "ease2_m01": (2700, 26964), "latlon_0p25": (200, 1100), "latlon_0p1": (510, 2790),
    "latlon_0p05": (0, 0), "era5_land_0p1": (510, 2790), "era5_0p25": (200, 1100), "modis_sin_1km": (6000, 30900), "modis_sin_500m": (12000, 61800),
    "modis_sin_250m": (24000, 123600), "modis_sin_6km": (1000, 5150), "latlon_30s": (6000, 33600), "srtm_3s": (61000, 335000), "srtm_1s": (183000, 1005000),
    "utm_basin": (3, 4),
}  # fmt: skip
HEIGHT, WIDTH = 7, 5
WHEN = months(3, date(2019, 11, 1))


@pytest.fixture(scope="module")
def lake(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("export") / "lake"
    register_grid(root, OWN)
    return root


def grid_of(name: str) -> Grid:
    return OWN if name == OWN.grid_id else GRIDS[name]


@pytest.fixture(scope="module")
def values() -> dict[tuple[str, date], np.ndarray]:
    """What every map must hold: numbers with all their digits, holes and a missing corner."""
    random = np.random.default_rng(3)
    known = {}
    for name in WINDOWS:
        for m in WHEN:
            grid = random.random((HEIGHT, WIDTH)) / 3
            grid[random.random((HEIGHT, WIDTH)) < 0.2] = np.nan
            grid[0, 0], grid[-1, -1], grid[0, -1], grid[-1, 0] = np.nan, 0.0, 1 / 3, -0.05
            known[name, m] = grid
    return known


@pytest.fixture(scope="module")
def database(tmp_path_factory, values) -> Path:
    path = tmp_path_factory.mktemp("export") / "small.duckdb"
    with duckdb.connect(str(path)) as c:
        create(c, "dim_product", [{"product": "p"}])
        places = {name: pixels(grid_of(name), *WINDOWS[name], HEIGHT, WIDTH) for name in WINDOWS}
        create(c, "dim_pixel", [p for some in places.values() for p in some])
        create(c, "fct_pixel_monthly", [
            {"variable": "soil_moisture", "product": f"p_{name}", "layer": "0-5 cm", "grid_id": name, "pixel_id": p["pixel_id"], "month": m,
             "value": None if np.isnan(v) else float(v), "n_days": 28 + k % 3, "is_covered": bool(k % 2), "coverage": 1.0, "unit": "m3 m-3"}
            for name, some in places.items() for m in WHEN for k, (p, v) in enumerate(zip(some, values[name, m].ravel(), strict=True))
            if k  # the first pixel is no row at all
        ])  # fmt: skip
        create(c, "fct_trends", [
            {"variable": v, "product": "p", "layer": "surface", "grid_id": "latlon_0p25", "pixel_id": p["pixel_id"], "time_step": "year", "season": s, "period_kind": "all",
             "period_start": date(2000, 1, 1), "period_end": date(2020, 1, 1), "n_values": 20, "mk_p": 0.5, "sen_slope_per_year": 0.5,
             "trend_class": "significant drying" if k % 2 else "stable", "unit": u}
            for v, u in (("precipitation", "mm"), ("soil_moisture", "m3 m-3")) for s in ("annual", "JJA") for k, p in enumerate(places["latlon_0p25"])
        ])  # fmt: skip
        create(c, "fct_monthly_statistics", [{"variable": "soil_moisture", "product": "p", "month": WHEN[0]}])
    return path


@pytest.fixture(scope="module")
def connection(database) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(str(database), read_only=True) as opened:
        yield opened


def export(
    connection,
    lake,
    folder: Path,
    mart: str,
    column: str,
    where: str = "",
    form: str = "geotiff",
    by: tuple[str, ...] = (),
    **facts: str,
) -> list[Path]:
    sets = maps_of(
        connection,
        Request(mart, column, where, by),
        lambda n: find_grid(lake, n),
        dictionary(REPOSITORY),
        {"study": "small", **facts},
    )
    return write(connection, sets, folder, form)


def gdalinfo(path: Path | str) -> dict:
    if shutil.which("gdalinfo") is None:
        pytest.skip("gdalinfo is not installed (Debian, Ubuntu: apt install gdal-bin)")
    return json.loads(
        subprocess.run(["gdalinfo", "-json", str(path)], capture_output=True, text=True, check=True).stdout
    )


def crs_of(name: str) -> pyproj.CRS:
    return pyproj.CRS.from_user_input(grid_of(name).crs)


@pytest.mark.parametrize("name", WINDOWS)
def test_a_geotiff_holds_every_digit_of_every_grid(name, connection, lake, values, tmp_path):
    files = export(connection, lake, tmp_path, "fct_pixel_monthly", "value", f"grid_id = '{name}'")
    assert [f.name for f in files] == [f"fct_pixel_monthly_value_{m}.tif" for m in WHEN]
    grid, (row, column) = grid_of(name), WINDOWS[name]
    for path, m in zip(files, WHEN, strict=True):
        expected = values[name, m].copy()
        with rasterio.open(path) as source:
            np.testing.assert_array_equal(source.read(1), expected)
            assert np.isnan(source.nodata)
            assert pyproj.CRS.from_user_input(source.crs).is_exact_same(
                crs_of(name)
            ) or source.crs == rasterio.CRS.from_user_input(grid.crs)
            assert source.transform.c == pytest.approx(grid.left + column * grid.cell_width, rel=1e-12)
            assert source.transform.f == pytest.approx(grid.top - row * grid.cell_height, rel=1e-12)
            assert source.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
            assert source.units == ("m3 m-3",) and source.descriptions == ("value",)
            assert source.tags()["month"] == str(m) and source.tags()["mart"] == "fct_pixel_monthly"
            # the centre of a cell lies where dim_pixel says
            lon, lat = pyproj.Transformer.from_crs(source.crs, "EPSG:4326", always_xy=True).transform(*source.xy(3, 2))
            place = connection.execute(
                "select lon, lat from marts.dim_pixel where grid_id = ? and row_index = ? and col_index = ?",
                [name, row + 3, column + 2],
            ).fetchone()
            assert (lon, lat) == pytest.approx(place, abs=1e-6)


@pytest.mark.parametrize("name", ["ease2_m01", "latlon_0p25", "modis_sin_1km", "utm_basin"])
def test_gdal_reads_the_same(name, connection, lake, values, tmp_path):
    file = export(
        connection, lake, tmp_path, "fct_pixel_monthly", "value", f"grid_id = '{name}' and month = '2019-12-01'"
    )[0]
    told = gdalinfo(file)
    assert told["size"] == [WIDTH, HEIGHT]
    assert told["bands"][0]["noDataValue"] in ("NaN", "nan") and told["bands"][0]["type"] == "Float64"
    assert (
        pyproj.CRS.from_wkt(told["coordinateSystem"]["wkt"]).to_cf()["grid_mapping_name"]
        == crs_of(name).to_cf()["grid_mapping_name"]
    )
    netcdf = export(connection, lake, tmp_path, "fct_pixel_monthly", "value", f"grid_id = '{name}'", "netcdf")[0]
    told = gdalinfo(f'NETCDF:"{netcdf}":value')
    assert told["size"] == [WIDTH, HEIGHT] and len(told["bands"]) == len(WHEN)
    grid, (row, column) = grid_of(name), WINDOWS[name]
    assert told["geoTransform"] == pytest.approx(
        [
            grid.left + column * grid.cell_width,
            grid.cell_width,
            0,
            grid.top - row * grid.cell_height,
            0,
            -grid.cell_height,
        ],
        rel=1e-9,
    )
    assert (
        pyproj.CRS.from_wkt(told["coordinateSystem"]["wkt"]).to_cf()["grid_mapping_name"]
        == crs_of(name).to_cf()["grid_mapping_name"]
    )


@pytest.mark.parametrize("name", WINDOWS)
def test_a_netcdf_is_cf_and_holds_every_digit(name, connection, lake, values, tmp_path):
    (file,) = export(connection, lake, tmp_path, "fct_pixel_monthly", "value", f"grid_id = '{name}'", "netcdf")
    with xarray.open_dataset(file, engine="netcdf4") as data:
        assert (
            data.attrs["Conventions"] == "CF-1.9"
            and data.attrs["product"] == f"p_{name}"
            and data.attrs["study"] == "small"
        )
        value = data["value"]
        np.testing.assert_array_equal(value.values, np.stack([values[name, m] for m in WHEN]))
        assert value.attrs["units"] == "m3 m-3" and value.attrs["grid_mapping"] == "crs" and value.attrs["description"]
        assert [str(t)[:10] for t in value.time.values] == [str(m) for m in WHEN]
        np.testing.assert_array_equal(data["time_bounds"].values[:-1, 1], data["time_bounds"].values[1:, 0])
        y, x = value.dims[1:]
        assert {data[x].attrs["standard_name"], data[y].attrs["standard_name"]} in (
            {"longitude", "latitude"}, {"projection_x_coordinate", "projection_y_coordinate"},
        )  # fmt: skip
        told = pyproj.CRS.from_cf(data["crs"].attrs)
        assert told.to_cf()["grid_mapping_name"] == crs_of(name).to_cf()["grid_mapping_name"]
        grid, (row, column) = grid_of(name), WINDOWS[name]
        np.testing.assert_allclose(
            data[x].values, grid.left + (column + np.arange(WIDTH) + 0.5) * grid.cell_width, rtol=1e-10
        )
        np.testing.assert_allclose(
            data[y].values, grid.top - (row + np.arange(HEIGHT) + 0.5) * grid.cell_height, rtol=1e-10
        )
    with xarray.open_dataset(file, engine="netcdf4", mask_and_scale=False) as raw:
        assert np.isnan(raw["value"].attrs["_FillValue"])


def test_the_x10000_form_has_julian_dates_and_minus_9999(connection, lake, values, tmp_path):
    files = export(connection, lake, tmp_path, "fct_pixel_monthly", "value", "grid_id = 'ease2_m01'", "scaled")
    assert [f.name for f in files] == [f"fct_pixel_monthly_value_{d}.tif" for d in ("2019305", "2019335", "2020001")]
    for path, m in zip(files, WHEN, strict=True):
        with rasterio.open(path) as source:
            assert source.dtypes == ("int16",) and source.nodata == SCALED_NODATA == -9999
            assert source.scales == (0.0001,)
            given = source.read(1)
        expected = values["ease2_m01", m]
        assert ((given == -9999) == np.isnan(expected)).all()
        np.testing.assert_allclose(np.where(given == -9999, np.nan, given / 1e4), expected, atol=0.5000001e-4)


def test_a_reader_of_the_raster_product_takes_it_back(connection, lake, tmp_path):
    """The names and integers are those that `soilhouse load raster` reads."""
    file = export(
        connection,
        lake,
        tmp_path,
        "fct_pixel_monthly",
        "value",
        "grid_id = 'modis_sin_1km' and month = '2020-01-01'",
        "scaled",
    )[0]
    from loaders.grids import GRIDS as known

    with rasterio.open(file) as source:
        window = known["modis_sin_1km"].window_of(
            source.transform.c, source.transform.f, source.transform.a, -source.transform.e, source.height, source.width
        )
    assert (window.row, window.column) == WINDOWS["modis_sin_1km"]


def test_what_int16_does_not_hold_is_refused():
    assert to_scaled(np.array([0.25004, np.nan, -0.9998, 3.2767])).tolist() == [2500, -9999, -9998, 32767]
    for value in (3.2768, -0.9999, 25.0):
        with pytest.raises(ServingError, match="do not fit the x10,000 form"):
            to_scaled(np.array([0.1, value]))


def test_classes_yes_and_no_and_counts(connection, lake, tmp_path):
    one = "grid_id = 'latlon_0p25' and month = '2019-11-01'"
    (file,) = export(connection, lake, tmp_path, "fct_pixel_monthly", "is_covered", one)
    with rasterio.open(file) as source:
        given = source.read(1).ravel()
        assert source.nodata == 255 and given[0] == 255 and given[1:].tolist() == [k % 2 for k in range(1, 35)]
    (file,) = export(connection, lake, tmp_path, "fct_pixel_monthly", "n_days", one)
    with rasterio.open(file) as source:
        assert source.dtypes == ("int32",) and source.read(1).ravel()[1:].tolist() == [28 + k % 3 for k in range(1, 35)]
        assert source.read(1)[0, 0] == source.nodata == -2147483648
    where = "season = 'JJA' and variable = 'precipitation'"
    (file,) = export(connection, lake, tmp_path, "fct_trends", "trend_class", where)
    with rasterio.open(file) as source:
        assert source.tags()["classes"] == "1 = significant drying; 2 = stable"
        assert source.read(1).ravel().tolist() == [1 if k % 2 else 2 for k in range(35)]
    (file,) = export(connection, lake, tmp_path, "fct_trends", "trend_class", where, "netcdf")
    with xarray.open_dataset(file, engine="netcdf4", mask_and_scale=False) as data:
        value = data["trend_class"]
        assert value.attrs["flag_meanings"] == "significant_drying stable" and value.attrs["flag_values"].tolist() == [
            1,
            2,
        ]
        assert value.values.ravel().tolist() == [1 if k % 2 else 2 for k in range(35)]


def test_units_are_those_of_the_column(connection, lake, tmp_path):
    where = "variable = 'precipitation' and season = 'annual'"
    for column, unit in (
        ("sen_slope_per_year", "mm year-1"),
        ("mk_p", "1"),
        ("n_values", "1"),
        ("ols_slope_per_year", "mm year-1"),
    ):
        (file,) = export(connection, lake, tmp_path, "fct_trends", column, where)
        with rasterio.open(file) as source:
            assert source.units == (unit,), column
    with pytest.raises(ServingError, match="different units"):
        export(connection, lake, tmp_path, "fct_trends", "sen_slope_per_year")


def test_several_maps_have_several_names(connection, lake, tmp_path):
    files = export(connection, lake, tmp_path, "fct_trends", "mk_p")
    assert sorted(f.name for f in files) == [
        f"fct_trends_mk_p_{v}_{s}.tif" for v in ("precipitation", "soil-moisture") for s in ("JJA", "annual")
    ]
    files = export(
        connection, lake, tmp_path, "fct_pixel_monthly", "value", "grid_id in ('ease2_m36', 'latlon_0p25')", "netcdf"
    )
    assert sorted(f.name for f in files) == [
        "fct_pixel_monthly_value_ease2_m36.nc",
        "fct_pixel_monthly_value_latlon_0p25.nc",
    ]


def test_a_simulated_map_says_so_in_every_form(connection, lake, tmp_path):
    for form in ("geotiff", "scaled", "netcdf"):
        file = export(
            connection,
            lake,
            tmp_path,
            "fct_pixel_monthly",
            "value",
            "grid_id = 'ease2_m36' and month = '2019-12-01'",
            form,
            SIMULATED="made up",
        )[0]
        if form == "netcdf":
            with xarray.open_dataset(file, engine="netcdf4") as data:
                assert data.attrs["SIMULATED"] == "made up"
        else:
            with rasterio.open(file) as source:
                assert source.tags()["SIMULATED"] == "made up"


@pytest.mark.parametrize(
    ("mart", "column", "where", "said", "next_step"),
    [
        ("fct_trend", "x", "", "Nearest: fct_trends", "Marts with pixels: dim_pixel, fct_pixel_monthly"),
        ("fct_monthly_statistics", "mean", "", "has no pixels", "fct_trends"),
        ("fct_trends", "sen_slope", "", "has no column 'sen_slope'", "sen_slope_per_year"),
        ("fct_trends", "grid_id", "", "not a value of a pixel", "Choose"),
        ("fct_trends", "mk_p", "prodct = 'p'", "Referenced column", "after WHERE"),
        ("fct_trends", "mk_p", "variable = 'snow'", "No row of fct_trends meets", "select variable"),
        ("fct_trends", "period_start", "", "DATE", "Choose another column"),
    ],
)
def test_what_cannot_be_exported_is_said_in_words(mart, column, where, said, next_step, connection, lake, tmp_path):
    with pytest.raises(ServingError) as caught:
        export(connection, lake, tmp_path, mart, column, where)
    assert said in caught.value.problem and next_step in caught.value.next_step
    assert list(tmp_path.iterdir()) == []


def test_the_x10000_form_needs_a_date_and_decimals(connection, lake, tmp_path):
    with pytest.raises(ServingError, match="has no decimals"):
        export(connection, lake, tmp_path, "fct_pixel_monthly", "n_days", "grid_id = 'ease2_m36'", "scaled")
    assert list(tmp_path.iterdir()) == [], "a file is whole or not there"


def test_a_pixel_that_comes_twice_is_refused_with_the_column_to_choose_by(connection, lake, tmp_path):
    unknown = {"fct_trends": Described(grain=("product", "layer", "pixel_id"))}
    with pytest.raises(ServingError) as caught:
        maps_of(connection, Request("fct_trends", "mk_p"), lambda n: find_grid(lake, n), unknown, {})
    assert "differ in variable, season" in caught.value.problem and "--by variable" in caught.value.next_step
    sets = maps_of(
        connection, Request("fct_trends", "mk_p", by=("variable", "season")), lambda n: find_grid(lake, n), unknown, {}
    )
    assert len(sets[0].keys) == 4


def test_a_grid_that_nobody_knows(connection, tmp_path):
    with pytest.raises(ServingError, match="utm_basin") as caught:
        export(connection, tmp_path / "no lake", tmp_path, "fct_pixel_monthly", "value", "grid_id = 'utm_basin'")
    assert "--lake DIR" in caught.value.next_step


def test_the_command(database, lake, tmp_path, capsys):
    given = [
        "export",
        "rasters",
        "--db",
        str(database),
        "--lake",
        str(lake),
        "--mart",
        "fct_pixel_monthly",
        "--column",
        "value",
        "--where",
        "grid_id = 'ease2_m36'",
    ]
    assert main([*given, "--form", "netcdf", "--out", str(tmp_path / "out")]) == 0
    shown = capsys.readouterr()
    assert shown.out.split() == [str(tmp_path / "out" / "fct_pixel_monthly_value.nc")]
    assert "3 maps in 1 file" in shown.err
    assert main([*given[:-2], "--out", str(tmp_path / "out"), "--where", "nonsense"]) == 1
    assert "The condition 'nonsense'" in capsys.readouterr().err
    assert main(["export"]) == 2
    assert main([*given, "--form", "shapefile"]) == 2
    assert main(["export", "rasters", "--help"]) == 0
    assert "--where chooses rows" in capsys.readouterr().out
