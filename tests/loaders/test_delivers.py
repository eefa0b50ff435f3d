"""What a product promises (`delivers`) against its staging view: one column a variable and layer, and a range for every number."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from jinja2 import Environment

from loaders.products import Product, all_products

STAGING = Path(__file__).parents[2] / "models" / "staging"
VIEWS = sorted(STAGING.glob("stg_*.sql"))
# Products without dates are factors: a study names their columns, scale and range, and one view stages them all.
PROMISING = [
    p for p in all_products().values() if p.kind == "gridded" and not p.is_template and p.time_step != "static"
]

# Places, dates and provenance; every other column is a DOUBLE that was measured or modelled.
_NOT_NUMBERS = {
    "pixel_id",
    "obs_date",
    "year",
    "month",
    "product",
    "station_id",
    "layer",
    "quality",
    "series_id",
    "factor_id",
}
_NOT_NUMBERS |= {"sensor", "variable", "unit", "obs_time"}
# The limits of a layer are what the file says of its place, not what was measured.
_PLACES = {"layer_top_cm", "layer_bottom_cm"}


@cache
def _macros() -> Any:
    text = (STAGING.parents[1] / "macros" / "study.sql").read_text(encoding="utf-8")
    return Environment(extensions=["jinja2.ext.do"]).from_string(text).module


def staged_column(variable: str, layer: str) -> str:
    """The column by the models' own rule, the macro of this name."""
    return str(_macros().staged_column(variable, layer)).strip()


def columns(view: Path) -> list[str]:
    """The columns of a staging view: what its last select names."""
    text = re.sub(r"--[^\n]*", "", view.read_text(encoding="utf-8"))
    text = re.sub(r"{%.*?%}", "", text, flags=re.DOTALL)
    text = re.sub(r"{{.*?}}", "x", text, flags=re.DOTALL)
    last = text[[m.start() for m in re.finditer(r"^select\b", text, re.MULTILINE)][-1] :]
    selected = re.match(r"select\b(.*?)^(from|where)\b", last, re.DOTALL | re.MULTILINE)[1]
    named = []
    for expression in _split(selected):
        words = expression.split()
        assert len(words) == 1 or words[-2].lower() == "as", f"{view.name}: {expression!r} has no name"
        named.append(words[-1])
    return named


def _split(selected: str) -> list[str]:
    """The expressions of a select list, at the commas outside parentheses."""
    parts, depth = [""], 0
    for letter in selected:
        depth += (letter == "(") - (letter == ")")
        if letter == "," and not depth:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts]


def is_measured(column: str) -> bool:
    """Whether a column carries a measured or modelled number."""
    return column not in _NOT_NUMBERS | _PLACES and not column.startswith("is_")


def described() -> dict[str, dict[str, list]]:
    """The data tests by model and column, of every YAML beside the views."""
    found: dict[str, dict[str, list]] = {}
    for path in sorted(STAGING.glob("*.yml")):
        for model in yaml.safe_load(path.read_text(encoding="utf-8")).get("models", []):
            found[model["name"]] = {c["name"]: c.get("data_tests", []) for c in model.get("columns", [])}
    return found


def test_there_is_something_to_compare():
    assert len(PROMISING) >= 6
    assert {f"stg_{p.name}" for p in PROMISING} <= {v.stem for v in VIEWS}
    assert staged_column("soil_moisture", "2.5-10 cm") == "soil_moisture_2p5_10cm"
    assert staged_column("precipitation", "surface") == "precipitation"
    assert columns(STAGING / "stg_stations.sql")[-3:] == ["value", "unit", "quality"]


@pytest.mark.parametrize("product", PROMISING, ids=lambda p: p.name)
def test_every_variable_delivered_is_a_column_of_the_staging_view(product: Product):
    promised = {staged_column(d.variable, d.layer) for d in product.delivers}
    staged = {c for c in columns(STAGING / f"stg_{product.name}.sql") if is_measured(c)}
    assert staged == promised


@pytest.mark.parametrize("view", VIEWS, ids=lambda v: v.stem)
def test_every_number_of_a_staging_view_has_a_range(view: Path):
    tests = described()[view.stem]
    numbers = [c for c in columns(view) if is_measured(c)]
    assert numbers
    for column in numbers:
        names = [next(iter(t)) if isinstance(t, dict) else t for t in tests.get(column, [])]
        assert "in_range" in names, f"{view.stem}.{column} has no in_range test in models/staging/*.yml"
