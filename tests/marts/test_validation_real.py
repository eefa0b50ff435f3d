"""Validation against the peers' tables and on real stations: every score is pytesmo's."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import defaultdict
from datetime import date, datetime
from pathlib import Path

import netCDF4
import numpy as np
import polars as pl
import pytest
import xarray as xr
import yaml

from loaders.grids import GRIDS
from tests.conftest import count_cases
from tests.marts.validation_reference import Series, anomalies, expected_score, scaled
from tests.warehouse import REPOSITORY, Warehouse

START, END = date(2018, 8, 1), date(2020, 8, 1)
CASES = ("c3s_combined_vs_rzsm_daily", "synthetic_stations")
OFFSET = 0.3  # some made-up stations are below 0, which no station is: nothing that is compared minds where 0 is


@pytest.fixture(scope="module")
def oracles(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Warehouse, pl.DataFrame]:
    """The peers' pairs as a product and a station each, on a grid of one row, day after day."""
    parts, tables = [], []
    for case in CASES:
        folder = shared / "oracles" / "metrics" / case
        parts.append(pl.read_csv(folder / "input.csv", infer_schema_length=None))
        tables.append(pl.read_csv(folder / "pytesmo.csv", infer_schema_length=None).filter(pl.col("n") >= 4))
    table = pl.concat(tables, how="vertical_relaxed")
    names = {name: i for i, name in enumerate(table["pixel"])}
    rows = (
        pl.concat(parts)
        .filter(pl.col("pixel").is_in(list(names)))
        .with_columns(
            pl.col("pixel").replace_strict(names).alias("pixel_id"),
            obs_date=pl.lit(date(2001, 1, 1)) + pl.duration(days=pl.int_range(pl.len()).over("pixel")),
        )
        .cast({"pixel_id": pl.Int32, "obs_date": pl.Date})
    )
    house = Warehouse(tmp_path_factory.mktemp("oracles"))
    ids = np.arange(len(names))
    house.grid(
        "row",
        pl.DataFrame(
            {
                "pixel_id": ids,
                "row_index": 0,
                "col_index": ids,
                "lon": 10 + 0.01 * ids,
                "lat": 50.0,
                "x_m": 1000.0 * ids,
                "y_m": 0.0,
                "area_km2": 0.8,
            }
        ),
    )
    house.product(
        "estimate",
        "row",
        rows.filter(pl.col("x").is_not_null()).select("pixel_id", "obs_date", value=pl.col("x") + OFFSET),
    )
    house.product(
        "peers", "none",
        rows.filter(pl.col("y").is_not_null()).select(
            "obs_date", station_id="pixel", layer_top_cm=pl.lit(0.0), layer_bottom_cm=pl.lit(5.0), obs_time=pl.lit(None, pl.Datetime("us")),
            soil_moisture_m3m3=pl.col("y") + OFFSET, pixel_id=pl.lit(0),
        ),
        time_step="instant",
    )  # fmt: skip
    pl.DataFrame(
        {"product": "peers", "station_id": list(names), "network": "peers", "name": list(names), "lon": [10 + 0.01 * i + 0.003 for i in ids], "lat": 50.0}
    ).with_columns(
        elevation_m=pl.lit(None, pl.Float64), land_cover=pl.lit(None, pl.String), method=pl.lit(None, pl.String)
    ).write_parquet(house.lake / "stations" / "peers.parquet")  # fmt: skip
    house.study = {
        "name": "peers",
        "groups": ["validation"],
        "period": {"start": date(2001, 1, 1), "end": date(2015, 1, 1)},
        "series": [{"variable": "soil_moisture", "product": "estimate", "layer": "0-5 cm", "column": "value"}],
        "stations": ["peers"],
        "validation": {"forms": ["raw"], "unit_kinds": ["station"], "min_n": 4, "effective_n": False},
    }
    house.dbt("build", "--select", "+fct_station_validation")
    return house, table


def test_scores_are_those_of_the_peers_tables(oracles):
    house, table = oracles
    ours = house.query("select * from marts.fct_station_validation").join(
        table.rename({"pixel": "unit_id"}), on="unit_id", suffix="_peer"
    )
    assert len(ours) == len(table) > 30
    names = {
        "n": "n_peer", "bias_m3m3": "bias", "rmse_m3m3": "rmsd", "ubrmse_m3m3": "ubrmsd", "r": "pearson_r", "rho": "spearman_r",
        "bias_lower_m3m3": "bias_lo95", "bias_upper_m3m3": "bias_hi95", "ubrmse_lower_m3m3": "ubrmsd_lo95", "ubrmse_upper_m3m3": "ubrmsd_hi95",
        "r_lower": "pearson_r_lo95", "r_upper": "pearson_r_hi95", "rho_lower": "spearman_r_lo95", "rho_upper": "spearman_r_hi95",
    }  # fmt: skip
    n_numbers = 0
    for row in ours.iter_rows(named=True):
        for mine, theirs in names.items():
            perfect = abs(row["r" if mine.startswith("r_") else "rho"]) >= 1 - 1e-12 and mine.startswith(("r_", "rho_"))
            if perfect:
                assert row[mine] is None, "a perfect correlation has no interval"
                continue
            assert row[mine] == pytest.approx(row[theirs], rel=1e-9, abs=1e-12), (row["unit_id"], mine)
            n_numbers += 1
    count_cases("validation, scores of pytesmo's tables, numbers", n_numbers)


@pytest.fixture(scope="module")
def murrumbidgee(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """studies/murrumbidgee.yml on the files that its header names. Files of outages are refused, which is the load's exit code."""
    root = tmp_path_factory.mktemp("murrumbidgee")
    for arguments in (
        ("ismn", shared / "data/ismn/oznet_australia", "--as", "oznet"),
        ("spl3smp_points", shared / "data/smap_l3_timeseries/australia"),
        ("era5_hourly", shared / "data/era5_timeseries/australia"),
    ):
        command = [sys.executable, "-m", "soilhouse", "load", *map(str, arguments), "--lake", str(root / "lake")]
        subprocess.run(command, cwd=REPOSITORY, env=os.environ, capture_output=True, check=False)
    house = Warehouse(root, yaml.safe_load((REPOSITORY / "studies/murrumbidgee.yml").read_text())["study"])
    house.dbt("build", "--select", "+path:models/marts/validation")
    return house


def stations(folder: Path) -> dict[str, tuple[float, float, Series]]:
    """lon, lat and the days of each file: means of the values with the flag G."""
    found = {}
    for path in sorted(folder.glob("*.stm")):
        head, *lines = path.read_text().splitlines()
        lat, lon = (float(word) for word in head.split()[3:5])
        days: dict[date, list[float]] = defaultdict(list)
        for line in lines:
            day, _, value, flag = line.split()[:4]
            if flag == "G" and 0 <= float(value) <= 1:
                days[datetime.strptime(day, "%Y/%m/%d").date()].append(float(value))
        found["OZNET_" + path.name.split("_")[2]] = (
            lon,
            lat,
            {d: float(np.mean(v)) for d, v in days.items() if START <= d < END},
        )
    return found


def smap_day(path: Path, lon: float, lat: float) -> tuple[date, float | None]:
    grid = GRIDS["ease2_m36"]
    with netCDF4.Dataset(path) as data:
        if "soil_moisture" not in data.variables:
            return date.min, None
        places = [np.asarray(data[name][:], np.float64) for name in ("longitude", "latitude")]
        values = data["soil_moisture"][:].filled(np.nan).astype(np.float64)
    row, column, _ = grid.locate(*places)
    here_row, here_column, _ = grid.locate(np.array([lon]), np.array([lat]), tolerance=None)
    here = values[(row == here_row) & (column == here_column) & (values >= np.float32(0.02)) & (values <= 0.5)]
    return datetime.strptime(path.name.split("_")[1], "%Y%m%d").date(), float(here.mean()) if here.size else None


def test_the_murrumbidgees_scores_are_pytesmos(shared: Path, murrumbidgee: Warehouse):
    loaded = set(murrumbidgee.query("select product, station_id from marts.fct_matchups").unique().iter_rows())
    known = stations(shared / "data/ismn/oznet_australia")
    granules = pl.read_parquet(murrumbidgee.lake / "catalog/granules/*.parquet")["granule"].to_list()
    era5 = defaultdict(list)
    for path in sorted((shared / "data/era5_timeseries/australia").glob("*.nc")):
        if path.name in granules:
            with xr.open_dataset(path, engine="netcdf4") as data:
                for name, (lon, lat, _) in known.items():
                    cell = data.sel(longitude=lon, latitude=lat, method="nearest")
                    assert float(cell["lsm"].max()) >= 0.5
                    era5[name] += list(
                        zip(
                            cell["valid_time"].values.astype("datetime64[D]").astype(object),
                            cell["swvl1"].values.astype(float),
                            strict=True,
                        )
                    )
    series: dict[tuple[str, str], Series] = {}
    for name, (lon, lat, _) in known.items():
        hours: dict[date, list[float]] = defaultdict(list)
        for day, value in era5[name]:
            hours[day].append(max(value, 0.0))
        series["era5_hourly", name] = {
            d: float(np.mean(v)) for d, v in hours.items() if len(v) >= 12 and START <= d < END
        }
        days = [
            smap_day(p, lon, lat)
            for p in sorted((shared / "data/smap_l3_timeseries/australia").glob("*.nc"))
            if p.name in granules
        ]
        series["spl3smp_points", name] = {d: v for d, v in days if v is not None and START <= d < END}

    ours = {
        tuple(row[key] for key in ("product", "unit_id", "on_values", "season", "scaling")): row
        for row in murrumbidgee.query(
            "select * from marts.fct_station_validation where unit_kind = 'station'"
        ).iter_rows(named=True)
    }
    months = {"annual": set(range(1, 13)), "DJF": {12, 1, 2}, "JJA": {6, 7, 8}}
    n_numbers = 0
    for (product, name), estimate in series.items():
        measured = known[name][2]
        for form in ("raw", "anomaly"):
            x, y = (
                (estimate, measured)
                if form == "raw"
                else (anomalies(dict(sorted(s.items())), 4) for s in (estimate, measured))
            )
            common = sorted(set(x) & set(y))
            if form == "raw":
                assert ((product, name) in loaded) == bool(common)
            for season, wanted in months.items():
                days = [d for d in common if d.month in wanted]
                if len(days) < 10:
                    continue
                before, after = (np.array([s[d] for d in days]) for s in (x, y))
                for how in ("none", "mean_std", "cdf"):
                    row = ours.pop((product, name, form, season, how))
                    for column, value in expected_score(scaled(how, before, after), after).items():
                        if np.isfinite(value):
                            assert row[column] == pytest.approx(value, rel=1e-6, abs=1e-8), (
                                product,
                                name,
                                form,
                                season,
                                how,
                                column,
                            )
                            n_numbers += 1
    assert not ours
    assert {product for product, _ in loaded} == {"spl3smp_points", "era5_hourly"}
    count_cases("Murrumbidgee, scores of stations, numbers", n_numbers)


def test_the_murrumbidgees_products_side_by_side(murrumbidgee: Warehouse):
    comparison = murrumbidgee.query(
        "select * from marts.fct_product_comparison where period_kind = 'all' and season = 'annual'"
    ).row(0, named=True)
    assert comparison["grid_id"] == "ease2_m36" and comparison["n"] > 300 and comparison["r"] > 0.3
    assert comparison["bias_m3m3"] ** 2 + comparison["ubrmse_m3m3"] ** 2 == pytest.approx(comparison["rmse_m3m3"] ** 2)
    triples = murrumbidgee.query("select * from marts.fct_triple_collocation")
    assert len(triples) > 0 and set(triples["reason"].drop_nulls()) <= {
        "too few days",
        "not correlated",
        "negative variance",
    }
    assert not triples["shares_input"].any()
    pairs = murrumbidgee.query("select obs_date, count(*) as n from marts.fct_product_pairs group by obs_date")
    assert pairs["n"].max() <= 10 and set(pairs["obs_date"]) <= {
        date(2018, 10, 17),
        date(2019, 1, 16),
        date(2019, 4, 17),
        date(2019, 7, 17),
    }
