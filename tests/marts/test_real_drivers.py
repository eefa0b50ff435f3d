"""The geographical detector on real data: soil moisture of the USA; rainfall of Java and Sierra Leone, and the temperature there.

What explains is on grids of its own: MCD12C1 land cover of 0.1 degree reaches CHIRPS (0.05 degree) and ERA5-Land (0.1 degree, half a cell aside)
through the weights that the loads leave in the lake.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import xarray

from tests.conftest import count_cases
from tests.marts import drivers_reference as detector
from tests.marts import real, reference
from tests.marts.drivers_world import MARTS
from tests.warehouse import Warehouse

USA = (date(2015, 4, 1), date(2016, 4, 1))
STATIC = ("land_cover", "ndvi", "clay", "sand", "albedo")
ONLY_MARTS = (
    "--select",
    *(f"+{mart}" for mart in (*MARTS, "dim_pixel")),
    "--exclude-resource-type",
    "unit_test",
)


def build(root: Path, study: dict) -> Warehouse:
    house = Warehouse(root, study)
    house.dbt("build", *ONLY_MARTS)
    return house


@pytest.fixture(scope="module")
def usa(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    root = tmp_path_factory.mktemp("usa")
    folder = shared / "data/conus_table"
    daily, static = folder / "conus_daily_2015-04_2016-03.csv.gz", folder / "conus_static.csv"
    real.load(root, "table", daily, "--as", "conus", "--grid", "ease2_m36")
    real.load(root, "table", static, "--as", "conus_static", "--grid", "ease2_m36")
    return build(
        root,
        {
            "name": "usa",
            "groups": ["drivers"],
            "period": {"start": str(USA[0]), "end": str(USA[1])},
            "series": [
                {"variable": "soil_moisture", "product": "conus", "layer": "0-5 cm", "column": "soil_moisture"},
                {"variable": "precipitation", "product": "conus", "column": "precipitation", "scale": 24},
                {"variable": "air_temperature", "product": "conus", "column": "air_temperature", "offset": -273.15},
            ],
            "factors": [
                {"factor": "precipitation", "variable": "precipitation", "product": "conus"},
                {"factor": "air_temperature", "variable": "air_temperature", "product": "conus"},
                *(
                    {"factor": name, "product": "conus_static", "column": name}
                    | ({"kind": "categorical"} if name == "land_cover" else {})
                    for name in STATIC
                ),
            ],
            "drivers": {"periods": ["all", "season"], "k_max": 6, "permutations": 19},
        },
    )


@pytest.fixture(scope="module")
def usa_map(shared: Path, usa: Warehouse) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """(y, factors) of the year, by pixel, from the CSV files alone."""
    days = pl.read_csv(shared / "data/conus_table/conus_daily_2015-04_2016-03.csv.gz", try_parse_dates=True)
    days = real.with_pixels(usa, days.rename({"date": "obs_date"}))
    columns = {
        "soil_moisture": (pl.col("soil_moisture"), "mean"),
        "precipitation": (pl.col("precipitation") * 24, "total"),
        "air_temperature": (pl.col("air_temperature") - 273.15, "mean"),
    }
    frame = real.with_pixels(usa, pl.read_csv(shared / "data/conus_table/conus_static.csv")).sort("pixel_id")
    for name, (value, statistic) in columns.items():
        months = reference.months_of_days(days.select("pixel_id", "obs_date", value=value).drop_nulls(), statistic)
        year = months.group_by("pixel_id").agg(pl.col("value").mean().alias(name), pl.len().alias("n"))
        year = year.filter(pl.col("n") >= 6).drop("n")
        frame = frame.join(year.with_columns(pl.col("pixel_id").cast(pl.Int64)), on="pixel_id", how="left")
    frame = frame.sort("pixel_id").filter(pl.col("soil_moisture").is_not_null())
    factors = {name: frame[name].to_numpy().astype(float) for name in ("precipitation", "air_temperature", *STATIC)}
    return frame["soil_moisture"].to_numpy(), factors


def test_usa_q(usa: Warehouse, usa_map: tuple) -> None:
    """Every factor's q, its strata looked up in the published limits; land cover, whose strata need none, leads."""
    y, factors = usa_map
    rows = usa.query("select * from marts.fct_factor_detector where period_kind = 'all'")
    strata = usa.query("select * from marts.fct_factor_strata where period_kind = 'all' order by factor, stratum")
    assert set(rows["factor"]) == set(factors)
    n = 0
    for row in rows.iter_rows(named=True):
        x = factors[row["factor"]]
        known = np.isfinite(x)
        uppers = strata.filter(pl.col("factor") == row["factor"])["upper"].to_numpy()
        # Means of months differ in their last digit from an engine's: a value on a limit stays below it.
        stratum = (
            x[known]
            if row["factor"] == "land_cover"
            else detector.strata_of(x[known] - 1e-12 * np.abs(x[known]), uppers)
        )
        theirs = detector.detect(y[known], stratum)
        assert row["n_used"] == known.sum() > 390 and row["n_strata"] == theirs.n_strata
        assert row["q"] == pytest.approx(theirs.q, rel=1e-9)
        assert row["p_central"] == pytest.approx(theirs.p_central, rel=1e-6, abs=1e-14)
        n += 1
    leading = usa.query("select factor, q, margin from marts.fct_leading_factor where period_kind = 'all'")
    assert leading["factor"].to_list() == ["land_cover"] and 0.6 < leading["q"][0] < 0.75
    count_cases("USA, drivers, q", n)


def test_usa_quintiles(usa: Warehouse, usa_map: tuple) -> None:
    """Candidates of the quantile method: numpy's quantiles, nothing of the warehouse."""
    y, factors = usa_map
    rows = usa.query("select * from marts.fct_factor_candidates where period_kind = 'all' and method = 'quantile'")
    n = 0
    for row in rows.iter_rows(named=True):
        x = factors[row["factor"]]
        known = np.isfinite(x)
        breaks = np.quantile(x[known], np.linspace(0, 1, row["n_strata_asked"] + 1))
        if np.unique(breaks).size == breaks.size:
            theirs = detector.q_of(y[known], detector.strata_of(x[known], breaks[1:]))
            assert row["q"] == pytest.approx(theirs, rel=1e-9)
            n += 1
    assert n >= 20
    count_cases("USA, drivers, q of quantile candidates", n)


def test_usa_land_cover_with_precipitation(usa: Warehouse, usa_map: tuple) -> None:
    y, factors = usa_map
    row = usa.query(
        "select * from marts.fct_interaction_detector where period_kind = 'all'"
        " and factor_1 = 'precipitation' and factor_2 = 'land_cover'"
    ).row(0, named=True)
    uppers = usa.query(
        "select upper from marts.fct_factor_strata where period_kind = 'all' and factor = 'precipitation' order by stratum"
    )["upper"].to_numpy()
    known = np.isfinite(factors["precipitation"]) & np.isfinite(factors["land_cover"])
    rain = detector.strata_of(factors["precipitation"][known] * (1 - 1e-12), uppers)
    assert row["q_12"] == pytest.approx(detector.q_of(y[known], rain * 100 + factors["land_cover"][known]), rel=1e-9)
    assert row["q_12"] > max(row["q_1"], row["q_2"])
    count_cases("USA, drivers, interactions", 1)


@pytest.fixture(scope="module")
def tropics(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    root = tmp_path_factory.mktemp("tropics")
    real.load(root, "chirps_monthly", shared / "data/chirps_java_monthly")
    era5 = shared / "data/era5_land/era5-land-monthly-temp-precip-1990-2025-sierra-leone.nc"
    real.load(root, "era5_land_monthly", era5)
    with xarray.open_dataset(shared / "data/land_cover_global/IGBP.nc", engine="netcdf4") as dataset:
        parts = [
            dataset["IGBP"].sel(lon=slice(west, east), lat=slice(south, north)).to_dataframe().reset_index()
            for west, south, east, north in ((104, -10, 118, -4), (-15, 5, -9, 12))
        ]
    table = pl.concat([pl.from_pandas(part) for part in parts]).select("lon", "lat", land_cover="IGBP").drop_nulls()
    table.with_columns(pl.col("lon", "lat").round(6)).write_csv(root / "land_cover.csv")
    real.load(root, "table", root / "land_cover.csv", "--as", "igbp", "--grid", "latlon_0p1")
    return build(
        root,
        {
            "name": "tropics",
            "groups": ["drivers"],
            "period": {"start": "2011-01-01", "end": "2018-01-01"},
            "series": [
                {"variable": "precipitation", "product": "chirps_monthly"},
                {"variable": "air_temperature", "product": "era5_land_monthly"},
            ],
            "factors": [
                {"factor": "lat", "coordinate": "lat"},
                {"factor": "lon", "coordinate": "lon", "method": "equal", "k": 6},
                {"factor": "land_cover", "product": "igbp", "column": "land_cover", "kind": "categorical", "exclude": [0]},
            ],
            "drivers": {"targets": ["precipitation", "air_temperature"], "periods": ["all"], "permutations": 0},
        },
    )  # fmt: skip


def _land_cover_under(shared: Path, lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
    """The class of the cell that holds each point, on a border the eastern, the southern; NaN for water."""
    with xarray.open_dataset(shared / "data/land_cover_global/IGBP.nc", engine="netcdf4", decode_cf=False) as dataset:
        classes = dataset["IGBP"].to_numpy().astype(float)
    col = np.floor(np.round((lon + 180) * 10, 6)).astype(int)
    from_north = np.floor(np.round((90 - lat) * 10, 6)).astype(int)
    found = classes[1799 - from_north, col]
    return np.where((found == 0) | (found == -9999), np.nan, found)


@pytest.mark.parametrize("product", ["chirps_monthly", "era5_land_monthly"])
def test_land_cover_on_other_grids(shared: Path, tropics: Warehouse, product: str) -> None:
    frame = tropics.query(
        """
        select pixels.lon, pixels.lat, pixel.deviation, static.value as land_cover
        from intermediate.int_driver_pixel as pixel
        join intermediate.int_driver_map as map using (driver_map_id)
        join marts.dim_pixel as pixels on map.grid_id = pixels.grid_id and pixel.pixel_id = pixels.pixel_id
        left join intermediate.int_factor as factor on factor.factor = 'land_cover'
        left join intermediate.int_factor_static as static on static.factor_id = factor.factor_id
            and static.grid_id = map.grid_id and static.pixel_id = pixel.pixel_id
        where map.product = ?
        """,
        [product],
    )
    lon, lat, y = (frame[name].to_numpy() for name in ("lon", "lat", "deviation"))
    theirs = _land_cover_under(shared, lon, lat)
    ours = frame["land_cover"].to_numpy().astype(float)
    np.testing.assert_array_equal(ours, theirs)
    assert np.isfinite(ours).mean() > 0.8
    rows = {
        row["factor"]: row
        for row in tropics.query("select * from marts.fct_factor_detector where product = ?", [product]).iter_rows(
            named=True
        )
    }
    known = np.isfinite(theirs)
    assert rows["land_cover"]["q"] == pytest.approx(detector.q_of(y[known], theirs[known]), rel=1e-9)
    breaks = np.linspace(lon.min(), lon.max(), 7)
    assert rows["lon"]["q"] == pytest.approx(detector.q_of(y, detector.strata_of(lon, breaks[1:])), rel=1e-9)
    assert rows["lat"]["q"] > 0.02 and rows["lat"]["n_used"] == lon.size > 900
    count_cases("Java and Sierra Leone, drivers, q", 2)
    count_cases("Java and Sierra Leone, pixels with land cover of another grid", int(known.sum()))
