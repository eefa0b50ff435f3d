"""HDF4-EOS files as NASA writes them, made with pyhdf and string formatting: independent of the reader."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from pyhdf.SD import SD, SDC

RADIUS = 6371007.181
TILE = 2 * math.pi * RADIUS / 36
_TYPES = {
    "int8": SDC.INT8, "uint8": SDC.UINT8, "int16": SDC.INT16, "uint16": SDC.UINT16, "int32": SDC.INT32,
    "uint32": SDC.UINT32, "float32": SDC.FLOAT32, "float64": SDC.FLOAT64,
}  # fmt: skip


@dataclass
class Layer:
    """One dataset: its values (rows, columns), fill and further attributes; `grid` when it is not the file's first."""

    values: np.ndarray
    fill: float | None = None
    attributes: Mapping[str, object] = field(default_factory=dict)
    grid: str | None = None


@dataclass
class Extent:
    """One grid of a file: outer corners as the metadata writes them, its size, projection and origin."""

    name: str
    upper_left: tuple[float, float]
    lower_right: tuple[float, float]
    rows: int
    columns: int
    projection: str = "GCTP_SNSOID"
    origin: str | None = None

    def text(self, number: int) -> str:
        parameters = (
            "" if self.projection == "GCTP_GEO" else "\t\tProjParams=(6371007.181000,0,0,0,0,0,0,0,0,0,0,0,0)\n"
        )
        return (
            f'\tGROUP=GRID_{number}\n\t\tGridName="{self.name}"\n\t\tXDim={self.columns}\n\t\tYDim={self.rows}\n'
            f"\t\tUpperLeftPointMtrs=({self.upper_left[0]:.6f},{self.upper_left[1]:.6f})\n"
            f"\t\tLowerRightMtrs=({self.lower_right[0]:.6f},{self.lower_right[1]:.6f})\n"
            f"\t\tProjection={self.projection}\n{parameters}\t\tSphereCode=-1\n"
            + (f"\t\tGridOrigin={self.origin}\n" if self.origin else "")
            + f"\t\tGROUP=Dimension\n\t\tEND_GROUP=Dimension\n\tEND_GROUP=GRID_{number}\n"
        )


def tile_extent(tile: str, cells: int, name: str = "MODIS_Grid", rows=None, columns=None) -> Extent:
    """A tile of `cells` x `cells`, or the part of it in the slices `rows`, `columns`."""
    h, v = int(tile[1:3]), int(tile[4:6])
    rows, columns = rows or slice(0, cells), columns or slice(0, cells)
    left, top, cell = -18 * TILE + h * TILE, 9 * TILE - v * TILE, TILE / cells
    return Extent(
        name,
        (left + columns.start * cell, top - rows.start * cell),
        (left + columns.stop * cell, top - rows.stop * cell),
        rows.stop - rows.start,
        columns.stop - columns.start,
    )


def core_metadata(**values: object) -> str:
    """ECS inventory metadata in ODL, an object a keyword."""
    objects = "".join(
        f'    OBJECT                 = {name}\n      NUM_VAL              = 1\n      VALUE                = "{value}"\n'
        f"    END_OBJECT             = {name}\n\n"
        for name, value in values.items()
    )
    return f"\nGROUP                  = INVENTORYMETADATA\n  GROUPTYPE            = MASTERGROUP\n\n{objects}END\n"


def write_hdf(
    path: Path,
    layers: Mapping[str, Layer],
    *extents: Extent,
    core: str | None = None,
    struct: str | None = None,
) -> Path:
    """An HDF4-EOS file of these layers on these grids; `struct` replaces the structural metadata."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sd = SD(str(path), SDC.WRITE | SDC.CREATE | SDC.TRUNC)
    text = "GROUP=SwathStructure\nEND_GROUP=SwathStructure\nGROUP=GridStructure\n"
    text += "".join(e.text(i) for i, e in enumerate(extents, start=1))
    text += "END_GROUP=GridStructure\nGROUP=PointStructure\nEND_GROUP=PointStructure\nEND\n"
    sd.attr("HDFEOSVersion").set(SDC.CHAR, "HDFEOS_V2.19")
    sd.attr("StructMetadata.0").set(SDC.CHAR, struct if struct is not None else text)
    if core is not None:
        sd.attr("CoreMetadata.0").set(SDC.CHAR, core)
    for name, layer in layers.items():
        kind = _TYPES[layer.values.dtype.name]
        dataset = sd.create(name, kind, layer.values.shape)
        grid = layer.grid or (extents[0].name if extents else "none")
        for i, axis in enumerate(("YDim", "XDim", "Num")[: layer.values.ndim]):
            dataset.dim(i).setname(f"{axis}:{grid}")
        if layer.fill is not None:
            dataset.attr("_FillValue").set(kind, layer.fill)
        for key, value in layer.attributes.items():
            dataset.attr(key).set(SDC.CHAR if isinstance(value, str) else SDC.FLOAT64, value)
        if layer.values.size > 10_000:
            dataset.setcompress(SDC.COMP_DEFLATE, 1)
        dataset[:] = layer.values
        dataset.endaccess()
    sd.end()
    return path


def lonlat(extent: Extent) -> tuple[np.ndarray, np.ndarray]:
    """Longitude and latitude of every cell centre, by the formula of the sinusoidal projection."""
    (left, top), (right, bottom) = extent.upper_left, extent.lower_right
    x = left + (np.arange(extent.columns) + 0.5) * (right - left) / extent.columns
    y = top - (np.arange(extent.rows) + 0.5) * (top - bottom) / extent.rows
    lat = y / RADIUS
    lon = x[None, :] / (RADIUS * np.cos(lat[:, None]))
    return np.degrees(lon), np.broadcast_to(np.degrees(lat)[:, None], lon.shape)
