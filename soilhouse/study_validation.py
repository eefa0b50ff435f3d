"""What `validation` of a study names must be in the study: its series, composites, downscaled products and stations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from loaders.nearest import suggestion
from soilhouse.problems import Problem

Pick = tuple[str, str]


def validation_problems(study: Mapping[str, Any]) -> Iterator[Problem]:
    """Names of products and layers in `validation` that the study does not have. `study` has its defaults, and may be of any shape."""
    asked = study.get("validation")
    groups = study.get("groups")
    if not isinstance(asked, dict) or not isinstance(groups, list) or "validation" not in groups:
        return
    daily, monthly = _soil_moisture(study)
    stations = [name for name in _list(study.get("stations")) if isinstance(name, str)]
    # The names of downscaled products are made by their frameworks: dbt says which it does not know.
    downscales = bool((study.get("downscaling") or {}).get("frameworks")) and "downscaling" in groups

    def unknown(path: str, pick: Any, known: set[Pick], what: str) -> Iterator[Problem]:
        if not isinstance(pick, dict) or not all(isinstance(pick.get(key), str) for key in ("product", "layer")):
            return
        product, layer = pick["product"], pick["layer"]
        if (product, layer) in known or downscales:
            return
        layers = sorted(other for name, other in known if name == product)
        if layers:
            yield Problem(f"{path}.layer", f"{layer!r} of {product} is not in the study. It has: {', '.join(layers)}.")
        else:
            names = {name for name, _ in known}
            yield Problem(f"{path}.product", f"{product!r} is not {what}. {suggestion(product, names)}")

    of_series = "soil moisture by day of the study: add it to `series`"
    for i, pick in enumerate(_list(asked.get("products"))):
        yield from unknown(f"study.validation.products[{i}]", pick, daily, of_series)
    for i, entry in enumerate(_list(asked.get("comparisons"))):
        known = daily | monthly if isinstance(entry, dict) and entry.get("time_step") == "month" else daily
        for j, pick in enumerate(_list(entry.get("of") if isinstance(entry, dict) else None)):
            yield from unknown(f"study.validation.comparisons[{i}].of[{j}]", pick, known, of_series)
    for i, entry in enumerate(_list(asked.get("before_after"))):
        for key in ("before", "after"):
            pick = entry.get(key) if isinstance(entry, dict) else None
            yield from unknown(f"study.validation.before_after[{i}].{key}", pick, daily, of_series)
    for i, entry in enumerate(_list(asked.get("triples"))):
        picks = _list(entry.get("of") if isinstance(entry, dict) else None)
        gridded = [p for p in picks if isinstance(p, dict) and p.get("product") not in stations]
        if picks and not gridded:
            yield Problem(f"study.validation.triples[{i}].of", "are all stations: one at least must lie on a grid")
        for j, pick in enumerate(picks):
            if pick in gridded:
                what = "soil moisture by day of the study, nor one of its `stations`"
                yield from unknown(f"study.validation.triples[{i}].of[{j}]", pick, daily, what)
    for i, name in enumerate(_list(asked.get("references"))):
        if isinstance(name, str) and name not in stations:
            yield Problem(
                f"study.validation.references[{i}]",
                f"{name!r} is not one of the study's `stations`. {suggestion(name, stations)}",
            )
    rain = asked.get("rain_product")
    rains = {
        s["product"]
        for s in _list(study.get("series"))
        if isinstance(s, dict) and s.get("variable") == "precipitation" and isinstance(s.get("product"), str)
    }
    if isinstance(rain, str) and rain not in rains:
        yield Problem(
            "study.validation.rain_product",
            f"{rain!r} is not a product whose precipitation is one of the study's series. {suggestion(rain, rains)}",
        )


def _soil_moisture(study: Mapping[str, Any]) -> tuple[set[Pick], set[Pick]]:
    """Product and layer of the study's soil moisture: series, which have days, and composites, which have months."""
    found = []
    for key in ("series", "composites"):
        entries = [e for e in _list(study.get(key)) if isinstance(e, dict) and e.get("variable") == "soil_moisture"]
        found.append({(str(e.get("product")), str(e.get("layer", "surface"))) for e in entries})
    return found[0], found[1]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
