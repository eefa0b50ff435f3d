"""Where things lie and how much they may use: the one place where the environment is read.

| variable          | meaning                                     | default                                      |
|-------------------|---------------------------------------------|----------------------------------------------|
| SOILHOUSE_LAKE    | folder of the lake                          | `lake/` in the project                       |
| SOILHOUSE_DB      | DuckDB file that `build` writes             | `build/soilhouse.duckdb` in the project      |
| SOILHOUSE_TARGET  | engine: `duckdb` or `spark`                 | `duckdb`                                     |
| SOILHOUSE_MEMORY  | what DuckDB may use, such as `4GB`          | the one in profiles.yml                      |
| SOILHOUSE_DEBUG   | `1`: show Python tracebacks                 | off                                          |

A path given in the environment or on the command line is relative to the current folder, as everywhere in a shell; the defaults
belong to the project, so that a command does the same from any folder.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from soilhouse.errors import UserError

TARGETS = ("duckdb", "spark")
PROJECT_FILE = "dbt_project.yml"


@dataclass(frozen=True)
class Settings:
    """Absolute paths and limits of one call of the command line."""

    project: Path
    lake: Path
    database: Path
    target: str
    memory: str | None

    def environment(self) -> dict[str, str]:
        """The environment variables from which dbt's profile and macros take the same settings, paths absolute."""
        variables = {
            "SOILHOUSE_LAKE": str(self.lake),
            "SOILHOUSE_DB": str(self.database),
            "SOILHOUSE_TARGET": self.target,
            # Without it the warehouse of Spark would lie in whatever folder the command was called from.
            "SOILHOUSE_SPARK_WAREHOUSE": os.environ.get(
                "SOILHOUSE_SPARK_WAREHOUSE", str(self.project / "build" / "spark")
            ),
        }
        if self.memory:
            variables["SOILHOUSE_MEMORY"] = self.memory
        return variables


def is_debugging() -> bool:
    """Whether errors may show Python tracebacks."""
    return os.environ.get("SOILHOUSE_DEBUG", "") not in ("", "0")


def project_root() -> Path:
    """The folder of dbt_project.yml: beside the package (an editable install), else the current folder or one above it.

    Raises UserError when there is none: the models are SQL files of the project and are not part of an installed wheel.
    """
    here = Path.cwd()
    for folder in (Path(__file__).resolve().parents[1], here, *here.parents):
        if (folder / PROJECT_FILE).is_file() and (folder / "models").is_dir():
            return folder
    raise UserError(
        f"There is no {PROJECT_FILE} beside the package or in {here}.",
        "Run the command in a clone of the project, or install the clone with `pip install -e .`.",
    )


def settings(lake: str | None = None, database: str | None = None, target: str | None = None) -> Settings:
    """The settings of this call: the command line's options before the environment before the defaults.

    Raises UserError for an engine that does not exist.
    """
    root = project_root()
    lake = lake or os.environ.get("SOILHOUSE_LAKE")
    database = database or os.environ.get("SOILHOUSE_DB")
    target = target or os.environ.get("SOILHOUSE_TARGET") or TARGETS[0]
    if target not in TARGETS:
        raise UserError(
            f"There is no engine {target!r}.", f"SOILHOUSE_TARGET and --target take {' or '.join(TARGETS)}."
        )
    return Settings(
        project=root,
        lake=_absolute(lake) if lake else root / "lake",
        database=_absolute(database) if database else root / "build" / "soilhouse.duckdb",
        target=target,
        memory=os.environ.get("SOILHOUSE_MEMORY") or None,
    )


def _absolute(given: str) -> Path:
    """One spelling of a path: views list files of the lake, and `a/../lake` would look like another lake than `lake`."""
    path = Path(given).expanduser()
    return path.resolve() if ".." in path.parts else path.absolute()
