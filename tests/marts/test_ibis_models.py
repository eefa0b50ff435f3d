"""Models written in ibis: the committed SQL is what they compile to, and what is wrong with one is said."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from soilhouse import ibis_models
from soilhouse.errors import UserError
from tests.warehouse import REPOSITORY

MODEL = """
CONFIG = "materialized='view'"
INPUTS = {"months": ("int_monthly", {"pixel_id": "int64", "value": "float64"})}


def model(months):
    return months.group_by("pixel_id").agg(mean=months.value.mean())
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "models" / "fct_means.ibis"
    path.parent.mkdir()
    path.write_text(MODEL)
    return path


def test_the_committed_sql_is_fresh() -> None:
    sources = list((REPOSITORY / "models").rglob("*.ibis"))
    assert sources
    stale = ibis_models.stale_models(REPOSITORY / "models")
    assert not stale, f"run `python -m soilhouse.ibis_models`: {', '.join(map(str, stale))}"


def test_both_dialects_in_one_model(source: Path) -> None:
    text = ibis_models.compile_model(source)
    header, config, condition, rest = text.split("\n", 3)
    assert header.startswith("-- generated from fct_means.ibis") and header.endswith("do not edit")
    assert config == "{{ config(materialized='view') }}" and condition == "{% if target.type == 'spark' %}"
    spark, duckdb_sql = rest.removesuffix("\n{% endif %}\n").split("\n{% else %}\n")
    assert spark.replace("`", '"') == duckdb_sql
    assert duckdb_sql.count("{{ ref('int_monthly') }}") == 1
    with duckdb.connect() as connection:
        connection.execute(
            "create table months as select * from (values (1, 2.0), (1, 4.0), (2, 5.0)) as t(pixel_id, value)"
        )
        found = connection.execute(duckdb_sql.replace("{{ ref('int_monthly') }}", "months")).fetchall()
    assert sorted(found) == [(1, 3.0), (2, 5.0)]


def test_check_fails_until_it_is_written(source: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr(ibis_models, "project_root", lambda: source.parents[1])
    assert ibis_models.main(["--check"]) == 1
    assert "stale: models/fct_means.sql" in capsys.readouterr().out
    assert not source.with_suffix(".sql").exists()
    assert ibis_models.main([]) == 0
    assert ibis_models.main(["--check"]) == 0
    source.write_text(MODEL.replace("mean()", "max()"))
    assert ibis_models.main(["--check"]) == 1
    assert not list(source.parent.rglob("__pycache__")), "bytecode among the models"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("def model(:", "does not run"),
        ("import no_such_module", "no_such_module"),
        (MODEL.replace("INPUTS", "TABLES"), "has no INPUTS"),
        (MODEL.replace("def model", "def query"), "has no model"),
        (MODEL.replace("model(months)", "model(years)"), "unexpected keyword argument 'months'"),
        (MODEL.replace("months.value", "months.values_"), "values_"),
    ],
)
def test_what_is_wrong_with_a_model_is_said(source: Path, text: str, says: str) -> None:
    source.write_text(text)
    with pytest.raises(UserError, match=says) as error:
        ibis_models.compile_model(source)
    assert source.name in str(error.value)
    assert error.value.next_step
