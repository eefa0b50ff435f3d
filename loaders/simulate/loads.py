"""What of the simulated basin is loaded as which product, in order."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

FINE_GRID = "ease2_m01"
MIDDLE_GRID = "ease2_m09"
REANALYSIS_GRID = "era5_land_0p1"


@dataclass(frozen=True)
class Load:
    """One call of `soilhouse load`; None is an option that is not given."""

    product: str
    paths: tuple[Path, ...]
    as_name: str | None = None
    grid: str | None = None
    mapping: Path | None = None
    id_column: str | None = None
    name_column: str | None = None
    level_column: str | None = None

    def arguments(self) -> list[str]:
        """The words after `soilhouse`."""
        words = ["load", self.product, *(str(path) for path in self.paths)]
        for option, value in (
            ("--as", self.as_name),
            ("--grid", self.grid),
            ("--mapping", self.mapping),
            ("--id-column", self.id_column),
            ("--name-column", self.name_column),
            ("--level-column", self.level_column),
        ):
            if value is not None:
                words += [option, str(value)]
        return words

    def command(self) -> str:
        """The whole command, quoted for a shell."""
        return shlex.join(["soilhouse", *self.arguments()])


def loads(folder: Path | str) -> list[Load]:
    """The loads of a folder that `simulate` wrote, the regions first."""
    folder = Path(folder)

    def raster(name: str, grid: str = FINE_GRID) -> Load:
        return Load("raster", (folder / name,), f"basin_{name}", grid, folder / "mappings" / f"{name}.yml")

    return [
        Load(
            "regions",
            (folder / "regions" / "basin.geojson",),
            as_name="basin",
            id_column="region_id",
            name_column="name",
            level_column="level",
        ),
        raster("soil_moisture_1km"),
        Load("spl2smp", (folder / "soil_moisture_36km",)),
        raster("soil_moisture_field"),
        raster("soil_moisture_layers"),
        raster("ndvi"),
        raster("land_surface_temperature"),
        raster("land_surface_temperature_all_weather"),
        raster("soil_moisture_9km", MIDDLE_GRID),
        raster("reanalysis", REANALYSIS_GRID),
        Load("chirps_daily", (folder / "precipitation",)),
        raster("elevation"),
        raster("land_cover"),
        raster("soil_texture"),
        raster("terrain_units"),
        Load(
            "stations",
            (folder / "stations" / "stations.csv", folder / "stations" / "observations.csv"),
            as_name="basin_stations",
        ),
    ]
