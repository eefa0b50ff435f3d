"""The mark of a lake that the demo filled: which of its products are simulated, so that nobody takes them for measurements."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

# The name under which the simulated world carries its notice, beside its files and in its lake.
MARK = "SIMULATED.txt"
LISTED = "simulated products: "


def mark(lake: Path, notice: str, products: Iterable[str]) -> None:
    """Put the notice and the names of the simulated products into a lake, before anything simulated is loaded."""
    lake.mkdir(parents=True, exist_ok=True)
    (lake / MARK).write_text(f"{notice}\n{LISTED}{' '.join(sorted(products))}\n", encoding="utf-8")


def is_simulated(lake: Path) -> bool:
    """Whether the demo has used this lake."""
    return (lake / MARK).is_file()


def is_of_demo(path: Path) -> bool:
    """Whether a file or folder is one that the demo wrote: above it lie its notice and the answers to it."""
    # Imported here: the simulation brings SciPy and GDAL along, and `soilhouse products` needs neither.
    from loaders.simulate.files import TRUTH_FILE

    path = path.expanduser().resolve()
    return any((folder / MARK).is_file() and (folder / TRUTH_FILE).is_file() for folder in (path, *path.parents))


def simulated_products(lake: Path) -> set[str]:
    """The products of a lake that hold the demo's simulated basin."""
    if not is_simulated(lake):
        return set()
    lines = (lake / MARK).read_text(encoding="utf-8").splitlines()
    return {name for line in lines if line.startswith(LISTED) for name in line.removeprefix(LISTED).split()}
