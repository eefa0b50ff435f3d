"""What the command line prints with: results on standard output, progress and errors on standard error."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

# Where output is not a terminal nothing is wrapped in the middle of a path: logs and pipes are read by programs.
WIDE = 160

out = Console(highlight=False, soft_wrap=not sys.stdout.isatty(), width=None if sys.stdout.isatty() else WIDE)
err = Console(
    stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty(), width=None if sys.stderr.isatty() else WIDE
)


def progress_bar() -> Progress:
    """A progress bar on standard error, gone when the work is done."""
    return Progress(
        SpinnerColumn(),
        TextColumn("[progress.description]{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=err,
        transient=True,
        disable=not err.is_terminal,
    )


def show_error(problem: str, next_step: str = "") -> None:
    """An error in the user's words. Never as markup: file names and SQL may hold brackets."""
    err.print(problem, style="red" if err.is_terminal else None, markup=False)
    if next_step:
        err.print(next_step, markup=False)
