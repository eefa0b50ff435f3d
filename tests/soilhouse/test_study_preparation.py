"""What a study may say of preparation, masks and mode, and what is wrong with it, in words; and which weights it needs."""

from __future__ import annotations

from datetime import date

import pytest

from loaders.catalog import write_catalog
from loaders.lake import Lake
from loaders.products import all_products
from soilhouse.regridding import target_grids, weights_needed
from soilhouse.study import Study, parse, with_defaults

KRIGING = {
    "model": "spherical",
    "nugget": 0.1,
    "partial_sill": 1,
    "range_parameter_m": 1e4,
    "n_neighbours": 8,
    "radius_m": 2e4,
}


def given(series: dict | None = None, factor: dict | None = None, **more: object) -> dict:
    study = {
        "name": "small",
        "title": "Small",
        "period": {"start": date(2011, 1, 1), "end": date(2012, 1, 1)},
        "series": [
            {"variable": "soil_moisture", "product": "esa_cci_combined", "layer": "0-5 cm"} | (series or {}),
            {"variable": "soil_temperature", "product": "era5_land_daily", "layer": "0-7 cm"},
        ],
    }
    if factor is not None:
        study["factors"] = [{"factor": "cover", "product": "mcd12q1_static", "column": "lc_type1"} | factor]
    return study | more


def said(study: dict) -> str:
    _, problems = parse(study)
    return "\n".join(f"{p.path}: {p.reason}" for p in problems)


@pytest.mark.parametrize(
    "series, words",
    [
        ({"prepare": {}}, "is empty"),
        ({"prepare": {"regrid": "bilinear"}}, "bring the series to a `grid`"),
        ({"prepare": {"grid": "ease2_m09", "regrid": "kriging"}}, "go together"),
        ({"prepare": {"grid": "ease2_m09", "kriging": KRIGING}}, "go together"),
        ({"prepare": {"to_daily": "hold"}}, "give `composite_days`"),
        ({"prepare": {"grid": "ease2_m09", "regrid": "mode", "max_gap_days": 3}}, "classes have no max_gap_days"),
        ({"prepare": {"smoothing": {"half_width": 1, "order": 4}}}, "no polynomial of degree 4"),
        ({"prepare": {"max_gap": 15}}, "max_gap_days"),
        ({"mean_of": ["day"]}, "mean_of"),
        ({"mean_of": ["soil_moisture", "smops.soil_moisture"]}, "smops is not a product of the study's series"),
        ({"columns": {"red": "b1", "nir": "b2"}}, "the variable is one of ndvi"),
        ({"variable": "ndvi", "columns": {"red": "b1"}}, "the columns of ndvi are nir, red"),
    ],
)
def test_a_wrong_preparation_is_said(series, words):
    assert words in said(given(series))


@pytest.mark.parametrize(
    "factor, words",
    [
        ({"scheme": "heihe"}, "say `kind: categorical`"),
        ({"scheme": "heihee", "kind": "categorical"}, "Nearest: heihe"),
        ({"kind": "categorical", "regrid": "area_mean"}, "classes have no area_mean"),
        ({"as": "octant"}, "say `kind: categorical`"),
        ({"column": "aspect"}, "degrees go round"),
        ({"as": "northness", "kind": "categorical"}, "not a class"),
        ({"regrid": "kriging"}, "go together"),
    ],
)
def test_a_wrong_factor_is_said(factor, words):
    assert words in said(given(factor=factor))


def test_degrees_of_an_aspect_need_the_mode_of_the_paper():
    assert said(given(factor={"column": "aspect"}, mode="paper")) == ""
    assert said(given(factor={"column": "aspect", "as": "northness"})) == ""
    assert "mode" in said(given(mode="papers"))


@pytest.mark.parametrize(
    "masks, words",
    [
        (
            {"frozen": {"variable": "soil_temperature", "product": "era5_land_daily", "layer": "0-7 cm"}},
            "needs `below`",
        ),
        (
            {"frozen": {"variable": "air_temperature", "product": "era5_land_daily", "below": 0}},
            "not one of the study's series",
        ),
        ({"water": {"product": "mcd12q1_static", "column": "lc_type1", "codes": []}}, "codes"),
    ],
)
def test_a_wrong_mask_is_said(masks, words):
    assert words in said(given(masks=masks))


def test_the_weights_that_a_study_needs(tmp_path):
    """By grid and method, from the products that the lake has; none from a grid to itself."""
    lake = Lake(tmp_path / "lake").init()
    for name in ("esa_cci_combined", "era5_land_daily", "mcd12q1_static"):
        write_catalog(lake, all_products()[name], all_products()[name].grid, {})
    asked = given(
        {"prepare": {"grid": "ease2_m09", "regrid": "bilinear"}},
        {"kind": "categorical", "scheme": "heihe", "regrid": "mode"},
        masks={
            "frozen": {"variable": "soil_temperature", "product": "era5_land_daily", "layer": "0-7 cm", "below": 0},
            "water": {"product": "mcd12q1_static", "column": "lc_type1", "codes": [17], "max_share": 0.05},
        },
    )
    study = Study.model_validate(with_defaults(asked))
    assert target_grids(study) == ["ease2_m09"]
    land, cci, era = "modis_sin_500m", "latlon_0p25", "era5_land_0p1"
    assert weights_needed(study, lake) == {
        (cci, "ease2_m09", "bilinear"),
        (land, "ease2_m09", "mode"),
        (land, era, "mode"),
        (land, cci, "area_mean"),
        (land, "ease2_m09", "area_mean"),
        (era, cci, "nearest"),
        (era, "ease2_m09", "nearest"),
    }
