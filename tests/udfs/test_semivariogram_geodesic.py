"""Semivariograms at true distances: each way against geodesics by pyproj, on the grids that products come on."""

from __future__ import annotations

import numpy as np
import pytest
from pyproj import Proj

from tests.udfs.map_arrays import GEOD, brute, doubles, gappy, ours, pairs_on_earth, placed, whole
from udfs import earth_pairs
from udfs.earth_pairs import Cells, add_cells, cylindrical, local_lattice, regridded
from udfs.geodesic import SHORT_M, distances, sphere
from udfs.lags import by_distance
from udfs.semivariogram import semivariogram, semivariogram_geodesic, semivariogram_map

EASE2 = Proj("EPSG:6933")
SINUSOIDAL = Proj(proj="sinu", R=6371007.181)
UTM = Proj("EPSG:32647")


def run(fields, cutoff, n_bins=10):
    return semivariogram_geodesic(placed(fields), doubles(cutoff), whole(n_bins))[0].as_py()


def on(fields, project, left, top, cell):
    """The fields with the longitude and latitude of their cells."""
    lon, lat = project(left + cell * fields["col_index"], top - cell * fields["row_index"], inverse=True)
    return fields | {"lon": lon, "lat": lat}


def in_degrees(fields, west, north, step):
    return fields | {
        "lon": (west + step * fields["col_index"] + 180) % 360 - 180,
        "lat": north - step * fields["row_index"],
    }


def cells_of(fields):
    return Cells(*(fields[name] for name in ("row_index", "col_index", "lon", "lat", "v")))


@pytest.mark.parametrize("span", [0.001, 0.1, 5.0, 60.0])
def test_distances_are_those_of_the_ellipsoid(span):
    rng = np.random.default_rng(0)
    lon, lat = rng.uniform(-180, 180, 2000), rng.uniform(-75, 75, 2000)
    lon_2, lat_2 = lon + rng.uniform(-span, span, 2000), np.clip(lat + rng.uniform(-span, span, 2000), -89, 89)
    _, _, expected = GEOD.inv(lon, lat, lon_2, lat_2)
    ours_m, _, _ = metres = np.empty((3, 2000))
    ends = sphere(lon_2, lat_2)
    for i, start in enumerate(zip(*sphere(lon, lat), strict=True)):
        one = slice(i, i + 1)
        distances(*start, *(part[one] for part in ends), expected.max() < SHORT_M, *(part[one] for part in metres))
    assert ours_m == pytest.approx(expected, rel=2e-6)


@pytest.mark.parametrize(
    ("place", "cutoff"),
    [
        (lambda f: in_degrees(f, 100, 40, 0.05), 40_000.0),
        (lambda f: in_degrees(f, 20, 75, 0.5), 250_000.0),
        (lambda f: in_degrees(f, 179.2, 10, 0.1), 90_000.0),  # across the 180th meridian
        (lambda f: in_degrees(f, -180, 60, 12.0), 4_000_000.0),  # round the earth
        (lambda f: on(f, EASE2, 9_640_000.0, 4_560_000.0, 1000.9), 9_000.0),
    ],
    ids=["0.05 degree", "far north", "180th meridian", "round the earth", "EASE-Grid 2.0"],
)
def test_rows_of_parallels_and_meridians(monkeypatch, place, cutoff):
    monkeypatch.setattr(earth_pairs, "NS_A_PAIR", 1e12)
    monkeypatch.setattr(earth_pairs, "add_points", None)
    fields = place(gappy(np.random.default_rng(1), 10, 30))
    assert_same_as_geodesics(fields, cutoff, rel=3e-6)


@pytest.mark.parametrize(
    "place",
    [
        lambda f: in_degrees(f, 100, 40, 0.05),
        lambda f: on(f, SINUSOIDAL, 8_600_000.0, 4_300_000.0, 5000.0),
        lambda f: in_degrees(f, 100, 40, 0.05) | {"row_index": np.full(len(f["v"]), np.nan)},
    ],
    ids=["a grid", "sinusoidal", "no grid"],
)
def test_points(monkeypatch, place):
    monkeypatch.setattr(earth_pairs, "NS_A_PAIR", 0.0)
    monkeypatch.setattr(earth_pairs, "add_row_pairs", None)
    assert_same_as_geodesics(place(gappy(np.random.default_rng(2), 15, 20)), 60_000.0, rel=3e-6)


def test_points_of_one_row_each_are_no_grid():
    rng = np.random.default_rng(3)
    n = 200
    fields = {
        "row_index": np.arange(n),
        "col_index": np.zeros(n),
        "lon": rng.uniform(10, 12, n),
        "lat": rng.uniform(50, 51, n),
        "v": rng.normal(size=n),
    }
    assert (
        cylindrical(cells_of({k: np.asarray(v) for k, v in fields.items()} | {"col_index": np.zeros(n, int)})) is None
    )
    assert_same_as_geodesics(fields, 50_000.0, rel=3e-6)


def assert_same_as_geodesics(fields, cutoff, rel, n_bins=10):
    """Counts are exact where no pair lies within `rel` of a border: a geodesic that far off may fall on its other side."""
    upper = cutoff * np.arange(1, n_bins + 1) / n_bins
    pairs = pairs_on_earth(fields)
    got, expected = ours(run(fields, cutoff, n_bins)), brute(pairs, upper)
    near = sum((np.abs(pairs[0] / limit - 1) < rel).sum() for limit in upper)
    # The mean of both azimuths: Napier's is exact on the sphere, to 0.01 degree here.
    askew = (np.abs((pairs[1] + 22.5) % 45 - 45 * ((pairs[1] + 22.5) % 45 > 22.5)) < 0.05).sum()
    for key, (lag, n, gamma) in expected.items():
        slack = near if key[0] == "all" else near + askew
        assert abs(got[key][1] - n) <= slack, key
        if slack == 0:
            assert got[key][0] == pytest.approx(lag, rel=rel)
            assert got[key][2] == pytest.approx(gamma, rel=1e-9)
        else:
            assert got[key][0] == pytest.approx(lag, rel=0.02)
    every = [key for key in expected if key[0] == "all"]
    assert abs(sum(got[key][1] for key in every) - sum(expected[key][1] for key in every)) <= near
    total = sum(got[key][1] for key in every)
    assert sum(n for (direction, _), (_, n, _) in got.items() if direction != "all") == total


def test_rows_and_points_agree_to_the_last_digits(monkeypatch):
    fields = on(gappy(np.random.default_rng(4), 40, 50), EASE2, 9_640_000.0, 4_560_000.0, 1000.9)
    found = []
    for cost in (0.0, 1e12):
        monkeypatch.setattr(earth_pairs, "NS_A_PAIR", cost)
        found.append(ours(run(fields, 18_000.0)))
    assert found[0].keys() == found[1].keys()
    for key, (lag, n, gamma) in found[0].items():
        assert found[1][key][1] == n
        assert found[1][key][0] == pytest.approx(lag, rel=1e-10)
        assert found[1][key][2] == pytest.approx(gamma, rel=1e-9)


def test_a_metric_grid_is_transformed_with_its_own_steps(monkeypatch):
    fields = on(gappy(np.random.default_rng(5), 40, 40), UTM, 700_000.0, 4_300_000.0, 1000.0)
    assert cylindrical(cells_of(fields)) is None
    lattice, error = local_lattice(cells_of(fields))
    assert 0 < error < 0.002
    # Away from the zone's meridian its north is not north: the directions are the true ones.
    convergence = UTM.get_factors(fields["lon"].mean(), fields["lat"].mean()).meridian_convergence
    assert convergence > 1.5
    assert np.degrees(np.arctan2(lattice.col_step[1], lattice.col_step[0])) == pytest.approx(-convergence, abs=0.02)
    monkeypatch.setattr(earth_pairs, "FEW", 100)
    monkeypatch.setattr(earth_pairs, "regridded", None)
    monkeypatch.setattr(earth_pairs, "add_points", None)
    # Borders half-way between lags, so that 0.1 % does not move thousands of equal ones over them.
    got, expected = ours(run(fields, 12_340.0)), brute(pairs_on_earth(fields), 12_340.0 * np.arange(1, 11) / 10)
    for key, (lag, n, gamma) in expected.items():
        assert got[key][1] == pytest.approx(n, rel=0.03)
        assert got[key][0] == pytest.approx(lag, rel=0.005)
        assert got[key][2] == pytest.approx(gamma, rel=0.02)


def smooth(lon, lat):
    x, y = 111.2 * (lon - 104) * np.cos(np.radians(38)), 111.2 * (lat - 38)
    return np.sin(x / 30) + np.cos(y / 45) + np.sin((x + 2 * y) / 150)


@pytest.fixture(scope="module")
def oblique():
    """A tile-wide strip of the sinusoidal grid, far from its meridian, where rows slide against each other ever faster."""
    fields = gappy(np.random.default_rng(6), 75, 75, share=0.9)
    fields = on(fields, SINUSOIDAL, 8_900_000.0, 4_500_000.0, 5000.0)
    return fields | {"v": smooth(fields["lon"], fields["lat"])}


def test_an_oblique_grid_is_regridded_first(monkeypatch, oblique):
    cells = cells_of(oblique)
    assert cylindrical(cells) is None
    assert local_lattice(cells)[1] > 0.01
    lattice = regridded(cells)
    # As many cells as before, of the same area, and the holes are still holes.
    assert len(lattice.v) == pytest.approx(len(cells.v), rel=0.02)
    assert lattice.col_step[0] == pytest.approx(5000.0, rel=0.01)
    expected = ours(run(oblique | {"row_index": np.full(len(oblique["v"]), np.nan)}, 120_000.0))  # point by point
    monkeypatch.setattr(earth_pairs, "FEW", 100)
    monkeypatch.setattr(earth_pairs, "add_points", None)
    got = ours(run(oblique, 120_000.0))
    for key, (lag, n, gamma) in expected.items():
        if key[1] < 4:  # at lags of few cells the nearest value lies a good part of the lag off
            continue
        assert got[key][0] == pytest.approx(lag, rel=0.02)
        assert got[key][1] == pytest.approx(
            n, rel=0.15
        )  # lags of one lattice lie on other sides of a border than another's
        assert got[key][2] == pytest.approx(gamma, rel=0.05)
    totals = [sum(n for (direction, _), (_, n, _) in found.items() if direction == "all") for found in (got, expected)]
    assert totals[0] == pytest.approx(totals[1], rel=0.02)
    # The same with the grid's own metres is another semivariogram.
    plain = semivariogram(placed_as_cells(oblique), doubles(5000.0), doubles(5000.0), doubles(120_000.0), whole(10))[
        0
    ].as_py()
    worst = max(
        abs(ours(plain)[key][2] / gamma - 1) for key, (_, _, gamma) in expected.items() if key[0] in ("45", "135")
    )
    assert worst > 0.3


def placed_as_cells(fields):
    from tests.udfs.map_arrays import cells

    return cells({name: fields[name] for name in ("row_index", "col_index", "v")})


def test_what_is_no_grid_at_all_is_looked_at_point_by_point(monkeypatch):
    """Rows and columns that say nothing about the place: no way but the exact one may be taken."""
    rng = np.random.default_rng(7)
    n = 300
    fields = {
        "row_index": rng.permutation(n),
        "col_index": rng.permutation(n),
        "lon": rng.uniform(10, 12, n),
        "lat": rng.uniform(50, 51, n),
        "v": rng.normal(size=n),
    }
    monkeypatch.setattr(earth_pairs, "FEW", 100)
    assert_same_as_geodesics(fields, 50_000.0, rel=3e-6)


def test_nothing_is_sampled():
    """More cells than are looked at one by one, on every kind of grid: all of their pairs."""
    row, col = (part.ravel() for part in np.indices((80, 80)))
    fields = {"row_index": row, "col_index": col, "v": np.sin(row / 9) + np.cos(col / 7)}
    for placed_fields in (on(fields, UTM, 480_000.0, 4_300_000.0, 1000.0), in_degrees(fields, 100, 40, 0.01)):
        sums = by_distance(np.array([1e6]))
        add_cells(sums, cells_of(placed_fields))
        assert sums.pairs.sum() == 6400 * 6399 / 2


def test_a_variogram_map_shows_the_direction():
    """Stripes from south-west to north-east: alike along them, unlike across."""
    row, col = (part.ravel() for part in np.indices((25, 25)))
    fields = in_degrees({"row_index": row, "col_index": col, "v": np.sin((row + col) / 2.5)}, 100, 0.12, 0.01)
    squares = semivariogram_map(placed(fields), doubles(8000.0), whole(8))[0].as_py()
    gamma = {(round(s["lag_east_m"] / 1000), round(s["lag_north_m"] / 1000)): s for s in squares}
    assert gamma[4, 4]["semivariance"] < 0.05 < 0.5 < gamma[4, -4]["semivariance"]
    for (east, north), square in gamma.items():
        assert gamma[-east, -north]["n_pairs"] == square["n_pairs"]
        assert gamma[-east, -north]["semivariance"] == square["semivariance"]
    i, j = np.triu_indices(row.size, 1)
    azimuth, _, metres = GEOD.inv(fields["lon"][i], fields["lat"][i], fields["lon"][j], fields["lat"][j])
    e, n = metres * np.sin(np.radians(azimuth)), metres * np.cos(np.radians(azimuth))
    square = (fields["v"][i] - fields["v"][j]) ** 2
    for east, north in ((0, 3), (-2, 4), (7, 1)):
        inside = (np.rint(e / 1000) == east) & (np.rint(n / 1000) == north)
        inside |= (np.rint(-e / 1000) == east) & (np.rint(-n / 1000) == north)
        assert gamma[east, north]["n_pairs"] == inside.sum()
        assert gamma[east, north]["semivariance"] == pytest.approx(square[inside].mean() / 2, rel=1e-9)


def test_nulls():
    fields = in_degrees(gappy(np.random.default_rng(8), 6, 6), 100, 40, 0.01)
    column = placed(fields, None, {name: values[:1] for name, values in fields.items()}, fields)
    done = semivariogram_geodesic(column, doubles(4000.0, 4000.0, 4000.0, None), whole(4, 4, 4, 4)).to_pylist()
    assert done[0] == run(fields, 4000.0, 4) and done[1:] == [None] * 3
    hidden = fields | {"lon": np.where(np.arange(len(fields["v"])) == 3, np.nan, fields["lon"])}
    rest = {name: np.delete(values, 3) for name, values in fields.items()}
    assert run(hidden, 4000.0, 4) == run(rest, 4000.0, 4)
    assert semivariogram_map(column, doubles(4000.0, 1.0, 1.0, None), whole(4, 4, 4, 4)).to_pylist()[1:] == [None] * 3
