"""`make bench`: run every benchmark, print the table, write benchmarks/results.md. Exit code 1 when one of them broke.

python -m benchmarks [NAME ...]
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import platform
import subprocess
import sys
from dataclasses import asdict, is_dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.table import Table

import benchmarks
from benchmarks import Result

FOLDER = Path(__file__).parent
REPORT = FOLDER / "results.md"
PACKAGES = ("duckdb", "pyarrow", "numpy", "numba", "scipy", "xarray", "polars", "pymannkendall")
HEADINGS = ("work", "ours, s", "peer", "peer, s", "ratio", "goal", "peak GB", "note")


def names() -> list[str]:
    """The modules of this folder that have results to give."""
    return [m.name for m in pkgutil.iter_modules(benchmarks.__path__) if not m.name.startswith("_")]


def machine() -> list[str]:
    """What the seconds depend on, one fact a line."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9 if hasattr(os, "sysconf") else float("nan")
    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        model = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return [
        f"{date.today()}, {model}, {os.cpu_count()} processors, {memory:.0f} GB, {platform.system()} {platform.release()}",
        f"Python {platform.python_version()}, " + ", ".join(f"{p} {version(p)}" for p in PACKAGES),
    ]


def run_one(name: str) -> int:
    """In a process of its own: run a benchmark and print its results as one line of JSON."""
    results = importlib.import_module(f"benchmarks.{name}").run()
    rows = [asdict(r) if is_dataclass(r) else dict(r) for r in results]
    for row in rows:
        row["peak_gb"] = row.get("peak_gb") or _peak_gb()
    print(json.dumps(rows))
    return 0


def _peak_gb() -> float:
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e9 if sys.platform == "darwin" else 1e6)


def collect(name: str) -> list[Result]:
    """The results of one benchmark. Raises RuntimeError with its last words when it broke."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--one", name],
        cwd=FOLDER.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}")
    return [Result(**row) for row in json.loads(done.stdout.splitlines()[-1])]


def cells(result: Result) -> list[str]:
    """One line of the table as text."""
    return [
        result.work,
        _digits(result.seconds),
        result.peer,
        _digits(result.peer_seconds),
        f"{_digits(result.ratio)} {'' if result.is_reached else '(missed)'}".strip(),
        "" if result.goal is None else f"<= {_digits(result.goal)}",
        f"{result.peak_gb:.2f}",
        result.note,
    ]


def _digits(value: float) -> str:
    return f"{value:.3g}"


def write_report(results: list[Result], facts: list[str], broken: dict[str, str]) -> None:
    """benchmarks/results.md: the same table as on the screen."""
    lines = [
        "# Results of `make bench`",
        "",
        *facts,
        "",
        "A ratio is our time over the peer's, on the same input, interleaved in one process. Peak memory is that of the process.",
        "",
        "| " + " | ".join(HEADINGS) + " |",
        "|" + "---|" * len(HEADINGS),
        *("| " + " | ".join(cells(r)) + " |" for r in results),
        *(f"\n{name} broke:\n\n```\n{reason}\n```" for name, reason in broken.items()),
    ]
    REPORT.write_text("\n".join(lines) + "\n", encoding="utf-8")


def main(arguments: list[str]) -> int:
    """Run the named benchmarks, or all of them."""
    if arguments[:1] == ["--one"]:
        return run_one(arguments[1])
    unknown = sorted(set(arguments) - set(names()))
    if unknown:
        print(f"There is no benchmark {', '.join(unknown)}. There are: {', '.join(names())}.", file=sys.stderr)
        return 2
    console = Console(width=None if sys.stdout.isatty() else 180)
    facts = machine()
    for fact in facts:
        console.print(fact, highlight=False)
    results: list[Result] = []
    broken: dict[str, str] = {}
    for name in arguments or names():
        console.print(f"running {name} ...", style="dim")
        try:
            results += collect(name)
        except RuntimeError as error:
            broken[name] = str(error)
            console.print(f"{name} broke:\n{error}", style="red", markup=False, highlight=False)
    table = Table(*HEADINGS, header_style="bold")
    for result in results:
        table.add_row(*cells(result), style=None if result.is_reached else "yellow")
    console.print(table)
    if not arguments:
        write_report(results, facts, broken)
        console.print(f"written to {REPORT.relative_to(FOLDER.parent)}")
    return 1 if broken or not results else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
