"""Real files into a warehouse of their own: loaded by the command line, built by dbt, asked about pixels by their coordinates."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
from scipy.spatial import cKDTree

from tests.warehouse import REPOSITORY, Warehouse


def load(root: Path, *arguments: str | Path) -> None:
    """`soilhouse load` into the lake of `root`; AssertionError with its words when a file was skipped."""
    done = subprocess.run(
        [sys.executable, "-m", "soilhouse", "load", *map(str, arguments), "--lake", str(root / "lake")],
        cwd=REPOSITORY,
        env=os.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def build(root: Path, study: dict) -> Warehouse:
    """The warehouse of a study over what was loaded, built with every data test of the models."""
    house = Warehouse(root, study)
    house.dbt("build", "--exclude-resource-type", "unit_test")
    return house


def with_pixels(house: Warehouse, frame: pl.DataFrame) -> pl.DataFrame:
    """`frame` with pixel_id and area_km2 in the place of lon and lat, which name pixels by their centres, to 1e-5 degrees."""
    places = frame.select("lon", "lat").unique()
    pixels = house.query("select pixel_id, lon, lat, area_km2 from marts.dim_pixel")
    away, nearest = cKDTree(pixels.select("lon", "lat").to_numpy()).query(places.to_numpy())
    assert away.max() < 1e-5, f"a place of the file is {away.max()} degrees from the nearest pixel of the warehouse"
    assert np.unique(nearest).size == len(places)
    found = pl.concat([places, pixels[nearest].select("pixel_id", "area_km2")], how="horizontal")
    return frame.join(found, on=["lon", "lat"]).drop("lon", "lat")


def everywhere(pixels: pl.DataFrame) -> pl.DataFrame:
    """The membership of a study without regions: every pixel in `all`, by its area."""
    return (
        pixels.select("pixel_id", "area_km2")
        .unique()
        .select("pixel_id", region_id=pl.lit("all"), weight_km2="area_km2")
    )


def area_of_cell(lat: np.ndarray, degrees: float) -> np.ndarray:
    """km2 of a cell of `degrees` centred on `lat` on the WGS 84 ellipsoid: the closed form of the area between two parallels."""
    a, f = 6378.137, 1 / 298.257223563
    e = np.sqrt(f * (2 - f))

    def from_equator(latitude: np.ndarray) -> np.ndarray:
        s = np.sin(np.radians(latitude))
        return a**2 * (1 - e**2) / 2 * (s / (1 - (e * s) ** 2) + np.arctanh(e * s) / e)

    half = degrees / 2
    return np.radians(degrees) * (from_equator(lat + half) - from_equator(lat - half))
