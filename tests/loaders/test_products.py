"""Products: what a YAML may say, how mistakes are answered, what file names mean, how templates are completed."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from datetime import date
from importlib import import_module
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import rasterio
import yaml
from rasterio.transform import from_origin

from loaders import products_docs
from loaders.granule import BadFile
from loaders.grids import GRIDS
from loaders.products import (
    BUILT_IN,
    ProductError,
    all_products,
    complete,
    find_product,
    read_mapping,
    read_product,
    validate,
)
from loaders.readers._dates import find_date
from loaders.variables import standard_variables

GOOD = {
    "name": "rain",
    "title": "Rain",
    "format": "geotiff",
    "kind": "gridded",
    "grid": "latlon_0p25",
    "time_step": "day",
    "source": "somewhere",
    "variables": [{"name": "rain", "dtype": "float32", "unit": "mm"}],
}


def _changed(**changes) -> dict:
    return {**GOOD, **changes}


# -- the built-in YAMLs -------------------------------------------------------------------------------------------------


def test_every_built_in_product_is_sound():
    products = all_products()
    assert set(products) >= {
        "table", "raster", "regions", "stations", "esa_cci_combined", "era5_land_monthly", "era5_land_daily",
        "chirps_monthly", "chirps_daily", "spl2smp",
    }  # fmt: skip
    assert {p.stem for p in BUILT_IN.glob("*.yml")} == set(products)
    for product in products.values():
        assert product.grid in GRIDS or product.grid in ("given", "from_file", "none"), product.name
        assert set(product.shares_input_with) <= set(products), product.name
        for delivered in product.delivers:
            assert delivered.unit == standard_variables()[delivered.variable].unit, (product.name, delivered)
        if product.kind == "gridded" and not product.is_template:
            is_used = product.delivers or product.time_step == "static"  # without dates: columns are a study's factors
            assert (product.citation and is_used and product.file_pattern) or "era5" in product.name
        for variable in product.variables:
            limits = np.iinfo(variable.dtype) if variable.dtype.startswith(("int", "uint")) else None
            assert all(limits is None or limits.min <= f <= limits.max for f in variable.fill), (product.name, variable)


def test_a_product_survives_its_own_yaml():
    for product in all_products().values():
        assert validate(yaml.safe_load(product.to_yaml()), product.name) == product


def test_products_page_is_fresh(capsys):
    assert products_docs.main(["--check"]) == 0, capsys.readouterr().out


def test_a_stale_page_is_noticed(tmp_path, monkeypatch, capsys):
    stale = tmp_path / "products.md"
    stale.write_text(products_docs.page().replace("CHIRPS 2.0", "CHIRPS 1.8"))
    monkeypatch.setattr(products_docs, "PAGE", stale)
    assert products_docs.main(["--check"]) == 1
    assert "CHIRPS 1.8" in capsys.readouterr().out


# -- mistakes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"kind": "grided"}, "x.yml: kind: 'grided' is not known. Nearest: gridded."),
        ({"time_stepp": "day"}, "x.yml: time_stepp: unknown field. Nearest: time_step."),
        ({"source": None}, "x.yml: source: Input should be a valid string"),
        ({"name": "Rain Fall"}, "'Rain Fall' cannot be a product's name"),
        ({"file_pattern": "(?P<date"}, "x.yml: file_pattern: is not a regular expression"),
        ({"variables": [{"name": "a", "dtype": "flaot32", "unit": "1"}]}, "x.yml: variables[0].dtype: 'flaot32' is not"),
        ({"variables": [{"name": "a", "dtype": "int8", "unit": "1", "fil": 0}]}, "variables[0].fil: unknown field. Nearest: fill."),
        ({"variables": [{"name": "year", "dtype": "int8", "unit": "1"}]}, "'year' is a column the lake writes itself"),
        ({"variables": [{"name": "a b", "dtype": "int8", "unit": "1"}]}, "'a b' cannot be a column"),
        ({"variables": [GOOD["variables"][0]] * 2}, "variables: rain is there twice"),
        ({"delivers": [{"variable": "rain", "layer": "topsoil", "unit": "mm"}]}, "'topsoil': a layer is a depth interval"),
        ({"delivers": [{"variable": "rain", "layer": "5-0 cm", "unit": "mm"}]}, "'5-0 cm': a layer goes from its top down"),
        ({"options": {"colums": {}}}, "x.yml: options.colums: unknown field. Nearest: columns."),
        ({"options": {"columns": {"longitude": "x"}}}, "unknown column 'longitude'. Nearest: lon."),
        ({"options": {"date_pattern": "(.*)"}}, "has no group that spells a date"),
        ({"grid": "none"}, "grid: a gridded product or a table needs a grid"),
    ],
)  # fmt: skip
def test_a_mistake_names_file_field_and_nearest_word(changes, said):
    with pytest.raises(ProductError) as error:
        validate(_changed(**changes), "x.yml")
    assert said in str(error.value)


def test_a_missing_field_is_named_and_all_mistakes_are_told_at_once():
    fields = _changed(kind="grided")
    del fields["title"]
    with pytest.raises(ProductError) as error:
        validate(fields, "x.yml")
    assert str(error.value).splitlines() == [
        "x.yml: title: is missing",
        "x.yml: kind: 'grided' is not known. Nearest: gridded.",
    ]


def test_a_file_must_be_yaml_and_carry_the_products_name(tmp_path):
    wrong = tmp_path / "rain.yml"
    wrong.write_text("name: [")
    with pytest.raises(ProductError, match=r"rain\.yml: is not YAML"):
        read_product(wrong)
    wrong.write_text("just a word")
    with pytest.raises(ProductError, match="holds no product"):
        read_product(wrong)
    other = tmp_path / "snow.yml"
    other.write_text(yaml.safe_dump(GOOD))
    with pytest.raises(ProductError, match=r"name: is 'rain', but the file is called snow\.yml"):
        read_product(other)


def test_find_product_knows_the_lake_and_the_nearest_names(tmp_path):
    definitions = tmp_path / "catalog" / "definitions"
    definitions.mkdir(parents=True)
    (definitions / "rain.yml").write_text(yaml.safe_dump(GOOD))
    assert find_product("rain", tmp_path).title == "Rain"
    assert "rain" in all_products(tmp_path)
    with pytest.raises(ProductError, match=r"there is no product 'rian'\. Nearest: rain"):
        find_product("rian", tmp_path)
    with pytest.raises(ProductError, match=r"there is no product 'chirps'\. Nearest: chirps_daily, chirps_monthly"):
        find_product("chirps")
    with pytest.raises(ProductError, match=r"there is no product '\.\./rain'"):
        find_product("../rain", tmp_path)


# -- file names ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("product", "name", "day", "version", "key"),
    [
        ("esa_cci_combined", "ESACCI-SOILMOISTURE-L3S-SSMV-COMBINED-20220101000000-fv08.1.nc", date(2022, 1, 1), "08.1", "20220101"),
        ("chirps_monthly", "chirps-v2.0.2011.03.tif", date(2011, 3, 1), "2.0", "2011_03"),
        ("chirps_monthly", "java_chirps-v2.0.2011.03.tif", date(2011, 3, 1), "2.0", "java_2011_03"),
        ("chirps_daily", "chirps-v2.0.2011.03.31.tif", date(2011, 3, 31), "2.0", "2011_03_31"),
        ("spl2smp", "SMAP_L2_SM_P_02801_A_20150811T013002_R18290_001.h5", date(2015, 8, 11), "R18290_001", "02801_A_20150811"),
        ("era5_land_monthly", "whatever.nc", None, "", "whatever.nc"),
    ],
)  # fmt: skip
def test_names_of_real_files(product, name, day, version, key):
    assert find_product(product).parse_name(name) == {"date": day, "version": version, "key": key}


def test_another_products_name_is_refused():
    with pytest.raises(BadFile, match="not that of a chirps_monthly file"):
        find_product("chirps_monthly").parse_name("chirps-v2.0.2011.03.31.tif")
    with pytest.raises(BadFile, match="its name says 2011-13, which is no date"):
        find_product("chirps_monthly").parse_name("chirps-v2.0.2011.13.tif")


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("sm_20150401.tif", (date(2015, 4, 1), "day")),
        ("sm_20150401T013000Z.tif", (date(2015, 4, 1), "day")),
        ("SM-20150401120000-v2.nc", (date(2015, 4, 1), "day")),
        ("ndvi.2015-04-01.tif", (date(2015, 4, 1), "day")),
        ("3B-MO.2015.04.01.tif", (date(2015, 4, 1), "day")),
        ("MOD13Q1.A2016145.h18v04.006.2016166145124.tif", (date(2016, 5, 24), "day")),
        ("MOD13A1_NDVI_2016_366.tif", (date(2016, 12, 31), "day")),
        ("SM_1km_2015001.tif", (date(2015, 1, 1), "day")),
        ("TerraClimate_2015-04.tif", (date(2015, 4, 1), "month")),
        ("java_v2.0.2015.04.tif", (date(2015, 4, 1), "month")),
        ("rain201504.tif", (date(2015, 4, 1), "month")),
        ("MOD13A1_NDVI_2015_366.tif", None),  # 2015 had 365 days
        ("dem_30m.tif", None),
        ("tile_12345678.tif", None),
        ("soil_1234567.tif", None),
    ],
)
def test_dates_in_names(name, found):
    assert find_date(name) == found


def test_two_dates_in_a_name_are_not_guessed():
    with pytest.raises(BadFile, match="more than one date"):
        find_date("SMAP_20220101_20220103.nc")
    product = validate(_changed(options={"date_pattern": r"_(?P<date>\d{8})_\d{8}"}), "x")
    assert product.parse_name("SMAP_20220101_20220103.nc")["date"] == date(2022, 1, 1)


def test_a_daily_product_needs_a_day():
    with pytest.raises(BadFile, match=r"says only the month \(2015-04\), and rain is daily"):
        validate(GOOD, "x").parse_name("rain_2015-04.tif")
    assert validate(_changed(time_step="month"), "x").parse_name("rain_2015-04-17.tif")["date"] == date(2015, 4, 1)


# -- completing ---------------------------------------------------------------------------------------------------------


def _write_map(path: Path, dtype: str = "int16", bands: int = 1, nodata: float | None = -3000) -> Path:
    with rasterio.open(
        path, "w", driver="GTiff", height=4, width=5, count=bands, dtype=dtype, crs="EPSG:4326",
        transform=from_origin(10, 50, 0.25, 0.25), nodata=nodata,
    ) as out:  # fmt: skip
        out.write(np.arange(20 * bands, dtype=dtype).reshape(bands, 4, 5))
    return path


def test_raster_without_a_mapping_takes_what_the_file_says(tmp_path):
    product = complete(find_product("raster"), "ndvi", None, None, [_write_map(tmp_path / "ndvi_20200101.tif")])
    assert (product.format, product.grid, product.time_step) == ("geotiff", "from_file", "day")
    (variable,) = product.variables
    assert (variable.name, variable.dtype, variable.fill, variable.band) == ("value", "int16", (-3000,), 1)
    assert complete(find_product("raster"), "dem", None, None, [_write_map(tmp_path / "dem.tif")]).time_step == "static"
    monthly = complete(find_product("raster"), "rain", None, None, [_write_map(tmp_path / "rain.2020.01.tif")])
    assert monthly.time_step == "month"


def test_a_mapping_names_bands_fills_units_and_layers(tmp_path):
    mapping = tmp_path / "lst.yml"
    mapping.write_text(
        "title: Temperature\nsource: me\nvariables:\n"
        "  - {name: day, band: 1, fill: 0, unit: 0.02 K}\n  - {name: night, band: 2, fill: 0, unit: 0.02 K, layer: 0-5 cm}\n"
    )
    product = complete(
        find_product("raster"), "lst", "latlon_0p25", mapping, [_write_map(tmp_path / "x20200101.tif", "uint16", 2, 0)]
    )
    assert (product.title, product.source, product.grid) == ("Temperature", "me", "latlon_0p25")
    assert [(v.name, v.band, v.fill, v.dtype) for v in product.variables] == [
        ("day", 1, (0,), "uint16"),
        ("night", 2, (0,), "uint16"),
    ]
    assert [(d.variable, d.layer, d.unit) for d in product.delivers] == [
        ("day", "surface", "0.02 K"),
        ("night", "0-5 cm", "0.02 K"),
    ]


def test_table_types_dates_and_renames(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("x,y,day,Soil Moisture,land\n10.125,49.875,2020-01,0.2,-9999\n10.375,49.875,2020-01,0.3,5\n")
    mapping = {"columns": {"lon": "x", "lat": "y", "date": "day"}}
    product = complete(find_product("table"), "mine", "latlon_0p25", mapping, [path])
    assert (product.kind, product.format, product.time_step) == ("table", "table", "month")
    assert [(v.name, v.source_name, v.dtype, v.fill) for v in product.variables] == [
        ("Soil_Moisture", "Soil Moisture", "float64", ()),
        ("land", "land", "float64", (-9999,)),
    ]
    mapping["variables"] = [{"name": "sm", "column": "Soil Moisture", "unit": "m3 m-3"}]
    product = complete(find_product("table"), "mine", "latlon_0p25", mapping, [path])
    assert [(v.name, v.source_name, v.unit) for v in product.variables] == [("sm", "Soil Moisture", "m3 m-3")]


def test_parquet_tables_keep_their_types(tmp_path):
    path = tmp_path / "t.parquet"
    pl.DataFrame({"lon": [10.125], "lat": [49.875], "a": pl.Series([1], dtype=pl.Int16), "b": [True]}).write_parquet(
        path
    )
    product = complete(find_product("table"), "mine", "latlon_0p25", None, [path])
    assert product.time_step == "static"
    assert [v.dtype for v in product.variables] == ["int16", "uint8"]


@pytest.mark.parametrize(
    ("template", "name", "grid", "mapping", "said"),
    [
        ("table", None, "latlon_0p25", None, "table needs a name for what is in the files: --as NAME"),
        ("table", "mine", None, None, "table needs the grid its points lie on: --grid GRID"),
        ("table", "chirps_daily", "latlon_0p25", None, "that is a product of its own"),
        ("table", "Mine", "latlon_0p25", None, "'Mine' cannot be a product's name"),
        ("table", "mine", "latlon_0p25", {"variables": [{"name": "soil"}]}, "there is no 'soil' in the file. Nearest: soil_moisture."),
        ("table", "mine", "latlon_0p25", {"time_step": "daily"}, "the mapping: time_step: 'daily' is not known. Nearest: day."),
        ("table", "mine", "latlon_0p25", {"variables": [{"name": "soil_moisture", "units": "1"}]}, "variables[0].units: unknown field. Nearest: unit."),
        ("raster", "mine", None, None, "none of the files is a GeoTIFF or a NetCDF"),
        ("stations", "mine", "latlon_0p25", None, "stations have places, not a grid"),
        ("chirps_daily", "mine", None, None, "chirps_daily is complete: --as is for table, raster, stations"),
    ],
)  # fmt: skip
def test_what_cannot_be_completed_is_answered(tmp_path, template, name, grid, mapping, said):
    path = tmp_path / "t.csv"
    path.write_text("lon,lat,date,soil_moisture\n10.125,49.875,2020-01-01,0.2\n")
    with pytest.raises(ProductError) as error:
        complete(find_product(template), name, grid, mapping, [path])
    assert said in str(error.value)


def test_a_mapping_can_be_wrong(tmp_path):
    path = tmp_path / "mapping.yml"
    path.write_text("- a\n")
    with pytest.raises(ProductError, match=r"mapping\.yml: holds no mapping"):
        read_mapping(path)
    with pytest.raises(ProductError, match=r"nowhere\.yml: cannot be read"):
        read_mapping(tmp_path / "nowhere.yml")


def test_a_complete_product_needs_no_completing():
    product = find_product("chirps_daily")
    assert complete(product, None, None, None, []) is product


# -- values -------------------------------------------------------------------------------------------------------------


def test_valid_values_are_neither_fill_nor_nan():
    variable = validate(
        _changed(variables=[{"name": "a", "dtype": "float32", "unit": "1", "fill": [-3.4e38, -1]}]), "x"
    ).variables[0]
    values = np.array([np.nan, np.float32(-3.4e38), -1, 0, 2], np.float32)
    assert variable.is_valid(values).tolist() == [False, False, False, True, True]
    flags = validate(
        _changed(variables=[{"name": "a", "dtype": "uint8", "unit": "1", "fill": [-1, 255, 0.5]}]), "x"
    ).variables[0]
    assert flags.is_valid(np.array([0, 255], np.uint8)).tolist() == [True, False]
    lonely = np.full(100_000, -1, np.float32)
    assert not variable.has_valid(lonely)
    lonely[77_777] = 5
    assert variable.has_valid(lonely)


# -- docs/loading.md ----------------------------------------------------------------------------------------------------


def _examples() -> list[str]:
    text = (Path(__file__).parents[2] / "docs" / "loading.md").read_text(encoding="utf-8")
    return re.findall(r"```sh\n(.*?)```", text, flags=re.S)


@pytest.mark.parametrize("number", range(len(_examples())))
def test_the_examples_of_the_loading_page(tmp_path, number):
    """The lines that make files are run as they are; the load is taken as far as the readers go."""
    *makers, load = _examples()[number].strip().splitlines()
    bin_of_this_python = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(
        ["bash", "-ec", "\n".join(makers)], cwd=tmp_path, check=True, env={**os.environ, "PATH": bin_of_this_python}
    )
    words = shlex.split(load)
    assert words[:2] == ["soilhouse", "load"]
    options = {flag: words[words.index(flag) + 1] for flag in ("--as", "--grid", "--mapping") if flag in words}
    paths = [tmp_path / w for w in words[3:] if w not in {*options, *options.values()}]
    mapping = tmp_path / options["--mapping"] if "--mapping" in options else None
    product = complete(find_product(words[2]), options["--as"], options.get("--grid"), mapping, paths)
    reader = import_module(f"loaders.readers.{product.format}")
    for path in paths:
        granule = reader.inspect(path, product, GRIDS.get(product.grid))
        if reader.LAYOUT == "dense":
            for variable in granule.variables:
                assert product.variable(variable).has_valid(
                    reader.read_dense(granule, product, variable, granule.dates)
                )
        else:
            assert reader.read_sparse(granule, product).num_rows or reader.read_stations(granule, product).num_rows
