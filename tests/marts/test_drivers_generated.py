"""The drivers' marts on a generated warehouse, against numpy and scipy: gaps, four kinds of periods, overlapping regions, two grids."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
import pytest
from scipy import stats

from tests.marts import drivers_reference as reference
from tests.marts.drivers_world import END, FACTORS, FILL, MARTS, N_COLS, SCALE, START, build_world
from tests.warehouse import Warehouse

MAP = ["product", "region_id", "period_kind", "season", "period_start"]
MIN_PIXELS = 20


@dataclass(frozen=True)
class Map:
    """One target in one region over one period: y and the factors at its pixels, NaN where a factor has no value."""

    key: tuple
    pixel: np.ndarray
    y: np.ndarray
    x: dict[str, np.ndarray]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    house = build_world(tmp_path_factory.mktemp("drivers"))
    house.dbt("build", "--select", *(f"+{mart}" for mart in MARTS))
    return house


def _raw(house: Warehouse, product: str) -> np.ndarray:
    """(pixels, months) as delivered, NaN for fill."""
    frame = pl.read_parquet(house.lake / "raw" / product / "year=*" / "month=*" / "*.parquet", hive_partitioning=False)
    values = frame.sort("pixel_id", "obs_date")["value"].to_numpy().reshape(frame["pixel_id"].n_unique(), -1)
    return np.where(values == FILL, np.nan, values)


def _factors(house: Warehouse, pixel: np.ndarray) -> dict[str, np.ndarray]:
    """The factors without dates at the pixels of the fine grid."""
    terrain = pl.DataFrame({"pixel_id": pixel}).join(
        pl.read_parquet(house.lake / "raw/terrain/static/terrain.parquet"),
        on="pixel_id",
        how="left",
        maintain_order="left",
    )
    height = terrain["height"].to_numpy().astype(float)
    metres = height * 10 - 50
    cover = terrain["cover"].to_numpy().astype(float)
    soil = pl.read_parquet(house.lake / "raw/soil/static/soil.parquet")["clay"].to_numpy()
    row, col = np.divmod(pixel, N_COLS)
    return {
        "elevation": np.where((height == FILL) | (metres > 900), np.nan, metres),
        "land_cover": np.where(cover == 17, np.nan, cover),
        "flat": terrain["flat"].to_numpy().astype(float),
        "clay": soil[row // SCALE * (N_COLS // SCALE) + col // SCALE],
        "lat": 40 - 0.01 * row,
    }


def _periods() -> Iterator[tuple[str, str | None, list[int], int]]:
    """(kind, season, months of the study by number, months on the calendar)."""
    first = START.year * 12 + START.month - 1
    numbers = range(END.year * 12 + END.month - 1 - first)
    yield "all", None, list(numbers), len(numbers)
    for year in range(START.year, END.year + 1):
        yield "year", None, [i for i in numbers if (first + i) // 12 == year], 12
        yield "season", "DJF", [i for i in numbers if 0 <= first + i - (year * 12 - 1) < 3], 3
        yield "season", "JJA", [i for i in numbers if 0 <= first + i - (year * 12 + 5) < 3], 3
    for i in numbers:
        yield "month", None, [i], 1


def _mean(values: np.ndarray, months: list[int], n: int) -> np.ndarray:
    part = values[:, months]
    known = np.isfinite(part)
    enough = known.sum(axis=1) >= max(0.5 * n, 1)
    mean = np.array([row[k].mean() if k.any() else np.nan for row, k in zip(part, known, strict=True)])
    return np.where(enough, mean, np.nan)


@pytest.fixture(scope="module")
def maps(house: Warehouse) -> dict[tuple, Map]:
    rain, green = _raw(house, "rain"), _raw(house, "greenness")
    pixel = np.arange(len(green))
    row, col = np.divmod(pixel, N_COLS)
    static = _factors(house, pixel)
    inside = {"west": col < 16, "south": row >= 6, "tiny": pixel < 3}
    found = {}
    for product in ("radar", "model"):
        target = _raw(house, product)
        for kind, season, months, n in _periods():
            if not months:
                continue
            y = _mean(target, months, n)
            dated = {
                "rain": _mean(rain, months, n)[row // SCALE * (N_COLS // SCALE) + col // SCALE],
                "ndvi": _mean(green, months, n),
            }
            for region, member in inside.items():
                kept = member & np.isfinite(y)
                start = START.year * 12 + START.month - 1 + months[0]
                key = (product, region, kind, season, f"{start // 12}-{start % 12 + 1:02d}-01")
                if kept.any():
                    x = {name: values[kept] for name, values in (static | dated).items()}
                    found[key] = Map(key, pixel[kept], y[kept], x)
    return found


@pytest.fixture(scope="module")
def mart(house: Warehouse):
    def read(name: str) -> pl.DataFrame:
        return house.query(f"select *, cast(period_start as varchar) as start_text from marts.{name}")

    return read


def key_of(row: dict) -> tuple:
    return (row["product"], row["region_id"], row["period_kind"], row["season"], row["start_text"])


@pytest.fixture(scope="module")
def cuts(house: Warehouse) -> dict[tuple, dict[tuple, list[float]]]:
    """(map, factor) -> (method, k) -> upper ends, as the warehouse has them; tests/udfs says whether they are right."""
    frame = house.query(
        """
        select maps.product, maps.region_id, maps.period_kind, maps.season, cast(maps.period_start as varchar) as start_text,
            factors.factor, cuts.method, cuts.n_strata_asked, cuts.stratum, cuts.upper
        from intermediate.int_driver_factor as of_map
        join intermediate.int_driver_map as maps on of_map.driver_map_id = maps.driver_map_id
        join intermediate.int_factor as factors on of_map.factor_id = factors.factor_id
        join intermediate.int_factor_cuts as cuts on of_map.cells_map_id = cuts.cells_map_id and of_map.factor_id = cuts.factor_id
        order by all
        """
    )
    found: dict[tuple, dict[tuple, list[float]]] = {}
    for row in frame.iter_rows(named=True):
        candidates = found.setdefault((key_of(row), row["factor"]), {})
        candidates.setdefault((row["method"], row["n_strata_asked"]), []).append(row["upper"])
    return found


@pytest.fixture(scope="module")
def chosen(mart, maps: dict[tuple, Map], cuts) -> dict[tuple, np.ndarray]:
    """(map, factor) -> the stratum of each pixel of the map in the published discretisation, 0 where it has none."""
    found = {}
    for row in mart("fct_factor_detector").filter(pl.col("q").is_not_null()).iter_rows(named=True):
        x = maps[key_of(row)].x[row["factor"]]
        method = (row["method"], row["n_strata_asked"])
        uppers = cuts[key_of(row), row["factor"]][method]
        found[key_of(row), row["factor"]] = np.where(np.isfinite(x), reference.strata_of(x, uppers), 0)
    return found


def test_every_map_is_there(mart, maps: dict[tuple, Map]) -> None:
    ours = {key_of(row) for row in mart("fct_factor_detector").iter_rows(named=True)}
    assert ours == set(maps) and len(ours) > 150


def test_dim_factor(house: Warehouse) -> None:
    factors = house.query("select * from marts.dim_factor")
    assert sorted(factors["factor"]) == sorted(f["factor"] for f in FACTORS)
    assert dict(zip(factors["factor"], factors["source"], strict=True)) == {
        "elevation": "static", "land_cover": "static", "clay": "static", "flat": "static", "lat": "coordinate",
        "rain": "series", "ndvi": "series", "unused": "static",
    }  # fmt: skip
    assert factors.filter(~pl.col("is_driver"))["factor"].to_list() == ["unused"]
    units = dict(zip(factors["factor"], factors["unit"], strict=True))
    assert (units["elevation"], units["lat"], units["rain"]) == ("m", "degrees", "mm")


def test_breaks_of_the_plain_methods(maps: dict[tuple, Map], cuts) -> None:
    n = 0
    for (key, factor), candidates in cuts.items():
        x = maps[key].x[factor]
        x = x[np.isfinite(x)]
        for (method, k), uppers in candidates.items():
            if method == "equal" and len(uppers) == k:
                assert uppers == pytest.approx(np.linspace(x.min(), x.max(), k + 1)[1:], rel=1e-12)
            elif method == "quantile" and len(uppers) == k:
                breaks = np.quantile(x, np.linspace(0, 1, k + 1))
                if np.unique(breaks).size == k + 1:
                    assert uppers == pytest.approx(breaks[1:], rel=1e-12)
            elif method == "categories":
                assert uppers == sorted(set(x))
            n += 1
    assert n > 5000


def test_every_candidate(mart, maps: dict[tuple, Map], cuts) -> None:
    candidates = mart("fct_factor_candidates")
    assert len(candidates) == sum(len([c for c in found if c[0] != "cells"]) for found in cuts.values())
    for row in candidates.iter_rows(named=True):
        one = maps[key_of(row)]
        x = one.x[row["factor"]]
        known = np.isfinite(x)
        stratum = reference.strata_of(x[known], cuts[key_of(row), row["factor"]][row["method"], row["n_strata_asked"]])
        assert row["n_used"] == known.sum() and row["n_strata"] == np.unique(stratum).size
        y = one.y[known]
        if known.sum() < MIN_PIXELS or y.min() == y.max():
            assert row["q"] is None
        else:
            assert row["q"] == pytest.approx(reference.q_of(y, stratum), rel=1e-10, abs=1e-14)
        assert row["sampling"] == "all"


def test_the_choice_is_the_largest(mart) -> None:
    candidates = mart("fct_factor_candidates").filter(pl.col("q").is_not_null() & (pl.col("n_strata") > 1))
    order = ["equal", "quantile", "natural", "geometric", "sd", "categories"]
    best = (
        candidates.with_columns(order=pl.col("method").replace_strict({m: i for i, m in enumerate(order)}))
        .with_columns(pl.col("q").round(12).alias("rounded"))
        .sort("rounded", "n_strata", "order", "n_strata_asked", descending=[True, False, False, False])
        .group_by([*MAP, "factor"], maintain_order=True)
        .first()
    )
    ours = candidates.filter("is_chosen")
    both = ours.join(best, on=[*MAP, "factor"], nulls_equal=True)
    assert len(both) == len(ours) == len(best) > 500
    assert (both["method"] == both["method_right"]).all()
    assert (both["n_strata_asked"] == both["n_strata_asked_right"]).all()
    assert set(ours["method"]) == set(order)


def test_factor_detector(mart, maps: dict[tuple, Map], cuts, chosen: dict[tuple, np.ndarray]) -> None:
    reasons: dict[str, int] = {}
    for row in mart("fct_factor_detector").iter_rows(named=True):
        key, factor = key_of(row), row["factor"]
        one = maps[key]
        known = np.isfinite(one.x[factor])
        y, x = one.y[known], one.x[factor][known]
        assert row["n_used"] == known.sum()
        expected = (
            "too few pixels" if known.sum() < MIN_PIXELS
            else "constant target" if y.min() == y.max()
            else "constant factor" if x.min() == x.max()
            else None
        )  # fmt: skip
        assert row["reason"] == expected
        reasons[str(expected)] = reasons.get(str(expected), 0) + 1
        if expected is not None:
            given = {name for name, value in row.items() if value is not None}
            assert not given & {
                "q",
                "method",
                "n_strata",
                "f_statistic",
                "p_central",
                "p_noncentral",
                "p_permutation",
                "q_upper_bound",
                "q_rank",
            }
            continue
        theirs = reference.detect(y, chosen[key, factor][known])
        assert (row["n_strata"], row["n_singletons"]) == (theirs.n_strata, theirs.n_singletons)
        for name in ("q", "f_statistic", "p_central", "p_noncentral"):
            assert row[name] == pytest.approx(getattr(theirs, name), rel=1e-7 if "p_" in name else 1e-10, abs=1e-14), (
                name
            )
        assert 0.05 <= row["p_permutation"] <= 1
        assert (row["p_permutation"] * 20) == pytest.approx(round(row["p_permutation"] * 20))
        if factor == "clay":
            assert (row["method"], row["n_strata_asked"]) == ("quantile", 4)
    assert (
        set(reasons) == {"None", "too few pixels", "constant target", "constant factor"} and min(reasons.values()) >= 10
    )


def test_upper_bound(mart, maps: dict[tuple, Map], cuts) -> None:
    rows = mart("fct_factor_detector").filter(pl.col("q").is_not_null() & (pl.col("factor") != "land_cover"))
    rows = rows.filter(pl.col("product") == "radar", pl.col("period_kind").is_in(["all", "year"]))
    for row in rows.iter_rows(named=True):
        one = maps[key_of(row)]
        x = one.x[row["factor"]]
        known = np.isfinite(x)
        cells = next(uppers for (method, _), uppers in cuts[key_of(row), row["factor"]].items() if method == "cells")
        theirs = reference.best_q(x[known], one.y[known], np.array(cells), row["n_strata"])
        assert row["q_upper_bound"] == pytest.approx(theirs, rel=1e-10)
        assert row["q_upper_bound"] >= row["q"]
    assert len(rows) > 20


def test_rank_and_leading_factor(mart) -> None:
    detector = mart("fct_factor_detector").filter(pl.col("q").is_not_null())
    ranked = detector.with_columns(theirs=pl.col("q").rank("min", descending=True).over(MAP))
    assert (ranked["q_rank"] == ranked["theirs"]).all()
    leading = mart("fct_leading_factor")
    first = detector.filter(pl.col("q_rank") == 1).select(*MAP, "factor", "q")
    assert len(first.join(leading, on=[*MAP, "factor", "q"], nulls_equal=True)) == len(leading) == len(first)
    second = detector.filter(pl.col("q_rank") == 2).select(*MAP, second_factor="factor", second_q="q")
    assert len(second.join(leading, on=[*MAP, "second_factor", "second_q"], nulls_equal=True)) == len(second)
    assert (leading["q"] - leading["second_q"] == leading["margin"]).all()


def test_strata(mart, maps: dict[tuple, Map], chosen: dict[tuple, np.ndarray]) -> None:
    strata = mart("fct_factor_strata")
    seen: dict[tuple, int] = {}
    for row in strata.iter_rows(named=True):
        one, factor = maps[key_of(row)], row["factor"]
        inside = chosen[key_of(row), factor] == row["stratum"]
        x, y = one.x[factor][inside], one.y[inside]
        assert row["n_pixels"] == inside.sum() > 0
        assert row["mean"] == pytest.approx(y.mean(), rel=1e-12)
        if y.size > 1:
            assert row["sd"] == pytest.approx(y.std(ddof=1), rel=1e-9, abs=1e-15)
        else:
            assert row["sd"] is None
        assert row["lower"] <= x.min() and x.max() <= row["upper"]
        if factor == "land_cover":
            assert row["label"] == f"{x[0]:.0f}"
        seen[key_of(row), factor] = seen.get((key_of(row), factor), 0) + row["n_pixels"]
    assert seen == {place: (stratum > 0).sum() for place, stratum in chosen.items()}


def test_labels(mart) -> None:
    west = mart("fct_factor_strata").filter(
        (pl.col("region_id") == "west") & (pl.col("period_kind") == "all") & (pl.col("product") == "model")
    )
    labels = west.filter(pl.col("factor") == "elevation").sort("stratum")
    first, *others = labels.iter_rows(named=True)
    assert first["label"].startswith("[") and all(row["label"].startswith("(") for row in others)
    for row in (first, *others):
        low, high = row["label"][1:-1].split(", ")
        assert (float(low), float(high)) == pytest.approx((row["lower"], row["upper"]), abs=1e-6)
        assert not low.endswith("0") or "." not in low


def test_pixel_strata(house: Warehouse, maps: dict[tuple, Map], chosen: dict[tuple, np.ndarray]) -> None:
    frame = house.query(
        """
        select product, region_id, period_kind, season, cast(period_start as varchar) as start_text, factor, pixel_id, stratum
        from marts.fct_pixel_strata where period_kind in ('all', 'season') order by all
        """
    )
    for place, part in frame.group_by(["product", "region_id", "period_kind", "season", "start_text", "factor"]):
        key, factor = tuple(place[:5]), place[5]
        stratum = chosen[key, factor]
        assert part["pixel_id"].to_list() == maps[key].pixel[stratum > 0].tolist()
        assert part["stratum"].to_list() == stratum[stratum > 0].tolist()
    assert len(frame) > 10_000


def test_interactions_and_ecological(mart, maps: dict[tuple, Map], chosen: dict[tuple, np.ndarray]) -> None:
    ecological = {
        (key_of(row), row["factor_1"], row["factor_2"]): row
        for row in mart("fct_ecological_detector").iter_rows(named=True)
    }
    interactions = mart("fct_interaction_detector")
    classes = set()
    for row in interactions.iter_rows(named=True):
        key, names = key_of(row), (row["factor_1"], row["factor_2"])
        one, two = (chosen[key, name] for name in names)
        both = (one > 0) & (two > 0)
        y, one, two = maps[key].y[both], one[both], two[both]
        assert row["n_used"] == both.sum() >= MIN_PIXELS
        together = reference.detect(y, one * 100 + two)
        alone = [reference.q_of(y, one), reference.q_of(y, two)]
        assert [row["q_1"], row["q_2"]] == pytest.approx(alone, rel=1e-10, abs=1e-14)
        assert row["q_12"] == pytest.approx(together.q, rel=1e-10)
        assert row["n_strata_12"] == together.n_strata
        assert row["q_12_expected"] == pytest.approx((together.n_strata - 1) / (y.size - 1))
        assert row["p_central"] == pytest.approx(together.p_central, rel=1e-7, abs=1e-14)
        assert row["interaction"] == reference.interaction_of(*alone, together.q)
        classes.add(row["interaction"])

        other = ecological.pop((key, *names))
        within = [(1 - q) * y.var() * y.size for q in alone]
        assert other["f_statistic"] == pytest.approx(within[0] / within[1], rel=1e-9)
        p = stats.f.sf(max(within) / min(within), y.size - 1, y.size - 1)
        assert other["p"] == pytest.approx(p, rel=1e-7)
        assert other["delta_q"] == pytest.approx(alone[0] - alone[1], abs=1e-12)
        assert other["is_significant"] == (p < 0.05) and other["n_used"] == both.sum()
    assert not ecological and len(interactions) > 1000
    assert (
        {"enhance bivariate", "enhance nonlinear"}
        <= classes
        <= {"enhance bivariate", "enhance nonlinear", "no enhancement"}
    )


def test_risk(mart, maps: dict[tuple, Map], chosen: dict[tuple, np.ndarray]) -> None:
    n = 0
    for (*place, factor), part in mart("fct_risk_detector").group_by(
        ["product", "region_id", "period_kind", "season", "start_text", "factor"]
    ):
        stratum = chosen[tuple(place), factor]
        y = maps[tuple(place)].y[stratum > 0]
        theirs = reference.risk(y, stratum[stratum > 0])
        assert len(part) == len(np.unique(stratum[stratum > 0])) * (len(np.unique(stratum[stratum > 0])) - 1) // 2
        adjusted = (
            dict(zip(theirs, stats.false_discovery_control([p for _, _, p in theirs.values()]), strict=True))
            if theirs
            else {}
        )
        for row in part.iter_rows(named=True):
            pair = (row["stratum_1"], row["stratum_2"])
            if pair not in theirs:
                assert row["t_statistic"] is row["p"] is row["p_adjusted"] is row["is_significant"] is None
                continue
            t, df, p = theirs[pair]
            assert (row["t_statistic"], row["df"]) == pytest.approx((t, df), rel=1e-8, abs=1e-10)
            assert row["p"] == pytest.approx(p, rel=1e-7, abs=1e-14)
            assert row["p_adjusted"] == pytest.approx(adjusted[pair], rel=1e-7, abs=1e-14)
            assert row["is_significant"] == (row["p_adjusted"] < 0.05)
            assert row["mean_1"] == pytest.approx(y[stratum[stratum > 0] == pair[0]].mean(), rel=1e-12)
            n += 1
    assert n > 1000


def test_shared_cells(house: Warehouse) -> None:
    """The gap-free target's maps use one set of cells for factors without dates; the other's, and series, their own."""
    found = dict(
        house.query(
            """
            select maps.product || ' ' || of_map.source, count(distinct of_map.cells_map_id) / count(distinct of_map.driver_map_id)
            from intermediate.int_driver_factor as of_map join intermediate.int_driver_map as maps using (driver_map_id)
            where maps.region_id = 'west' and maps.period_kind = 'month' group by 1
            """
        ).iter_rows()
    )
    assert found["model static"] < 0.05 and found["model series"] == 1 and found["radar static"] > 0.9
