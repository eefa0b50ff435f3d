"""Downscaling's inputs and the thermal inertia framework against polars and numpy, on a small made-up basin built by dbt."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from tests.warehouse import Warehouse, small_grid

START, END = date(2020, 1, 1), date(2020, 4, 1)
DAYS = [START + timedelta(days=i) for i in range((END - START).days)]
N_ROWS, N_COLS = 8, 12
N_PIXELS = N_ROWS * N_COLS
MIN_SAMPLES, WINDOW_MONTHS, HOLD_DAYS = 60, 2, 16
MIN_VALID_SHARE = 0.47  # which no number of pixels of a cell makes exactly
CLASSES = {1: "forest", 10: "grassland", 12: "cropland", 16: "barren"}
INERTIA = {1: (14.0, 25.0), 10: (24.0, 40.0), 12: (20.0, 35.0), 16: (30.0, 50.0)}
WATER = 17
PRODUCT = "thermal_linear"

ROW, COL = np.divmod(np.arange(N_PIXELS), N_COLS)
COARSE = (ROW // 4) * 3 + COL // 4
WIDE = COL // 6
FIT = (ROW // 2) * 6 + COL // 2
AREA = 1 + 0.01 * ROW  # small_grid's


@dataclass(frozen=True)
class World:
    """The built warehouse beside what it was made of; arrays are (days, pixels or cells), NaN where there is no value."""

    house: Warehouse
    cover: np.ndarray
    porosity: np.ndarray
    unit: np.ndarray
    ndvi: dict[date, np.ndarray]
    day_k: np.ndarray
    night_k: np.ndarray
    coarse: np.ndarray
    wide: np.ndarray
    is_frozen: np.ndarray  # (days, coarse cells)
    fit: dict[str, np.ndarray]

    def ndvi_of(self, day: date, values: dict[date, np.ndarray]) -> np.ndarray:
        """The composite that counts on a day: the last one, for HOLD_DAYS days."""
        found = np.full(next(iter(values.values())).shape, np.nan)
        for composite, of_cells in sorted(values.items()):
            if composite <= day:
                is_new = ~np.isnan(of_cells)
                age = (day - composite).days
                found = np.where(is_new, of_cells if age < HOLD_DAYS else np.nan, found)
        return found


def rows(name: str, values: np.ndarray, decimals: int = 12) -> pl.DataFrame:
    """(days, cells) as rows without the missing ones."""
    day, cell = np.nonzero(~np.isnan(values))
    return pl.DataFrame(
        {
            "pixel_id": pl.Series(cell, dtype=pl.Int64),
            "obs_date": [DAYS[i] for i in day],
            name: np.round(values[day, cell], decimals),
        }
    )


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    rng = np.random.default_rng(5)
    cover = rng.choice([1, 10], 24)[FIT]
    cover[FIT == 7] = 16  # one cell of barren land: enough for its class, not for every NDVI level
    cover[[3, 40, 77]] = 12  # cropland that no cell is made of
    cover[[0, 1, 95]] = WATER
    porosity = np.round(rng.uniform(0.35, 0.5, N_PIXELS), 3)
    unit = np.where(ROW < 3, 1, 2)
    season = 0.22 + 0.08 * np.sin(np.arange(len(DAYS)) / 15)
    truth = np.clip(season[:, None] + 0.05 * rng.standard_normal(N_PIXELS), 0.02, 0.5)
    a, b = (np.array([INERTIA.get(c, (20.0, 30.0))[i] for c in cover]) for i in (0, 1))
    difference = a - b * truth + rng.normal(0, 0.5, truth.shape)
    day_k = np.where(rng.random(truth.shape) < 0.2, np.nan, 290 + difference)
    night_k = np.where(rng.random(truth.shape) < 0.2, np.nan, 290.0)
    composites = [START + timedelta(days=d) for d in (0, 16, 32, 64)]  # one is missing: its days have no NDVI
    ndvi = {day: rng.uniform(-0.05, 0.8, N_PIXELS) for day in composites}
    ndvi[composites[1]][5:9] = np.nan
    fit_moisture = season[:, None] + 0.05 * rng.standard_normal((len(DAYS), 24))
    fa, fb = (np.array([INERTIA.get(int(np.bincount(cover[f == FIT]).argmax()), (20.0, 30.0))[i] for f in range(24)]) for i in (0, 1))  # fmt: skip
    fit = {
        "moisture": np.where(rng.random(fit_moisture.shape) < 0.1, np.nan, fit_moisture),
        "day": 290 + fa - fb * fit_moisture + rng.normal(0, 0.2, fit_moisture.shape),
        "night": np.full(fit_moisture.shape, 290.0),
    }
    # References that can be met, that press pixels against 0 or their porosity, and that cannot be met at all.
    coarse = rng.uniform(0.0, 0.55, (len(DAYS), 6))
    coarse[rng.random(coarse.shape) < 0.3] = np.nan
    wide = rng.uniform(0.05, 0.35, (len(DAYS), 2))
    is_frozen = rng.random((len(DAYS), 6)) < 0.1

    house = Warehouse(tmp_path_factory.mktemp("downscaling"))
    fine = small_grid(N_ROWS, N_COLS)
    house.grid("fine", fine)
    areas = {"coarse": COARSE, "wide": WIDE, "fit": FIT}
    for name, cell in areas.items():
        shape = {"coarse": (2, 3), "wide": (1, 2), "fit": (4, 6)}[name]
        total = pl.Series(np.bincount(cell, weights=AREA))
        house.grid(name, small_grid(*shape).with_columns(area_km2=total))
        pairs = pl.DataFrame({"source_pixel_id": cell, "target_pixel_id": np.arange(N_PIXELS)})
        house.weights(name, "fine", pairs)
    centre = [int(np.flatnonzero((c == COARSE) & (ROW % 4 == 2) & (COL % 4 == 2))[0]) for c in range(6)]
    house.weights("fine", "coarse", pl.DataFrame({"source_pixel_id": centre, "target_pixel_id": range(6)}))
    house.static(
        "land",
        "fine",
        pl.DataFrame({"pixel_id": range(N_PIXELS), "cover": cover, "porosity": porosity, "terrain": unit}),
    )
    temperatures = rows("day", day_k).join(rows("night", night_k), on=["pixel_id", "obs_date"], how="full", coalesce=True)  # fmt: skip
    house.product("temperature", "fine", temperatures)
    greenness = [
        {"pixel_id": p, "obs_date": day, "ndvi": v} for day, of in ndvi.items() for p, v in enumerate(of) if v == v
    ]
    house.product("greenness", "fine", pl.DataFrame(greenness))
    house.product("coarse_moisture", "coarse", rows("sm", coarse))
    house.product("wide_moisture", "wide", rows("sm", wide))
    house.product("soil_heat", "coarse", rows("t", np.where(is_frozen, -2.0, 4.0)))
    model = rows("sm", fit["moisture"]).join(rows("day", fit["day"]), on=["pixel_id", "obs_date"], how="full", coalesce=True)  # fmt: skip
    house.product("model", "fit", model.join(rows("night", fit["night"]), on=["pixel_id", "obs_date"], how="left"))

    def series(variable: str, product: str, column: str, layer: str = "surface", **more: str) -> dict:
        return {"variable": variable, "product": product, "layer": layer, "column": column, **more}

    def named(variable: str, product: str, layer: str = "surface") -> dict:
        return {"variable": variable, "product": product, "layer": layer}

    day_name, night_name = "land_surface_temperature_day", "land_surface_temperature_night"
    house.study = {
        "name": "downscaled",
        "groups": ["downscaling"],
        "period": {"start": str(START), "end": str(END)},
        "series": [
            series("soil_moisture", "coarse_moisture", "sm", "0-5 cm"),
            series("soil_moisture", "wide_moisture", "sm", "0-5 cm"),
            series(day_name, "temperature", "day"),
            series(night_name, "temperature", "night"),
            series("ndvi", "greenness", "ndvi"),
            series("soil_moisture", "model", "sm", "0-7 cm"),
            series(day_name, "model", "day"),
            series(night_name, "model", "night"),
            series("soil_temperature", "soil_heat", "t", "0-5 cm", unit="degC"),
        ],
        "factors": [
            {"factor": "cover", "product": "land", "column": "cover", "kind": "categorical"},
            {"factor": "porosity", "product": "land", "column": "porosity"},
            {"factor": "terrain", "product": "land", "column": "terrain", "kind": "categorical"},
            {"factor": "by_day", "variable": day_name, "product": "temperature"},
            {"factor": "greenness", "variable": "ndvi", "product": "greenness"},
        ],
        "downscaling": {
            "grid": "fine",
            "target": named("soil_moisture", "coarse_moisture", "0-5 cm"),
            "features": ["cover", "porosity", "by_day", "greenness", "day_of_year"],
            "hold_days": {"greenness": HOLD_DAYS},
            "unit": "terrain",
            "water": "cover",
            "water_classes": [WATER],
            "max_water_share": 0.1,
            "min_valid_share": MIN_VALID_SHARE,
            "frozen": {**named("soil_temperature", "soil_heat", "0-5 cm"), "below": 0},
            "block_cells": 2,
            "frameworks": [
                {
                    "framework": "thermal_inertia",
                    "fit": {
                        "soil_moisture": named("soil_moisture", "model", "0-7 cm"),
                        "day": named(day_name, "model"),
                        "night": named(night_name, "model"),
                    },
                    "day": named(day_name, "temperature"),
                    "night": named(night_name, "temperature"),
                    "ndvi": named("ndvi", "greenness"),
                    "land_cover": "cover",
                    "porosity": "porosity",
                    "largest": 0.48,
                    "min_samples": MIN_SAMPLES,
                    "window_months": WINDOW_MONTHS,
                    "min_valid_fraction": 0.4,
                    "reference": [
                        named("soil_moisture", "coarse_moisture", "0-5 cm"),
                        named("soil_moisture", "wide_moisture", "0-5 cm"),
                    ],
                }
            ],
        },
    }
    house.dbt("build", "--select", *BUILT)
    return World(house, cover, porosity, unit, ndvi, day_k, night_k, coarse, wide, is_frozen, fit)


BUILT = (
    "+fct_soil_moisture_1km_daily",
    "+fct_downscaling_coefficients",
    "+int_downscaling_sample",
    "int_downscaling_feature_daily",
    "+fct_pixel_monthly",
    "+dim_product",
)


def level(ndvi: float) -> str | None:
    for name, low, high in (("low", 0, 0.3), ("middle", 0.3, 0.6), ("high", 0.6, 1.000001)):
        if low <= ndvi < high:
            return name
    return None


def window_of(day: date) -> int:
    return (day.month - START.month) // WINDOW_MONTHS


def fitted_samples(world: World) -> list[tuple[int, str, str, float, float]]:
    """(window, land cover, NDVI level, temperature difference, moisture) of every cell and day."""
    is_land = world.cover != WATER
    cover_of = {}
    for cell in range(24):
        shares: dict[str, float] = {}
        for p in np.flatnonzero((cell == FIT) & is_land):
            shares[CLASSES[world.cover[p]]] = shares.get(CLASSES[world.cover[p]], 0) + AREA[p]
        name, area = min(shares.items(), key=lambda s: (-s[1], s[0]), default=(None, 0))
        if name is not None and area / AREA[cell == FIT].sum() >= 0.5:
            cover_of[cell] = name
    of_cells = {}
    for composite, values in world.ndvi.items():
        is_known = is_land & ~np.isnan(values)
        total = np.bincount(FIT[is_known], weights=AREA[is_known], minlength=24)
        with np.errstate(invalid="ignore"):
            of_cells[composite] = np.bincount(FIT[is_known], weights=(AREA * values)[is_known], minlength=24) / total
    found = []
    for i, day in enumerate(DAYS):
        ndvi = world.ndvi_of(day, of_cells)
        for cell, name in cover_of.items():
            difference = world.fit["day"][i, cell] - world.fit["night"][i, cell]
            if not np.isnan(world.fit["moisture"][i, cell]) and level(ndvi[cell]) is not None:
                found.append((window_of(day), name, level(ndvi[cell]), difference, world.fit["moisture"][i, cell]))
    return found


def coefficients(world: World) -> dict[tuple[int, str, str], dict]:
    """By window, land cover and NDVI level: numpy's polyfit of the first of class_level, class, all with enough samples."""
    samples = fitted_samples(world)
    found = {}
    for window in (0, 1):
        for name in CLASSES.values():
            for ndvi_level in ("low", "middle", "high"):
                for source, keep in (
                    ("class_level", lambda s, n=name, v=ndvi_level: s[1] == n and s[2] == v),
                    ("class", lambda s, n=name: s[1] == n),
                    ("all", lambda s: True),
                ):
                    chosen = np.array([s[3:] for s in samples if s[0] == window and keep(s)])
                    if len(chosen) >= MIN_SAMPLES:
                        x, y = chosen.T
                        slope, intercept = np.polyfit(x, y, 1)
                        r2 = np.corrcoef(x, y)[0, 1] ** 2
                        found[window, name, ndvi_level] = {
                            "slope": slope, "intercept": intercept, "n": len(x), "r2": r2, "source": source,
                            "range": (x.min(), x.max()),
                        }  # fmt: skip
                        break
    return found


def conserved(estimate: np.ndarray, area: np.ndarray, largest: np.ndarray, reference: float) -> np.ndarray:
    """The correction as it is told: spread the difference evenly, cut at the limits, spread what is left over the others."""
    value = estimate.copy()
    for _ in range(200):
        rest = reference - np.average(value, weights=area)
        is_free = (value < largest - 1e-15) if rest > 0 else (value > 1e-15)
        if abs(rest) < 1e-13 or not is_free.any():
            break
        value[is_free] += rest * area.sum() / area[is_free].sum()
        value = np.clip(value, 0, largest)
    return value


@dataclass(frozen=True)
class Cell:
    """A reference's cell on a day: its pixels, what they were estimated as, and what they must become."""

    pixels: np.ndarray
    estimate: np.ndarray
    value: np.ndarray
    largest: np.ndarray
    reference: float
    product: str
    is_extrapolated: np.ndarray


def expected(world: World) -> dict[tuple[date, str, int], Cell]:
    by_class = coefficients(world)
    largest = np.minimum(world.porosity, 0.48)
    is_land = world.cover != WATER
    found = {}
    for i, day in enumerate(DAYS):
        difference = world.day_k[i] - world.night_k[i]
        ndvi = world.ndvi_of(day, world.ndvi)
        estimate = np.full(N_PIXELS, np.nan)
        outside = np.zeros(N_PIXELS, bool)
        for p in np.flatnonzero(is_land & ~np.isnan(difference) & ~world.is_frozen[i][COARSE]):
            used = by_class.get((window_of(day), CLASSES[world.cover[p]], level(ndvi[p])))
            if used is not None:
                estimate[p] = np.clip(used["slope"] * difference[p] + used["intercept"], 0, largest[p])
                outside[p] = not used["range"][0] <= difference[p] <= used["range"][1]
        has_coarse = ~np.isnan(world.coarse[i])[COARSE]
        for product, cell_of, values, is_mine in (
            ("coarse_moisture", COARSE, world.coarse[i], has_coarse),
            ("wide_moisture", WIDE, world.wide[i], ~has_coarse),
        ):
            for cell in np.unique(cell_of):
                inside = (cell_of == cell) & is_mine & ~np.isnan(estimate)
                of_cell = (cell_of == cell) & is_land
                if not inside.any() or AREA[inside].sum() < 0.4 * AREA[of_cell].sum() - 1e-12:
                    continue
                value = conserved(estimate[inside], AREA[inside], largest[inside], values[cell])
                found[day, product, int(cell)] = Cell(
                    np.flatnonzero(inside), estimate[inside], value, largest[inside], values[cell], product, outside[inside]
                )  # fmt: skip
    return found


def test_coefficients_and_their_fallbacks(world: World) -> None:
    ours = world.house.query("select * from marts.fct_downscaling_coefficients")
    theirs = coefficients(world)
    assert len(ours) == len(theirs) == 24
    for row in ours.iter_rows(named=True):
        key = (window_of(row["window_start"]), row["land_cover"], row["ndvi_level"])
        known = theirs[key]
        assert row["coefficient_source"] == known["source"], key
        assert row["n"] == known["n"]
        assert row["slope_m3m3_per_k"] == pytest.approx(known["slope"], rel=1e-9)
        assert row["intercept_m3m3"] == pytest.approx(known["intercept"], rel=1e-9)
        assert row["r2"] == pytest.approx(known["r2"], rel=1e-9)
        assert (row["smallest_difference_k"], row["largest_difference_k"]) == pytest.approx(known["range"], abs=1e-9)
        assert row["is_sign_expected"] == (known["slope"] < 0)
        assert row["model_id"] == f"{PRODUCT}/{row['window_start']}"
    assert {row["coefficient_source"] for row in ours.iter_rows(named=True)} == {"class_level", "class", "all"}
    assert ours["window_end"].max() == END


def test_the_planted_inertia_is_found(world: World) -> None:
    """theta = a/b - difference/b, less what the noise of 0.2 K takes from the slope."""
    ours = world.house.query("select * from marts.fct_downscaling_coefficients where coefficient_source <> 'all'")
    for row in ours.iter_rows(named=True):
        a, b = next(INERTIA[code] for code, name in CLASSES.items() if name == row["land_cover"])
        assert row["slope_m3m3_per_k"] == pytest.approx(-1 / b, rel=0.1)
        assert row["intercept_m3m3"] == pytest.approx(a / b, rel=0.1)


def test_daily_values_are_those_of_the_definition(world: World) -> None:
    ours = {
        (row["pixel_id"], row["obs_date"]): row
        for row in world.house.query("select * from marts.fct_soil_moisture_1km_daily").iter_rows(named=True)
    }
    theirs = expected(world)
    n = 0
    for (day, product, _), cell in theirs.items():
        for p, estimate, value, outside in zip(cell.pixels, cell.estimate, cell.value, cell.is_extrapolated, strict=True):  # fmt: skip
            row = ours[int(p), day]
            assert row["soil_moisture_m3m3"] == pytest.approx(value, abs=1e-9)
            assert row["correction_m3m3"] == pytest.approx(value - estimate, abs=1e-9)
            assert row["reference_product"] == product
            assert row["is_extrapolated"] == outside
            assert row["lower_m3m3"] is None
            n += 1
    assert n == len(ours) > 2000
    assert {c.product for c in theirs.values()} == {"coarse_moisture", "wide_moisture"}


def test_the_reference_keeps_its_mean(world: World) -> None:
    """To 1e-6 where the pixels can hold it, and as near as they can where not."""
    ours = {
        (row[0], row[1]): row[2]
        for row in world.house.query(
            "select pixel_id, obs_date, soil_moisture_m3m3 from marts.fct_soil_moisture_1km_daily"
        ).iter_rows()
    }
    n_cut = n_beyond = 0
    for (day, _, _), cell in expected(world).items():
        value = np.array([ours[int(p), day] for p in cell.pixels])
        attainable = np.clip(cell.reference, 0, np.average(cell.largest, weights=AREA[cell.pixels]))
        assert np.average(value, weights=AREA[cell.pixels]) == pytest.approx(attainable, abs=1e-6)
        assert (value >= 0).all()
        assert (value <= cell.largest).all()
        n_cut += bool(((value == 0) | (value == cell.largest)).any())
        n_beyond += attainable != cell.reference
    assert n_cut > 50
    assert n_beyond > 5


def test_it_is_a_product_like_any_other(world: World) -> None:
    monthly = world.house.query(f"select * from marts.fct_pixel_monthly where product = '{PRODUCT}'")
    daily = world.house.query(
        "select pixel_id, cast(date_trunc('month', obs_date) as date) as month, avg(soil_moisture_m3m3) as mean, count(*) as n_days"
        " from marts.fct_soil_moisture_1km_daily group by all"
    )
    both = monthly.join(daily, on=["pixel_id", "month"], suffix="_of_days")
    assert len(both) == len(monthly) > 100
    assert np.allclose(both["mean"], both["mean_of_days"], rtol=1e-12)
    assert set(both["grid_id"]) == {"fine"}
    product = world.house.query(f"select * from marts.dim_product where product = '{PRODUCT}'").row(0, named=True)
    assert product["kind"] == "downscaled"
    assert {"coarse_moisture", "wide_moisture", "model", "temperature"} <= set(product["shares_input_with"].split(", "))


def feature_values(world: World) -> pl.DataFrame:
    """The features of every fine pixel and day that has all of them."""
    found = []
    for i, day in enumerate(DAYS):
        ndvi = world.ndvi_of(day, world.ndvi)
        for p in range(N_PIXELS):
            values = [world.cover[p], world.porosity[p], world.day_k[i, p], ndvi[p], day.timetuple().tm_yday]
            if not np.isnan(values).any():
                is_masked = bool(world.cover[p] == WATER or world.is_frozen[i, COARSE[p]])
                found.append(
                    {"pixel_id": p, "obs_date": day, "features": [float(v) for v in values], "is_masked": is_masked}
                )
    return pl.DataFrame(found)


def test_features_of_the_fine_grid(world: World) -> None:
    ours = world.house.query("select * from intermediate.int_downscaling_feature_daily").sort("pixel_id", "obs_date")
    theirs = feature_values(world).sort("pixel_id", "obs_date")
    assert ours["pixel_id"].to_list() == theirs["pixel_id"].to_list()
    assert ours["obs_date"].to_list() == theirs["obs_date"].to_list()
    assert ours["is_masked"].to_list() == theirs["is_masked"].to_list()
    assert np.allclose(np.array(ours["features"].to_list()), np.array(theirs["features"].to_list()), rtol=1e-6)
    assert ours["coarse_pixel_id"].to_list() == COARSE[theirs["pixel_id"].to_numpy()].tolist()
    assert ours["unit"].to_list() == [str(world.unit[p]) for p in theirs["pixel_id"]]


def test_samples_of_the_coarse_grid(world: World) -> None:
    ours = {
        (row["pixel_id"], row["obs_date"]): row
        for row in world.house.query("select * from intermediate.int_downscaling_sample").iter_rows(named=True)
    }
    fine = feature_values(world).filter(~pl.col("is_masked"))
    n = 0
    for (day,), of_day in fine.group_by("obs_date"):
        i = DAYS.index(day)
        pixels, values = of_day["pixel_id"].to_numpy(), np.array(of_day["features"].to_list())
        for cell in range(6):
            inside, of_cell = COARSE[pixels] == cell, cell == COARSE
            is_watery = AREA[of_cell & (world.cover == WATER)].sum() > 0.1 * AREA[of_cell].sum()
            is_enough = AREA[pixels[inside]].sum() >= MIN_VALID_SHARE * AREA[of_cell].sum()
            if np.isnan(world.coarse[i, cell]) or is_watery or not is_enough:
                assert (cell, day) not in ours
                continue
            row = ours[cell, day]
            land = of_cell & (world.cover != WATER)
            codes = np.unique(world.cover[land])
            commonest = max(codes, key=lambda c, of=land: AREA[of & (world.cover == c)].sum())
            mean = np.average(values[inside], axis=0, weights=AREA[pixels[inside]])
            assert row["features"] == pytest.approx([commonest, *mean[1:]], rel=1e-6)
            assert row["target"] == pytest.approx(world.coarse[i, cell])
            units = np.unique(world.unit[land])
            assert row["unit"] == str(max(units, key=lambda u, of=land: AREA[of & (world.unit == u)].sum()))
            assert row["block_id"] == 1 + (cell % 3) // 2
            n += 1
    assert n == len(ours) > 50
    assert not any(cell == 0 for cell, _ in ours)  # two of its sixteen pixels are water


def test_a_month_alone_is_built_anew(world: World) -> None:
    """With --start and --end the other months stay as they are, to the file."""
    listed = (
        "select distinct filename from read_parquet('{}/built/downscaled/{}/year=*/month=*/*.parquet', filename = true)"
    )
    models = ("int_thermal_estimate", "fct_soil_moisture_1km_daily")
    before = {m: set(world.house.query(listed.format(world.house.lake, m))["filename"]) for m in models}
    rows_before = world.house.query("select * from marts.fct_soil_moisture_1km_daily order by pixel_id, obs_date")
    world.house.dbt("run", "--select", "int_thermal_estimate+", "--exclude", "int_daily+", extra={"start": "2020-02-01", "end": "2020-03-01"})  # fmt: skip
    after = world.house.query("select * from marts.fct_soil_moisture_1km_daily order by pixel_id, obs_date")
    assert after.equals(rows_before)
    for model in models:
        files = set(world.house.query(listed.format(world.house.lake, model))["filename"])
        new = files - before[model]
        assert len(new) == 1
        assert "month=02" in new.pop()
