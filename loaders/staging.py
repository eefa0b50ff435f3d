"""One month of a product put together from what the lake has and what new granules bring.

Nothing here decides which granules belong in the lake (that is `loaders/load.py`), and nothing here renames a file: a
month is written under a hidden name, to be committed or thrown away.

The result depends on the granules alone, not on the order in which they came: a pixel is in a dense file when a cell of
it, in any variable of any granule of the month, differs from that granule's blank (its fill), and where a granule
covers a pixel without a value of its own, the pixel gets the blank back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loaders.granule import BadFile, Granule, Reader, Window
from loaders.lake import sync_file
from loaders.month_file import (
    DenseBlock,
    Entry,
    Provenance,
    dense_schema,
    read_dense_block,
    read_sparse_table,
    sort_sparse,
    sparse_keys,
    sparse_schema,
    union_of,
    write_dense,
    write_sparse,
)

if TYPE_CHECKING:
    from loaders.grids import Grid
    from loaders.products import Product, Variable

# A window of this many cells (or fewer) is handled through a map of its cells, one byte each; larger ones by sorting.
_MAP_CELLS = 1 << 26


@dataclass(frozen=True)
class MonthPlan:
    """What is to happen to one month file.

    old      the file there is, or None
    kept     its granules that stay
    removed  its granules that are replaced
    new      granules to put in, in the order in which a conflict is decided (the later gives way)
    """

    product: Product
    grid: Grid | None
    layout: str
    month: date | None
    target: Path
    old: Path | None
    kept: tuple[Entry, ...]
    removed: tuple[Entry, ...]
    new: tuple[Granule, ...]


@dataclass
class StagedMonth:
    """A month ready to be committed: `temporary` takes the place of the target, or (None) the target is removed."""

    plan: MonthPlan
    temporary: Path | None
    included: tuple[Granule, ...]
    failed: dict[Granule, str]
    rows_of: dict[Granule, int]
    pixel_ids: np.ndarray
    n_rows: int


def months_of(granule: Granule) -> tuple[date | None, ...]:
    """The months a granule covers, ascending; (None,) for a static one."""
    return tuple(sorted({d.replace(day=1) for d in granule.dates})) or (None,)


def dates_in(granule: Granule, month: date | None) -> tuple[date, ...]:
    """The granule's dates in a month."""
    if month is None:
        return ()
    return tuple(d for d in granule.dates if (d.year, d.month) == (month.year, month.month))


def entry_of(granule: Granule, month: date | None, blank: dict[str, Any] | None = None) -> Entry:
    """The provenance of a granule in a month file."""
    return Entry(
        name=granule.name,
        key=granule.key,
        version=granule.version,
        sha256=granule.sha256,
        variables=granule.variables,
        dates=dates_in(granule, month),
        window=granule.window,
        n_months=len(months_of(granule)),
        blank=blank or {},
    )


def stage_month(
    plan: MonthPlan,
    reader: Reader,
    reason_of: Callable[[BaseException], str],
    sparse_rows: Callable[[Granule, date | None], pa.Table] | None,
    temporary: Path,
) -> StagedMonth:
    """Read, merge and write a month to `temporary`; granules that fail are left out and named in `failed`.

    Raises LakeError when the month's old file is damaged, OSError when the new one cannot be written.
    """
    if plan.layout == "dense":
        return _stage_dense(plan, reader, reason_of, temporary)
    return _stage_sparse(plan, reason_of, sparse_rows, temporary)


def _finish(plan: MonthPlan, temporary: Path, write: Callable[[Path], None]) -> None:
    temporary.parent.mkdir(parents=True, exist_ok=True)
    write(temporary)
    sync_file(temporary)


# -- dense --------------------------------------------------------------------------------------------------------------


@dataclass
class _Piece:
    """The cells of one granule in one month that are not blank.

    cells     positions in the granule's window, row by row, ascending, shape (n_cells,)
    values    by variable, shape (n_steps, n_cells)
    """

    entry: Entry
    granule: Granule
    cells: np.ndarray
    values: dict[str, np.ndarray]


def _stage_dense(plan, reader: Reader, reason_of, temporary: Path) -> StagedMonth:
    product, grid = plan.product, plan.grid
    schema = dense_schema(product, grid)
    pieces: list[_Piece] = []
    failed: dict[Granule, str] = {}
    for granule in plan.new:
        try:
            pieces.append(_read_piece(granule, product, plan.month, reader, pieces[-1] if pieces else None))
        except Exception as error:
            failed[granule] = reason_of(error)
    entries = (*plan.kept, *(p.entry for p in pieces))
    if not entries or (not pieces and not plan.removed):
        return StagedMonth(plan, None, (), failed, {}, np.empty(0, np.int64), 0)

    old = read_dense_block(plan.old, schema) if plan.old is not None else None
    if old is not None and plan.removed:
        old = _only_kept(old, plan.kept, grid)
    block, rows_of = _assemble(product, grid, plan.kept, pieces, old)
    pixel_ids, n_rows = block.pixel_ids, block.n_rows
    provenance = Provenance(product.name, grid.grid_id, "dense", entries)
    del old
    included = tuple(p.granule for p in pieces)
    pieces.clear()
    _finish(plan, temporary, lambda path: write_dense(path, block, schema, provenance))
    return StagedMonth(plan, temporary, included, failed, rows_of, pixel_ids, n_rows)


def _read_piece(granule: Granule, product: Product, month, reader: Reader, before: _Piece | None) -> _Piece:
    dates = dates_in(granule, month)
    shape = (max(1, len(dates)), granule.window.height, granule.window.width)
    arrays: dict[str, np.ndarray] = {}
    blanks: dict[str, Any] = {}
    present = np.zeros(granule.window.n_cells, bool)
    for name in granule.variables:
        variable = product.variable(name)
        data = np.asarray(reader.read_dense(granule, product, name, dates))
        if data.shape != shape:
            raise BadFile(f"{name} has shape {data.shape}, its header says {shape}")
        if data.dtype != np.dtype(variable.dtype):
            raise BadFile(f"{name} is {data.dtype}, the product says {variable.dtype}")
        data = data.reshape(shape[0], -1)
        has_blank, blank = _blank_of(variable, data)
        if has_blank:
            blanks[name] = blank
            for step in data:
                present |= ~np.isnan(step) if blank is None else step != data.dtype.type(blank)
        else:
            present[:] = True
        arrays[name] = data
    cells = np.flatnonzero(present)
    if before is not None and np.array_equal(cells, before.cells):
        cells = before.cells  # maps of one product mostly have the same outline: keep it once
    values = {name: data[:, cells] for name, data in arrays.items()}
    return _Piece(entry_of(granule, month, blanks), granule, cells, values)


def _blank_of(variable: Variable, data: np.ndarray) -> tuple[bool, Any]:
    """(is there one, the fill value most cells hold as JSON writes it: None is NaN); ties go to the product's order."""
    candidates: list[Any] = []
    for fill in variable.fill:
        if fill != fill or (data.dtype.kind != "f" and not _is_of(fill, data.dtype)):
            continue
        candidates.append(data.dtype.type(fill).item())
    if data.dtype.kind == "f":
        candidates.append(None)
    if len(candidates) < 2:
        return bool(candidates), candidates[0] if candidates else None
    counts = [int(np.count_nonzero(np.isnan(data) if c is None else data == data.dtype.type(c))) for c in candidates]
    return True, candidates[int(np.argmax(counts))]


def _is_of(fill: float, dtype: np.dtype) -> bool:
    limits = np.iinfo(dtype)
    return fill == int(fill) and limits.min <= fill <= limits.max


def _pixel_ids(window: Window, cells: np.ndarray, grid: Grid) -> np.ndarray:
    row, col = np.divmod(cells, window.width)
    row += window.row
    row *= grid.n_cols
    row += col
    row += window.column
    return row.astype(grid.pixel_id_type.to_pandas_dtype())


def _assemble(
    product: Product, grid: Grid, kept: Sequence[Entry], pieces: Sequence[_Piece], old: DenseBlock | None
) -> tuple[DenseBlock, dict[Granule, int]]:
    """The month's block from the old block (of the kept granules) and the new pieces."""
    dates = tuple(sorted({d for e in (*kept, *(p.entry for p in pieces)) for d in e.dates}))
    step_of = {d: i for i, d in enumerate(dates)}
    n_steps = max(1, len(dates))

    ids_of: dict[tuple[int, Window], np.ndarray] = {}
    for piece in pieces:
        key = (id(piece.cells), piece.entry.window)
        if key not in ids_of:
            ids_of[key] = _pixel_ids(piece.entry.window, piece.cells, grid)
    pixel_ids = _union_of_pixels([*ids_of.values(), *([old.pixel_ids] if old is not None else [])], grid)
    positions = {key: _positions(pixel_ids, ids) for key, ids in ids_of.items()}

    inside: dict[Window, np.ndarray | slice] = {}
    for window in {e.window for e in (*kept, *(p.entry for p in pieces))}:
        inside[window] = _inside(pixel_ids, window, grid)

    values, valid = {}, {}
    for variable in product.variables:
        name = variable.name
        out = np.zeros((n_steps, pixel_ids.size), np.dtype(variable.dtype))
        ok = np.zeros((n_steps, pixel_ids.size), bool)

        def put_blank(entry: Entry, steps: Sequence[int], out=out, ok=ok, name=name) -> None:
            blank = entry.blank.get(name)
            if blank is None:  # NaN, which is NULL, or no blank at all: then every cell of the window is in the block
                return
            cells = inside[entry.window]
            for step in steps:
                out[step, cells] = blank
                ok[step, cells] = True

        for entry in kept:
            if name in entry.variables:
                put_blank(entry, [step_of[d] for d in entry.dates] or [0])
        if kept and old is not None:
            _put_old(name, kept, old, pixel_ids, step_of, grid, out, ok)
        for piece in pieces:
            if name not in piece.entry.variables:
                continue
            steps = [step_of[d] for d in piece.entry.dates] or [0]
            where = positions[(id(piece.cells), piece.entry.window)]
            covers_all = isinstance(where, slice)
            if not covers_all:
                put_blank(piece.entry, steps)
            for step, row in zip(steps, piece.values.pop(name), strict=True):
                out[step, where] = row
                ok[step, where] = True
        values[name] = out
        valid[name] = None if ok.all() else ok

    rows_of = {}
    for piece in pieces:
        cells = inside[piece.entry.window]
        n = pixel_ids.size if isinstance(cells, slice) else int(np.count_nonzero(cells))
        rows_of[piece.granule] = n * max(1, len(piece.entry.dates))
    return DenseBlock(pixel_ids, dates, values, valid), rows_of


def _put_old(name, kept: Sequence[Entry], old: DenseBlock, pixel_ids, step_of, grid: Grid, out, ok) -> None:
    old_step = {d: i for i, d in enumerate(old.dates)}
    where = _positions(pixel_ids, old.pixel_ids)
    old_valid = old.valid[name]
    for entry in kept:
        if name not in entry.variables:
            continue
        cells = _inside(old.pixel_ids, entry.window, grid)
        target = where[cells] if not isinstance(where, slice) else cells
        for day in entry.dates or (None,):
            source = old_step[day] if day is not None else 0
            step = step_of[day] if day is not None else 0
            out[step, target] = old.values[name][source, cells]
            ok[step, target] = True if old_valid is None else old_valid[source, cells]


def _only_kept(old: DenseBlock, kept: Sequence[Entry], grid: Grid) -> DenseBlock:
    """The old block without the pixels that no kept granule has a value in."""
    step_of = {d: i for i, d in enumerate(old.dates)}
    present = np.zeros(old.pixel_ids.size, bool)
    for entry in kept:
        cells = _inside(old.pixel_ids, entry.window, grid)
        steps = [step_of[d] for d in entry.dates] or [0]
        for name in entry.variables:
            if name not in entry.blank:
                present[cells] = True
                continue
            blank, data, valid = entry.blank[name], old.values[name], old.valid[name]
            for step in steps:
                here = np.ones(old.pixel_ids.size, bool) if valid is None else valid[step]
                present[cells] |= (here if blank is None else ~here | (data[step] != data.dtype.type(blank)))[cells]
    return DenseBlock(
        old.pixel_ids[present],
        old.dates,
        {n: v[:, present] for n, v in old.values.items()},
        {n: None if v is None else v[:, present] for n, v in old.valid.items()},
    )


def _union_of_pixels(parts: list[np.ndarray], grid: Grid) -> np.ndarray:
    dtype = grid.pixel_id_type.to_pandas_dtype()
    parts = [p for p in parts if p.size]
    if len(parts) < 2:
        return parts[0].astype(dtype, copy=False) if parts else np.empty(0, dtype)
    low, high = min(int(p[0]) for p in parts), max(int(p[-1]) for p in parts)
    if high - low < _MAP_CELLS:
        there = np.zeros(high - low + 1, bool)
        for part in parts:
            there[part - low] = True
        return (np.flatnonzero(there) + low).astype(dtype)
    return union_of(parts).astype(dtype)


def _positions(pixel_ids: np.ndarray, ids: np.ndarray) -> np.ndarray | slice:
    """Where `ids`, all of which are there, lie in `pixel_ids`; a slice when they are all of them."""
    if ids.size == pixel_ids.size:
        return slice(None)
    return np.searchsorted(pixel_ids, ids)


def _inside(pixel_ids: np.ndarray, window: Window, grid: Grid) -> np.ndarray | slice:
    """Which pixels a window covers; a slice when it covers all."""
    row, col = np.divmod(pixel_ids, grid.n_cols)
    row -= window.row
    col -= window.column
    covered = (row >= 0) & (row < window.height) & (col >= 0) & (col < window.width)
    return slice(None) if covered.all() else covered


# -- sparse -------------------------------------------------------------------------------------------------------------


def normalise_rows(table: pa.Table, granule: Granule, product: Product, grid: Grid | None) -> pa.Table:
    """A reader's rows as the columns of a sparse file, NaN as NULL. Raises BadFile when they cannot be that."""
    schema = sparse_schema(product, grid)
    n = table.num_rows
    columns = []
    for f in schema:
        if f.name == "granule":
            columns.append(pa.array([granule.name], pa.string()).take(pa.array(np.zeros(n, np.int8))))
        elif f.name in table.column_names:
            column = table[f.name]
            if pa.types.is_floating(column.type):
                column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
            try:
                columns.append(column.cast(f.type))
            except pa.ArrowInvalid as error:
                raise BadFile(f"{f.name} is {column.type}, the product says {f.type}") from error
        elif f.name in granule.variables or f.name in dict(sparse_keys(product, grid)):
            raise BadFile(f"its rows have no {f.name}")
        else:
            columns.append(pa.nulls(n, f.type))
    rows = pa.Table.from_arrays(columns, schema=schema)
    if n:
        place = schema.names[0]
        if rows[place].null_count:
            raise BadFile(f"{rows[place].null_count:,} of its {n:,} rows have no {place}")
        if grid is not None:
            low_high = pc.min_max(rows["pixel_id"]).as_py()
            if low_high["min"] < 0 or low_high["max"] >= grid.n_pixels:
                raise BadFile(f"some of its rows are outside grid {grid.grid_id}")
        if granule.dates:
            days = set(pc.unique(rows["obs_date"]).to_pylist())
            if not days <= set(granule.dates):
                raise BadFile("some of its rows have dates that its header does not have")
    return rows


def _stage_sparse(plan: MonthPlan, reason_of, sparse_rows, temporary: Path) -> StagedMonth:
    product, grid = plan.product, plan.grid
    schema = sparse_schema(product, grid)
    tables: dict[str, pa.Table] = {}
    failed: dict[Granule, str] = {}
    for granule in plan.new:
        try:
            tables[granule.name] = sparse_rows(granule, plan.month)
        except Exception as error:
            failed[granule] = reason_of(error)
    included = [g for g in plan.new if g not in failed]
    if (not included and not plan.removed) or not (included or plan.kept):
        return StagedMonth(plan, None, (), failed, {}, np.empty(0, np.int64), 0)
    parts = []
    if plan.kept:
        before = read_sparse_table(plan.old, schema)
        if plan.removed:
            names = pa.array([e.name for e in plan.kept], pa.string())
            before = before.filter(pc.is_in(before["granule"], names))
        parts.append(before)
    while True:
        rows = pa.concat_tables([*parts, *(tables[g.name] for g in included)])
        rows = sort_sparse(rows.combine_chunks(), product, grid)
        losers = _repeated(rows, plan.kept, included, product, grid)
        if not losers:
            break
        failed.update(losers)
        included = [g for g in included if g not in losers]
        if not included and not plan.removed:
            return StagedMonth(plan, None, (), failed, {}, np.empty(0, np.int64), 0)
        if not included and not plan.kept:
            return StagedMonth(plan, None, (), failed, {}, np.empty(0, np.int64), 0)
    entries = (*plan.kept, *(replace(entry_of(g, plan.month), window=None) for g in included))
    provenance = Provenance(product.name, grid.grid_id if grid is not None else None, "sparse", entries)
    _finish(plan, temporary, lambda path: write_sparse(path, rows, provenance))
    pixel_ids = np.empty(0, np.int64)
    if grid is not None and rows.num_rows:
        pixel_ids = union_of([rows["pixel_id"].combine_chunks().to_numpy()])
    rows_of = {g: tables[g.name].num_rows for g in included}
    return StagedMonth(plan, temporary, tuple(included), failed, rows_of, pixel_ids, rows.num_rows)


def _repeated(
    rows: pa.Table, kept: Iterable[Entry], included: Sequence[Granule], product: Product, grid: Grid | None
) -> dict[Granule, str]:
    """Granules that bring a place and time which an earlier granule has, in the same variables, with the reason."""
    if rows.num_rows < 2:
        return {}
    names = rows["granule"].combine_chunks().dictionary_encode()
    code = names.indices.to_numpy()
    same = code[1:] != code[:-1]
    for name, _ in sparse_keys(product, grid):
        if not same.any():
            return {}
        column = rows[name].combine_chunks()
        equal = pc.equal(column[1:], column[:-1])
        both_null = pc.and_(pc.is_null(column[1:]), pc.is_null(column[:-1]))
        same &= pc.or_(pc.fill_null(equal, False), both_null).to_numpy(zero_copy_only=False)
    if not same.any():
        return {}
    at = np.flatnonzero(same)
    spelled = names.dictionary.to_pylist()
    order = {e.name: -1 for e in kept} | {g.name: i for i, g in enumerate(included)}
    granules = {g.name: g for g in included}
    # flags in words belong to the number beside them: temperature and moisture of one place and time are no conflict
    numbers = {v.name for v in product.variables if v.dtype != "string"}
    variables = {e.name: numbers & set(e.variables) for e in kept}
    variables |= {g.name: numbers & set(g.variables) for g in included}
    losers: dict[Granule, str] = {}
    for a, b in np.unique(np.stack([code[at], code[at + 1]], axis=1), axis=0):
        first, later = sorted((spelled[a], spelled[b]), key=order.__getitem__)
        if not variables[first] & variables[later]:
            continue
        if first in granules and granules[first] in losers:
            continue
        n = int(np.count_nonzero((code[at] == a) & (code[at + 1] == b)))
        what = "place and time" if product.time_step != "static" else "place"
        losers[granules[later]] = f"{n:,} of its rows have the same {what} as rows of {first}: which is right?"
    return losers
