"""Preparation through dbt against numpy, scipy and the definitions written out: grids, frost, water, gaps, composites, smoothing, indices, factors."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from scipy.signal import savgol_filter

from tests.warehouse import Warehouse, small_grid

START, END = date(2020, 1, 1), date(2020, 5, 1)
N = (END - START).days
FINE, COARSE = 36, 4
WATER = 3  # a coarse pixel that is mostly water
KRIGING = {
    "model": "exponential",
    "nugget": 0.1,
    "partial_sill": 1.0,
    "range_parameter_m": 2000.0,
    "n_neighbours": 7,
    "radius_m": 2600.0,
}
EARTH = 6371007.181
SERIES = {"temperature": 1, "class": 2, "moisture": 3, "ndvi": 4, "radar": 5, "index": 6, "kriged": 7, "frost": 8}


@dataclass(frozen=True)
class Prepared:
    """The built warehouse beside what went in: arrays of pixels x days, NaN where there is no value."""

    house: Warehouse
    values: dict[str, np.ndarray]
    fine_to_coarse: np.ndarray  # (coarse, fine)
    coarse_to_fine: np.ndarray  # (fine, coarse)
    static: pl.DataFrame

    def days(self, name: str, n_pixels: int, model: str = "int_daily") -> tuple[np.ndarray, np.ndarray]:
        """(values, is_filled) as arrays of pixels x days."""
        rows = self.house.query(
            f"select pixel_id, obs_date, value, is_filled from intermediate.{model} where series_id = ?", [SERIES[name]]
        )
        assert rows.select(pl.struct("pixel_id", "obs_date").is_duplicated().any()).item() is False
        value, is_filled = np.full((n_pixels, N), np.nan), np.zeros((n_pixels, N), bool)
        at = rows["pixel_id"].to_numpy(), (rows["obs_date"] - START).dt.total_days().to_numpy()
        value[at], is_filled[at] = rows["value"].to_numpy(), rows["is_filled"].to_numpy()
        return value, is_filled


def _rows(value: np.ndarray, **columns: np.ndarray) -> pl.DataFrame:
    """Rows of a daily product: days on which no column has a value are not delivered."""
    pixel, day = np.indices(value.shape)
    frame = pl.DataFrame(
        {
            "pixel_id": pl.Series(pixel.ravel(), dtype=pl.Int32),
            "obs_date": pl.Series([START + timedelta(int(d)) for d in day.ravel()], dtype=pl.Date),
            **{name: np.ravel(v) for name, v in ({"v": value} | columns).items()},
        }
    )
    return frame.filter(pl.col("v").is_not_nan())


def _with_gaps(rng: np.random.Generator, shape: tuple[int, int], share: float) -> np.ndarray:
    value = 0.25 + 0.05 * np.sin(np.arange(shape[1]) / 15) + 0.01 * rng.normal(size=shape)
    value[rng.random(shape) < share] = np.nan
    return value


def _study(mode: str) -> dict:
    def own(variable: str, product: str, **more: object) -> dict:
        return {
            "variable": variable,
            "product": product,
            "column": "v",
            "unit": "1",
            "monthly_statistic": "mean",
        } | more

    return {
        "name": "prepared",
        "title": "Preparation",
        "mode": mode,
        "groups": ["drivers"],
        "period": {"start": START, "end": END},
        "series": [
            own("temperature", "temperature", prepare={"grid": "c", "regrid": "area_mean", "min_covered": 0.6}),
            own("kind_of_day", "kinds", prepare={"grid": "c", "regrid": "mode"}),
            own(
                "soil_moisture",
                "moisture",
                layer="0-5 cm",
                unit="m3 m-3",
                prepare={
                    "grid": "f",
                    "regrid": "bilinear",
                    "max_gap_days": 4,
                    "smoothing": {"half_width": 5, "order": 4},
                },
            ),
            own("evi", "composite", prepare={"composite_days": 8, "max_gap_days": 2}),
            own("backscatter_vv", "radar", unit="dB", prepare={"grid": "c", "centred_mean_days": 6}),
            {
                "variable": "ndvi",
                "product": "bands",
                "columns": {"red": "v", "nir": "nir"},
                "scale": 0.0001,
                "valid_min": -0.01,
                "valid_max": 1.6,
            },
            own("humidity", "temperature", prepare={"grid": "c", "regrid": "kriging", "kriging": KRIGING}),
            own("soil_temperature", "frost", layer="0-7 cm", unit="degC"),
        ],
        "masks": {
            "frozen": {"variable": "soil_temperature", "product": "frost", "layer": "0-7 cm", "below": 0},
            "water": {"product": "land", "column": "cover", "codes": [17], "max_share": 0.05},
        },
        "factors": [
            {
                "factor": "cover",
                "product": "land",
                "column": "cover",
                "kind": "categorical",
                "scheme": "heihe",
                "regrid": "mode",
            },
            {
                "factor": "octant",
                "product": "land",
                "column": "aspect",
                "kind": "categorical",
                "as": "octant",
                "regrid": "mode",
            },
            {"factor": "northness", "product": "land", "column": "aspect", "as": "northness", "regrid": "area_mean"},
            {"factor": "height", "product": "land", "column": "height", "regrid": "area_mean", "min_covered": 0.9},
        ],
        "coverage": {"min_days": 1, "min_dekads": 1},
        "drivers": {"factors": ["height"], "permutations": 0},
    }


MODELS = ["+int_daily", "+int_factor_static"]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    rng = np.random.default_rng(20200101)
    house = Warehouse(tmp_path_factory.mktemp("prepared"))
    house.grid("f", small_grid(6, 6))
    house.grid(
        "c",
        small_grid(2, 2).with_columns(
            lon=100 + 0.01 * (3 * pl.col("col_index") + 1), lat=40 - 0.01 * (3 * pl.col("row_index") + 1)
        ),
    )
    row, col = np.divmod(np.arange(FINE), 6)
    under = 2 * (row // 3) + col // 3
    fine_to_coarse = np.where(np.arange(COARSE)[:, None] == under, rng.uniform(0.5, 1.5, (COARSE, FINE)), 0)
    fine_to_coarse /= fine_to_coarse.sum(axis=1, keepdims=True)
    coarse_to_fine = rng.uniform(0, 1, (FINE, COARSE))
    coarse_to_fine /= coarse_to_fine.sum(axis=1, keepdims=True)

    def pairs(matrix: np.ndarray) -> pl.DataFrame:
        target, source = np.nonzero(matrix)
        return pl.DataFrame({"source_pixel_id": source, "target_pixel_id": target, "weight": matrix[target, source]})

    house.weights("f", "c", pairs(fine_to_coarse), "area_mean")
    house.weights("c", "f", pairs(coarse_to_fine), "bilinear")
    house.weights("c", "f", pl.DataFrame({"source_pixel_id": under, "target_pixel_id": np.arange(FINE)}))

    values = {
        "temperature": _with_gaps(rng, (FINE, N), 0.35),
        "class": np.where(rng.random((FINE, N)) < 0.2, np.nan, rng.integers(1, 4, (FINE, N)).astype(float)),
        "moisture": _with_gaps(rng, (COARSE, N), 0.5),
        "composite": _with_gaps(rng, (FINE, N), 0.0),
        "radar": np.where(
            (rng.random((FINE, N)) < 0.2) | (np.arange(N) % 7 != 3), np.nan, rng.uniform(-20, -8, (FINE, N))
        ),
        "red": rng.integers(200, 3000, (FINE, N)).astype(float),
        "nir": rng.integers(200, 5000, (FINE, N)).astype(float),
        "frost": 4 - 0.1 * np.arange(N) + 6 * np.sin(np.arange(N) / 9) + rng.normal(0, 0.5, (COARSE, N)),
    }
    values["moisture"][1, 40:60] = np.nan
    is_composite = (np.arange(N) % 8 == 0) & (np.arange(N) != 48) & ~((np.arange(N) > 70) & (np.arange(N) < 95))
    values["composite"][:, ~is_composite] = np.nan
    values["red"][2, 5] = -9999  # the fill
    values["red"][3, 6] = 30000  # beyond the range
    house.product("temperature", "f", _rows(values["temperature"]))
    house.product("kinds", "f", _rows(values["class"]))
    house.product("moisture", "c", _rows(values["moisture"]))
    house.product("composite", "f", _rows(values["composite"]))
    house.product("radar", "f", _rows(values["radar"]))
    house.product("bands", "f", _rows(values["red"], nir=values["nir"]), fills={"v": -9999})
    house.product("frost", "c", _rows(values["frost"]))
    # Aspects on the borders of octants too, and flat ground.
    aspect = rng.choice([-1.0, 0.0, 22.4, 22.5, 100.0, 337.4, 337.5, 359.9, 360.0], FINE)
    static = pl.DataFrame(
        {
            "pixel_id": pl.Series(range(FINE), dtype=pl.Int32),
            "cover": np.where(
                (under == WATER) & (np.arange(FINE) % 2 == 0), 17.0, rng.choice([1.0, 5.0, 10.0, 12.0, 16.0], FINE)
            ),
            "aspect": aspect,
            "height": np.where(np.arange(FINE) == 0, np.nan, rng.uniform(0, 100, FINE)),
        }
    )
    house.static("land", "f", static)
    house.study = _study("recommended")
    house.dbt("build", "--select", *MODELS)
    return Prepared(house, values, fine_to_coarse, coarse_to_fine, static)


def weighted_mean(matrix: np.ndarray, value: np.ndarray, min_covered: float) -> np.ndarray:
    """The mean of what is there, written out; NaN where too little is."""
    known = ~np.isnan(value)
    covered = matrix @ known
    return np.where(
        covered >= min_covered - 1e-9, (matrix @ np.where(known, value, 0)) / np.maximum(covered, 1e-300), np.nan
    )


def filled(value: np.ndarray, reach: int, composite: int = 0) -> np.ndarray:
    """One pixel's days: lines over gaps whose day has a value within `reach` on each side, or between values at most two composites apart."""
    out, known = value.copy(), np.flatnonzero(~np.isnan(value))
    for left, right in itertools.pairwise(known):
        for day in range(left + 1, right):
            if (day - left <= reach and right - day <= reach) or right - left <= 2 * composite:
                out[day] = value[left] + (value[right] - value[left]) * (day - left) / (right - left)
    return out


def smoothed(value: np.ndarray) -> np.ndarray:
    out, start = value.copy(), 0
    for is_gap, run in itertools.groupby(np.isnan(value)):
        n = len(list(run))
        if not is_gap and n >= 11:
            out[start : start + n] = savgol_filter(value[start : start + n], 11, 4)
        start += n
    return out


def test_an_area_mean_is_of_what_is_there_where_that_is_enough(built: Prepared):
    found, is_filled = built.days("temperature", COARSE)
    expected = weighted_mean(built.fine_to_coarse, built.values["temperature"], 0.6)
    assert 0 < np.isnan(expected).sum() < expected.size / 2
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert not is_filled.any()


def test_a_mode_is_the_class_with_the_most_area(built: Prepared):
    found, _ = built.days("class", COARSE)
    classes = np.array([1.0, 2.0, 3.0])
    share = np.stack([built.fine_to_coarse @ (built.values["class"] == c) for c in classes])
    expected = np.where(share.sum(axis=0) >= 0.5, classes[share.round(12).argmax(axis=0)], np.nan)
    np.testing.assert_array_equal(found, expected)


def test_soil_moisture_is_masked_regridded_filled_and_smoothed(built: Prepared):
    """Frost takes values out before the mean and the gaps: a frozen day is empty, however near its neighbours."""
    frozen = built.values["frost"] < 0
    observed = np.where(frozen, np.nan, built.values["moisture"])
    observed[WATER] = np.nan
    on_fine = weighted_mean(built.coarse_to_fine, observed, 0.5)
    # A day is frozen where its own soil is, and where most of the weight that came in is.
    says = ~np.isnan(built.values["moisture"])
    says[WATER] = False
    row, col = np.divmod(np.arange(FINE), 6)
    under = 2 * (row // 3) + col // 3
    frozen_fine = frozen[under] | (built.coarse_to_fine @ (says & frozen) > 0.5 * (built.coarse_to_fine @ says))
    expected = np.full((FINE, N), np.nan)
    was_filled = np.zeros((FINE, N), bool)
    for pixel in np.flatnonzero(~is_water_of(built)):
        base = np.where(frozen_fine[pixel], np.nan, on_fine[pixel])
        line = np.where(frozen_fine[pixel], np.nan, filled(base, 4))
        was_filled[pixel] = np.isnan(base) & ~np.isnan(line)
        expected[pixel] = smoothed(line)
    found, is_filled = built.days("moisture", FINE)
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    np.testing.assert_array_equal(is_filled, was_filled)
    assert was_filled.sum() > 100
    assert np.isnan(found)[:, frozen.all(axis=0)].all()


def is_water_of(built: Prepared) -> np.ndarray:
    return built.static["cover"].to_numpy() == 17


def test_composites_become_days(built: Prepared):
    found, is_filled = built.days("ndvi", FINE)
    given = built.values["composite"]
    expected = np.array([filled(pixel, 2, 8) for pixel in given])
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    np.testing.assert_array_equal(is_filled, np.isnan(given) & ~np.isnan(expected))
    assert np.isnan(found[:, 75:93]).all()  # a gap of more than two composites


def test_radar_is_averaged_as_power(built: Prepared):
    found, is_filled = built.days("radar", COARSE)
    power = weighted_mean(built.fine_to_coarse, 10 ** (built.values["radar"] / 10), 0.5)
    expected = np.full_like(power, np.nan)
    for pixel, day in np.ndindex(power.shape):
        window = power[pixel, max(day - 6, 0) : day + 7]
        if not np.isnan(window).all():
            expected[pixel, day] = 10 * np.log10(np.nanmean(window))
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    np.testing.assert_array_equal(is_filled, np.isnan(power) & ~np.isnan(expected))
    assert (~np.isnan(expected)).mean() > 0.9


def test_an_index_is_made_of_bands(built: Prepared):
    found, _ = built.days("index", FINE)
    red, nir = built.values["red"] / 1e4, built.values["nir"] / 1e4
    red[2, 5] = red[3, 6] = np.nan
    np.testing.assert_allclose(found, (nir - red) / (nir + red), rtol=1e-12)


def test_kriging_is_the_solution_of_its_equations(built: Prepared):
    found, _ = built.days("kriged", COARSE)
    value = built.values["temperature"]
    row, col = np.divmod(np.arange(FINE), 6)
    lon, lat = 100 + 0.01 * col, 40 - 0.01 * row

    def gamma(h: np.ndarray) -> np.ndarray:
        model = KRIGING["nugget"] + KRIGING["partial_sill"] * (1 - np.exp(-h / KRIGING["range_parameter_m"]))
        return np.where(h > 0, model, 0)

    for target in range(COARSE):
        lon_0, lat_0 = 100 + 0.01 * (3 * (target % 2) + 1), 40 - 0.01 * (3 * (target // 2) + 1)
        place = np.stack(
            [np.radians(lon - lon_0) * np.cos(np.radians(lat_0)) * EARTH, np.radians(lat - lat_0) * EARTH], axis=1
        )
        h = np.hypot(*place.T)
        nearest = [i for i in np.lexsort((np.arange(FINE), h.round(6))) if h[i] <= KRIGING["radius_m"]][:7]
        p = place[nearest]
        system = np.ones((len(nearest) + 1,) * 2)
        system[:-1, :-1] = gamma(np.hypot(*(p[:, None] - p).T))
        system[-1, -1] = 0
        weight = np.linalg.solve(system, np.append(gamma(h[nearest]), 1))[:-1]
        matrix = np.zeros((1, FINE))
        matrix[0, nearest] = weight
        np.testing.assert_allclose(found[target], weighted_mean(matrix, value, 0.5)[0], rtol=1e-9)


def test_what_is_not_prepared_is_read_through(built: Prepared):
    found, is_filled = built.days("frost", COARSE)
    np.testing.assert_array_equal(found, built.values["frost"])
    assert not is_filled.any()


def test_water_is_found_by_area(built: Prepared):
    rows = built.house.query(
        "select pixel_id, water_fraction, is_water from intermediate.int_water where grid_id = 'c' order by 1"
    )
    expected = built.fine_to_coarse @ is_water_of(built)
    np.testing.assert_allclose(rows["water_fraction"].to_numpy(), expected, rtol=1e-12)
    assert rows["is_water"].to_list() == (expected > 0.05).tolist() == [False, False, False, True]


def factor(built: Prepared, factor_id: int, grid: str) -> dict[int, float]:
    rows = built.house.query(
        "select pixel_id, value from intermediate.int_factor_static where factor_id = ? and grid_id = ?",
        [factor_id, grid],
    )
    return dict(rows.iter_rows())


def largest(built: Prepared, of_class: dict[int, float]) -> dict[int, float]:
    found = {}
    for target, weight in enumerate(built.fine_to_coarse):
        share: dict[float, float] = {}
        for pixel, value in of_class.items():
            if weight[pixel] > 0:
                share[value] = share.get(value, 0) + weight[pixel]
        if sum(share.values()) >= 0.5:
            found[target] = max(share, key=lambda value: share[value])
    return found


def test_land_cover_takes_the_classes_of_its_scheme(built: Prepared):
    """Water is excluded before the most frequent class is taken."""
    of_scheme = {1.0: 1.0, 5.0: 1.0, 10.0: 2.0, 12.0: 3.0, 16.0: 4.0}
    expected = {i: of_scheme[c] for i, c in enumerate(built.static["cover"].to_list()) if c != 17}
    assert factor(built, 1, "f") == expected
    assert factor(built, 1, "c") == largest(built, expected)


def test_an_aspect_is_octants_for_detectors_and_components_for_models(built: Prepared):
    octant_of = {-1.0: 0, 0.0: 1, 22.4: 1, 22.5: 2, 100.0: 3, 337.4: 8, 337.5: 1, 359.9: 1, 360.0: 1}
    aspect = built.static["aspect"].to_numpy()
    octants = {i: float(octant_of[a]) for i, a in enumerate(aspect.tolist())}
    assert factor(built, 2, "f") == octants
    assert factor(built, 2, "c") == largest(built, octants)
    northness = np.where(aspect < 0, 0, np.cos(np.radians(aspect)))
    found = factor(built, 3, "c")
    np.testing.assert_allclose(
        [found[i] for i in range(COARSE)], built.fine_to_coarse @ northness, rtol=1e-12, atol=1e-15
    )


def test_a_factor_needs_enough_of_its_pixel(built: Prepared):
    height = built.static["height"].to_numpy()
    found, covered = factor(built, 4, "c"), built.fine_to_coarse[0, 0]
    assert covered > 0.05
    assert (0 in found) == (1 - covered >= 0.9)
    np.testing.assert_allclose(found[2], (built.fine_to_coarse[2, 1:] * height[1:]).sum(), rtol=1e-12)


def test_paper_mode_holds_composites_and_averages_decibels(built: Prepared):
    """The same lake, in a second build of the same database."""
    house = built.house
    house.study = _study("paper")
    house.dbt("run", "--select", "int_observed_daily", "int_prepared", "int_prepared_daily", "int_daily")
    found, is_filled = built.days("ndvi", FINE)
    given = built.values["composite"]
    expected = given.copy()
    for pixel in range(FINE):
        for day in np.flatnonzero(~np.isnan(given[pixel])):
            for later in range(day + 1, min(day + 8, N)):
                if not np.isnan(given[pixel, later]):
                    break
                expected[pixel, later] = given[pixel, day]
    # What is left of a gap is filled where it is short: after the eight days, within two of both sides.
    np.testing.assert_allclose(found, np.array([filled(pixel, 2) for pixel in expected]), rtol=1e-12)
    np.testing.assert_array_equal(is_filled, np.isnan(given) & ~np.isnan(found))
    decibel = weighted_mean(built.fine_to_coarse, built.values["radar"], 0.5)
    radar, _ = built.days("radar", COARSE)
    assert radar[0, 20] == pytest.approx(np.nanmean(decibel[0, 14:27]), rel=1e-12)
