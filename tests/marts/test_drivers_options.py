"""What a study may choose of the detectors: a sample of the pixels, one discretisation for all months, units of the target."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from tests.marts import drivers_reference as reference
from tests.marts.drivers_world import MARTS, build_world
from tests.warehouse import Warehouse

N = 150
DRAWS = 19


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """150 pixels at random in each region; the modelled target twice, once in other units."""
    house = build_world(tmp_path_factory.mktemp("options"))
    modelled = {"product": "model", "column": "value"}
    house.study |= {
        "series": [
            {"variable": "soil_moisture", "layer": "0-5 cm", **modelled},
            {"variable": "soil_moisture", "layer": "5-10 cm", "scale": -640, "offset": 5000, **modelled},
        ],
        "factors": [f for f in house.study["factors"] if f["factor"] in ("elevation", "land_cover", "lat")],
        "sampling": {"kind": "random", "n": N, "seed": 4},
        "drivers": {"periods": ["all", "month"], "k_max": 5, "permutations": DRAWS, "choose": "once"},
    }
    house.dbt("build", "--select", *(f"+{mart}" for mart in MARTS), "--exclude-resource-type", "test", "unit_test")
    return house


def test_only_the_sample_enters(house: Warehouse) -> None:
    rows = house.query("select * from marts.fct_factor_detector where layer = '0-5 cm' and region_id <> 'tiny'")
    assert set(rows["sampling"]) == {f"random {N}, seed 4"}
    assert rows.filter(pl.col("factor") == "lat")["n_used"].to_list() == [N] * 2 * 25
    pixels = house.query(
        "select pixel.*, map.region_id, map.period_kind from intermediate.int_driver_pixel as pixel"
        " join intermediate.int_driver_map as map using (driver_map_id) where layer = '0-5 cm' and period_kind = 'all'"
    )
    assert (
        pixels.filter(pl.col("region_id") == "west")["is_sampled"].sum()
        == N
        < len(pixels.filter(pl.col("region_id") == "west"))
    )
    strata = house.query(
        "select region_id, pixel_id, stratum from marts.fct_pixel_strata"
        " where factor = 'land_cover' and layer = '0-5 cm' and period_kind = 'all'"
    )
    for region in ("west", "south"):
        both = pixels.filter((pl.col("region_id") == region) & pl.col("is_sampled")).join(
            strata, on=["region_id", "pixel_id"]
        )
        row = rows.filter(
            pl.col("region_id") == region, pl.col("period_kind") == "all", pl.col("factor") == "land_cover"
        )
        theirs = reference.q_of(both["deviation"].to_numpy(), both["stratum"].to_numpy())
        assert row["q"].item() == pytest.approx(theirs, rel=1e-10) and row["n_used"].item() == len(both)
        assert row["p_permutation"].item() == 1 / (DRAWS + 1)


def test_one_discretisation_for_all_months(house: Warehouse) -> None:
    candidates = house.query(
        "select * from marts.fct_factor_candidates where layer = '0-5 cm' and region_id <> 'tiny' and n_strata > 1"
    )
    means = (
        candidates.group_by("region_id", "period_kind", "factor", "method", "n_strata_asked")
        .agg(pl.col("q").mean(), chosen=pl.col("is_chosen").all(), any_chosen=pl.col("is_chosen").any(), n=pl.len())
        .filter(pl.col("n") == pl.col("n").max().over("region_id", "period_kind", "factor"))
    )
    taken = means.filter("any_chosen")
    assert taken["chosen"].all()
    largest = means.group_by("region_id", "period_kind", "factor").agg(pl.col("q").max().alias("largest"))
    both = taken.join(largest, on=["region_id", "period_kind", "factor"])
    np.testing.assert_allclose(both["q"], both["largest"], rtol=1e-11)
    assert len(both) == len(taken) == 12  # two regions, two kinds of period, three factors


def test_q_does_not_know_the_units(house: Warehouse) -> None:
    """y and 5000 - 640 y have the same q and F; the noncentral p of the peers is another."""
    keys = ["region_id", "period_kind", "period_start", "factor"]
    rows = house.query("select * from marts.fct_factor_detector where q is not null")
    both = rows.filter(pl.col("layer") == "0-5 cm").join(rows.filter(pl.col("layer") == "5-10 cm"), on=keys)
    assert len(both) > 100
    for name in ("q", "f_statistic", "q_upper_bound", "p_central", "p_permutation"):
        np.testing.assert_allclose(both[name], both[f"{name}_right"], rtol=1e-8, atol=1e-13, err_msg=name)
    assert (both["n_strata"] == both["n_strata_right"]).all()
    changed = (both["p_noncentral"] - both["p_noncentral_right"]).abs()
    assert changed.max() > 0.01
    pairs = house.query("select * from marts.fct_interaction_detector")
    same = pairs.filter(pl.col("layer") == "0-5 cm").join(
        pairs.filter(pl.col("layer") == "5-10 cm"),
        on=["region_id", "period_kind", "period_start", "factor_1", "factor_2"],
    )
    np.testing.assert_allclose(same["q_12"], same["q_12_right"], rtol=1e-8)
    assert (same["interaction"] == same["interaction_right"]).all()
