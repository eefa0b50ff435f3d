"""DuckDB's spatial extension out of its wheel, and what is said when it is not there."""

from __future__ import annotations

import importlib.metadata
import json
from pathlib import Path

import duckdb
import pytest

from loaders import spatial
from loaders.lake import Lake, LakeError
from loaders.regions import load_regions
from loaders.spatial import SpatialMissing, spatial_connection


def test_the_wheels_extension_computes():
    with spatial_connection() as connection:
        assert connection.execute("select st_x(st_point(1, 2))").fetchone() == (1.0,)
        # Nothing else may come over the network while a file is read.
        settings = (
            "select current_setting('autoinstall_known_extensions'), current_setting('autoload_known_extensions')"
        )
        assert connection.execute(settings).fetchone() == (False, False)
    assert importlib.metadata.version("duckdb-extension-spatial") == duckdb.__version__


def _without_wheel(name: str):
    raise ModuleNotFoundError(f"No module named {name!r}")


def test_what_is_missing_says_what_to_install(monkeypatch, tmp_path: Path):
    with monkeypatch.context() as patched:
        patched.setattr(spatial.duckdb, "__version__", "9.9.9")
        with pytest.raises(SpatialMissing, match=r"of another version: pip install duckdb-extension-spatial==9\.9\.9"):
            spatial_connection()
    monkeypatch.setattr(spatial.resources, "files", _without_wheel)
    install = rf"not installed: pip install duckdb-extension-spatial=={duckdb.__version__}"
    with pytest.raises(SpatialMissing, match=install):
        spatial_connection()
    # Who registers regions is told the same, and not shown a traceback.
    file = tmp_path / "a.geojson"
    file.write_text(json.dumps({"type": "FeatureCollection", "features": []}))
    with pytest.raises(LakeError, match=install):
        load_regions(file, "areas", Lake(tmp_path / "lake"))
