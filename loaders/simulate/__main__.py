"""`python -m loaders.simulate FOLDER`: write the simulated basin and say how to load it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from loaders.simulate import loads, simulate
from loaders.simulate.basin import DEFAULT_SEED
from loaders.simulate.files import TRUTH_FILE
from loaders.simulate.truth import NOTICE


def main(arguments: list[str] | None = None) -> int:
    """Write the basin; 0, or 2 when the folder cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m loaders.simulate", description="Write the simulated basin.")
    parser.add_argument(
        "folder", type=Path, metavar="FOLDER", help="an empty folder, or one with an earlier simulation"
    )
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED, help=f"another world (default {DEFAULT_SEED})")
    asked = parser.parse_args(arguments)
    console = Console(stderr=True)
    try:
        with Progress(console=console, transient=True) as bar:
            task = bar.add_task("simulating", total=None)
            simulate(
                asked.folder,
                asked.seed,
                progress=lambda what, done, total: bar.update(task, description=what, completed=done, total=total),
            )
    except (OSError, ValueError) as error:
        console.print(f"error: {error}", markup=False, highlight=False, soft_wrap=True)
        return 2
    lines = [NOTICE, f"The answers are in {asked.folder / TRUTH_FILE}. To load the files:", ""]
    sys.stdout.write("\n".join([*lines, *(load.command() for load in loads(asked.folder)), ""]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
