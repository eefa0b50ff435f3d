"""`soilhouse build` of the five papers' studies over a miniature of each one's input. Minutes: `make test-studies`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from loaders.lake import Lake
from soilhouse.settings import project_root
from soilhouse.study import Study, load_study
from tests.studies.miniature import MINIATURES, put, write_study

pytestmark = pytest.mark.studies

# What has rows where a group is on: tables, and of some what must be in the rows that count.
OF_GROUP = {
    "patterns": (
        "fct_monthly_statistics",
        "fct_qq_points",
        "fct_temporal_stability",
        "fct_rank_stability",
        "fct_interannual_variation",
        "fct_semivariogram_bins",
        "fct_semivariogram_models",
    ),
    "trends": ("fct_trends",),
    "drivers": (
        "fct_factor_detector where q is not null",
        "fct_interaction_detector where q_12 is not null",
        "fct_factor_strata",
        "fct_factor_candidates where q is not null",
    ),
    "downscaling": ("fct_soil_moisture_1km_daily",),
}
OF_STUDY = {
    "heihe": (
        "fct_zone_monthly",
        "fct_downscaling_coefficients",
        "fct_product_comparison where r is not null",
        "fct_product_pairs",
    ),
    "qilian": ("fct_zone_monthly", "fct_partial_regression", "fct_partial_correlation", "fct_leading_factor"),
    "helan": (
        "fct_ssmi_monthly",
        "fct_drought_area",
        "fct_depth_pattern",
        "fct_correlation where coefficient is not null",
        "fct_product_comparison where r is not null",
    ),
    "anhui": (
        "fct_zone_monthly",
        "fct_downscaling_models where status = 'trained'",
        "fct_feature_importance",
        "fct_shap_values",
        "fct_matchups",
        "fct_station_validation where r is not null",
        "fct_validation_change",
        "fct_rainfall_response",
    ),
    "northern_china": (
        "fct_downscaling_models where status = 'trained'",
        "fct_downscaling_windows where status = 'trained'",
        "fct_downscaling_windows where status = 'fallback'",
        "fct_feature_importance_summary",
        "fct_matchups",
        "fct_station_validation where r is not null",
        "fct_validation_change",
        "fct_correlation",
        "fct_product_comparison where r is not null",
    ),
}
# What the frameworks of a study publish.
DOWNSCALED = {
    "heihe": {"thermal_linear"},
    "anhui": {f"{model}_{part}" for model in ("stack", "xgb", "lightgbm", "catboost") for part in ("by_unit", "whole")},
    "northern_china": {"best_16day"},
}


@pytest.mark.parametrize("name", sorted(OF_STUDY))
def test_a_paper_builds_from_end_to_end(name: str, tmp_path: Path):
    small = MINIATURES[name]
    file = write_study(project_root() / "studies" / f"{name}.yml", small, tmp_path / f"{name}.yml")
    study = load_study(file)
    put(study, small, Lake(tmp_path / "lake"))
    database = tmp_path / "built" / "soilhouse.duckdb"
    own = {
        "DBT_TARGET_PATH": str(tmp_path / "target"),
        "DBT_LOG_PATH": str(tmp_path / "logs"),
        "SOILHOUSE_LAKE": str(tmp_path / "lake"),
        "SOILHOUSE_DB": str(database),
    }
    command = [str(Path(sys.executable).with_name("soilhouse")), "build", str(file)]
    done = subprocess.run(command, env=os.environ | own, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-6000:]
    print(f"{name}:", next(line for line in done.stderr.splitlines() if "tests passed" in line))
    with duckdb.connect(str(database), read_only=True) as built:
        wanted = ["fct_pixel_monthly", *OF_STUDY[name]]
        wanted += [table for group in study.groups for table in OF_GROUP.get(group, ())]
        empty = [table for table in wanted if not built.execute(f"select exists (from marts.{table})").fetchone()[0]]
        assert not empty, f"no rows: {empty}"
        # Every series has come through, on the grid that it is analysed on.
        missing = built.sql(
            "select variable, product, layer from intermediate.int_series"
            " where series_id not in (select series_id from intermediate.int_pixel_monthly where value is not null)"
        ).fetchall()
        assert not missing
        _assert_compared(built, name)
        if name in DOWNSCALED:
            _assert_finer(built, study, DOWNSCALED[name])


def _assert_compared(built: duckdb.DuckDBPyConnection, name: str) -> None:
    """The paper's figures stand beside ours: some of what is looked up has a value."""
    papers, n, n_ours = built.sql(
        "select list(distinct paper), count(published), count(ours) from marts.fct_published_comparison"
    ).fetchone()
    assert papers == [name]
    assert n > 0
    assert n_ours > 0


def _assert_finer(built: duckdb.DuckDBPyConnection, study: Study, products: set[str]) -> None:
    """Each downscaled product varies within a coarse cell and stays near it, on every pixel of the regions that is not water."""
    target = study.downscaling.target
    rows = built.execute(
        "with coarse as ("
        " select pixel_id, obs_date, soil_moisture_m3m3 from marts.fct_soil_moisture_daily where product = ? and layer = ?"
        "), of_cells as ("
        " select fine.product, fine.obs_date, pixel.coarse_pixel_id, coarse.soil_moisture_m3m3 as coarse,"
        " avg(fine.soil_moisture_m3m3) as mean, stddev_pop(fine.soil_moisture_m3m3) as sd"
        " from marts.fct_soil_moisture_1km_daily as fine"
        " inner join intermediate.int_downscaling_pixel as pixel on fine.pixel_id = pixel.pixel_id"
        " inner join coarse on pixel.coarse_pixel_id = coarse.pixel_id and fine.obs_date = coarse.obs_date"
        " group by all having count(*) >= 10"
        ") select product, avg(sd), avg(abs(mean - coarse)) from of_cells group by product",
        [target.product, target.layer],
    ).fetchall()
    assert {product for product, _, _ in rows} == products
    for product, spread, difference in rows:
        assert spread > 1e-3, f"{product} is flat within a coarse cell"
        assert 0 < difference < 0.1, f"{product} differs from the coarse product by {difference:.3f} m3 m-3"
    pixels, covered = built.sql(
        "select count(*) filter (where not is_water),"
        " count(*) filter (where not is_water and pixel_id in (select pixel_id from marts.fct_soil_moisture_1km_daily))"
        " from intermediate.int_downscaling_pixel"
    ).fetchone()
    assert covered > 0.9 * pixels
