"""The desk's tables against polars on made-up days, and what leaves them as CSV and Excel."""

from __future__ import annotations

import csv
from datetime import date

import duckdb
import numpy as np
import openpyxl
import polars as pl
import pytest

from serving.dictionary import dictionary
from serving.errors import ServingError
from serving.tables import SIMULATED, write_tables
from tests.serving.generations import TRIANGLE
from tests.warehouse import REPOSITORY, Warehouse, small_grid

N_PIXELS, MIN_DAYS, MIN_YEARS, MAP_PERIODS = 6, 2, 3, 5
KEYS = ["product", "pixel_id", "period_kind", "period_start"]
CLASSES = pl.read_csv(REPOSITORY / "seeds" / "drought_classes.csv")


def made_days() -> pl.DataFrame:
    """Four years of days, a third of them missing; pixel 5 is the same every day, and a whole dekad and a whole year's June are missing."""
    days = pl.date_range(date(2010, 1, 1), date(2013, 12, 31), "1d", eager=True)
    rng = np.random.default_rng(11)
    rows = pl.DataFrame({"obs_date": days}).join(pl.DataFrame({"pixel_id": range(N_PIXELS)}), how="cross")
    rows = rows.with_columns(sm=rng.uniform(0.1, 0.4, len(rows)), kept=rng.uniform(size=len(rows)) > 0.33)
    rows = rows.with_columns(sm=pl.when(pl.col("pixel_id") == 5).then(0.25).otherwise(pl.col("sm")))
    day = pl.col("obs_date")
    gone = day.is_between(date(2012, 3, 11), date(2012, 3, 20)) | ((day.dt.year() == 2011) & (day.dt.month() == 6))
    return rows.filter(pl.col("kept") & ~gone & (day <= date(2013, 12, 17))).drop("kept")


@pytest.fixture(scope="module")
def desk(tmp_path_factory) -> Warehouse:
    house = Warehouse(tmp_path_factory.mktemp("desk"))
    house.grid("grid", small_grid(2, 3))
    regions = pl.DataFrame(
        {"region_id": ["all of it", "west"], "name": ["=1+1", "West"], "level": [0, 1], "area_km2": [6.0, 2.0]}
    )
    members = pl.DataFrame(
        {
            "region_id": ["all of it"] * 6 + ["west"] * 3,
            "pixel_id": [0, 1, 2, 3, 4, 5, 0, 3, 1],
            "fraction": [1.0] * 8 + [0.25],
        }
    )
    house.regions("basins", "grid", regions, members)
    shapes = house.lake / "regions" / "region" / "basins.parquet"
    pl.read_parquet(shapes).with_columns(geometry_wkb=pl.Series([bytes.fromhex(TRIANGLE), b""])).write_parquet(shapes)
    house.product("daily", "grid", made_days())
    house.product(
        "monthly",
        "grid",
        monthly := months_of(made_days()).select("pixel_id", obs_date="month", sm="value"),
        time_step="month",
    )
    assert len(monthly)
    own = {"variable": "soil_moisture", "column": "sm", "unit": "m3 m-3"}
    house.study = {
        "name": "desk",
        "groups": ["desk", "trends"],
        "period": {"start": date(2010, 1, 1), "end": date(2014, 1, 1)},
        "region": {"set": "basins"},
        "series": [own | {"product": "daily", "layer": "0-5 cm"}, own | {"product": "monthly", "layer": "5-35 cm"}],
        "desk": {"min_days": MIN_DAYS, "min_years": MIN_YEARS, "map_periods": MAP_PERIODS},
    }  # fmt: skip
    house.dbt("build", "--select", *(f"+{t}" for t in ("fct_desk_state", "fct_desk_class_area", "fct_desk_region", "fct_desk_data_age", "int_ssmi", "dim_granule")),
              "dim_region", "dim_region_geometry")  # fmt: skip
    return house


def dekads_of(days: pl.DataFrame) -> pl.DataFrame:
    number = pl.min_horizontal((pl.col("obs_date").dt.day() - 1) // 10, pl.lit(2))
    first = pl.col("obs_date").dt.month_start()
    return (
        days.with_columns(period_start=first.dt.offset_by(pl.format("{}d", 10 * number)), dekad=number, first=first)
        .group_by("pixel_id", "period_start", "dekad", "first")
        .agg(value=pl.col("sm").mean(), n_days=pl.len().cast(pl.Int64), newest_date=pl.col("obs_date").max())
        .filter(pl.col("n_days") >= MIN_DAYS)
        .with_columns(
            period_end=pl.when(pl.col("dekad") < 2).then(pl.col("period_start").dt.offset_by("10d")).otherwise(pl.col("first").dt.offset_by("1mo")),
            period_kind=pl.lit("dekad"),
            product=pl.lit("daily"),
        )
    )  # fmt: skip


def months_of(days: pl.DataFrame) -> pl.DataFrame:
    """Months with 5 days in all three dekads, which is when a month counts by default."""
    number = pl.min_horizontal((pl.col("obs_date").dt.day() - 1) // 10, pl.lit(2))
    months = days.group_by("pixel_id", month=pl.col("obs_date").dt.month_start()).agg(
        value=pl.col("sm").mean(), n_days=pl.len().cast(pl.Int64), n_dekads=number.n_unique(), newest_date=pl.col("obs_date").max()
    )  # fmt: skip
    return months.filter((pl.col("n_days") >= 5) & (pl.col("n_dekads") == 3)).drop("n_dekads")


def with_normals(values: pl.DataFrame, unit: str) -> pl.DataFrame:
    """normal, standardised and change of the values of a unit (a pixel or a region), by the definition."""
    of_year = [
        unit,
        "product",
        "period_kind",
        pl.col("period_start").dt.month().alias("m"),
        pl.col("period_start").dt.day().alias("d"),
    ]
    spread = pl.when(pl.col("value").max() > pl.col("value").min()).then(pl.col("value").std())
    enough = pl.col("n_years") >= MIN_YEARS
    values = values.with_columns(
        n_years=pl.len().over(of_year).cast(pl.Int64), mean=pl.col("value").mean().over(of_year), sd=spread.over(of_year)
    )  # fmt: skip
    before = values.select(unit, "product", "period_kind", period_start="period_end", previous="value")
    return values.join(before, on=[unit, "product", "period_kind", "period_start"], how="left").with_columns(
        normal=pl.when(enough).then(pl.col("mean")),
        standardised=pl.when(enough).then((pl.col("value") - pl.col("mean")) / pl.col("sd")),
        change=pl.col("value") - pl.col("previous"),
    )


@pytest.fixture(scope="module")
def expected() -> pl.DataFrame:
    """Every dekad and month of every pixel."""
    days = made_days()
    months = months_of(days).with_columns(
        period_start=pl.col("month"), period_end=pl.col("month").dt.offset_by("1mo"), period_kind=pl.lit("month"), product=pl.lit("daily")
    )  # fmt: skip
    columns = [*KEYS, "period_end", "value", "n_days", "newest_date"]
    other = months.with_columns(
        product=pl.lit("monthly"), n_days=pl.lit(1, pl.Int64), newest_date=pl.lit(None, pl.Date)
    )
    return with_normals(pl.concat([part.select(columns) for part in (dekads_of(days), months, other)]), "pixel_id")


def near(found: pl.Series, wanted: pl.Series) -> None:
    assert found.null_count() < len(found)
    assert (found.is_null() == wanted.is_null()).all()
    assert np.allclose(found.drop_nulls().to_numpy(), wanted.drop_nulls().to_numpy(), rtol=1e-9, atol=1e-12)


def test_the_map_of_the_last_periods(desk, expected):
    found = desk.query("select * from marts.fct_desk_state").sort(KEYS)
    last = expected.group_by("period_kind").agg(
        period_start=pl.col("period_start").unique().sort(descending=True).head(MAP_PERIODS)
    )
    wanted = expected.join(last.explode("period_start"), on=["period_kind", "period_start"]).sort(KEYS)
    assert found.select(KEYS).equals(wanted.select(KEYS)) and len(found) > 2 * MAP_PERIODS
    near(found["soil_moisture_m3m3"], wanted["value"])
    near(found["normal_m3m3"], wanted["normal"])
    near(found["standardised_anomaly"], wanted["standardised"])
    near(found["change_m3m3"], wanted["change"])
    near(found["anomaly_m3m3"], wanted["value"] - wanted["normal"])
    for column in ("period_end", "n_days", "n_years", "newest_date"):
        assert found[column].equals(wanted[column].alias(column)), column
    assert found["age_days"].equals(
        ((wanted["period_end"] - wanted["newest_date"]).dt.total_days() - 1).cast(pl.Int32).alias("age_days")
    )
    pixels = desk.query("select pixel_id, lon, lat from marts.dim_pixel")
    assert found.join(pixels, on="pixel_id", suffix="_of_pixel").filter((pl.col("lon") == pl.col("lon_of_pixel")) & (pl.col("lat") == pl.col("lat_of_pixel"))).height == len(found)  # fmt: skip
    newest = found.filter(pl.col("periods_ago") == 0).group_by("period_kind").agg(pl.col("period_start").unique())
    assert dict(newest.iter_rows()) == {"dekad": [date(2013, 12, 11)], "month": [date(2013, 11, 1)]} or len(newest) == 2
    # The pixel that never changes has a normal and no class.
    still = found.filter(pl.col("pixel_id") == 5)
    assert still["standardised_anomaly"].null_count() == still["class"].null_count() == len(still)
    assert (still["anomaly_m3m3"].drop_nulls() == 0).all()


def test_months_are_the_ssmi_of_one_month(desk):
    both = desk.query(
        "select s.ssmi, d.standardised from intermediate.int_desk_state as d join intermediate.int_ssmi as s"
        " on s.series_id = d.series_id and s.pixel_id = d.pixel_id and s.month = d.period_start and s.scale_months = 1"
        " where d.period_kind = 'month'"
    )
    assert len(both) > 400
    near(both["standardised"], both["ssmi"])


def class_of(index: float) -> int:
    """A limit belongs to the class farther from 0."""
    size = next(n for limit, n in ((2, 4), (1.5, 3), (1, 2), (1e-6, 1), (-1, 0)) if abs(index) >= limit)
    return int(np.sign(index)) * size


def test_areas_add_up_and_change(desk, expected):
    found = desk.query("select * from marts.fct_desk_class_area")
    pixels = desk.query("select * from intermediate.int_pixel_region")
    classed = expected.drop_nulls("standardised").with_columns(
        class_order=pl.col("standardised").map_elements(class_of, return_dtype=pl.Int32)
    )
    members = pixels.select("pixel_id", "region_id", area=pl.col("area_km2") * pl.col("fraction"))
    by = ["product", "region_id", "period_kind", "period_start"]
    areas = classed.join(members, on="pixel_id").group_by([*by, "class_order"]).agg(wanted=pl.col("area").sum())
    joined = found.join(areas, on=[*by, "class_order"], how="full", coalesce=True).with_columns(
        pl.col("wanted").fill_null(0)
    )
    assert joined["area_km2"].null_count() == 0
    near(joined["area_km2"], joined["wanted"])
    assert found.group_by(by).len()["len"].unique().to_list() == [9]
    assert found.group_by(by).agg(pl.col("area_fraction").sum())["area_fraction"].to_numpy() == pytest.approx(1)
    # The change is from the period that ends where this one begins, and there is none over a gap.
    changed = found.join(
        found.select("product", "region_id", "period_kind", "class", period_start="period_end", before="area_fraction"),
        on=["product", "region_id", "period_kind", "class", "period_start"], how="left",
    )  # fmt: skip
    near(changed["change_fraction"], changed["area_fraction"] - changed["before"])


def test_storage_of_regions(desk, expected):
    found = desk.query("select * from marts.fct_desk_region").sort(
        "product", "region_id", "period_kind", "period_start"
    )
    pixels = desk.query("select * from intermediate.int_pixel_region")
    members = pixels.select("pixel_id", "region_id", area=pl.col("area_km2") * pl.col("fraction"))
    means = (
        expected.join(members, on="pixel_id")
        .group_by("product", "region_id", "period_kind", "period_start", "period_end")
        .agg(
            value=(pl.col("value") * pl.col("area")).sum() / pl.col("area").sum(),
            area=pl.col("area").sum(), n_pixels=pl.len().cast(pl.Int64), newest_date=pl.col("newest_date").max(),
        )
    )  # fmt: skip
    wanted = with_normals(means, "region_id").sort("product", "region_id", "period_kind", "period_start")
    assert found["period_start"].equals(wanted["period_start"]) and found["n_pixels"].equals(wanted["n_pixels"])
    thickness = wanted["product"].replace_strict({"daily": 50.0, "monthly": 300.0})
    assert found["thickness_mm"].equals(thickness.alias("thickness_mm"))
    near(found["soil_moisture_m3m3"], wanted["value"])
    near(found["storage_mm"], wanted["value"] * thickness)
    near(found["normal_storage_mm"], wanted["normal"] * thickness)
    near(found["anomaly_mm"], (wanted["value"] - wanted["normal"]) * thickness)
    near(found["anomaly_percent"], 100 * (wanted["value"] / wanted["normal"] - 1))
    near(found["standardised_anomaly"], wanted["standardised"])
    near(found["change_mm"], wanted["change"] * thickness)
    total = members.group_by("region_id").agg(total=pl.col("area").sum())
    near(found["area_fraction"], (wanted.join(total, on="region_id", how="left", maintain_order="left")["area"] / wanted.join(total, on="region_id", how="left", maintain_order="left")["total"]))  # fmt: skip
    assert found["newest_date"].equals(wanted["newest_date"])


def test_the_age_of_the_data(desk):
    found = desk.query("select * from marts.fct_desk_data_age order by product, region_id")
    last = made_days().filter(pl.col("obs_date") <= date(2013, 12, 20))["obs_date"].max()
    daily = found.filter((pl.col("product") == "daily") & (pl.col("region_id") == "all of it")).row(0, named=True)
    assert daily["newest_date"] == last == date(2013, 12, 17) and daily["days_behind"] == 0
    assert daily["days_to_end_of_study"] == 14
    monthly = found.filter(pl.col("product") == "monthly").row(0, named=True)
    assert monthly["days_behind"] == (last - monthly["newest_date"]).days > 0


def test_shapes_of_regions_are_text(desk):
    """A region without a shape has no row; the other's is the bytes that were registered."""
    assert desk.query("select region_id, name, geometry_wkb_hex from marts.dim_region_geometry").rows() == [
        ("all of it", "=1+1", TRIANGLE)
    ]


@pytest.fixture(scope="module")
def described():
    return dictionary(REPOSITORY)


def test_tables_for_each_region(desk, described, tmp_path):
    files = write_tables(desk.database, tmp_path, "desk", described=described, simulated=True)
    names = {"storage.csv", "drought_area.csv", "data_age.csv"}
    for region, folder in (("all of it", "all_of_it"), ("west", "west")):
        there = {f.name for f in files if f.parent.name == folder}
        assert there == {f"SIMULATED_{n}" for n in names} | {
            "columns.csv",
            "provenance.csv",
            f"SIMULATED_{folder}.xlsx",
        }
        wanted = desk.query(
            "select * from marts.fct_desk_region where region_id = $1 order by product, layer, period_kind, period_start",
            [region],
        )
        read = list(csv.DictReader((tmp_path / folder / "SIMULATED_storage.csv").open(encoding="utf-8-sig")))
        assert [float(r["storage_mm"]) for r in read] == wanted["storage_mm"].to_list(), "to the last digit"
        assert [r["anomaly_mm"] == "" for r in read] == wanted["anomaly_mm"].is_null().to_list()
        book = openpyxl.load_workbook(tmp_path / folder / f"SIMULATED_{folder}.xlsx")
        assert book.sheetnames == ["about", "storage", "drought_area", "data_age", "columns", "provenance"]
        header, *rows = book["storage"].iter_rows(values_only=True)
        assert list(header) == wanted.columns and len(rows) == len(wanted)
        place = header.index("storage_mm")
        assert [row[place] for row in rows] == pytest.approx(wanted["storage_mm"].to_list(), rel=1e-15)
        assert rows[0][header.index("period_start")].date() == wanted["period_start"][0]
        about = dict(list(book["about"].iter_rows(values_only=True))[1:])
        assert about["note"] == SIMULATED and about["study"] == "desk"
        meanings = {(t, c): m for t, c, m in book["columns"].iter_rows(values_only=True)}
        assert "mm" in meanings["storage", "storage_mm"]
        provenance = list(book["provenance"].iter_rows(values_only=True))
        assert ("file of daily, SHA-256", "daily.csv", "0" * 64) in provenance
    # A name that looks like a formula stays text.
    cell = openpyxl.load_workbook(tmp_path / "all_of_it" / "SIMULATED_all_of_it.xlsx")["about"]["B3"]
    assert cell.data_type == "s" and cell.value == "all of it (=1+1)"


def test_one_region_and_one_form(desk, described, tmp_path):
    files = write_tables(desk.database, tmp_path, region="west", described=described, formats=["xlsx"])
    assert [f.relative_to(tmp_path).as_posix() for f in files] == ["west/west.xlsx"]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"region": "east"}, "no region 'east'"),
        ({"study": "java"}, "holds the study desk, not java"),
        ({"formats": ["pdf"]}, "Possible: csv, xlsx"),
    ],
)
def test_what_cannot_be_written_is_told(desk, described, tmp_path, asked, said):
    with pytest.raises(ServingError) as refused:
        write_tables(desk.database, tmp_path, described=described, **asked)
    assert said in str(refused.value)
    assert not list(tmp_path.iterdir())


def test_a_database_without_a_desk_is_told(described, tmp_path):
    duckdb.connect(str(tmp_path / "x.duckdb")).close()
    with pytest.raises(ServingError) as refused:
        write_tables(tmp_path / "x.duckdb", tmp_path / "out", described=described)
    assert "Add `desk` to the groups" in refused.value.next_step
