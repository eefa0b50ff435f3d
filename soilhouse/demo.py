"""`soilhouse demo`: simulate a basin, load it, build it, and show what came out beside what was put in."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from loaders.simulate import Truth, loads, simulate
from loaders.simulate.files import TRUTH_FILE
from loaders.simulate.truth import NOTICE
from soilhouse import building, demo_results, loading
from soilhouse.console import err, out, progress_bar
from soilhouse.demo_mark import is_simulated, mark
from soilhouse.errors import UserError
from soilhouse.holdings import Holdings
from soilhouse.parser import parse
from soilhouse.reporting import write_report
from soilhouse.settings import Settings, project_root, settings


def run(folder: str | None) -> int:
    """Run the demo; without a folder the files go to build/demo, and lake and database are the project's own.

    Then `dbt build` alone builds the same again. A lake that holds anything that the demo did not load is left alone: the demo
    takes a lake and a database in its own folder instead. Returns the exit code.
    """
    chosen, files = places(folder)
    out.print("[bold]Soilhouse demo: everything below is SIMULATED, by a program whose parameters are known.[/bold]")
    out.print(f"Files in {files}, lake in {chosen.lake}, database {chosen.database}\n", markup=False)
    started = time.perf_counter()

    with _step("1. simulate: files of real formats, three years of a basin of 72 x 72 km"):
        truth = _simulate(files)
    with _step("2. load: check every file and write the lake"):
        _load(files, chosen)
    with _step("3. build: dbt makes the tables and tests them"):
        code = building.build(chosen)
    if code:
        return code

    out.print("\n[bold]4. what came out, beside what was put in[/bold]")
    demo_results.show(chosen.database, truth)
    with _step("\n5. report: one page of maps and plots, with the query behind each"):
        page = write_report(chosen).path
    _where_next(chosen, files, page)
    out.print(f"The demo took {time.perf_counter() - started:.0f} s.", markup=False)
    return 0


def places(folder: str | None) -> tuple[Settings, Path]:
    """The settings of the demo and the folder of its files."""
    own = Path(folder).expanduser().absolute() if folder else project_root() / "build" / "demo"
    if folder:
        return settings(str(own / "lake"), str(own / "soilhouse.duckdb"), "duckdb"), own / "files"
    chosen = settings(target="duckdb")
    if Holdings(chosen.lake).products() and not is_simulated(chosen.lake):
        err.print(
            f"{chosen.lake} holds data of your own: the demo makes a lake and a database in {own}.\n", markup=False
        )
        chosen = settings(str(own / "lake"), str(own / "soilhouse.duckdb"), "duckdb")
    return chosen, own / "files"


def _simulate(files: Path) -> Truth:
    try:
        with progress_bar() as bar:
            task = bar.add_task("simulating", total=None)

            def progress(what: str, done: int, total: int) -> None:
                bar.update(task, description=what, completed=done, total=total)

            return simulate(files, progress=progress)
    except FileExistsError as error:
        raise UserError(str(error), "Choose another folder: soilhouse demo --dir DIR") from None


def _load(files: Path, chosen: Settings) -> None:
    planned = loads(files)
    mark(chosen.lake, NOTICE, [load.as_name or load.product for load in planned])
    for load in planned:
        out.print(f"  {shlex.join(['soilhouse', *_short(load.arguments())])}", markup=False)
        code = loading.run(chosen, parse(load.arguments()), brief=True)
        if code:
            raise UserError(
                f"A simulated file of {load.product} was refused.", "Please report it: this is a mistake of ours."
            )


def _short(words: list[str]) -> list[str]:
    """The words of a command with paths as they look from the project, where they lie in it."""
    root = f"{project_root()}/"
    return [word.removeprefix(root) for word in words]


@contextmanager
def _step(title: str) -> Iterator[None]:
    out.print(f"[bold]{title}[/bold]")
    began = time.perf_counter()
    yield
    out.print(f"   {time.perf_counter() - began:.1f} s\n", markup=False)


def _where_next(chosen: Settings, files: Path, page: Path) -> None:
    python, database, truth, report = (
        _short([str(p)])[0] for p in (sys.executable, chosen.database, files / TRUTH_FILE, page)
    )
    query = f"import duckdb; print(duckdb.connect('{database}', read_only=True).sql('show all tables'))"
    out.print("\n[bold]Where to look next[/bold]")
    for what, where in (
        ("the report: open it in a browser", report),
        ("ask the tables yourself", f'{python} -c "{query}"'),
        ("every table and column explained", "make docs, then target/static_index.html"),
        ("everything that was planted", f"{truth} and docs/simulated_basin.md"),
        (
            "the study that was built",
            "vars of dbt_project.yml, explained in docs/study_file.md; other studies in studies/",
        ),
        ("your own data", "soilhouse load --help, and README.md"),
    ):
        out.print(f"  {what}:\n      {where}", markup=False)
    out.print()
