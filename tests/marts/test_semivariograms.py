"""The marts of semivariograms and QQ points over generated maps, against geodesics by pyproj, scipy and numpy written out."""

from __future__ import annotations

import hashlib
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import scipy.stats

from tests.udfs.map_arrays import GEOD, brute, pairs_on_earth
from tests.warehouse import Warehouse, small_grid

START, END = date(2020, 1, 1), date(2020, 4, 1)
N_ROWS, N_COLS, N_BINS = 14, 16, 6
MODELS = (
    "int_semivariogram_input",
    "fct_semivariogram_bins",
    "fct_semivariogram_models",
    "fct_semivariogram_map",
    "fct_qq_points",
)
KEY = ["region_id", "month"]


@pytest.fixture(scope="module")
def grid() -> pl.DataFrame:
    """Across the 180th meridian: a box of least and largest longitudes would go round the earth."""
    east = pl.col("lon") + 79.93
    return small_grid(N_ROWS, N_COLS).with_columns(lon=pl.when(east > 180).then(east - 360).otherwise(east))


@pytest.fixture(scope="module")
def values() -> pl.DataFrame:
    """A map a month with holes; the second has a constant value, the third few pixels."""
    rng = np.random.default_rng(0)
    row, col = (part.ravel() for part in np.indices((N_ROWS, N_COLS)))
    parts = []
    for month, share in ((date(2020, 1, 1), 0.9), (date(2020, 2, 1), 0.8), (date(2020, 3, 1), 0.2)):
        rain = np.round(20 + 8 * np.sin(row / 4) + 6 * np.cos(col / 5) + rng.normal(0, 1.5, row.size), 2)
        rain[rng.random(row.size) > share] = -9999
        if month.month == 2:
            rain[rain > 0] = 0.1
        parts.append(
            pl.DataFrame({"pixel_id": pl.Series(range(row.size), dtype=pl.Int32), "obs_date": month, "rain": rain})
        )
    return pl.concat(parts)


def warehouse(root: Path, grid: pl.DataFrame, values: pl.DataFrame, models: tuple[str, ...], **study) -> Warehouse:
    house = Warehouse(root)
    house.grid("g", grid)
    house.product("rain", "g", values, time_step="month", fills={"rain": -9999.0})
    regions = pl.DataFrame(
        {"region_id": ["whole", "south", "point"], "name": ["w", "s", "p"], "level": [0, 1, 1], "area_km2": 1.0}
    )
    inside = {
        "whole": grid["pixel_id"].to_list(),
        "south": grid.filter(pl.col("row_index") >= 8)["pixel_id"].to_list(),
        "point": [100],
    }
    members = [{"region_id": r, "pixel_id": p, "fraction": 1.0} for r, pixels in inside.items() for p in pixels]
    house.regions("basins", "g", regions, pl.DataFrame(members))
    house.study = {
        "name": "generated",
        "groups": ["patterns"],
        "period": {"start": str(START), "end": str(END)},
        "region": {"set": "basins"},
        "series": [
            {"variable": "precipitation", "product": "rain", "column": "rain", "valid_min": 0},
            {"variable": "air_temperature", "product": "rain", "column": "rain", "valid_min": 0},
        ],
        **study,
    }
    house.dbt("build", "--select", *(f"+{model}" for model in models))
    return house


@pytest.fixture(scope="module")
def house(tmp_path_factory, grid, values) -> Warehouse:
    """Everything that can be asked for, with a bound on the range; one of two variables."""
    asked = {"n_bins": N_BINS, "map": True, "range_bound_m": 30_000.0, "variables": ["precipitation"]}
    return warehouse(tmp_path_factory.mktemp("variograms"), grid, values, MODELS, variograms=asked)


def maps(grid: pl.DataFrame, values: pl.DataFrame, house: Warehouse) -> dict[tuple[str, date], dict[str, np.ndarray]]:
    """(region, month) -> the cells of the map."""
    members = house.query("select region_id, pixel_id from intermediate.int_pixel_region")
    joined = (
        values.filter(pl.col("rain") >= 0)
        .with_columns(pl.col("pixel_id").cast(pl.Int64))
        .join(members, on="pixel_id")
        .join(grid.with_columns(pl.col("pixel_id").cast(pl.Int64)), on="pixel_id")
        .sort("pixel_id")
    )
    return {
        key: {
            name: part[source].to_numpy()
            for name, source in (("lon", "lon"), ("lat", "lat"), ("v", "rain"), ("pixel_id", "pixel_id"))
        }
        for key, part in joined.group_by("region_id", "obs_date")
    }


def cutoff_of(grid: pl.DataFrame, first_row: int) -> float:
    inside = grid.filter(pl.col("row_index") >= first_row)
    lon, lat = inside["lon"] % 360, inside["lat"]
    assert lon.min() < 180 < lon.max() < 181
    return GEOD.inv(lon.min(), lat.min(), lon.max(), lat.max())[2] / 3


def test_the_cut_off_is_one_for_a_region(house, grid):
    found = house.query("select distinct region_id, cutoff_m from intermediate.int_semivariogram_input order by all")
    cutoffs = dict(found.rows())
    assert set(cutoffs) == {"south", "whole"}, "one pixel has no pair"
    # On a sphere of the mean radius, 0.3 % from the ellipsoid.
    assert cutoffs["whole"] == pytest.approx(cutoff_of(grid, 0), rel=4e-3)
    assert cutoffs["south"] == pytest.approx(cutoff_of(grid, 8), rel=4e-3)


def test_bins(house, grid, values):
    rows = house.query("select * from marts.fct_semivariogram_bins")
    assert rows["variable"].unique().to_list() == ["precipitation"]
    assert rows["sampling"].unique().to_list() == ["all"]
    assert rows["unit"].unique().to_list() == ["mm"]
    cutoffs = dict(house.query("select distinct region_id, cutoff_m from intermediate.int_semivariogram_input").rows())
    n_maps = 0
    for (region, month), cells in maps(grid, values, house).items():
        got = rows.filter((pl.col("region_id") == region) & (pl.col("month") == month))
        if region == "point":
            assert got.is_empty()
            continue
        upper = cutoffs[region] * np.arange(1, N_BINS + 1) / N_BINS
        pairs = pairs_on_earth(cells)
        assert min(np.abs(pairs[0] / limit - 1).min() for limit in upper) > 2e-6, "no pair within rounding of a border"
        expected = brute(pairs, upper)
        found = {(r["direction"], r["bin"]): r for r in got.iter_rows(named=True)}
        assert found.keys() == expected.keys()
        for key, (lag, n, gamma) in expected.items():
            assert found[key]["n_pairs"] == n
            assert found[key]["lag_m"] == pytest.approx(lag, rel=2e-6)
            assert found[key]["lag_upper_m"] == pytest.approx(upper[key[1] - 1], rel=1e-12)
            assert found[key]["semivariance"] == pytest.approx(gamma, rel=1e-9, abs=1e-12)
            if month.month == 2:
                assert found[key]["semivariance"] == 0
        total = got.filter(pl.col("direction") == "all")["n_pairs"].sum()
        assert total == (pairs[0] <= upper[-1]).sum()
        n_maps += 1
    assert n_maps == 6


def shape(model: str, r: np.ndarray) -> np.ndarray:
    return {
        "linear": r,
        "spherical": np.where(r < 1, 1.5 * r - 0.5 * r**3, 1.0),
        "exponential": 1 - np.exp(-r),
        "gaussian": 1 - np.exp(-(r**2)),
    }[model]


def test_models(house):
    bins = house.query("select * from marts.fct_semivariogram_bins order by bin")
    fits = house.query("select * from marts.fct_semivariogram_models")
    n_curves = bins.group_by(*KEY, "direction").len().filter(pl.col("len") >= 3).height
    assert len(fits) == n_curves * 8
    assert fits["range_bound_m"].unique().to_list() == [30_000.0]
    assert fits.filter(pl.col("is_range_at_bound")).height > 0
    for fit in fits.iter_rows(named=True):
        curve = bins.filter(
            (pl.col("region_id") == fit["region_id"])
            & (pl.col("month") == fit["month"])
            & (pl.col("direction") == fit["direction"])
        )
        h, n, g = (curve[name].to_numpy() for name in ("lag_m", "n_pairs", "semivariance"))
        assert (fit["n_bins"], fit["max_lag_m"]) == (h.size, h.max())
        f = shape(fit["model"], h / fit["range_parameter_m"]) if fit["range_parameter_m"] else np.zeros(h.size)
        residual = g - fit["nugget"] - fit["partial_sill"] * f
        assert fit["rss"] == pytest.approx((residual**2).sum(), rel=1e-7, abs=1e-20)
        weights = np.ones(h.size) if fit["weighting"] == "ols" else n / h**2
        assert fit["weighted_rss"] == pytest.approx(weights @ residual**2, rel=1e-7, abs=1e-20)
        if fit["month"].month == 2:
            assert fit["sill"] == fit["rss"] == 0 and fit["nugget_ratio"] is fit["r2"] is None
            assert fit["is_best"] == (fit["model"] == "linear")
            continue
        # No straight line with a nugget that is not negative does better than the linear model.
        if fit["model"] == "linear":
            root = np.sqrt(weights)
            line = scipy.optimize.nnls(np.column_stack([root, root * h]), root * g)
            assert fit["weighted_rss"] == pytest.approx(line[1] ** 2, rel=1e-9, abs=1e-18)
            assert (fit["nugget"], fit["slope"]) == pytest.approx(tuple(line[0]), rel=1e-7, abs=1e-12)
        elif fit["range_parameter_m"]:
            assert fit["range_parameter_m"] <= 30_000 * (1 + 1e-9)
            assert fit["range_effective_m"] / fit["range_parameter_m"] == pytest.approx(
                {"spherical": 1, "exponential": 3, "gaussian": 3**0.5}[fit["model"]]
            )
    best = fits.filter(pl.col("is_best")).select(*KEY, "direction", "weighting", best="rss")
    assert len(best) == n_curves * 2
    least = fits.group_by(*KEY, "direction", "weighting").agg(least=pl.col("rss").min())
    assert best.join(least, on=[*KEY, "direction", "weighting"]).filter(pl.col("best") != pl.col("least")).is_empty()


def test_map(house, grid, values):
    rows = house.query("select * from marts.fct_semivariogram_map")
    cutoffs = dict(house.query("select distinct region_id, cutoff_m from intermediate.int_semivariogram_input").rows())
    cells = maps(grid, values, house)["whole", date(2020, 1, 1)]
    got = rows.filter((pl.col("region_id") == "whole") & (pl.col("month") == date(2020, 1, 1)))
    side = cutoffs["whole"] / N_BINS
    metres, azimuth, square = pairs_on_earth(cells)
    east, north = (
        np.rint(part / side) for part in (metres * np.sin(np.radians(azimuth)), metres * np.cos(np.radians(azimuth)))
    )
    inside = np.maximum(np.abs(east), np.abs(north)) <= N_BINS
    assert got["n_pairs"].sum() == 2 * inside.sum()
    for r in got.iter_rows(named=True):
        e, n = round(r["lag_east_m"] / side), round(r["lag_north_m"] / side)
        both = ((east == e) & (north == n)).astype(int) + ((east == -e) & (north == -n))
        assert r["n_pairs"] == both.sum()
        assert r["semivariance"] == pytest.approx((both * square).sum() / both.sum() / 2, rel=1e-9)


def test_qq_points(house, grid, values):
    rows = house.query("select * from marts.fct_qq_points where variable = 'precipitation'")
    found = {key: part.sort("probability") for key, part in rows.group_by(*KEY)}
    expected = maps(grid, values, house)
    assert found.keys() == expected.keys()
    sizes = set()
    for key, cells in expected.items():
        n = min(100, cells["v"].size)
        offset = 3 / 8 if n <= 10 else 1 / 2
        p = (np.arange(1, n + 1) - offset) / (n + 1 - 2 * offset)
        theirs = np.sort(cells["v"]) if cells["v"].size <= 100 else np.percentile(cells["v"], 100 * p)
        assert found[key]["probability"].to_list() == pytest.approx(p)
        assert found[key]["sample_quantile"].to_list() == pytest.approx(theirs)
        assert found[key]["normal_quantile"].to_list() == pytest.approx(scipy.stats.norm.ppf(p), abs=1e-12)
        sizes.add(n)
    assert 100 in sizes and 1 in sizes and len(sizes) > 3


def test_a_random_sample_is_the_same_everywhere_and_said(tmp_path, grid, values):
    house = warehouse(
        tmp_path,
        grid,
        values,
        ("fct_semivariogram_bins",),
        sampling={"kind": "random", "n": 60, "seed": 7},
        variograms={"n_bins": N_BINS, "cutoff_m": 12_345.0, "directions": False, "variables": ["precipitation"]},
    )
    drawn = {}
    for region, pixels in house.query("select region_id, pixel_id from intermediate.int_pixel_region").group_by(
        "region_id"
    ):
        digests = {p: hashlib.md5(f"7 {p}".encode()).hexdigest() for p in pixels["pixel_id"]}
        drawn[region[0]] = set(sorted(digests, key=digests.get)[:60])
    sampled = house.query("select region_id, pixel_id from intermediate.int_sampled_pixel")
    assert {key[0]: set(part["pixel_id"]) for key, part in sampled.group_by("region_id")} == drawn
    rows = house.query("select * from marts.fct_semivariogram_bins")
    assert rows["direction"].unique().to_list() == ["all"]
    assert rows["sampling"].unique().to_list() == ["random 60, seed 7"]
    upper = 12_345.0 * np.arange(1, N_BINS + 1) / N_BINS
    for (region, month), cells in maps(grid, values, house).items():
        kept = np.isin(cells["pixel_id"], list(drawn[region]))
        expected = brute(pairs_on_earth({name: part[kept] for name, part in cells.items()}), upper)
        got = rows.filter((pl.col("region_id") == region) & (pl.col("month") == month))
        assert {r["bin"]: r["n_pairs"] for r in got.iter_rows(named=True)} == {
            b: n for (direction, b), (_, n, _) in expected.items() if direction == "all"
        }
