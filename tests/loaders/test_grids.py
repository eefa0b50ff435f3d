"""The grid registry against pyproj, the products' own coordinates, and the rules of `pixel_id`."""

from __future__ import annotations

import math
import threading
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyproj
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loaders.granule import BadFile, Window
from loaders.grids import GRIDS, Grid, find_grid, register_grid, registered_grids, suggest_grids
from tests.conftest import count_cases

UTM = Grid("hills", "EPSG:32633", 400_000, 5_300_000, 1000, 500, 80, 60)
POLAR = Grid("north", "EPSG:3995", -1_000_000, 1_000_000, 50_000, 50_000, 40, 40)
ALL = [*GRIDS.values(), UTM, POLAR]


def geodesic_area_km2(grid: Grid, row: int, col: int, per_edge: int = 200) -> float:
    """A cell's area by pyproj.Geod, its edges followed closely."""
    left, bottom, right, top = (float(v) for v in grid.edges_of(row, col))
    t = np.linspace(0, 1, per_edge, endpoint=False)
    x = np.concatenate([left + t * (right - left), right + 0 * t, right - t * (right - left), left + 0 * t])
    y = np.concatenate([bottom + 0 * t, bottom + t * (top - bottom), top + 0 * t, top - t * (top - bottom)])
    lon, lat = pyproj.Transformer.from_crs(grid.crs, "EPSG:4326", always_xy=True).transform(x, y)
    return abs(pyproj.Geod(ellps="WGS84").polygon_area_perimeter(lon, lat)[0]) / 1e6


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(ALL), st.data())
def test_pixel_id_is_row_times_columns_plus_column(grid: Grid, data) -> None:
    row = data.draw(st.integers(0, grid.n_rows - 1))
    col = data.draw(st.integers(0, grid.n_cols - 1))
    pixel = grid.pixel_id(row, col)
    assert int(pixel) == row * grid.n_cols + col
    assert pixel.dtype == grid.pixel_id_type.to_pandas_dtype()
    assert tuple(int(v) for v in grid.row_col(pixel)) == (row, col)


def test_pixels_outside_a_grid_are_refused() -> None:
    grid = GRIDS["latlon_0p25"]
    with pytest.raises(ValueError, match="outside grid latlon_0p25"):
        grid.pixel_id([0, 720], [0, 0])
    with pytest.raises(ValueError, match="outside grid"):
        grid.row_col([-1])


def test_only_the_large_grids_need_eight_bytes_a_pixel() -> None:
    wide = {g.grid_id for g in GRIDS.values() if g.pixel_id_type == pa.int64()}
    assert wide == {"modis_sin_500m", "modis_sin_250m", "srtm_3s", "srtm_1s"}


def test_smap_rows_and_columns_are_those_of_the_file(shared: Path) -> None:
    import h5py

    grid = GRIDS["ease2_m36"]
    n = 0
    for path in sorted((shared / "data/smap_l2_h5").glob("*.h5")):
        with h5py.File(path) as file:
            group = file["Soil_Moisture_Retrieval_Data"]
            lon, lat = group["longitude"][:], group["latitude"][:]
            row, col = group["EASE_row_index"][:], group["EASE_column_index"][:]
        there = lat > -90
        found_row, found_col, offset = grid.locate(lon[there], lat[there])
        np.testing.assert_array_equal(found_row, row[there])
        np.testing.assert_array_equal(found_col, col[there])
        assert offset.max() < 1e-4
        own_lon, own_lat = grid.lonlat_of(row[there], col[there])
        assert np.abs(own_lon - lon[there]).max() < 8e-6
        assert np.abs(own_lat - lat[there]).max() < 4e-6
        n += int(there.sum())
    count_cases("SMAP cells placed on ease2_m36", n)


def test_esa_cci_and_era5_land_coordinates_are_the_grids(shared: Path) -> None:
    import netCDF4

    n = 0
    for folder, grid_id, names in (
        ("esa_cci_daily", "latlon_0p25", ("lon", "lat")),
        ("era5_land", "era5_land_0p1", ("longitude", "latitude")),
    ):
        path = sorted((shared / "data" / folder).glob("*.nc"))[-1]
        with netCDF4.Dataset(path) as file:
            lon, lat = (np.asarray(file[name][:], np.float64) for name in names)
        lon, lat = (v.ravel() for v in np.meshgrid(lon, lat))
        row, col, _ = GRIDS[grid_id].locate(lon, lat)
        own_lon, own_lat = GRIDS[grid_id].lonlat_of(row, col)
        np.testing.assert_allclose(own_lon, lon, atol=1e-5)
        np.testing.assert_allclose(own_lat, lat, atol=1e-5)
        n += lon.size
    count_cases("cells of ESA CCI and ERA5-Land placed", n)


def test_chirps_float32_transform_lies_on_its_grid(shared: Path) -> None:
    import rasterio

    paths = sorted((shared / "data/chirps_java_monthly").glob("*.tif"))
    for path in paths[:3]:
        with rasterio.open(path) as file:
            t, height, width = file.transform, file.height, file.width
        assert t.a != 0.05  # it is 0.05000000074505806: the reason for the tolerance
        window = GRIDS["latlon_0p05"].window_of(t.c, t.f, t.a, -t.e, height, width)
        lon, lat = GRIDS["latlon_0p05"].lonlat_of(window.row, window.column)
        assert abs(lon - (t.c + t.a / 2)) < 5e-4 and abs(lat - (t.f + t.e / 2)) < 5e-4
    count_cases("CHIRPS rasters placed", len(paths[:3]))


def test_smap_l4_subset_spacing_lies_on_m09() -> None:
    grid = GRIDS["ease2_m09"]
    spacing = 9008.05497925  # as NSIDC's subsets store it
    left = grid.left + 87 * grid.cell_width
    assert grid.window_of(left, grid.top, spacing, spacing, 1624, 500) == Window(0, 87, 1624, 500)


def test_ease_grids_nest() -> None:
    coarse = GRIDS["ease2_m36"]
    for name, n in (("ease2_m09", 4), ("ease2_m03", 12), ("ease2_m01", 36)):
        fine = GRIDS[name]
        assert (fine.n_rows, fine.n_cols) == (coarse.n_rows * n, coarse.n_cols * n)
        assert math.isclose(fine.cell_width * n, coarse.cell_width, rel_tol=1e-12)


def test_centres_named_in_the_formats() -> None:
    lon, lat = GRIDS["ease2_m36"].lonlat_of(0, 0)
    assert abs(lon + 179.81328) < 1e-5 and abs(lat - 83.63197) < 1e-5
    assert [float(v) for v in GRIDS["latlon_0p25"].lonlat_of(0, 0)] == [-179.875, 89.875]
    assert [float(v) for v in GRIDS["era5_land_0p1"].lonlat_of(0, 0)] == [-180.0, 90.0]
    assert [float(v) for v in GRIDS["era5_land_0p1"].lonlat_of(900, 1912)] == [11.2, 0.0]
    # the tile h18v04 begins at (0, 5559752.598)
    x, y = GRIDS["modis_sin_1km"].xy_of(4 * 1200, 18 * 1200)
    assert abs(x - 926.625433 / 2) < 1e-3 and abs(y - (5559752.598333 - 926.625433 / 2)) < 1e-2


@pytest.mark.parametrize("grid", ALL, ids=lambda g: g.grid_id)
def test_places_agree_with_pyproj(grid: Grid) -> None:
    random = np.random.default_rng(1)
    row, col = random.integers(0, grid.n_rows, 500), random.integers(0, grid.n_cols, 500)
    x, y = grid.xy_of(row, col)
    lon, lat = pyproj.Transformer.from_crs(grid.crs, "EPSG:4326", always_xy=True).transform(x, y)
    own_lon, own_lat = grid.lonlat_of(row, col)
    inside = np.isfinite(own_lon)
    assert inside.mean() > 0.5
    np.testing.assert_allclose(own_lon[inside], np.asarray(lon)[inside], atol=1e-9)
    np.testing.assert_allclose(own_lat[inside], np.asarray(lat)[inside], atol=1e-9)
    back_row, back_col, offset = grid.locate(own_lon[inside], own_lat[inside])
    np.testing.assert_array_equal(back_row, row[inside])
    np.testing.assert_array_equal(back_col, col[inside])
    assert offset.max() < 1e-5  # PROJ comes back to about 2 mm


def test_cells_beyond_the_edge_of_the_sinusoidal_world_have_no_place() -> None:
    grid = GRIDS["modis_sin_1km"]
    lon, _ = grid.lonlat_of([100, 10800], [100, 100])
    assert np.isnan(lon[0]) and np.isfinite(lon[1])
    assert grid.area_km2(100, 100) == 0


@pytest.mark.parametrize(
    ("grid", "tolerance"),
    [
        (GRIDS["ease2_m36"], 2e-9),
        (GRIDS["ease2_m09"], 2e-9),
        (GRIDS["latlon_0p25"], 5e-10),
        (GRIDS["era5_land_0p1"], 5e-10),
        (GRIDS["modis_sin_1km"], 5e-10),
        (UTM, 5e-9),
        (POLAR, 5e-8),
        (Grid("south", "EPSG:3031", -1_000_000, 1_000_000, 25_000, 25_000, 80, 80), 5e-8),
        (Grid("europe", "EPSG:3035", 4_000_000, 3_000_000, 1000, 1000, 100, 100), 5e-9),
        (Grid("web", "EPSG:3857", 0, 9_000_000, 5000, 5000, 80, 80), 5e-8),
    ],
    ids=lambda v: getattr(v, "grid_id", ""),
)
def test_areas_agree_with_geodesic_polygons(grid: Grid, tolerance: float) -> None:
    for down, across in ((0.5, 0.5), (0.2, 0.6), (0.3, 0.45), (0.7, 0.4)):
        row, col = int(grid.n_rows * down), int(grid.n_cols * across)
        assert abs(float(grid.area_km2(row, col)) / geodesic_area_km2(grid, row, col) - 1) < tolerance


def test_the_cell_around_the_pole_has_its_area() -> None:
    around = Grid("pole", "EPSG:3995", -25_000, 25_000, 50_000, 50_000, 1, 1)
    assert abs(float(around.area_km2(0, 0)) / geodesic_area_km2(around, 0, 0) - 1) < 5e-8


def test_all_cells_together_are_the_earth() -> None:
    earth = 510_065_621.724  # km2, WGS 84
    for name in ("latlon_0p1", "era5_land_0p1", "era5_0p25"):
        grid = GRIDS[name]
        total = grid.area_km2(np.arange(grid.n_rows), 0).sum() * grid.n_cols
        assert abs(total / earth - 1) < 1e-11, name


def test_longitudes_may_run_to_360_and_across_the_seam() -> None:
    grid = GRIDS["era5_land_0p1"]
    row, col, _ = grid.locate([350.0, -10.0, 180.0, -180.0, 179.9], [10.0] * 5)
    assert col[0] == col[1] and col[2] == col[3] == 0 and col[4] == grid.n_cols - 1
    assert (row == 800).all()


def test_points_off_the_grid_are_refused_with_the_grid_that_fits() -> None:
    lon, lat = np.array([10.05, 10.15]), np.array([45.05, 45.15])
    with pytest.raises(BadFile, match=r"2 of 2 points are not on grid latlon_0p25.*latlon_0p1$"):
        GRIDS["latlon_0p25"].locate(lon, lat)
    row, col, offset = GRIDS["latlon_0p25"].locate(lon, lat, tolerance=None)
    assert row.tolist() == [179, 179] and col.tolist() == [760, 760] and offset.max() <= 0.5
    with pytest.raises(BadFile, match="outside grid hills"):
        UTM.locate([120.0], [10.0], tolerance=None)
    with pytest.raises(BadFile, match="swapped"):
        GRIDS["latlon_0p1"].locate([45.05], [110.05])
    with pytest.raises(BadFile, match="no longitude and latitude"):
        GRIDS["latlon_0p1"].locate([np.nan], [10.05])


def test_tolerance_is_a_hundredth_of_a_cell() -> None:
    grid = GRIDS["latlon_0p25"]
    assert grid.locate([10.125 + 0.009 * 0.25], [45.125])[2][0] < 0.01
    with pytest.raises(BadFile):
        grid.locate([10.125 + 0.011 * 0.25], [45.125])


def test_windows_that_do_not_coincide_are_refused() -> None:
    grid = GRIDS["latlon_0p1"]
    assert grid.window_of(10, 50, 0.1, 0.1, 6, 8) == Window(400, 1900, 6, 8)
    with pytest.raises(BadFile, match=r"its cells are 0\.25 x 0\.25.*latlon_0p25"):
        grid.window_of(10, 50, 0.25, 0.25, 6, 8)
    with pytest.raises(BadFile, match=r"lie 0\.50 of a cell beside.*era5_land_0p1"):
        grid.window_of(9.95, 50.05, 0.1, 0.1, 6, 8)
    with pytest.raises(BadFile, match="outside grid latlon_0p1"):
        grid.window_of(179.5, 50, 0.1, 0.1, 6, 8)
    with pytest.raises(BadFile, match="not usable"):
        grid.window_of(10, 50, 0.1, -0.1, 6, 8)
    # the right corner counts too: 0.1002 is 0.2 % too wide, two cells after a thousand columns
    with pytest.raises(BadFile):
        grid.window_of(-180, 90, 0.1002, 0.1, 10, 1000)
    assert suggest_grids(-180, 90, 0.25, 0.25, 720, 1440) == ["latlon_0p25"]


def test_distortion_separates_true_planes_from_cylinders() -> None:
    assert UTM.distance_distortion((13.0, 47.0, 14.0, 48.0)) < 0.001
    assert GRIDS["latlon_0p1"].distance_distortion((10, 0, 11, 0.5)) < 0.01
    # at 49 N the plane of EASE-Grid 2.0 stretches by cos 30 / cos 49 = 1.32 eastward and shrinks by as much northward
    assert 0.31 < GRIDS["ease2_m36"].distance_distortion((5, 48.9, 6, 49)) < 0.33
    at_49 = GRIDS["latlon_0p25"].distance_distortion((5, 48.9, 6, 49))
    assert abs(at_49 - (1 / math.cos(math.radians(49)) - 1)) < 0.01
    # sinusoidal: the shear is longitude x sin(latitude), its smaller singular value the worst direction
    shear = math.radians(101) * math.sin(math.radians(49))
    worst = 2 / (math.sqrt(shear**2 + 4) - shear) - 1
    assert abs(GRIDS["modis_sin_1km"].distance_distortion((100, 48, 101, 49)) / worst - 1) < 0.01
    with pytest.raises(ValueError, match="west, south, east, north"):
        UTM.distance_distortion((14, 47, 13, 48))


def test_distortion_bounds_long_distances() -> None:
    bbox = (10.0, 46.0, 17.0, 51.0)
    bound = UTM.distance_distortion(bbox)
    random = np.random.default_rng(2)
    lon, lat = random.uniform(10, 17, (2, 300)), random.uniform(46, 51, (2, 300))
    x, y = pyproj.Transformer.from_crs("EPSG:4326", UTM.crs, always_xy=True).transform(lon, lat)
    true = pyproj.Geod(ellps="WGS84").inv(lon[0], lat[0], lon[1], lat[1])[2]
    worst = np.abs(np.hypot(x[0] - x[1], y[0] - y[1]) / true - 1).max()
    assert 0 < worst <= bound < 0.01


def test_metres_of_degrees_are_true_along_meridians() -> None:
    grid = GRIDS["latlon_0p25"]
    x, y = grid.metres_of([359, 358, 0], [720, 721, 720])
    geod = pyproj.Geod(ellps="WGS84")
    lon, lat = grid.lonlat_of([359, 358, 0], [720, 721, 720])
    assert abs((y[2] - y[0]) / geod.inv(lon[0], lat[0], lon[0], lat[2])[2] - 1) < 1e-9
    assert abs((x[1] - x[0]) / (math.radians(0.25) * 6378137) - 1) < 1e-9


def test_a_lake_keeps_grids_and_names_the_nearest(tmp_path: Path) -> None:
    assert register_grid(tmp_path, UTM) == UTM
    before = (tmp_path / "grids/definitions/hills.json").read_bytes()
    register_grid(tmp_path, UTM)
    assert (tmp_path / "grids/definitions/hills.json").read_bytes() == before
    assert find_grid(tmp_path, "hills") == UTM == registered_grids(tmp_path)["hills"]
    assert Grid.from_dict(UTM.to_dict()) == UTM
    with pytest.raises(ValueError, match="already defined otherwise"):
        register_grid(tmp_path, Grid("hills", "EPSG:32633", 0, 0, 1000, 500, 80, 60))
    with pytest.raises(ValueError, match="already defined otherwise"):
        register_grid(tmp_path, Grid("latlon_0p1", "EPSG:4326", 0, 0, 1, 1, 8, 6))
    with pytest.raises(LookupError, match="ease2_m36"):
        find_grid(tmp_path, "ease_m36")
    with pytest.raises(LookupError, match="hills"):
        find_grid(tmp_path, "hill")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"grid_id": "My Grid"}, "lower-case"),
        ({"crs": "EPSG:1"}, "unknown coordinate reference system"),
        ({"cell_width": 0}, "positive"),
        ({"n_rows": 0}, "at least 1"),
        ({"left": math.nan}, "finite"),
        ({"extra": 1}, "unknown entries extra"),
        ({"top": None}, "grid definition"),
    ],
)
def test_impossible_grids_are_refused(change: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Grid.from_dict(UTM.to_dict() | change)


def test_threads_may_share_a_grid() -> None:
    row, col = np.arange(80)[:, None], np.arange(60)[None]
    expected = UTM.lonlat_of(row, col)[0]
    wrong: list[bool] = []

    def work() -> None:
        wrong.extend(not np.array_equal(UTM.lonlat_of(row, col)[0], expected) for _ in range(20))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(wrong) == 80 and not any(wrong)
