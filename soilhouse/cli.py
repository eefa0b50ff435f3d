"""`soilhouse`: calls the command, and turns every error into the user's words and an exit code.

0: done. 1: something failed (a file was skipped, a model failed, a check found a problem). 2: wrong usage, also a wrong study.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Sequence

from soilhouse.console import out, show_error
from soilhouse.errors import UserError
from soilhouse.parser import parse, parser
from soilhouse.settings import is_debugging, settings


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; errors are printed, never raised, unless SOILHOUSE_DEBUG is set."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    if not is_debugging():
        # They are for who maintains the libraries' callers, and would stand in the middle of a progress bar.
        warnings.filterwarnings("ignore", category=FutureWarning)
        warnings.filterwarnings("ignore", category=DeprecationWarning)
    try:
        if not arguments:
            out.print(parser().format_help(), markup=False)
            return 0
        return _run(parse(arguments))
    except UserError as error:
        if is_debugging() and error.code == 1:
            raise
        show_error(error.problem, error.next_step)
        return error.code
    except SystemExit as finished:  # argparse after --help and --version
        return int(finished.code or 0)
    except KeyboardInterrupt:
        show_error("Stopped. What was finished is kept; repeating the command goes on from there.")
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except Exception as error:
        if is_debugging():
            raise
        show_error(
            f"This should not have happened: {type(error).__name__}: {error}",
            "SOILHOUSE_DEBUG=1 before the same command shows where; please report it with that text.",
        )
        return 1


def _run(asked: argparse.Namespace) -> int:
    """Commands are imported when they are called: `--help` does not wait for dbt, numba or GDAL."""
    if asked.command == "demo":
        from soilhouse import demo

        return demo.run(asked.dir)
    chosen = settings(
        lake=getattr(asked, "lake", None), database=getattr(asked, "db", None), target=getattr(asked, "target", None)
    )
    if asked.command == "products":
        from soilhouse import products

        return products.show(chosen)
    if asked.command == "load":
        from soilhouse import loading

        return loading.run(chosen, asked)
    if asked.command == "build":
        from soilhouse import building

        return building.build(
            chosen, asked.study, asked.select, asked.exclude, asked.start, asked.end, asked.full_refresh, asked.threads
        )
    if asked.command == "report":
        from soilhouse import reporting

        return reporting.report(chosen, asked.study, asked.out)
    if asked.command == "export":
        from soilhouse import exporting

        if asked.what == "tables":
            return exporting.tables(chosen, asked.out, asked.region, asked.form, asked.study)
        return exporting.rasters(
            chosen, asked.mart, asked.column, asked.where, asked.by, asked.form, asked.out, asked.study
        )
    if asked.command == "publish":
        from soilhouse import publishing

        return publishing.run(
            chosen,
            asked.to,
            schema=asked.schema,
            reader=asked.reader,
            geometry=not asked.no_geometry,
            daily=asked.daily,
            everything=asked.everything,
            replace=asked.replace,
        )
    from soilhouse import doctor

    return doctor.run(chosen)


if __name__ == "__main__":
    sys.exit(main())
