"""dbt, run inside this process, with a progress bar in the place of its log and errors that say what to do next."""

from __future__ import annotations

import gc
import os
import re
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from soilhouse.console import err, progress_bar
from soilhouse.errors import UserError
from soilhouse.settings import Settings

TABULAR = ("model", "seed", "snapshot")
SHOWN_LINES = 8


@dataclass(frozen=True)
class Failure:
    """A model or test that failed: its name, what the engine said, and where its SQL lies."""

    name: str
    kind: str
    message: str
    sql: Path | None


@dataclass
class Outcome:
    """What a build did. `built` are the relations of its models that succeeded, as (schema, name)."""

    seconds: float
    built: set[tuple[str, str]] = field(default_factory=set)
    n_tables: int = 0
    n_tests: int = 0
    n_skipped: int = 0
    warnings: list[Failure] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)


def build(settings: Settings, variables: str | None, options: list[str]) -> Outcome:
    """`dbt build` of the project with the study's text as --vars. Raises UserError when dbt could not begin.

    `options` are passed on to dbt as they are.
    """
    arguments = [
        *("build", "--quiet", "--log-level", "none", "--no-use-colors", "--no-version-check"),
        *("--project-dir", str(settings.project), "--profiles-dir", str(settings.project), "--target", settings.target),
        *(("--vars", variables) if variables else ()),
        *options,
    ]
    settings.database.parent.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    with _environment(settings), progress_bar() as bar:
        task = bar.add_task("reading the models", total=None)

        def follow(event: Any) -> None:
            shown = _running(event)
            if shown is not None:
                gc.enable()
                description, done, total = shown
                bar.update(task, description=description[:44].ljust(44), completed=done, total=total)

        # dbt takes more than a second to import: commands that do not build do not wait for it.
        from dbt.cli.main import dbtRunner

        # Parsing makes millions of objects that live until the end: looking for garbage among them is a fifth of its time.
        gc.disable()
        try:
            result = dbtRunner(callbacks=[follow]).invoke(arguments)
        finally:
            gc.enable()
            _release_database()
    outcome = Outcome(seconds=time.perf_counter() - started)
    if result.exception is not None:
        raise UserError(
            f"The build could not begin: {_first_lines(_words(result.exception))}",
            f"The full log is {log_path(settings)}.",
        ) from result.exception
    for node in getattr(result.result, "results", []):
        _count(node, settings.project, outcome)
    return outcome


def log_path(settings: Settings) -> Path:
    """dbt's own log, with every statement."""
    return Path(os.environ.get("DBT_LOG_PATH", settings.project / "logs")) / "dbt.log"


@contextmanager
def _environment(settings: Settings) -> Iterator[None]:
    """The environment for dbt; afterwards it and the current folder are as before, since dbt goes to the project and stays."""
    given = settings.environment()
    # Spark starts its workers with the first `python3` of the PATH, which may know neither pyarrow nor the kernels.
    for variable in ("PYSPARK_PYTHON", "PYSPARK_DRIVER_PYTHON"):
        given.setdefault(variable, os.environ.get(variable, sys.executable))
    folder, before = Path.cwd(), {variable: os.environ.get(variable) for variable in given}
    os.environ.update(given)
    try:
        yield
    finally:
        os.chdir(folder)
        for variable, value in before.items():
            if value is None:
                os.environ.pop(variable, None)
            else:
                os.environ[variable] = value


def _release_database() -> None:
    """Close the database: dbt-duckdb holds it until the process ends, and the demo reads it before."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.adapters.factory import reset_adapters

    reset_adapters()
    if DuckDBConnectionManager._ENV is not None:
        DuckDBConnectionManager._ENV.close()
    DuckDBConnectionManager.close_all_connections()


def _running(event: Any) -> tuple[str, int | None, int | None] | None:
    """(what is running, done, of how many) from an event of dbt; None for events that change nothing."""
    if event.info.name == "LogStartLine":
        return f"{event.data.node_info.node_name}", event.data.index - 1, event.data.total
    return None


def _count(node: Any, project: Path, outcome: Outcome) -> None:
    kind = str(node.node.resource_type)
    status = str(node.status)
    if status == "skipped":
        outcome.n_skipped += 1
    elif status in ("error", "fail", "runtime error", "partial success"):
        outcome.failures.append(_failure(node, kind, project))
    elif status == "warn":
        outcome.warnings.append(_failure(node, kind, project))
    elif kind in TABULAR:
        outcome.n_tables += 1
        outcome.built.add((node.node.schema, node.node.alias))
    else:
        outcome.n_tests += 1


def _failure(node: Any, kind: str, project: Path) -> Failure:
    compiled = getattr(node.node, "compiled_path", None)
    path = project / compiled if compiled else None
    return Failure(
        node.node.name, kind.replace("_", " "), node.message or "", path if path and path.is_file() else None
    )


def show(outcome: Outcome, settings: Settings) -> None:
    """The failures with their next steps, and one line about the whole, on standard error."""
    for failure in outcome.failures:
        err.print(f"{failure.kind} {failure.name} failed", style="bold red" if err.is_terminal else None, markup=False)
        err.print(_indented(_first_lines(failure.message)), markup=False)
        err.print(f"  Next: {next_step(failure, settings)}", markup=False)
    for warning in outcome.warnings:
        err.print(f"warning: {warning.name}: {_first_lines(warning.message)}", markup=False)
    counted = f"{outcome.n_tables} tables and views built, {outcome.n_tests} tests passed"
    if outcome.failures:
        counted += f", {len(outcome.failures)} failed"
    if outcome.n_skipped:
        counted += f", {outcome.n_skipped} not tried because of what they stand on"
    err.print(f"{counted}, in {outcome.seconds:.1f} s. Full log: {log_path(settings)}", markup=False)


_NEXT_STEPS: tuple[tuple[str, str], ...] = (
    (r"No files found that match the pattern", "a product is not loaded, or not a month of it: `soilhouse products` lists what is in the lake."),
    (r"magic bytes|too small to be a Parquet|Invalid Parquet|TProtocolException", "a file of the lake is broken: `soilhouse doctor` names it. Remove it and load that month again."),
    (r"Out of Memory|could not allocate|OutOfMemoryError", "give DuckDB more, such as SOILHOUSE_MEMORY=8GB, or build fewer months at a time with --start and --end."),
    (r"No space left|disk.*full", "free some disk; `soilhouse doctor` shows how much there is."),
    (r"Scalar Function with name .* does not exist|UNRESOLVED_ROUTINE", "the kernels are not registered; `soilhouse doctor` says why."),
    (r"contract", "the model's columns are not those of its .yml file: compare the two."),
)  # fmt: skip


def next_step(failure: Failure, settings: Settings) -> str:
    """What to do about a failure."""
    for pattern, step in _NEXT_STEPS:
        if re.search(pattern, failure.message, re.IGNORECASE):
            return step
    if failure.kind == "unit test":
        return "the model's SQL gives other rows than the unit test in its .yml expects; please report it."
    if failure.kind == "test" and failure.sql:
        return f"the rows that fail the test are those of {failure.sql}"
    if failure.sql:
        return f"its SQL is {failure.sql}; the full log is {log_path(settings)}"
    return f"the full log is {log_path(settings)}"


def _words(error: BaseException) -> str:
    """dbt's own errors say what is wrong; of any other one must also know what kind it is."""
    from dbt_common.exceptions import DbtBaseException

    return str(error) if isinstance(error, DbtBaseException) else f"{type(error).__name__}: {error}"


def _first_lines(message: str) -> str:
    lines = [line for line in message.splitlines() if line.strip()]
    return "\n".join(lines[:SHOWN_LINES]) + ("\n..." if len(lines) > SHOWN_LINES else "")


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())


def variables(text: str | None, given: Mapping[str, Any] | None, start: str | None, end: str | None) -> str | None:
    """What --vars gets: the study's text as it is, or with `start` and `end` of the lake_parquet materialisation beside it.

    `given` is the mapping below `study` that `text` holds; None for the study of dbt_project.yml. With a range the vars are written
    anew, since nothing can be put below a text in flow style or behind its `...`. YAML, not JSON: in JSON's 1e-05 YAML sees a word.
    """
    extra = {key: value for key, value in (("start", start), ("end", end)) if value}
    if not extra:
        return text
    study = {} if given is None else {"study": given}
    return yaml.safe_dump({**study, **extra}, allow_unicode=True, sort_keys=False)
