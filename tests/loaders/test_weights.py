"""Weights between grids: of every method against other means, and when they are computed anew."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pyproj
import pytest
from scipy.ndimage import map_coordinates

from loaders.catalog import add_pixels
from loaders.grids import GRIDS, Grid
from loaders.lake import Lake, LakeError
from loaders.load import load
from loaders.weights import ensure_pixels, ensure_weights, nearest_cells, refresh_weights, weights
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
    table = pl.from_arrow(weights(lake, source, target, "nearest"))
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
    assert refresh_weights(lake) == [("basin_5km", "latlon_0p1", "nearest")]
    lake.pixels_path("ease2_m09").unlink()
    assert refresh_weights(lake) == []
    left = sorted(p.name for p in (lake.root / "weights").glob("[!.]*.parquet"))
    assert left == [
        "basin_5km__latlon_0p1__nearest.parquet", "empty.parquet", "latlon_0p1__basin_5km__nearest.parquet",
    ]  # fmt: skip
    assert pq.read_table(lake.root / "weights" / "empty.parquet").num_rows == 0


@pytest.mark.parametrize(("source", "target"), PAIRS, ids=[" to ".join(pair) for pair in PAIRS])
def test_a_mean_over_the_area_of_the_pixel(tmp_path: Path, source: str, target: str) -> None:
    """Weights add up to 1 over what the lake has of the source, in the proportion of the areas shared."""
    lake = Lake(tmp_path / "lake").init()
    there = box_of(GRIDS[source], 14.2, 49.5, 15.4, 50.3)
    missing, there = there[::7], np.setdiff1d(there, there[::7])
    add_pixels(lake, GRIDS[source], there, "none")
    add_pixels(lake, GRIDS[target], box_of(GRIDS[target], 14.0, 49.4, 15.6, 50.4), "none")
    table = pl.from_arrow(weights(lake, source, target, "area_mean"))
    assert not set(table["source_pixel_id"]) & set(missing.tolist()) and table.filter(pl.col("weight") <= 0).is_empty()
    assert table["target_pixel_id"].is_sorted()
    sums = table.group_by("target_pixel_id").agg(pl.col("weight").sum(), km2=pl.col("overlap_km2").sum())
    np.testing.assert_allclose(sums["weight"], 1, rtol=1e-12)
    share = table.join(sums.select("target_pixel_id", "km2"), on="target_pixel_id")
    np.testing.assert_allclose(share["weight"], share["overlap_km2"] / share["km2"], rtol=1e-12)
    taken = table.group_by("source_pixel_id").agg(pl.col("overlap_km2").sum()).sort("source_pixel_id")
    area = GRIDS[source].area_km2(*GRIDS[source].row_col(taken["source_pixel_id"].to_numpy()))
    inside = box_of(GRIDS[source], 14.3, 49.6, 15.3, 50.2)  # every pixel there is covered whole by target pixels
    whole = np.isin(taken["source_pixel_id"], inside)
    assert whole.sum() > 1
    np.testing.assert_allclose(taken["overlap_km2"].to_numpy()[whole], area[whole], rtol=1e-12)


def interpolated(grid: Grid, values: np.ndarray, lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
    """scipy's bilinear interpolation of a map of the grid's first rows and columns, in the grid's plane."""
    x, y = (lon, lat) if grid.is_geographic else to_grid(grid.crs).transform(lon, lat)
    down, across = (
        (grid.top - np.asarray(y)) / grid.cell_height - 0.5,
        (np.asarray(x) - grid.left) / grid.cell_width - 0.5,
    )
    return map_coordinates(values, [down, across], order=1, mode="nearest")


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (Grid("coarse", "EPSG:4326", 14, 51, 0.25, 0.25, 8, 8), GRIDS["latlon_0p05"]),
        (Grid("coarse", "EPSG:4326", 14, 51, 0.25, 0.25, 8, 8), GRIDS["modis_sin_6km"]),
        (BASIN, GRIDS["latlon_0p1"]),
        (BASIN, GRIDS["ease2_m03"]),
        (Grid("tile", GRIDS["modis_sin_1km"].crs, 1_000_000, 5_560_000, 4633, 4633, 30, 30), GRIDS["latlon_0p1"]),
    ],
    ids=lambda grid: grid.grid_id,
)
def test_bilinear_is_what_scipy_interpolates(tmp_path: Path, source: Grid, target: Grid) -> None:
    """Inside the outermost centres, and at the grid's edge, where the value of the edge goes on."""
    lake = Lake(tmp_path / "lake").init()
    lake.register_grid(source)
    add_pixels(lake, source, np.arange(source.n_pixels), "none")
    lon, lat = source.lonlat_of(np.arange(source.n_rows)[:, None], np.arange(source.n_cols)[None, :])
    wanted = box_of(target, lon.min() - 0.3, lat.min() - 0.3, lon.max() + 0.3, lat.max() + 0.3)
    add_pixels(lake, target, wanted, "none")
    table = pl.from_arrow(weights(lake, source.grid_id, target.grid_id, "bilinear"))
    values = np.random.default_rng(2).normal(size=(source.n_rows, source.n_cols))
    got = (
        table.with_columns(value=pl.col("weight") * pl.Series(values.ravel()[table["source_pixel_id"].to_numpy()]))
        .group_by("target_pixel_id").agg(pl.col("value").sum(), pl.col("weight").sum(), n=pl.len()).sort("target_pixel_id")
    )  # fmt: skip
    np.testing.assert_allclose(got["weight"], 1, rtol=1e-12)
    assert got["n"].max() == 4 and got["n"].min() >= 1 and table["overlap_km2"].null_count() == len(table)
    pixels = got["target_pixel_id"].to_numpy()
    np.testing.assert_allclose(
        got["value"], interpolated(source, values, *target.lonlat_of(*target.row_col(pixels))), atol=1e-6
    )
    # a row for every target whose centre the source covers, none for others
    under = nearest_cells(source, *target.lonlat_of(*target.row_col(wanted)))
    np.testing.assert_array_equal(pixels, wanted[under >= 0])


def test_bilinear_goes_round_the_world_and_over_missing_pixels(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake").init()
    for grid_id in ("latlon_0p25", "ease2_m36"):
        source = GRIDS[grid_id]
        row = nearest_cells(source, [0.0], [10.1])[0] // source.n_cols
        ids = ((row + np.arange(-1, 3))[:, None] * source.n_cols + [0, 1, source.n_cols - 2, source.n_cols - 1]).ravel()
        add_pixels(lake, source, np.sort(ids), "none")
    point = Grid("point", "EPSG:4326", 179.9, 10, 0.06, 0.06, 1, 1)  # east of the last centre of either grid
    lake.register_grid(point)
    add_pixels(lake, point, np.array([0]), "none")
    for grid_id in ("latlon_0p25", "ease2_m36"):
        table = pl.from_arrow(weights(lake, grid_id, "point", "bilinear"))
        cols = table["source_pixel_id"] % GRIDS[grid_id].n_cols
        assert set(cols) == {0, GRIDS[grid_id].n_cols - 1} and len(table) == 4
        by_hand = (179.93 - GRIDS[grid_id].lonlat_of(0, GRIDS[grid_id].n_cols - 1)[0]) / (360 / GRIDS[grid_id].n_cols)
        assert table.filter(cols == 0)["weight"].sum() == pytest.approx(by_hand, abs=1e-9)
    # without one of the four its weight goes to the others
    four = pl.from_arrow(weights(lake, "latlon_0p25", "point", "bilinear"))
    kept = pl.read_parquet(lake.pixels_path("latlon_0p25")).filter(pl.col("pixel_id") != four["source_pixel_id"][0])
    kept.write_parquet(lake.pixels_path("latlon_0p25"))
    three = pl.from_arrow(weights(lake, "latlon_0p25", "point", "bilinear"))
    assert three["source_pixel_id"].to_list() == four["source_pixel_id"][1:].to_list()
    np.testing.assert_allclose(three["weight"], four["weight"][1:] / four["weight"][1:].sum(), rtol=1e-12)


def test_grids_of_different_parts_of_the_world_need_no_weights(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake").init()
    add_pixels(lake, GRIDS["latlon_0p1"], box_of(GRIDS["latlon_0p1"], 10, 48, 11, 49), "none")
    add_pixels(lake, GRIDS["latlon_0p25"], box_of(GRIDS["latlon_0p25"], 100, 38, 101, 39), "none")
    add_pixels(lake, GRIDS["ease2_m36"], box_of(GRIDS["ease2_m36"], 99, 37, 102, 40), "none")
    add_pixels(lake, GRIDS["era5_0p25"], box_of(GRIDS["era5_0p25"], 179.5, -18, 180, -17), "none")
    add_pixels(lake, GRIDS["latlon_0p05"], box_of(GRIDS["latlon_0p05"], -180, -18, -179.5, -17), "none")
    made = {triple[:2] for triple in refresh_weights(lake)}
    assert made == {
        ("latlon_0p25", "ease2_m36"), ("ease2_m36", "latlon_0p25"), ("era5_0p25", "latlon_0p05"), ("latlon_0p05", "era5_0p25"),
    }  # fmt: skip
    wanted = ("latlon_0p1", "latlon_0p25", "area_mean")
    assert ensure_weights(lake, [wanted]) == [wanted]
    assert pq.read_table(lake.weights_path(*wanted)).num_rows == 0


def test_a_study_s_weights_are_made_once_and_kept_up_to_date(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake").init()
    box = (15.1, 49.9, 15.6, 50.3)
    for grid_id in ("latlon_0p1", "ease2_m09"):
        add_pixels(lake, GRIDS[grid_id], box_of(GRIDS[grid_id], *box), "none")
    wanted = [
        ("latlon_0p1", "ease2_m09", "mode"), ("latlon_0p1", "ease2_m09", "area_mean"), ("latlon_0p1", "latlon_0p1", "area_mean"),
        ("ease2_m09", "latlon_0p1", "bilinear"), ("ease2_m09", "latlon_0p1", "kriging"), ("ease2_m09", "latlon_0p1", "nearest"),
    ]  # fmt: skip
    made = [
        ("latlon_0p1", "ease2_m09", "area_mean"),
        ("ease2_m09", "latlon_0p1", "bilinear"),
        ("ease2_m09", "latlon_0p1", "nearest"),
    ]
    assert ensure_weights(lake, wanted) == made and ensure_weights(lake, wanted) == []
    assert refresh_weights(lake) == [("latlon_0p1", "ease2_m09", "nearest")]
    for triple in made:
        table = pq.read_table(lake.weights_path(*triple))
        assert table.schema.equals(pq.read_schema(lake.root / "weights" / "empty.parquet"))
        assert set(table["method"].to_pylist()) == {triple[2]}
    add_pixels(lake, GRIDS["ease2_m09"], box_of(GRIDS["ease2_m09"], 15.1, 49.9, 16.0, 50.3), "none")
    assert set(refresh_weights(lake, ["ease2_m09"])) == {*made, ("latlon_0p1", "ease2_m09", "nearest")}
    with pytest.raises(
        LakeError, match="no weights called 'conservative'; known: area_mean, bilinear, kriging, mode, nearest"
    ):
        ensure_weights(lake, [("latlon_0p1", "ease2_m09", "conservative")])
    with pytest.raises(LakeError, match="latlon_0p25 has no pixels"):
        ensure_weights(lake, [("latlon_0p25", "ease2_m09", "nearest")])


def test_a_grid_of_the_study_gets_its_pixels(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake").init()
    lake.register_grid(BASIN)
    assert ensure_pixels(lake, "basin_5km", (15.1, 49.9, 15.4, 50.2)) > 10
    known = pl.read_parquet(lake.pixels_path("basin_5km"))
    np.testing.assert_array_equal(known["pixel_id"], box_of(BASIN, 15.1, 49.9, 15.4, 50.2))
    assert ensure_pixels(lake, "basin_5km", (15.1, 49.9, 15.4, 50.2)) == 0
    wider = box_of(BASIN, 15.1, 49.9, 15.5, 50.2).size
    assert ensure_pixels(lake, "basin_5km", (15.1, 49.9, 15.5, 50.2)) == wider - len(known)
    # over the antimeridian
    assert ensure_pixels(lake, "latlon_0p25", (179.5, 0, -179.5, 0.5)) == 8
    with pytest.raises(LakeError, match=r"no pixel with a centre in the box 10 to 11 E, 10 to 11 N"):
        ensure_pixels(lake, "basin_5km", (10, 10, 11, 11))
    # a product's grid is the product's
    assert load(daily_product(), [write_tif(tmp_path / "alps_20200101.tif", some_map(1))], lake, "latlon_0p1").ok
    before = lake.pixels_path("latlon_0p1").read_bytes()
    assert ensure_pixels(lake, "latlon_0p1", (0, 0, 10, 10)) == 0
    assert lake.pixels_path("latlon_0p1").read_bytes() == before


def test_damaged_pixels_are_named(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake").init()
    add_pixels(lake, GRIDS["latlon_0p1"], np.array([5]), "none")
    lake.pixels_path("latlon_0p25").write_bytes(b"broken")
    with pytest.raises(LakeError, match=r"latlon_0p25\.parquet is damaged"):
        refresh_weights(lake)
