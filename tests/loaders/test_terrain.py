"""Terrain: surfaces whose slope is known, Horn written out, gdaldem on real heights, flow by hand, and what a load makes of a DEM."""

from __future__ import annotations

import math
import shutil
import subprocess
from pathlib import Path

import numpy as np
import polars as pl
import pyproj
import pytest
import rasterio
from rasterio.transform import from_origin

from loaders.granule import Window
from loaders.grids import GRIDS, Grid
from loaders.lake import Lake
from loaders.load import load
from loaders.products import ProductError, complete, find_product
from loaders.terrain import aspect_degrees, axes_m, derivatives, gradient, octant, slope_degrees, wetness_index
from loaders.weights import nearest_cells
from tests.conftest import count_cases
from tests.loaders.load_files import digests, leftovers

UTM = Grid("utm_30m", "EPSG:32647", 300_000, 4_300_000, 30, 30, 200, 300)  # 97 E, 39 N, 2 degrees west of its meridian


def around(grid: Grid, lon: float, lat: float, height: int = 21, width: int = 31) -> Window:
    row, col = grid.row_col(nearest_cells(grid, [lon], [lat]))
    return Window(int(row[0]) - height // 2, int(col[0]) - width // 2, height, width)


def tilted(grid: Grid, window: Window, east: float, north: float, lon: float, lat: float) -> np.ndarray:
    """Heights of a plane that rises by `east` and `north` a metre, drawn about a place (azimuthal equidistant)."""
    rows, cols = np.mgrid[window.row : window.row + window.height, window.column : window.column + window.width]
    plane = pyproj.Transformer.from_crs(
        "EPSG:4326", f"+proj=aeqd +lat_0={lat} +lon_0={lon} +ellps=WGS84", always_xy=True
    )
    x, y = plane.transform(*grid.lonlat_of(rows, cols))
    return 1000 + east * x + north * y


@pytest.mark.parametrize(
    ("grid", "lon", "lat"),
    [
        (GRIDS["srtm_3s"], 100.0, 38.0), (GRIDS["srtm_1s"], -70.0, -52.0), (GRIDS["latlon_30s"], 15.0, 68.0), (UTM, 96.72, 38.8),
        (GRIDS["modis_sin_500m"], 100.0, 38.0), (GRIDS["modis_sin_1km"], -60.0, -20.0), (GRIDS["ease2_m01"], 100.0, 38.0),
    ],
    ids=lambda v: getattr(v, "grid_id", str(v)),
)  # fmt: skip
@pytest.mark.parametrize("rise", [(0.3, 0.1), (-0.05, 0.2), (0.0, -0.4), (1e-3, 0.0)])
def test_a_tilted_plane_has_its_slope_and_faces_down_it(
    grid: Grid, lon: float, lat: float, rise: tuple[float, float]
) -> None:
    """On grids in degrees, skewed ones and projected ones alike: metres on the ground, true north."""
    window = around(grid, lon, lat)
    east, north = gradient(tilted(grid, window, *rise, lon, lat), axes_m(grid, window))
    middle = np.s_[8:13, 13:18]
    slope, aspect = slope_degrees(east, north)[middle], aspect_degrees(east, north)[middle]
    np.testing.assert_allclose(np.tan(np.radians(slope)), math.hypot(*rise), rtol=3e-4)
    faces = math.degrees(math.atan2(-rise[0], -rise[1])) % 360
    np.testing.assert_allclose((aspect - faces + 180) % 360 - 180, 0, atol=0.2)
    assert np.isnan(east[0]).all() and np.isnan(east[:, -1]).all() and np.isfinite(east[1:-1, 1:-1]).all()


def test_horn_written_out() -> None:
    grid = Grid("flat_10m", "+proj=laea +lat_0=0 +lon_0=0 +ellps=WGS84", -100, 80, 10, 10, 16, 20)
    z = np.random.default_rng(3).normal(0, 20, (16, 20))
    z[5, 7] = np.nan
    east, north = gradient(z, axes_m(grid, grid.window))
    slope = slope_degrees(east, north)
    for i in range(1, 15):
        for j in range(1, 19):
            n = z[i - 1 : i + 2, j - 1 : j + 2]
            right, left = n[0, 2] + 2 * n[1, 2] + n[2, 2], n[0, 0] + 2 * n[1, 0] + n[2, 0]
            above, below = n[0, 0] + 2 * n[0, 1] + n[0, 2], n[2, 0] + 2 * n[2, 1] + n[2, 2]
            by_x, by_y = (right - left) / 80, (above - below) / 80
            if np.isnan(n).any():
                assert np.isnan(slope[i, j])
                continue
            assert slope[i, j] == pytest.approx(math.degrees(math.atan(math.hypot(by_x, by_y))), rel=1e-6)
            assert east[i, j] == pytest.approx(by_x, rel=1e-6, abs=1e-6) and north[i, j] == pytest.approx(
                by_y, rel=1e-6, abs=1e-6
            )


def test_octants_and_level_ground() -> None:
    aspect = np.array([0, 22.4, 22.5, 90, 135, 180, 225, 270, 337.4, 337.5, 359.9, np.nan, np.nan])
    slope = np.append(np.ones(11), [0.0, np.nan])
    assert octant(aspect, slope).tolist() == [1, 1, 2, 3, 4, 5, 6, 7, 8, 1, 1, 0, -1]
    flat = derivatives(UTM, Window(0, 0, 5, 5), np.full((5, 5), 12.0))
    assert (
        (flat["slope"][1:-1, 1:-1] == 0).all() and np.isnan(flat["aspect"]).all() and np.isnan(flat["northness"]).all()
    )
    assert (flat["aspect_octant"][1:-1, 1:-1] == 0).all() and (flat["aspect_octant"][0] == -1).all()
    tiny = derivatives(UTM, Window(0, 0, 2, 5), np.zeros((2, 5)))
    assert np.isnan(tiny["slope"]).all()


def test_wetness_of_a_slope_a_valley_and_a_pit() -> None:
    area = np.full((8, 5), 100.0)  # 10 m cells
    slope = np.full((8, 5), 10.0)
    ten = tuple(np.full((8, 1), v) for v in (10.0, 0.0, 0.0, -10.0))  # metres of a step to the east and to the south
    down = np.arange(8)[::-1, None] * 2.0 + np.zeros(5)  # falls to the south, row by row
    index = wetness_index(down, slope, area, ten)
    rows = np.arange(1, 9)[:, None] * np.ones(5)  # cells above, itself included
    np.testing.assert_allclose(index[:, 1:-1], np.log(rows * 100 / 10 / np.tan(np.radians(10)))[:, 1:-1], rtol=1e-6)
    valley = down + np.abs(np.arange(5) - 2) * 5.0  # every row drains into the middle column
    index = wetness_index(valley, slope, area, ten)
    assert index[7, 2] == pytest.approx(math.log(40 * 10 / math.tan(math.radians(10))), rel=1e-6)
    pit = valley.copy()
    pit[4, 2] -= 6.0  # filled: the water below it stays the same
    assert wetness_index(pit, slope, area, ten)[7, 2] == pytest.approx(index[7, 2], rel=1e-6)
    # level ground is not infinitely wet; unknown heights have no index
    level = wetness_index(down, np.zeros((8, 5)), area, ten)
    assert level[0, 2] == pytest.approx(math.log(10 / 0.001), rel=1e-6)
    holed = np.where(np.arange(8)[:, None] == 3, np.nan, down)
    assert np.isnan(wetness_index(holed, slope, area, ten)[3]).all()
    assert np.isnan(wetness_index(np.full((8, 5), np.nan), slope, area, ten)).all()


def gdaldem(path: Path, what: str, folder: Path) -> np.ndarray:
    if shutil.which("gdaldem") is None:
        pytest.skip("gdaldem is not installed: test_horn_written_out stands in its place")
    made = folder / f"{path.stem}_{what}.tif"
    subprocess.run(["gdaldem", what, "-q", str(path), str(made)], check=True, timeout=60)
    with rasterio.open(made) as dataset:
        values = dataset.read(1).astype(float)
    return np.where(values == -9999, np.nan, values)


def test_gdaldem_on_real_heights(shared: Path, tmp_path: Path) -> None:
    """A DEM in metres as it is; strips of one in degrees given to gdaldem in the metres of their middle."""
    source = shared / "data/dem/spdatalarge/dem.tif"
    with rasterio.open(source) as dem:
        z, t, crs = dem.read(1).astype(float), dem.transform, dem.crs.to_wkt()
        z[z == dem.nodata] = np.nan
    grid = Grid("dem", crs, t.c, t.f, t.a, -t.e, *z.shape)
    got = derivatives(grid, grid.window, z)
    slope, aspect = gdaldem(source, "slope", tmp_path), gdaldem(source, "aspect", tmp_path)
    np.testing.assert_array_equal(np.isnan(got["slope"]), np.isnan(slope))
    # the projection's scale is 0.9996 to 1.0, its north within a degree of true north
    np.testing.assert_allclose(np.tan(np.radians(got["slope"])), np.tan(np.radians(slope)), rtol=1e-3)
    turned = (got["aspect"] - aspect + 180) % 360 - 180
    assert np.nanmax(turned) - np.nanmin(turned) < 0.05 and abs(np.nanmean(turned)) < 0.5
    count_cases("slopes of real heights beside gdaldem", int(np.isfinite(slope).sum()))

    with rasterio.open(next((shared / "data/dem/srtm_hgt").glob("*.hgt"))) as dem:
        z, t = dem.read(1).astype(float), dem.transform
    grid = Grid("tile", "EPSG:4326", t.c, t.f, t.a, -t.e, *z.shape)
    n = 0
    for first in (150, 600, 1000):
        window = Window(first, 0, 40, z.shape[1])
        strip = z[first : first + 40]
        east, _, _, south = axes_m(grid, window)
        path = tmp_path / f"strip_{first}.tif"
        with rasterio.open(
            path, "w", driver="GTiff", height=40, width=z.shape[1], count=1, dtype="float32", crs="EPSG:32632",
            transform=from_origin(500_000, 6_400_000, east[20, 0], -south[20, 0]),
        ) as made:  # fmt: skip
            made.write(strip.astype("float32"), 1)
        wanted = gdaldem(path, "slope", tmp_path)
        ours = slope_degrees(*gradient(strip, axes_m(grid, window)))
        np.testing.assert_allclose(ours[1:-1, 1:-1], wanted[1:-1, 1:-1], rtol=2e-3, atol=1e-4)
        n += int((wanted > 0).sum())
    count_cases("slopes of real heights in degrees beside gdaldem", n)


# -- as a product -------------------------------------------------------------------------------------------------------


def hills(height: int = 60, width: int = 80) -> np.ndarray:
    rows, cols = np.mgrid[:height, :width]
    return (800 + 300 * np.sin(rows / 9) * np.cos(cols / 11) + rows).astype("float32")


def dem_in_lake(tmp_path: Path, unit: str = "m", name: str = "my_dem", date: str = "") -> tuple[Lake, np.ndarray]:
    """Hills at 0.002 degrees, with a corner that nobody measured."""
    z = hills()
    z[:10, :20] = -9999
    path = tmp_path / f"{name}{date}.tif"
    with rasterio.open(
        path, "w", driver="GTiff", height=z.shape[0], width=z.shape[1], count=1, dtype="float32", crs="EPSG:4326",
        transform=from_origin(100, 38, 0.002, 0.002), nodata=-9999,
    ) as dataset:  # fmt: skip
        dataset.write(z[None])
    lake = Lake(tmp_path / "lake").init()
    mapping = {"variables": [{"name": "elevation", "band": 1, "unit": unit}]}
    assert load(complete(find_product("raster"), name, None, mapping, [path]), [path], lake).ok
    return lake, np.where(z == -9999, np.nan, z.astype(float))


def terrain_of(lake: Lake, name: str = "terrain", grid: str | None = None, dem: str = "my_dem"):
    product = complete(find_product("terrain"), None if name == "terrain" else name, grid, None, [])
    return load(product, [dem], lake)


def test_a_load_makes_terrain_of_an_elevation_product(tmp_path: Path) -> None:
    lake, z = dem_in_lake(tmp_path)
    report = terrain_of(lake)
    assert report.ok and report.counts == {"loaded": 1} and report.grid_id == "my_dem"
    rows = pl.read_parquet(lake.month_path("terrain", None)).sort("pixel_id")
    pixels = rows["pixel_id"].to_numpy()
    np.testing.assert_array_equal(pixels, np.flatnonzero(np.isfinite(z)))
    grid = lake.grid("my_dem")
    wanted = derivatives(grid, grid.window, z)
    for name, values in wanted.items():
        got = rows[name].to_numpy()
        np.testing.assert_array_equal(got, values.ravel()[pixels])
    assert not rows["slope"].is_nan().any() and rows["slope"].null_count() > 0
    # again: nothing; new heights: new terrain
    before = digests(lake.root)
    assert terrain_of(lake).counts == {"unchanged": 1} and digests(lake.root) == before
    path = tmp_path / "my_dem.tif"
    with rasterio.open(path, "r+") as dataset:
        dataset.write(hills()[None] + 5)
    assert load(find_product("my_dem", lake.root), [path], lake).counts == {"replaced": 1}
    assert terrain_of(lake).counts == {"replaced": 1}
    assert len(pl.read_parquet(lake.month_path("terrain", None))) == z.size
    assert not leftovers(lake)


def test_a_coarser_grid_takes_mean_heights_first(tmp_path: Path) -> None:
    lake, z = dem_in_lake(tmp_path)
    lake.register_grid(Grid("hundredths", "EPSG:4326", 100, 38, 0.01, 0.01, 12, 16))
    assert terrain_of(lake, "terrain_coarse", "hundredths").ok
    rows = pl.read_parquet(lake.month_path("terrain_coarse", None)).sort("pixel_id")
    known = np.isfinite(z).reshape(12, 5, 16, 5)
    share = known.mean(axis=(1, 3)).ravel()
    np.testing.assert_array_equal(rows["pixel_id"], np.flatnonzero(share >= 0.5))
    means = np.nanmean(z.reshape(12, 5, 16, 5).swapaxes(1, 2).reshape(192, 25), axis=1)
    np.testing.assert_allclose(
        rows["elevation"], means[rows["pixel_id"].to_numpy()], atol=0.02
    )  # cells narrow to the north
    assert terrain_of(lake, "terrain_sin", "modis_sin_1km").ok
    sinusoidal = pl.read_parquet(lake.month_path("terrain_sin", None))
    assert sinusoidal["slope"].max() < rows["slope"].max() * 1.5 and len(sinusoidal) > 50
    assert terrain_of(lake, "terrain_0p05", "latlon_0p05").grid_id == "latlon_0p05"


@pytest.mark.parametrize(
    ("arrange", "said"),
    [
        (lambda tmp, lake: ("nothing_there", None), "there is no such file"),
        (lambda tmp, lake: ("in_feet", None), "elevation of in_feet is in 'feet', not in m or km"),
        (lambda tmp, lake: ("dated", None), "dated has dates or no pixels"),
        (lambda tmp, lake: ("my_dem", "srtm_1s"), "are larger than those of grid srtm_1s"),
        (lambda tmp, lake: (str(tmp / "other.parquet"), None), "is not a file of heights in a lake"),
        (lambda tmp, lake: (str(tmp / "my_dem.tif"), None), "is not that of a terrain"),
    ],
    ids=["unknown", "feet", "dated", "finer", "foreign", "a map"],
)  # fmt: skip
def test_what_is_refused_and_why(tmp_path: Path, arrange, said: str) -> None:
    lake, _ = dem_in_lake(tmp_path)
    dem_in_lake(tmp_path, unit="feet", name="in_feet")
    dem_in_lake(tmp_path, name="dated", date="_20200101")
    pl.DataFrame({"pixel_id": [1]}).write_parquet(tmp_path / "other.parquet")
    dem, grid = arrange(tmp_path, lake)
    if dem == "dated":
        month = next(lake.raw("dated").rglob("*.parquet"))
        dem = str(month.rename(month.parent / "dated.parquet"))
    before = digests(lake.root / "raw")
    report = terrain_of(lake, "terrain_here", grid, dem)
    assert [f.status for f in report.files] == ["skipped"] and said in report.files[0].reason, report.files[0].reason
    assert digests(lake.root / "raw") == before


def test_names_of_terrain() -> None:
    with pytest.raises(ProductError, match="needs a name: --as NAME --grid modis_sin_1km"):
        complete(find_product("terrain"), None, "modis_sin_1km", None, [])
    with pytest.raises(ProductError, match="that is a product of its own"):
        complete(find_product("terrain"), "gebco", None, None, [])
    with pytest.raises(ProductError, match="--mapping is for"):
        complete(find_product("terrain"), None, None, {"variables": []}, [])
