"""Areas that cells of two grids share: conserved, and as polygons drawn by other means have them."""

from __future__ import annotations

import numpy as np
import pyproj
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loaders.grids import GRIDS, Grid
from loaders.overlap import overlaps
from loaders.weights import nearest_cells

UTM = Grid("utm_5km", "EPSG:32633", 440_000, 5_640_000, 5000, 5000, 40, 40)
ALBERS = Grid(
    "albers_7km",
    "+proj=aea +lat_1=25 +lat_2=47 +lat_0=0 +lon_0=105 +ellps=WGS84",
    -400_000,
    4_500_000,
    7000,
    7000,
    50,
    60,
)
ARCTIC = Grid(
    "arctic_25km", "EPSG:6931", -500_000, 500_000, 25_000, 25_000, 40, 40
)  # the pole is a corner of four cells
ABOUT_POLE = Grid(
    "about_pole_25km", "EPSG:6931", -487_500, 487_500, 25_000, 25_000, 39, 39
)  # the pole is inside a cell
STEREOGRAPHIC = Grid("antarctic_25km", "EPSG:3031", -500_000, 500_000, 25_000, 25_000, 40, 40)
FIJI = Grid("fiji_20km", "+proj=laea +lat_0=-17 +lon_0=179 +ellps=WGS84", -300_000, 300_000, 20_000, 20_000, 30, 30)
TURNED = Grid("pacific_0p3", "EPSG:4326", 170, -10, 0.3, 0.3, 50, 60)  # longitudes to 188
OWN = {g.grid_id: g for g in (UTM, ALBERS, ARCTIC, ABOUT_POLE, STEREOGRAPHIC, FIJI, TURNED)}


def grid(grid_id: str) -> Grid:
    return OWN.get(grid_id) or GRIDS[grid_id]


def window(of: Grid, lon: float, lat: float, height: int, width: int) -> np.ndarray:
    """Pixels around a place, those of a global grid beyond its seam from the other end."""
    row, col = of.row_col(nearest_cells(of, [lon], [lat]))
    rows = np.clip(row[0] + np.arange(height) - height // 2, 0, of.n_rows - 1)
    cols = (col[0] + np.arange(width) - width // 2) % of.n_cols
    return np.unique(rows[:, None] * of.n_cols + cols)


def shared(source: Grid, target: Grid, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    parts = list(overlaps(source, target, pixels))
    return tuple(np.concatenate([p[i] for p in parts]) for i in range(3))


def whole_sources(source: Grid, target: Grid, found: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Source cells all of whose edge, followed closely, lies in the target pixels."""
    t = np.linspace(0, 1, 41)
    down, across = (np.concatenate(e) for e in ([t, 1 + 0 * t, t, 0 * t], [0 * t, t, 1 + 0 * t, t]))
    row, col = source.row_col(found)
    x = source.left + (col[:, None] + across) * source.cell_width
    y = source.top - (row[:, None] + down) * source.cell_height
    lon, lat = source.lonlat_of_xy(x, np.clip(y, -90, 90) if source.is_geographic else y)
    under = nearest_cells(target, lon, lat)
    return found[np.isin(under, pixels).all(axis=1)]


PLACES = {
    "latlon_0p25": (-180, 180, -89, 89), "era5_land_0p1": (-180, 180, -89, 89), "latlon_0p05": (-180, 180, -80, 80),
    "ease2_m36": (-180, 180, -80, 80), "ease2_m09": (-180, 180, -80, 80),
    "modis_sin_1km": (-120, 120, -70, 70), "modis_sin_6km": (-120, 120, -70, 70),
    "utm_5km": (14.4, 15.9, 49.3, 50.6), "albers_7km": (101, 104.5, 39, 41.3), "fiji_20km": (178, 180, -18, -16), "pacific_0p3": (172, 180, -20, -15),
}  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(data=st.data(), names=st.permutations(sorted(PLACES)))
def test_what_targets_take_of_a_source_is_its_area(data, names) -> None:
    """Any two grids anywhere: a source covered whole gives all of its area, none gives more."""
    source, target = grid(names[0]), grid(names[1])
    boxes = [PLACES[names[0]], PLACES[names[1]]]
    west, east = max(b[0] for b in boxes), min(b[1] for b in boxes)
    south, north = max(b[2] for b in boxes), min(b[3] for b in boxes)
    if west > east or south > north:
        return
    lon, lat = data.draw(st.floats(west, east)), data.draw(st.floats(south, north))
    size = max(3, int(np.ceil(3 * np.sqrt(cell_km2(source, lon, lat) / cell_km2(target, lon, lat)))))
    size = min(size, 150) // 2 * 2 + 1
    pixels, inner = window(target, lon, lat, size, size), window(target, lon, lat, size - 2, size - 2)
    target_id, source_id, km2 = shared(source, target, pixels)
    assert np.all(km2 > 0) and np.all(np.isin(target_id, pixels))
    found, number = np.unique(source_id, return_inverse=True)
    given_away, area = np.bincount(number, km2), source.area_km2(*source.row_col(found))
    assert np.all(given_away <= area * (1 + 1e-12))
    whole = np.isin(found, whole_sources(source, target, found, inner))  # the outermost edge is one of chords
    np.testing.assert_allclose(given_away[whole], area[whole], rtol=1e-12)


def cell_km2(of: Grid, lon: float, lat: float) -> float:
    return float(of.area_km2(*of.row_col(nearest_cells(of, [lon], [lat])))[0])


@pytest.mark.parametrize(
    ("source", "target", "lon", "lat", "tolerance"),
    [
        ("latlon_0p1", "latlon_0p25", 100, 38, 1e-12), ("ease2_m09", "latlon_0p1", -100, 60, 1e-11), ("latlon_0p1", "ease2_m36", 20, -33, 1e-8),
        ("modis_sin_1km", "latlon_0p1", 100, 38, 1e-7), ("modis_sin_1km", "ease2_m36", 145, -35, 1e-7), ("latlon_0p25", "modis_sin_6km", 100, 38, 1e-7),
        ("latlon_0p1", "utm_5km", 15, 50, 1e-6), ("modis_sin_1km", "utm_5km", 15, 50, 1e-6), ("ease2_m09", "albers_7km", 103, 40, 1e-6),
        ("ease2_m36", "ease2_m09", 179.99, 10, 1e-12), ("era5_land_0p1", "latlon_0p25", 179.99, 89.9, 1e-11),
    ],
)  # fmt: skip
def test_a_target_within_the_sources_gets_its_own_area(source, target, lon, lat, tolerance) -> None:
    pixels = window(grid(target), lon, lat, 6, 6)
    target_id, _, km2 = shared(grid(source), grid(target), pixels)
    found, number = np.unique(target_id, return_inverse=True)
    np.testing.assert_array_equal(found, pixels)
    np.testing.assert_allclose(
        np.bincount(number, km2), grid(target).area_km2(*grid(target).row_col(found)), rtol=tolerance
    )


@pytest.mark.parametrize(
    ("source", "target", "lon", "lat"),
    [
        ("modis_sin_1km", "ease2_m09", 100, 38), ("ease2_m09", "modis_sin_1km", -60, -10), ("latlon_0p1", "utm_5km", 15, 50),
        ("utm_5km", "latlon_0p1", 15, 50), ("ease2_m36", "albers_7km", 103, 40), ("albers_7km", "modis_sin_6km", 103, 40),
        ("latlon_0p25", "arctic_25km", 40, 88), ("latlon_0p25", "antarctic_25km", -120, -87.5),
    ],
)  # fmt: skip
def test_as_polygons_of_another_library_have_it(source, target, lon, lat) -> None:
    shapely = pytest.importorskip("shapely")
    plane = pyproj.Transformer.from_crs(
        "EPSG:4326", f"+proj=laea +lat_0={lat} +lon_0={lon} +ellps=WGS84", always_xy=True
    )

    def polygons(of: Grid, pixels):
        t = np.linspace(0, 1, 60, endpoint=False)
        across, down = np.concatenate([0 * t, t, 0 * t + 1, 1 - t]), np.concatenate([t, 0 * t + 1, 1 - t, 0 * t])
        row, col = np.divmod(pixels, of.n_cols)
        x = of.left + (col[:, None] + across) * of.cell_width
        y = of.top - (row[:, None] + down) * of.cell_height
        if not of.is_geographic:
            x, y = pyproj.Transformer.from_crs(of.crs, "EPSG:4326", always_xy=True).transform(x, y)
        return shapely.polygons(np.stack(plane.transform(x, y), axis=-1))

    pixels = window(grid(target), lon, lat, 4, 4)
    target_id, source_id, km2 = shared(grid(source), grid(target), pixels)
    areas = (
        shapely.area(shapely.intersection(polygons(grid(source), source_id), polygons(grid(target), target_id))) / 1e6
    )
    smaller = min(cell_km2(grid(source), lon, lat), cell_km2(grid(target), lon, lat))
    np.testing.assert_allclose(km2, areas, atol=2e-4 * smaller)
    # and there are no others
    near = np.unique(window(grid(source), lon, lat, 9, 9))
    pairs = np.stack(np.meshgrid(pixels, near, indexing="ij"), axis=-1).reshape(-1, 2)
    known = set(zip(target_id.tolist(), source_id.tolist(), strict=True))
    rest = np.array([p for p in pairs.tolist() if tuple(p) not in known])
    areas = (
        shapely.area(shapely.intersection(polygons(grid(target), rest[:, 0]), polygons(grid(source), rest[:, 1]))) / 1e6
    )
    assert areas.max() < 2e-4 * smaller


@pytest.mark.parametrize("target", ["arctic_25km", "about_pole_25km", "antarctic_25km"])
def test_cells_at_a_pole(target) -> None:
    """The cap that the polar grid covers is taken whole, each degree cell of it once; the pole's own cells get their area."""
    polar, degrees = grid(target), GRIDS["latlon_0p25"]
    pixels = np.arange(polar.n_pixels)
    target_id, source_id, km2 = shared(degrees, polar, pixels)
    row = source_id // degrees.n_cols
    sign = -1 if target == "antarctic_25km" else 1
    cap = np.arange(0, 10) if sign > 0 else np.arange(710, 720)  # 2.5 degrees
    for of_row in cap:
        number = source_id[row == of_row] % degrees.n_cols
        np.testing.assert_allclose(
            np.bincount(number, km2[row == of_row], 1440),
            degrees.area_km2(of_row, 0),
            rtol=2e-3 if of_row in (0, 719) else 1e-9,
        )
    got = np.bincount(target_id, km2, polar.n_pixels)
    true = polar.area_km2(*polar.row_col(pixels))
    distance = np.hypot(*(np.asarray(polar.xy_of(*polar.row_col(pixels)))))
    np.testing.assert_allclose(got[distance > 60_000], true[distance > 60_000], rtol=1e-4)
    np.testing.assert_allclose(got[distance <= 60_000], true[distance <= 60_000], rtol=2e-2)


def test_both_sides_of_the_antimeridian() -> None:
    """ERA5's first column is centred on 180 W: half of it lies in the last column of the grid that begins there."""
    source, target = GRIDS["latlon_0p1"], GRIDS["era5_land_0p1"]
    pixel = 900 * target.n_cols
    target_id, source_id, km2 = shared(source, target, np.array([pixel]))
    assert sorted((source_id % source.n_cols).tolist()) == [0, 0, 3599, 3599]
    np.testing.assert_allclose(km2, target.area_km2(900, 0) / 4, rtol=1e-5)
    # a grid in metres across it, and one whose longitudes run on beyond 180
    for regional in (FIJI, TURNED):
        for degrees in (GRIDS["latlon_0p25"], GRIDS["ease2_m36"], GRIDS["modis_sin_6km"]):
            pixels = window(regional, 179.9, -17, 10, 10)
            target_id, source_id, km2 = shared(degrees, regional, pixels)
            lon, _ = degrees.lonlat_of(*degrees.row_col(source_id))
            assert (lon > 179).any() and (lon < -179).any()
            area = regional.area_km2(*regional.row_col(pixels))
            np.testing.assert_allclose(np.bincount(np.searchsorted(pixels, target_id), km2), area, rtol=2e-4)


def test_the_edge_of_the_sinusoidal_world_has_nothing_beyond_it() -> None:
    """Cells that the edge cuts share only what lies on the globe: a whole row of the world is covered once."""
    source, target = GRIDS["modis_sin_6km"], GRIDS["latlon_0p25"]
    row = 60  # of the quarter degrees: 74.75 to 75 N
    pixels = row * target.n_cols + np.arange(target.n_cols)
    target_id, _, km2 = shared(source, target, pixels)
    np.testing.assert_allclose(np.bincount(target_id - pixels[0], km2), target.area_km2(row, 0), rtol=1e-4)
    rows = np.arange(500, 502)
    pixels = (rows[:, None] * source.n_cols + np.arange(source.n_cols)).ravel()
    pixels = pixels[np.isfinite(source.lonlat_of(*source.row_col(pixels))[0])]
    target_id, _, km2 = shared(target, source, pixels)
    got = np.bincount(np.searchsorted(pixels, target_id), km2, pixels.size)
    np.testing.assert_allclose(got, source.area_km2(*source.row_col(pixels)), rtol=6e-3)


def test_what_does_not_meet_shares_nothing() -> None:
    assert (
        not list(overlaps(UTM, FIJI, np.arange(FIJI.n_pixels)))
        or not shared(UTM, FIJI, np.arange(FIJI.n_pixels))[0].size
    )
    assert all(not part[0].size for part in overlaps(FIJI, UTM, np.arange(UTM.n_pixels)))
    assert not list(overlaps(UTM, UTM, np.empty(0, np.int64)))
