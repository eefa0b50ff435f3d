"""`downscaling` of a study file: its defaults, and every mistake in it in the user's words."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from soilhouse.study import given_default_study, parse, with_defaults

Change = Callable[[dict[str, Any]], Any]


def changed(change: Change) -> dict[str, Any]:
    """The demo's study with one change of its `downscaling`, thermal inertia alone."""
    study = deepcopy(given_default_study())
    frameworks = study["downscaling"]["frameworks"]
    study["downscaling"]["frameworks"] = [f for f in frameworks if f["framework"] == "thermal_inertia"]
    change(study["downscaling"])
    return study


def test_a_framework_takes_the_defaults_of_its_kind():
    study, problems = parse(changed(lambda d: d["frameworks"][0].update(min_samples=7)))
    assert problems == []
    framework = study.downscaling.frameworks[0]
    assert (framework.product, framework.min_samples, framework.ndvi_levels) == ("thermal_linear", 7, "heihe")
    assert study.downscaling.upscale == "area_mean"


def test_without_frameworks_nothing_is_downscaled_and_nothing_asked():
    study = {k: v for k, v in given_default_study().items() if k != "downscaling"}
    study["groups"] = ["patterns"]
    read, problems = parse(study)
    assert problems == []
    assert read.downscaling.frameworks == []
    assert with_defaults(study)["downscaling"]["target"] is None


@pytest.mark.parametrize(
    ("change", "path", "said"),
    [
        (lambda d: d.update(grd="x"), "study.downscaling.grd", "Nearest: grid"),
        (lambda d: d.pop("target"), "study.downscaling", "needs `target`"),
        (lambda d: d["target"].update(product="x"), "study.downscaling.target", "add it to `series`"),
        (lambda d: d["target"].update(variable="ndvi"), "study.downscaling.target.variable", "soil_moisture"),
        (lambda d: d["features"].append("elevatoin"), "study.downscaling.features[9]", "Nearest: elevation"),
        (lambda d: d["features"].append("clay"), "study.downscaling.features[9]", "comes twice"),
        (lambda d: d["hold_days"].update(clay=3), "study.downscaling.hold_days.clay", "has no dates"),
        (lambda d: d.update(unit="clay"), "study.downscaling.unit", "not categorical"),
        (lambda d: d.update(unit="ndvi"), "study.downscaling.unit", "changes in time"),
        (lambda d: d.update(frameworks=[]), "study.downscaling.frameworks", "is empty"),
        (lambda d: d["frameworks"][0].update(framework="thermal"), "study.downscaling.frameworks[0].framework", "Nearest: thermal_inertia"),
        (lambda d: d["frameworks"][0].pop("framework"), "study.downscaling.frameworks[0].framework", "is missing"),
        (lambda d: d["frameworks"][0].update(min_sample=9), "study.downscaling.frameworks[0].min_sample", "Nearest: min_samples"),
        (lambda d: d["frameworks"][0].update(ndvi_levels="heie"), "study.downscaling.frameworks[0].ndvi_levels", "Nearest: heihe"),
        (lambda d: d["frameworks"][0].update(product="basin_ndvi"), "study.downscaling.frameworks[0].product", "already"),
        (lambda d: d["frameworks"][0]["fit"]["day"].update(product="x"), "study.downscaling.frameworks[0].fit.day", "add it to `series`"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_place(change: Change, path: str, said: str):
    problems = {p.path: p.reason for p in parse(changed(change))[1]}
    assert said in problems[path]


def test_the_group_and_the_key_go_together():
    study = changed(lambda d: None)
    study["groups"] = ["patterns"]
    assert "lacks downscaling" in {p.path: p.reason for p in parse(study)[1]}["study.groups"]
