"""The project's SQL as dbt would send it to an engine, without the engine: no lake, no database, no Java."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from soilhouse.study import GROUPS
from tests.warehouse import REPOSITORY, Finished, run_dbt

PERIOD = {"start": "2018-01-01", "end": "2021-01-01"}
# A staging view that stages whatever a study names has no product of its own.
_SHARED_VIEWS = ("stg_custom", "stg_factor", "stg_stations")


@dataclass(frozen=True)
class Node:
    """A compiled model or data test: `sql` is what runs, `not_null` are the columns that its tests say are never NULL."""

    name: str
    kind: str
    path: str
    sql: str
    columns: Mapping[str, str] = field(default_factory=dict)
    not_null: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()


def dbt(command: str, study: Mapping[str, Any] | None, target: str, root: Path) -> Finished:
    """A dbt command that needs no connection, in `root`, with a lake that is not there and a Java that cannot be found."""
    arguments = ["--target", target, "--project-dir", str(REPOSITORY), "--profiles-dir", str(REPOSITORY)]
    arguments += ["--target-path", str(root / "target"), "--log-path", str(root / "logs"), "--no-partial-parse"]
    if command == "compile":
        arguments += ["--no-populate-cache", "--no-introspect", "--quiet"]
    if study is not None:
        arguments += ["--vars", json.dumps({"study": study})]
    environment = os.environ | {
        "SOILHOUSE_LAKE": str(root / "no_lake"),
        "SOILHOUSE_DB": str(root / "compile.duckdb"),
        "SOILHOUSE_SPARK_WAREHOUSE": str(root / "spark"),
        "JAVA_HOME": str(root / "no_java"),
    }
    return run_dbt(["--no-use-colors", command, *arguments], environment)


def compile_project(study: Mapping[str, Any], target: str, root: Path) -> dict[str, Node]:
    """Every model and data test that the study enables, by unique id. Raises AssertionError with dbt's words."""
    done = dbt("compile", study, target, root)
    assert done.returncode == 0, f"dbt compile --target {target}:\n{done.stdout[-6000:]}"
    manifest = read_manifest(root / "target")
    never_null = _never_null(manifest)
    return {
        unique_id: Node(
            name=node["name"],
            kind=node["resource_type"],
            path=node["original_file_path"],
            sql=node["compiled_code"],
            columns={name.lower(): (column["data_type"] or "").lower() for name, column in node["columns"].items()},
            not_null=frozenset(never_null.get(unique_id, ())),
            tags=frozenset(node["tags"]),
        )
        for unique_id, node in manifest["nodes"].items()
        if node["resource_type"] in ("model", "test") and node["config"]["enabled"]
    }


def read_manifest(target_path: Path) -> dict[str, Any]:
    return json.loads((target_path / "manifest.json").read_text(encoding="utf-8"))


def grains(manifest: Mapping[str, Any]) -> dict[str, list[list[str]]]:
    """The columns of each `grain` test of each model, by the model's unique id."""
    found: dict[str, list[list[str]]] = {}
    for node in _tests(manifest, "grain"):
        columns = [column.lower() for column in node["test_metadata"]["kwargs"]["columns"]]
        found.setdefault(node["attached_node"], []).append(columns)
    return found


def _never_null(manifest: Mapping[str, Any]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for node in _tests(manifest, "grain"):
        given = node["test_metadata"]["kwargs"]
        found.setdefault(node["attached_node"], set()).update(
            column.lower() for column in given["columns"] if column not in given.get("nullable", [])
        )
    for node in _tests(manifest, "not_null"):
        found.setdefault(node["attached_node"], set()).add(node["test_metadata"]["kwargs"]["column_name"].lower())
    return found


def _tests(manifest: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    tests = (node for node in manifest["nodes"].values() if node["resource_type"] == "test")
    return [node for node in tests if (node.get("test_metadata") or {}).get("name") == name]


def staged_products() -> list[dict[str, Any]]:
    """The products that have a staging view of their own, as their YAML describes them."""
    views = sorted(path.stem for path in (REPOSITORY / "models" / "staging").glob("stg_*.sql"))
    products = [view.removeprefix("stg_") for view in views if view not in _SHARED_VIEWS]
    return [
        yaml.safe_load((REPOSITORY / "loaders" / "products" / f"{product}.yml").read_text(encoding="utf-8"))
        for product in products
    ]


def _layer(product: str, layer: str) -> dict[str, str]:
    return {"product": product, "layer": layer}


KRIGING = {
    "model": "spherical",
    "nugget": 0.1,
    "partial_sill": 1,
    "range_parameter_m": 20000,
    "n_neighbours": 12,
    "radius_m": 30000,
}


def _prepared_series() -> list[dict[str, Any]]:
    """Every way of preparing a series."""
    own = {"product": "own", "unit": "1", "monthly_statistic": "mean"}
    smoothed = {"max_gap_days": 15, "smoothing": {"half_width": 5, "order": 4}}
    return [
        own | {"variable": "soil_temperature", "layer": "0-7 cm", "column": "ts"},
        own
        | {"variable": "soil_moisture", "layer": "10-20 cm", "column": "sm2", "prepare": {"grid": "fine", **smoothed}},
        own
        | {
            "variable": "backscatter_vv",
            "column": "vv",
            "prepare": {"grid": "fine", "regrid": "kriging", "kriging": KRIGING, "centred_mean_days": 6},
        },
        own | {"variable": "class_of_day", "column": "cover", "prepare": {"grid": "fine", "regrid": "mode"}},
        own | {"variable": "lswi", "columns": {"nir": "b2", "swir1": "b6"}, "prepare": {"composite_days": 8}},
        {
            "variable": "albedo",
            "product": "mcd43d51",
            "mean_of": ["albedo_black_sky", "mcd43d61.albedo_white_sky"],
            "prepare": {"grid": "fine", "regrid": "nearest"},
        },
    ]


def study_of_everything() -> dict[str, Any]:
    """A study that enables every model: all groups, every product, columns of the user's own, stations, registered regions."""
    delivered = [
        {"variable": delivery["variable"], "product": product["name"], "layer": delivery["layer"]}
        for product in staged_products()
        for delivery in product["delivers"]
    ]
    own = {
        "variable": "soil_moisture",
        "product": "own",
        "layer": "5-10 cm",
        "column": "sm",
        "valid_min": 0,
        "valid_max": 1,
    }
    temperatures = [f"land_surface_temperature_{time}" for time in ("day", "night")]
    own_temperatures = [{"variable": name, "product": "own", "column": name} for name in temperatures]
    by_day, by_night = ({"variable": name, "product": "own"} for name in temperatures)
    return {
        "name": "everything",
        "groups": list(GROUPS),
        "period": PERIOD,
        "time_zone": "Asia/Shanghai",
        "region": {"set": "basins", "ids": ["upper", "lower"]},
        "series": [
            *delivered,
            own,
            {"variable": "ndvi", "product": "own", "column": "greenness"},
            *own_temperatures,
            *_prepared_series(),
        ],
        "masks": {
            "frozen": {"variable": "soil_temperature", "product": "own", "layer": "0-7 cm", "below": 0},
            "water": {"product": "terrain", "column": "cover", "codes": [0, 17], "max_share": 0.05},
        },
        "factors": [
            {
                "factor": "elevation",
                "product": "terrain",
                "column": "height",
                "valid_min": -500,
                "method": "natural",
                "k": 5,
            },
            {"factor": "slope", "product": "terrain", "column": "slope", "scale": 0.1},
            {
                "factor": "land_cover",
                "product": "terrain",
                "column": "cover",
                "kind": "categorical",
                "exclude": [0, 17],
            },
            {"factor": "lat", "coordinate": "lat"},
            {"factor": "rain", "variable": "precipitation", "product": "chirps_monthly"},
            {"factor": "greenness", "variable": "ndvi", "product": "own"},
            {"factor": "lon", "coordinate": "lon"},
            {
                "factor": "cover",
                "product": "terrain",
                "column": "cover",
                "kind": "categorical",
                "scheme": "heihe",
                "regrid": "mode",
            },
            {"factor": "octant", "product": "terrain", "column": "aspect", "kind": "categorical", "as": "octant"},
            {
                "factor": "northness",
                "product": "terrain",
                "column": "aspect",
                "as": "northness",
                "regrid": "kriging",
                "kriging": KRIGING,
            },
        ],
        "drivers": {
            "factors": ["elevation", "slope", "land_cover", "lat", "rain", "greenness"],
            "periods": ["all", "year", "season", "month"],
            "optimise": "first_small_gain",
            "choose": "once",
        },
        "stations": ["stations"],
        "trends": {
            "time_steps": ["month", "year"],
            "seasons": ["annual", "DJF", "growing"],
            "tests": ["seasonal_kendall", "hamed_rao", "trend_free_prewhitening"],
        },
        "season_rules": [{"season": "growing", "variable": "ndvi", "product": "own", "above": 0.3}],
        "zones": [
            {"factor": "elevation", "k": 3},
            {"factor": "slope", "breaks": [-1.5, 5.0]},
            {"factor": "land_cover"},
        ],
        "paper": "heihe",
        "sampling": {"kind": "systematic", "spacing_m": 5000.0, "seed": 1},
        "variograms": {"map": True},
        "validation": {
            "hours": [6, 9],
            "day_offsets": [{"product": "own", "days": -1}],
            "station_layers": ["0-5 cm"],
            "anomaly": "climatology",
            "scalings": ["none", "mean_std", "cdf"],
            "periods": ["all", "year"],
            "before_after": [{"before": _layer("own", "5-10 cm"), "after": _layer("spl2smp", "0-5 cm")}],
            "comparisons": [
                {"of": [_layer("own", "5-10 cm"), _layer("spl2smp", "0-5 cm")]},
                {"of": [_layer("own", "5-10 cm"), _layer("spl2smp", "0-5 cm")], "time_step": "month", "grid": "finer"},
            ],
            "random_pairs": {"dates": ["2018-01-15"], "n": 10, "seed": 1},
            "triples": [{"of": [_layer("own", "5-10 cm"), _layer("spl2smp", "0-5 cm"), _layer("stations", "0-5 cm")]}],
            "rain_product": "chirps_daily",
            "rain_unit_kinds": ["station", "region", "pixel"],
        },
        "downscaling": {
            "grid": "modis_sin_1km",
            "target": {"variable": "soil_moisture", "product": "own", "layer": "5-10 cm"},
            "features": ["elevation", "land_cover", "rain", "greenness", "day_of_year"],
            "hold_days": {"rain": 31},
            "unit": "land_cover",
            "water": "land_cover",
            "water_classes": [17],
            "frozen": {**by_night, "below": 0},
            "frameworks": [
                {
                    "framework": "thermal_inertia",
                    "fit": {
                        "soil_moisture": {"variable": "soil_moisture", "product": "own", "layer": "5-10 cm"},
                        "day": by_day,
                        "night": by_night,
                    },
                    "day": by_day,
                    "night": by_night,
                    "ndvi": {"variable": "ndvi", "product": "own"},
                    "land_cover": "land_cover",
                    "porosity": "elevation",
                    "window_months": 3,
                    "reference": [
                        {"variable": "soil_moisture", "product": "own", "layer": "5-10 cm"},
                        {"variable": "soil_moisture", "product": "smops", "layer": "0-5 cm"},
                    ],
                },
                {"framework": "windows", "partitions": ["whole"]},
                {"framework": "stacking", "partitions": ["unit", "whole"]},
            ],
        },
    }


def study_of_a_box() -> dict[str, Any]:
    """The other branches: one series, a box for a region, and everything else by default."""
    return {
        "name": "box",
        "groups": list(GROUPS),
        "period": PERIOD,
        "region": {"bbox": [99, 37, 102, 40]},
        "exclude_frozen": False,
        "series": [{"variable": "precipitation", "product": "chirps_monthly"}],
    }


def study_of_nothing(groups: list[str]) -> dict[str, Any]:
    """A study without a series, as the default one is before it is filled in."""
    return {"name": "nothing", "groups": groups, "period": PERIOD, "series": []}
