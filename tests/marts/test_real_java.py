"""Java, 2011 to 2017: 84 monthly CHIRPS GeoTIFFs."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import rasterio

from tests.conftest import count_cases
from tests.marts import real, reference
from tests.warehouse import Warehouse

START, END = date(2011, 1, 1), date(2018, 1, 1)
N_LAND = 4908
RULES = reference.TrendRules(("year", "month"), ("annual", "DJF", "JJA"), min_valid=6, is_total=True, epsilon=1.0)
STUDY = {
    "name": "java",
    "groups": ["patterns", "trends"],
    "period": {"start": str(START), "end": str(END)},
    "series": [{"variable": "precipitation", "product": "chirps_monthly"}],
    "rank_stability": {"max_lag_months": 2},
    "trends": {"time_steps": ["year", "month"], "seasons": ["annual", "DJF", "JJA"], "min_valid": 6},
}
EVERY = 25
"""Of the pixels' trends every 25th is computed again: the libraries need 10 ms for each of the six series of a pixel."""


@pytest.fixture(scope="module")
def house(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    root = tmp_path_factory.mktemp("java")
    real.load(root, "chirps_monthly", shared / "data/chirps_java_monthly")
    return real.build(root, STUDY)


@pytest.fixture(scope="module")
def months(shared: Path, house: Warehouse) -> pl.DataFrame:
    parts = []
    for path in sorted((shared / "data/chirps_java_monthly").glob("*.tif")):
        year, month = (int(part) for part in path.stem.split("v2.0.")[1].split("."))
        with rasterio.open(path) as raster:
            values = raster.read(1)
            rows, cols = np.nonzero(values >= 0)
            lon, lat = raster.xy(rows, cols)
        parts.append(
            pl.DataFrame({"lon": lon, "lat": lat, "value": values[rows, cols].astype("float64")}).with_columns(
                month=date(year, month, 1)
            )
        )
    assert len(parts) == 84
    return real.with_pixels(house, pl.concat(parts))


def test_area_of_the_pixels(house: Warehouse) -> None:
    pixels = house.query("select lat, area_km2 from marts.dim_pixel")
    assert np.allclose(real.area_of_cell(pixels["lat"].to_numpy(), 0.05), pixels["area_km2"].to_numpy(), rtol=1e-9)


def test_monthly_statistics(house: Warehouse, months: pl.DataFrame) -> None:
    theirs = reference.monthly_statistics(months, real.everywhere(months))
    assert theirs["n_pixels"].unique().to_list() == [N_LAND]
    ours = house.query("select * from marts.fct_monthly_statistics")
    count_cases("Java, monthly statistics, numbers", reference.assert_same(ours, theirs, ["region_id", "month"]))


def test_rank_stability(house: Warehouse, months: pl.DataFrame) -> None:
    theirs = reference.rank_stability(months, real.everywhere(months), 2)
    ours = house.query("select * from marts.fct_rank_stability")
    n = reference.assert_same(ours, theirs, ["region_id", "month_1", "month_2"])
    count_cases("Java, rank stability, numbers", n)


def test_trends(house: Warehouse, months: pl.DataFrame) -> None:
    ours = house.query("select * from marts.fct_trends")
    assert ours.group_by("time_step", "season").len()["len"].unique().to_list() == [N_LAND]
    sample = months["pixel_id"].unique().sort().gather_every(EVERY)
    theirs = reference.trends(months, RULES, sample)
    sampled = ours.filter(pl.col("pixel_id").is_in(sample.implode()))
    count_cases("Java, trends, numbers", reference.assert_same(sampled, theirs, ["pixel_id", "time_step", "season"]))


def test_adjusted_p(house: Warehouse) -> None:
    """Benjamini-Hochberg over all 4,908 pixels of each time step and season."""
    columns = "time_step, season, pixel_id, mk_p, mk_p_adjusted"
    ours = house.query(f"select {columns} from marts.fct_trends order by time_step, season, pixel_id")
    parts = [
        group.with_columns(mk_p_adjusted=pl.Series(reference.multipletests(group["mk_p"], method="fdr_bh")[1]))
        for _, group in ours.group_by("time_step", "season")
    ]
    n = reference.assert_same(ours, pl.concat(parts), ["time_step", "season", "pixel_id"])
    count_cases("Java, adjusted p, numbers", n)
