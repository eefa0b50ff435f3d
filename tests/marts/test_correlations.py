"""The marts of correlations on a generated warehouse, every number against numpy, scipy and statsmodels written out here."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
import statsmodels.api as sm
from scipy import stats

from tests.warehouse import Warehouse, small_grid

START, END = date(2010, 1, 1), date(2021, 1, 1)
N_ROWS, N_COLS, SCALE = 4, 6, 2
N_PIXELS = N_ROWS * N_COLS
FILL = -9999.0
MIN_VALID, ALPHA = 8, 0.1
SHARE = 0.6
MONTHS = pl.date_range(START, END, interval="1mo", closed="left", eager=True)
FACTORS = ["rain", "temperature", "model", "flat", "twice"]
SEASONS = {"annual": range(1, 13), "DJF": (12, 1, 2)}
CONSTANT_MOISTURE, LATE = 3, 4
OTHER_MEASUREMENTS = (
    "soil_moisture_volume_percent", "soil_moisture_mass_percent", "bulk_density_g_cm3", "soil_temperature_c", "air_temperature_c",
    "precipitation_mm",
)  # fmt: skip
MARTS = ["fct_correlation", "fct_partial_correlation", "fct_partial_regression"]


class World:
    """The values as they were written: (pixels of the fine grid, months), NaN where there is none."""

    def __init__(self, house: Warehouse) -> None:
        self.house = house
        rng = np.random.default_rng(42)
        row, col = np.divmod(np.arange(N_PIXELS), N_COLS)
        self.under = row // SCALE * (N_COLS // SCALE) + col // SCALE
        shape, number = (N_PIXELS, len(MONTHS)), np.arange(len(MONTHS))
        cycle = np.cos(2 * np.pi * number / 12)
        wet = np.round(rng.gamma(1.5, 30, (N_PIXELS // SCALE**2, number.size)), 1)
        temperature = np.round(10 - 12 * cycle + rng.normal(0, 2, shape), 2)
        moisture = 0.25 + 0.03 * cycle + 0.0005 * wet[self.under] - 0.002 * temperature + rng.normal(0, 0.01, shape)
        moisture = np.round(moisture, 4)
        moisture[rng.random(shape) < 0.1] = np.nan
        moisture[CONSTANT_MOISTURE] = 0.25
        moisture[LATE, : number.size - 7] = np.nan
        model = np.round(moisture + rng.normal(0, 0.02, shape), 4)
        temperature[rng.random(shape) < 0.05] = np.nan
        self.wet = wet
        self.values = {
            "rain": wet[self.under],
            "temperature": temperature,
            "model": model,
            "flat": np.full(shape, 0.1),
            "twice": 2 * temperature + 3,
            "moisture": moisture,
        }


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    house = Warehouse(tmp_path_factory.mktemp("correlations"))
    world = World(house)
    fine, coarse = small_grid(N_ROWS, N_COLS), small_grid(N_ROWS // SCALE, N_COLS // SCALE)
    coarse = coarse.with_columns(
        lon=100.005 + 0.02 * pl.col("col_index"), lat=39.995 - 0.02 * pl.col("row_index"), area_km2=4.0
    )
    house.grid("fine", fine)
    house.grid("coarse", coarse)
    house.weights(
        "coarse", "fine", pl.DataFrame({"target_pixel_id": np.arange(N_PIXELS), "source_pixel_id": world.under})
    )
    for name, values in {**world.values, "rain": world.wet}.items():
        if name == "twice":
            continue
        house.product(
            name,
            "coarse" if name == "rain" else "fine",
            pl.DataFrame(
                {
                    "pixel_id": np.repeat(np.arange(len(values), dtype=np.int32), len(MONTHS)),
                    "obs_date": pl.concat([MONTHS] * len(values)),
                    "value": np.where(np.isnan(values), FILL, values).ravel(),
                }
            ),
            time_step="month",
            fills={"value": FILL},
        )
    inside = {
        "west": {p: 1.0 for p in range(N_PIXELS) if p % N_COLS < 3},
        "all_of_it": dict.fromkeys(range(N_PIXELS), 0.7),
    }
    members = pl.DataFrame(
        [{"region_id": r, "pixel_id": p, "fraction": f} for r, pixels in inside.items() for p, f in pixels.items()]
    )
    names = pl.DataFrame({"region_id": list(inside), "name": list(inside), "level": 1, "area_km2": 1.0})
    house.regions("parts", "fine", names, members)
    house.regions("parts", "coarse", names, pl.DataFrame({"region_id": "west", "pixel_id": range(6), "fraction": 1.0}))
    _stations(house, world)
    house.study = {
        "name": "correlated",
        "groups": ["drivers"],
        "period": {"start": START, "end": END},
        "region": {"set": "parts"},
        "series": [
            {"variable": "soil_moisture", "product": "moisture", "layer": "0-5 cm", "column": "value"},
            {"variable": "soil_moisture", "product": "model", "layer": "0-5 cm", "column": "value"},
            {"variable": "precipitation", "product": "rain", "column": "value"},
            {"variable": "air_temperature", "product": "temperature", "column": "value"},
            {"variable": "ndvi", "product": "flat", "column": "value"},
            {"variable": "land_surface_temperature_day", "product": "temperature", "column": "value", "scale": 2, "offset": 3},
        ],
        "stations": ["network"],
        "factors": [
            {"factor": "rain", "variable": "precipitation", "product": "rain"},
            {"factor": "lat", "coordinate": "lat"},
            {"factor": "temperature", "variable": "air_temperature", "product": "temperature"},
            {"factor": "model", "variable": "soil_moisture", "product": "model", "layer": "0-5 cm"},
            {"factor": "flat", "variable": "ndvi", "product": "flat"},
            {"factor": "twice", "variable": "land_surface_temperature_day", "product": "temperature"},
        ],
        "coverage": {"min_days": 5, "min_dekads": 2},
        "trends": {"min_months_share": SHARE},
        "correlations": {
            "unit_kinds": ["pixel", "region", "station"],
            "time_steps": ["month", "year"],
            "seasons": list(SEASONS),
            "min_valid": MIN_VALID,
            "alpha": ALPHA,
        },
    }  # fmt: skip
    house.dbt("build", "--select", *(f"+{mart}" for mart in MARTS))
    return world


def _stations(house: Warehouse, world: World) -> None:
    """A station near the centre of pixel 8 whose days are the pixel's month, and one far outside; days that are too few in some months."""
    rows = []
    for i, month in enumerate(MONTHS):
        value = world.values["moisture"][8, i]
        for day in range(0, 28, 2) if i % 9 else range(4):
            rows.append(
                {"station_id": "near", "obs_date": month + timedelta(days=day), "value": value + 0.001 * (day % 3)}
            )
            rows.append({"station_id": "far", "obs_date": month + timedelta(days=day), "value": value})
    days = pl.DataFrame(rows).filter(pl.col("value").is_not_nan())
    house.product(
        "network",
        "none",
        days.select(
            "station_id",
            "obs_date",
            layer_top_cm=pl.lit(0.0),
            layer_bottom_cm=pl.lit(5.0),
            obs_time=pl.lit(None, pl.Datetime("us")),
            soil_moisture_m3m3="value",
            sensor=pl.lit("s"),
            **dict.fromkeys(OTHER_MEASUREMENTS, pl.lit(None, pl.Float64)),
            quality=pl.lit(None, pl.String),
            pixel_id=pl.lit(0),
        ),
        time_step="instant",
    )
    pl.DataFrame(
        {
            "product": "network", "station_id": ["near", "far"], "network": "N", "name": ["Near", "Far"], "lon": [100.0213, 101.0],
            "lat": [39.9893, 39.99], "elevation_m": [1.0, 2.0], "land_cover": "grass", "method": "probe",
        }
    ).write_parquet(house.lake / "stations" / "network.parquet")  # fmt: skip


def _season_values(values: np.ndarray, season: str, is_total: bool) -> np.ndarray:
    """(years) of one series, NaN unless enough months are there; a December belongs to the next year."""
    found = []
    for year in range(START.year, END.year + 1):
        wanted = [
            i
            for i, month in enumerate(MONTHS)
            if month.month in SEASONS[season] and month.year + (season == "DJF" and month.month == 12) == year
        ]
        part = values[wanted][~np.isnan(values[wanted])] if wanted else np.empty(0)
        enough = part.size >= SHARE * len(SEASONS[season]) and part.size > 0
        found.append(np.nan if not enough else part.sum() if is_total else np.clip(part.mean(), part.min(), part.max()))
    return np.array(found)


def _anomalies(values: np.ndarray) -> np.ndarray:
    out = np.full(values.shape, np.nan)
    for number in range(12):
        part = values[number::12]
        if np.isfinite(part).sum() >= 2:
            out[number::12] = part - (part[0] if np.nanmin(part) == np.nanmax(part) else np.nanmean(part))
    return out


def _steps(unit: dict[str, np.ndarray]):
    """(time_step, season, on_values) and the series of the unit at that step."""
    yield ("month", "annual", "raw"), unit
    yield ("month", "annual", "anomaly"), {name: _anomalies(values) for name, values in unit.items()}
    for season in SEASONS:
        yield (
            ("year", season, "raw"),
            {name: _season_values(values, season, name == "rain") for name, values in unit.items()},
        )


def _units(world: World):
    """(product, unit_kind, unit_id), target, and the series of every unit."""
    area = 1.0 + 0.01 * (np.arange(N_PIXELS) // N_COLS)
    for target in ("moisture", "model"):
        for pixel in range(N_PIXELS):
            yield (target, "pixel", str(pixel)), target, {n: v[pixel] for n, v in world.values.items()}
        for region, pixels in (("west", np.arange(N_PIXELS) % N_COLS < 3), ("all_of_it", np.full(N_PIXELS, True))):
            means = {}
            for name, values in world.values.items():
                weight = np.where(np.isnan(values), 0, area[:, None])[pixels]
                means[name] = np.nansum(values[pixels] * weight, axis=0) / weight.sum(axis=0)
            means["flat"] = world.values["flat"][0]
            yield (target, "region", region), target, means
    # The rain is that of the coarse pixel whose centre is nearest; months with four days in one dekad do not count.
    station = world.values["moisture"][8] + 0.001 * np.mean([day % 3 for day in range(0, 28, 2)])
    station = np.where(np.arange(len(MONTHS)) % 9 == 0, np.nan, station)
    unit = {n: v[8] for n, v in world.values.items()} | {"station": station}
    yield ("network", "station", "near"), "station", unit


def _expected(world: World):
    """Rows of the three marts by (product, unit_kind, unit_id, factor, time_step, season, on_values)."""
    for key, target, series in _units(world):
        names = [name for name in FACTORS if name != target]
        for step, values in _steps(series):
            y = values[target]
            if np.isnan(y).all():
                continue
            complete = np.isfinite(y) & np.isfinite([values[name] for name in names]).all(axis=0)
            usable = [n for n in names if n not in ("flat", "temperature", "twice")]
            x = np.column_stack([values[name][complete] for name in [*usable, "temperature"]])
            df = int(complete.sum()) - x.shape[1] - 1
            fit = None
            if complete.sum() >= MIN_VALID and df >= 3 and np.ptp(y[complete]) > 0:
                fit = sm.OLS(y[complete], sm.add_constant(x - x.mean(axis=0))).fit()
            for name in names:
                pair = np.isfinite(y) & np.isfinite(values[name])
                a, b = y[pair], values[name][pair]
                pearson = stats.pearsonr(a, b) if a.size >= MIN_VALID and np.ptp(a) > 0 and np.ptp(b) > 0 else None
                partial = None
                if fit is not None and name in usable:
                    j = usable.index(name) + 1
                    others = sm.add_constant(np.delete(x, j - 1, axis=1))
                    inflation = 1 / (1 - sm.OLS(x[:, j - 1], others).fit().rsquared)
                    partial = {
                        "coefficient": fit.params[j],
                        "coefficient_standardised": fit.params[j] * x[:, j - 1].std() / y[complete].std(),
                        "se": fit.bse[j],
                        "vif": inflation,
                        "t": fit.tvalues[j],
                        "p": fit.pvalues[j],
                        "r": fit.tvalues[j] / np.sqrt(fit.tvalues[j] ** 2 + df),
                        "df": df,
                        "r2": fit.rsquared,
                    }
                yield (*key, name, *step), int(pair.sum()), pearson, int(complete.sum()), partial


@pytest.fixture(scope="module")
def expected(world: World) -> dict:
    return {key: rest for key, *rest in _expected(world)}


def _rows(world: World, mart: str) -> dict:
    frame = world.house.query(f"select * from marts.{mart} where unit_id <> 'far'")
    names = ("product", "unit_kind", "unit_id", "factor", "time_step", "season", "on_values")
    rows = {tuple(row[name] for name in names): row for row in frame.iter_rows(named=True)}
    assert len(rows) == len(frame)
    return rows


def _class(coefficient: float, p: float) -> str:
    return "NS" if p >= ALPHA else "SPC" if coefficient > 0 else "SNC"


def test_correlations(world: World, expected: dict) -> None:
    rows = _rows(world, "fct_correlation")
    assert rows.keys() == expected.keys()
    known = 0
    for key, (n, pearson, _, _) in expected.items():
        row = rows[key]
        assert row["n"] == n, key
        assert row["is_small_sample"] == (n < 10)
        if pearson is None:
            assert [row[name] for name in ("coefficient", "df", "t_statistic", "p", "significance_class")] == [None] * 5
            continue
        known += 1
        assert row["coefficient"] == pytest.approx(pearson.statistic, rel=1e-9, abs=1e-12), key
        assert row["df"] == n - 2
        if abs(pearson.statistic) < 1 - 1e-9:
            assert row["p"] == pytest.approx(pearson.pvalue, rel=1e-7, abs=1e-280), key
            assert row["significance_class"] == _class(pearson.statistic, pearson.pvalue)
    assert known > 600


@pytest.mark.parametrize("mart", ["fct_partial_correlation", "fct_partial_regression"])
def test_partial(world: World, expected: dict, mart: str) -> None:
    rows = _rows(world, mart)
    assert rows.keys() == expected.keys()
    is_regression = mart == "fct_partial_regression"
    known = 0
    for key, (_, _, n, partial) in expected.items():
        row = rows[key]
        assert row["n"] == n, key
        if partial is None:
            assert row["coefficient"] is row["p"] is row["df"] is row["significance_class"] is None, key
            continue
        known += 1
        names = ("coefficient", "coefficient_standardised", "se", "vif", "r2") if is_regression else ()
        for name in names:
            assert row[name] == pytest.approx(partial[name], rel=1e-6, abs=1e-10), (key, name)
        if not is_regression:
            assert row["coefficient"] == pytest.approx(partial["r"], rel=1e-6, abs=1e-10), key
        assert row["df"] == partial["df"]
        assert row["t_statistic"] == pytest.approx(partial["t"], rel=1e-6, abs=1e-8), key
        assert row["p"] == pytest.approx(partial["p"], rel=1e-5, abs=1e-12), key
        assert row["significance_class"] == _class(partial["r"], partial["p"])
    assert known > 250


def test_the_leading_factor(world: World) -> None:
    found = world.house.query(
        """select unit_id, count(*) filter (where importance_rank = 1) as n_leading, count(importance_rank) as n_ranked,
            max(abs(coefficient_standardised)) = max(abs(coefficient_standardised)) filter (where importance_rank = 1) as is_largest
        from marts.fct_partial_regression where product = 'model' and unit_kind = 'pixel' and on_values = 'anomaly' group by unit_id"""
    )
    assert found.filter(pl.col("n_ranked") > 0).select(pl.col("n_leading").min(), pl.col("is_largest").all()).row(
        0
    ) == (1, True)
    assert found.filter(pl.col("n_ranked") > 0).height >= N_PIXELS - 2


def test_a_target_is_no_factor_of_itself_and_a_station_outside_has_no_factor(world: World) -> None:
    found = world.house.query("select distinct product, factor from marts.fct_correlation order by all").rows()
    assert ("model", "model") not in found
    assert ("moisture", "model") in found
    assert "lat" not in {factor for _, factor in found}
    far = world.house.query("select n, coefficient from marts.fct_correlation where unit_id = 'far'")
    assert (far["n"].unique().to_list(), far["coefficient"].null_count()) == ([0], len(far))
