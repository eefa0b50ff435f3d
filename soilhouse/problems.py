"""What is wrong with a study file, as one message."""

from __future__ import annotations

import re
from dataclasses import dataclass

import yaml

from soilhouse.errors import UserError


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong. `path` is the place in the file (`study.series[2].product`), empty for the file as a whole."""

    path: str
    reason: str


class StudyError(UserError):
    """Everything that is wrong with one study file; wrong usage, so exit code 2.

    `text` is the file's content, from which the line of each problem is taken.
    """

    def __init__(self, source: str, problems: list[Problem], text: str = ""):
        self.source = source
        self.problems = problems
        lines = _lines(text)
        counted = "a problem" if len(problems) == 1 else f"{len(problems)} problems"
        shown = [f"{source} has {counted}:"]
        for problem in problems:
            line = _line_of(problem.path, lines)
            place = f"line {line}: " if line else ""
            shown.append(f"  {place}{problem.path}{': ' if problem.path else ''}{problem.reason}")
        super().__init__("\n".join(shown), "The keys of a study are described in docs/study_file.md.", code=2)


def _lines(text: str) -> dict[str, int]:
    """The line of every key and entry of a YAML text."""
    found: dict[str, int] = {}

    def walk(node: yaml.Node, path: str) -> None:
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                inner = f"{path}.{key.value}".lstrip(".")
                found[inner] = key.start_mark.line + 1
                walk(value, inner)
        elif isinstance(node, yaml.SequenceNode):
            for i, value in enumerate(node.value):
                found[f"{path}[{i}]"] = value.start_mark.line + 1
                walk(value, f"{path}[{i}]")

    root = yaml.compose(text, yaml.SafeLoader) if text else None
    if root is not None:
        walk(root, "")
    return found


def _line_of(path: str, lines: dict[str, int]) -> int | None:
    """The line of a path; of a key that is missing, the line of what it is missing from."""
    while path and path not in lines:
        path = re.sub(r"(\.[^.\[]*|\[\d+\])$", "", path) if re.search(r"[.\[]", path) else ""
    return lines.get(path)
