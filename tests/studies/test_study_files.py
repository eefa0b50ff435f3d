"""The five papers' studies name what exists: keys, products, what these deliver, columns, schemes; and say what paper they are."""

from __future__ import annotations

import pytest

from loaders.products import all_products
from soilhouse.seeds import papers
from soilhouse.settings import project_root
from soilhouse.study import Study, load_study

PAPERS = ("heihe", "qilian", "helan", "anhui", "northern_china")
N_PREDICTORS = {"anhui": 15, "northern_china": 14}


@pytest.fixture(params=PAPERS)
def study(request) -> Study:
    return load_study(project_root() / "studies" / f"{request.param}.yml")


def test_it_reproduces_its_paper(study):
    assert study.paper == study.name
    assert study.paper in papers()
    assert study.mode == "paper"
    assert study.time_zone == "Asia/Shanghai"
    assert not study.simulated


def test_every_series_is_delivered(study):
    """Products that are not ours are read by column, and are no names of ours."""
    products = all_products()
    for series in study.series:
        product = products.get(series.product)
        if series.column is not None:
            assert product is None, f"{series.product} is a product of ours"
            continue
        assert product is not None, f"{series.product} is not a product"
        wanted = series.mean_of or [series.variable]
        for member in wanted:
            other, _, variable = member.rpartition(".")
            of = products[other] if other else product
            assert (variable, series.layer) in {(d.variable, d.layer) for d in of.delivers}, f"{of.name}: {member}"
        if series.hours or series.solar_time is not None:
            assert product.time_step == "instant"


def test_every_factor_has_its_column(study):
    products = all_products()
    for factor in study.factors:
        product = products.get(factor.product) if factor.column else None
        if product is not None:
            assert factor.column in {v.name for v in product.variables}
            assert product.time_step == "static"


def test_it_downscales_onto_a_grid_of_its_own(study):
    """Every feature is there, as many as the paper has, and series come on the grid that is downscaled to."""
    if "downscaling" not in study.groups:
        pytest.skip(f"{study.name} does not downscale")
    down = study.downscaling
    assert down.grid in {grid.name for grid in study.grids}
    named = {factor.factor: factor for factor in study.factors}
    assert set(down.features) <= {*named, "day_of_year"}
    assert len(down.features) == N_PREDICTORS.get(study.name, 0)
    of_series = {(s.variable, s.product): s for s in study.series}
    for name in down.features:
        factor = named.get(name)
        if factor is not None and factor.variable is not None:
            assert of_series[factor.variable, factor.product].prepare.grid == down.grid


def test_a_grid_holds_its_region():
    """Corners of the papers' boxes lie on the studies' grids."""
    boxes = {
        "heihe": (97.1, 37.7, 102.0, 42.7),
        "helan": (104.26, 36.65, 106.98, 39.39),
        "anhui": (114.9, 29.68, 119.62, 34.63),
    }
    for name, (west, south, east, north) in boxes.items():
        (own,) = load_study(project_root() / "studies" / f"{name}.yml").grids
        grid = own.grid()
        grid.locate([west, east, west, east, (west + east) / 2], [south, south, north, north, north], tolerance=None)
