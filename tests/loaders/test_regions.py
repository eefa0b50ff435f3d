"""Regions: what is read from three formats, and how much of every pixel a region covers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loaders.catalog import add_pixels
from loaders.granule import BadFile, Window
from loaders.grids import GRIDS, Grid
from loaders.lake import Lake, LakeError
from loaders.load import load
from loaders.polygons import area_km2, covered_fractions, densify, rings_of_wkb, wkb_of_rings
from loaders.regions import load_regions, refresh_membership, region_sets
from loaders.spatial import spatial_connection
from tests.loaders.load_files import daily_product, digests, leftovers, some_map, write_tif

GRID = GRIDS["latlon_0p1"]


def box(west: float, south: float, east: float, north: float, hole: tuple | None = None) -> list:
    """Rings of a rectangle, as GeoJSON writes them."""
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return [ring] if hole is None else [ring, box(*hole)[0][::-1]]


def polygon(rings: list) -> dict:
    return {"type": "Polygon", "coordinates": rings}


def write_geojson(path: Path, features: list[tuple[dict, dict | None]]) -> Path:
    path.write_text(
        json.dumps(
            {
                "type": "FeatureCollection",
                "features": [
                    {"type": "Feature", "properties": attributes, "geometry": geometry}
                    for attributes, geometry in features
                ],
            }
        )
    )
    return path


def lake_with_pixels(root: Path) -> Lake:
    """A lake whose only data are the pixels of 20 x 20 cells from 9.5 E, 50.5 N."""
    lake = Lake(root).init()
    add_pixels(lake, GRID, GRID.window_pixel_ids(Window(395, 1895, 20, 20)).ravel().astype(np.int64), "none")
    return lake


def fractions(lake: Lake, name: str, grid_id: str = "latlon_0p1") -> dict[str, dict[int, float]]:
    table = pq.read_table(lake.pixel_region_path(name, grid_id))
    found: dict[str, dict[int, float]] = {}
    for region, pixel, fraction in zip(
        *(table[c].to_pylist() for c in ("region_id", "pixel_id", "fraction")), strict=True
    ):
        found.setdefault(region, {})[pixel] = fraction
    return found


def at(lon: float, lat: float) -> int:
    row, col, _ = GRID.locate(lon, lat, tolerance=None)
    return int(GRID.pixel_id(row, col)[0])


# -- fractions ----------------------------------------------------------------------------------------------------------


def test_whole_half_and_quarter_pixels(tmp_path: Path) -> None:
    lake = lake_with_pixels(tmp_path)
    path = write_geojson(tmp_path / "r.geojson", [({"id": "a"}, polygon(box(10.05, 49.6, 10.3, 49.8)))])
    load_regions(path, "squares", lake, id_column="id")
    found = fractions(lake, "squares")["a"]
    assert len(found) == 6
    assert found[at(10.15, 49.75)] == 1.0 and found[at(10.25, 49.65)] == 1.0
    # a meridian halves a pixel exactly
    assert abs(found[at(10.05, 49.75)] - 0.5) < 1e-12
    # a parallel does not: the southern half of a pixel is larger
    write_geojson(path, [({"id": "a"}, polygon(box(10.0, 49.7, 10.1, 49.75)))])
    load_regions(path, "squares", lake, id_column="id")
    (south,) = fractions(lake, "squares")["a"].values()
    bands = np.sin(np.radians([49.7, 49.75, 49.8]))
    assert abs(south - (bands[1] - bands[0]) / (bands[2] - bands[0])) < 1e-5 and south > 0.5


def test_nested_and_overlapping_regions_each_have_their_pixels(tmp_path: Path) -> None:
    lake = lake_with_pixels(tmp_path)
    path = write_geojson(
        tmp_path / "r.geojson",
        [
            ({"id": 1, "name": " The  country ", "level": 0}, polygon(box(10, 49, 11, 50))),
            ({"id": 2, "name": "Province", "level": 1}, polygon(box(10, 49.5, 10.5, 50))),
            ({"id": 3, "name": "Basin", "level": 1}, polygon(box(10.3, 49.4, 10.8, 49.9))),
        ],
    )
    report = load_regions(path, "nested", lake, id_column="id", name_column="name", level_column="level")
    assert report.n_regions == 3 and not report.repaired and not report.ignored
    regions = pq.read_table(lake.region_path("nested")).to_pylist()
    assert [(r["region_id"], r["name"], r["level"]) for r in regions] == [
        ("1", "The country", 0), ("2", "Province", 1), ("3", "Basin", 1),
    ]  # fmt: skip
    found = fractions(lake, "nested")
    assert {k: len(v) for k, v in found.items()} == {"1": 100, "2": 25, "3": 25}
    assert all(set(v.values()) == {1.0} for v in found.values())
    assert set(found["2"]) < set(found["1"]) and len(set(found["2"]) & set(found["3"])) == 8


def test_holes_and_several_parts(tmp_path: Path) -> None:
    lake = lake_with_pixels(tmp_path)
    lake_in_lake = polygon(box(10, 49, 11, 50, hole=(10.2, 49.2, 10.45, 49.5)))
    parts = {"type": "MultiPolygon", "coordinates": [box(10, 49, 10.2, 49.2), box(10.5, 49.5, 10.75, 49.6)]}
    path = write_geojson(tmp_path / "r.geojson", [({"id": "hole"}, lake_in_lake), ({"id": "parts"}, parts)])
    load_regions(path, "shapes", lake, id_column="id")
    found = fractions(lake, "shapes")
    assert at(10.25, 49.35) not in found["hole"] and abs(found["hole"][at(10.45, 49.35)] - 0.5) < 1e-12
    assert len(found["hole"]) == 100 - 6
    assert len(found["parts"]) == 4 + 3 and abs(found["parts"][at(10.75, 49.55)] - 0.5) < 1e-12


def test_only_pixels_that_are_there_are_listed(tmp_path: Path) -> None:
    lake = Lake(tmp_path).init()
    add_pixels(lake, GRID, np.array([at(10.05, 49.95), at(10.25, 49.95), at(50.0, 0.0)]), "none")
    path = write_geojson(tmp_path / "r.geojson", [({"id": "a"}, polygon(box(10, 49, 11, 50)))])
    load_regions(path, "few", lake, id_column="id")
    assert sorted(fractions(lake, "few")["a"]) == [at(10.05, 49.95), at(10.25, 49.95)]


def star(lon: float, lat: float, size: float, points: int = 60, inner: float = 0.4, turn: float = 0.3) -> np.ndarray:
    angle = np.linspace(0, 2 * np.pi, 2 * points, endpoint=False) + turn
    radius = size * np.where(np.arange(2 * points) % 2, inner, 1.0)
    ring = np.stack([lon + radius * np.cos(angle), lat + 0.7 * radius * np.sin(angle)], axis=1)
    return np.concatenate([ring, ring[:1]])


def covering(grid: Grid, west: float, south: float, east: float, north: float) -> np.ndarray:
    """All pixels of a grid around a box."""
    t = np.linspace(0, 1, 50)
    lon = np.concatenate([west + t * (east - west)] * 2 + [np.full(50, west), np.full(50, east)])
    lat = np.concatenate([np.full(50, south), np.full(50, north)] + [south + t * (north - south)] * 2)
    x, y = grid.xy_of_lonlat(lon, lat)
    col = np.clip((np.array([x.min(), x.max()]) - grid.left) / grid.cell_width, 0, grid.n_cols - 1).astype(int)
    row = np.clip((grid.top - np.array([y.max(), y.min()])) / grid.cell_height, 0, grid.n_rows - 1).astype(int)
    window = Window(row[0], col[0], row[1] - row[0] + 1, col[1] - col[0] + 1)
    return grid.window_pixel_ids(window).ravel().astype(np.int64)


CLOSURE_GRIDS = [
    GRIDS["latlon_0p25"],
    GRIDS["latlon_0p05"],
    GRIDS["era5_land_0p1"],
    GRIDS["ease2_m36"],
    GRIDS["ease2_m09"],
    GRIDS["modis_sin_1km"],
    Grid("utm", "EPSG:32633", 0, 6_000_000, 10_000, 10_000, 110, 110),
    Grid("laea", "EPSG:3035", 3_900_000, 3_400_000, 25_000, 25_000, 55, 55),
]


@pytest.mark.parametrize("grid", CLOSURE_GRIDS, ids=lambda g: g.grid_id)
def test_fractions_times_areas_are_the_regions_area(grid: Grid) -> None:
    polygons = [[star(13, 47.5, 2.5), star(13, 47.5, 0.6)[::-1]], [star(15.8, 46.2, 0.3)]]
    pixels = covering(grid, 10, 45, 17, 50)
    ids, fraction = covered_fractions(polygons, grid, pixels)
    assert ids.size and (np.diff(ids) > 0).all() and ((fraction > 0) & (fraction <= 1)).all()
    total = float((grid.area_km2(*grid.row_col(ids)) * fraction).sum())
    assert abs(total / area_km2(polygons) - 1) < 1e-6


@settings(max_examples=25, deadline=None)
@given(
    st.floats(-170, 170),
    st.floats(-70, 70),
    st.floats(0.3, 6),
    st.integers(2, 40),
    st.floats(0.1, 0.9),
    st.floats(0, 6),
)
def test_closure_anywhere_on_global_grids(lon, lat, size, points, inner, turn) -> None:
    polygons = [[star(lon, lat, size, points, inner, turn)]]
    for name in ("latlon_0p25", "ease2_m36"):
        grid = GRIDS[name]
        box_of = (lon - size - 1, max(-82, lat - size - 1), lon + size + 1, min(82, lat + size + 1))
        west, east = max(-180, box_of[0]), min(180, box_of[2])
        pixels = covering(grid, west, box_of[1], east, box_of[3])
        if lon - size < -180 or lon + size > 180:
            pixels = grid.window_pixel_ids(grid.window).ravel().astype(np.int64)
        ids, fraction = covered_fractions(polygons, grid, pixels)
        total = float((grid.area_km2(*grid.row_col(ids)) * fraction).sum())
        assert abs(total / area_km2(polygons) - 1) < 1e-6


def test_fractions_are_those_of_geos() -> None:
    """DuckDB's own intersection, cell by cell, in the plane of an equal-area grid."""
    grid = Grid("plane", "EPSG:6933", 800_000, 5_800_000, 25_000, 25_000, 60, 60)
    ring = star(13, 47.5, 2.5)
    polygons = [[ring, star(13, 47.5, 0.6)[::-1]]]
    ids, fraction = covered_fractions(polygons, grid, np.arange(3600))
    assert ids.size > 100
    plane = [[np.stack(grid.xy_of_lonlat(*densify(r).T), axis=1) for r in polygons[0]]]
    west, south, east, north = grid.edges_of(*grid.row_col(np.arange(3600)))
    cells = pa.table({"pixel": np.arange(3600), "w": west, "s": south, "e": east, "n": north})
    with spatial_connection() as connection:
        connection.register("cells", cells)
        truth = connection.execute(
            """select pixel, st_area(st_intersection(st_makeenvelope(w, s, e, n), st_geomfromwkb(?))) / 625e6 as f
               from cells where f > 1e-9 order by pixel""",
            [wkb_of_rings(plane)],
        ).fetchnumpy()
    np.testing.assert_array_equal(truth["pixel"], ids)
    np.testing.assert_allclose(fraction, truth["f"], atol=1e-11)


def test_long_edges_follow_the_parallel() -> None:
    """A box 40 degrees wide on a projected grid: its southern edge is a curve there."""
    grid = Grid("laea", "EPSG:3035", 2_600_000, 5_000_000, 20_000, 20_000, 180, 200)
    polygons = rings_of_wkb(wkb_of_rings([[np.array(box(-10, 40, 30, 50)[0], float)]]))
    pixels = np.arange(grid.n_pixels)
    ids, fraction = covered_fractions(polygons, grid, pixels)
    row, col = grid.row_col(pixels)
    lon, lat = grid.lonlat_of(row, col)
    inside = (lon > -10) & (lon < 30) & (lat > 40) & (lat < 50)
    # centres inside have more than nothing, and deep inside everything
    deep = (lon > -9.5) & (lon < 29.5) & (lat > 40.3) & (lat < 49.7)
    assert set(pixels[deep]) <= set(ids[fraction == 1.0])
    assert abs(fraction.sum() - inside.sum()) < 0.002 * inside.sum()


def test_the_antimeridian(tmp_path: Path) -> None:
    """Fiji: two parts as RFC 7946 wants them, and one part beyond 180, are the same."""
    split = {"type": "MultiPolygon", "coordinates": [box(178, -18, 180, -16), box(-180, -18, -179, -16)]}
    path = write_geojson(
        tmp_path / "r.geojson",
        [({"id": "split"}, split), ({"id": "beyond"}, polygon(box(178, -18, 181, -16)))],
    )
    for name in ("era5_land_0p1", "latlon_0p25", "ease2_m36"):
        grid = GRIDS[name]
        rows = np.arange(grid.locate([0], [-14], None)[0][0], grid.locate([0], [-20], None)[0][0])
        pixels = grid.pixel_id(rows[:, None], np.arange(grid.n_cols)[None]).ravel().astype(np.int64)
        lake = Lake(tmp_path / name).init()
        add_pixels(lake, grid, pixels, "none")
        load_regions(path, "fiji", lake, id_column="id")
        found = fractions(lake, "fiji", name)
        assert found["split"].keys() == found["beyond"].keys()
        np.testing.assert_allclose(list(found["split"].values()), list(found["beyond"].values()), atol=1e-9)
        area = pl.from_arrow(pq.read_table(lake.region_path("fiji")))["area_km2"]
        total = sum(float(grid.area_km2(*grid.row_col(p))) * f for p, f in found["split"].items())
        assert abs(total / area[0] - 1) < 1e-9 and abs(area[1] / area[0] - 1) < 1e-12


def test_a_region_around_a_pole_on_a_polar_grid() -> None:
    grid = Grid("north", "EPSG:3995", -1_500_000, 1_500_000, 50_000, 50_000, 60, 60)
    polygons = rings_of_wkb(wkb_of_rings([[np.array(box(-180, 80, 180, 90)[0], float)]]))
    ids, fraction = covered_fractions(polygons, grid, np.arange(grid.n_pixels))
    total = float((grid.area_km2(*grid.row_col(ids)) * fraction).sum())
    # a stereographic projection is not equal-area, and its scale changes inside a 50 km cell
    assert abs(total / area_km2(polygons) - 1) < 2e-5
    assert grid.pixel_id(30, 30) in ids


# -- formats ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("ending", "driver"), [(".geojson", "GeoJSON"), (".gpkg", "GPKG"), (".shp", "ESRI Shapefile")])
def test_three_formats_give_the_same(tmp_path: Path, ending: str, driver: str) -> None:
    lake = lake_with_pixels(tmp_path / "lake")
    path = tmp_path / f"areas{ending}"
    with spatial_connection() as connection:
        connection.execute(
            f"""copy (select * from (values
                  ('a', 'North', 1, st_geomfromtext('POLYGON ((10 49.5, 10.55 49.5, 10.55 50, 10 50, 10 49.5))')),
                  ('b', 'South', 2, st_geomfromtext('POLYGON ((10 49, 10.55 49, 10.55 49.5, 10 49.5, 10 49))')))
                  as t(code, title, rank, geom))
                to '{path}' with (format gdal, driver '{driver}', srs 'EPSG:4326')"""
        )
    report = load_regions(path, "areas", lake, id_column="code", name_column="TITLE", level_column="rank")
    assert report.n_regions == 2
    regions = pq.read_table(lake.region_path("areas")).to_pylist()
    assert [(r["region_id"], r["name"], r["level"]) for r in regions] == [("a", "North", 1), ("b", "South", 2)]
    found = fractions(lake, "areas")
    assert {k: len(v) for k, v in found.items()} == {"a": 30, "b": 30}
    assert abs(found["a"][at(10.55, 49.75)] - 0.5) < 1e-9
    with spatial_connection() as connection:  # what is kept is what PostGIS and DuckDB read
        (text,) = connection.execute(
            "select st_geometrytype(st_geomfromwkb(?))::varchar", [regions[0]["geometry_wkb"]]
        ).fetchone()
    assert text == "MULTIPOLYGON"


def test_another_projection_is_brought_to_degrees_with_its_edges(tmp_path: Path) -> None:
    """A 200 km square of UTM: its corners alone, in degrees, would miss 1e-3 of its area."""
    path = tmp_path / "square.gpkg"
    with spatial_connection() as connection:
        connection.execute(
            f"""copy (select 'sq' as id, st_geomfromtext('POLYGON ((600000 5300000, 800000 5300000, 800000 5500000, 600000 5500000, 600000 5300000))') as geom)
                to '{path}' with (format gdal, driver 'GPKG', srs 'EPSG:32633')"""
        )
    grid = Grid("utm", "EPSG:32633", 500_000, 5_600_000, 10_000, 10_000, 40, 40)
    lake = Lake(tmp_path / "lake").init()
    lake.register_grid(grid)
    add_pixels(lake, grid, np.arange(grid.n_pixels), "none")
    load_regions(path, "squares", lake, id_column="id")
    found = fractions(lake, "squares", "utm")["sq"]
    whole = {p: f for p, f in found.items() if f > 1e-5}  # a centimetre of a 10 km pixel is 1e-6
    assert len(whole) == 400 and min(whole.values()) > 1 - 1e-5
    assert sum(found.values()) == pytest.approx(400, rel=1e-6)
    area = pq.read_table(lake.region_path("squares"))["area_km2"][0].as_py()
    assert area == pytest.approx(float(grid.area_km2(*grid.row_col(list(whole))).sum()), rel=1e-6)


def test_invalid_polygons_are_repaired(tmp_path: Path) -> None:
    bow_tie = [[[10, 49], [11, 50], [11, 49], [10, 50], [10, 49]]]
    path = write_geojson(
        tmp_path / "r.geojson",
        [({"id": "tie"}, polygon(bow_tie)), ({"id": "pt"}, {"type": "Point", "coordinates": [10, 49]})],
    )
    lake = lake_with_pixels(tmp_path / "lake")
    report = load_regions(path, "ties", lake, id_column="id")
    assert report.repaired == ["tie"] and report.ignored == 1 and report.n_regions == 1
    found = fractions(lake, "ties")["tie"]
    assert at(10.05, 49.55) in found and at(10.45, 49.05) not in found
    # both wings, each a triangle of a quarter of the square
    assert abs(sum(found.values()) - 50) < 0.2


def test_rings_may_turn_either_way(tmp_path: Path) -> None:
    lake = lake_with_pixels(tmp_path / "lake")
    ring = box(10, 49, 10.5, 49.5)[0]
    path = write_geojson(tmp_path / "r.geojson", [({}, polygon([ring])), ({}, polygon([ring[::-1]]))])
    load_regions(path, "turns", lake)
    found = fractions(lake, "turns")
    assert found["1"] == found["2"] and len(found["1"]) == 25
    assert pq.read_table(lake.region_path("turns"))["name"].to_pylist() == ["1", "2"]


# -- errors -------------------------------------------------------------------------------------------------------------


def _refused(path: Path, lake: Lake, said: str, **columns) -> None:
    before = digests(lake.root)
    with pytest.raises(BadFile) as error:
        load_regions(path, "areas", lake, **columns)
    assert said in error.value.reason, error.value.reason
    assert str(path.parent) not in error.value.reason
    assert digests(lake.root) == before


def test_files_that_hold_no_regions_are_refused_in_words(tmp_path: Path) -> None:
    lake = lake_with_pixels(tmp_path / "lake")
    good = [({"id": 1, "name": "x", "level": "one"}, polygon(box(10, 49, 11, 50)))]
    (tmp_path / "empty.geojson").write_bytes(b"")
    (tmp_path / "text.geojson").write_text("hello")
    (tmp_path / "text.gpkg").write_text("hello")
    (tmp_path / "alone.shp").write_bytes(b"\0" * 100)
    (tmp_path / "table.csv").write_text("a,b\n1,2\n")
    _refused(tmp_path / "empty.geojson", lake, "is empty")
    _refused(tmp_path / "text.geojson", lake, "damaged, or not what its name says")
    _refused(tmp_path / "text.gpkg", lake, "damaged, or not what its name says")
    _refused(tmp_path / "alone.shp", lake, ".shx and .dbf")
    _refused(tmp_path / "table.csv", lake, "is no .geojson")
    _refused(tmp_path / "missing.geojson", lake, "no such file")
    points = [({"id": 1}, {"type": "Point", "coordinates": [10, 49]}), ({"id": 2}, None)]
    _refused(write_geojson(tmp_path / "points.geojson", points), lake, "has no polygons: its 2 features are point")
    _refused(write_geojson(tmp_path / "none.geojson", []), lake, "has no polygons: it has no features")
    path = write_geojson(tmp_path / "good.geojson", good)
    _refused(path, lake, "has no column 'nmae'. Nearest: name.", name_column="nmae")
    _refused(path, lake, "has no column 'province'. Known: id, level, name.", id_column="province")
    _refused(path, lake, "'one', not a whole number", level_column="level")
    twice = write_geojson(tmp_path / "twice.geojson", good * 2)
    _refused(twice, lake, "for features 1 and 2", id_column="id")
    far = write_geojson(tmp_path / "far.geojson", [({"id": 1}, polygon(box(500_000, 100, 600_000, 200)))])
    _refused(far, lake, "is its projection right?")
    with pytest.raises(LakeError, match="lower-case"):
        load_regions(path, "My regions", lake)


def test_a_layer_must_be_said_when_there_are_several(tmp_path: Path) -> None:
    import sqlite3

    path = tmp_path / "two.gpkg"
    with spatial_connection() as connection:
        connection.execute(
            f"""copy (select 1 as id, st_geomfromtext('POLYGON ((10 49, 11 49, 11 50, 10 49))') as geom)
                to '{path}' with (format gdal, driver 'GPKG', srs 'EPSG:4326', layer_name 'rivers')"""
        )
    with sqlite3.connect(path) as database:  # a second layer, as GeoPackage keeps it
        (statement,) = database.execute("select sql from sqlite_master where name = 'rivers'").fetchone()
        database.execute(statement.replace('"rivers"', '"basins"'))
        database.execute("insert into basins select * from rivers")
        for table in ("gpkg_contents", "gpkg_geometry_columns"):
            columns = [c[1] for c in database.execute(f"pragma table_info({table})")]
            chosen = ", ".join("'basins'" if c in ("table_name", "identifier") else c for c in columns)
            database.execute(f"insert into {table} select {chosen} from {table} where table_name = 'rivers'")
    lake = lake_with_pixels(tmp_path / "lake")
    _refused(path, lake, "has 2 layers")
    _refused(path, lake, "has no layer 'basin'. Nearest: basins.", layer="basin")
    assert load_regions(path, "basins", lake, layer="basins").n_regions == 1


# -- keeping up to date -------------------------------------------------------------------------------------------------


def test_membership_follows_regions_and_pixels(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    path = write_geojson(tmp_path / "r.geojson", [({"id": "a"}, polygon(box(10, 49, 11, 50)))])
    load_regions(path, "areas", lake, id_column="id")
    assert not lake.pixel_region_path("areas", "latlon_0p1").exists()  # no pixels yet
    product = daily_product()
    load(product, [write_tif(tmp_path / "in/area_20200101.tif", some_map(1))], lake)
    first = fractions(lake, "areas")["a"]
    assert first and refresh_membership(lake) == []
    load(product, [write_tif(tmp_path / "in/area_20200102.tif", some_map(2))], lake)
    assert set(first) < set(fractions(lake, "areas")["a"])
    write_geojson(path, [({"id": "a"}, polygon(box(10, 49.8, 11, 50)))])
    assert load_regions(path, "areas", lake, id_column="id").changed
    assert 0 < len(fractions(lake, "areas")["a"]) <= 16
    before = digests(lake.root)
    assert not load_regions(path, "areas", lake, id_column="id").changed
    assert digests(lake.root) == before and leftovers(lake) == []
    # a damaged membership is made anew, one of a set that is gone is removed
    lake.pixel_region_path("areas", "latlon_0p1").write_bytes(b"broken")
    assert refresh_membership(lake) == [("areas", "latlon_0p1")]
    assert digests(lake.root) == before
    lake.region_path("areas").unlink()
    refresh_membership(lake)
    assert region_sets(lake) == [] and not lake.pixel_region_path("areas", "latlon_0p1").exists()
