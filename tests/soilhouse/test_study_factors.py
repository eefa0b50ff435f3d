"""What a study says of factors and drivers, against the products and the lake: every mistake with the nearest known word."""

from __future__ import annotations

import pytest

from soilhouse.study import validate
from tests.soilhouse.test_study import put, reasons

CLAY = {"factor": "clay", "product": "my_soil", "column": "sm"}


@pytest.fixture
def with_drivers(minimal) -> dict:
    study = put(minimal, ["groups"], ["drivers"])
    study["factors"] = [dict(CLAY), {"factor": "lat", "coordinate": "lat"}]
    study["drivers"] = {"targets": [study["series"][0]["variable"]]}
    return study


def test_a_right_one_passes(written, with_drivers, lake):
    study = validate(written(with_drivers), lake)
    assert [factor.factor for factor in study.factors] == ["clay", "lat"]


@pytest.mark.parametrize(
    ("change", "place", "said"),
    [
        ({"product": "my_siol"}, "product", ["'my_siol' is not a product. Nearest: my_soil", "soilhouse load table FILES --as my_siol"]),
        ({"product": "my_daily"}, "product", ["my_daily has dates", "by `variable`", "Products without dates: "]),
        ({"column": "ms"}, "column", ["'ms' is not a column of my_soil", "sm"]),
        ({"column": "remark"}, "column", ["is text, not a number"]),
    ],
)  # fmt: skip
def test_a_wrong_static_factor(written, with_drivers, lake, change, place, said):
    with_drivers["factors"][0] |= change
    found = reasons(written(with_drivers), lake)
    assert set(found) == {f"study.factors[0].{place}"}
    for words in said:
        assert words in found[f"study.factors[0].{place}"]


def test_a_static_product_that_is_not_loaded(written, with_drivers, lake):
    (lake / "raw" / "my_soil" / "static" / "my_soil.parquet").unlink()
    found = reasons(written(with_drivers), lake)
    assert "my_soil is not loaded" in found["study.factors[0].product"]
    assert "soilhouse load table FILES --as my_soil" in found["study.factors[0].product"]


def test_drivers_without_a_target_or_factors(written, with_drivers, lake):
    with_drivers["drivers"]["targets"] = ["soil_moistur"]
    del with_drivers["factors"]
    found = reasons(written(with_drivers), lake)
    assert found["study.drivers.targets[0]"].startswith("'soil_moistur' is not a variable of the study's series.")
    assert "is empty" in found["study.factors"]


def test_other_groups_need_no_factors(written, minimal, lake):
    assert validate(written(put(minimal, ["groups"], ["patterns"])), lake).factors == []
