"""`soilhouse doctor`: is everything there that a load and a build need? One line a check: ok, warning or problem, and what to do."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

import duckdb
from packaging.requirements import Requirement

from loaders.products import ProductError, all_products
from loaders.spatial import SpatialMissing, spatial_connection
from serving.snapshot import snapshot_of
from soilhouse.console import out
from soilhouse.database import explain, studies_in
from soilhouse.demo_mark import simulated_products
from soilhouse.holdings import Holdings, month_ranges
from soilhouse.java import NEEDED, java_version
from soilhouse.settings import Settings

SUPPORTED = ((3, 11), (3, 13))
# What the three years of the demo need, and a month of a continental daily product while it is sorted.
ENOUGH_DISK_GB = 5
ENOUGH_MEMORY_GB = 4
# Engines and codecs: another version of these may write other bytes or refuse a file.
MATTERING = ("duckdb", "duckdb-extension-spatial", "dbt-core", "dbt-duckdb", "pyarrow", "numba", "numpy", "pandas")

Status = Literal["ok", "warning", "problem"]
STYLES = {"ok": "green", "warning": "yellow", "problem": "bold red"}


@dataclass(frozen=True)
class Finding:
    """One line: how it stands, with what, what was found and the next step (empty when there is none)."""

    status: Status
    subject: str
    found: str
    next_step: str = ""


def run(settings: Settings) -> int:
    """Print a line for every finding. Returns 1 when one of them is a problem."""
    counts = dict.fromkeys(STYLES, 0)
    for finding in findings(settings):
        counts[finding.status] += 1
        step = f" -> {finding.next_step}" if finding.next_step else ""
        out.print(f"{finding.status:<8}", style=STYLES[finding.status] if out.is_terminal else None, end="")
        out.print(f"{finding.subject}: {finding.found}{step}", markup=False)
    out.print(f"problems: {counts['problem']}, warnings: {counts['warning']}")
    return 1 if counts["problem"] else 0


def findings(settings: Settings) -> Iterator[Finding]:
    """Every check, in the order of what stands on what. A check that breaks is a problem itself, and the others go on."""
    checks: tuple[Callable[[Settings], Iterator[Finding]], ...] = (
        _python,
        _packages,
        _spatial,
        _kernels,
        _java,
        _machine,
        _products,
        _lake,
        _database,
        _snapshot,
    )
    for check in checks:
        try:
            yield from check(settings)
        except Exception as error:
            subject = check.__name__.strip("_").replace("_", " ")
            yield Finding("problem", subject, f"the check broke: {type(error).__name__}: {error}", "please report it")


def _python(settings: Settings) -> Iterator[Finding]:
    running = sys.version_info[:2]
    found = f"{sys.version.split()[0]} at {sys.executable}"
    if SUPPORTED[0] <= running <= SUPPORTED[1]:
        yield Finding("ok", "Python", found)
    else:
        yield Finding("problem", "Python", found, "use Python 3.11 to 3.13: make PYTHON=python3.11 environment")


def locked_versions(lock: Path) -> dict[str, str]:
    """Package and version of a lock, for this Python on this system: a line with a marker may be for another one."""
    found = {}
    for line in lock.read_text(encoding="utf-8").splitlines():
        text = line.rstrip("\\ ")
        if text and not line.startswith((" ", "#")):
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate():
                found[requirement.name] = next(iter(requirement.specifier)).version
    return found


def _packages(settings: Settings) -> Iterator[Finding]:
    lock = settings.project / "requirements.lock"
    if not lock.is_file():
        yield Finding("warning", "packages", f"there is no {lock.name} to compare with")
        return
    missing, other = [], {}
    for package, locked in locked_versions(lock).items():
        try:
            installed = version(package)
        except PackageNotFoundError:
            missing.append(package)
            continue
        if installed != locked:
            other[package] = f"{package} {installed} (locked {locked})"
    if missing:
        yield Finding("problem", "packages", f"missing: {', '.join(missing)}", "make environment")
    if other:
        status: Status = "problem" if set(other) & set(MATTERING) else "warning"
        yield Finding(status, "packages", f"other than locked: {', '.join(other.values())}", "make environment")
    if not missing and not other:
        yield Finding("ok", "packages", f"as locked, DuckDB {duckdb.__version__}")


def _spatial(settings: Settings) -> Iterator[Finding]:
    try:
        with spatial_connection() as connection:
            area = connection.execute("select st_area(st_geomfromtext('POLYGON((0 0, 2 0, 2 1, 0 0))'))").fetchone()[0]
    except (SpatialMissing, duckdb.Error) as error:
        yield Finding("problem", "spatial extension", str(error).splitlines()[0], "make environment")
        return
    if area == 1.0:
        yield Finding("ok", "spatial extension", "loads and computes")
    else:
        yield Finding("problem", "spatial extension", f"a triangle of area 1 measures {area}", "make environment")


def _kernels(settings: Settings) -> Iterator[Finding]:
    import udfs

    with duckdb.connect() as connection:
        udfs.register(connection)
        # A line that rises by 2 a step: a wrong answer is worse than none.
        slope = connection.execute(
            "select theil_sen(list(struct_pack(t := cast(i as integer), v := cast(2 * i as double)))).slope from range(10) as r(i)"
        ).fetchone()[0]
    if slope == 2.0:
        yield Finding("ok", "kernels", "register and compute")
    else:
        yield Finding("problem", "kernels", f"theil_sen of a line with slope 2 gives {slope}", "make environment")


def _java(settings: Settings) -> Iterator[Finding]:
    found = java_version()
    if found is not None and found >= NEEDED:
        yield Finding("ok", "Java", f"{found}")
        return
    status: Status = "problem" if settings.target == "spark" else "warning"
    which = "none" if found is None else f"{found}"
    yield Finding(status, "Java", which, f"only Spark needs it: Java {NEEDED}, with JAVA_HOME pointing at it")


def _machine(settings: Settings) -> Iterator[Finding]:
    folder = next(p for p in (settings.lake, *settings.lake.parents) if p.is_dir())
    free = shutil.disk_usage(folder).free / 1e9
    low = free < ENOUGH_DISK_GB
    yield Finding(
        "warning" if low else "ok", "disk", f"{free:.1f} GB free at {folder}", "free some before a load" if low else ""
    )
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
        low = memory < ENOUGH_MEMORY_GB
        step = "set SOILHOUSE_MEMORY=1GB" if low else ""
        yield Finding("warning" if low else "ok", "memory", f"{memory:.1f} GB, {os.cpu_count()} processors", step)


def _products(settings: Settings) -> Iterator[Finding]:
    try:
        count = len(all_products(settings.lake))
    except ProductError as error:
        yield Finding("problem", "products", str(error), "mend that file")
    else:
        yield Finding("ok", "products", f"{count} definitions")


def _lake(settings: Settings) -> Iterator[Finding]:
    lake = settings.lake
    if not lake.is_dir():
        yield Finding("warning", "lake", f"{lake} does not exist", "the first `soilhouse load` makes it")
        return
    if not os.access(lake, os.R_OK | os.W_OK | os.X_OK):
        yield Finding("problem", "lake", f"{lake} may not be read and written", "change its owner or permissions")
        return
    holdings = Holdings(lake)
    held = holdings.products()
    if not held:
        yield Finding("warning", "lake", f"{lake} is empty", "soilhouse load --help")
    for product in held:
        yield from _held(holdings, product)
    simulated = sorted(simulated_products(lake) & set(held))
    if simulated:
        yield Finding("ok", "lake", f"SIMULATED, by the demo: {', '.join(simulated)}")
    leftovers = sorted(p for p in lake.rglob(".*.tmp-*"))
    if leftovers:
        first = leftovers[0].relative_to(lake)
        yield Finding(
            "warning",
            "lake",
            f"{len(leftovers)} files of an interrupted load, the first {first}",
            "the next load of the product removes them",
        )


def _held(holdings: Holdings, product: str) -> Iterator[Finding]:
    """A product of the lake: does every file open, and say what it was made of."""
    broken = []
    folder = holdings.lake / "raw" / product
    files = sorted(
        p for p in folder.rglob("*.parquet") if not any(part[0] in "._" for part in p.relative_to(folder).parts)
    )
    for path in files:
        reason = broken_month(path)
        if reason:
            broken.append((path.relative_to(holdings.lake), reason))
    if broken:
        path, reason = broken[0]
        yield Finding(
            "problem", f"product {product}", f"{len(broken)} of {len(files)} files cannot be used, the first {path}: {reason}",
            "remove them and load those months again",
        )  # fmt: skip
    elif not holdings.is_catalogued(product):
        yield Finding(
            "problem",
            f"product {product}",
            "it is not in the catalogue: its last load was interrupted",
            "load any file of it again, which finishes that load",
        )
    else:
        held = "static" if holdings.is_static(product) else month_ranges(holdings.months(product))
        yield Finding("ok", f"product {product}", f"{held}, {len(files)} files")


def broken_month(path: Path) -> str:
    """Why a month file cannot be used; empty when it can. Only its footer is read."""
    import json

    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        metadata = pq.read_metadata(path)
    except (pa.ArrowException, OSError) as error:
        return f"it is not a whole Parquet file ({str(error).splitlines()[0]})"
    try:
        provenance = json.loads((metadata.metadata or {})[b"soilhouse"])
    except (KeyError, ValueError):
        return "it does not say what it was made of"
    return "" if provenance.get("granules") else "it names no file that it was made of"


def _database(settings: Settings) -> Iterator[Finding]:
    database = settings.database
    if not database.exists():
        yield Finding("warning", "database", f"{database} does not exist", "`soilhouse build` makes it")
        return
    try:
        studies = studies_in(database)
    except duckdb.Error as error:
        explained = explain(error, database)
        yield Finding("problem", "database", explained.problem, explained.next_step)
        return
    size = database.stat().st_size / 1e6
    found = f"{database}, {size:.1f} MB, " + (f"study {', '.join(studies)}" if studies else "no study in it")
    if len(studies) > 1:
        next_step = "a build of one of them stopped half-way: build it whole, soilhouse build STUDY.yml"
        yield Finding("problem", "database", f"{found}: tables of more than one study", next_step)
        return
    yield Finding("ok", "database", found)


def _snapshot(settings: Settings) -> Iterator[Finding]:
    """The copy that readers have: is it there, whole, and of the database's last build?"""
    snapshot = snapshot_of(settings.database)
    if not settings.database.exists() and not snapshot.exists():
        return
    if not snapshot.exists():
        yield Finding("warning", "snapshot", f"{snapshot} does not exist", "`soilhouse publish` writes it for readers")
        return
    try:
        studies = studies_in(snapshot)
    except duckdb.Error as error:
        explained = explain(error, snapshot)
        yield Finding("problem", "snapshot", explained.problem, "`soilhouse publish` writes it anew")
        return
    found = f"{snapshot}, {snapshot.stat().st_size / 1e6:.1f} MB, study {', '.join(studies) or 'none'}"
    if settings.database.exists() and snapshot.stat().st_mtime < settings.database.stat().st_mtime:
        step = "the last build failed or was a plain `dbt build`: readers see the one before until `soilhouse publish`"
        yield Finding("warning", "snapshot", f"{found}, older than the database", step)
    else:
        yield Finding("ok", "snapshot", found)
