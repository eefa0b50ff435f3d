"""The whole way, as a newcomer goes it: `soilhouse demo`, and what it shows against what was planted."""

from __future__ import annotations

import re
from dataclasses import replace

import duckdb
import pytest

import udfs
from loaders.simulate import Truth
from soilhouse import demo, demo_results
from soilhouse.demo_mark import is_simulated, mark, simulated_products
from soilhouse.settings import project_root

ROUNDED = 5e-5  # m3 m-3: files hold soil moisture in steps of 1e-4


@pytest.fixture(scope="module")
def truth(finished) -> Truth:
    return Truth.read(finished[0] / "files" / "truth.json")


@pytest.fixture(scope="module")
def tables(finished) -> dict[str, list[dict]]:
    """The demo's own results, by the first words of their titles."""
    with duckdb.connect(str(finished[0] / "soilhouse.duckdb"), read_only=True) as connection:
        return {r.title.split(" ")[0]: demo_results.rows_of(connection, r) for r in demo_results.RESULTS}


def test_it_says_that_the_data_are_simulated_and_how_long_it_took(finished):
    shown = finished[1].stdout
    assert "SIMULATED" in shown.splitlines()[0]
    for step in ("1. simulate", "2. load", "3. build", "4. what came out", "5. report", "Where to look next"):
        assert step in shown
    assert "The demo took " in shown
    assert is_simulated(finished[0] / "lake")
    assert {"basin_soil_moisture_1km", "spl2smp"} <= simulated_products(finished[0] / "lake")


def test_it_ends_with_a_report_and_says_where(finished):
    page = finished[0] / "demo_report.html"
    assert str(page) in finished[1].stdout
    assert "SIMULATED" in page.read_text(encoding="utf-8")[:20_000]


def test_every_query_that_it_shows_is_the_one_that_it_ran(finished):
    for result in demo_results.RESULTS:
        for line in result.sql.strip().splitlines():
            assert line.strip() in finished[1].stdout


def test_the_planted_trends_are_found(tables, truth):
    found = {row["region_id"]: row for row in tables["Trend"]}
    assert set(found) == {"basin", "upper", "middle", "lower"}
    for region, row in found.items():
        known = truth.trends[region]
        assert row["pixels"] == truth.regions[region]["n_pixels"]
        assert row["slope_per_year"] == pytest.approx(known["expected_median_pixel_slope_per_year"], abs=ROUNDED)
        assert row["share_significant"] == pytest.approx(known["expected_significant_fraction"], abs=0.005)
        if known["planted_slope_per_year"] is not None:
            # The line that was drawn, within what three noisy years let be seen.
            assert row["slope_per_year"] == pytest.approx(known["planted_slope_per_year"], abs=0.0015)


def test_the_season_is_found(tables):
    months = tables["Soil"]
    assert [row["month"].month for row in months] == list(range(1, 13))
    assert max(months, key=lambda row: row["mean"])["month"].month == 7


def test_the_springs_are_the_stable_pixels(tables, truth, finished):
    classes = {row["stability_class"]: row for row in tables["Temporal"]}
    planted = truth.temporal_stability
    assert classes["excellent"]["pixels"] == len(planted["cells"])
    assert classes["excellent"]["largest_sd"] == pytest.approx(planted["expected_highest_stable_sd"], abs=ROUNDED)
    assert classes["good"]["smallest_sd"] == pytest.approx(planted["expected_lowest_other_sd"], abs=ROUNDED)
    with duckdb.connect(str(finished[0] / "soilhouse.duckdb"), read_only=True) as connection:
        cells = connection.execute(
            """
            select row_index, col_index from marts.fct_temporal_stability
            inner join marts.dim_pixel using (grid_id, pixel_id)
            where product = 'basin_soil_moisture_1km' and region_id = 'basin' and period_kind = 'all' and stability_class = 'excellent'
            """
        ).fetchall()
    assert sorted(cells) == sorted(tuple(cell) for cell in planted["cells"])


def test_one_and_thirty_six_kilometres_agree(tables):
    rows = tables["1"]
    assert len({(row["coarse_row"], row["coarse_column"]) for row in rows}) == 4
    assert len({row["month"] for row in rows}) == 4
    assert all(abs(row["at_36km"] - row["mean_of_1km"]) < 0.03 for row in rows)


def test_the_planted_depth_patterns_are_found(tables, truth):
    found = {(row["region_id"], str(row["year"])): row for row in tables["Depth"]}
    assert len(found) == 4 * 3
    for reach, planted in truth.depth["planted_pattern"].items():
        for year, pattern in planted.items():
            assert found[reach, year]["pattern"] == pattern == truth.depth["expected_pattern"][reach][year]
    assert found["upper", "2019"]["pattern"] == "deficit>surplus>deficit"
    assert [found["lower", year]["is_changed"] for year in ("2018", "2019", "2020")] == [None, False, True]
    profile = truth.depth["profile"]
    for row in tables["Index"]:
        expected = truth.depth["expected_mean_ssmi"][row["region_id"]][str(row["year"])][profile.index(row["layer"])]
        assert row["mean_ssmi"] == pytest.approx(expected, abs=0.003)
    assert len(tables["Index"]) == 3 * len(profile)


def test_land_cover_leads_the_planted_drivers(tables, truth):
    rows = {row["factor"]: row for row in tables["What"]}
    assert rows["land_cover"]["q_rank"] == 1
    assert rows["land_cover"]["q"] == pytest.approx(
        truth.drivers["expected_q_land_cover"], abs=5e-4
    )  # files round to 1e-4
    assert rows["elevation"]["q"] == pytest.approx(truth.drivers["variance_shares"]["elevation"], abs=0.08)
    assert rows["land_cover"]["p_permutation"] <= 0.05


def test_every_product_is_fresh_to_the_end(tables, truth):
    assert {row["product"] for row in tables["How"]} >= {"basin_soil_moisture_1km", "spl2smp", "chirps_daily"}
    assert max(str(row["newest_date"]) for row in tables["How"]) == truth.last_day


def test_it_stays_out_of_a_lake_with_data_of_ones_own(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SOILHOUSE_LAKE", str(tmp_path / "lake"))
    monkeypatch.setenv("SOILHOUSE_DB", str(tmp_path / "mine.duckdb"))
    own = project_root() / "build" / "demo"
    chosen, files = demo.places(None)
    assert (chosen.lake, chosen.database, files) == (tmp_path / "lake", tmp_path / "mine.duckdb", own / "files")
    month = tmp_path / "lake" / "raw" / "mine" / "year=2020" / "month=01" / "mine_2020-01.parquet"
    month.parent.mkdir(parents=True)
    month.touch()
    chosen, _ = demo.places(None)
    assert (chosen.lake, chosen.database) == (own / "lake", own / "soilhouse.duckdb")
    assert "holds data of your own" in capsys.readouterr().err
    mark(tmp_path / "lake", "SIMULATED", ["mine"])
    assert demo.places(None)[0].lake == tmp_path / "lake", "a lake of the demo's is used again"


def test_a_folder_with_other_files_is_left_alone(tmp_path, capsys):
    from soilhouse.cli import main

    (tmp_path / "demo" / "files").mkdir(parents=True)
    (tmp_path / "demo" / "files" / "thesis.txt").write_text("years of work")
    assert main(["demo", "--dir", str(tmp_path / "demo")]) == 1
    assert "--dir DIR" in capsys.readouterr().err
    assert (tmp_path / "demo" / "files" / "thesis.txt").read_text() == "years of work"


def test_the_results_are_those_of_the_database_not_of_the_truth(finished, truth, capsys):
    """Another truth changes what stands beside the results, and nothing in them."""
    other = replace(truth, trends={k: {**v, "planted_slope_per_year": 9.0} for k, v in truth.trends.items()})
    demo_results.show(finished[0] / "soilhouse.duckdb", other)
    shown = capsys.readouterr().out
    assert "9.0000" in shown
    upper = next(line for line in shown.splitlines() if "upper" in line)
    assert "-0.0303" in upper


def test_the_first_queries_of_the_readme_and_of_the_methods_have_answers(finished):
    """Every SQL block that the documentation offers for the demo's warehouse runs and gives rows."""
    pages = [project_root() / "README.md", project_root() / "docs" / "methods.md"]
    blocks = [block for page in pages for block in re.findall(r"```sql\n(.*?)```", page.read_text(), re.S)]
    queries = [query for block in blocks for query in block.split(";") if query.strip()]
    assert len(queries) >= 5
    with duckdb.connect(str(finished[0] / "soilhouse.duckdb"), read_only=True) as connection:
        udfs.register(connection)
        for query in queries:
            assert connection.sql(query).fetchone() is not None, query


def test_each_framework_beats_the_coarse_product(tables):
    """Clearly nearer to the planted field, and in its shape within the cells of the coarse product."""
    scores = {row["product"]: row for row in tables["Downscaled"]}
    assert "thermal_linear" in scores
    for row in scores.values():
        assert row["pixel_days"] > 900_000
        assert row["rmse"] < 0.9 * row["rmse_9km"]
        assert row["spatial_r"] > row["spatial_r_9km"] + 0.1


def test_values_of_other_pixels_do_not_beat_it(finished):
    """The margins above are passed by what was estimated for a pixel, not by any map with the same values."""
    result = next(r for r in demo_results.RESULTS if r.title.startswith("Downscaled"))
    exchanged = """(
        select * exclude (soil_moisture_m3m3), coalesce(lead(soil_moisture_m3m3, 300) over days, first_value(soil_moisture_m3m3) over days) as soil_moisture_m3m3
        from marts.fct_soil_moisture_1km_daily
        where month = 7
        window days as (partition by product, obs_date order by md5(cast(pixel_id as string)))
    )"""
    broken = replace(result, sql=result.sql.replace("marts.fct_soil_moisture_1km_daily", exchanged))
    with duckdb.connect(str(finished[0] / "soilhouse.duckdb"), read_only=True) as connection:
        for row in demo_results.rows_of(connection, broken):
            assert row["rmse"] > row["rmse_9km"]
            assert row["spatial_r"] < row["spatial_r_9km"]


def test_downscaled_products_have_the_mean_of_the_coarse_cells(finished):
    """Thermal inertia: over the pixels of a 9 km cell that were estimated, to 1e-6."""
    query = """
        select max(abs(mean - reference)) as largest, count(*) as n
        from (
            select avg(soil_moisture_m3m3) as mean, any_value(coarse.reference) as reference
            from marts.fct_soil_moisture_1km_daily as fine
            inner join marts.dim_pixel as pixels using (grid_id, pixel_id)
            inner join (
                select row_index, col_index, obs_date, soil_moisture_m3m3 as reference
                from marts.fct_soil_moisture_daily inner join marts.dim_pixel using (grid_id, pixel_id)
                where product = 'basin_soil_moisture_9km'
            ) as coarse
                on pixels.row_index // 9 = coarse.row_index and pixels.col_index // 9 = coarse.col_index and fine.obs_date = coarse.obs_date
            where fine.product = 'thermal_linear'
            group by coarse.row_index, coarse.col_index, fine.obs_date
        )"""
    with duckdb.connect(str(finished[0] / "soilhouse.duckdb"), read_only=True) as connection:
        largest, n = connection.execute(query).fetchone()
    assert n > 10_000
    assert largest < 1e-6


def test_the_planted_thermal_inertia_is_found(tables, truth):
    planted = {name: inertia["slope_k"] for name, inertia in truth.thermal_inertia["land_cover"].items()}
    found = {row["land_cover"]: row for row in tables["Thermal"] if row["ndvi_level"] == "middle"}
    for cover, name in {"forest": "evergreen needleleaf forest", "grassland": "grassland", "barren": "barren"}.items():
        assert found[cover]["slope_m3m3_per_k"] == pytest.approx(-1 / planted[name], rel=0.06)
