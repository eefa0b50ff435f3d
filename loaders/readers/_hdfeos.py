"""What HDF-EOS2 files say of themselves in text: the grids in `StructMetadata`, name and dates in `CoreMetadata`.

Source: HDF-EOS Library Users Guide, volume 1, grid API (GDdeforigin, GDdefproj); EOSDIS core metadata (ODL).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from loaders.granule import BadFile
from loaders.grids import LONLAT_CRS, SINUSOIDAL_CRS
from loaders.readers._dates import parse_date
from loaders.readers._placement import Axis

_MODIS_RADIUS = 6371007.181
TILE = 1111950.5196667  # metres: 36 x 18 tiles cover the sinusoidal world
_LEFT, _TOP = -20015109.354, 10007554.677


@dataclass(frozen=True)
class EosGrid:
    """One grid of a file: its name, its axes of cell centres in the file's own order, its projection (for pyproj)."""

    name: str
    x: Axis
    y: Axis
    crs: str

    @property
    def tile(self) -> str:
        """The MODIS tile, `h18v09`, in which the middle of the north-western cell lies; empty in other projections."""
        if self.crs != SINUSOIDAL_CRS:
            return ""
        west = min(self.x.first, self.x.first + self.x.step * (self.x.n - 1))
        north = max(self.y.first, self.y.first + self.y.step * (self.y.n - 1))
        return f"h{int((west - _LEFT) // TILE):02d}v{int((_TOP - north) // TILE):02d}"


def grids_of(struct_metadata: str) -> dict[str, EosGrid]:
    """The grids that a file's StructMetadata describes, by name, in its order.

    Extent and size are what is written there (`UpperLeftPointMtrs`, `LowerRightMtrs`, `XDim`, `YDim`), never what the tile
    in the file's name would have: subsets keep that name. Raises BadFile when a grid's description cannot be used.
    """
    grids = {}
    for block in re.findall(r"GROUP=GRID_\d+\s(.*?)END_GROUP=GRID_\d+", struct_metadata, re.DOTALL):
        grid = _grid(block)
        grids[grid.name] = grid
    return grids


def _grid(block: str) -> EosGrid:
    def text(key: str, default: str | None = None) -> str:
        found = re.search(rf"^\s*{key}=(.*?)\s*$", block, re.MULTILINE)
        if found is None and default is None:
            raise BadFile(f"its grid has no {key} in StructMetadata: it is no complete HDF-EOS file")
        return found[1].strip('"') if found else default

    def numbers(key: str) -> list[float]:
        try:
            return [float(part) for part in text(key).strip("()").split(",")]
        except ValueError as error:
            raise BadFile(f"its grid's {key} is {text(key)!r}, which are no numbers") from error

    name, projection = text("GridName"), text("Projection")
    (left, top), (right, bottom) = numbers("UpperLeftPointMtrs"), numbers("LowerRightMtrs")
    n_x, n_y = int(numbers("XDim")[0]), int(numbers("YDim")[0])
    if projection == "GCTP_GEO":
        left, top, right, bottom = (_degrees(v) for v in (left, top, right, bottom))
        crs = LONLAT_CRS
    elif projection == "GCTP_SNSOID":
        radius, meridian = numbers("ProjParams")[0], _degrees(numbers("ProjParams")[4])
        is_modis = abs(radius - _MODIS_RADIUS) < 1e-3 and meridian == 0
        crs = SINUSOIDAL_CRS if is_modis else f"+proj=sinu +lon_0={meridian} +R={radius} +units=m +no_defs"
    else:
        raise BadFile(f"its grid is in the projection {projection}; sinusoidal and geographic grids are read")
    if n_x < 1 or n_y < 1 or left == right or top == bottom:
        raise BadFile(f"its grid {name} has no extent ({n_x} x {n_y} cells)")
    width, height = (right - left) / n_x, (top - bottom) / n_y
    origin = text("GridOrigin", "HDFE_GD_UL")  # where the first value lies
    x = Axis(left + width / 2, width, n_x) if origin.endswith("L") else Axis(right - width / 2, -width, n_x)
    y = Axis(top - height / 2, -height, n_y) if "_U" in origin else Axis(bottom + height / 2, height, n_y)
    return EosGrid(name, x, y, crs)


def _degrees(packed: float) -> float:
    """GCTP's packed degrees, minutes, seconds (DDDMMMSSS.SS) as degrees."""
    whole, sign = abs(packed), -1.0 if packed < 0 else 1.0
    return sign * (whole // 1e6 + whole % 1e6 // 1e3 / 60 + whole % 1e3 / 3600)


def delivered_name(core_metadata: str, tile: str) -> str | None:
    """The name under which a file was delivered, from its CoreMetadata; None when that says too little.

    It is `LOCALGRANULEID`; where a tool dropped that, it is put together from the product's short name, the first day
    observed, the tile, collection and production time. Not for MCD43, whose name bears the ninth of the sixteen days.
    """
    given = _value(core_metadata, "LOCALGRANULEID")
    if given:
        return given
    product, first = _value(core_metadata, "SHORTNAME"), _value(core_metadata, "RANGEBEGINNINGDATE")
    day = parse_date(first) if first else None
    if not product or day is None or product.startswith("MCD43"):
        return None
    collection = _value(core_metadata, "VERSIONID") or "0"
    made = re.sub(r"\D", "", _value(core_metadata, "PRODUCTIONDATETIME") or "")[:14]
    made_day = parse_date(made[:8]) if len(made) == 14 else None
    production = f"{made_day:%Y%j}{made[8:]}" if made_day else "0" * 13
    where = f".{tile}" if tile else ""
    return f"{product}.A{day:%Y%j}{where}.{int(collection):03d}.{production}.hdf"


def _value(metadata: str, name: str) -> str | None:
    found = re.search(rf"OBJECT\s*=\s*{name}\s.*?VALUE\s*=\s*\(?\"?([^\"\n)]*)", metadata, re.DOTALL)
    return found[1].strip() if found else None
