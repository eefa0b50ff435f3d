"""A small database of marts without dbt: the tables and types of the YAML beside the models, and rows that a test gives."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import yaml

from loaders.grids import GRIDS, Grid

REPOSITORY = Path(__file__).resolve().parents[2]
TYPES = {
    "string": "varchar",
    "bigint": "bigint",
    "int": "integer",
    "double": "double",
    "date": "date",
    "boolean": "boolean",
}


@cache
def contracts() -> dict[str, dict[str, dict[str, str]]]:
    """Every mart with its columns: name -> column -> {data_type, description}."""
    found = {}
    for path in sorted((REPOSITORY / "models" / "marts").rglob("*.yml")):
        for model in (
            yaml.load(path.read_text(encoding="utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader)) or {}
        ).get("models") or []:
            found[model["name"]] = {c["name"]: c for c in model["columns"]}
    return found


def create(
    connection: duckdb.DuckDBPyConnection, mart: str, rows: Iterable[Mapping[str, Any]], study: str = "small"
) -> None:
    """Make a mart with the columns of its contract; columns that a row does not give are NULL. A name that is no column fails."""
    columns = contracts()[mart]
    connection.execute("create schema if not exists marts")
    kinds = ", ".join(f'"{c}" {TYPES[known["data_type"]]}' for c, known in columns.items())
    connection.execute(f'create table marts."{mart}" ({kinds})')
    rows = [{"study": study, **row} for row in rows]
    unknown = {name for row in rows for name in row} - set(columns)
    assert not unknown, f"{mart} has no {unknown}"
    if rows:
        given = pa.Table.from_pylist([{c: row.get(c) for c in columns} for row in rows])  # DuckDB reads the local name
        names = ", ".join(f'"{c}"' for c in columns)
        connection.execute(f'insert into marts."{mart}" select {names} from given')
        assert given.num_rows == len(rows)


def months(n: int, first: date = date(2019, 1, 1)) -> list[date]:
    """The first days of `n` months."""
    return [date(first.year + (first.month - 1 + i) // 12, (first.month - 1 + i) % 12 + 1, 1) for i in range(n)]


def pixels(grid: Grid, row: int, column: int, height: int, width: int) -> list[dict[str, Any]]:
    """dim_pixel of a window of a grid."""
    rows, columns = (a.ravel() for a in np.mgrid[row : row + height, column : column + width])
    lon, lat = grid.lonlat_of(rows, columns)
    x, y = grid.metres_of(rows, columns)
    return [
        {"grid_id": grid.grid_id, "pixel_id": int(i), "row_index": int(r), "col_index": int(c), "lon": float(a), "lat": float(b), "x_m": float(p),
         "y_m": float(q), "area_km2": 1.0}
        for i, r, c, a, b, p, q in zip(grid.pixel_id(rows, columns), rows, columns, lon, lat, x, y, strict=True)
    ]  # fmt: skip


def world(path: Path) -> None:
    """A database with some rows in every mart that the report reads: two products, two regions, two years, two layers."""
    random = np.random.default_rng(7)
    fine, coarse = GRIDS["ease2_m01"], GRIDS["ease2_m36"]
    cells = pixels(fine, 2700, 26964, 12, 10)
    large = pixels(coarse, 75, 749, 2, 2)
    year = {"period_kind": "all", "period_start": date(2019, 1, 1), "period_end": date(2021, 1, 1)}
    when = months(24)
    sm = {"variable": "soil_moisture", "layer": "0-5 cm"}
    with duckdb.connect(str(path)) as c:
        create(c, "dim_pixel", [*cells, *large])
        create(
            c,
            "dim_region",
            [
                {"region_id": r, "name": n, "level": v, "area_km2": a}
                for r, n, v, a in (("all", "whole", 0, 120.0), ("north", "north <&>", 1, 60.0))
            ],
        )
        create(c, "dim_pixel_region", [
            {"grid_id": p["grid_id"], "pixel_id": p["pixel_id"], "region_id": r, "fraction": 1.0}
            for p in cells for r in ("all", "north") if r == "all" or p["row_index"] < 2706
        ])  # fmt: skip
        create(
            c,
            "dim_layer",
            [
                {"layer": "0-5 cm", "layer_top_cm": 0.0, "layer_bottom_cm": 5.0},
                {"layer": "5-20 cm", "layer_top_cm": 5.0, "layer_bottom_cm": 20.0},
            ],
        )
        create(
            c,
            "dim_product",
            [
                {"product": p, "title": f"{p} <b>", "grid_id": "ease2_m01", "time_step": "day", "verified": True}
                for p in ("coarse", "fine")
            ],
        )
        create(
            c,
            "fct_freshness",
            [
                {"product": p, "first_date": when[0], "newest_date": date(2020, 12, 31), "n_granules": 24}
                for p in ("coarse", "fine")
            ],
        )
        create(c, "fct_pixel_monthly", [
            {**sm, "product": q, "grid_id": p["grid_id"], "pixel_id": p["pixel_id"], "month": m, "value": round(0.2 + 0.1 * random.random(), 6), "n_days": 30,
             "coverage": 1.0, "is_covered": True, "unit": "m3 m-3"}
            for q, some in (("fine", cells), ("coarse", large)) for p in some for m in when
        ])  # fmt: skip
        both = {**sm, "product": "fine", "grid_id": "ease2_m01"}
        create(c, "fct_temporal_stability", [
            {**both, **year, "region_id": r, "pixel_id": p["pixel_id"], "n_months": 24, "mean": 0.2 + 0.001 * i, "sd": 0.02 + 0.001 * i,
             "stability_class": "excellent" if i < 10 else "good", "unit": "m3 m-3"}
            for r in ("all", "north") for i, p in enumerate(cells) if r == "all" or p["row_index"] < 2706
        ])  # fmt: skip
        create(c, "fct_trends", [
            {**both, **year, "pixel_id": p["pixel_id"], "time_step": "month", "season": "annual", "n_values": 24, "sen_slope_per_year": -0.01 + 0.0002 * i,
             "mk_p": 0.001 if i % 3 else 0.5, "trend_class": "slight drying", "unit": "m3 m-3"} for i, p in enumerate(cells)
        ])  # fmt: skip
        create(c, "fct_monthly_statistics", [
            {**sm, "product": "fine", "region_id": r, "month": m, "n_pixels": 120, "mean": 0.25, "area_mean": 0.25 + 0.05 * np.sin(m.month / 2), "sd": 0.03, "q25": 0.2,
             "q75": 0.3, "qq_r": 0.99, "skewness": 0.1, "is_near_normal": True, "unit": "m3 m-3"} for r in ("all", "north") for m in when if m.month != 5
        ])  # fmt: skip
        create(c, "fct_qq_points", [
            {**sm, "product": "fine", "region_id": "all", "month": when[0], "probability": k / 10, "sample_quantile": 0.2 + 0.01 * k, "normal_quantile": -1.3 + 0.26 * k, "unit": "m3 m-3"}
            for k in range(1, 10)
        ])  # fmt: skip
        drawn = {
            **sm,
            "product": "fine",
            "region_id": "all",
            "month": when[0],
            "sampling": "all",
            "direction": "all",
            "unit": "m3 m-3",
        }
        create(
            c,
            "fct_semivariogram_bins",
            [
                {
                    **drawn,
                    "bin": k,
                    "lag_m": 1000.0 * k,
                    "n_pairs": 100 * k,
                    "semivariance": 1e-4 * (1 - np.exp(-k / 4)),
                }
                for k in range(1, 9)
            ],
        )
        create(c, "fct_semivariogram_models", [
            {**drawn, "model": "exponential", "weighting": "ols", "n_bins": 8, "nugget": 0.0, "partial_sill": 1e-4, "sill": 1e-4, "range_parameter_m": 4000.0,
             "range_effective_m": 12000.0, "is_range_at_bound": False, "is_bounded": True, "nugget_ratio": 0.0, "r2": 1.0, "is_best": True}
        ])  # fmt: skip
        create(c, "fct_ssmi_monthly", [
            {"product": "fine", "layer": "0-5 cm", "region_id": "all", "grid_id": "ease2_m01", "pixel_id": p["pixel_id"], "month": m, "scale_months": 1,
             "reference_kind": "pixel_month", "ssmi": round(float(random.normal()), 4), "n_reference": 2, "state": "deficit"} for p in cells for m in when[-3:]
        ])  # fmt: skip
        names = (
            "extreme drought",
            "severe drought",
            "moderate drought",
            "mild drought",
            "neither",
            "mildly wet",
            "moderately wet",
            "very wet",
            "extremely wet",
        )
        create(c, "fct_drought_area", [
            {"product": "fine", "layer": "0-5 cm", "region_id": "all", "month": m, "scale_months": 1, "reference_kind": "pixel_month", "class": n, "class_order": k - 4,
             "area_km2": 12.0, "area_fraction": 1 / 9, "n_reference": 2} for m in when[-3:] for k, n in enumerate(names)
        ])  # fmt: skip
        create(c, "fct_depth_profile", [
            {"product": "fine", "layer": layer, "layer_top_cm": top, "layer_bottom_cm": bottom, "depth_order": k, "region_id": r, "reference_kind": "pixel_month",
             "reference_region_id": "all", "period_kind": "year", "period_start": date(y, 1, 1), "period_end": date(y + 1, 1, 1), "mean_ssmi": 0.3 * (k - 1) - 0.2,
             "state": "deficit"}
            for r in ("all", "north") for y in (2019, 2020) for k, (layer, top, bottom) in enumerate((("0-5 cm", 0.0, 5.0), ("5-20 cm", 5.0, 20.0)), 1)
        ])  # fmt: skip
        create(c, "fct_depth_pattern", [
            {"product": "fine", "region_id": r, "reference_kind": "pixel_month", "reference_region_id": "all", "period_kind": "year", "period_start": date(y, 1, 1),
             "period_end": date(y + 1, 1, 1), "n_layers": 2, "pattern": "deficit>surplus", "pattern_by_layer": "deficit>surplus"} for r in ("all", "north") for y in (2019, 2020)
        ])  # fmt: skip
        explained = {**both, "region_id": "all", "sampling": "all"}
        summer = {
            "period_kind": "season",
            "season": "DJF",
            "period_start": date(2019, 12, 1),
            "period_end": date(2020, 3, 1),
        }
        create(c, "fct_factor_detector", [
            {**explained, **when_, "factor": f, "method": "natural", "n_strata": 4, "n_used": 120, "q": q, "q_rank": k, "p_permutation": 0.01 * k, "p_noncentral": 0.01}
            for when_ in (year, summer) for k, (f, q) in enumerate((("land_cover", 0.5), ("clay", 0.2), ("x<y", 0.1)), 1)
        ])  # fmt: skip
        create(c, "fct_interaction_detector", [
            {**explained, **year, "factor_1": a, "factor_2": b, "n_used": 120, "q_1": 0.3, "q_2": 0.2, "q_12": 0.6, "n_strata_12": 9, "interaction": "enhance_nonlinear"}
            for a, b in (("clay", "land_cover"), ("clay", "x<y"), ("land_cover", "x<y"))
        ])  # fmt: skip
        window = {"window_start": date(2019, 1, 1), "window_end": date(2019, 1, 17)}
        create(c, "fct_downscaling_windows", [
            {"product": "fine", "region_id": "all", "window_start": date(2019, 1, 1) + timedelta(16 * k), "window_end": date(2019, 1, 17) + timedelta(16 * k), "n_valid": 200,
             "status": "trained" if k else "too few samples"} for k in range(5)
        ])  # fmt: skip
        create(c, "fct_downscaling_models", [
            {**window, "model_id": f"m{e}", "product": "fine", "framework": "best_of_five", "estimator": e, "region_id": "all", "train_rmse": 0.01, "test_rmse": 0.02,
             "outer_rmse": 0.025, "spatial_cv_rmse": 0.03, "temporal_cv_rmse": 0.04, "n_train": 100, "n_test": 100, "is_selected": e == "random_forest"}
            for e in ("mlr", "random_forest")
        ])  # fmt: skip
        create(c, "fct_feature_importance", [
            {**window, "product": "fine", "framework": "best_of_five", "estimator": e, "region_id": "all", "model_id": f"m{e}", "feature": f, "importance_kind": "permutation",
             "importance": 0.01 * k, "importance_rank": k, "unit": "m3 m-3"} for e in ("mlr", "random_forest") for k, f in enumerate(("ndvi", "albedo"), 1)
        ])  # fmt: skip
        create(c, "fct_matchups", [
            {"product": "fine", "layer": "0-5 cm", "reference_product": "stations", "station_id": f"s{k}", "grid_id": "ease2_m01", "pixel_id": cells[k]["pixel_id"],
             "obs_date": date(2019, 1, 1) + timedelta(d), "estimate_m3m3": 0.2 + 0.001 * d, "reference_m3m3": 0.21 + 0.001 * d + 0.01 * k} for k in range(3) for d in range(30)
        ])  # fmt: skip
        create(c, "fct_station_validation", [
            {**year, "product": p, "layer": "0-5 cm", "reference_product": "stations", "unit_kind": "station", "unit_id": f"s{k}", "station_id": f"s{k}", "on_values": "raw",
             "scaling": "none", "n": 30, "r": r, "sd_estimate_m3m3": 0.03, "sd_reference_m3m3": 0.04, "rmse_m3m3": 0.03, "bias_m3m3": 0.01, "ubrmse_m3m3": 0.028}
            for p in ("fine", "coarse") for k, r in enumerate((0.9, 0.5, -0.2))
        ])  # fmt: skip
        create(c, "fct_validation_change", [
            {**year, "product_before": "coarse", "layer_before": "0-5 cm", "product_after": "fine", "layer_after": "0-5 cm", "reference_product": "stations",
             "unit_kind": "station", "unit_id": f"s{k}", "on_values": "raw", "n": 30, "r_before": 0.5, "r_after": 0.7, "ubrmse_before_m3m3": 0.04, "ubrmse_after_m3m3": 0.03,
             "ubrmse_change_m3m3": -0.01} for k in range(3)
        ])  # fmt: skip
        create(c, "fct_product_comparison", [
            {**year, "product_1": "coarse", "layer_1": "0-5 cm", "product_2": "fine", "layer_2": "0-5 cm", "time_step": "day", "grid_id": "ease2_m36", "region_id": "all",
             "sampling": "all", "n": 700, "r": 0.8, "r2": 0.64, "rmse_m3m3": 0.03, "bias_m3m3": 0.0, "ubrmse_m3m3": 0.03, "shares_input": True}
        ])  # fmt: skip
        create(c, "fct_published_comparison", [
            {"paper": "heihe", "item": "q of June", "row_label": f, "published": 0.5, "ours": 0.45, "unit": "1", "difference": -0.05, "is_consistent": f != "b",
             "note": "the text says 0.4" if f == "b" else None, "product": "fine", "layer": "0-5 cm", "region_id": "all"} for f in ("a", "b")
        ])  # fmt: skip
