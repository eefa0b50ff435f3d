"""The lake: a folder of Parquet files, how its files are named, locked and written.

Every write is made beside its target under a name beginning with `.` (invisible to both engines), brought to the disk and
renamed: whatever happens, a reader finds the old file or the new one. The table of folders is in docs/architecture.md.
"""

from __future__ import annotations

import filecmp
import os
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

try:
    import fcntl
except ImportError:  # pragma: no cover  (no advisory locks on this system)
    fcntl = None

from loaders.grids import Grid, find_grid, register_grid, registered_grids

STATIC = None  # the "month" of a product without dates


class LakeError(Exception):
    """The lake itself cannot be used as asked; the message says what to do, in the user's words."""


PIXEL_SCHEMA = pa.schema(
    [
        ("grid_id", pa.string()),
        ("pixel_id", pa.int64()),
        ("row_index", pa.int32()),
        ("col_index", pa.int32()),
        ("lon", pa.float64()),
        ("lat", pa.float64()),
        ("x_m", pa.float64()),
        ("y_m", pa.float64()),
        ("area_km2", pa.float64()),
    ]
)
REGION_SCHEMA = pa.schema(
    [
        ("region_set", pa.string()),
        ("region_id", pa.string()),
        ("name", pa.string()),
        ("level", pa.int32()),
        ("area_km2", pa.float64()),
        ("geometry_wkb", pa.binary()),
    ]
)
PIXEL_REGION_SCHEMA = pa.schema(
    [
        ("region_set", pa.string()),
        ("region_id", pa.string()),
        ("grid_id", pa.string()),
        ("pixel_id", pa.int64()),
        ("fraction", pa.float64()),
    ]
)
WEIGHT_SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("source_grid_id", "target_grid_id", "method")),
        ("source_pixel_id", pa.int64()),
        ("target_pixel_id", pa.int64()),
        ("weight", pa.float64()),
        ("overlap_km2", pa.float64()),
    ]
)
STATION_SCHEMA = pa.schema(
    [
        ("product", pa.string()),
        ("station_id", pa.string()),
        ("network", pa.string()),
        ("name", pa.string()),
        ("lon", pa.float64()),
        ("lat", pa.float64()),
        ("elevation_m", pa.float64()),
        ("land_cover", pa.string()),
        ("method", pa.string()),
    ]
)
PRODUCT_SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("product", "title", "format", "grid_id", "time_step", "kind")),
        ("source", pa.string()),
        ("citation", pa.string()),
        ("verified", pa.bool_()),
        ("shares_input_with", pa.string()),
    ]
)
VARIABLE_SCHEMA = pa.schema([(name, pa.string()) for name in ("product", "variable", "layer", "unit", "description")])
COLUMN_SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("product", "column_name", "dtype")),
        ("fill_value", pa.float64()),
        *((name, pa.string()) for name in ("unit", "description")),
    ]
)
GRANULE_SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("product", "granule", "granule_key", "version", "sha256")),
        ("first_date", pa.date32()),
        ("last_date", pa.date32()),
        ("n_months", pa.int32()),
    ]
)

# Folders that models read by a glob: each holds a typed file without rows, so that the glob is never empty.
READ_FOLDERS: dict[str, pa.Schema] = {
    "grids/pixels": PIXEL_SCHEMA,
    "regions/region": REGION_SCHEMA,
    "regions/pixel_region": PIXEL_REGION_SCHEMA,
    "weights": WEIGHT_SCHEMA,
    "stations": STATION_SCHEMA,
    "catalog/products": PRODUCT_SCHEMA,
    "catalog/variables": VARIABLE_SCHEMA,
    "catalog/columns": COLUMN_SCHEMA,
    "catalog/granules": GRANULE_SCHEMA,
}
EMPTY = "empty.parquet"


@dataclass(frozen=True)
class Lake:
    """A lake at `root`. Making the object touches nothing; `init` makes the folders."""

    root: Path

    def __init__(self, root: Path | str) -> None:
        object.__setattr__(self, "root", Path(root))

    def init(self) -> Lake:
        """Make the folders and their typed empty files; what is there stays. Raises LakeError when that is impossible."""
        try:
            for folder, schema in READ_FOLDERS.items():
                path = self.root / folder / EMPTY
                if not path.exists() or pq.read_schema(path) != schema:
                    write_table(schema.empty_table(), path)
            for folder in ("raw", "grids/definitions", "catalog/definitions"):
                (self.root / folder).mkdir(parents=True, exist_ok=True)
        except (OSError, pa.ArrowException) as error:
            raise LakeError(f"the lake {self.root} cannot be written: {said(error)}") from error
        return self

    # -- raw --------------------------------------------------------------------------------------------------------

    def raw(self, product: str) -> Path:
        return self.root / "raw" / product

    def month_path(self, product: str, month: date | None) -> Path:
        """The file of a product and month (any day of it), or of a product without dates (None)."""
        if month is STATIC:
            return self.raw(product) / "static" / f"{product}.parquet"
        return self.raw(product) / f"year={month:%Y}" / f"month={month:%m}" / f"{product}_{month:%Y}-{month:%m}.parquet"

    def month_files(self, product: str) -> dict[date | None, Path]:
        """The product's files by month (the first of it; None is the static file), ascending.

        Raises LakeError for a file in the product's folders that no load has written.
        """
        found: dict[date | None, Path] = {}
        for path in sorted(self.raw(product).glob("year=*/month=*/[!._]*.parquet")):
            try:
                month = date(
                    int(path.parent.parent.name.removeprefix("year=")), int(path.parent.name.removeprefix("month=")), 1
                )
            except ValueError:
                month = None
            if month is None or path != self.month_path(product, month):
                raise LakeError(f"{path} was not written by a load: move it out of the lake")
            found[month] = path
        static = self.month_path(product, STATIC)
        if static.exists():
            found[STATIC] = static
        return found

    def products(self) -> list[str]:
        """The products that have a folder in raw/, ascending."""
        return sorted(p.name for p in (self.root / "raw").glob("[!._]*") if p.is_dir())

    # -- the rest ---------------------------------------------------------------------------------------------------

    def pixels_path(self, grid_id: str) -> Path:
        return self.root / "grids" / "pixels" / f"{grid_id}.parquet"

    def region_path(self, region_set: str) -> Path:
        return self.root / "regions" / "region" / f"{region_set}.parquet"

    def pixel_region_path(self, region_set: str, grid_id: str) -> Path:
        return self.root / "regions" / "pixel_region" / f"{region_set}__{grid_id}.parquet"

    def weights_path(self, source: str, target: str, method: str = "nearest") -> Path:
        return self.root / "weights" / f"{source}__{target}__{method}.parquet"

    def stations_path(self, product: str) -> Path:
        return self.root / "stations" / f"{product}.parquet"

    def catalog_path(self, table: str, product: str) -> Path:
        """`table` is products, variables or granules."""
        return self.root / "catalog" / table / f"{product}.parquet"

    def definition_path(self, product: str) -> Path:
        return self.root / "catalog" / "definitions" / f"{product}.yml"

    def grid(self, grid_id: str) -> Grid:
        """The grid of that name, from the registry or this lake. Raises LookupError with the nearest names."""
        return find_grid(self, grid_id)

    def register_grid(self, grid: Grid) -> Grid:
        """Keep a grid in this lake; see `loaders.grids.register_grid`."""
        with self.lock_shared("grids"):
            return register_grid(self, grid)

    def registered_grids(self) -> dict[str, Grid]:
        return registered_grids(self)

    # -- locks ------------------------------------------------------------------------------------------------------

    @contextmanager
    def lock_product(self, product: str) -> Iterator[None]:
        """One load a product at a time. Raises LakeError at once when another process holds it."""
        with _locked(self.raw(product) / ".lock", f"another load of {product} into {self.root} is running", wait=False):
            yield

    @contextmanager
    def lock_shared(self, what: str) -> Iterator[None]:
        """Wait for the right to rewrite what several products share: `grids`, `regions`, `weights`."""
        with _locked(self.root / what / ".lock", f"{self.root / what} is being written", wait=True):
            yield


@contextmanager
def _locked(path: Path, busy: str, wait: bool) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if fcntl is not None:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                holder = os.pread(descriptor, 32, 0).decode("ascii", "ignore").strip()
                by = f" (process {holder})" if holder.isdigit() else ""
                raise LakeError(f"{busy}{by}: try again when it has ended") from None
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)  # gives the lock back, also when the process is killed


# -- writing ------------------------------------------------------------------------------------------------------------


def said(error: BaseException) -> str:
    """What an exception says, in one line without its file names: the operating system's own words where there are any."""
    text = " ".join(str(error).split())
    if isinstance(error, OSError):
        text = os.strerror(number) if (number := errno_of(error)) else error.strerror or text
    return text or type(error).__name__


def errno_of(error: OSError) -> int | None:
    """The operating system's error number; Arrow has it in its words only."""
    if error.errno is not None:
        return error.errno
    found = re.search(r"\[errno (\d+)\]", str(error))
    return int(found.group(1)) if found else None


def temporary_beside(path: Path) -> Path:
    """The hidden name under which `path` is prepared."""
    return path.parent / f".{path.name}.tmp-{os.getpid()}-{threading.get_ident()}"


def sync_file(path: Path) -> None:
    """Bring a file's bytes, or a folder's names, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sweep(folder: Path, name: str = "*") -> None:
    """Remove what a killed process left beside the files `name` of a folder; the caller holds the lock of its writers."""
    for left in folder.glob(f".{name}.tmp-*"):
        if not left.name.startswith(f".{EMPTY}"):  # these are made by anybody, without a lock
            left.unlink(missing_ok=True)


def write_atomically(path: Path, write: Callable[[Path], None]) -> bool:
    """Let `write` fill a hidden file, then put it in the place of `path`; False when the bytes are already there.

    On any failure the old file stays and nothing is left beside it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_beside(path)
    try:
        write(temporary)
        if path.exists() and filecmp.cmp(temporary, path, shallow=False):
            return False
        sync_file(temporary)
        temporary.replace(path)
        sync_file(path.parent)
        return True
    finally:
        temporary.unlink(missing_ok=True)


def write_table(table: pa.Table, path: Path) -> bool:
    """A small table as one Parquet file, atomically; its schema metadata goes into the file. True when bytes changed."""
    metadata = table.schema.metadata or {}
    plain = table.replace_schema_metadata(None)
    return write_tables(plain.schema, [plain], path, {k.decode(): v.decode() for k, v in metadata.items()})


def write_tables(schema: pa.Schema, tables: Iterable[pa.Table], path: Path, metadata: Mapping[str, str]) -> bool:
    """Tables of one schema as one Parquet file, one after the other, so that only one is in memory; as `write_table`."""

    def write(temporary: Path) -> None:
        with pq.ParquetWriter(temporary, schema, store_schema=False, **encodings(schema)) as writer:
            for table in tables:
                writer.write_table(table, row_group_size=ROW_GROUP)
            writer.add_key_value_metadata(dict(metadata))

    return write_atomically(path, write)


ROW_GROUP = 122_880  # rows; DuckDB's own size, one thread's portion


def encodings(schema: pa.Schema) -> dict:
    """The lake's Parquet settings for a schema: zstd 1, delta integers and dates, split floats, dictionary for text only."""
    column_encoding, dictionary = {}, []
    for field in schema:
        if pa.types.is_integer(field.type) or pa.types.is_date32(field.type) or pa.types.is_timestamp(field.type):
            column_encoding[field.name] = "DELTA_BINARY_PACKED"
        elif pa.types.is_float32(field.type) or pa.types.is_float64(field.type):
            column_encoding[field.name] = "BYTE_STREAM_SPLIT"
        elif pa.types.is_string(field.type):
            dictionary.append(field.name)
    return {
        "compression": "zstd",
        "compression_level": 1,
        "use_dictionary": dictionary or False,
        "column_encoding": column_encoding or None,
    }
