"""Maps with times of day, GRIB, points and arrays without coordinates: what the readers refuse, and why."""

from __future__ import annotations

import shutil
from datetime import date, datetime
from pathlib import Path

import h5py
import netCDF4
import numpy as np
import pytest

from loaders.granule import BadFile
from loaders.grids import GRIDS
from loaders.products import complete, find_product
from loaders.readers import netcdf, point_netcdf, subdaily
from tests.conftest import count_cases

HOURLY = find_product("era5_land_hourly")
L3 = "SMAP_L3_SM_P_20200101_R18290_001.h5"
POINTS = "SMAP_20200101_20200103.nc"


def _hours(path: Path, times=(0, 3600, 7200), fill: bool = False, **attributes) -> Path:
    """skt on two cells of the ERA5-Land grid, times in seconds from 2020-01-01 23:00."""
    with netCDF4.Dataset(path, "w") as data:
        for name, values, units in (
            ("latitude", [30.1, 30.0], "degrees_north"),
            ("longitude", [100.0, 100.1], "degrees_east"),
        ):
            data.createDimension(name, 2)
            data.createVariable(name, "f8", (name,))[:] = values
            data[name].units = units
        if times is not None:
            data.createDimension("valid_time", len(times))
            data.createVariable("valid_time", "i8", ("valid_time",))[:] = times
            data["valid_time"].units = attributes.get("units", "seconds since 2020-01-01 23:00:00")
        axes = (("valid_time",) if times is not None else ()) + ("latitude", "longitude")
        values = np.arange(4 * len(times or [0]), dtype="f4").reshape([data.dimensions[a].size for a in axes]) + 280
        values[..., 0, 0] = np.nan
        data.createVariable("skt", "f4", axes, fill_value=np.float32("nan"))[:] = np.nan if fill else values
    return path


def test_rows_keep_their_times_and_lack_cells_without_a_value(tmp_path):
    granule = subdaily.inspect(_hours(tmp_path / "a.nc"), HOURLY, None)
    assert granule.dates == (date(2020, 1, 1), date(2020, 1, 2)) and granule.window is None
    assert granule.grid is GRIDS["era5_land_0p1"]
    table = subdaily.read_sparse(granule, HOURLY)
    assert table.num_rows == 9  # three times, three cells: one is sea
    first = table.slice(0, 3).to_pylist()
    assert [r["pixel_id"] for r in first] == [599 * 3600 + 2801, 600 * 3600 + 2800, 600 * 3600 + 2801]
    assert [r["skt"] for r in first] == [281, 282, 283]
    assert table["obs_time"].to_pylist()[::3] == [
        datetime(2020, 1, 1, 23),
        datetime(2020, 1, 2, 0),
        datetime(2020, 1, 2, 1),
    ]


def test_a_time_a_moment_before_midnight_is_midnight(tmp_path):
    path = _hours(tmp_path / "a.nc", times=(0,), units="seconds since 2020-01-01 23:59:59.9996")
    assert subdaily.inspect(path, HOURLY, None).dates == (date(2020, 1, 2),)


REFUSED_HOURS = {
    "no times": ({"times": None}, "has no time coordinate, and era5_land_hourly has times of day"),
    "a time twice": ({"times": (0, 3600, 3600)}, "has the time 2020-01-02 00:00 more than once"),
    "impossible": (
        {"times": (0, 3600), "units": "seconds since 3020-01-01"},
        "its time axis says 3020-01-01 .* outside 1850 to 2200",
    ),
    "all fill": ({"fill": True}, "every value of skt is fill: nothing was observed"),
}


@pytest.mark.parametrize("case", REFUSED_HOURS)
def test_what_is_refused_of_hours_and_why(tmp_path, case):
    changes, reason = REFUSED_HOURS[case]
    with pytest.raises(BadFile, match=reason):
        subdaily.inspect(_hours(tmp_path / "a.nc", **changes), HOURLY, None)


def test_a_daily_product_refuses_hours(tmp_path):
    with pytest.raises(
        BadFile, match="has 2 time steps in 2020-01-02, but era5_land_daily has one a day: aggregate it first"
    ):
        netcdf.inspect(_hours(tmp_path / "a.nc"), find_product("era5_land_daily"), GRIDS["era5_land_0p1"])


# -- GRIB ---------------------------------------------------------------------------------------------------------------


def test_damaged_grib_is_refused(shared, tmp_path):
    (source,) = (shared / "data/era5_grib").glob("*.grib")
    content = source.read_bytes()
    path = tmp_path / "a.grib"
    n = 0
    for cut in range(4, len(content) - 1, 97):
        path.write_bytes(content[:cut])
        with pytest.raises(BadFile) as bad:
            subdaily.inspect(path, HOURLY, None)
        assert "\n" not in bad.value.reason and str(tmp_path) not in bad.value.reason
        n += 1
    count_cases("GRIB files cut off", n)


def test_a_variable_twice_in_a_grib_is_refused(shared, tmp_path):
    (source,) = (shared / "data/era5_grib").glob("*.grib")
    path = tmp_path / "a.grib"
    path.write_bytes(source.read_bytes() * 2)
    with pytest.raises(BadFile, match="has t2m at 2022-01-01 00:00 more than once"):
        subdaily.inspect(path, HOURLY, None)
    count_cases("GRIB files refused", 1)


def test_grib_loads_as_a_day_or_with_its_times(shared):
    (source,) = (shared / "data/era5_grib").glob("*.grib")
    assert complete(find_product("raster"), "mix", None, None, [source]).format == "netcdf"
    instant = complete(find_product("raster"), "mix", None, {"time_step": "instant"}, [source])
    assert instant.format == "subdaily" and {v.dtype for v in instant.variables} == {"float32"}
    count_cases("GRIB files described", 1)


# -- arrays without coordinates -----------------------------------------------------------------------------------------


def _composite(path: Path, shape=(406, 964), index: tuple[int, int] | None = None, **changes) -> Path:
    """The morning group of a daily composite; `index`: the row and column of the first cell, as EASE-Grid indices."""
    group_name = "Soil_Moisture_Retrieval_Data_AM"
    rows, columns = np.indices(shape)
    datasets = {
        "soil_moisture": np.full(shape, 0.2, "f4"),
        "retrieval_qual_flag": np.zeros(shape, "u2"),
        "surface_flag": np.zeros(shape, "u2"),
    }
    if index is not None:
        datasets |= {
            "EASE_row_index": (rows + index[0]).astype("u2"),
            "EASE_column_index": (columns + index[1]).astype("u2"),
        }
    with h5py.File(path, "w") as file:
        for name, values in (datasets | changes).items():
            if values is not None:
                file[f"{group_name}/{name}"] = values
    return path


def _inspect_l3(path: Path):
    return netcdf.inspect(path, find_product("spl3smp_am"), GRIDS["ease2_m36"])


def test_a_part_is_placed_by_its_index_and_checked_by_its_coordinates(tmp_path):
    lon, lat = GRIDS["ease2_m36"].lonlat_of(*(i + k for i, k in zip(np.indices((5, 7)), (100, 400), strict=True)))
    lat = np.where(np.indices((5, 7))[1] == 3, -9999, lat)  # holes
    path = _composite(tmp_path / L3, (5, 7), (100, 400), latitude=lat.astype("f4"), longitude=lon.astype("f4"))
    window = _inspect_l3(path).window
    assert (window.row, window.column, window.height, window.width) == (100, 400, 5, 7)
    other = tmp_path / "other"
    other.mkdir()
    with pytest.raises(BadFile, match=r"its cell at row 102, column 400 is at lon .* is it on another grid"):
        _inspect_l3(_composite(other / L3, (5, 7), (102, 400), latitude=lat.astype("f4"), longitude=lon.astype("f4")))


FIVE = (5, 7)
REFUSED_ARRAYS = {
    "a part without an index": ({"shape": FIVE}, "its arrays are 5 x 7, grid ease2_m36 is 406 x 964, and no EASE_row_index"),
    "an index of nothing but fill": (
        {"shape": FIVE, "EASE_row_index": np.full(FIVE, 65534, "u2"), "EASE_column_index": np.full(FIVE, 65534, "u2")},
        "EASE_row_index is nothing but fill",
    ),
    "an index that jumps": (
        {"shape": FIVE, "index": (1, 2), "EASE_row_index": np.indices(FIVE)[0].astype("u2") * 2}, "do not run with the rows",
    ),
    "beyond the grid": ({"shape": FIVE, "index": (403, 2)}, "reaches beyond the grid|do not run with the rows"),
    "different shapes": ({"retrieval_qual_flag": np.zeros((812, 964), "u2")}, "lie on different axes"),
    "no map": ({"soil_moisture": np.zeros(9, "f4")}, "is no map: its shape is 9"),
    "no soil moisture": ({"soil_moisture": None}, "has no variable Soil_Moisture_Retrieval_Data_AM/soil_moisture"),
    "all fill": ({"soil_moisture": np.full((406, 964), -9999, "f4")}, "every value of soil_moisture is fill"),
    "other type": ({"soil_moisture": np.full((406, 964), 0.2)}, "is float64, but the product says float32"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED_ARRAYS)
def test_what_is_refused_of_arrays_and_why(tmp_path, case):
    changes, reason = REFUSED_ARRAYS[case]
    with pytest.raises(BadFile, match=reason):
        _inspect_l3(_composite(tmp_path / L3, **changes))


def test_a_composite_under_another_name_is_refused(tmp_path):
    path = Path(shutil.move(_composite(tmp_path / L3), tmp_path / "SMAP_L3_SM_P_E_20200101_R18290_001.h5"))
    with pytest.raises(BadFile, match="its name is not that of a spl3smp_am file"):
        _inspect_l3(path)


# -- points -------------------------------------------------------------------------------------------------------------


def _points(
    path: Path, lat=(30.0, 30.0), lon=(70.0, 70.0), variables: bool = True, dims: int = 1, sm=(0.1, 0.2)
) -> Path:
    """Two overpasses over one cell, on the nearest centre of EASE-Grid M36."""
    grid = GRIDS["ease2_m36"]
    with netCDF4.Dataset(path, "w") as data:
        data.createDimension("index", len(lat))
        data.createVariable("index", "i4", ("index",))[:] = np.arange(len(lat))
        if not variables:
            return path
        row, column, _ = grid.locate(lon, lat, tolerance=None) if len(lat) else ([], [], 0)
        centre_lon, centre_lat = grid.lonlat_of(row, column) if len(lat) else ([], [])
        for name, values in (("latitude", centre_lat), ("longitude", centre_lon), ("soil_moisture", sm)):
            data.createVariable(name, "f4", ("index",) * dims, fill_value=np.float32("nan"))[:] = (
                values if dims == 1 else np.tile(values, (len(lat), 1))
            )
    return path


def _inspect_points(path: Path, grid="ease2_m36"):
    return point_netcdf.inspect(path, find_product("spl3smp_points"), GRIDS[grid])


def test_points_keep_every_overpass(tmp_path):
    granule = _inspect_points(_points(tmp_path / POINTS))
    assert granule.dates == (date(2020, 1, 1),)
    table = point_netcdf.read_sparse(granule, find_product("spl3smp_points"))
    assert table["soil_moisture"].to_pylist() == pytest.approx([0.1, 0.2])
    assert len(set(table["pixel_id"].to_pylist())) == 1


REFUSED_POINTS = {
    "outage": ({"variables": False}, "holds no variables at all: nothing was observed .an outage."),
    "no points": ({"lat": (), "lon": (), "sm": ()}, "holds no points: nothing was observed"),
    "a map": ({"dims": 2}, "holds no points: .* is it a map"),
    "all missing": ({"sm": (np.nan, np.nan)}, "every value of soil_moisture is fill"),
}


@pytest.mark.parametrize("case", REFUSED_POINTS)
def test_what_is_refused_of_points_and_why(tmp_path, case):
    changes, reason = REFUSED_POINTS[case]
    with pytest.raises(BadFile, match=reason):
        _inspect_points(_points(tmp_path / POINTS, **changes))


def test_points_of_another_grid_or_name_are_refused(tmp_path):
    with pytest.raises(BadFile, match="points are not on grid ease2_m09"):
        _inspect_points(_points(tmp_path / POINTS), "ease2_m09")
    with pytest.raises(BadFile, match="its name is not that of a spl3smp_points file"):
        _inspect_points(_points(tmp_path / "points.nc"))
    whole = _points(tmp_path / POINTS).read_bytes()
    (tmp_path / POINTS).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadFile, match="truncated"):
        _inspect_points(tmp_path / POINTS)
