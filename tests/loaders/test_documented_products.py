"""Products of which no real file could be had, from files in the documented structure through the lake to the staging view."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from loaders.lake import Lake
from loaders.load import load
from loaders.products import all_products, find_product
from tests.loaders import documented_files as files
from tests.warehouse import Warehouse

DAY = 18262.0  # 2020-01-01, days from 1970
SOIL = {"variable": "soil_moisture", "layer": "0-5 cm"}
FILLED = {"_FillValue": np.float32(-9999)}


def _map(fill: float, dtype: str, values: list[float], shape: tuple[int, int] = (4, 5)) -> np.ndarray:
    """A map of fill whose first cells have values."""
    made = np.full(shape, fill, dtype)
    made.flat[: len(values)] = values
    return made


def _cci(path: Path, values: list[float], flags: list[int]) -> None:
    variables = {
        "sm": _map(-9999, "f4", values)[np.newaxis],
        "sm_uncertainty": _map(-9999, "f4", [0.01] * len(values))[np.newaxis],
        "flag": _map(-9999, "i2", flags)[np.newaxis],
    }
    attributes = {"sm": FILLED, "sm_uncertainty": FILLED, "flag": {"_FillValue": np.int16(-9999)}}
    files.lonlat(path, variables, 0.25, 49.875, 10.125, days=[DAY], attributes=attributes)


def _write_cci(folder: Path) -> None:
    # flags: none, barren ground (an advisory), frozen, dense vegetation; then one out of range
    percent, volume, flags = [40.0, 60.0, 50.0, 70.0, 101.0], [0.2, 0.3, 0.25, 0.35, 1.2], [0, 64, 1, 2, 0]
    _cci(folder / "ESACCI-SOILMOISTURE-L3S-SSMS-ACTIVE-20200101000000-fv08.1.nc", percent, flags)
    _cci(folder / "ESACCI-SOILMOISTURE-L3S-SSMV-PASSIVE-20200101000000-fv08.1.nc", volume, flags)
    _cci(folder / "C3S-SOILMOISTURE-L3S-SSMS-ACTIVE-DAILY-20200101000000-TCDR-v202312.0.0.nc", percent, flags)
    _cci(folder / "C3S-SOILMOISTURE-L3S-SSMV-PASSIVE-DAILY-20200101000000-TCDR-v202312.0.0.nc", volume, flags)
    # the interim record has the higher number, and comes first by name; the final one stays
    name = "C3S-SOILMOISTURE-L3S-SSMV-COMBINED-DAILY-20200101000000"
    _cci(folder / f"{name}-ICDR-v202405.0.0.nc", [0.9, 0.9, 0.9, 0.9, 0.9], flags)
    _cci(folder / f"{name}-TCDR-v202212.0.0.nc", volume, flags)
    files.lonlat(
        folder / "C3S-SOILMOISTURE-L3S-SSMV-COMBINED-MONTHLY-20200101000000-TCDR-v202212.0.0.nc",
        {"sm": _map(-9999, "f4", [0.21])[np.newaxis], "nobs": _map(-1, "i4", [20])[np.newaxis]},
        0.25, 49.875, 10.125, days=[DAY], attributes={"sm": FILLED, "nobs": {"_FillValue": np.int32(-1)}},
    )  # fmt: skip
    layers = {
        f"rzsm_{k}": _map(-9999, "f4", [v])[np.newaxis] for k, v in (("1", 0.1), ("2", 0.2), ("3", 0.3), ("1m", 0.25))
    }
    files.lonlat(
        folder / "C3S-RZSM-L3S-RZSMV-DAILY-20200101000000-TCDR-v202505.0.0.nc",
        layers, 0.25, 49.875, 10.125, days=[DAY], attributes=dict.fromkeys(layers, FILLED),
    )  # fmt: skip


def _write_smap(folder: Path) -> dict:
    def place(km: str, window: tuple | None = None) -> dict:
        shape, extra = (files.M36, "") if km == "36" else (files.M09, "E_")
        name = f"SMAP_L3_SM_P_{extra}20200101_R18290_001.h5"
        return files.smap_l3(folder / name, shape, 5, window)

    written = {"36": place("36"), "9": place("9", (slice(8, 60), slice(15, 90)))}
    # an older release of the same day gives way
    files.smap_l3(folder / "SMAP_L3_SM_P_20200101_R16515_002.h5", files.M36, 6)
    seconds = (
        (np.datetime64("2020-01-01T00:00:00") - np.datetime64("2000-01-01T11:58:55.816"))
        / np.timedelta64(1, "ms")
        / 1000
    )
    for i in range(8):
        clock = f"{3 * i + 1:02d}3000"
        files.smap_l4(folder / f"SMAP_L4_SM_gph_20200101T{clock}_Vv7032_001.h5", seconds + (3 * i + 1.5) * 3600, i / 20)
    name = "SMAP_L2_SM_SP_1AIWDV_20200101T060000_20200101T{}_012E45N_R18290_001.h5"
    written["scene"] = files.smap_sentinel(folder / name.format("053000"), 3000, 19000)
    # the next scene of the same half orbit shares its last column with the first
    written["next"] = files.smap_sentinel(folder / name.format("053025"), 3000, 19007)
    return written


def _write_others(folder: Path) -> None:
    packed = _map(-32768, "i2", [250, 0, 999])
    files.lonlat(
        folder / "NPR_SMOPS_CMAP_D20200101.nc", {"Blended_SM": packed}, 0.25, 49.875, 10.125, names=("Latitude", "Longitude"),
        attributes={"Blended_SM": {"_FillValue": np.int16(-32768), "scale_factor": 0.001, "add_offset": 0.0}},
    )  # fmt: skip
    for way in "AD":
        files.amsr2(
            folder / f"GW1AM2_20200101_01D_EQM{way}_L3SGSMCHF3300300.h5",
            (1800, 3600),
            {(400, 1900): 215, (401, 10): 1200},
        )
        files.amsr2(
            folder / f"GW1AM2_20200101_01D_EQM{way}_L3SGSMCLQ2220220.h5", (720, 1440), {(160, 760): 333, (161, 3): 40}
        )
        percent = _map(-32767, "f4", [21.5, 70.0])
        files.lonlat(
            folder / f"LPRM-AMSR2_L3_{way}_SOILM3_V001_20200101010911.nc4", {"soil_moisture_c1": percent, "soil_moisture_x": percent},
            0.25, 49.875, 10.125, names=("Latitude", "Longitude"), lon_first=True,
            attributes={name: {"_FillValue": np.float32(-32767)} for name in ("soil_moisture_c1", "soil_moisture_x")},
        )  # fmt: skip
    fldas = {
        "SoilMoi00_10cm_tavg": [0.21], "SoilMoi10_40cm_tavg": [0.31], "SoilTemp00_10cm_tavg": [270.15],
        "Rainf_f_tavg": [2e-5], "Tair_f_tavg": [275.15],
    }  # fmt: skip
    files.lonlat(
        folder / "FLDAS_NOAH01_C_GL_M.A202001.001.nc.SUB.nc4",
        {name: _map(-9999, "f4", values)[np.newaxis] for name, values in fldas.items()},
        0.1, 49.95, 10.05, names=("Y", "X"), days=[DAY], south_up=True, attributes=dict.fromkeys(fldas, FILLED),
    )  # fmt: skip
    rate = _map(-9999.9, "f4", [0.125])[np.newaxis]
    fill = {"_FillValue": np.float32(-9999.9)}
    files.lonlat(
        folder / "3B-MO.MS.MRG.3IMERG.20200101-S000000-E235959.01.V07B.HDF5", {"precipitation": rate}, 0.1, 49.95, 10.05,
        days=[DAY], south_up=True, lon_first=True, group="Grid", attributes={"precipitation": fill},
    )  # fmt: skip
    files.lonlat(
        folder / "3B-MO.MS.MRG.3IMERG.20200201-S000000-E235959.02.V07B.HDF5.nc4", {"precipitation": rate}, 0.1, 49.95, 10.05,
        days=[DAY + 31], south_up=True, lon_first=True, attributes={"precipitation": fill},
    )  # fmt: skip
    months = np.stack([_map(-32768, "i2", [100 + m]) for m in range(12)])
    starts = [DAY + (date(2020, m, 1) - date(2020, 1, 1)).days for m in range(1, 13)]
    files.lonlat(
        folder / "TerraClimate_vpd_2020.nc", {"vpd": months}, 1 / 24, 49.97916666666666, 10.020833333333334, days=starts,
        attributes={"vpd": {"_FillValue": np.int16(-32768), "scale_factor": 0.01, "add_offset": 0.0}},
    )  # fmt: skip


def _write_smci(folder: Path, km: str, cell: float) -> list[Path]:
    """Two layers, each a folder of files with the same names, as the data center packs them."""
    for depth, level in (("10cm", 210), ("100cm", 330)):
        (folder / f"SMCI_{km}_2020_{depth}").mkdir(parents=True)
        maps = np.stack([_map(-999, "i2", [level + day]) for day in range(3)])
        files.lonlat(
            folder / f"SMCI_{km}_2020_{depth}" / "2020.nc", {"SMCI": maps}, cell, 49.95, 100.05, days=[DAY, DAY + 1, DAY + 2],
            attributes={"SMCI": {"_FillValue": np.int16(-999)}},
        )  # fmt: skip
    return [folder]


# product, the series of the study that stands for it
LOADED = {
    "spl3smp_am": SOIL, "spl3smp_pm": SOIL, "spl3smp_e_am": SOIL, "spl3smp_e_pm": SOIL,
    "spl4smgp": SOIL | {"hours": [6, 9]}, "spl2smap_s_1km": SOIL, "spl2smap_s_3km": SOIL,
    "esa_cci_active": {"variable": "degree_of_saturation", "layer": "0-5 cm"}, "esa_cci_passive": SOIL,
    "c3s_active": {"variable": "degree_of_saturation", "layer": "0-5 cm"}, "c3s_passive": SOIL, "c3s_combined": SOIL,
    "c3s_combined_monthly": SOIL, "c3s_root_zone": SOIL | {"layer": "0-10 cm"}, "smops": SOIL,
    "amsr2_0p1_ascending": SOIL | {"layer": "0-1 cm"}, "amsr2_0p1_descending": SOIL | {"layer": "0-1 cm"},
    "amsr2_0p25_ascending": SOIL | {"layer": "0-1 cm"}, "amsr2_0p25_descending": SOIL | {"layer": "0-1 cm"},
    "lprm_amsr2_ascending": SOIL | {"layer": "0-2 cm"}, "lprm_amsr2_descending": SOIL | {"layer": "0-2 cm"},
    "fldas_noah_monthly": SOIL | {"layer": "0-10 cm"}, "imerg_monthly": {"variable": "precipitation"},
    "terraclimate_vpd": {"variable": "vapour_pressure_deficit"},
    "smci_1km": SOIL | {"layer": "0-10 cm"}, "smci_0p1": SOIL | {"layer": "0-10 cm"},
}  # fmt: skip


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> tuple[Warehouse, dict, dict]:
    """Every product loaded into one lake, with its staging view; what was written; the report of each load."""
    root = tmp_path_factory.mktemp("documented")
    folder = root / "files"
    folder.mkdir()
    _write_cci(folder)
    written = _write_smap(folder)
    _write_others(folder)
    house = Warehouse(root)
    reports = {}
    for product in LOADED:
        if product.startswith("smci"):
            paths = _write_smci(
                root / product, "1km" if product == "smci_1km" else "9km", 1 / 120 if product == "smci_1km" else 0.1
            )
        else:
            paths = [folder]
        reports[product] = load(find_product(product), paths, Lake(house.lake))
        assert "skipped" not in reports[product].counts, [f.reason for f in reports[product].files]
    house.study = {
        "name": "documented",
        "groups": [],
        "period": {"start": "2020-01-01", "end": "2021-01-01"},
        "time_zone": "Asia/Shanghai",
        "series": [{"product": product, **series} for product, series in LOADED.items()],
    }
    house.dbt("run", "--select", *(f"stg_{product}" for product in LOADED))
    return house, written, reports


def _staged(world, product: str, column: str) -> dict[tuple[date, int], float]:
    """{(day, pixel): value} of a column of a staging view where it is not NULL."""
    rows = world[0].query(
        f"select obs_date, pixel_id, {column} as v from staging.stg_{product} where {column} is not null"
    )
    assert not rows["v"].is_nan().any() if rows["v"].dtype == pl.Float64 else True
    return {(day, pixel): value for day, pixel, value in rows.iter_rows()}


def _first_cell(cell: float, n_cols: int) -> int:
    """The pixel whose north-west corner is 50 N, 10 E, on a global grid of such cells."""
    return round((90 - 50) / cell) * n_cols + round((10 + 180) / cell)


def test_every_dated_product_that_is_not_verified_is_here():
    ours = {"netcdf", "subdaily", "point_netcdf", "smap_hdf5"}
    guessed = {n for n, p in all_products().items() if p.format in ours and not p.verified and p.time_step != "static"}
    assert guessed == set(LOADED) | {"era5_land_hourly"}  # which is in test_times_of_day.py


@pytest.mark.parametrize(("product", "suffix"), [("spl3smp_am", ""), ("spl3smp_pm", "_pm")])
def test_smap_l3_places_by_row_and_column_and_keeps_bit_0(world, product, suffix):
    written = world[1]["36"][suffix]
    moisture, quality = written["soil_moisture"], written["quality"]
    used = (quality & 1 == 0) & (moisture >= np.float32(0.02)) & (moisture <= 0.5)
    expected = {(date(2020, 1, 1), int(p)): float(moisture.flat[p]) for p in np.flatnonzero(used)}
    assert _staged(world, product, "soil_moisture_0_5cm") == expected
    assert (date(2020, 1, 1), 10 * 964 + 20) in expected  # flag 8 does not forbid
    assert not {(date(2020, 1, 1), 11 * 964 + 21), (date(2020, 1, 1), 12 * 964 + 22)} & expected.keys()
    frozen = {pixel for (_, pixel), value in _staged(world, product, "is_frozen_0_5cm").items() if value}
    surface = written["surface"]
    assert frozen == set(np.flatnonzero((surface != 65534) & (surface & 480 != 0)).tolist())
    # the newest release of the day stays
    status = {f.name: f.status for f in world[2][product].files}
    assert status == {
        "SMAP_L3_SM_P_20200101_R16515_002.h5": "superseded",
        "SMAP_L3_SM_P_20200101_R18290_001.h5": "loaded",
    }


@pytest.mark.parametrize(("product", "suffix"), [("spl3smp_e_am", ""), ("spl3smp_e_pm", "_pm")])
def test_a_subset_of_smap_l3_is_placed_by_its_index(world, product, suffix):
    written = world[1]["9"][suffix]
    moisture, quality = written["soil_moisture"], written["quality"]
    used = np.zeros(files.M09, bool)
    used[8:60, 15:90] = True
    used &= (quality & 1 == 0) & (moisture >= np.float32(0.02)) & (moisture <= 0.5)
    expected = {(date(2020, 1, 1), int(p)): float(moisture.flat[p]) for p in np.flatnonzero(used)}
    assert _staged(world, product, "soil_moisture_0_5cm") == expected


def test_smap_l4_takes_the_hours_that_the_study_names(world):
    # 06:00-09:00 in Shanghai is 22:00-01:00 UTC: the file of 22:30, which belongs to the next day there
    got = _staged(world, "spl4smgp", "soil_moisture_0_5cm")
    pixels = [r * 3856 + c for r in (700, 701) for c in (1900, 1901, 1902)]
    expected = {(date(2020, 1, 2), p): 7 / 20 + i / 100 for i, p in enumerate(pixels)}
    assert got.keys() == expected.keys()
    assert got == pytest.approx(expected, rel=1e-6)
    # without hours: the five values before local midnight make a day of 1 January, the three after it none of 2 January
    root = _staged(world, "spl4smgp", "soil_moisture_0_100cm")
    assert {day for day, _ in root} == {date(2020, 1, 1)}
    mean = np.mean([i / 20 for i in range(5)]) + 0.1
    assert root[date(2020, 1, 1), pixels[1]] == pytest.approx(mean + 0.01, rel=1e-6)
    frozen = _staged(world, "spl4smgp", "is_frozen_0_5cm")
    assert frozen[date(2020, 1, 1), pixels[0]] is True  # 270 to 274 K on the mean of five


def test_smap_sentinel_scenes_that_share_cells_are_averaged(world):
    first, second = world[1]["scene"], world[1]["next"]
    values: dict[int, list[float]] = {}
    for array, column in ((first, 19000), (second, 19007)):
        for i, j in zip(*np.nonzero((array >= np.float32(0.02)) & (array <= 0.5)), strict=True):
            values.setdefault((3000 + int(i)) * 34704 + column + int(j), []).append(float(array[i, j]))
    got = _staged(world, "spl2smap_s_1km", "soil_moisture_0_5cm")
    assert got.keys() == {(date(2020, 1, 1), p) for p in values}
    assert got == pytest.approx({(date(2020, 1, 1), p): np.mean(v) for p, v in values.items()}, rel=1e-12)
    rows = {p // 11568 for _, p in _staged(world, "spl2smap_s_3km", "soil_moisture_0_5cm")}
    assert rows <= set(range(1000, 1006))


FIRST_0P25 = _first_cell(0.25, 1440)
FIRST_0P1 = _first_cell(0.1, 3600)


@pytest.mark.parametrize("product", ["esa_cci_active", "c3s_active"])
def test_active_products_are_percent_of_saturation(world, product):
    got = _staged(world, product, "degree_of_saturation_0_5cm")
    assert got == {(date(2020, 1, 1), FIRST_0P25): 40.0, (date(2020, 1, 1), FIRST_0P25 + 1): 60.0}
    assert {d.unit for d in find_product(product).delivers} == {"percent"}


@pytest.mark.parametrize("product", ["esa_cci_passive", "c3s_passive", "c3s_combined"])
def test_volumetric_products_keep_flags_0_and_64(world, product):
    got = _staged(world, product, "soil_moisture_0_5cm")
    assert got == pytest.approx(
        {(date(2020, 1, 1), FIRST_0P25): 0.2, (date(2020, 1, 1), FIRST_0P25 + 1): 0.3}, rel=1e-6
    )
    frozen = {p - FIRST_0P25: v for (_, p), v in _staged(world, product, "is_frozen_0_5cm").items()}
    assert frozen == {0: False, 1: False, 2: True, 3: False, 4: False}


def test_the_final_record_of_c3s_stays_over_the_interim_one(world):
    status = {f.name.split("-")[-2]: f.status for f in world[2]["c3s_combined"].files}
    assert status == {"TCDR": "loaded", "ICDR": "superseded"}
    assert _staged(world, "c3s_combined_monthly", "soil_moisture_0_5cm") == pytest.approx(
        {(date(2020, 1, 1), FIRST_0P25): 0.21}, rel=1e-6
    )
    for layer, value in (("0_10cm", 0.1), ("10_40cm", 0.2), ("40_100cm", 0.3), ("0_100cm", 0.25)):
        got = _staged(world, "c3s_root_zone", f"soil_moisture_{layer}")
        assert got == pytest.approx({(date(2020, 1, 1), FIRST_0P25): value}, rel=1e-6)


def test_smops_is_unpacked_by_its_own_factors(world):
    got = _staged(world, "smops", "soil_moisture_0_5cm")
    day = date(2020, 1, 1)
    assert got == pytest.approx(
        {(day, FIRST_0P25): 0.25, (day, FIRST_0P25 + 1): 0.0, (day, FIRST_0P25 + 2): 0.999}, rel=1e-6
    )


@pytest.mark.parametrize("way", ["ascending", "descending"])
def test_amsr2_of_jaxa_begins_at_longitude_0(world, way):
    day = date(2020, 1, 1)
    # more than 100 percent is no soil moisture; negative numbers are codes
    assert _staged(world, f"amsr2_0p1_{way}", "soil_moisture_0_1cm") == pytest.approx({(day, 400 * 3600 + 1900): 0.215})
    assert _staged(world, f"amsr2_0p25_{way}", "soil_moisture_0_1cm") == pytest.approx(
        {(day, 160 * 1440 + 760): 0.333, (day, 161 * 1440 + 3): 0.04}
    )


@pytest.mark.parametrize("way", ["ascending", "descending"])
def test_lprm_lies_with_longitude_first(world, way):
    got = _staged(world, f"lprm_amsr2_{way}", "soil_moisture_0_2cm")
    assert got == pytest.approx({(date(2020, 1, 1), FIRST_0P25): 0.215}, rel=1e-6)


def test_fldas_units(world):
    key = (date(2020, 1, 1), FIRST_0P1)
    expected = {
        "soil_moisture_0_10cm": 0.21, "soil_moisture_10_40cm": 0.31, "soil_temperature_0_10cm": -3.0, "air_temperature": 2.0,
        "precipitation": 2e-5 * 86400 * 31, "is_frozen_0_10cm": True,
    }  # fmt: skip
    for column, value in expected.items():
        assert _staged(world, "fldas_noah_monthly", column) == pytest.approx({key: value}, rel=1e-5), column


def test_imerg_rate_becomes_a_total_from_whole_files_and_subsets(world):
    got = _staged(world, "imerg_monthly", "precipitation")
    assert got == {(date(2020, 1, 1), FIRST_0P1): 0.125 * 24 * 31, (date(2020, 2, 1), FIRST_0P1): 0.125 * 24 * 29}


def test_terraclimate_has_twelve_months(world):
    got = _staged(world, "terraclimate_vpd", "vapour_pressure_deficit")
    assert got == pytest.approx({(date(2020, m, 1), 0): (99 + m) / 100 for m in range(1, 13)})


@pytest.mark.parametrize("product", ["smci_1km", "smci_0p1"])
def test_smci_layers_are_told_by_the_folder(world, product):
    days = [date(2020, 1, d) for d in (1, 2, 3)]
    upper = _staged(world, product, "soil_moisture_0_10cm")
    lower = _staged(world, product, "soil_moisture_90_100cm")
    assert sorted(upper.values()) == pytest.approx([0.210, 0.211, 0.212]) and {d for d, _ in upper} == set(days)
    assert sorted(lower.values()) == pytest.approx([0.330, 0.331, 0.332])
    assert not _staged(world, product, "soil_moisture_10_20cm")
    assert {f.status for f in world[2][product].files} == {"loaded"} and len(world[2][product].files) == 2
    # a second load finds both there, though they have one name
    again = load(find_product(product), [world[0].root / product], Lake(world[0].lake))
    assert again.counts == {"unchanged": 2}
