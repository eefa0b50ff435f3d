"""fct_interannual_variation against numpy, from the months of the generated warehouse."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from tests.marts import reference
from tests.marts.seasons import TRENDS, VARIABLES, Ruled


def described(steps: dict[int, float], kind: str) -> dict:
    """The columns of one row from year or month -> value."""
    t, x = np.array(sorted(steps)), np.array([steps[k] for k in sorted(steps)])
    mean = x.mean()
    lowest, highest = int(t[np.argmin(x)]), int(t[np.argmax(x)])
    is_year = kind == "year"
    return {
        "n_values": x.size,
        "mean": mean,
        "cv_sample": np.std(x, ddof=1) / mean if x.size > 1 else None,
        "cv_population": np.std(x) / mean,
        "ols_slope_per_year": np.polyfit(t - t.mean(), x, 1)[0] if is_year and x.size > 1 else None,
        "minimum": x.min(),
        "minimum_year": lowest if is_year else None,
        "minimum_month": None if is_year else lowest,
        "maximum": x.max(),
        "maximum_year": highest if is_year else None,
        "maximum_month": None if is_year else highest,
    }


@pytest.mark.parametrize("variable", VARIABLES)
def test_interannual_variation(ruled: Ruled, variable: str) -> None:
    ours = ruled.mart("fct_interannual_variation", variable)
    rows = []
    for (region,), inside in ruled.members.group_by("region_id"):
        weight = dict(zip(inside["pixel_id"], inside["weight_km2"], strict=True))

        def area_mean(values: dict[int, float], weight: dict[int, float] = weight) -> float:
            return float(np.average(list(values.values()), weights=[weight[p] for p in values]))

        monthly: dict[tuple[int, int], dict[int, float]] = {}
        for p, of_pixel in ruled.months[variable].items():
            for ym, value in of_pixel.items() if p in weight else ():
                monthly.setdefault(ym, {})[p] = value
        for season in TRENDS["seasons"]:
            by_year: dict[int, dict[int, float]] = {}
            for p in weight:
                for year, (value, _, _) in ruled.seasonal(variable, season, p).items():
                    if value is not None:
                        by_year.setdefault(year, {})[p] = value
            years = {year: area_mean(values) for year, values in by_year.items()}
            key = {"region_id": region, "season": season}
            counted = {"n_years": len(years), "is_small_sample": len(years) < 10}
            rows.append({**key, "time_step": "year", **counted, **described(years, "year")})
            if season not in reference.SEASONS:
                continue
            by_month: dict[int, list[float]] = {}
            for (_, month), values in monthly.items():
                if month in reference.SEASONS[season]:
                    by_month.setdefault(month, []).append(area_mean(values))
            months = {month: float(np.mean(values)) for month, values in by_month.items()}
            longest = max(len(values) for values in by_month.values())
            counted = {"n_years": longest, "is_small_sample": longest < 10}
            rows.append({**key, "time_step": "month", **counted, **described(months, "month")})
    theirs = pl.DataFrame(rows, infer_schema_length=None)
    assert len(theirs) == 2 * (4 + 2)
    assert theirs.filter(pl.col("time_step") == "year")["n_values"].min() > 8
    reference.assert_same(ours, theirs, ["region_id", "time_step", "season"])


def test_labels(ruled: Ruled) -> None:
    found = ruled.house.query(
        "select distinct study, variable, product, layer, unit from marts.fct_interannual_variation order by variable"
    )
    assert found.rows() == [
        ("ruled", "air_temperature", "weather", "surface", "degC"),
        ("ruled", "precipitation", "rain", "surface", "mm"),
        ("ruled", "soil_moisture", "field", "0-5 cm", "m3 m-3"),
        ("ruled", "soil_temperature", "ground", "0-5 cm", "degC"),
    ]
