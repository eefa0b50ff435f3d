"""What the marts' tables and columns mean, read from the YAML beside the models: descriptions with units, and the grain.

The YAML is the one place where they are written; the snapshot, PostgreSQL and exported tables carry them on as comments.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import yaml

_BLOCK = re.compile(r"{%\s*docs (\w+)\s*%}(.*?){%\s*enddocs\s*%}", re.DOTALL)
_REFERENCE = re.compile(r"""{{\s*doc\(\s*['"](\w+)['"]\s*\)\s*}}""")


@dataclass(frozen=True)
class Described:
    """A mart: its description, the columns of its grain (without `study`, which is one a database) and what each column is."""

    description: str = ""
    grain: tuple[str, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict)


@cache
def dictionary(project: Path) -> Mapping[str, Described]:
    """Every mart of the project by name, enabled or not. Raises OSError when the project's folder cannot be read."""
    folder = project / "models" / "marts"
    blocks = {
        name: " ".join(text.split())
        for path in sorted(folder.rglob("*.md"))
        for name, text in _BLOCK.findall(path.read_text(encoding="utf-8"))
    }

    def told(text: str | None) -> str:
        return " ".join(_REFERENCE.sub(lambda found: blocks.get(found[1], ""), text or "").split())

    found = {}
    for path in sorted(folder.rglob("*.yml")):
        for model in (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get("models", ()):
            columns = {column["name"]: told(column.get("description")) for column in model.get("columns", ())}
            found[model["name"]] = Described(told(model.get("description")), _grain(model), columns)
    return found


def _grain(model: Mapping) -> tuple[str, ...]:
    for test in model.get("data_tests", ()):
        if isinstance(test, Mapping) and "grain" in test:
            return tuple(name for name in test["grain"]["arguments"]["columns"] if name != "study")
    return ()
