"""What `downscaling` of a study says against the rest of it: series, factors and levels that it names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from loaders.nearest import suggestion
from soilhouse.problems import Problem
from soilhouse.seeds import land_cover_schemes, ndvi_levels

DAY_OF_YEAR = "day_of_year"


def downscaling_problems(study: Mapping[str, Any]) -> Iterator[Problem]:
    """Problems of a study with its defaults filled in, of any shape."""
    downscaling = study.get("downscaling")
    if not isinstance(downscaling, dict):
        return
    frameworks = [f for f in _list(downscaling.get("frameworks")) if isinstance(f, dict)]
    is_asked = "downscaling" in _list(study.get("groups"))
    if is_asked and not frameworks:
        yield Problem(
            "study.downscaling.frameworks",
            "is empty: the group downscaling needs one (docs/study_file.md, downscaling)",
        )
    if frameworks and not is_asked:
        yield Problem(
            "study.groups", "lacks downscaling, which `downscaling.frameworks` is about: add it, or take it out"
        )
    path = "study.downscaling"
    for key in ("target", "frozen"):
        yield from _series(study, f"{path}.{key}", downscaling.get(key))
    target = downscaling.get("target")
    if isinstance(target, dict) and target.get("variable") not in (None, "soil_moisture"):
        yield Problem(f"{path}.target.variable", f"{target['variable']!r}: what is downscaled is soil_moisture")
    yield from _features(study, downscaling)
    yield from _static(study, f"{path}.unit", downscaling.get("unit"), "categorical")
    kind = "categorical" if downscaling.get("water_classes") else "continuous"
    yield from _static(study, f"{path}.water", downscaling.get("water"), kind)
    if any(f.get("framework") != "thermal_inertia" for f in frameworks) and not downscaling.get("features"):
        yield Problem(f"{path}.features", "is empty: frameworks that learn need something to learn from")
    taken = {s.get("product") for s in _list(study.get("series")) if isinstance(s, dict)}
    for i, framework in enumerate(_list(downscaling.get("frameworks"))):
        if isinstance(framework, dict) and framework.get("framework") == "thermal_inertia":
            yield from _thermal(study, f"{path}.frameworks[{i}]", framework)
            if framework.get("product") in taken:
                yield Problem(f"{path}.frameworks[{i}].product", f"{framework['product']} is a product already")
            taken.add(framework.get("product"))


def _thermal(study: Mapping[str, Any], path: str, framework: Mapping[str, Any]) -> Iterator[Problem]:
    for key in ("day", "night", "ndvi"):
        yield from _series(study, f"{path}.{key}", framework.get(key))
    fit = framework.get("fit")
    for key in ("soil_moisture", "day", "night"):
        yield from _series(study, f"{path}.fit.{key}", fit.get(key) if isinstance(fit, dict) else None)
    for i, reference in enumerate(_list(framework.get("reference"))):
        yield from _series(study, f"{path}.reference[{i}]", reference)
    yield from _static(study, f"{path}.land_cover", framework.get("land_cover"), "categorical")
    yield from _static(study, f"{path}.porosity", framework.get("porosity"), "continuous")
    for key, seed, possible in (
        ("land_cover_scheme", "land_cover_schemes", land_cover_schemes()),
        ("ndvi_levels", "ndvi_levels", ndvi_levels()),
    ):
        name = framework.get(key)
        if isinstance(name, str) and name not in possible:
            yield Problem(
                f"{path}.{key}", f"{name!r} is not a scheme of seeds/{seed}.csv. {suggestion(name, possible)}"
            )


def _features(study: Mapping[str, Any], downscaling: Mapping[str, Any]) -> Iterator[Problem]:
    factors = _factors(study)
    names = [name for name in _list(downscaling.get("features")) if isinstance(name, str)]
    for i, name in enumerate(names):
        path = f"study.downscaling.features[{i}]"
        if name in names[:i]:
            yield Problem(path, f"{name} comes twice")
        elif name != DAY_OF_YEAR and name not in factors:
            possible = {*factors, DAY_OF_YEAR}
            yield Problem(path, f"{name!r} is not a factor of the study. {suggestion(name, possible)}")
        elif name in factors and factors[name].get("variable") and factors[name].get("kind") == "categorical":
            yield Problem(path, f"{name} changes in time: a categorical feature must not")
    held = downscaling.get("hold_days")
    for name in held if isinstance(held, dict) else ():
        if name not in names:
            yield Problem(f"study.downscaling.hold_days.{name}", f"is not one of `features`. {suggestion(name, names)}")
        elif name in factors and not factors[name].get("variable"):
            yield Problem(f"study.downscaling.hold_days.{name}", f"{name} has no dates: there is nothing to hold")


def _series(study: Mapping[str, Any], path: str, named: Any) -> Iterator[Problem]:
    if not isinstance(named, dict) or not isinstance(named.get("variable"), str):
        return
    held = {
        (s.get("variable"), s.get("product"), s.get("layer", "surface"))
        for s in _list(study.get("series"))
        if isinstance(s, dict)
    }
    wanted = (named["variable"], named.get("product"), named.get("layer", "surface"))
    if wanted not in held:
        said = " ".join(str(part) for part in wanted)
        yield Problem(path, f"{said} is not one of the study's series: add it to `series`")


def _static(study: Mapping[str, Any], path: str, name: Any, kind: str) -> Iterator[Problem]:
    if not isinstance(name, str):
        return
    factors = _factors(study)
    if name not in factors:
        yield Problem(path, f"{name!r} is not a factor of the study. {suggestion(name, factors)}")
    elif factors[name].get("variable") is not None:
        yield Problem(path, f"{name} changes in time: a factor without dates is asked for")
    elif factors[name].get("kind", "continuous") != kind:
        yield Problem(path, f"{name} is not {kind}")


def _factors(study: Mapping[str, Any]) -> dict[str, dict]:
    return {
        f["factor"]: f for f in _list(study.get("factors")) if isinstance(f, dict) and isinstance(f.get("factor"), str)
    }


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
