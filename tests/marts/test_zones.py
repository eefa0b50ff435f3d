"""fct_zone_monthly against numpy: bands by quantile, given breaks, classes, and regions."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
import pytest

from tests.marts import reference
from tests.marts.seasons import BREAKS, VARIABLES, K, Ruled


def zones_of(ruled: Ruled, variable: str, factor: str) -> dict[int, tuple]:
    """pixel -> (zone_number, zone, zone_lower, zone_upper), by numpy, over the pixels that the series has."""
    terrain = ruled.terrain.filter(pl.col("pixel_id").is_in(list(ruled.months[variable])))
    pixels, x = terrain["pixel_id"].to_list(), terrain[factor].to_numpy()
    if factor == "elevation":
        edges = np.quantile(x, np.linspace(0, 1, K + 1))
        number = np.maximum(np.searchsorted(edges, x, side="left"), 1)
        return {
            p: (int(i), f"{edges[i - 1]:.0f}-{edges[i]:.0f} m", edges[i - 1], edges[i])
            for p, i in zip(pixels, number, strict=True)
        }
    if factor == "slope":
        names = ["up to 2.5 degrees", "2.5-10 degrees", "above 10 degrees"]
        ends = [None, *BREAKS, None]
        number = np.searchsorted(BREAKS, x, side="left")
        return {p: (int(i) + 1, names[i], ends[i], ends[i + 1]) for p, i in zip(pixels, number, strict=True)}
    codes = sorted(set(x))
    return {p: (codes.index(c) + 1, str(int(c)), None, None) for p, c in zip(pixels, x, strict=True)}


def monthly(ruled: Ruled, variable: str, kind: str, zone: dict[int, tuple], weight: dict[int, float]) -> list[dict]:
    cells: dict[tuple, list[tuple[float, float]]] = {}
    for p, of_zone in zone.items():
        for (year, month), value in ruled.months[variable].get(p, {}).items():
            cells.setdefault((of_zone, date(year, month, 1)), []).append((value, weight[p]))
    rows = []
    for (of_zone, month), pairs in cells.items():
        value, area = np.array(pairs).T
        row = dict(zip(("zone_number", "zone", "zone_lower", "zone_upper"), of_zone, strict=True))
        rows.append(
            {
                "zone_kind": kind, **row, "month": month, "n_pixels": value.size, "area_km2": area.sum(),
                "mean": float(np.average(value, weights=area)), "sd": float(np.std(value, ddof=1)) if value.size > 1 else None,
            }
        )  # fmt: skip
    return rows


@pytest.mark.parametrize("variable", VARIABLES)
def test_zones(ruled: Ruled, variable: str) -> None:
    ours = ruled.mart("fct_zone_monthly", variable)
    # The part of a pixel inside: levels hold each other, so the larger of its two.
    area = dict(ruled.members.group_by("pixel_id").agg(pl.col("weight_km2").max()).iter_rows())
    rows = []
    for factor in ("elevation", "slope", "cover"):
        rows += monthly(ruled, variable, factor, zones_of(ruled, variable, factor), area)
    for (region,), inside in ruled.members.group_by("region_id"):
        weight = dict(zip(inside["pixel_id"], inside["weight_km2"], strict=True))
        rows += monthly(ruled, variable, "region", dict.fromkeys(weight, (None, region, None, None)), weight)
    theirs = pl.DataFrame(rows, infer_schema_length=None)
    assert theirs.group_by("zone_kind").agg(pl.col("zone").n_unique()).sort("zone_kind").rows() == [
        ("cover", 3), ("elevation", K), ("region", 2), ("slope", 3),
    ]  # fmt: skip
    reference.assert_same(ours, theirs, ["zone_kind", "zone", "month"])


def test_bands_hold_equally_many_pixels(ruled: Ruled) -> None:
    found = ruled.house.query(
        "select zone_number, count(*) as n from intermediate.int_zone_pixel where factor = 'elevation' and series_id = 2 group by 1 order by 1"
    )
    assert found["n"].to_list() == [6, 6, 6, 6]


def test_a_region_is_the_same_zone_and_map(ruled: Ruled) -> None:
    """A region's zone and its monthly statistics are two ways to the same numbers."""
    differing = ruled.house.query("""
        select * from marts.fct_zone_monthly as zones
        join marts.fct_monthly_statistics as maps
            on zones.variable = maps.variable and zones.zone = maps.region_id and zones.month = maps.month
        where zones.zone_kind = 'region' and (zones.n_pixels <> maps.n_pixels or abs(zones.mean - maps.area_mean) > 1e-12 * abs(zones.mean))
    """)
    assert len(differing) == 0
