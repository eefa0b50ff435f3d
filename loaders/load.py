"""A load: files of one product into the lake, as a transaction.

Every file ends in one row of the report: loaded, replaced (an older version went), unchanged (the lake has it),
superseded (the lake, or the load, has a newer version) or skipped (with the reason). A month's file holds all of a
granule or nothing of it; a granule that covers several months is in all of them or in none.

How: headers are read and decided upon first; granules that share months form a batch; a batch's months are written
under hidden names, a journal of the renames is put beside them, and they are renamed together. What a killed load left
is finished (journal) or removed (no journal) at the next load of the product.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa
from rich.table import Table as RichTable
from rich.text import Text

from loaders import catalog
from loaders.catalog import Present, granules_of
from loaders.granule import BadFile, Granule, Reader
from loaders.grids import Grid
from loaders.lake import Lake, LakeError, errno_of, said, sweep, sync_file, temporary_beside, write_atomically
from loaders.month_file import MonthHeader, read_header, union_of
from loaders.paths import expand_paths
from loaders.staging import MonthPlan, StagedMonth, months_of, normalise_rows, stage_month

if TYPE_CHECKING:
    from loaders.products import Product

Status = Literal["loaded", "unchanged", "replaced", "superseded", "skipped"]
Month = date | None

# Sparse granules of several months are read once a batch; beyond this they wait on disk instead of in memory.
SPARSE_MEMORY = 512 << 20

_HOPELESS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM}


# -- the report ---------------------------------------------------------------------------------------------------------


@dataclass
class FileReport:
    """What became of one file. `n_rows` are the rows it has in the lake when it was put in, else 0."""

    path: Path
    status: Status
    reason: str = ""
    n_months: int = 0
    n_rows: int = 0

    @property
    def name(self) -> str:
        return self.path.name


@dataclass
class LoadReport:
    """What a load did, a row a file, in the order of file names."""

    product: str
    lake: Path
    files: list[FileReport] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    grid_id: str | None = None
    n_month_files: int = 0
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """False when a file was skipped, when there was none, or when something else went wrong (`problems`)."""
        return bool(self.files) and all(f.status != "skipped" for f in self.files) and not self.problems

    @property
    def counts(self) -> dict[str, int]:
        """Files by status; only what occurred."""
        return dict(Counter(f.status for f in self.files))

    @property
    def n_rows(self) -> int:
        return sum(f.n_rows for f in self.files)

    def table(self, most: int = 40) -> RichTable:
        """For the terminal: every file that needs a word, the others as one line a status, and the totals."""
        table = RichTable(title=f"{self.product} into {self.lake}", title_justify="left", show_edge=False)
        table.add_column("file", overflow="fold")
        table.add_column("status")
        table.add_column("months", justify="right")
        table.add_column("rows", justify="right")
        table.add_column("reason", overflow="fold")
        spoken = [f for f in self.files if f.reason]
        quiet = [f for f in self.files if not f.reason]
        if len(quiet) <= 10:
            spoken, quiet = self.files, []
        for file in spoken[:most] if len(spoken) > most + 5 else spoken:
            self._add(table, file.name, file.status, file.n_months, file.n_rows, file.reason)
        if len(spoken) > most + 5:
            more = dict(Counter(f.status for f in spoken[most:]))
            self._add(table, f"... and {len(spoken) - most:,} more", _listed(more), None, None, "")
        for status, n in Counter(f.status for f in quiet).items():
            rows = sum(f.n_rows for f in quiet if f.status == status)
            self._add(table, f"{n:,} files", status, None, rows, "")
        table.add_section()
        total = f"{len(self.files):,} files"
        self._add(table, total, _listed(self.counts), self.n_month_files, self.n_rows, "; ".join(self.problems))
        return table

    @staticmethod
    def _add(table: RichTable, name: str, status: str, months: int | None, rows: int | None, reason: str) -> None:
        # Text, not str: a bracket in a file name is not markup
        cells = (name, status, f"{months:,}" if months else "", f"{rows:,}" if rows else "", reason)
        table.add_row(*(Text(c) for c in cells), style="red" if status == "skipped" else "")


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{n:,} {status}" for status, n in counts.items())


# -- the load -----------------------------------------------------------------------------------------------------------


def load(
    product: Product,
    paths: Iterable[Path | str],
    lake: Lake | Path | str,
    grid: Grid | str | None = None,
    progress: Any = None,
    workers: int = 2,
) -> LoadReport:
    """Load files, and what folders hold of the product, into the lake; see the module's docstring.

    product   complete (not the template `table`, `raster`); `regions` are loaded by `loaders.regions`
    grid      only for products whose grid is `given`: a grid or its name
    progress  anything with `add_task`, `update` and `advance` of rich.progress.Progress
    workers   threads; each holds one month of the product in memory

    A file that cannot be loaded is reported and the others go on. Raises LakeError when nothing can be done at all:
    the lake cannot be written or is damaged, another load of the product runs, the product or grid does not fit.
    """
    started = time.perf_counter()
    lake = lake if isinstance(lake, Lake) else Lake(lake)
    if product.kind == "regions":
        raise LakeError("regions are loaded with load_regions, not as rows")
    if product.is_template:
        raise LakeError(f"{product.name} is a template: it needs a name and a mapping first")
    reader: Reader = import_module(f"loaders.readers.{product.format}")
    if product.format == "terrain":
        paths = [_heights_in(lake, path) for path in paths]
    found = expand_paths(product, paths)
    report = LoadReport(product.name, lake.root)
    report.files += [FileReport(path, "skipped", reason) for path, reason in found.problems]
    lake.init()
    try:
        with lake.lock_product(product.name):
            _Load(lake, product, reader, grid, progress, max(1, workers), report).run(found.files)
    except OSError as error:
        raise LakeError(f"the lake {lake.root} cannot be written: {said(error)}") from error
    report.files.sort(key=lambda f: (f.name, str(f.path)))
    report.seconds = time.perf_counter() - started
    return report


def _heights_in(lake: Lake, path: Path | str) -> Path:
    """The file of a product without dates of the lake, when its name is given instead of a file."""
    named = lake.month_path(str(path), None)
    return named if not Path(path).exists() and Path(path).name == str(path) and named.exists() else Path(path)


def reason_of(error: BaseException) -> str:
    """Any exception met while a file is read, as one line in the user's words."""
    match error:
        case BadFile():
            return error.reason
        case PermissionError():
            return "cannot be read: permission denied"
        case FileNotFoundError():
            return "there is no such file"
        case IsADirectoryError():
            return "is a folder"
        case MemoryError():
            return "does not fit into memory"
        case OSError():
            return f"cannot be read: {said(error)}"
        case _:
            return f"cannot be read as what it is said to be ({type(error).__name__}: {said(error)})"


class _WriteError(Exception):
    """The lake could not be written; the files are not to blame."""

    def __init__(self, error: BaseException) -> None:
        self.hopeless = isinstance(error, OSError) and errno_of(error) in _HOPELESS
        super().__init__(f"could not be written into the lake: {said(error)}")


@dataclass(frozen=True)
class _Accepted:
    """A granule that is to go in, and what it replaces in the lake."""

    granule: Granule
    replaces: tuple[Present, ...] = ()

    @property
    def months(self) -> set[Month]:
        return {*months_of(self.granule), *(m for p in self.replaces for m in p.months)}


class _Load:
    """One run. The lock of the product is held by the caller."""

    def __init__(self, lake: Lake, product: Product, reader: Reader, grid, progress, workers: int, report) -> None:
        self.lake, self.product, self.reader, self.workers, self.report = lake, product, reader, workers, report
        self.progress = _Progress(progress)
        self.raw = lake.raw(product.name)
        self.dirty = self.raw / ".dirty"
        self.headers: dict[Month, MonthHeader] = {}
        self.committed: set[Month] = set()  # months whose pixels are among `pixel_ids`
        self.grid = self._grid_asked_for(grid)
        self.pixel_ids = np.empty(0, np.int64)
        self.pixels_lock = threading.Lock()
        self.commit_lock = threading.Lock()
        self.is_prepared = False
        self.stop: str | None = None

    def run(self, files: Sequence[Path]) -> None:
        was_interrupted = self._recover()
        self.headers = {month: read_header(path) for month, path in self.lake.month_files(self.product.name).items()}
        self._check_lake()
        self._check_definition()
        granules = waiting = self._inspect(files)
        while waiting:
            accepted, blocked = self._decide(waiting)
            failed = self._put_in(accepted)
            # what only gave way to a file that then turned out to be bad gets its turn
            waiting = [granule for granule, blocker in blocked if blocker in failed]
            for granule, blocker in blocked:
                if blocker not in failed:
                    self._say_blocked(granule, blocker)
        try:
            self._refresh(granules, was_interrupted)
        except (OSError, LakeError, pa.ArrowException) as error:
            self.report.problems.append(f"the catalogue could not be brought up to date ({said(error)}); load again")

    # -- before -----------------------------------------------------------------------------------------------------

    def _grid_asked_for(self, grid: Grid | str | None) -> Grid | None:
        named = self.product.grid
        if named == "none":
            if grid is not None:
                raise LakeError(f"{self.product.name} has no grid: leave --grid out")
            return None
        if isinstance(grid, str):
            grid = self._find_grid(grid)
        if isinstance(grid, Grid) and grid.grid_id not in self.lake.registered_grids():
            try:
                self.lake.register_grid(grid)
            except ValueError as error:
                raise LakeError(str(error)) from error
        if named in ("given", "from_file"):
            if grid is None and named == "given":
                raise LakeError(f"{self.product.name} needs the grid its points lie on: --grid GRID")
            return grid
        own = self._find_grid(named)
        if grid is not None and grid != own:
            raise LakeError(f"{self.product.name} lies on grid {named}, not on {grid.grid_id}: leave --grid out")
        return own

    def _find_grid(self, name: str) -> Grid:
        try:
            return self.lake.grid(name)
        except (LookupError, ValueError) as error:
            raise LakeError(str(error)) from error

    def _recover(self) -> bool:
        """Finish the renames that a killed load had begun, and remove what it had not. True when there was a kill."""
        was_interrupted = self.dirty.exists()
        for journal in sorted(self.raw.glob(".commit-*.json")):
            plan = json.loads(journal.read_text(encoding="utf-8"))
            for temporary, target in plan["rename"]:
                if (self.raw / temporary).exists():
                    (self.raw / temporary).replace(self.raw / target)
                    sync_file((self.raw / target).parent)
            for target in plan["remove"]:
                (self.raw / target).unlink(missing_ok=True)
            journal.unlink()
            was_interrupted = True
        for left in (*self.raw.glob(".*.tmp-*"), *self.raw.glob("*/.*.tmp-*"), *self.raw.glob("*/*/.*.tmp-*")):
            left.unlink(missing_ok=True)
        name = self.product.name
        for table in (self.lake.root / "catalog").iterdir():
            sweep(table, f"{name}.parquet")
        sweep(self.lake.stations_path(name).parent, f"{name}.parquet")
        sweep(self.lake.definition_path(name).parent, f"{name}.yml")
        for left in self.raw.glob(".rows-*"):
            shutil.rmtree(left, ignore_errors=True)
        self._remove_empty_folders()
        return was_interrupted

    def _remove_empty_folders(self) -> None:
        for pattern in ("year=*/month=*", "year=*", "static"):
            for folder in self.raw.glob(pattern):
                if not any(folder.iterdir()):
                    folder.rmdir()

    def _check_lake(self) -> None:
        """What the lake has of the product must be what is being loaded; a grid taken from a file stays that grid."""
        for header in self.headers.values():
            has = header.provenance
            if has.product != self.product.name or has.layout != self.reader.LAYOUT:
                raise LakeError(
                    f"{header.path} holds {has.product} ({has.layout}), not {self.product.name} ({self.reader.LAYOUT}): "
                    "load under another name, or into another lake"
                )
            if has.grid_id is not None and (self.grid is None or self.grid.grid_id != has.grid_id):
                if self.grid is not None:
                    raise LakeError(
                        f"{self.product.name} lies on grid {has.grid_id} in this lake, not on {self.grid.grid_id}: "
                        "load under another name"
                    )
                self.grid = self._find_grid(has.grid_id)
        if (None in self.headers) and len(self.headers) > 1:
            raise LakeError(f"{self.raw} holds both dated and static files: move one of them out of the lake")

    def _check_definition(self) -> None:
        """A completed product must mean what it meant at its first load."""
        from loaders.products import ProductError, read_product

        path = self.lake.definition_path(self.product.name)
        if not path.exists() or self.product.name in _built_in_names():
            return
        try:
            before = read_product(path)
        except ProductError as error:
            raise LakeError(str(error)) from error
        changed = [
            what
            for what in ("format", "kind", "time_step", "grid")
            if getattr(before, what) != getattr(self.product, what)
        ]
        if [(v.name, v.dtype, v.fill) for v in before.variables] != [
            (v.name, v.dtype, v.fill) for v in self.product.variables
        ]:
            changed.append("variables")
        if changed:
            raise LakeError(
                f"{self.product.name} was loaded before with other {', '.join(changed)} ({path}): "
                "load under another name, or leave the mapping out"
            )

    # -- headers ----------------------------------------------------------------------------------------------------

    def _skip(self, path: Path, reason: str, status: Status = "skipped") -> None:
        self.report.files.append(FileReport(path, status, reason))

    def _inspect(self, files: Sequence[Path]) -> list[Granule]:
        """The header of every file; those that have none are reported."""
        granules: list[Granule] = []

        def read(path: Path) -> Granule | str:
            try:
                granule = self.reader.inspect(path, self.product, self.grid)
                return self._objection(granule) or granule
            except Exception as error:
                return reason_of(error)
            finally:
                self.progress.advance(task)

        task = self.progress.add(f"{self.product.name}: reading headers", len(files))
        rest = list(files)
        while rest and self.grid is None and self.product.grid == "from_file":
            # the first file that can be read says on which grid the others must lie
            path = rest.pop(0)
            answer = read(path)
            if isinstance(answer, str):
                self._skip(path, answer)
                continue
            self.grid = answer.grid
            known = self.lake.registered_grids().get(self.grid.grid_id, self.grid)
            if known != self.grid:
                raise LakeError(
                    f"{path}: lies on a grid of its own, but the lake has another grid {known.grid_id}: "
                    "load under another name"
                )
            granules.append(answer)
        with ThreadPoolExecutor(self.workers) as pool:
            for path, answer in zip(rest, pool.map(read, rest), strict=True):
                if isinstance(answer, str):
                    self._skip(path, answer)
                else:
                    granules.append(answer)
        return granules

    def _objection(self, granule: Granule) -> str | None:
        """What a header that a reader lets pass may still not be."""
        if self.grid is not None and granule.grid != self.grid:
            on = granule.grid.grid_id if granule.grid is not None else "no grid"
            return f"lies on {on}, not on grid {self.grid.grid_id}"
        is_static = self.product.time_step == "static"
        if is_static and granule.dates:
            return "has dates, but the product has none"
        if not is_static and not granule.dates and self.product.kind != "stations":
            return "has no dates: nothing was observed"
        if list(granule.dates) != sorted(set(granule.dates)):
            return "repeats dates, or they are not in order"
        if self.reader.LAYOUT == "dense" and granule.window is None:
            return "says no window"
        return None

    # -- decisions --------------------------------------------------------------------------------------------------

    def _decide(self, granules: Sequence[Granule]) -> tuple[list[_Accepted], list[tuple[Granule, Granule]]]:
        """(to put in, those that gave way with the granule they gave way to); the rest is reported here."""
        present = granules_of(self.headers)
        by_key: dict[str, list[Present]] = {}
        for p in present:
            by_key.setdefault(p.key, []).append(p)
        known_stations = catalog.known_station_files(self.lake, self.product) if self._has_stations else {}

        blocked: list[tuple[Granule, Granule]] = []
        winners: dict[str, Granule] = {}
        for granule in sorted(granules, key=lambda g: (g.name, str(g.path))):
            best = winners.get(granule.key)
            if best is None:
                winners[granule.key] = granule
            elif _version(granule.version) > _version(best.version):
                winners[granule.key] = granule
                blocked.append((best, granule))
            else:
                blocked.append((granule, best))

        accepted: list[_Accepted] = []
        taken: dict[Month | date, list[tuple]] = {}
        for month, header in self.headers.items():
            for e in header.provenance.entries:
                for day in e.dates or (month,):
                    taken.setdefault(day, []).append((e.window, frozenset(e.variables), e.name, e.key, e.sha256, None))
        for granule in sorted(winners.values(), key=lambda g: (g.name, str(g.path))):
            olds = by_key.get(granule.key, [])
            if self._is_only_stations(granule):
                before = known_stations.get(granule.name)
                status = "loaded" if before is None else "replaced"
                if before is not None and before["sha256"] == granule.sha256:
                    status = "unchanged"
                self._skip(granule.path, "", status)
                continue
            replaces = self._compare(granule, olds)
            if replaces is None:
                continue
            clash = self._clash(granule, taken)
            if clash is not None:
                name, sha256, other = clash
                if other is not None:
                    blocked.append((granule, other))
                else:
                    self._skip(granule.path, _clash_reason(granule, name, sha256))
                continue
            for day in granule.dates or (None,):
                taken.setdefault(day, []).append(
                    (granule.window, frozenset(granule.variables), granule.name, granule.key, granule.sha256, granule)
                )
            accepted.append(_Accepted(granule, replaces))
        return accepted, blocked

    def _compare(self, granule: Granule, olds: Sequence[Present]) -> tuple[Present, ...] | None:
        """The present granules of the same key that this one replaces; None when it stays out (and that is reported)."""
        for old in olds:
            newer = _version(granule.version) > _version(old.version)
            older = _version(granule.version) < _version(old.version)
            if older and old.is_complete:
                self._skip(granule.path, f"the lake has version {old.version} ({old.name})", "superseded")
                return None
            if old.sha256 == granule.sha256 and old.is_complete and not newer:
                reason = "" if old.name == granule.name else f"the same file as {old.name}, which the lake has"
                self._skip(granule.path, reason, "unchanged")
                return None
            if not newer and not older and old.name != granule.name and old.is_complete:
                self._skip(granule.path, f"stands for the same as {old.name}, which the lake has, but its bytes differ")
                return None
        return tuple(olds)

    def _clash(self, granule: Granule, taken: dict) -> tuple[str, str, Granule | None] | None:
        """A granule of another key with the same cells, dates and variables. Sparse rows are compared when staged."""
        if granule.window is None:
            return None
        variables = frozenset(granule.variables)
        for day in granule.dates or (None,):
            for window, others, name, key, sha256, other in taken.get(day, ()):
                if key != granule.key and variables & others and window.overlaps(granule.window):
                    return name, sha256, other
        return None

    def _say_blocked(self, granule: Granule, blocker: Granule) -> None:
        if granule.key != blocker.key:
            self._skip(granule.path, _clash_reason(granule, blocker.name, blocker.sha256))
        elif granule.sha256 == blocker.sha256:
            self._skip(granule.path, f"a copy of {blocker.path}", "unchanged")
        elif _version(granule.version) < _version(blocker.version):
            self._skip(granule.path, f"{blocker.name} is version {blocker.version}", "superseded")
        else:
            self._skip(granule.path, f"stands for the same as {blocker.path}, but its bytes differ: remove one of them")

    # -- putting in -------------------------------------------------------------------------------------------------

    def _put_in(self, accepted: Sequence[_Accepted]) -> set[Granule]:
        """Load the accepted granules, batch by batch; the granules that failed."""
        if not accepted:
            return set()
        task = self.progress.add(f"{self.product.name}: loading", len(accepted))
        failed: set[Granule] = set()
        guard = threading.Lock()

        with ThreadPoolExecutor(self.workers) as stagers, ThreadPoolExecutor(self.workers) as coordinators:

            def run(number_and_batch: tuple[int, list[_Accepted]]) -> None:
                number, batch = number_and_batch
                outcome = _Batch(self, number, batch, stagers).run()
                with guard:
                    self.headers.update(outcome.headers)
                    self.committed.update(outcome.headers)
                    for month in outcome.removed:
                        self.headers.pop(month, None)
                    self.report.n_month_files += len(outcome.headers) + len(outcome.removed)
                    self.report.files += outcome.reports
                    failed.update(outcome.failed)
                    self.progress.advance(task, len(batch))

            futures = [coordinators.submit(run, item) for item in enumerate(_batches(accepted))]
            try:
                for future in futures:
                    future.result()
            except BaseException:
                self.stop = "the load was interrupted"
                for future in futures:
                    future.cancel()
                raise
        self._remove_empty_folders()
        return failed

    def before_commit(self) -> None:
        """What must be in the lake before the first month: the product's definition, its grid, the mark of a load."""
        with self.commit_lock:
            if self.is_prepared:
                return
            name = self.product.name
            if name not in _built_in_names() and not self.lake.definition_path(name).exists():
                catalog.write_definition(self.lake, self.product)
            if self.grid is not None:
                self.lake.register_grid(self.grid)
            self.dirty.touch()
            sync_file(self.raw)
            self.is_prepared = True

    def add_pixels(self, ids: np.ndarray) -> None:
        """Remember pixels of a committed month."""
        with self.pixels_lock:
            if ids.size and not np.array_equal(ids, self.pixel_ids):
                self.pixel_ids = union_of([self.pixel_ids, ids.astype(np.int64)])

    # -- after ------------------------------------------------------------------------------------------------------

    @property
    def _has_stations(self) -> bool:
        return self.product.kind == "stations"

    def _is_only_stations(self, granule: Granule) -> bool:
        return self._has_stations and not granule.dates

    def _refresh(self, granules: Sequence[Granule], was_interrupted: bool) -> None:
        """Bring everything that follows from raw/ up to date."""
        from loaders.regions import refresh_membership
        from loaders.weights import refresh_weights

        name = self.product.name
        if self._has_stations:
            self._refresh_stations(granules)
        files = [header.path for header in self.headers.values()]
        if self.grid is not None and files:
            if was_interrupted or not catalog.has_pixels(self.lake, self.grid):
                others = [h.path for month, h in self.headers.items() if month not in self.committed]
                self.add_pixels(catalog.product_pixels(others))
            catalog.add_pixels(self.lake, self.grid, self.pixel_ids, name)
            self.report.grid_id = self.grid.grid_id
        has_anything = files or self.lake.stations_path(name).exists()
        if has_anything:
            catalog.write_catalog(self.lake, self.product, self.report.grid_id, self.headers)
            grids = [self.grid.grid_id] if self.grid is not None else []
            refresh_membership(self.lake, grids)
            refresh_weights(self.lake, grids)
        self.dirty.unlink(missing_ok=True)

    def _refresh_stations(self, granules: Sequence[Granule]) -> None:
        known = catalog.known_station_files(self.lake, self.product)
        rows = {f.path: f for f in self.report.files}
        described: list[tuple[Granule, pa.Table]] = []
        for granule in granules:
            row = rows.get(granule.path)
            if row is None or row.status in ("skipped", "superseded"):
                continue
            before = known.get(granule.name)
            if before is not None and before["sha256"] == granule.sha256:
                continue
            try:
                stations = self.reader.read_stations(granule, self.product)
            except Exception as error:
                row.status, row.reason = "skipped", f"its stations: {reason_of(error)}"
                continue
            described.append((granule, stations))
            if self._is_only_stations(granule):
                row.n_rows = stations.num_rows if stations is not None else 0
        if described:
            self.before_commit()  # places without measurements are a load too: the next one needs no mapping
            catalog.add_stations(self.lake, self.product, described)


def _built_in_names() -> Iterable[str]:
    from loaders.products import all_products

    return all_products().keys()


def _clash_reason(granule: Granule, name: str, sha256: str) -> str:
    if sha256 == granule.sha256:
        return f"a copy of {name}"
    return f"has the same cells, dates and variables as {name}: which is right?"


def _version(text: str) -> tuple:
    """Versions compare by their numbers and words: 08.1 = 8.1 < 9.0 < 10."""
    parts = re.findall(r"\d+|[A-Za-z]+", text)
    return tuple((1, int(p), "") if p.isdigit() else (0, 0, p.lower()) for p in parts)


def _batches(accepted: Sequence[_Accepted]) -> list[list[_Accepted]]:
    """Granules joined by the months they share, ordered by first month."""
    parent: dict[Month, Month] = {}

    def root(month: Month) -> Month:
        while parent.setdefault(month, month) != month:
            parent[month] = parent[parent[month]]
            month = parent[month]
        return month

    for a in accepted:
        first, *others = a.months
        for other in others:
            parent[root(other)] = root(first)
    groups: dict[Month, list[_Accepted]] = {}
    for a in accepted:
        groups.setdefault(root(next(iter(a.months))), []).append(a)
    return sorted(groups.values(), key=lambda g: min((m or date.min) for a in g for m in a.months))


# -- one batch ----------------------------------------------------------------------------------------------------------


@dataclass
class _Outcome:
    headers: dict[Month, MonthHeader] = field(default_factory=dict)
    removed: list[Month] = field(default_factory=list)
    reports: list[FileReport] = field(default_factory=list)
    failed: set[Granule] = field(default_factory=set)


class _Batch:
    """Granules that share months: staged, then committed together, or not at all."""

    def __init__(self, load: _Load, number: int, batch: Sequence[_Accepted], stagers: ThreadPoolExecutor) -> None:
        self.load, self.number, self.stagers = load, number, stagers
        self.batch = {a.granule: a for a in batch}
        self.rows = _SparseRows(load, number) if load.reader.LAYOUT == "sparse" else None
        self.staged: dict[Month, StagedMonth] = {}
        self.outcome = _Outcome()

    def run(self) -> _Outcome:
        try:
            if self.load.stop is not None:
                raise _StoppedError(self.load.stop)
            self._stage()
            if self.staged:
                self._commit()
        except _StoppedError as stopped:
            self._fail(f"not tried: {stopped}")
        except _WriteError as error:
            if error.hopeless:
                self.load.stop = str(error)
            self._fail(str(error))
        except LakeError as error:
            self._fail(str(error))
        finally:
            for staged in self.staged.values():
                if staged.temporary is not None:
                    staged.temporary.unlink(missing_ok=True)
            if self.rows is not None:
                self.rows.close()
        return self.outcome

    def _fail(self, reason: str) -> None:
        # a month whose file is damaged, or a full disk, is no word about the other versions of a file: nothing is retried
        self.outcome.reports += [FileReport(g.path, "skipped", reason) for g in self.batch]
        self.batch = {}

    def _plan(self, month: Month) -> MonthPlan:
        load = self.load
        header = load.headers.get(month)
        entries = header.provenance.entries if header is not None else ()
        gone = {(p.name, p.sha256) for a in self.batch.values() for p in a.replaces}
        return MonthPlan(
            product=load.product,
            grid=load.grid,
            layout=load.reader.LAYOUT,
            month=month,
            target=load.lake.month_path(load.product.name, month),
            old=header.path if header is not None else None,
            kept=tuple(e for e in entries if (e.name, e.sha256) not in gone),
            removed=tuple(e for e in entries if (e.name, e.sha256) in gone),
            new=tuple(g for g in self.batch if month in months_of(g)),
        )

    def _stage(self) -> None:
        """Stage every month; when a granule of several months, or one that replaces, fails, its months are staged again."""
        months: set[Month] = {m for a in self.batch.values() for m in a.months}
        while months:
            again: set[Month] = set()
            for month in months:
                self._drop(month)  # first: the new file may get the name of the one it replaces
            for staged in self._stage_months(sorted(months, key=lambda m: m or date.min)):
                self.staged[staged.plan.month] = staged
            failures = {g: reason for s in self.staged.values() for g, reason in s.failed.items() if g in self.batch}
            for granule, reason in failures.items():
                accepted = self.batch.pop(granule)
                self.outcome.reports.append(FileReport(granule.path, "skipped", reason))
                self.outcome.failed.add(granule)
                if len(accepted.months) > 1 or accepted.replaces:
                    again |= accepted.months
            still = {m for a in self.batch.values() for m in a.months}
            for month in again - still:
                self._drop(month)
            months = again & still
        for month in [m for m, s in self.staged.items() if not s.included and not s.plan.removed]:
            self._drop(month)

    def _stage_months(self, months: Sequence[Month]) -> list[StagedMonth]:
        def stage(month: Month) -> StagedMonth:
            if self.load.stop is not None:
                raise _StoppedError(self.load.stop)
            plan = self._plan(month)
            temporary = temporary_beside(plan.target)
            try:
                rows = self.rows.of if self.rows is not None else None
                return stage_month(plan, self.load.reader, reason_of, rows, temporary)
            except (OSError, pa.ArrowException) as error:
                temporary.unlink(missing_ok=True)
                raise _WriteError(error) from error
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise

        futures = [self.stagers.submit(stage, month) for month in months]
        done: list[StagedMonth] = []
        error: BaseException | None = None
        for future in futures:
            try:
                done.append(future.result())
            except BaseException as raised:
                error = error or raised
        if error is not None:
            for staged in done:
                if staged.temporary is not None:
                    staged.temporary.unlink(missing_ok=True)
            raise error
        return done

    def _drop(self, month: Month) -> None:
        staged = self.staged.pop(month, None)
        if staged is not None and staged.temporary is not None:
            staged.temporary.unlink(missing_ok=True)

    def _commit(self) -> None:
        raw = self.load.raw
        renames = [(s.temporary, s.plan.target) for s in self.staged.values() if s.temporary is not None]
        removes = [s.plan.target for s in self.staged.values() if s.temporary is None and s.plan.old is not None]
        journal = None
        try:
            self.load.before_commit()
            if len(renames) + len(removes) > 1:
                # one rename cannot be cut in half, several can: the journal lets the next load finish them
                plan = {
                    "rename": [[str(t.relative_to(raw)), str(p.relative_to(raw))] for t, p in renames],
                    "remove": [str(p.relative_to(raw)) for p in removes],
                }
                journal = raw / f".commit-{self.number:06d}.json"
                text = json.dumps(plan)
                write_atomically(journal, lambda path: path.write_text(text, encoding="utf-8") and None)
        except OSError as error:
            raise _WriteError(error) from error
        try:
            for temporary, target in renames:
                temporary.replace(target)
            for target in removes:
                target.unlink(missing_ok=True)
            for folder in {p.parent for _, p in renames} | {p.parent for p in removes}:
                sync_file(folder)
            if journal is not None:
                journal.unlink()
        except OSError as error:
            if journal is not None:
                self.staged = {}  # the journal and its files stay, for the next load to finish
                raise LakeError(f"{said(error)} while months were put in place; load again to finish") from error
            raise _WriteError(error) from error
        self._note()

    def _note(self) -> None:
        rows: Counter[Granule] = Counter()
        for month, staged in self.staged.items():
            if staged.temporary is None:
                self.outcome.removed.append(month)
                continue
            self.outcome.headers[month] = read_header(staged.plan.target)
            self.load.add_pixels(staged.pixel_ids)
            rows.update(staged.rows_of)
        for granule, accepted in self.batch.items():
            other = [p for p in accepted.replaces if p.sha256 != granule.sha256]
            reason = ""
            if other and other[0].version != granule.version:
                reason = f"version {other[0].version} ({other[0].name}) went"
            elif other:
                reason = "its bytes changed"
            self.outcome.reports.append(
                FileReport(
                    granule.path,
                    "replaced" if other else "loaded",
                    reason,
                    len(months_of(granule)),
                    rows[granule],
                )
            )


class _StoppedError(Exception):
    """The load has been told to stop."""


class _SparseRows:
    """The rows of sparse granules by month; a granule of several months is read once a batch."""

    def __init__(self, load: _Load, number: int) -> None:
        self.load = load
        self.folder = load.raw / f".rows-{os.getpid()}-{number}"
        self.tables: dict[Granule, tuple[pa.Table, np.ndarray]] = {}
        self.failures: dict[Granule, Exception] = {}
        self.locks: dict[Granule, threading.Lock] = {}
        self.guard = threading.Lock()
        self.in_memory = 0

    def of(self, granule: Granule, month: Month) -> pa.Table:
        """The granule's rows in one month, as the columns of the month file."""
        if len(months_of(granule)) == 1:
            return self._read(granule)
        with self.guard:
            lock = self.locks.setdefault(granule, threading.Lock())
        with lock:
            if granule in self.failures:
                raise self.failures[granule]
            if granule not in self.tables:
                try:
                    self.tables[granule] = self._sorted(granule)
                except Exception as error:
                    self.failures[granule] = error
                    raise
            table, days = self.tables[granule]
        after = date(month.year + month.month // 12, month.month % 12 + 1, 1)
        start, stop = np.searchsorted(days, [np.datetime64(month), np.datetime64(after)])
        return table.slice(start, stop - start)

    def _read(self, granule: Granule) -> pa.Table:
        load = self.load
        return normalise_rows(load.reader.read_sparse(granule, load.product), granule, load.product, load.grid)

    def _sorted(self, granule: Granule) -> tuple[pa.Table, np.ndarray]:
        table = self._read(granule)
        days = table["obs_date"].to_numpy().astype("datetime64[D]")
        order = np.argsort(days, kind="stable")
        table, days = table.take(pa.array(order)), days[order]
        with self.guard:
            self.in_memory += table.nbytes
            spill = self.in_memory > SPARSE_MEMORY
            number = len(self.locks)
        if spill:
            # where the disk refuses, the rows simply stay in memory
            with suppress(OSError):
                self.folder.mkdir(exist_ok=True)
                path = self.folder / f"{number}-{threading.get_ident()}.arrow"
                with pa.ipc.new_file(path, table.schema) as file:
                    file.write_table(table, max_chunksize=1 << 17)
                table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
        return table, days

    def close(self) -> None:
        self.tables.clear()
        shutil.rmtree(self.folder, ignore_errors=True)


class _Progress:
    """rich's progress, or nothing."""

    def __init__(self, progress: Any) -> None:
        self.progress = progress

    def add(self, description: str, total: int) -> Any:
        return None if self.progress is None else self.progress.add_task(description, total=total)

    def advance(self, task: Any, by: int = 1) -> None:
        if self.progress is not None:
            self.progress.advance(task, by)


__all__: Sequence[str] = ("FileReport", "LoadReport", "Status", "load", "reason_of")
