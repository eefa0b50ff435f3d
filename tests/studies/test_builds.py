"""`soilhouse build` of the five papers' studies, as they are, over a miniature of each one's input. Minutes: `make test-studies`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from loaders.lake import Lake
from soilhouse.settings import project_root
from soilhouse.study import load_study
from tests.studies.miniature import MINIATURES, put

pytestmark = pytest.mark.studies

# Tables that must not be empty, beside those that every study has.
FILLED = {
    "heihe": (
        "fct_factor_detector",
        "fct_interaction_detector",
        "fct_semivariogram_models",
        "fct_soil_moisture_1km_daily",
    ),
    "qilian": ("fct_trends", "fct_factor_detector", "fct_zone_monthly", "fct_partial_regression"),
    "helan": ("fct_ssmi_monthly", "fct_depth_pattern", "fct_correlation", "fct_product_comparison"),
    "anhui": ("fct_soil_moisture_1km_daily", "fct_station_validation"),
    "northern_china": ("fct_soil_moisture_1km_daily", "fct_station_validation"),
}


@pytest.mark.parametrize("name", sorted(FILLED))
def test_a_paper_builds_from_end_to_end(name: str, tmp_path: Path):
    file = project_root() / "studies" / f"{name}.yml"
    study = load_study(file)
    put(study, MINIATURES[name], Lake(tmp_path / "lake"))
    own = {
        "DBT_TARGET_PATH": str(tmp_path / "target"),
        "DBT_LOG_PATH": str(tmp_path / "logs"),
        "SOILHOUSE_LAKE": str(tmp_path / "lake"),
        "SOILHOUSE_DB": str(tmp_path / "built" / "soilhouse.duckdb"),
    }
    command = [str(Path(sys.executable).with_name("soilhouse")), "build", str(file)]
    done = subprocess.run(command, env=os.environ | own, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-6000:]
    with duckdb.connect(own["SOILHOUSE_DB"], read_only=True) as built:
        rows = {
            t: built.sql(f"select count(*) from marts.{t}").fetchone()[0] for t in ("fct_pixel_monthly", *FILLED[name])
        }
        empty = [table for table, n in rows.items() if n == 0]
        assert not empty, f"{empty} have no rows; {rows}"
        # Every series of the study has come through, on the grid that it is analysed on.
        missing = built.sql(
            "select variable, product, layer from intermediate.int_series"
            " where series_id not in (select distinct series_id from intermediate.int_pixel_monthly)"
        ).fetchall()
        assert not missing
