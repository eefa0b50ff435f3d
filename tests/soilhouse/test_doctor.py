"""`soilhouse doctor` names what is wrong and what to do, and goes on after a check that breaks."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from soilhouse import doctor
from soilhouse.doctor import Finding, findings, locked_versions
from soilhouse.settings import Settings, settings


@pytest.fixture
def chosen(tmp_path) -> Settings:
    return replace(settings(), lake=tmp_path / "lake", database=tmp_path / "x.duckdb", target="duckdb")


def by_subject(chosen: Settings) -> dict[str, Finding]:
    return {f.subject: f for f in findings(chosen)}


def month_file(lake: Path, product: str, month: date, metadata: dict | None) -> Path:
    """A month file as the loaders lay it out."""
    path = lake / "raw" / product / f"year={month:%Y}" / f"month={month:%m}" / f"{product}_{month:%Y-%m}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table({"pixel_id": [1], "obs_date": [month]})
    if metadata is not None:
        table = table.replace_schema_metadata({"soilhouse": json.dumps(metadata)})
    pq.write_table(table, path)
    catalogued = lake / "catalog" / "products" / f"{product}.parquet"
    catalogued.parent.mkdir(parents=True, exist_ok=True)
    catalogued.touch()
    return path


GRANULES = {"format": 1, "product": "p", "granules": [{"name": "a.tif"}]}


def test_this_environment_is_sound(chosen):
    found = by_subject(chosen)
    for subject in ("Python", "packages", "spatial extension", "kernels", "products"):
        assert found[subject].status == "ok", found[subject]
    assert found["lake"].status == "warning"
    assert "soilhouse load" in found["lake"].next_step
    assert found["database"].status == "warning"
    assert doctor.run(chosen) == 0, "warnings are no problems"


def test_a_sound_lake_and_a_built_database(chosen):
    for month in (1, 2, 3):
        month_file(chosen.lake, "rain", date(2020, month, 1), GRANULES)
    with duckdb.connect(str(chosen.database)) as connection:
        connection.execute("create schema intermediate; create table intermediate.int_series as select 'java' as study")
    found = by_subject(chosen)
    assert found["product rain"] == Finding("ok", "product rain", "2020-01 to 2020-03, 3 files")
    assert found["database"].status == "ok"
    assert "study java" in found["database"].found


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def unsigned(path: Path) -> None:
    pq.write_table(pq.read_table(path).replace_schema_metadata(None), path)


def test_tables_of_two_studies_are_a_problem(chosen):
    with duckdb.connect(str(chosen.database)) as connection:
        connection.execute("create schema marts; create schema intermediate")
        connection.execute("create table intermediate.int_series as select 'new' as study")
        connection.execute("create table marts.fct_trends as select 'old' as study")
    found = by_subject(chosen)["database"]
    assert found.status == "problem"
    assert "more than one study" in found.found


@pytest.mark.parametrize(
    ("damage", "said"),
    [(truncated, "not a whole Parquet file"), (emptied, "not a whole Parquet file"), (unsigned, "what it was made of")],
)
def test_a_broken_month_is_named(chosen, damage, said, capsys):
    month_file(chosen.lake, "rain", date(2020, 1, 1), GRANULES)
    damage(month_file(chosen.lake, "rain", date(2020, 2, 1), GRANULES))
    finding = by_subject(chosen)["product rain"]
    assert finding.status == "problem"
    assert "1 of 2 files" in finding.found
    assert "raw/rain/year=2020/month=02/rain_2020-02.parquet" in finding.found
    assert said in finding.found
    assert "load those months again" in finding.next_step
    assert doctor.run(chosen) == 1
    assert "problems: 1, " in capsys.readouterr().out


def test_what_an_interrupted_load_left_is_named_and_not_read(chosen):
    whole = month_file(chosen.lake, "rain", date(2020, 1, 1), GRANULES)
    (whole.parent / f".{whole.name}.tmp-123-456").write_bytes(b"half")
    found = by_subject(chosen)
    assert found["product rain"].status == "ok"
    assert found["lake"].status == "warning"
    assert "1 files of an interrupted load" in found["lake"].found


def test_a_load_that_did_not_reach_its_end_is_named(chosen):
    month_file(chosen.lake, "rain", date(2020, 1, 1), GRANULES)
    (chosen.lake / "catalog" / "products" / "rain.parquet").unlink()
    finding = by_subject(chosen)["product rain"]
    assert finding.status == "problem"
    assert "its last load was interrupted" in finding.found


def test_a_locked_database_is_a_problem_with_its_holder(chosen):
    script = (
        f"import duckdb, sys; c = duckdb.connect({str(chosen.database)!r}); print('open', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "open\n"
        finding = by_subject(chosen)["database"]
    finally:
        holder.communicate("")
    assert finding.status == "problem"
    assert str(holder.pid) in finding.found
    assert "--db FILE" in finding.next_step


def test_a_wrong_product_definition_is_named(chosen):
    folder = chosen.lake / "catalog" / "definitions"
    folder.mkdir(parents=True)
    (folder / "mine.yml").write_text("name: mine\ntitel: x\n", encoding="utf-8")
    finding = by_subject(chosen)["products"]
    assert finding.status == "problem"
    assert "mine.yml" in finding.found


def test_java_is_a_problem_only_for_spark(chosen, tmp_path, monkeypatch):
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert by_subject(chosen)["Java"].status == "warning"
    assert by_subject(replace(chosen, target="spark"))["Java"].status == "problem"


def test_a_check_that_breaks_is_a_finding_and_the_others_go_on(chosen, monkeypatch):
    def broken(_):
        raise RuntimeError("no way")
        yield

    monkeypatch.setattr(doctor, "_spatial", broken)
    found = by_subject(chosen)
    assert found["broken"].found == "the check broke: RuntimeError: no way"
    assert "database" in found


def test_the_lock_is_read_for_this_python_only(tmp_path):
    lock = tmp_path / "requirements.lock"
    lock.write_text(
        "numpy==2.4.6 ; python_full_version < '3.12' \\\n    --hash=sha256:aa\n"
        "numpy==2.5.5 ; python_full_version >= '3.12' \\\n    --hash=sha256:bb\n"
        "ibis-framework[duckdb]==12.0.0 \\\n    --hash=sha256:cc\n"
        "pywin32==1 ; sys_platform == 'win32' \\\n    --hash=sha256:dd\n",
        encoding="utf-8",
    )
    numpy = "2.5.5" if sys.version_info >= (3, 12) else "2.4.6"
    expected = {"numpy": numpy, "ibis-framework": "12.0.0"}
    assert {k: v for k, v in locked_versions(lock).items() if k != "pywin32"} == expected
    assert ("pywin32" in locked_versions(lock)) == (sys.platform == "win32")


def test_another_version_of_an_engine_is_a_problem_and_of_the_rest_a_warning(chosen, tmp_path):
    def with_lock(text: str) -> Finding:
        (tmp_path / "requirements.lock").write_text(text, encoding="utf-8")
        return next(doctor._packages(replace(chosen, project=tmp_path)))

    assert with_lock("duckdb==0.0.1\n").status == "problem"
    assert with_lock("rich==0.0.1\n").status == "warning"
    assert with_lock("no-such-package-at-all==1\n").found == "missing: no-such-package-at-all"
