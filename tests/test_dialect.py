"""The models are spelled for both engines, and parse whatever a study asks for. No Java is needed here; `make parity` runs Spark."""

from __future__ import annotations

import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from soilhouse.study import GROUPS
from tests import compiled, dialect
from tests.compiled import Node
from tests.warehouse import REPOSITORY

STUDIES = {"everything": compiled.study_of_everything, "box": compiled.study_of_a_box}
# What no study builds on Spark carries this tag.
DUCKDB_ONLY = "duckdb"

Compiled = Mapping[str, Mapping[str, Mapping[str, Node]]]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Compiled:
    """study -> engine -> unique id -> node."""
    asked = [(study, engine) for study in STUDIES for engine in ("duckdb", "spark")]
    with ThreadPoolExecutor(2) as pool:
        done = pool.map(
            lambda a: compiled.compile_project(STUDIES[a[0]](), a[1], tmp_path_factory.mktemp("_".join(a))), asked
        )
        nodes = dict(zip(asked, done, strict=True))
    return {study: {engine: nodes[study, engine] for engine in ("duckdb", "spark")} for study in STUDIES}


@pytest.mark.parametrize("study", STUDIES)
def test_every_model_and_test_is_spelled_for_both_engines(project: Compiled, study: str) -> None:
    nodes = project[study]
    columns = dialect.columns_of(nodes["duckdb"].values())
    findings = [
        finding
        for unique_id, node in nodes["duckdb"].items()
        if unique_id in nodes["spark"]
        for finding in dialect.lint(node.name, node.sql, nodes["spark"][unique_id].sql, columns)
    ]
    assert not findings, "\n" + "\n".join(map(str, findings))


@pytest.mark.parametrize("study", STUDIES)
def test_both_engines_build_the_same_models(project: Compiled, study: str) -> None:
    shared = [{i for i, node in nodes.items() if DUCKDB_ONLY not in node.tags} for nodes in project[study].values()]
    assert shared[0] == shared[1]


def test_no_model_escapes_the_lint(project: Compiled) -> None:
    linted = {node.name for engines in project.values() for node in engines["duckdb"].values() if node.kind == "model"}
    written = {path.stem for path in (REPOSITORY / "models").rglob("*.sql")}
    assert written == linted


def groups_with_models() -> list[str]:
    """The groups that any model asks for: a group without one parses as no group does."""
    asked = {
        found
        for path in (REPOSITORY / "models").rglob("*.sql")
        for found in re.findall(r"needs\('(\w+)'\)", path.read_text())
    }
    assert asked <= set(GROUPS)
    return sorted(asked)


PARSES = [
    ("bare", "duckdb"),
    ("no group", "duckdb"),
    *((group, "duckdb") for group in groups_with_models()),
    ("all groups", "spark"),
]


@pytest.fixture(scope="module")
def parsed(tmp_path_factory: pytest.TempPathFactory) -> Mapping[tuple[str, str], str]:
    """What dbt said of parsing a study on an engine; empty where it parsed."""
    asked_for = {"bare": None, "no group": [], "all groups": list(GROUPS)} | {group: [group] for group in GROUPS}

    def parse(case: tuple[str, str]) -> str:
        groups = asked_for[case[0]]
        study = None if groups is None else compiled.study_of_nothing(groups)
        done = compiled.dbt("parse", study, case[1], tmp_path_factory.mktemp("parse"))
        return "" if done.returncode == 0 else done.stdout

    with ThreadPoolExecutor(2) as pool:
        return dict(zip(PARSES, pool.map(parse, PARSES), strict=True))


@pytest.mark.parametrize("case", PARSES, ids=" on ".join)
def test_every_model_parses(parsed: Mapping[tuple[str, str], str], case: tuple[str, str]) -> None:
    """With no vars at all, with each group alone and no series, and never with a lake."""
    assert parsed[case] == ""


def test_a_model_that_cannot_be_compiled_is_told(tmp_path: Path) -> None:
    study = compiled.study_of_a_box() | {"series": [{"variable": "precipitation", "product": "no_such_product"}]}
    with pytest.raises(AssertionError, match="stg_no_such_product"):
        compiled.compile_project(study, "duckdb", tmp_path)


# Rule, a spelling it refuses, and what it accepts.
EXAMPLES = [
    ("function", "select array_agg(x) as xs from t", "select max(x) as x from t"),
    ("function", "select skewness(x) as g from t", "select sum(power(x - 2, 3)) as g from t"),
    ("function", "select log(x) as y from t where x > 0", "select log10(x) as y from t where x > 0"),
    ("function", "select hash(x) as k from t", "select md5(x) as k from t"),
    ("function", "select xxhash64(x) as k from t", "select md5(x) as k from t"),
    (
        "function",
        "select quantile_cont(x, 0.5) as q from t",
        "select percentile_cont(0.5) within group (order by x) as q from t",
    ),
    ("function", "select arg_max(x, y) as m from t", "select max_by(x, y) as m from t"),
    ("function", "select width_bucket(x, 0, 1, 5) as b from t", "select floor((x - 0.5) / 0.2) as b from t"),
    ("function", "select approx_percentile(x, 0.5) as q from t", "select median(x) as q from t"),
    ("function", "select * from generate_series(1, 3)", "select 1 as one"),
    ("function", "select concat(a, b) as c from t", "select a || b as c from t"),
    ("function", "select any_value(x) as c from t group by y", "select min(x) as c from t group by y"),
    ("function", "select date_trunc('month', d) as m from t", "select make_date(year(d), month(d), 1) as m from t"),
    ("function", "select frobnicate(x) as c from t", "select mann_kendall(x) as c from t"),
    ("type", "select cast(x as varchar) as c from t", "select cast(x as string) as c from t"),
    ("type", "select x::hugeint as c from t", "select x::bigint as c from t"),
    ("alias", "select x y from t", "select x as y from t"),
    ("alias", "select u.x from t u", "select u.x from t as u"),
    ("alias", "select v.x from (select 1 as x) v", "with v as (select 1 as x) select v.x from v"),
    (
        "alias",
        "select sum(x) over (partition by y) total from t",
        "select sum(x) over (partition by y) as total from t",
    ),
    ("quotes", 'select x as "year" from t', "select x as year from t"),
    ("literal", "select [1, 2] as xs", "select 'a[1]' as xs"),
    ("literal", "select xs[1] as x from t", "select x from t"),
    ("literal", "select {'a': 1} as s", "select 1 as s"),
    ("lambda", "select max(xs -> x) as ys from t", "select max(xs - 1) as ys from t"),
    ("star", "select * exclude (x) from t", "select *, x * 2 as y from t"),
    ("whole-number", "select x // 2 as y from t", "select floor(x / 2) as y from t"),
    ("join", "select a.x from a asof join b on a.t >= b.t", "select a.x from a inner join b on a.t >= b.t"),
    ("nulls", "select x from t order by x", "select x from t order by x nulls last"),
    ("nulls", "select x from t order by y desc, x", "select x from t order by y desc, x nulls first"),
    (
        "nulls",
        "select row_number() over (partition by y order by x) as r from t",
        "select row_number() over (partition by y order by x nulls last) as r from t",
    ),
    ("nulls", "select x from t order by month - x", "select x from t order by month, pixel_id + 1"),
    (
        "nulls",
        "with v as (select max(x) as k from t) select k from v order by k",
        "with v as (select count(*) as k from t) select k from v order by k",
    ),
    ("divisor", "select a / b as c from t", "select a / nullif(b, 0) as c from t"),
    ("divisor", "select a / (n - 1) as c from t", "select case when n > 1 then a / (n - 1) end as c from t"),
    (
        "divisor",
        "select case when n > 1 then 0 else a / m end as c from t",
        "select case when m = 0 then 0 else a / m end as c from t",
    ),
    (
        "divisor",
        "with v as (select y, count(a) as n from t group by y) select 1 / n as c from v",
        "with v as (select y, count(*) as n from t group by y) select 1 / n as c from v",
    ),
    ("divisor", "select sum(a) / count(*) as c from t", "select y, sum(a) / count(*) as c from t group by y"),
    ("divisor", "select a / b as c from t where a > 0", "select a / b as c from t where b > 0"),
    ("divisor", "select a / sqrt(b * b) as c from t", "select a / 12.0 as c, b / cast(7 as double) as d from t"),
    ("domain", "select ln(x) as y from t", "select ln(greatest(x, 1e-9)) as y from t"),
    ("domain", "select log10(x) as y from t", "select case when x > 0 then log10(x) end as y from t"),
    (
        "domain",
        "with v as (select max(d - 1) as m from t) select sqrt(m) as z from v",
        "with v as (select avg(d * d) as m from t) select sqrt(m) as z from v",
    ),
    ("domain", "select sqrt(x - y) as z from t", "select sqrt(x * x + y * y) as z, sqrt(var_samp(x)) as s from t"),
    ("fraction", "select cast(x / 2 as int) as y from t", "select cast(floor(x / 2) as int) as y from t"),
    ("fraction", "select cast(mean as bigint) as y from t", "select cast(n_days as bigint) as y from t"),
    ("fraction", "select cast(avg(n_days) as int) as y from t", "select cast(round(avg(n_days)) as int) as y from t"),
    ("sum of whole", "select sum(n_days) as n from t", "select cast(sum(n_days) as bigint) as n from t"),
    (
        "sum of whole",
        "select sum(case when x > 1 then 1 else 0 end) as n from t",
        "select count(*) filter (where x > 1) as n from t",
    ),
    ("truth", "select avg(x > 1) as share from t", "select avg(case when x > 1 then 1.0 else 0.0 end) as share from t"),
    ("timestamp", "select d + interval 1 month as e from t", "select cast(d + interval 1 month as date) as e from t"),
    ("limit", "select x from t limit 5", "select x from t order by x desc limit 5"),
    ("parse", "select x from from t", "select x from t"),
    ("parse", "select x month from t", "select x as month from t"),
    ("parse", "select x, from t where", "select x from t where true"),
]
WORDS = {
    "function": "a function of one engine",
    "type": "a type that is not spelled alike",
    "alias": "an alias without as",
    "quotes": "a name in double quotes",
    "literal": "a literal of a list or struct",
    "lambda": "a lambda over a list",
    "star": "a star with an exception",
    "whole-number": "whole-number division",
    "join": "a join or table clause of one engine",
    "nulls": "order by without nulls last",
    "divisor": "a divisor that may be zero",
    "domain": "ln or sqrt of what may be out of its domain",
    "fraction": "a fraction cast to a whole number",
    "sum of whole": "a sum of whole numbers without a cast",
    "truth": "a sum or mean of truth values",
    "timestamp": "date arithmetic that gives a timestamp",
    "limit": "limit without order by",
    "parse": "SQL that does not parse",
}
COLUMNS = dialect.Columns({"mean": "double", "n_days": "bigint"}, frozenset({"month", "pixel_id"}))


def rules_broken(duckdb_sql: str, spark_sql: str) -> set[str]:
    return {finding.rule for finding in dialect.lint("model", duckdb_sql, spark_sql, COLUMNS)}


@pytest.mark.parametrize(("rule", "bad", "good"), EXAMPLES, ids=[f"{rule}: {bad}" for rule, bad, _ in EXAMPLES])
def test_each_rule_refuses_a_bad_spelling_and_takes_a_good_one(rule: str, bad: str, good: str) -> None:
    assert any(found.startswith(WORDS[rule]) for found in rules_broken(bad, bad))
    assert rules_broken(good, good) == set()


def test_every_rule_has_an_example() -> None:
    assert {rule for rule, _, _ in EXAMPLES} == set(WORDS)
    known = [rule.name for rule in dialect.RULES] + ["SQL that does not parse"]
    assert all(any(name.startswith(words) for name in known) for words in WORDS.values())
    assert len(known) == len(WORDS)


def test_what_a_macro_writes_for_one_engine_is_exempt() -> None:
    on_duckdb = (
        'select list(struct_pack(t := cast(y as integer), v := cast(x as double))) as s from "soilhouse"."marts"."t"'
    )
    on_spark = "select collect_list(named_struct('t', cast(y as int), 'v', cast(x as double))) as s from marts.t"
    assert rules_broken(on_duckdb, on_spark) == set()


def test_a_bad_spelling_beside_a_macro_is_not_hidden_by_it() -> None:
    """As many as both texts have are the model's own: one list() more on DuckDB is the macro's."""
    on_duckdb = "select list(x) as a, array_agg(x) as b, array_agg(y) as c from t"
    on_spark = "select collect_list(x) as a, array_agg(x) as b, array_agg(y) as c from t"
    findings = dialect.lint("model", on_duckdb, on_spark, COLUMNS)
    assert [finding.found.split("(")[0] for finding in findings] == ["array_agg", "array_agg"]


def test_a_finding_names_model_rule_spelling_and_what_to_write() -> None:
    (finding,) = dialect.lint("fct_trends", *["select a / b as c from t"] * 2)
    told = str(finding)
    assert told.startswith("fct_trends: a divisor that may be zero: a / b") and "nullif" in told


def test_a_common_table_expression_with_columns_is_no_function() -> None:
    sql = "with recursive months(m) as (select 1 as m union all select m + 1 from months where m < 12) select m from months"
    assert rules_broken(sql, sql) == set()
