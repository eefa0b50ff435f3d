"""`soilhouse export`: maps of a mart as files of a GIS, and marts as tables."""

from __future__ import annotations

import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from loaders.grids import find_grid
from serving.dictionary import dictionary
from serving.errors import ServingError
from serving.rasters import Request, maps_of, write
from serving.tables import FORMATS, write_tables
from soilhouse.console import err, out, progress_bar
from soilhouse.errors import UserError
from soilhouse.served import opened, path_of, products_of, served
from soilhouse.settings import Settings


def tables(
    settings: Settings,
    target: str | None = None,
    region: str | None = None,
    forms: Sequence[str] = FORMATS,
    study_file: str | None = None,
) -> int:
    """Write the tables of each region as CSV and Excel, print the files, and return the exit code.

    Raises UserError for what cannot be read, asked or written.
    """
    folder = Path(target).expanduser() if target else settings.database.parent / "tables"
    with opened(settings) as connection:
        study = served(settings, connection, study_file)
        database = path_of(connection)
    try:
        with progress_bar() as bar:
            bar.add_task("writing", total=None)
            files = write_tables(
                database,
                folder,
                study.name,
                region,
                described=dictionary(settings.project),
                simulated=bool(study.simulated),
                formats=tuple(forms),
            )
    except ServingError as error:
        raise UserError(error.problem, error.next_step) from None
    except OSError as error:
        raise UserError(
            f"The tables cannot be written to {folder}: {error.strerror or error}.", "Name another folder: --out DIR."
        ) from None
    for path in files:
        out.print(f"{path}", markup=False)
    err.print(f"{len(files)} files." + (" SIMULATED data: each file says so." if study.simulated else ""), markup=False)
    return 0


def rasters(
    settings: Settings,
    mart: str,
    column: str,
    where: str = "",
    by: Sequence[str] = (),
    form: str = "geotiff",
    target: str | None = None,
    study_file: str | None = None,
) -> int:
    """Write the maps of a column of a mart, print the files, and return the exit code.

    Raises UserError for what cannot be read, asked or written.
    """
    started = time.perf_counter()
    with opened(settings) as connection:
        study = served(settings, connection, study_file)
        folder = Path(target).expanduser() if target else settings.database.parent / "rasters"
        provenance = {
            "study": study.name,
            "study_title": study.title,
            "source": f"soilhouse {version('soilhouse')}, products {', '.join(products_of(connection))}",
            **({"SIMULATED": study.simulated} if study.simulated else {}),
        }
        try:
            sets = maps_of(
                connection,
                Request(mart, column, where, tuple(by)),
                lambda name: find_grid(settings.lake, name),
                dictionary(settings.project),
                provenance,
            )
            with progress_bar() as bar:
                task = bar.add_task("writing", total=sum(len(s.keys) for s in sets))
                files = write(
                    connection,
                    sets,
                    folder,
                    form,
                    lambda what, done, total: bar.update(task, description=what, completed=done, total=total),
                )
        except ServingError as error:
            raise UserError(error.problem, error.next_step) from None
        except OSError as error:
            raise UserError(
                f"The maps cannot be written to {folder}: {error.strerror or error}.", "Name another folder: --out DIR."
            ) from None
    for path in files:
        out.print(f"{path}", markup=False)
    n = sum(len(s.keys) for s in sets)
    err.print(
        f"{n} {'map' if n == 1 else 'maps'} in {len(files)} {'file' if len(files) == 1 else 'files'}, {time.perf_counter() - started:.0f} s."
        + (" SIMULATED data: each file says so." if study.simulated else ""),
        markup=False,
    )
    return 0
