"""The SMAP half-orbit reader: the real granule against h5py and its own coordinates, and what it refuses."""

from __future__ import annotations

import shutil
from datetime import date, datetime, timedelta
from pathlib import Path

import h5py
import numpy as np
import pytest

from loaders.granule import BadFile
from loaders.grids import GRIDS
from loaders.products import find_product
from loaders.readers import smap_hdf5
from tests.conftest import count_cases

GRID = GRIDS["ease2_m36"]
NAME = "SMAP_L2_SM_P_02801_A_20150811T013002_R18290_001.h5"
GROUP = "Soil_Moisture_Retrieval_Data"


def _read(path: Path, grid=GRID):
    product = find_product("spl2smp")
    granule = smap_hdf5.inspect(path, product, grid)
    return granule, smap_hdf5.read_sparse(granule, product)


# -- real files ---------------------------------------------------------------------------------------------------------


def test_real_half_orbits_equal_h5py(shared):
    paths = sorted((shared / "data" / "smap_l2_h5").glob("*.h5"))
    for path in paths:
        granule, table = _read(path)
        with h5py.File(path) as file:
            group = file[GROUP]
            truth = {name: group[name][:] for name in group}
        n = truth["EASE_row_index"].size
        assert table.num_rows == n
        pixel = table["pixel_id"].to_numpy()
        np.testing.assert_array_equal(pixel // 964, truth["EASE_row_index"])
        np.testing.assert_array_equal(pixel % 964, truth["EASE_column_index"])
        for name in granule.variables:  # as delivered: type, fill and flags
            column = table[name].to_numpy()
            assert column.dtype == truth[name].dtype
            np.testing.assert_array_equal(column, truth[name])
        # cells by index are where the file says they are
        lon, lat = GRID.lonlat_of(pixel // 964, pixel % 964)
        np.testing.assert_allclose(lat, truth["latitude"], atol=1e-4)
        np.testing.assert_allclose(lon, truth["longitude"], atol=1e-4)
        epoch = datetime(2000, 1, 1, 11, 58, 55, 816000)
        for i in range(0, n, 500):
            moment = epoch + timedelta(seconds=float(truth["tb_time_seconds"][i]))
            assert abs(table["obs_time"][i].as_py() - moment) <= timedelta(microseconds=1)
            assert table["obs_date"][i].as_py() == moment.date()
        assert granule.window is None and granule.grid is GRID
        count_cases("SMAP rows against h5py", n)
    by_name = {p.name: p for p in paths}
    granule, table = _read(by_name[NAME])
    assert (granule.key, granule.version, granule.dates) == ("02801_A_20150811", "R18290_001", (date(2015, 8, 11),))
    # the counts of an independent look at this file
    soil_moisture, flag = table["soil_moisture"].to_numpy(), table["retrieval_qual_flag"].to_numpy()
    valid = soil_moisture != -9999
    assert valid.sum() == 1333 and (valid & ((flag & 1) == 0)).sum() == 592
    assert table["obs_time"][0].as_py().date() == date(2015, 8, 11)


# -- small files --------------------------------------------------------------------------------------------------------


def _write(
    folder: Path, name: str = NAME, rows=(100, 101, 102), columns=(500, 501, 502), seconds=None, **changes
) -> Path:
    """A granule of three retrievals; `changes` replace datasets, None leaves one out."""
    rows, columns = np.array(rows), np.array(columns)
    inside = (rows < 406) & (columns < 964)
    lon, lat = GRID.lonlat_of(np.where(inside, rows, 0), np.where(inside, columns, 0))
    start = (datetime(2015, 8, 11, 1, 30) - datetime(2000, 1, 1, 11, 58, 55, 816000)).total_seconds()
    datasets = {
        "EASE_row_index": rows.astype("u2"),
        "EASE_column_index": columns.astype("u2"),
        "tb_time_seconds": np.array(seconds if seconds is not None else start + np.arange(len(rows)), "f8"),
        "latitude": lat.astype("f4"),
        "longitude": lon.astype("f4"),
        "soil_moisture": np.linspace(0.1, 0.3, len(rows), dtype="f4"),
        "retrieval_qual_flag": np.zeros(len(rows), "u2"),
        "surface_flag": np.zeros(len(rows), "u2"),
        **changes,
    }
    path = folder / name
    with h5py.File(path, "w") as file:
        group = file.create_group(GROUP)
        for key, values in datasets.items():
            if values is not None:
                group[key] = values
                fill = {"f": -9999, "u": 65534}[values.dtype.kind]
                group[key].attrs["_FillValue"] = values.dtype.type(fill)
    return path


def test_optional_variables_may_lack_and_rows_without_a_cell_are_left_out(tmp_path):
    granule, table = _read(_write(tmp_path, rows=(100, 65534, 102), columns=(500, 65534, 502)))
    assert granule.variables == ("soil_moisture", "retrieval_qual_flag", "surface_flag")
    assert table["pixel_id"].to_pylist() == [100 * 964 + 500, 102 * 964 + 502]
    np.testing.assert_allclose(table["soil_moisture"].to_numpy(), [0.1, 0.3], rtol=1e-6)


def test_a_half_orbit_may_run_past_midnight(tmp_path):
    epoch = datetime(2000, 1, 1, 11, 58, 55, 816000)
    seconds = [(datetime(2015, 8, d, h, 59) - epoch).total_seconds() for d, h in ((11, 23), (12, 0), (12, 0))]
    granule, table = _read(_write(tmp_path, seconds=seconds))
    assert granule.dates == (date(2015, 8, 11), date(2015, 8, 12))
    assert [d.day for d in table["obs_date"].to_pylist()] == [11, 12, 12]


def _bytes(folder: Path, content: bytes) -> Path:
    (folder / NAME).write_bytes(content)
    return folder / NAME


def _groups(folder: Path, *groups: str) -> Path:
    with h5py.File(folder / NAME, "w") as file:
        for group in groups:
            file.create_group(group)
    return folder / NAME


def _cut(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[:-700])
    return path


def _renamed(folder: Path) -> Path:
    return Path(shutil.move(_write(folder), folder / "SMAP_L3_SM_P_20150811_R18290_001.h5"))


F4 = np.full(3, -9999, "f4")
REFUSALS = {
    "empty": (lambda t: _bytes(t, b""), r"is empty \(0 bytes\)"),
    "truncated": (lambda t: _cut(_write(t)), "truncated"),
    "login page": (lambda t: _bytes(t, b"<html><head>"), "is not an HDF5 file but a web page"),
    "NetCDF 3": (lambda t: _bytes(t, b"CDF\x01" + b"0" * 50), "is not an HDF5 file but a NetCDF file"),
    "other product": (_renamed, "its name is not that of a spl2smp file"),
    "other group": (lambda t: _groups(t, "Soil_Moisture_Retrieval_Data_AM"), "has no group Soil_Moisture_Retrieval_Data; it has Soil_Moisture_Retrieval_Data_AM"),
    "outage": (lambda t: _groups(t), "holds no groups or variables at all"),
    "empty group": (lambda t: _groups(t, GROUP), "has no EASE_row_index .*; it has nothing"),
    "no rows": (lambda t: _write(t, rows=(), columns=()), "holds no rows"),
    "missing variable": (lambda t: _write(t, soil_moisture=None), "has no variable soil_moisture in the group"),
    "other type": (lambda t: _write(t, soil_moisture=F4.astype("f8") + 1), "soil_moisture is float64, but the product says float32"),
    "all fill": (lambda t: _write(t, soil_moisture=F4), "every value of soil_moisture is fill"),
    "finer grid": (lambda t: _write(t, rows=(100, 101, 1600), latitude=None), "go to row 1600 and column 502, but grid ease2_m36 has 406 rows"),
    "other places": (lambda t: _write(t, latitude=np.array([1, 2, 3], "f4")), "its cell at row 100, column 500 is at lon .* is it on another grid"),
    "no times": (lambda t: _write(t, seconds=(-9999, 1, 2)), "1 of its 3 rows have no tb_time_seconds"),
    "impossible times": (lambda t: _write(t, seconds=(9e11, 9e11, 9e11)), "which cannot be"),
    "other day": (lambda t: _write(t, seconds=(0, 1, 2)), "its name says 2015-08-11, its time axis 2000-01-01"),
    "ragged": (lambda t: _write(t, tb_time_seconds=np.zeros(2)), "have different lengths"),
    "no index": (lambda t: _write(t, rows=(65534,) * 3, columns=(65534,) * 3), "none of its rows has an EASE-Grid index"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSALS)
def test_what_is_refused_and_why(tmp_path, case):
    write, reason = REFUSALS[case]
    with pytest.raises(BadFile, match=reason) as error:
        _read(write(tmp_path))
    assert str(tmp_path) not in error.value.reason and "\n" not in error.value.reason
