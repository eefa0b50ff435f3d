"""What a study says of the frameworks that learn from samples: every mistake in the user's words, before any work."""

from __future__ import annotations

import pytest

from soilhouse.study import parse, with_defaults

TARGET = {"variable": "soil_moisture", "product": "coarse", "layer": "0-5 cm"}
STUDY = {
    "name": "s",
    "title": "t",
    "groups": ["downscaling"],
    "period": {"start": "2019-01-01", "end": "2020-01-01"},
    "series": [{**TARGET, "column": "sm", "unit": "m3 m-3"}],
    "factors": [
        {"factor": "elevation", "coordinate": "lat"},
        {"factor": "terrain_unit", "product": "units", "column": "unit", "kind": "categorical"},
    ],
}


def problems(*frameworks: dict, **changes: object) -> str:
    given = {"grid": "ease2_m01", "target": TARGET, "features": ["elevation"], "frameworks": list(frameworks)} | changes
    _, found = parse(STUDY | {"downscaling": given})
    return "\n".join(f"{problem.path}: {problem.reason}" for problem in found)


WINDOWS = {"framework": "windows"}
STACKING = {"framework": "stacking", "partitions": ["whole"]}


def test_both_with_their_defaults() -> None:
    assert problems(WINDOWS, STACKING) == ""
    assert problems(WINDOWS, {"framework": "stacking"}, unit="terrain_unit") == ""
    merged = with_defaults(STUDY | {"downscaling": {"frameworks": [WINDOWS]}})["downscaling"]["frameworks"][0]
    assert merged["estimators"] == ["mlr", "svr", "ann", "rf", "xgb"] and merged["window_days"] == 16


@pytest.mark.parametrize(
    ("frameworks", "changes", "said"),
    [
        ([WINDOWS | {"window_day": 8}], {}, ["frameworks[0].window_day: is not a key here", "Nearest: window_days"]),
        ([WINDOWS | {"window_days": 0}], {}, ["window_days"]),
        ([WINDOWS | {"estimators": ["rf", "forest"]}], {}, ["frameworks[0].estimators", "forest"]),
        ([WINDOWS | {"estimators": ["rf", "rf"]}], {}, ["comes twice"]),
        ([WINDOWS | {"publish": ["stack"]}], {}, ["`publish` names stack", "best"]),
        ([WINDOWS | {"estimators": ["rf"], "publish": ["mlr"]}], {}, ["`publish` names mlr"]),
        ([WINDOWS | {"hyperparameters": {"rf": {"n_estimator": [9]}}}], {}, ["n_estimator is not a hyperparameter of rf", "n_estimators"]),
        ([WINDOWS | {"hyperparameters": {"rf": {"n_estimators": 9}}}], {}, ["hyperparameters.rf.n_estimators", "a list"]),
        ([STACKING | {"select_by": "test"}], {}, ["frameworks[0].select_by: is not a key here"]),
        ([{"framework": "stacking"}], {}, ["partitions: [unit, ...]", "`unit`"]),
        ([STACKING], {"features": []}, ["`features`"]),
        ([WINDOWS, WINDOWS | {"train_share": 0.7}], {}, ["the product mlr_16day", "suffix"]),
        ([WINDOWS | {"interval_level": 1.0}], {}, ["interval_level"]),
    ],
)  # fmt: skip
def test_what_cannot_be(frameworks: list[dict], changes: dict, said: list[str]) -> None:
    found = problems(*frameworks, **changes)
    for words in said:
        assert words in found, found


def test_a_suffix_tells_two_apart() -> None:
    assert problems(WINDOWS, WINDOWS | {"train_share": 0.7, "suffix": "seventy"}, WINDOWS | {"window_days": 8}) == ""
