"""`soilhouse report`: one HTML page of a study's marts."""

from __future__ import annotations

import time
from datetime import date
from importlib.metadata import version
from pathlib import Path

from serving.report import Facts, Reader, Report, write
from soilhouse.console import err, out, progress_bar
from soilhouse.errors import UserError
from soilhouse.served import opened, served
from soilhouse.settings import Settings


def report(settings: Settings, study_file: str | None = None, target: str | None = None) -> int:
    """Write the report of the study in a database and say where it is. Returns the exit code.

    Raises UserError for a database that cannot be read, a study that is not the one in it, and a place that cannot be written.
    """
    started = time.perf_counter()
    written = write_report(settings, study_file, target)
    out.print(f"{written.path}", markup=False)
    err.print(
        f"{written.n_figures} figures with {written.n_views} choices, {written.size / 1e6:.1f} MB, {time.perf_counter() - started:.0f} s. "
        "Open it in a browser; it needs no network.",
        markup=False,
    )
    if not written.n_figures:
        err.print("No figure could be drawn:", markup=False)
        for line in written.absent:
            err.print(f"  {line}", markup=False)
        return 1
    return 0


def write_report(settings: Settings, study_file: str | None = None, target: str | None = None) -> Report:
    """The same without a word: what was written."""
    with opened(settings) as connection:
        study = served(settings, connection, study_file)
        facts = Facts(
            study.name,
            study.title,
            study.period_start,
            study.period_end,
            study.time_zone,
            study.paper,
            study.simulated,
            study.alpha,
            study.groups,
        )
        page = _target(settings, study.name, target)
        with progress_bar() as bar:
            task = bar.add_task("reading", total=None)
            try:
                return write(
                    Reader(connection, facts),
                    page,
                    date.today(),
                    version("soilhouse"),
                    lambda what: bar.update(task, description=what),
                )
            except OSError as error:
                raise UserError(
                    f"The report cannot be written to {page}: {error.strerror or error}.",
                    "Name another place: --out FILE.",
                ) from None


def _target(settings: Settings, study: str, target: str | None) -> Path:
    if target is None:
        return settings.database.with_name(f"{study}_report.html")
    path = Path(target).expanduser()
    if path.is_dir():
        return path / f"{study}_report.html"
    if path.suffix.lower() not in (".html", ".htm"):
        raise UserError(f"--out {target} is not an HTML file.", f"Write --out {path.with_suffix('.html')}", 2)
    return path
