"""The drivers' marts against the tables of GD, gdverse and geodetector (R) and py-geodetector: every case a region of one warehouse.

A case is a table of y and factors. Its rows are the pixels of a region, its strata the codes of categorical factors `s1`, `s2`, ..., its
columns of numbers the continuous factors `x1`, `x2`, ... So all four detectors run through the marts, on the strata the peers ran on, and the
optimal discretisation on the numbers themselves.

GD and gdverse drop strata of one row before they compute an interaction, GD also before a factor's q; geodetector and py-geodetector do as we
do. Where they dropped rows, our numbers with the same rows dropped must be theirs: the difference is that, and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy import stats

from tests.conftest import count_cases
from tests.marts import drivers_reference as reference
from tests.marts.drivers_world import MARTS
from tests.warehouse import Warehouse, small_grid

N_COLS = 100
Q = {"rel": 1e-10, "abs": 1e-14}
P_OF_R = 2e-9
METHODS = ("equal", "quantile", "natural", "geometric", "sd")


@dataclass(frozen=True)
class Case:
    """One folder of oracles: the strata the peers' detectors ran on (NaN: no stratum) and the numbers behind them."""

    name: str
    folder: Path
    y: np.ndarray
    strata: dict[str, np.ndarray]
    values: dict[str, np.ndarray]

    @property
    def names(self) -> list[str]:
        return list(self.strata)

    def table(self, name: str) -> list[dict[str, str]]:
        """The rows of a peer's table; none where the peer has none."""
        path = self.folder / f"{name}.csv"
        return list(_text(path).iter_rows(named=True)) if path.exists() else []

    def column(self, factor: str) -> str:
        """The factor's name among the strata in the warehouse."""
        return f"s{self.names.index(factor) + 1}"

    def without_singletons(self, *factors: str) -> tuple[np.ndarray, np.ndarray, int]:
        """(y, combined strata, how many rows went) of the rows complete in the factors, strata of one row left out."""
        known = np.all([np.isfinite(self.strata[f]) for f in factors], axis=0)
        combined = sum(self.strata[f][known] * 1000**i for i, f in enumerate(factors))
        _, inverse, counts = np.unique(combined, return_inverse=True, return_counts=True)
        kept = counts[inverse] > 1
        return self.y[known][kept], combined[kept], int((~kept).sum())


def _text(path: Path) -> pl.DataFrame:
    return pl.read_csv(path, infer_schema=False).with_columns(pl.all().str.strip_chars())


def _numbers(column: pl.Series) -> np.ndarray | None:
    """A column as float64 with NaN for blanks; None where it is text."""
    try:
        return np.array([float(v) if v not in (None, "", "NA") else np.nan for v in column])
    except ValueError:
        return None


@pytest.fixture(scope="module")
def cases(shared: Path) -> list[Case]:
    found = []
    for folder in sorted(p for p in (shared / "oracles/opgd").iterdir() if p.is_dir()):
        given, classes = _text(folder / "input.csv"), _text(folder / "strata.csv")
        meta = json.loads((folder / "meta.json").read_text())
        target, *names = classes.columns
        found.append(
            Case(
                folder.name,
                folder,
                _numbers(classes[target]),
                {name: _numbers(classes[name]) for name in names},
                {name: _numbers(given[name]) for name in meta.get("continuous") or []},
            )
        )
    count_cases("opgd oracles, cases", len(found))
    return found


@pytest.fixture(scope="module")
def house(cases: list[Case], tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    n_factors = max(len(case.names) for case in cases)
    columns = [f"{kind}{i + 1}" for kind in "sx" for i in range(n_factors)]
    parts, members = [], []
    first = 0
    for case in cases:
        pixel = np.arange(first, first + case.y.size)
        first += case.y.size
        frame = {"pixel_id": pixel, "y": case.y}
        for i, name in enumerate(case.names):
            frame[f"s{i + 1}"] = case.strata[name]
            if name in case.values:
                frame[f"x{i + 1}"] = case.values[name]
        missing = {name: np.full(pixel.size, np.nan) for name in columns if name not in frame}
        parts.append(pl.DataFrame(frame | missing).select("pixel_id", "y", *columns))
        members.append(pl.DataFrame({"pixel_id": pixel, "region_id": case.name, "fraction": 1.0}))
    table = pl.concat(parts)

    house = Warehouse(tmp_path_factory.mktemp("opgd"))
    house.grid("g", small_grid(-(-first // N_COLS), N_COLS))
    month = table.select(pl.col("pixel_id").cast(pl.Int32), obs_date=pl.lit(date(2020, 1, 1)), y="y")
    house.product("target", "g", month, time_step="month")
    house.static("factors", "g", table.drop("y"))
    regions = pl.DataFrame({"region_id": [c.name for c in cases], "level": 0, "area_km2": 1.0})
    house.regions("cases", "g", regions.with_columns(name="region_id"), pl.concat(members))
    kinds = {"s": "categorical", "x": "continuous"}
    house.study = {
        "name": "opgd",
        "groups": ["drivers"],
        "period": {"start": date(2020, 1, 1), "end": date(2020, 2, 1)},
        "region": {"set": "cases"},
        "series": [
            {
                "variable": "y", "product": "target", "column": "y", "unit": "1", "monthly_statistic": "mean",
            }
        ],
        "factors": [{"factor": c, "product": "factors", "column": c, "kind": kinds[c[0]]} for c in columns],
        "drivers": {"targets": ["y"], "periods": ["all"], "min_pixels": 3, "k_min": 3, "k_max": 8, "permutations": 0},
    }  # fmt: skip
    house.dbt("build", "--select", *(f"+{mart}" for mart in MARTS))
    return house


@pytest.fixture(scope="module")
def detector(house: Warehouse) -> dict[tuple[str, str], dict]:
    rows = house.query("select * from marts.fct_factor_detector").iter_rows(named=True)
    return {(row["region_id"], row["factor"]): row for row in rows}


def _pairs(house: Warehouse, mart: str) -> dict[tuple[str, str, str], dict]:
    rows = house.query(f"select * from marts.{mart}").iter_rows(named=True)
    return {(row["region_id"], row["factor_1"], row["factor_2"]): row for row in rows}


PEERS = ("gd", "gdverse", "geodetector", "pygeodetector")


def test_factor_detector(cases: list[Case], detector: dict) -> None:
    """q and the noncentral p of four peers, on their strata."""
    n_q = n_p = n_other = n_dropped = 0
    for case in cases:
        for peer in PEERS:
            for row in case.table(f"{peer}_factor"):
                factor, q, p = list(row.values())[:3]
                ours = detector[case.name, case.column(factor)]
                y, stratum, dropped = case.without_singletons(factor)
                assert ours["n_singletons"] == dropped
                incomplete = np.isnan(case.strata[factor]).any()
                if peer in ("gd", "gdverse") and (dropped or incomplete):
                    # GD's own blank rows come into its q otherwise, with no table that says how.
                    n_dropped += 1
                    continue
                assert ours["q"] == pytest.approx(float(q), **Q)
                n_q += 1
                if peer in ("gd", "gdverse"):
                    assert ours["p_noncentral"] == pytest.approx(float(p), rel=0, abs=P_OF_R)
                    n_p += 1
                elif not dropped and not incomplete:
                    # These divide by the sample variance: the same noncentral F with n - 1 in the place of n.
                    assert reference.detect(y, stratum, ddof=1).p_noncentral == pytest.approx(
                        float(p), rel=0, abs=P_OF_R
                    )
                    n_other += 1
    assert n_dropped < n_q / 5
    count_cases("opgd oracles, factor detector, q", n_q)
    count_cases("opgd oracles, factor detector, p", n_p)
    count_cases("opgd oracles, factor detector, p that is ours with the sample variance", n_other)


def test_interaction_detector(cases: list[Case], house: Warehouse) -> None:
    ours = _pairs(house, "fct_interaction_detector")
    n = n_dropped = n_named = 0
    names = {"Enhance, bi-": "enhance bivariate", "Enhance, nonlinear": "enhance nonlinear"}
    for case in cases:
        for peer in PEERS:
            for row in case.table(f"{peer}_interaction"):
                first, second = list(row.values())[:2]
                if first == second:
                    continue
                column = {"gd": "qv12", "gdverse": "Variable1 and Variable2 interact Q-statistics"}.get(peer)
                theirs = float(row[column] if column else row.get("q") or row.get("q12"))
                key = tuple(sorted((case.column(first), case.column(second)), key=lambda c: int(c[1:])))
                one = ours[case.name, *key]
                y, combined, dropped = case.without_singletons(first, second)
                complete = np.isfinite(case.strata[first]).all() and np.isfinite(case.strata[second]).all()
                if peer in ("gd", "gdverse") and not complete:
                    continue
                if peer in ("gd", "gdverse") and dropped:
                    assert theirs == pytest.approx(reference.q_of(y, combined), **Q)
                    n_dropped += 1
                    continue
                assert one["q_12"] == pytest.approx(theirs, **Q)
                n += 1
                word = row.get("interaction") or row.get("Interaction") or row.get("type")
                if word in names:
                    assert one["interaction"] == names[word]
                    n_named += 1
    count_cases("opgd oracles, interaction detector, q12", n)
    count_cases("opgd oracles, interaction detector, class", n_named)
    count_cases(
        "opgd oracles, interaction detector, q12 of GD and gdverse that is ours without strata of one row", n_dropped
    )


def test_risk_detector(cases: list[Case], house: Warehouse) -> None:
    rows = house.query("select * from marts.fct_risk_detector").iter_rows(named=True)
    ours = {(r["region_id"], r["factor"], r["stratum_1"], r["stratum_2"]): r for r in rows}
    means = house.query("select region_id, factor, stratum, label, mean from marts.fct_factor_strata")
    stratum = {(r, f, int(label)): s for r, f, s, label, _ in means.iter_rows() if f.startswith("s")}
    mean = {(r, f, int(label)): m for r, f, _, label, m in means.iter_rows() if f.startswith("s")}
    n = n_means = 0
    for case in cases:
        for peer, t_name, df_name, p_name in (
            ("gd", "t", "df", "sig"),
            ("gdverse", "T-statistic", "Degree-freedom", "P-value"),
        ):
            for row in case.table(f"{peer}_risk"):
                factor, first, second = list(row.values())[:3]
                codes = [int(float(code.removeprefix("zone"))) for code in (first, second)]
                column = case.column(factor)
                if row[t_name] in (None, "", "NA", "NaN") or any((case.name, column, c) not in stratum for c in codes):
                    continue
                one = ours[case.name, column, *sorted(stratum[case.name, column, c] for c in codes)]
                sign = 1 if codes == sorted(codes) else -1
                if one["t_statistic"] is None:
                    continue
                assert one["t_statistic"] * sign == pytest.approx(float(row[t_name]), rel=1e-9)
                assert one["df"] == pytest.approx(float(row[df_name]), rel=1e-9)
                assert one["p"] == pytest.approx(float(row[p_name]), rel=0, abs=P_OF_R)
                n += 1
        for peer in ("gd", "geodetector"):
            for row in case.table(f"{peer}_riskmean"):
                factor, code, theirs = row.values()
                assert mean[case.name, case.column(factor), int(float(code))] == pytest.approx(float(theirs), rel=1e-12)
                n_means += 1
    count_cases("opgd oracles, risk detector, t tests", n)
    count_cases("opgd oracles, risk detector, means", n_means)


def test_ecological_detector(cases: list[Case], house: Warehouse) -> None:
    """gdverse's ratio of what is left; GD and geodetector divide q by q instead and are none."""
    ours = _pairs(house, "fct_ecological_detector")
    n = 0
    for case in cases:
        for row in case.table("gdverse_ecological"):
            first, second, _, f, p = row.values()
            if not all(
                np.isfinite(case.strata[name]).all() and case.without_singletons(name)[2] == 0
                for name in (first, second)
            ):
                continue
            one = ours.get((case.name, case.column(first), case.column(second)))
            ratio = (
                one["f_statistic"]
                if one
                else 1 / ours[case.name, case.column(second), case.column(first)]["f_statistic"]
            )
            assert ratio == pytest.approx(float(f), rel=1e-9)
            one = one or ours[case.name, case.column(second), case.column(first)]
            if ratio > 1:
                assert one["p"] == pytest.approx(float(p), rel=0, abs=P_OF_R)
            else:
                assert stats.f.sf(ratio, one["n_used"] - 1, one["n_used"] - 1) == pytest.approx(
                    float(p), rel=0, abs=P_OF_R
                )
            n += 1
    count_cases("opgd oracles, ecological detector", n)


def _candidates(cases: list[Case], house: Warehouse) -> Iterator[tuple[Case, dict, dict | None]]:
    """GD's candidates that kept all rows, with ours of the same variable, method and k."""
    rows = house.query("select * from marts.fct_factor_candidates").iter_rows(named=True)
    ours = {(r["region_id"], r["factor"], r["method"], r["n_strata_asked"]): r for r in rows}
    for case in cases:
        for row in case.table("gd_disc"):
            x = f"x{case.names.index(row['variable']) + 1}"
            yield case, row, ours.get((case.name, x, row["method"], int(row["n"])))


def test_candidates(cases: list[Case], house: Warehouse) -> None:
    n = n_dropped = 0
    for case, row, ours in _candidates(cases, house):
        counts = [int(c) for c in row["counts"].split(";")] if row["counts"] != "NA" else []
        if sum(counts) != case.y.size or 1 in counts or row["q"] == "NA":
            n_dropped += 1
            continue
        if row["method"] == "geometric":
            continue
        assert ours["q"] == pytest.approx(float(row["q"]), **Q), (case.name, row["variable"], row["method"], row["n"])
        n += 1
    count_cases("opgd oracles, candidates of GD, q", n)


def test_optimal_discretisation(cases: list[Case], house: Warehouse, detector: dict) -> None:
    """GD's optimum is ours, or ours explains more (GD's geometric breaks lose rows, ours do not)."""
    n_same = n_better = 0
    for case in cases:
        for row in case.table("gd_optidisc"):
            x = f"x{case.names.index(row['variable']) + 1}"
            ours = detector[case.name, x]
            counts = [int(c) for c in row["counts"].split(";")]
            if sum(counts) != case.y.size or 1 in counts:
                continue
            if (ours["method"], ours["n_strata_asked"]) == (row["method"], int(row["n"])):
                assert ours["q"] == pytest.approx(float(row["q"]), **Q)
                n_same += 1
            else:
                assert ours["q"] >= float(row["q"]) - 1e-12
                n_better += 1
    assert n_same > n_better
    count_cases("opgd oracles, optimal discretisation, the same as GD's", n_same)
    count_cases("opgd oracles, optimal discretisation, more than GD's", n_better)
