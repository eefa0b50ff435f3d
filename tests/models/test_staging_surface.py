"""Staging of the land surface: scales, quality words, class fills and dates of observation, masked by hand with numpy.

Real files where there are any, else tiles of the documented structure in which every value of the quality word occurs.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import rasterio
from affine import Affine
from pyhdf.SD import SD, SDC

from loaders.lake import Lake
from loaders.load import load
from loaders.products import find_product
from tests.conftest import SHARED, count_cases
from tests.loaders.modis_files import Extent, Layer, tile_extent, write_hdf
from tests.warehouse import Warehouse

MODIS = SHARED / "data" / "modis_hdf4"
SENTINEL = SHARED / "data" / "sentinel1_vv"
N = 16  # a side of the made tiles: 256 cells, one for each value of a byte
BYTES = np.arange(256, dtype=np.uint8).reshape(N, N)
random = np.random.default_rng(7)


def _tile(folder: Path, name: str, cells: int, layers: dict[str, Layer]) -> Path:
    extent = tile_extent("h25v05", cells, rows=slice(0, N), columns=slice(0, N))
    return write_hdf(folder / name, layers, extent)


def _whole(low: int, high: int, dtype: str, edge: tuple[int, ...] = ()) -> np.ndarray:
    values = random.integers(low, high, (N, N)).astype(dtype)
    values.ravel()[5 : 5 + len(edge)] = edge
    return values


LST = {
    "day": _whole(7000, 20000, "uint16", (0, 7499, 7500, 19000, 19001, 65535)),
    "night": _whole(7000, 20000, "uint16", (0, 7499)),
}
RELIABILITY = (np.arange(N * N).reshape(N, N) % 5 - 1).astype(np.int8)
VEGETATION = {"ndvi": _whole(-2500, 11000, "int16", (-3000, -2000, 10000)), "evi": _whole(-2500, 11000, "int16")}
DAY_OF_YEAR = _whole(1, 367, "int16", (-1, 361, 366, 1, 3, 8, 9, 10, 200))
DAY_OF_YEAR.ravel()[20:60] = np.tile((9, 10, 24, 25, 361, 365, 1, 9), 5)
LAI = {"lai": _whole(0, 256, "uint8", (100, 101, 249, 254, 255)), "fpar": _whole(0, 256, "uint8")}
WATER = {"et": _whole(-100, 600, "int16", (32767, 32761, 32700, 32766)), "pet": _whole(0, 900, "int16", (32761,))}
ALBEDO = {"bsa": _whole(0, 1100, "int16", (32767, 0, 1000)), "wsa": _whole(0, 1100, "int16")}
INVERSION = (np.arange(N * N).reshape(N, N) % 4).astype(np.uint8)
CLASSES = {"igbp": _whole(0, 20, "uint8", (255, 17)), "pft": _whole(0, 14, "uint8", (255, 0, 11))}
TRIMS = {
    "day": _whole(9000, 36000, "uint16", (0, 10000, 17500, 18000, 20000, 35000)),
    "night": _whole(9000, 36000, "uint16"),
}
NORTHERN = _whole(-10, 11000, "int16", (-9999, 0, 10000))


def _lst_files(folder: Path, short: str, tile_cells: int, size: str) -> Path:
    layers = {
        f"LST_Day_{size}": Layer(LST["day"], 0),
        "QC_Day": Layer(BYTES, 0),
        f"LST_Night_{size}": Layer(LST["night"], 0),
        "QC_Night": Layer(BYTES.T.copy(), 0),
    }
    return _tile(folder, f"{short}.A2020001.h25v05.061.2020010010101.hdf", tile_cells, layers)


def _vi_file(folder: Path, short: str, day: str) -> Path:
    layers = {
        "1 km 16 days NDVI": Layer(VEGETATION["ndvi"], -3000),
        "1 km 16 days EVI": Layer(VEGETATION["evi"], -3000),
        "1 km 16 days pixel reliability": Layer(RELIABILITY, -1),
        "1 km 16 days composite day of the year": Layer(DAY_OF_YEAR, -1),
    }
    return _tile(folder, f"{short}.A{day}.h25v05.061.2021010010101.hdf", 1200, layers)


def _tif(path: Path, values: np.ndarray) -> Path:
    with rasterio.open(
        path, "w", driver="GTiff", count=1, height=N, width=N, dtype=values.dtype, crs="EPSG:4326",
        transform=Affine(0.01, 0, 100, 0, -0.01, 40),
    ) as out:  # fmt: skip
        out.write(values, 1)
    return path


def _made(folder: Path) -> dict[str, list[Path]]:
    made = {f"{s[:3].lower()}{s[3:].lower()}": [_lst_files(folder, s, 1200, "1km")] for s in ("MOD11A1", "MYD11A1", "MOD11A2", "MYD11A2")}  # fmt: skip
    made["myd13a2"] = [_vi_file(folder, "MYD13A2", "2020009"), _vi_file(folder, "MYD13A2", "2020361")]
    quality = Layer(BYTES, 255)
    made["mod15a2h"] = [_tile(folder, "MOD15A2H.A2020001.h25v05.061.2020010010101.hdf", 2400, {
        "Lai_500m": Layer(LAI["lai"], 255), "Fpar_500m": Layer(LAI["fpar"], 255), "FparLai_QC": quality,
    })]  # fmt: skip
    for short in ("MOD16A2", "MOD16A2GF"):
        made[short.lower()] = [_tile(folder, f"{short}.A2020361.h25v05.061.2021010010101.hdf", 2400, {
            "ET_500m": Layer(WATER["et"], 32767), "PET_500m": Layer(WATER["pet"], 32767), "ET_QC_500m": quality,
        })]  # fmt: skip
    made["mcd12q1"] = [_tile(folder, "MCD12Q1.A2019001.h25v05.061.2021010010101.hdf", 2400, {
        "LC_Type1": Layer(CLASSES["igbp"], 255), "LC_Type5": Layer(CLASSES["pft"], 255),
    })]  # fmt: skip
    made["mcd43a3"] = [_tile(folder, "MCD43A3.A2020100.h25v05.061.2021010010101.hdf", 2400, {
        "Albedo_BSA_shortwave": Layer(ALBEDO["bsa"], 32767), "Albedo_WSA_shortwave": Layer(ALBEDO["wsa"], 32767),
        "BRDF_Albedo_Band_Mandatory_Quality_shortwave": Layer(INVERSION, 255),
    })]  # fmt: skip
    for number, sky in ((51, "bsa"), (61, "wsa")):
        corner = Extent("CMG", (100_000_000, 40_000_000), (100_008_000, 39_052_000), N, N, "GCTP_GEO")
        path = folder / f"MCD43D{number}.A2020100.061.2021010010101.hdf"
        made[f"mcd43d{number}"] = [write_hdf(path, {"BRDF_Albedo": Layer(ALBEDO[sky], 32767)}, corner)]
    made["trims_lst"] = [_tif(folder / f"TRIMS_LST_Aqua_{w.title()}_2020123.tif", TRIMS[w]) for w in TRIMS]
    made["northern_china_1km"] = [_tif(folder / "SM_2018097.tif", NORTHERN)]
    return made


@pytest.fixture(scope="module")
def house(tmp_path_factory) -> Iterator[Warehouse]:
    """The made tiles and, where they are at hand, the real files, loaded by the loaders and staged in one build."""
    folder = tmp_path_factory.mktemp("surface")
    house = Warehouse(folder / "house")
    files = _made(folder / "files") if (folder / "files").mkdir() is None else {}
    if SHARED.is_dir():
        files["mod09a1"] = sorted(MODIS.glob("MOD09A1*"))
        files["mod11b2"] = sorted(MODIS.glob("MOD11B2*"))
        files["mod13a2"] = sorted((MODIS / "h18v09").glob("*.hdf"))
        files["sentinel1_ascending"] = sorted(SENTINEL.glob("S1A__IW___A*"))
        files["sentinel1_descending"] = sorted(SENTINEL.glob("S1A__IW___D*"))
    for product, paths in files.items():
        report = load(find_product(product), paths, Lake(house.lake))
        assert report.ok, [f.reason for f in report.files]
    house.study = {
        "name": "surface",
        "groups": [],
        "period": {"start": "2015-01-01", "end": "2026-01-01"},
        "time_zone": "UTC",
        "series": [{"product": p, "variable": find_product(p).delivers[0].variable, "layer": find_product(p).delivers[0].layer} for p in files],
    }  # fmt: skip
    house.dbt("build", "--select", *(f"stg_{p}" for p in files))
    return house


def _rows(house: Warehouse, product: str) -> pl.DataFrame:
    """The view with each pixel's place in the made tile as `cell` (0 to 255)."""
    grid = Lake(house.lake).grid(
        house.query(f"select 1 as x from staging.stg_{product} limit 1").height and _grid_of(house, product)
    )
    rows = house.query(f"select * from staging.stg_{product} order by pixel_id, obs_date")
    row, column = grid.row_col(rows["pixel_id"].to_numpy())
    return rows.with_columns(
        cell=pl.Series((row - row.min()) * (column.max() - column.min() + 1) + column - column.min())
    )


def _grid_of(house: Warehouse, product: str) -> str:
    return pl.read_parquet(house.lake / "catalog" / "products" / f"{product}.parquet")["grid_id"][0]


def _check(rows: pl.DataFrame, column: str, wanted: np.ndarray) -> None:
    """A column of the view against (256,) of wanted values, NaN where there is none."""
    got = rows[column].cast(pl.Float64).to_numpy()
    wanted = np.asarray(wanted, np.float64).ravel()[rows["cell"].to_numpy()]
    np.testing.assert_array_equal(np.isnan(got), np.isnan(wanted))
    np.testing.assert_allclose(got, wanted, rtol=1e-14, atol=1e-12)
    assert 0 < np.isfinite(got).sum() < got.size


def _where(condition, values) -> np.ndarray:
    return np.where(condition, values, np.nan)


def _good_lst(value, quality) -> np.ndarray:
    error_at_most_2 = (quality >> 6) <= 1
    good = ((quality & 3) == 0) | (((quality & 3) == 1) & error_at_most_2)
    return _where((value >= 7500) & (value <= 19000) & good, value * 0.02 - 273.15)


@pytest.mark.parametrize("product", ["mod11a1", "myd11a1", "mod11a2", "myd11a2"])
def test_land_surface_temperature(house, product):
    rows = _rows(house, product)
    day, night = _good_lst(LST["day"], BYTES), _good_lst(LST["night"], BYTES.T)
    _check(rows, "land_surface_temperature_day", day)
    _check(rows, "land_surface_temperature_night", night)
    _check(rows, "land_surface_temperature_difference", day - night)
    assert set(rows["obs_date"]) == {date(2020, 1, 1)}


def _observed(first: date, day_of_year: int, days: int) -> date:
    """The day of the year inside the period, else its first day; Aqua's next composite begins on 9 January."""
    last = date(first.year + 1, 1, 8)
    for i in range(days):
        day = first + timedelta(days=i)
        if day.timetuple().tm_yday == day_of_year:
            return min(day, last)
    return first


def test_vegetation_indices_lie_on_the_day_of_observation(house):
    rows = _rows(house, "myd13a2")
    assert not rows.select("pixel_id", "obs_date").is_duplicated().any()
    for first in (date(2020, 1, 9), date(2020, 12, 26)):
        period = rows.filter(pl.col("obs_date").is_between(first, first + timedelta(days=15)))
        assert period.height == N * N
        wanted = [_observed(first, int(DAY_OF_YEAR.ravel()[c]), 16) for c in period["cell"]]
        assert period["obs_date"].to_list() == wanted
        assert period["month"].to_list() == [d.month for d in wanted]
        good = np.isin(RELIABILITY, (0, 1))
        for name, values in VEGETATION.items():
            _check(period, name, _where(good & (values >= -2000) & (values <= 10000), values / 10000))
    late = rows.filter(pl.col("obs_date") > date(2020, 12, 31))
    assert late.height > 5 and set(late["year"]) == {2021} and late["obs_date"].max() == date(2021, 1, 8)


def test_leaf_area_and_its_classes(house):
    rows = _rows(house, "mod15a2h")
    main_and_no_cloud = ((BYTES & 1) == 0) & (((BYTES >> 3) & 3) != 1)
    _check(rows, "leaf_area_index", _where(main_and_no_cloud & (LAI["lai"] <= 100), LAI["lai"] * 0.1))
    _check(rows, "fapar", _where(main_and_no_cloud & (LAI["fpar"] <= 100), LAI["fpar"] * 0.01))


def test_evapotranspiration_and_its_classes(house):
    for product, good in (("mod16a2", (BYTES & 1) == 0), ("mod16a2gf", np.ones((N, N), bool))):
        rows = _rows(house, product)
        for column, values in (("evapotranspiration", WATER["et"]), ("potential_evapotranspiration", WATER["pet"])):
            _check(rows, column, _where(good & (values <= 32700), values / 10))
        assert set(rows["obs_date"]) == {date(2020, 12, 26)}


def test_land_cover(house):
    rows = _rows(house, "mcd12q1")
    _check(rows, "land_cover_igbp", _where((CLASSES["igbp"] >= 1) & (CLASSES["igbp"] <= 17), CLASSES["igbp"]))
    _check(rows, "land_cover_pft", _where(CLASSES["pft"] <= 11, CLASSES["pft"]))
    assert set(rows["obs_date"]) == {date(2019, 1, 1)}


def test_albedo(house):
    rows = _rows(house, "mcd43a3")
    sky = {k: _where((INVERSION <= 1) & (v <= 1000), v / 1000) for k, v in ALBEDO.items()}
    _check(rows, "albedo_black_sky", sky["bsa"])
    _check(rows, "albedo_white_sky", sky["wsa"])
    _check(rows, "albedo", (sky["bsa"] + sky["wsa"]) / 2)
    for product, column, name in (("mcd43d51", "albedo_black_sky", "bsa"), ("mcd43d61", "albedo_white_sky", "wsa")):
        values = ALBEDO[name]
        made = _rows(house, product)
        _check(made, column, _where(values <= 1000, values / 1000))
        assert set(made["obs_date"]) == {date(2020, 4, 9)}


def test_trims_scale_is_told_by_the_range(house):
    rows = _rows(house, "trims_lst")

    def kelvin(v):
        small, large = (v >= 10000) & (v <= 17500), (v >= 20000) & (v <= 35000)
        return np.where(small, v * 0.02, np.where(large, v * 0.01, np.nan))

    day, night = kelvin(TRIMS["day"]), kelvin(TRIMS["night"])
    _check(rows, "land_surface_temperature_day", day - 273.15)
    _check(rows, "land_surface_temperature_night", night - 273.15)
    _check(rows, "land_surface_temperature_difference", day - night)
    assert set(rows["obs_date"]) == {date(2020, 5, 2)}  # 2020123


def test_northern_china_is_divided_by_ten_thousand(house):
    rows = _rows(house, "northern_china_1km")
    _check(rows, "soil_moisture_0_5cm", _where((NORTHERN > 0) & (NORTHERN <= 10000), NORTHERN / 10000))
    assert set(rows["obs_date"]) == {date(2018, 4, 7)} and rows["is_frozen_0_5cm"].null_count() == rows.height


# -- real files ---------------------------------------------------------------------------------------------------------


def _hdf(path: Path, folder: Path) -> SD:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            path = Path(archive.extract(archive.namelist()[0], folder))
    return SD(str(path), SDC.READ)


def test_real_mod13a2(shared, house):
    rows = house.query("select pixel_id, obs_date, ndvi, evi from staging.stg_mod13a2")
    n = 0
    for path, first in zip(
        sorted((MODIS / "h18v09").glob("*.hdf")), (date(2025, 1, 1), date(2025, 1, 17)), strict=True
    ):
        sd = SD(str(path), SDC.READ)
        ndvi, evi, reliability, doy = (
            sd.select(f"1 km 16 days {k}").get().astype(int)
            for k in ("NDVI", "EVI", "pixel reliability", "composite day of the year")
        )
        used = np.isin(reliability, (0, 1)) & (ndvi >= -2000) & (ndvi <= 10000)
        period = rows.filter(
            pl.col("obs_date").is_between(first, first + timedelta(days=15)) & pl.col("ndvi").is_not_null()
        )
        pixel = period["pixel_id"].to_numpy()
        row, column = pixel // 43200 - 9 * 1200, pixel % 43200 - 18 * 1200
        assert period.height == used.sum() and used[row, column].all()
        np.testing.assert_allclose(period["ndvi"], ndvi[row, column] / 10000, rtol=1e-15)
        np.testing.assert_allclose(period["evi"], evi[row, column] / 10000, rtol=1e-15)
        assert period["obs_date"].to_list() == [date(2025, 1, 1) + timedelta(days=int(d) - 1) for d in doy[row, column]]
        n += period.height
    count_cases("staging: MOD13A2 values", n)


def test_real_mod09a1(shared, house, tmp_path):
    sd = _hdf(next(MODIS.glob("MOD09A1*")), tmp_path)
    b = {i: sd.select(f"sur_refl_b0{i}").get().astype(float) for i in range(1, 8)}
    state, doy = sd.select("sur_refl_state_500m").get().astype(int), sd.select("sur_refl_day_of_year").get().astype(int)
    clear = ((state & 3) == 0) & ((state >> 2 & 1) == 0) & ((state >> 8 & 3) <= 1) & ((state >> 12 & 3) == 0)
    r = {i: np.where(clear & (v >= -100) & (v <= 16000), v / 10000, np.nan) for i, v in b.items()}
    index = {
        "ndvi": (r[2] - r[1]) / (r[2] + r[1]),
        "evi": 2.5 * (r[2] - r[1]) / (r[2] + 6 * r[1] - 7.5 * r[3] + 1),
        "ndwi": (r[4] - r[2]) / (r[4] + r[2]),
        "lswi": (r[2] - r[6]) / (r[2] + r[6]),
        "nsdsi": (r[6] - r[7]) / r[6],
    }
    rows = house.query("select * from staging.stg_mod09a1 order by pixel_id")
    pixel = rows["pixel_id"].to_numpy()
    row, column = pixel // 86400 - 10523, pixel % 86400 - 44826
    assert rows.height == 73 * 66
    wanted = {f"reflectance_b{i}": v for i, v in r.items()} | {
        k: np.where(np.abs(v) <= 1, v, np.nan) for k, v in index.items()
    }
    for name, values in wanted.items():
        got = rows[name].to_numpy()
        assert 1000 < np.isfinite(got).sum() < got.size
        np.testing.assert_allclose(got, values[row, column], rtol=1e-12, atol=1e-15)
    assert rows["obs_date"].to_list() == [date(2017, 1, 1) + timedelta(days=int(d) - 1) for d in doy[row, column]]
    count_cases("staging: MOD09A1 pixels", rows.height)


def test_real_mod11b2(shared, house, tmp_path):
    sd = _hdf(next(MODIS.glob("MOD11B2*")), tmp_path)
    value = {w: sd.select(f"LST_{w}_6km").get().astype(int) for w in ("Day", "Night")}
    quality = {w: sd.select(f"QC_{w}").get().astype(int) for w in ("Day", "Night")}
    rows = house.query("select * from staging.stg_mod11b2 order by pixel_id")
    pixel = rows["pixel_id"].to_numpy()
    row, column = pixel // 7200 - 800, pixel % 7200 - 2800
    for when in ("Day", "Night"):
        got = rows[f"land_surface_temperature_{when.lower()}"].to_numpy()
        wanted = _good_lst(value[when], quality[when])
        np.testing.assert_allclose(got, wanted[row, column], rtol=1e-12)
        assert np.isfinite(got).sum() == np.isfinite(wanted).sum() > 1000
    count_cases("staging: MOD11B2 pixels", rows.height)


def test_real_sentinel1_keeps_decibels_and_gives_power(shared, house):
    n = 0
    for way in ("A", "D"):
        product = {"A": "sentinel1_ascending", "D": "sentinel1_descending"}[way]
        rows = house.query(f"select * from staging.stg_{product} where backscatter_vv is not null")
        grid = Lake(house.lake).grid(_grid_of(house, product))
        paths = sorted(SENTINEL.glob(f"S1A__IW___{way}*"))
        assert rows["backscatter_vh"].null_count() == rows.height
        for path in paths:
            day = date.fromisoformat(path.name[12:20])
            got = rows.filter(pl.col("obs_date") == day)
            row, column = grid.row_col(got["pixel_id"].to_numpy())
            x, y = grid.xy_of(row, column)
            with rasterio.open(path) as truth:
                values = truth.read(1)
                assert (values != -99).sum() == got.height
                r, c = rasterio.transform.rowcol(truth.transform, x, y)
            np.testing.assert_array_equal(got["backscatter_vv"], values[np.asarray(r), np.asarray(c)].astype(float))
            np.testing.assert_allclose(got["backscatter_vv_power"], 10 ** (got["backscatter_vv"].to_numpy() / 10))
            n += got.height
    count_cases("staging: Sentinel-1 pixels", n)
