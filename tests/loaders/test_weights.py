"""Weights between grids: the pixel under every centre, found one by one, and when they are computed anew."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pyproj
import pytest

from loaders.catalog import add_pixels
from loaders.grids import GRIDS, Grid
from loaders.lake import Lake, LakeError
from loaders.load import load
from loaders.weights import nearest_cells, nearest_weights, refresh_weights
from tests.loaders.load_files import daily_product, digests, leftovers, some_map, write_tif

BASIN = Grid("basin_5km", "EPSG:32633", 500_000, 5_600_000, 5000, 5000, 40, 60)  # about 15 E, 50 N
PAIRS = [
    ("latlon_0p1", "latlon_0p05"),
    ("latlon_0p05", "latlon_0p1"),
    ("latlon_0p1", "era5_land_0p1"),
    ("ease2_m36", "latlon_0p25"),
    ("latlon_0p25", "ease2_m09"),
    ("modis_sin_1km", "latlon_0p1"),
    ("latlon_0p1", "modis_sin_1km"),
]


def box_of(grid: Grid, west: float, south: float, east: float, north: float) -> np.ndarray:
    """The pixels of a grid whose centres lie in a box, a window at a time."""
    corners = nearest_cells(grid, [west, east, west, east], [north, north, south, south])
    row, col = grid.row_col(corners)
    rows, cols = np.arange(row.min(), row.max() + 1), np.arange(col.min(), col.max() + 1)
    ids = (rows[:, None] * grid.n_cols + cols).ravel()
    lon, lat = grid.lonlat_of(*grid.row_col(ids))
    return ids[(lon >= west) & (lon <= east) & (lat >= south) & (lat <= north)]


def depth_inside(grid: Grid, pixels: np.ndarray, lon: float, lat: float) -> np.ndarray:
    """How far inside each cell a point lies, in cells, by the cells' own edges and PROJ; negative outside."""
    row, col = np.divmod(pixels, grid.n_cols)
    x, y = (lon, lat)
    if not grid.is_geographic:
        x, y = to_grid(grid.crs).transform(lon, lat)
    across, down = (x - grid.left) / grid.cell_width - col, (grid.top - y) / grid.cell_height - row
    return np.min([across, 1 - across, down, 1 - down], axis=0)


@cache
def to_grid(crs: str) -> pyproj.Transformer:
    return pyproj.Transformer.from_crs("EPSG:4326", crs, always_xy=True)


@pytest.mark.parametrize(("source", "target"), PAIRS, ids=[" to ".join(pair) for pair in PAIRS])
def test_every_pixel_takes_the_one_under_its_centre(tmp_path: Path, source: str, target: str) -> None:
    lake = Lake(tmp_path / "lake").init()
    there = box_of(GRIDS[source], 14.2, 49.3, 15.9, 50.7)
    missing, there = there[::7], np.setdiff1d(there, there[::7])
    wanted = box_of(GRIDS[target], 14.0, 49.0, 16.0, 51.0)
    add_pixels(lake, GRIDS[source], there, "none")
    add_pixels(lake, GRIDS[target], wanted, "none")
    table = pl.from_arrow(nearest_weights(lake, source, target))
    assert set(table["method"]) == {"nearest"} and set(table["weight"]) == {1.0}
    assert set(table["source_grid_id"]) == {source} and set(table["target_grid_id"]) == {target}
    assert table["target_pixel_id"].is_unique().all() and len(table) > 20
    assert not set(table["source_pixel_id"]) & set(missing.tolist())
    lon, lat = GRIDS[target].lonlat_of(*GRIDS[target].row_col(wanted))
    taken = dict(zip(table["target_pixel_id"], table["source_pixel_id"], strict=True))
    pixels = np.random.default_rng(1).choice(wanted.size, min(wanted.size, 400), replace=False)
    for i in pixels:
        depth = depth_inside(GRIDS[source], there, lon[i], lat[i])
        if (pixel := int(wanted[i])) in taken:
            assert depth[there == taken[pixel]] > -2e-6
        else:
            assert depth.max() < 2e-6


def test_a_point_on_a_border_is_in_the_eastern_the_southern_cell() -> None:
    """Centres of the grid whose cells are centred on tenths lie on corners of the one whose edges do; 0.1 is no binary fraction."""
    lon, lat = np.round(np.arange(10.0, 20.0, 0.1), 1), np.round(np.arange(60.0, 50.0, -0.1), 1)
    found = nearest_cells(GRIDS["latlon_0p1"], lon, lat)
    row, col = GRIDS["latlon_0p1"].row_col(found)
    np.testing.assert_array_equal(col, 1900 + np.arange(100))
    np.testing.assert_array_equal(row, 300 + np.arange(100))


def test_outside_nan_and_the_outer_edge() -> None:
    grid = Grid("small", "EPSG:4326", 10, 50, 0.5, 0.5, 4, 6)
    lon = [9.99, 13.01, 11, 11, np.nan, 11, 10, 13, 11]
    lat = [49, 49, 50.01, 47.99, 49, np.nan, 50, 48, 49]
    assert nearest_cells(grid, lon, lat).tolist() == [-1, -1, -1, -1, -1, -1, 0, 23, 14]
    assert nearest_cells(grid, [371.0], [49.0]).tolist() == [14]  # 0 to 360 is taken, too


def test_the_grid_that_goes_round_the_world() -> None:
    """ERA5's first column is centred on 180 W and reaches over the antimeridian."""
    grid = GRIDS["era5_land_0p1"]
    found = nearest_cells(grid, [179.96, -179.96, 180.0, -180.0], [0.02] * 4)
    assert (found % grid.n_cols).tolist() == [0, 0, 0, 0]


def test_loads_leave_weights_between_the_grids_they_filled(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake").init()
    add_pixels(lake, GRIDS["latlon_0p25"], box_of(GRIDS["latlon_0p25"], 9, 48, 12, 51), "none")
    first = write_tif(tmp_path / "alps_20200101.tif", some_map(1))
    assert load(daily_product(), [first], lake, "latlon_0p1").ok
    made = sorted(p.stem for p in (lake.root / "weights").glob("*__*.parquet"))
    assert made == ["latlon_0p1__latlon_0p25__nearest", "latlon_0p25__latlon_0p1__nearest"]
    table = pl.read_parquet(lake.weights_path("latlon_0p25", "latlon_0p1"))
    pixels = pl.read_parquet(lake.pixels_path("latlon_0p1"))
    assert sorted(table["target_pixel_id"]) == pixels["pixel_id"].to_list()
    before = digests(lake.root / "weights")
    assert refresh_weights(lake) == []
    second = write_tif(tmp_path / "alps_20200102.tif", some_map(2, height=7, width=9))
    assert load(daily_product(), [second], lake, "latlon_0p1").ok
    after = digests(lake.root / "weights")
    assert before.keys() == after.keys() and before != after
    assert not leftovers(lake)


def test_only_what_changed_is_computed_and_what_went_is_removed(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake").init()
    lake.register_grid(BASIN)
    box = (15.1, 49.9, 16.0, 50.5)
    for grid in (BASIN, GRIDS["latlon_0p1"], GRIDS["ease2_m09"]):
        add_pixels(lake, grid, box_of(grid, *box), "none")
    assert len(refresh_weights(lake)) == 6 and refresh_weights(lake) == []
    more = box_of(GRIDS["ease2_m09"], 15.1, 49.9, 16.4, 50.5)
    assert add_pixels(lake, GRIDS["ease2_m09"], more, "none")
    assert refresh_weights(lake, ["latlon_0p25"]) == []
    changed = refresh_weights(lake)
    assert len(changed) == 4 and all("ease2_m09" in pair for pair in changed)
    lake.weights_path("basin_5km", "latlon_0p1").write_bytes(b"broken")
    assert refresh_weights(lake) == [("basin_5km", "latlon_0p1")]
    lake.pixels_path("ease2_m09").unlink()
    assert refresh_weights(lake) == []
    left = sorted(p.name for p in (lake.root / "weights").glob("[!.]*.parquet"))
    assert left == [
        "basin_5km__latlon_0p1__nearest.parquet", "empty.parquet", "latlon_0p1__basin_5km__nearest.parquet",
    ]  # fmt: skip
    assert pq.read_table(lake.root / "weights" / "empty.parquet").num_rows == 0


def test_damaged_pixels_are_named(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake").init()
    add_pixels(lake, GRIDS["latlon_0p1"], np.array([5]), "none")
    lake.pixels_path("latlon_0p25").write_bytes(b"broken")
    with pytest.raises(LakeError, match=r"latlon_0p25\.parquet is damaged"):
        refresh_weights(lake)
