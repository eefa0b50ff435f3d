"""Every mistake in a study is said at once, with its place, its value and the nearest known word."""

from __future__ import annotations

import copy
from datetime import date

import pytest
import yaml

from soilhouse.dbt import variables
from soilhouse.problems import StudyError
from soilhouse.settings import project_root
from soilhouse.study import (
    Study,
    given_default_study,
    load_study,
    parse,
    read_study_file,
    study_defaults,
    validate,
    with_defaults,
)


def put(study: dict, path: list, value) -> dict:
    """A copy of a study with one place changed."""
    changed = copy.deepcopy(study)
    part = changed
    for step in path[:-1]:
        part = part.setdefault(step, {}) if isinstance(part, dict) else part[step]
    part[path[-1]] = value
    return changed


def reasons(path, lake) -> dict[str, str]:
    """Problem by place in the file."""
    with pytest.raises(StudyError) as caught:
        validate(path, lake)
    assert caught.value.code == 2
    return {p.path: p.reason for p in caught.value.problems}


def test_a_right_study_takes_the_defaults_of_the_project(written, minimal, lake):
    study = validate(written(minimal), lake)
    defaults = study_defaults()
    assert study.groups == defaults["groups"]
    assert study.coverage.model_dump() == defaults["coverage"]
    assert study.trends.model_dump() == defaults["trends"]
    assert study.period.end == date(2012, 1, 1)
    assert study.notes == ()


def test_nested_defaults_are_merged_as_the_macro_does(written, minimal, lake):
    study = validate(written(put(minimal, ["trends", "min_valid"], 5)), lake)
    assert study.trends.min_valid == 5
    assert study.trends.alpha == study_defaults()["trends"]["alpha"]


def test_every_default_is_a_key_of_the_schema_and_valid(minimal):
    assert set(study_defaults()) <= set(Study.model_fields)
    _, problems = parse(minimal)
    assert problems == []


def test_no_key_has_a_default_in_the_schema():
    """Only what a study may truly be without is optional; everything else comes from dbt_project.yml or must be given."""
    optional = {name for name, field in Study.model_fields.items() if not field.is_required()}
    assert optional == set()
    assert set(Study.model_fields) - set(study_defaults()) <= {"name", "title", "period", "series"}


def test_the_study_of_a_plain_dbt_build_is_that_of_the_demo_and_right():
    _, problems = parse(given_default_study())
    assert problems == []
    assert given_default_study() == read_study_file(project_root() / "studies" / "demo.yml")[1]


@pytest.mark.parametrize("path", sorted((project_root() / "studies").glob("*.yml")), ids=lambda p: p.name)
def test_every_study_of_the_repository_is_right(path):
    study = load_study(path)
    assert study.name == path.stem


WRONG = [
    (["gruops"], ["patterns"], "study.gruops", "Nearest: groups"),
    (["period", "strat"], date(2011, 1, 1), "study.period.strat", "Nearest: start"),
    (["series", 0, "prodcut"], "x", "study.series[0].prodcut", "Nearest: product"),
    (["trends", "alhpa"], 0.1, "study.trends.alhpa", "Nearest: alpha"),
    (["coverage", "min_day"], 3, "study.coverage.min_day", "Nearest: min_days"),
    (["region", "bbx"], [1, 2, 3, 4], "study.region.bbx", "Nearest: bbox"),
    (["groups"], ["pattern"], "study.groups[0]", "Nearest: patterns"),
    (["groups"], ["patterns", "patterns"], "study.groups[1]", "same as study.groups[0]"),
    (["manner"], "paper", "study.manner", "is not a key here"),
    (["time_zone"], "Asia/Jakatra", "study.time_zone", "Nearest: Asia/Jakarta"),
    (["trends", "seasons"], ["annual", "DFJ"], "study.trends.seasons[1]", "Nearest: DJF"),
    (["trends", "time_steps"], ["years"], "study.trends.time_steps[0]", "Nearest: year"),
    (["trends", "epsilon"], {"precipitatoin": 1}, "study.trends.epsilon.precipitatoin", "Nearest: precipitation"),
    (["trends", "min_valid"], "8", "study.trends.min_valid", "not a whole number (without quotes)"),
    (["trends", "alpha"], 1.5, "study.trends.alpha", "less than 1"),
    (["coverage", "min_dekads"], 4, "study.coverage.min_dekads", "less than or equal to 3"),
    (["coverage", "min_share_of_total"], 0, "study.coverage.min_share_of_total", "greater than 0"),
    (["coverage", "min_share_of_total"], 1.5, "study.coverage.min_share_of_total", "less than or equal to 1"),
    (["series", 0, "coverage"], {"min_day": 3}, "study.series[0].coverage.min_day", "Nearest: min_days"),
    (["series", 0, "coverage"], {"min_days": 0}, "study.series[0].coverage.min_days", "greater than or equal to 1"),
    (["series", 0, "coverage"], {"min_dekads": 4}, "study.series[0].coverage.min_dekads", "less than or equal to 3"),
    (["series", 0, "coverage"], {}, "study.series[0].coverage", "is empty"),
    (["simulated"], "no", "study.simulated", "not true or false (without quotes)"),
    (["exclude_frozen"], 1, "study.exclude_frozen", "not true or false"),
    (["groups"], "patterns", "study.groups", "not a list"),
    (["series"], [], "study.series", "at least 1 must be given"),
    (["series"], {"variable": "x"}, "study.series", "not a list"),
    (["period"], "2011", "study.period", "not a mapping"),
    (["period", "start"], date(2011, 1, 2), "study.period.start", "first day of a month, such as 2011-01-01"),
    (["period", "end"], date(2012, 12, 31), "study.period.end", "an end that takes in 2012-12 is 2013-01-01"),
    (["period", "start"], "2011-13-01", "study.period.start", "written 2011-01-01"),
    (["period", "start"], 2011, "study.period.start", "not a date"),
    (["period", "end"], date(2011, 1, 1), "study.period", "not before end"),
    (["name"], "My study", "study.name", "small letters"),
    (["title"], "back\\slash", "study.title", "without backslashes"),
    (["title"], None, "study.title", "has no value"),
    (["region"], {"bbox": [117, -9, 105, -5]}, "study.region", "west must be below east"),
    (["region"], {"bbox": [105, -5, 117, -9]}, "study.region", "south must be below north"),
    (["region"], {"bbox": [105, -9, 117]}, "study.region.bbox", "at least 4"),
    (["region"], {"bbox": [1, 2, 3, 4], "set": "districts"}, "study.region", "not both"),
    (["region"], {"ids": ["north"]}, "study.region", "name the set too"),
    (["region"], {"set": "distrikts"}, "study.region.set", "Nearest: districts"),
    (["region"], {"set": "distrikts"}, "study.region.set", "soilhouse load regions FILE --as distrikts --lake"),
    (["region"], {"set": "districts", "ids": ["nort"]}, "study.region.ids[0]", "Nearest: north"),
    (["region"], {"set": "countries"}, "study.region.set", "a region that is called `all`"),
    (["region"], {"set": "countries", "ids": ["none", "all"]}, "study.region.ids", "another column with --id-column"),
    (["series", 0, "variable"], "precipitatoin", "study.series[0].variable", "Nearest: precipitation"),
    (["series", 0, "product"], "chirps_montly", "study.series[0].product", "Nearest: chirps_monthly"),
    (["series", 0, "product"], "chirps_daily", "study.series[0].product", "soilhouse load chirps_daily FILES --lake"),
    (["series", 0, "product"], "table", "study.series[0].product", "soilhouse load table FILES --as NAME"),
    (["series", 0, "product"], "regions", "study.series[0].product", "holds regions"),
    (["series", 0, "product"], "my_soil", "study.series[0].product", "has no dates"),
    (["series", 0, "layer"], "0-5 cm", "study.series[0].layer", "Possible: surface"),
    (["series", 0, "layer"], "5 cm", "study.series[0].layer", "depth interval such as `0-5 cm`"),
    (["series", 0, "layer"], "5-0 cm", "study.series[0].layer", "from its top down"),
    (["series", 0, "column"], "precipitation", "study.series[0].column", "through its staging model"),
    (["series", 0, "scale"], 2.0, "study.series[0]", "scale needs `column`"),
    (["series", 0, "monthly_statistic"], "sum", "study.series[0].monthly_statistic", "Possible: mean, total, maximum"),
    (["stations"], ["my_daily"], "study.stations[0]", "not a product of stations"),
    (["stations"], ["stations"], "study.stations[0]", "soilhouse load stations FILES"),
    (["ssmi"], {"scales": [3, 6]}, "study.ssmi", "must hold 1"),
    (["ssmi"], {"scales": [1, 3, 3]}, "study.ssmi", "comes twice"),
    (["ssmi"], {"min_years": 1}, "study.ssmi.min_years", "greater than or equal to 2"),
    (["paper"], "heihee", "study.paper", "Nearest: heihe"),
    (
        ["season_rules"],
        [{"season": "DJF", "variable": "precipitation", "product": "chirps_monthly", "above": 5.0}],
        "study.season_rules[0].season",
        "give the rule a name of its own",
    ),
    (["trends", "tests"], ["hamed_roa"], "study.trends.tests[0]", "Nearest: hamed_rao"),
]


@pytest.mark.parametrize(("path", "value", "place", "said"), WRONG, ids=[f"{w[2]}: {w[3]}"[:70] for w in WRONG])
def test_a_mistake_is_named_with_its_place_and_the_way_out(written, minimal, lake, path, value, place, said):
    found = reasons(written(put(minimal, path, value)), lake)
    assert said in found[place]
    assert list(found) == [place], "a single mistake is said once"


@pytest.mark.parametrize("key", ["name", "title", "period", "series"])
def test_a_key_without_default_is_asked_for(written, minimal, lake, key):
    del minimal[key]
    found = reasons(written(minimal), lake)
    assert list(found) == [f"study.{key}"]


def test_all_mistakes_come_in_one_message_with_their_lines(tmp_path, lake):
    path = tmp_path / "wrong.yml"
    path.write_text(
        "study:\n"
        "  name: wrong\n"
        "  title: Everything wrong\n"
        "  gruops: [patterns]\n"
        "  period: {start: 2011-01-05, end: 2012-01-01}\n"
        "  series:\n"
        "    - {variable: precipitation, product: chirps_montly}\n"
        "    - variable: precipitation\n"
        "      product: chirps_monthly\n"
        "      colour: blue\n"
        "  trends: {seasons: [DFJ]}\n",
        encoding="utf-8",
    )
    with pytest.raises(StudyError) as caught:
        validate(path, lake)
    message = str(caught.value)
    assert message.startswith(f"{path} has 5 problems:")
    for line, place in (
        (4, "study.gruops"),
        (5, "study.period.start"),
        (7, "study.series[0].product"),
        (10, "study.series[1].colour"),
        (11, "study.trends.seasons[0]"),
    ):
        assert f"  line {line}: {place}: " in message
    assert "docs/study_file.md" in message


def test_what_is_missing_is_said_with_the_line_of_what_it_is_missing_from(tmp_path, lake):
    path = tmp_path / "missing.yml"
    path.write_text(
        "study:\n  name: a\n  title: b\n  period:\n    start: 2011-01-01\n  series:\n    - product: chirps_monthly\n",
        encoding="utf-8",
    )
    with pytest.raises(StudyError) as caught:
        validate(path, lake)
    assert "  line 4: study.period.end: is missing" in str(caught.value)
    assert "  line 7: study.series[0].variable: is missing" in str(caught.value)


def brought(**changes) -> list[dict]:
    entry = {"variable": "soil_moisture", "product": "my_daily", "layer": "0-5 cm", "column": "sm"}
    return [{**entry, **changes}]


def test_data_of_ones_own_need_a_column_and_nothing_else(written, minimal, lake):
    study = validate(written({**minimal, "series": brought(valid_min=0, valid_max=0.6)}), lake)
    assert study.series[0].column == "sm"


BROUGHT = [
    ({"column": "smm"}, "study.series[0].column", "Nearest: sm"),
    ({"column": None}, "study.series[0].column", "has no value"),
    ({"column": "sm; drop table x"}, "study.series[0].column", "letters, digits and underscores"),
    ({"column": "remark"}, "study.series[0].column", "is text, not a number"),
    ({"variable": "soil_moistre"}, "study.series[0].variable", "Nearest: soil_moisture"),
    ({"variable": "canopy_water"}, "study.series[0].variable", "give unit and monthly_statistic"),
    ({"valid_min": 1, "valid_max": 0}, "study.series[0]", "not below"),
    ({"scale": 0}, "study.series[0]", "same"),
    ({"unit": "%"}, "study.series[0].unit", "soil moisture is kept in m3 m-3"),
    ({"unit": "m3/m3"}, "study.series[0].unit", "soil moisture is kept in m3 m-3"),
    ({"product": "my_swath"}, "study.series[0]", "needs `hours`: my_swath has times of day"),
    ({"product": "my_swath", "hours": [9, 6]}, "study.series[0]", "hours are [from, to] within one day"),
    (
        {"product": "my_swath", "hours": [6, 9], "solar_time": 10.5},
        "study.series[0]",
        "`hours` or `solar_time`, not both",
    ),
    ({"hours": [6, 9]}, "study.series[0].hours", "my_daily has no times of day"),
    ({"product": "my_soil"}, "study.series[0].product", "has no dates"),
    ({"product": "conus_daily"}, "study.series[0].product", "soilhouse load table FILES --as conus_daily --grid GRID"),
]


@pytest.mark.parametrize(("changes", "place", "said"), BROUGHT, ids=[str(b[0]) for b in BROUGHT])
def test_mistakes_about_data_of_ones_own(written, minimal, lake, changes, place, said):
    found = reasons(written({**minimal, "series": brought(**changes)}), lake)
    assert said in found[place]


def test_a_column_left_out_is_asked_for_with_those_there_are(written, minimal, lake):
    entry = brought()[0]
    del entry["column"]
    found = reasons(written({**minimal, "series": [entry]}), lake)
    assert "sm, rain_rate, remark" in found["study.series[0]"]


def test_times_of_day_are_for_products_that_have_them(written, minimal, lake):
    assert validate(written({**minimal, "series": brought(product="my_swath", hours=[6, 9])}), lake).series[
        0
    ].hours == [6, 9]
    hourly = {"product": "era5_land_hourly", "variable": "precipitation", "hours": [6, 9]}
    swath = {"product": "spl2smp", "variable": "soil_moisture", "layer": "0-5 cm", "solar_time": 6}
    daily = {"product": "esa_cci_combined", "variable": "soil_moisture", "layer": "0-5 cm", "solar_time": 6}
    found = reasons(written({**minimal, "series": [hourly, swath, daily]}), lake)
    assert "precipitation is the total of the day" in found["study.series[0].hours"]
    assert "cannot be sampled at a solar time" in found["study.series[1].solar_time"]
    assert "has no times of day" in found["study.series[2].solar_time"]


def test_a_variable_of_ones_own_is_right_with_unit_and_statistic(written, minimal, lake):
    series = brought(variable="canopy_water", unit="kg m-2", monthly_statistic="mean")
    assert validate(written({**minimal, "series": series}), lake).series[0].variable == "canopy_water"


def test_another_coverage_for_one_series_and_the_unit_of_soil_moisture(written, minimal, lake):
    series = brought(unit="m3 m-3", coverage={"min_days": 3})
    study = validate(written({**minimal, "series": series, "coverage": {"min_share_of_total": 0.8}}), lake)
    assert study.series[0].coverage.model_dump() == {"min_days": 3, "min_dekads": None}
    assert study.coverage.min_share_of_total == 0.8
    assert study.coverage.min_days == study_defaults()["coverage"]["min_days"]


def test_a_series_that_comes_twice(written, minimal, lake):
    found = reasons(written({**minimal, "series": minimal["series"] * 2}), lake)
    assert "same as study.series[0]" in found["study.series[1]"]


def layered(*layers: str, **composite) -> dict:
    """Series of one variable at several layers, and a composite of them."""
    series = [brought(layer=layer)[0] for layer in layers]
    whole = {
        "variable": series[0]["variable"],
        "product": "my_daily",
        "layer": "10-40 cm",
        "of": list(layers),
    } | composite
    return {"series": series, "composites": [whole]}


def test_a_composite_is_filled_by_its_layers_in_any_order(written, minimal, lake):
    study = validate(written({**minimal, **layered("20-40 cm", "10-20 cm")}), lake)
    assert study.composites[0].of == ["20-40 cm", "10-20 cm"]


@pytest.mark.parametrize(
    ("changes", "place", "said"),
    [
        (layered("10-20 cm", "30-40 cm"), "study.composites[0]", "nothing fills 20-30 cm of 10-40 cm"),
        (layered("10-20 cm", "20-30 cm"), "study.composites[0]", "nothing fills 30-40 cm"),
        (layered("20-30 cm", "30-40 cm"), "study.composites[0]", "nothing fills 10-20 cm"),
        (layered("10-20 cm", "15-40 cm"), "study.composites[0]", "15-40 cm overlaps"),
        (layered("10-20 cm", "20-50 cm"), "study.composites[0]", "20-50 cm is not within 10-40 cm"),
        (layered("10-20 cm", "surface"), "study.composites[0]", "`surface` has no depth"),
        (layered("10-40 cm"), "study.composites[0].of", "at least 2"),
        (layered("10-20 cm", "20-40 cm", of=["10-20 cm", "20-30 cm", "30-40 cm"]), "study.composites[0].of[1]", "add it to `series`"),
        (layered("10-20 cm", "20-40 cm", "10-40 cm", of=["10-20 cm", "20-40 cm"]), "study.composites[0]", "a series already: study.series[2]"),
    ],
)  # fmt: skip
def test_mistakes_in_a_composite(written, minimal, lake, changes, place, said):
    assert said in reasons(written({**minimal, **changes}), lake)[place]


def test_a_composite_that_comes_twice_and_one_of_unlike_series(written, minimal, lake):
    changes = layered("10-20 cm", "20-40 cm")
    changes["composites"] *= 2
    assert "same as study.composites[0]" in reasons(written({**minimal, **changes}), lake)["study.composites[1]"]
    changes = layered("10-20 cm", "20-40 cm")
    changes["series"][1]["monthly_statistic"] = "maximum"
    assert "differ in `monthly_statistic`" in reasons(written({**minimal, **changes}), lake)["study.composites[0].of"]


def test_a_period_without_a_loaded_month_is_a_mistake_and_one_with_gaps_a_note(written, minimal, lake):
    period = {"start": date(2015, 1, 1), "end": date(2016, 1, 1)}
    found = reasons(written({**minimal, "period": period}), lake)
    assert "loaded: 2011-01 to 2011-12" in found["study.series[0].product"]
    study = validate(written({**minimal, "period": {"start": date(2011, 7, 1), "end": date(2012, 7, 1)}}), lake)
    assert study.notes == ("chirps_monthly: 6 of the period's 12 months are loaded (2011-07 to 2011-12)",)


def test_an_empty_lake_gives_the_command_that_fills_it(written, minimal, tmp_path):
    found = reasons(written(minimal), tmp_path / "no lake")
    assert f"soilhouse load chirps_monthly FILES --lake '{tmp_path}/no lake'" in found["study.series[0].product"]


def test_a_load_that_was_interrupted_is_to_be_finished_first(written, minimal, lake):
    (lake / "catalog" / "products" / "my_daily.parquet").unlink()
    found = reasons(written({**minimal, "series": brought()}), lake)
    said = found["study.series[0].product"]
    assert "a load was interrupted" in said
    assert "soilhouse load table FILES --as my_daily --grid ease2_m36 --lake" in said


GRID = {"name": "basin_1km", "crs": "EPSG:32650", "origin": [500000, 4400000], "cell": 1000, "shape": [60, 50]}


def test_a_grid_of_the_studys_own(written, minimal, lake):
    grid = validate(written({**minimal, "grids": [GRID]}), lake).grids[0].grid()
    assert (grid.n_rows, grid.n_cols, grid.cell_width, grid.top) == (60, 50, 1000, 4400000)


@pytest.mark.parametrize(
    ("changes", "place", "said"),
    [
        ({"crs": "EPSG:999999"}, "study.grids[0]", "EPSG:999999"),
        ({"cell": -1}, "study.grids[0].cell[0]", "greater than 0"),
        ({"shape": [60]}, "study.grids[0].shape", "at least 2"),
        ({"name": "ease2_m36"}, "study.grids[0]", "choose a name of your own"),
        ({"size": 3}, "study.grids[0].size", "Nearest"),
    ],
)
def test_mistakes_in_a_grid(written, minimal, lake, changes, place, said):
    found = reasons(written({**minimal, "grids": [{**GRID, **changes}]}), lake)
    assert said in found[place] or (said == "Nearest" and "Known: cell, crs" in found[place])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("study: [", "line 1"),
        ("study:\n  name: a\n  name: b\n", "line 3, column 3: the key `name` comes twice"),
        ("name: a\n", "has no mapping `study:`"),
        ("study: 3\n", "has no mapping `study:`"),
        ("", "has no mapping `study:`"),
        ("study: {name: a}\nperiod: {}\n", "outside `study:`"),
        ("study:\n\tname: a\n", "line 2"),
    ],
)
def test_a_file_that_is_no_study(tmp_path, text, said):
    path = tmp_path / "broken.yml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(StudyError) as caught:
        read_study_file(path)
    assert said in str(caught.value)


def test_a_file_that_is_not_there_names_the_nearest_one(tmp_path):
    (tmp_path / "java.yml").write_text("study: {}")
    with pytest.raises(StudyError, match=r"cannot be read: No such file or directory\. Nearest: java\.yml"):
        load_study(tmp_path / "jva.yml")


def test_dbt_merges_defaults_as_we_do(minimal):
    """The macro study() and with_defaults say the same of every key."""
    from jinja2 import Environment

    given = put(minimal, ["trends", "seasons"], ["DJF"])
    values = {"study": given, "study_defaults": study_defaults()}
    source = (project_root() / "macros" / "study.sql").read_text(encoding="utf-8")

    class Returned(Exception):
        pass

    def give_back(value):
        raise Returned(value)

    environment = Environment(extensions=["jinja2.ext.do"])
    environment.globals |= {"var": values.__getitem__, "return": give_back}
    macro = environment.from_string(source).module.study
    merged = with_defaults(given)
    for key in {**study_defaults(), **given}:
        with pytest.raises(Returned) as caught:
            macro(key)
        assert caught.value.args[0] == merged[key], key


@pytest.mark.parametrize(
    "text",
    [
        "study: {name: a, title: Größe 😀, series: [{scale: 0.00001, min: 1e-7}], period: {start: 2011-01-01}}\n",
        "{study: {name: a, period: {start: 2011-01-01}}}\n",
        "study:\n  name: a\n...\n",
        "---\nstudy:\n  name: a",
    ],
)
def test_a_range_stands_beside_a_study_in_whatever_style(tmp_path, text):
    path = tmp_path / "a.yml"
    path.write_text(text, encoding="utf-8")
    text, given = read_study_file(path)
    assert variables(text, given, None, None) == text
    passed = yaml.safe_load(variables(text, given, "2012-02-01", "2012-04-01"))
    assert passed == {"study": given, "start": "2012-02-01", "end": "2012-04-01"}
    assert yaml.safe_load(variables(None, None, "2012-02-01", "2012-04-01")) == {
        "start": "2012-02-01",
        "end": "2012-04-01",
    }


def test_yaml_of_a_study_reaches_dbt_as_it_is_checked(written, minimal):
    text, given = read_study_file(written(minimal))
    assert yaml.safe_load(text)["study"] == given
