"""`soilhouse build`: check a study, then run dbt on it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from loaders.grids import register_grid
from loaders.lake import Lake, LakeError
from loaders.weights import refresh_weights
from soilhouse import dbt, publishing
from soilhouse.console import err
from soilhouse.coverage import notes_on_coverage
from soilhouse.database import remove_leftovers, require_unlocked, studies_in
from soilhouse.demo_mark import simulated_products
from soilhouse.errors import UserError
from soilhouse.java import require_java
from soilhouse.regridding import ensure_grids_and_weights
from soilhouse.settings import Settings
from soilhouse.study import Study, check, given_default_study, read_study_file

MONTH = re.compile(r"(\d{4})-(0[1-9]|1[0-2])-01")


def build(
    settings: Settings,
    study_file: str | None = None,
    select: Sequence[str] = (),
    exclude: Sequence[str] = (),
    start: str | None = None,
    end: str | None = None,
    full_refresh: bool = False,
    threads: int | None = None,
) -> int:
    """Build a study's marts; without a file, the study of dbt_project.yml. Returns the exit code, 1 when a model or test failed.

    A whole build (no selection, no range) removes what other studies, or this one with other groups, left in the database.

    Raises UserError before any work for a study that is wrong (code 2), a range that is not of whole months, a part of a study for a
    database that holds another one (code 2), a database that another process holds, and for Spark without Java.
    """
    is_whole = not (select or exclude or start or end)
    _require_months(start, end)
    _require_models([*select, *exclude])
    if study_file is not None:
        text, given = read_study_file(Path(study_file))
        study = check(given, settings.lake, source=study_file, text=text)
    else:
        text = given = None
        study = _default_study(settings)
    for note in (*study.notes, *_notes_on_simulated(study, settings.lake)):
        err.print(f"note: {note}", markup=False)
    if settings.target == "spark":
        require_java()
    else:
        require_unlocked(settings.database)
        if not is_whole:
            _require_same_study(study.name, settings.database)
    register_grids(study, settings.lake)
    bring_weights_up_to_date(settings.lake)
    ensure_grids_and_weights(study, settings.lake)

    err.print(f"Building {study.name}{f' ({study.title})' if study.title else ''} from {settings.lake}", markup=False)
    options = [
        *(("--select", *select) if select else ()),
        *(("--exclude", *exclude) if exclude else ()),
        *(("--full-refresh",) if full_refresh else ()),
        *(("--threads", str(threads)) if threads else ()),
    ]
    outcome = dbt.build(settings, dbt.variables(text, given, start, end), options)
    dbt.show(outcome, settings)
    if outcome.n_tables + outcome.n_tests + len(outcome.failures) == 0:
        err.print("Nothing was built: --select and --exclude leave no model.", markup=False)
        return 1
    if settings.target == "duckdb":
        for note in notes_on_coverage(study, settings.database, outcome.built):
            err.print(f"note: {note}", markup=False)
    if settings.target == "duckdb" and not outcome.failures:
        if is_whole:
            models = {path.stem for path in (settings.project / "models").rglob("*.sql")}
            removed = remove_leftovers(settings.database, outcome.built, models)
            if removed:
                err.print(f"Removed, since {study.name} does not build them: {', '.join(removed)}", markup=False)
        err.print(f"The tables are in schema `marts` of {settings.database}", markup=False)
        # A failed build leaves readers the snapshot of the last one that did not.
        if not publishing.refresh(settings):
            return 1
    elif not outcome.failures:
        err.print(f"note: {publishing.NO_SNAPSHOT_OF_SPARK}", markup=False)
    return 1 if outcome.failures else 0


def _notes_on_simulated(study: Study, lake: Path) -> Iterator[str]:
    """A study that does not call itself simulated must not read the demo's products without a word."""
    if not study.simulated:
        for product in sorted({series.product for series in study.series} & simulated_products(lake)):
            yield f"{product} of {lake} holds the demo's SIMULATED basin; load real data into another lake (--lake DIR)"


def register_grids(study: Study, lake: Path) -> None:
    """Keep the study's own grids in the lake. Raises UserError when a name already means another grid there."""
    for grid in study.grids:
        try:
            register_grid(lake, grid.grid())
        except ValueError as error:
            raise UserError(
                f"The study's grid cannot be kept in {lake}: {error}.", "Give the grid another name."
            ) from None


def bring_weights_up_to_date(lake: Path) -> None:
    """The weights between the lake's grids, which every load leaves up to date: for a lake of an earlier version.

    Raises UserError when they cannot be computed or written.
    """
    try:
        refresh_weights(Lake(lake).init())
    except LakeError as error:
        raise UserError(f"The weights between the grids of {lake} cannot be made: {error}.") from None


def _default_study(settings: Settings) -> Study:
    try:
        return check(given_default_study(), settings.lake, source="The demo study (vars of dbt_project.yml)")
    except UserError as error:
        raise UserError(
            error.problem,
            "`soilhouse demo` makes and loads the demo's data; to build a study of your own: soilhouse build STUDY.yml",
            code=error.code,
        ) from None


def _require_same_study(name: str, database: Path) -> None:
    """A part of one study beside the rest of another would look like one warehouse and be neither."""
    others = [found for found in (studies_in(database) if database.exists() else []) if found != name]
    if others:
        raise UserError(
            f"{database} holds the study {', '.join(others)}: a part of {name} (--select, --exclude, --start, --end) would be"
            " mixed with it.",
            f"Build into another database (--db FILE), or build {name} whole, which replaces {', '.join(others)}.",
            2,
        )


def _require_models(words: Sequence[str]) -> None:
    """`--select MODEL STUDY.yml` would take the study for a model, and build the demo's."""
    for word in words:
        if word.endswith((".yml", ".yaml")):
            raise UserError(
                f"{word} is a study, not a model.", f"Write it before the options: soilhouse build {word} ...", 2
            )


def _require_months(start: str | None, end: str | None) -> None:
    if (start is None) != (end is None):
        raise UserError("--start and --end go together: the months from --start up to, not including, --end.", code=2)
    for option, value in (("--start", start), ("--end", end)):
        if value is not None and not MONTH.fullmatch(value):
            raise UserError(
                f"{option} {value} is not the first day of a month.", "Whole months are rebuilt: give YYYY-MM-01.", 2
            )
    if start and end and start >= end:
        raise UserError(
            f"--start {start} is not before --end {end}.", "--end is the first month that is not rebuilt.", 2
        )
