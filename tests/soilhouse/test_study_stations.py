"""A study's station products against the lake: known, loaded, with measurements, in the period; and the command that helps."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from loaders.load import load
from loaders.products import complete, find_product
from soilhouse.study_check import problems_with_lake

HEADER = "NET NET Up 36.5 100.5 3100.0 0.05 0.05 Probe"


@pytest.fixture
def lake(tmp_path) -> Path:
    path = tmp_path / "NET_NET_Up_sm_0.050000_0.050000_Probe_20200101_20200401.stm"
    times = [datetime(2020, 1, 1) + timedelta(hours=i) for i in range(48)]
    path.write_text("\n".join([HEADER, *(f"{t:%Y/%m/%d %H:%M} 0.2 G M" for t in times)]) + "\n")
    load(complete(find_product("ismn"), "alps", None, None, []), [path], tmp_path / "lake")
    places = tmp_path / "places.csv"
    places.write_text("station_id,lon,lat\nA,1,2\n")
    load(complete(find_product("stations"), "places", None, {}, []), [places], tmp_path / "lake")
    return tmp_path / "lake"


def _found(
    lake: Path, stations: list[str], start=date(2020, 1, 1), end=date(2020, 2, 1)
) -> tuple[list[str], list[str]]:
    study = {"period": {"start": start, "end": end}, "series": [], "stations": stations, "groups": []}
    problems, notes = problems_with_lake(study, lake)
    return [p.reason for p in problems], notes


def test_a_network_that_is_loaded_is_fine(lake):
    assert _found(lake, ["alps"]) == ([], [])


def test_one_that_is_unknown_gets_the_nearest_name_and_both_ways_to_load_it(lake):
    (said,), _ = _found(lake, ["alp"])
    assert said.startswith("'alp' is not a product of stations. Nearest: alps")
    assert f"soilhouse load stations FILES --lake {lake} --as alp" in said
    assert f"soilhouse load ismn FILES --lake {lake} --as alp" in said


def test_one_that_is_not_loaded_here(lake):
    (said,), _ = _found(lake, ["ismn"])
    assert said == f"ismn is not loaded into {lake}. Load it: soilhouse load ismn FILES --lake {lake}"


def test_stations_without_measurements(lake):
    (said,), _ = _found(lake, ["places"])
    assert said.startswith(
        f"places has stations but no measurements in {lake}. Load them: soilhouse load stations FILES --as places"
    )


def test_one_without_a_day_in_the_period_is_noted(lake):
    problems, notes = _found(lake, ["alps"], date(2021, 1, 1), date(2021, 3, 1))
    assert problems == [] and notes == [
        f"alps has no month between 2021-01-01 and 2021-03-01 in {lake}; loaded: 2020-01"
    ]
    assert _found(lake, ["alps"], date(2019, 12, 1), date(2020, 2, 1))[1] == [
        "alps: 1 of the period's 2 months are loaded (2020-01)"
    ]
