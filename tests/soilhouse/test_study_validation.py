"""What `validation` of a study may say, and what it is told when it says something else."""

from __future__ import annotations

import copy

import pytest

from soilhouse.study import parse
from tests.marts.validation_world import study


def given(**validation) -> dict:
    asked = copy.deepcopy(study()) | {"title": "Validated"}
    asked["validation"] |= validation
    return asked


def problems(**validation) -> dict[str, str]:
    return {problem.path.removeprefix("study.validation."): problem.reason for problem in parse(given(**validation))[1]}


def test_a_study_that_asks_for_everything_is_taken():
    parsed, found = parse(given())
    assert not found
    assert parsed.validation.confidence == 0.95, "what is left out takes its default"
    assert parsed.validation.random_pairs.dates[0].isoformat() == "2018-04-15"


MODEL = {"product": "model", "layer": "0-5 cm"}


@pytest.mark.parametrize(
    ("key", "value", "path", "words"),
    [
        ("products", [{"product": "modell", "layer": "0-5 cm"}], "products[0].product", "Nearest: model"),
        ("products", [{"product": "model", "layer": "0-7 cm"}], "products[0].layer", "It has: 0-5 cm"),
        ("products", [{"product": "probes", "layer": "0-5 cm"}], "products[0].product", "not soil moisture by day"),
        ("references", ["probe"], "references[0]", "Nearest: probes"),
        ("comparisons", [{"of": [MODEL]}], "comparisons[0].of", "at least 2"),
        ("triples", [{"of": [MODEL, MODEL]}], "triples[0].of", "at least 3"),
        ("triples", [{"of": [{"product": "probes", "layer": "0-5 cm"}] * 3}], "triples[0].of", "on a grid"),
        ("before_after", [{"before": MODEL, "after": {"product": "rain", "layer": "0-5 cm"}}], "before_after[0].after.product", "'rain'"),
        ("rain_product", "model", "rain_product", "Known: rain"),
        ("seasons", ["spring"], "seasons[0]", "not a season"),
        ("hours", [9, 6], "", "[from, to]"),
        ("rain_max_days", 1, "", "ends before"),
        ("scalings", ["linreg"], "scalings[0]", "Possible: none, mean_std, cdf"),
        ("min_n", 2, "min_n", "2"),
        ("random_pairs", {"dates": ["15 April"], "n": 10, "seed": 1}, "random_pairs.dates[0]", "2011-01-01"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_said(key, value, path, words):
    found = problems(**{key: value})
    name = path if path else "study.validation"
    assert name in found and words in found[name], found


def test_names_are_not_asked_for_where_the_group_is_not_built():
    asked = given(rain_product="nowhere") | {"groups": ["patterns"]}
    assert not parse(asked)[1]
