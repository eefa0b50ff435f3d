"""The marts of validation on a generated warehouse, every number against pytesmo, scipy and numpy, from the values as they were written."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from scipy import stats

from loaders.grids import GRIDS
from loaders.weights import nearest_cells
from tests.marts.validation_reference import Series, anomalies, expected_score, scaled
from tests.marts.validation_world import (
    DAYS,
    END,
    INSIDE,
    INSIDE_COARSE,
    N_COARSE,
    OTHER_GRIDS,
    RAIN_DAYS,
    START,
    STATIONS,
    World,
    study,
)  # fmt: skip
from tests.warehouse import Warehouse

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from pytesmo.metrics import pairwise
    from pytesmo.metrics.tcol import tcol_metrics

WINTER = (12, 1, 2)
YEARS = {
    ("all", START): (START, END),
    ("year", START): (START, date(2019, 1, 1)),
    ("year", date(2019, 1, 1)): (date(2019, 1, 1), END),
}
# station: (layer, depth gap to 0-5 cm, pixel of the fine grid): what a reader of the study file expects
EXPECTED = {
    "a1": ((0.0, 5.0), 0.0, 0), "a2": ((0.0, 10.0), 2.5, 15), "a3": ((2.5, 2.5), 0.0, 30), "b1": ((0.0, 5.0), 0.0, 71), "b2": ((0.0, 5.0), 0.0, 95),
}  # fmt: skip


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    house = Warehouse(tmp_path_factory.mktemp("validation"))
    world = World(house)
    house.study = study()
    house.dbt("build", "--select", "+path:models/marts/validation")
    return world


def known(values: np.ndarray) -> Series:
    return {day: float(value) for day, value in zip(DAYS, values, strict=True) if np.isfinite(value)}


def estimates(world: World, product: str) -> dict[int, Series]:
    """Every pixel's days as the study sees them: the satellite's last day is dated after the end."""
    found = {pixel: known(values) for pixel, values in enumerate(world.values[product])}
    if product == "satellite":
        for days in found.values():
            days.pop(DAYS[-1], None)
    return found


def reference(world: World, station: str) -> Series:
    return known(world.stations[station, EXPECTED[station][0]])


def pixel_of(world: World, product: str, station: str) -> int:
    fine = EXPECTED[station][2]
    return fine if product == "model" else int(world.under[fine])


def pairs(world: World, form: str) -> dict[tuple[str, str], dict[date, tuple[float, float]]]:
    found = {}
    for product in ("model", "satellite"):
        of_pixel = estimates(world, product)
        for station in EXPECTED:
            x, y = of_pixel[pixel_of(world, product, station)], reference(world, station)
            if form == "anomaly":
                x, y = anomalies(x), anomalies(y)
            found[product, station] = {day: (x[day], y[day]) for day in sorted(set(x) & set(y))}
    return found


def test_matchups_hold_the_nearest_layer_the_holding_pixel_and_the_hours(world):
    ours = world.house.query("select * from marts.fct_matchups")
    theirs = pairs(world, "raw")
    assert {(row["product"], row["station_id"]) for row in ours.iter_rows(named=True)} == set(theirs)
    assert len(ours) == sum(len(days) for days in theirs.values())
    for row in ours.iter_rows(named=True):
        estimate, measured = theirs[row["product"], row["station_id"]][row["obs_date"]]
        assert row["estimate_m3m3"] == pytest.approx(estimate, abs=1e-12)
        assert row["reference_m3m3"] == pytest.approx(measured, abs=1e-9)
        layer, gap, _ = EXPECTED[row["station_id"]]
        assert row["reference_layer"] == f"{layer[0]:g}-{layer[1]:g} cm"
        assert row["depth_gap_cm"] == gap
        assert row["pixel_id"] == pixel_of(world, row["product"], row["station_id"])
        assert row["time_utc"] == f"{row['obs_date'] - timedelta(days=1)} 22:00:00"  # six in the morning in China
    methods = dict(ours.select("station_id", "method").unique().iter_rows())
    assert methods["b2"] == "drying" and methods["a1"] == "probe"


def test_a_station_is_in_the_cell_that_holds_it_on_any_grid(world):
    places = pl.read_parquet(world.house.lake / "stations" / "probes.parquet").filter(
        pl.col("station_id").str.starts_with("place")
    )
    ours = world.house.query("select * from intermediate.int_matchup_place")
    for grid in OTHER_GRIDS:
        found = dict(ours.filter(grid_id=grid).select("station_id", "pixel_id").iter_rows())
        cells = nearest_cells(GRIDS[grid], places["lon"], places["lat"])
        assert {name: found[name] for name in places["station_id"]} == dict(
            zip(places["station_id"], cells.tolist(), strict=True)
        )


def test_distance_is_along_the_great_circle(world):
    from pyproj import Geod

    places = pl.read_parquet(world.house.lake / "stations" / "probes.parquet")
    pixels = world.house.query(
        "select distinct station_id, product, grid_id, pixel_id, distance_m from marts.fct_matchups"
    )
    centres = pl.read_parquet(world.house.lake / "grids/pixels/*.parquet")
    sphere = Geod(a=6371008.8, f=0)
    joined = pixels.join(centres, on=["grid_id", "pixel_id"]).join(
        places.select("station_id", slon="lon", slat="lat"), on="station_id"
    )
    for row in joined.iter_rows(named=True):
        away = sphere.inv(row["lon"], row["lat"], row["slon"], row["slat"])[2]
        assert row["distance_m"] == pytest.approx(away, rel=1e-5, abs=0.01)


def test_anomalies_are_pytesmos_of_the_whole_series(world):
    ours = world.house.query(
        "select * from marts.fct_matchups where estimate_anomaly_m3m3 is not null and reference_anomaly_m3m3 is not null"
    )
    theirs = pairs(world, "anomaly")
    assert len(ours) == sum(len(days) for days in theirs.values())
    for row in ours.iter_rows(named=True):
        both = theirs[row["product"], row["station_id"]][row["obs_date"]]
        assert (row["estimate_anomaly_m3m3"], row["reference_anomaly_m3m3"]) == pytest.approx(both, abs=1e-9)


def units(world: World) -> Iterator[tuple[str, str, list[str]]]:
    for station in EXPECTED:
        yield "station", station, [station]
    for network in ("A", "B"):
        yield "network", network, [s for s in EXPECTED if STATIONS[s][0] == network]


def regions_of(world: World, product: str) -> Iterator[tuple[str, str, list[str]]]:
    inside = INSIDE if product == "model" else INSIDE_COARSE
    for region, pixels in inside.items():
        yield "region", region, [s for s in EXPECTED if pixel_of(world, product, s) in pixels]


def test_scores_are_pytesmos(world):
    ours = {
        tuple(
            row[key]
            for key in (
                "product",
                "unit_kind",
                "unit_id",
                "on_values",
                "period_kind",
                "period_start",
                "season",
                "scaling",
            )
        ): row
        for row in world.house.query("select * from marts.fct_station_validation").iter_rows(named=True)
    }
    checked = 0
    for form in ("raw", "anomaly"):
        of_station = pairs(world, form)
        for product in ("model", "satellite"):
            for kind, unit, stations in [*units(world), *regions_of(world, product)]:
                days = sorted(set().union(*(of_station[product, s] for s in stations)))
                means = {}
                for day in days:
                    here = [of_station[product, s][day] for s in stations if day in of_station[product, s]]
                    if len(here) >= 0.6 * len(stations):
                        means[day] = np.mean(here, axis=0)
                for (period, start), (first, after) in YEARS.items():
                    for season in ("annual", "DJF"):
                        kept = [d for d in means if first <= d < after and (season == "annual" or d.month in WINTER)]
                        x, y = np.array([means[d] for d in kept]).T
                        for how in ("none", "mean_std", "cdf"):
                            row = ours.pop((product, kind, unit, form, period, start, season, how))
                            assert row["n_stations"] == len(stations)
                            for name, value in expected_score(scaled(how, x, y), y).items():
                                assert row[name] == pytest.approx(value, rel=1e-8, abs=1e-10), (
                                    row["unit_id"],
                                    how,
                                    name,
                                )
                            checked += 1
    assert not ours and checked == 2 * 2 * 9 * 3 * 2 * 3


def test_classes_and_counts_of_stations(world):
    house = world.house
    scores = house.query("select * from marts.fct_station_validation where unit_kind = 'station'")
    for row in scores.iter_rows(named=True):
        assert row["r_class"] == (
            "negative" if row["r"] < 0 else "low" if row["r"] < 0.4 else "middle" if row["r"] < 0.6 else "high"
        )
        assert row["ubrmse_class"] == (
            "low" if row["ubrmse_m3m3"] < 0.04 else "middle" if row["ubrmse_m3m3"] < 0.06 else "high"
        )
    assert scores["r_class"].n_unique() >= 3
    assert dict(
        scores.select("station_id", "region_id").filter(pl.col("station_id").is_in(["a1", "b1"])).unique().iter_rows()
    ) == {"a1": "west", "b1": "all_of_it"}
    keys = ["product", "period_kind", "period_start", "season", "on_values", "scaling"]
    for kind, group, column in (("all", "all", None), ("network", "B", "network"), ("region", "west", "region_id")):
        part = scores if column is None else scores.filter(pl.col(column) == group)
        theirs = part.group_by(keys).agg(
            n_stations=pl.len(), mean_r=pl.col("r").mean(), median_r=pl.col("r").median(), mean_rmse_m3m3=pl.col("rmse_m3m3").mean(),
            median_bias_m3m3=pl.col("bias_m3m3").median(), median_ubrmse_m3m3=pl.col("ubrmse_m3m3").median(),
            n_r_high=(pl.col("r_class") == "high").sum(), n_r_negative=(pl.col("r_class") == "negative").sum(), n_ubrmse_low=(pl.col("ubrmse_class") == "low").sum(),
            n_bias_positive=(pl.col("bias_m3m3") > 0).sum(), n_bias_negative=(pl.col("bias_m3m3") < 0).sum(),
        )  # fmt: skip
        ours = house.query(
            "select * from marts.fct_validation_summary where group_kind = ? and group_id = ?", [kind, group]
        )
        assert len(ours) == len(theirs)
        both = ours.join(theirs, on=keys, suffix="_theirs")
        assert len(both) == len(theirs)
        for name in theirs.columns[len(keys) :]:
            assert np.allclose(
                both[name].to_numpy().astype(float), both[f"{name}_theirs"].to_numpy().astype(float), rtol=1e-12
            )


def test_before_and_after_on_common_days(world):
    raw = pairs(world, "raw")
    ours = world.house.query(
        "select * from marts.fct_validation_change where unit_kind = 'station' and on_values = 'raw' and period_kind = 'all' and season = 'annual'"
    )
    assert sorted(ours["unit_id"]) == sorted(EXPECTED)
    for row in ours.iter_rows(named=True):
        before, after = raw["satellite", row["unit_id"]], raw["model", row["unit_id"]]
        days = sorted(set(before) & set(after))
        assert row["n"] == len(days)
        for name, of in (("before", before), ("after", after)):
            x, y = np.array([of[d] for d in days]).T
            assert row[f"r_{name}"] == pytest.approx(pairwise.pearson_r(x, y), rel=1e-9)
            assert row[f"ubrmse_{name}_m3m3"] == pytest.approx(pairwise.ubrmsd(x, y), rel=1e-9)
            assert row[f"bias_{name}_m3m3"] == pytest.approx((x - y).mean(), abs=1e-12)
        assert row["ubrmse_change_m3m3"] < 0


def on_coarse(world: World, product: str) -> np.ndarray:
    """(coarse pixels, days): area means where half of the cell's area has a value."""
    values = np.array([[days.get(day, np.nan) for day in DAYS] for days in estimates(world, product).values()])
    if len(values) == N_COARSE:
        return values
    out = np.full((N_COARSE, len(DAYS)), np.nan)
    for k in range(N_COARSE):
        part, area = values[world.under == k], world.area[world.under == k][:, None] * np.ones(len(DAYS))
        weight = np.where(np.isnan(part), 0, area)
        enough = weight.sum(axis=0) >= 0.5 * area.sum(axis=0)
        out[k, enough] = (np.where(np.isnan(part), 0, part) * weight).sum(axis=0)[enough] / weight.sum(axis=0)[enough]
    return out


def assert_comparison(row: dict, x: np.ndarray, y: np.ndarray) -> None:
    assert row["n"] == x.size
    assert row["bias_m3m3"] == pytest.approx((x - y).mean(), abs=1e-12)
    assert row["rmse_m3m3"] == pytest.approx(pairwise.rmsd(x, y), rel=1e-9)
    assert row["ubrmse_m3m3"] == pytest.approx(pairwise.ubrmsd(x, y), rel=1e-9, abs=1e-12)
    if x.size < 3:
        assert row["r"] is None and row["r2"] is None
    else:
        assert row["r"] == pytest.approx(stats.pearsonr(x, y)[0], rel=1e-9)
        assert row["r2"] == pytest.approx(row["r"] ** 2)


def test_products_are_compared_on_the_coarser_grid(world):
    ours = world.house.query("select * from marts.fct_product_comparison where time_step = 'day' and sampling = 'all'")
    maps = {product: on_coarse(world, product) for product in ("model", "satellite", "third")}
    assert {(row["product_1"], row["product_2"], row["shares_input"]) for row in ours.iter_rows(named=True)} == {
        ("model", "satellite", False), ("model", "third", True), ("satellite", "third", False),
    }  # fmt: skip
    assert ours["grid_id"].unique().to_list() == ["coarse"]
    for row in ours.iter_rows(named=True):
        first, after = YEARS[row["period_kind"], row["period_start"]]
        kept = np.array([first <= d < after and (row["season"] == "annual" or d.month in WINTER) for d in DAYS])
        x, y = (
            maps[row[name]][INSIDE_COARSE[row["region_id"]]][:, kept].ravel() for name in ("product_1", "product_2")
        )
        both = np.isfinite(x) & np.isfinite(y)
        assert_comparison(row, x[both], y[both])
    assert len(ours) == 3 * 2 * 3 * 2


def test_products_are_compared_by_month_on_the_finer_grid(world):
    month = np.array([(d.year, d.month) for d in DAYS])
    months = np.unique(month, axis=0)

    def monthly(product: str) -> np.ndarray:
        own = np.array([[days.get(day, np.nan) for day in DAYS] for days in estimates(world, product).values()])
        # the file's own days: the satellite's month is counted by the dates of its files
        of = (
            month
            if product == "model"
            else np.array([((d + timedelta(days=1)).year, (d + timedelta(days=1)).month) for d in DAYS])
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return np.stack([np.nanmean(np.where((of == m).all(axis=1), own, np.nan), axis=1) for m in months], axis=1)

    fine = monthly("satellite")[world.under]
    row = world.house.query(
        "select * from marts.fct_product_comparison where time_step = 'month' and region_id = 'west' and period_kind = 'all' and season = 'annual'"
    ).row(0, named=True)
    assert row["grid_id"] == "fine" and (row["product_1"], row["product_2"]) == ("satellite", "model")
    x, y = fine[INSIDE["west"]].ravel(), monthly("model")[INSIDE["west"]].ravel()
    both = np.isfinite(x) & np.isfinite(y)
    assert_comparison(row, x[both], y[both])


def test_random_pixels_are_drawn_by_digest(world):
    ours = world.house.query("select * from marts.fct_product_pairs")
    assert set(ours["obs_date"]) == {date(2018, 4, 15), date(2019, 7, 15)}
    maps = {product: on_coarse(world, product) for product in ("model", "satellite", "third")}
    n_rows = 0
    for day in (date(2018, 4, 15), date(2019, 7, 15)):
        i = DAYS.to_list().index(day)
        for first, second in (("model", "satellite"), ("model", "third"), ("satellite", "third")):
            for region, pixels in INSIDE_COARSE.items():
                both = [p for p in pixels if np.isfinite(maps[first][p, i] + maps[second][p, i])]
                drawn = sorted(both, key=lambda p: hashlib.md5(f"5 {p}".encode()).hexdigest())[:3]
                rows = ours.filter(product_1=first, product_2=second, region_id=region, obs_date=day).sort("pixel_id")
                assert rows["pixel_id"].to_list() == sorted(drawn)
                assert rows["sampling"].unique().to_list() in (["random 3, seed 5"], [])
                x, y = (maps[name][sorted(drawn), i] for name in (first, second))
                assert np.allclose(rows["value_1_m3m3"].to_numpy(), x) and np.allclose(
                    rows["value_2_m3m3"].to_numpy(), y
                )
                n_rows += len(rows)
                score = world.house.query(
                    "select * from marts.fct_product_comparison where period_kind = 'day' and product_1 = ? and product_2 = ? and region_id = ? and period_start = ?",
                    [first, second, region, day],
                )
                assert len(score) == (1 if drawn else 0)
                if drawn:
                    assert_comparison(score.row(0, named=True), x, y)
    assert n_rows == len(ours) > 15


def test_triple_collocation_is_pytesmos(world):
    ours = world.house.query("select * from marts.fct_triple_collocation")
    probes = {k: {} for k in range(N_COARSE)}
    for (station, layer), values in world.stations.items():
        if layer == (0.0, 5.0) and station not in ("b3", "outside"):
            for day, value in known(values).items():
                probes[int(world.under[EXPECTED[station][2]])].setdefault(day, []).append(value)
    members = {
        product: [known(row) for row in on_coarse(world, product)] for product in ("model", "satellite", "third")
    }
    members["probes"] = [{day: float(np.mean(v)) for day, v in sorted(days.items())} for days in probes.values()]
    assert sorted(ours.filter(triple_id=1)["pixel_id"]) == [k for k in range(N_COARSE) if probes[k]]
    refused = ours.filter(triple_id=2)
    assert refused["reason"].unique().to_list() == ["dependent"] and len(refused) == N_COARSE
    assert refused.select(pl.col("^(error_sd|snr_db|r)_.*$", "scaling_2")).null_count().transpose()[
        "column_0"
    ].unique().to_list() == [N_COARSE]
    n_checked = 0
    for row in ours.filter(pl.col("triple_id") != 2).iter_rows(named=True):
        series = [anomalies(members[row[f"product_{k}"]][row["pixel_id"]]) for k in (1, 2, 3)]
        days = sorted(set(series[0]) & set(series[1]) & set(series[2]))
        assert row["n"] == len(days)
        x, y, z = (np.array([s[d] for d in days]) for s in series)
        snr, sd, beta = tcol_metrics(x, y, z)
        assert row["shares_input"] == (row["triple_id"] == 3)
        assert [row["scaling_2"], row["scaling_3"]] == pytest.approx(list(beta[1:]), rel=1e-9)
        for k in range(3):
            if np.isfinite(sd[k]):
                assert row[f"error_sd_{k + 1}_m3m3"] == pytest.approx(sd[k] / beta[k], rel=1e-8)
                assert row[f"snr_db_{k + 1}"] == pytest.approx(snr[k], rel=1e-7, abs=1e-7)
                assert row[f"r_{k + 1}"] == pytest.approx(np.sqrt(1 / (1 + 10 ** (-snr[k] / 10))), rel=1e-8)
                n_checked += 1
            else:
                assert row[f"error_sd_{k + 1}_m3m3"] is None and row["reason"] == "negative variance"
    assert n_checked > 18


def test_the_planted_noise_of_the_satellite_is_found(world):
    found = world.house.query(
        "select avg(error_sd_1_m3m3) as sd from marts.fct_triple_collocation where triple_id = 3"
    )["sd"][0]
    assert found == pytest.approx(0.02, abs=0.002)


def response(rain: Series, moisture: Series) -> Iterator[tuple[date, float, float, int | None, bool]]:
    """The definition, day by day: event, before, after, days to return, whether interrupted."""
    step = timedelta(days=1)
    for day in DAYS:
        dry = [rain.get(day - k * step) for k in range(1, 5)]
        if rain.get(day, 0) < 10 or None in dry or sum(dry) >= 1:
            continue
        before = [moisture[day - k * step] for k in (1, 2, 3) if day - k * step in moisture]
        after = [moisture[day + k * step] for k in (0, 1) if day + k * step in moisture]
        if not before or not after:
            continue
        rise = np.mean(after) - np.mean(before)
        following = [k for k in range(1, 31) if rain.get(day + k * step, 0) >= 10]
        end = following[0] if following else 31
        back = [
            k
            for k in range(2, end)
            if day + k * step in moisture and moisture[day + k * step] - np.mean(before) <= rise / 2
        ]
        days = back[0] if back and rise > 0 else None
        yield day, float(np.mean(before)), float(np.mean(after)), days, days is None and rise > 0 and bool(following)


def test_response_to_rain(world):
    ours = {
        (row["product"], row["layer"], row["unit_kind"], row["unit_id"], row["grid_id"], row["event_date"]): row
        for row in world.house.query("select * from marts.fct_rainfall_response").iter_rows(named=True)
    }
    fine_rain = [known(row) for row in world.rain]
    grids = {"model": "fine", "satellite": "coarse"}
    sources: list[tuple[tuple, Series, Series]] = []
    places = {**{s: EXPECTED[s][2] for s in EXPECTED}, "deep": 52}
    for (station, layer), values in world.stations.items():
        if station in places:
            name = f"{layer[0]:g}-{layer[1]:g} cm"
            sources.append((("probes", name, "station", station, None), fine_rain[places[station]], known(values)))
    centre = [int(np.flatnonzero(world.under == k)[10]) for k in range(N_COARSE)]
    for product, grid in grids.items():
        of_pixel = estimates(world, product)
        for station in EXPECTED:
            moisture = of_pixel[pixel_of(world, product, station)]
            sources.append(((product, "0-5 cm", "station", station, None), fine_rain[EXPECTED[station][2]], moisture))
        for pixel, moisture in of_pixel.items():
            rain = fine_rain[pixel if product == "model" else centre[pixel]]
            sources.append(((product, "0-5 cm", "pixel", str(pixel), grid), rain, moisture))
        for region in INSIDE:
            inside = INSIDE[region] if product == "model" else INSIDE_COARSE[region]
            area = world.area[inside] if product == "model" else np.full(len(inside), 16.3)
            values = np.array([[of_pixel[p].get(d, np.nan) for d in DAYS] for p in inside])
            weight = np.where(np.isnan(values), 0, area[:, None])
            with np.errstate(invalid="ignore"):
                mean = np.where(
                    weight.sum(axis=0) >= 0.5 * area.sum(),
                    (np.nan_to_num(values) * weight).sum(axis=0) / weight.sum(axis=0),
                    np.nan,
                )
            rain = np.average(world.rain[INSIDE[region]], axis=0, weights=world.area[INSIDE[region]])
            sources.append(((product, "0-5 cm", "region", region, None), known(rain), known(mean)))
    for names, rain, moisture in sources:
        for event, before, after, days, interrupted in response(rain, moisture):
            row = ours.pop((*names, event))
            assert row["rain_mm"] == pytest.approx(rain[event])
            assert row["soil_moisture_before_m3m3"] == pytest.approx(before, abs=1e-9)
            assert row["soil_moisture_after_m3m3"] == pytest.approx(after, abs=1e-9)
            assert (row["days_to_return"], row["is_interrupted"]) == (days, interrupted), (names, event)
    assert not ours


def test_planted_rain_is_found_but_where_the_gap_was_not_dry(world):
    found = world.house.query(
        "select distinct event_date from marts.fct_rainfall_response where unit_kind = 'region' and product = 'model'"
    )
    days = DAYS.to_list()
    assert set(found["event_date"]) == {days[i] for i in RAIN_DAYS if i not in (100, 421)}
