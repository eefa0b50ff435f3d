"""What validation finds in the demo, against what was planted."""

from __future__ import annotations

import duckdb
import pytest

from loaders.simulate import Truth
from soilhouse import demo_results


@pytest.fixture(scope="module")
def truth(finished) -> Truth:
    return Truth.read(finished[0] / "files" / "truth.json")


@pytest.fixture(scope="module")
def marts(finished):
    with duckdb.connect(str(finished[0] / "soilhouse.duckdb"), read_only=True) as connection:
        yield connection


def _rows(marts: duckdb.DuckDBPyConnection, title: str) -> list[dict]:
    (result,) = [r for r in demo_results.RESULTS if r.title.startswith(title)]
    return demo_results.rows_of(marts, result)


def test_the_planted_noise_of_the_stations_is_found(marts, truth):
    scores = marts.execute(
        """
        select ubrmse_m3m3, bias_m3m3, ubrmse_lower_m3m3, ubrmse_upper_m3m3 from marts.fct_station_validation
        where product = 'basin_soil_moisture_1km' and unit_kind = 'station' and on_values = 'raw' and scaling = 'none'
        """
    ).fetchall()
    noise = truth.stations["noise_sd"]
    assert len(scores) == len(truth.stations["stations"])
    assert all(abs(ubrmse - noise) < 0.0015 and abs(bias) < 0.003 for ubrmse, bias, _, _ in scores)
    # of twelve intervals of 95 % nearly all hold what is true
    assert sum(lower <= noise <= upper for _, _, lower, upper in scores) >= 10
    best = _rows(marts, "Stations against")[0]
    assert best["product"] == "basin_soil_moisture_1km"


def test_the_planted_noise_of_the_coarse_product_is_found(marts, truth):
    rows = _rows(marts, "Three at a time")
    assert len(rows) == 4
    assert all(row["error_36km"] == pytest.approx(truth.coarse["noise_sd"], abs=0.001) for row in rows)
    assert all((row["error_1km"] or 0) < 0.004 for row in rows)
    assert all(row["error_stations"] < truth.stations["noise_sd"] + 0.002 for row in rows)


def test_the_planted_events_of_rain_are_found(marts, truth):
    rows = marts.execute(
        """
        select cast(event_date as varchar), rise_m3m3 from marts.fct_rainfall_response
        where unit_kind = 'region' and unit_id = 'basin' and product = 'basin_soil_moisture_1km'
        """
    ).fetchall()
    planted = {event["date"]: event["expected_rise"] for event in truth.rain_events}
    assert {date for date, _ in rows} <= set(planted)
    # the planted ones are of the rain of the whole window: one at the threshold may fall short of it over the basin
    assert len(rows) >= len(planted) - 2
    assert all(rise == pytest.approx(planted[date], abs=1e-4) for date, rise in rows)


def test_downscaling_is_compared_on_common_days(marts):
    rows = marts.execute(
        """
        select n, ubrmse_after_m3m3 - ubrmse_before_m3m3 - ubrmse_change_m3m3 from marts.fct_validation_change
        where product_after = 'thermal_linear' and unit_kind = 'region' and on_values = 'raw'
        """
    ).fetchall()
    assert {n > 300 for n, _ in rows} == {True} and all(abs(rest) < 1e-12 for _, rest in rows)
