"""Regions: polygons of one file as a named set in the lake, and which part of every pixel each of them covers.

Membership is computed once for every set and grid with pixels, and anew only when the regions or the pixels changed.
Regions may nest and overlap; a pixel may be in several, with a fraction of its area in each.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyproj

from loaders.granule import BadFile
from loaders.grids import LONLAT_CRS
from loaders.lake import EMPTY, PIXEL_REGION_SCHEMA, REGION_SCHEMA, Lake, LakeError, said, sweep, write_table
from loaders.month_file import METADATA_KEY
from loaders.nearest import suggestion
from loaders.polygons import area_km2, covered_fractions, rings_of_wkb, to_lonlat, wkb_of_rings
from loaders.spatial import SpatialMissing, spatial_connection

ENDINGS = (".geojson", ".json", ".gpkg", ".shp")
MEMBERSHIP_FORMAT = 1  # a higher number makes every membership be computed again
_SET_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


@dataclass
class RegionReport:
    """What `load_regions` did. `ignored` are the features without a polygon, `repaired` those that were not valid."""

    region_set: str
    path: Path
    n_regions: int
    area_km2: float
    repaired: list[str] = field(default_factory=list)
    ignored: int = 0
    changed: bool = True


def load_regions(
    path: Path | str,
    name: str,
    lake: Lake | Path | str,
    id_column: str | None = None,
    name_column: str | None = None,
    level_column: str | None = None,
    layer: str | None = None,
) -> RegionReport:
    """Register the polygons of a GeoJSON, GeoPackage or Shapefile as the region set `name`, in the place of an earlier one.

    id_column     unique in the file; without it regions are numbered from 1 in the file's order
    name_column   without it a region is called by its id
    level_column  whole numbers that rank nested regions (country 0, province 1, ...); without it 0
    layer         of a GeoPackage with several

    Geometries are repaired, brought to longitude and latitude (EPSG:4326) and kept as MultiPolygon; `area_km2` is the
    true area with edges straight in longitude and latitude. Memberships are brought up to date.
    Raises BadFile about the file, LakeError about the lake, the set's name, or DuckDB's spatial extension.
    """
    path = Path(path)
    lake = lake if isinstance(lake, Lake) else Lake(lake)
    if not _SET_NAME.fullmatch(name) or f"{name}.parquet" == EMPTY:
        raise LakeError(f"region set {name!r}: use lower-case letters and digits, words joined by one _")
    if not path.exists():
        raise BadFile("there is no such file")
    if path.suffix.lower() not in ENDINGS:
        raise BadFile(f"is no {', '.join(ENDINGS)} file")
    try:
        columns, rows, crs = _read(path, layer)
    except SpatialMissing as error:
        raise LakeError(str(error)) from error
    ids = _ids(columns, rows, id_column)
    names = _texts(columns, rows, name_column, "name") if name_column else ids
    levels = _levels(columns, rows, level_column)
    is_lonlat = crs is not None and pyproj.CRS.from_user_input(crs).equals(
        pyproj.CRS.from_user_input(LONLAT_CRS), ignore_axis_order=True
    )
    transformer = None
    report = RegionReport(name, path, 0, 0.0)
    table: list[dict] = []
    for region_id, region_name, level, row in zip(ids, names, levels, rows, strict=True):
        polygons = rings_of_wkb(row.wkb) if row.wkb is not None else []
        if not polygons:
            report.ignored += 1
            continue
        if row.was_invalid:
            report.repaired.append(region_id)
        if not is_lonlat:
            if crs is None:
                raise BadFile("carries no projection (a Shapefile's is in the .prj file beside it)")
            transformer = transformer or pyproj.Transformer.from_crs(crs, LONLAT_CRS, always_xy=True)
            polygons = [[to_lonlat(ring, transformer) for ring in rings] for rings in polygons]
        _check_places(polygons, region_id, path)
        area = area_km2(polygons)
        table.append(
            {
                "region_set": name,
                "region_id": region_id,
                "name": region_name,
                "level": level,
                "area_km2": area,
                "geometry_wkb": wkb_of_rings(polygons),
            }
        )
        report.area_km2 += area
    if not table:
        kinds = sorted({row.kind.lower() for row in rows if row.kind})
        what = f"its {len(rows):,} features are {', '.join(kinds) or 'empty'}" if rows else "it has no features"
        raise BadFile(f"has no polygons: {what}")
    report.n_regions = len(table)
    lake.init()
    metadata = {METADATA_KEY: json.dumps({"format": 1, "region_set": name, "source": path.name}, sort_keys=True)}
    regions = pa.Table.from_pylist(table, schema=REGION_SCHEMA).replace_schema_metadata(metadata)
    try:
        with lake.lock_shared("regions"):
            report.changed = write_table(regions, lake.region_path(name))
        refresh_membership(lake)
    except OSError as error:
        raise LakeError(f"the lake {lake.root} cannot be written: {said(error)}") from error
    return report


# -- reading ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Feature:
    attributes: dict
    wkb: bytes | None
    kind: str | None
    was_invalid: bool


def _read(path: Path, layer: str | None) -> tuple[list[str], list[_Feature], str | None]:
    """(attribute columns, features, CRS or None). Raises BadFile."""
    with spatial_connection() as connection:
        # ST_Read_Meta crashes the process on what GDAL cannot open: ST_Read goes first.
        source = "ST_Read($path)"
        try:
            described = connection.execute(f"describe select * from {source}", {"path": str(path)}).fetchall()
            meta = connection.execute("select layers from ST_Read_Meta($path)", {"path": str(path)}).fetchone()[0]
        except duckdb.Error as error:
            if path.stat().st_size == 0:
                raise BadFile("is empty") from error
            if path.suffix.lower() == ".shp" and (missing := _missing_parts(path)):
                raise BadFile(f"lacks {' and '.join(missing)}, which belong to a Shapefile") from error
            raise BadFile(f"cannot be read as polygons: {_words(error, path)}") from error
        layers = [m["name"] for m in meta]
        if layer is not None and layer not in layers:
            raise BadFile(f"has no layer {layer!r}. {suggestion(layer, layers)}")
        if layer is None and len(layers) > 1:
            raise BadFile(f"has {len(layers)} layers ({', '.join(layers)}): say which")
        layer = layer or layers[0]
        parameters = {"path": str(path), "layer": layer}
        if len(layers) > 1:
            source = "ST_Read($path, layer := $layer)"
            described = connection.execute(f"describe select * from {source}", parameters).fetchall()
        else:
            parameters = {"path": str(path)}
        geometry = [column for column, kind, *_ in described if kind.startswith("GEOMETRY")]
        if not geometry:
            raise BadFile("has no polygons: it is a table without geometry")
        shape = '"' + geometry[0].replace('"', '""') + '"'
        attributes = [column for column, *_ in described if column not in geometry]
        quoted = "".join(', "' + column.replace('"', '""') + '"' for column in attributes)
        try:
            rows = connection.execute(
                f"""select ST_AsWKB(ST_CollectionExtract(ST_MakeValid(ST_Force2D({shape})), 3)),
                           ST_GeometryType({shape})::varchar, ST_IsValid({shape}) {quoted}
                    from {source}""",
                parameters,
            ).fetchall()
        except duckdb.Error as error:
            raise BadFile(f"cannot be read to the end: {_words(error, path)}") from error
    fields = next(m for m in meta if m["name"] == layer)["geometry_fields"]
    features = [_Feature(dict(zip(attributes, row[3:], strict=True)), row[0], row[1], row[2] is False) for row in rows]
    return attributes, features, _crs_of(fields[0].get("crs") if fields else None)


def _crs_of(crs: dict | None) -> str | None:
    if not crs:
        return None
    if crs.get("auth_name") and crs.get("auth_code"):
        try:
            text = f"{crs['auth_name']}:{crs['auth_code']}"
            pyproj.CRS.from_user_input(text)
            return text
        except pyproj.exceptions.CRSError:
            pass
    return crs.get("wkt") or None


def _missing_parts(path: Path) -> list[str]:
    beside = {p.suffix.lower() for p in path.parent.glob(f"{path.stem}.*")}
    return [ending for ending in (".shx", ".dbf") if ending not in beside]


def _words(error: Exception, path: Path) -> str:
    text = re.sub(r"^\w[\w ]* Error: ", "", " ".join(str(error).split()))
    text = text.replace(str(path.parent) + "/", "")
    return "it is damaged, or not what its name says" if "GDAL dataset" in text else text[:200]


def _column(columns: Sequence[str], asked: str) -> str:
    if asked in columns:
        return asked
    same = [c for c in columns if c.lower() == asked.lower()]
    if len(same) == 1:
        return same[0]
    raise BadFile(f"has no column {asked!r}. {suggestion(asked, columns)}")


def _texts(columns: Sequence[str], rows: Sequence[_Feature], column: str, what: str) -> list[str]:
    column = _column(columns, column)
    values = [row.attributes[column] for row in rows]
    texts = []
    for number, value in enumerate(values, start=1):
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        text = "" if value is None else " ".join(str(value).split())
        if not text and what == "id" and rows[number - 1].wkb is not None:
            raise BadFile(f"feature {number} has nothing in column {column!r}")
        texts.append(text or str(number))
    return texts


def _ids(columns: Sequence[str], rows: Sequence[_Feature], column: str | None) -> list[str]:
    if column is None:
        return [str(n) for n in range(1, len(rows) + 1)]
    ids = _texts(columns, rows, column, "id")
    seen: dict[str, int] = {}
    for number, region_id in enumerate(ids, start=1):
        if region_id in seen:
            raise BadFile(
                f"column {column!r} says {region_id!r} for features {seen[region_id]} and {number}: "
                "choose a column with one value a region"
            )
        seen[region_id] = number
    return ids


def _levels(columns: Sequence[str], rows: Sequence[_Feature], column: str | None) -> list[int]:
    if column is None:
        return [0] * len(rows)
    column = _column(columns, column)
    levels = []
    for number, row in enumerate(rows, start=1):
        value = row.attributes[column]
        try:
            level = int(value)
            if level != float(value) or abs(level) > 1_000_000:
                raise ValueError
        except (TypeError, ValueError):
            raise BadFile(f"column {column!r} of feature {number} is {value!r}, not a whole number") from None
        levels.append(level)
    return levels


def _check_places(polygons: Sequence, region_id: str, path: Path) -> None:
    for rings in polygons:
        for ring in rings:
            if not np.isfinite(ring).all() or np.abs(ring[:, 1]).max() > 90 + 1e-9 or np.abs(ring[:, 0]).max() > 540:
                raise BadFile(
                    f"region {region_id} has places that are no longitude and latitude: is its projection right?"
                )


# -- membership ---------------------------------------------------------------------------------------------------------


def region_sets(lake: Lake) -> list[str]:
    """The sets registered in a lake, ascending."""
    folder = lake.root / "regions" / "region"
    return sorted(p.stem for p in folder.glob("[!._]*.parquet") if p.name != EMPTY)


def refresh_membership(lake: Lake, grids: Iterable[str] | None = None) -> list[tuple[str, str]]:
    """Bring regions/pixel_region up to date; the (set, grid_id) that were computed.

    Every set is laid over every grid that has pixels (`grids`: only those); memberships of sets or grids that are gone
    are removed. Raises LakeError when a file of regions or pixels is damaged.
    """
    folder = lake.root / "grids" / "pixels"
    with_pixels = sorted(p.stem for p in folder.glob("[!._]*.parquet") if p.name != EMPTY)
    sets = region_sets(lake)
    if not sets and not any(_memberships(lake)):
        return []
    computed = []
    with lake.lock_shared("regions"):
        for part in ("region", "pixel_region"):
            sweep(lake.root / "regions" / part)
        wanted = {lake.pixel_region_path(s, g) for s in sets for g in with_pixels}
        for path in _memberships(lake):
            if path not in wanted:
                path.unlink(missing_ok=True)
        asked = [g for g in with_pixels if grids is None or g in set(grids)]
        digests = {path: _digest(path) for path in (*map(lake.region_path, sets), *map(lake.pixels_path, asked))}
        for grid_id in asked:
            pixel_ids = None
            for region_set in sets:
                made_of = {
                    "format": MEMBERSHIP_FORMAT,
                    "regions": digests[lake.region_path(region_set)],
                    "pixels": digests[lake.pixels_path(grid_id)],
                }
                path = lake.pixel_region_path(region_set, grid_id)
                if _made_of(path) == made_of:
                    continue
                if pixel_ids is None:
                    pixel_ids = _table(lake.pixels_path(grid_id), ["pixel_id"])["pixel_id"].to_numpy()
                table = membership(lake, region_set, grid_id, pixel_ids)
                text = json.dumps(made_of, sort_keys=True)
                write_table(table.replace_schema_metadata({METADATA_KEY: text}), path)
                computed.append((region_set, grid_id))
    return computed


def membership(lake: Lake, region_set: str, grid_id: str, pixel_ids: np.ndarray) -> pa.Table:
    """`PIXEL_REGION_SCHEMA` rows of one set on one grid, by region in the set's order, then pixel."""
    grid = lake.grid(grid_id)
    regions = _table(lake.region_path(region_set), ["region_id", "geometry_wkb"])
    parts = []
    for region_id, wkb in zip(regions["region_id"].to_pylist(), regions["geometry_wkb"].to_pylist(), strict=True):
        try:
            ids, fraction = covered_fractions(rings_of_wkb(wkb), grid, pixel_ids)
        except ValueError as error:
            raise LakeError(f"region {region_id} of set {region_set} on grid {grid_id}: {error}") from error
        zeros = pa.array(np.zeros(ids.size, np.int8))
        parts.append(
            pa.table(
                {
                    "region_set": pa.array([region_set]).take(zeros),
                    "region_id": pa.array([region_id]).take(zeros),
                    "grid_id": pa.array([grid_id]).take(zeros),
                    "pixel_id": pa.array(ids, pa.int64()),
                    "fraction": pa.array(fraction, pa.float64()),
                },
                schema=PIXEL_REGION_SCHEMA,
            )
        )
    return pa.concat_tables(parts).combine_chunks() if parts else PIXEL_REGION_SCHEMA.empty_table()


def _memberships(lake: Lake) -> list[Path]:
    folder = lake.root / "regions" / "pixel_region"
    return [p for p in folder.glob("[!._]*.parquet") if p.name != EMPTY]


def _table(path: Path, columns: list[str]) -> pa.Table:
    try:
        return pq.read_table(path, columns=columns, partitioning=None)
    except (OSError, pa.ArrowException) as error:
        raise LakeError(f"{path} is damaged ({said(error)}): remove it and load again") from error


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _made_of(path: Path) -> dict | None:
    try:
        return json.loads((pq.read_metadata(path).metadata or {})[METADATA_KEY.encode()])
    except (OSError, KeyError, ValueError, pa.ArrowException):
        return None
