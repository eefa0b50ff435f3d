"""What a study needs of the lake's grids before dbt runs: the pixels of the grids it brings series to, and weights between grids."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq

from loaders.lake import Lake, LakeError
from loaders.polygons import rings_of_wkb
from loaders.weights import ensure_pixels, ensure_weights, refresh_weights
from soilhouse.errors import UserError
from soilhouse.study import Study

Box = tuple[float, float, float, float]
"""West, south, east, north, degrees."""


def ensure_grids_and_weights(study: Study, folder: Path) -> None:
    """Put the pixels of the study's target grids and the weights that its models join with into the lake, where they are missing.

    A grid that no product delivers gets the pixels of the study's region. Raises UserError when they cannot be made.
    """
    lake = Lake(folder).init()
    try:
        if sum(ensure_pixels(lake, grid_id, _box(study, lake, grid_id)) for grid_id in target_grids(study)):
            refresh_weights(lake)  # a grid that is new has no nearest neighbours yet
        ensure_weights(lake, sorted(weights_needed(study, lake)))
    except (LakeError, LookupError) as error:
        raise UserError(f"The weights between the grids of {folder} cannot be made: {error}.") from None


def target_grids(study: Study) -> list[str]:
    """The grids that series are brought to, each once, in the study's order."""
    named = [series.prepare.grid for series in study.series if series.prepare is not None and series.prepare.grid]
    if study.downscaling.frameworks and study.downscaling.grid:
        named.append(study.downscaling.grid)
    return list(dict.fromkeys(named))


def weights_needed(study: Study, lake: Lake) -> set[tuple[str, str, str]]:
    """(source grid_id, target grid_id, method) of everything that the study regrids. Products that are not in the lake have none."""
    return {triple for triple in _wanted(study, lake) if triple[0] != triple[1]}


def _wanted(study: Study, lake: Lake) -> Iterator[tuple[str, str, str]]:
    grid_of = _grids_of_products(lake)
    series_grids, moisture_grids = set(target_grids(study)), set()
    for series in study.series:
        source = grid_of.get(series.product)
        if source is None:
            continue
        target = series.prepare.grid if series.prepare is not None and series.prepare.grid else source
        series_grids.add(target)
        if series.variable == "soil_moisture":
            moisture_grids |= {source, target}
        if series.prepare is not None and series.prepare.grid:
            yield source, target, series.prepare.regrid or study.preparation.regrid
    for factor in study.factors:
        source = grid_of.get(factor.product) if factor.column is not None else None
        if source is not None:
            for target in series_grids:
                yield source, target, factor.regrid or study.preparation.factor_regrid
    if study.masks.water is not None and study.masks.water.product in grid_of:
        for target in moisture_grids:
            yield grid_of[study.masks.water.product], target, "area_mean"
    if study.masks.frozen is not None and study.masks.frozen.product in grid_of:
        for target in moisture_grids:
            yield grid_of[study.masks.frozen.product], target, "nearest"


def _grids_of_products(lake: Lake) -> dict[str, str]:
    found = {}
    for path in (lake.root / "catalog" / "products").glob("[!._]*.parquet"):
        rows = pq.read_table(path, columns=["product", "grid_id"])
        found.update(zip(rows["product"].to_pylist(), rows["grid_id"].to_pylist(), strict=True))
    return found


def _box(study: Study, lake: Lake, grid_id: str) -> Box:
    """The box around the study's region; without a region the grid must be one of the study's own, and is taken whole."""
    region = study.region
    if region.bbox is not None:
        return tuple(region.bbox)
    if region.set is not None:
        rows = pq.read_table(lake.region_path(region.set), columns=["region_id", "geometry_wkb"]).to_pylist()
        points = [
            point
            for row in rows
            if region.ids is None or row["region_id"] in region.ids
            for polygon in rings_of_wkb(row["geometry_wkb"])
            for ring in polygon
            for point in ring
        ]
        lon, lat = ([float(point[axis]) for point in points] for axis in (0, 1))
        # a pixel belongs to a region by its area, and its centre may lie outside
        margin = 0.5
        return min(lon) - margin, max(min(lat) - margin, -90.0), max(lon) + margin, min(max(lat) + margin, 90.0)
    if grid_id not in {grid.name for grid in study.grids}:
        raise LakeError(f"no product is loaded on grid {grid_id}, and the study has no region: name one (bbox or set)")
    return -180.0, -90.0, 180.0, 90.0
