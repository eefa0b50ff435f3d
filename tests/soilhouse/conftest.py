"""A small lake and studies over it."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from loaders.products import DEFINITIONS, Delivered, Product, Variable

CUSTOM = Product(
    name="my_daily",
    title="A table of one's own",
    format="table",
    kind="table",
    grid="ease2_m36",
    time_step="day",
    variables=(
        Variable(name="sm", dtype="float64", unit="m3 m-3"),
        Variable(name="rain_rate", dtype="float64", unit="kg m-2 h-1"),
        Variable(name="remark", dtype="string", unit="1"),
    ),
    delivers=(Delivered(variable="sm", unit="m3 m-3"),),
    source="a test",
)


def put_month(lake: Path, product: str, month: date) -> Path:
    """An empty file where a month of a product lies: the checks of a study read names of files and nothing else."""
    path = lake / "raw" / product / f"year={month:%Y}" / f"month={month:%m}" / f"{product}_{month:%Y-%m}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    catalogued = lake / "catalog" / "products" / f"{product}.parquet"
    catalogued.parent.mkdir(parents=True, exist_ok=True)
    catalogued.touch()
    return path


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """A lake with 2011 of chirps_monthly and my_daily, a product with times of day, a static one and one set of regions."""
    root = tmp_path / "lake"
    for month in range(1, 13):
        put_month(root, "chirps_monthly", date(2011, month, 1))
        put_month(root, "my_daily", date(2011, month, 1))
    definitions = root / DEFINITIONS
    definitions.mkdir(parents=True)
    still = CUSTOM.model_copy(update={"name": "my_soil", "time_step": "static"})
    swath = CUSTOM.model_copy(update={"name": "my_swath", "time_step": "instant"})
    put_month(root, "my_swath", date(2011, 1, 1))
    for product in (CUSTOM, still, swath):
        (definitions / f"{product.name}.yml").write_text(product.to_yaml(), encoding="utf-8")
    static = root / "raw" / "my_soil" / "static" / "my_soil.parquet"
    static.parent.mkdir(parents=True)
    static.touch()
    regions = root / "regions" / "region" / "districts.parquet"
    regions.parent.mkdir(parents=True)
    pq.write_table(pa.table({"region_id": ["north", "south"]}), regions)
    pq.write_table(pa.table({"region_id": ["all", "none"]}), regions.with_name("countries.parquet"))
    return root


@pytest.fixture
def minimal() -> dict:
    """The smallest study that is right over that lake."""
    return {
        "name": "small",
        "title": "A small study",
        "period": {"start": date(2011, 1, 1), "end": date(2012, 1, 1)},
        "series": [{"variable": "precipitation", "product": "chirps_monthly"}],
    }


@pytest.fixture
def written(tmp_path: Path):
    """Writes a study's mapping as a file and returns its path."""

    def write(study: dict) -> Path:
        path = tmp_path / "study.yml"
        path.write_text(yaml.safe_dump({"study": study}, sort_keys=False), encoding="utf-8")
        return path

    return write
