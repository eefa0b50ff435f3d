"""One place reads the environment: options before it, defaults after it, and paths that mean the same in every folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from soilhouse.errors import UserError
from soilhouse.settings import project_root, settings

ROOT = Path(__file__).resolve().parents[2]
VARIABLES = ("SOILHOUSE_LAKE", "SOILHOUSE_DB", "SOILHOUSE_TARGET", "SOILHOUSE_MEMORY", "SOILHOUSE_SPARK_WAREHOUSE")


@pytest.fixture(autouse=True)
def clean(monkeypatch, tmp_path):
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.chdir(tmp_path)


def test_defaults_lie_in_the_project_whatever_the_folder():
    found = settings()
    assert project_root() == ROOT
    assert (found.lake, found.database, found.target) == (ROOT / "lake", ROOT / "build" / "soilhouse.duckdb", "duckdb")
    assert "SOILHOUSE_MEMORY" not in found.environment(), "profiles.yml has the default"


def test_the_environment_is_relative_to_the_current_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("SOILHOUSE_LAKE", "a/lake")
    monkeypatch.setenv("SOILHOUSE_DB", "x.duckdb")
    monkeypatch.setenv("SOILHOUSE_TARGET", "spark")
    monkeypatch.setenv("SOILHOUSE_MEMORY", "2GB")
    found = settings()
    assert found.environment() == {
        "SOILHOUSE_LAKE": str(tmp_path / "a" / "lake"),
        "SOILHOUSE_DB": str(tmp_path / "x.duckdb"),
        "SOILHOUSE_TARGET": "spark",
        "SOILHOUSE_MEMORY": "2GB",
        "SOILHOUSE_SPARK_WAREHOUSE": str(ROOT / "build" / "spark"),
    }


def test_a_way_up_and_down_again_is_one_spelling(monkeypatch, tmp_path):
    """Views list files of the lake: a lake of two spellings would be two lakes to them."""
    (tmp_path / "studies").mkdir()
    monkeypatch.chdir(tmp_path / "studies")
    found = settings(lake="../lake", database="../x.duckdb")
    assert (found.lake, found.database) == (tmp_path / "lake", tmp_path / "x.duckdb")


def test_options_come_before_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("SOILHOUSE_LAKE", "other")
    monkeypatch.setenv("SOILHOUSE_TARGET", "spark")
    found = settings(lake=str(tmp_path / "mine"), target="duckdb")
    assert (found.lake, found.target) == (tmp_path / "mine", "duckdb")


def test_an_engine_that_does_not_exist():
    with pytest.raises(UserError, match="There is no engine 'sqlite'"):
        settings(target="sqlite")


def test_every_variable_of_the_documentation_is_read_here():
    """README, help and profiles.yml may name no variable that nothing reads."""
    import re

    from soilhouse.parser import ENVIRONMENT

    source = (ROOT / "soilhouse" / "settings.py").read_text(encoding="utf-8")
    profile = (ROOT / "profiles.yml").read_text(encoding="utf-8")
    known = set(re.findall(r"SOILHOUSE_[A-Z_]+", source))
    assert set(re.findall(r"SOILHOUSE_[A-Z_]+", ENVIRONMENT)) <= known
    # How Spark is run is between profiles.yml and who runs Spark.
    assert {v for v in re.findall(r"SOILHOUSE_[A-Z_]+", profile) if "SPARK" not in v} <= known
