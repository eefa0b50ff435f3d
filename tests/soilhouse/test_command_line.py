"""The commands as a user meets them: help, exit codes, errors without tracebacks, from any folder."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from soilhouse.cli import main
from soilhouse.errors import UserError
from soilhouse.parser import COMMANDS, parse


def soilhouse(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """The installed command in a process of its own."""
    command = [str(Path(sys.executable).with_name("soilhouse")), *arguments]
    kept = {k: v for k, v in os.environ.items() if not k.startswith("SOILHOUSE_")}
    return subprocess.run(
        command, cwd=cwd, env=kept | environment, capture_output=True, text=True, timeout=120, check=False
    )


def test_alone_it_gives_an_overview(tmp_path):
    done = soilhouse(cwd=tmp_path)
    assert done.returncode == 0
    for name, command in COMMANDS.items():
        assert name in done.stdout
        assert command.summary.split(".")[0][:30] in done.stdout
    assert "first steps" in done.stdout
    assert "SOILHOUSE_LAKE" in done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_help_teaches(command, capsys):
    assert main([command, "--help"]) == 0
    shown = capsys.readouterr().out
    assert COMMANDS[command].summary in shown
    assert len(COMMANDS[command].examples) >= 2
    for line, what in COMMANDS[command].examples:
        assert line in shown
        assert what in shown


@pytest.mark.parametrize("line", [line for c in COMMANDS.values() for line, _ in c.examples])
def test_every_example_parses(line):
    program, *arguments = shlex.split(line)
    assert program == "soilhouse"
    assert parse(arguments).command == arguments[0]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("biuld", "Nearest: build"),
        ("repport", "Nearest: report"),
        ("build --selct fct_trends", "Nearest: --select"),
        ("build --sele fct_trends", "Nearest: --select"),
        ("build --target sparc", "invalid choice: 'sparc'"),
        ("build --threads none", "not a whole number above 0"),
        ("load", "required: PRODUCT, PATH"),
        ("load chirps_monthly", "required: PATH"),
        ("load chirps_monthly x.tif --workers 0", "not a whole number above 0"),
        ("build --start 2017-01-01", "--start and --end go together"),
        ("build --start 2017-01-02 --end 2017-03-01", "--start 2017-01-02 is not the first day of a month"),
        ("build --start 2017-13-01 --end 2018-03-01", "--start 2017-13-01 is not the first day of a month"),
        ("build --start 2017-03-01 --end 2017-03-01", "is not before"),
        ("build --select fct_trends studies/java.yml", "studies/java.yml is a study, not a model"),
        ("build nowhere.yml", "cannot be read"),
        ("build STUDY --lake", "--lake: expected one argument"),
    ],
)
def test_wrong_usage_is_code_2_in_words(line, said, capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("SOILHOUSE_LAKE", str(tmp_path / "lake"))
    assert main(shlex.split(line)) == 2
    shown = capsys.readouterr()
    assert said in shown.err
    assert "Traceback" not in shown.err
    assert shown.out == ""


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("soilhouse 0.")


def test_an_unknown_engine_in_the_environment(tmp_path):
    done = soilhouse("products", cwd=tmp_path, SOILHOUSE_TARGET="sparc")
    assert done.returncode == 1
    assert "There is no engine 'sparc'" in done.stderr


def test_products_lists_what_there_is_and_what_is_loaded(tmp_path, lake):
    done = soilhouse("products", "--lake", "lake", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    line = next(line for line in done.stdout.splitlines() if "chirps_monthly" in line)
    assert "precipitation" in line
    assert "latlon_0p05" in line
    assert "2011-01 to 2011-12" in line
    assert "my_daily" in done.stdout, "data of one's own are products too"
    assert str(tmp_path / "lake") in done.stdout


def test_products_does_not_import_dbt_or_numba(tmp_path):
    """Help and lists must answer at once."""
    script = "import sys; from soilhouse.cli import main; main(['products']); main(['build', '--help']); print(sorted(m for m in ('dbt', 'numba', 'pyspark') if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_wrong_study_is_told_before_any_work(tmp_path, written, minimal, lake):
    minimal["gruops"] = ["patterns"]
    written(minimal)
    done = soilhouse("build", "study.yml", "--lake", "lake", "--db", "out/x.duckdb", cwd=tmp_path)
    assert done.returncode == 2
    assert "study.gruops: is not a key here. Nearest: groups." in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_build_without_study_and_data_points_to_the_demo(tmp_path):
    done = soilhouse("build", "--lake", "empty", "--db", "x.duckdb", cwd=tmp_path)
    assert done.returncode == 2
    assert "The demo study (vars of dbt_project.yml) has" in done.stderr
    assert "`soilhouse demo` makes and loads the demo's data" in done.stderr
    assert not (tmp_path / "empty").exists()


def test_an_error_nobody_thought_of_has_no_traceback_unless_asked_for(tmp_path, monkeypatch, capsys):
    from soilhouse import products

    def break_down(_):
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(products, "show", break_down)
    monkeypatch.delenv("SOILHOUSE_DEBUG", raising=False)
    assert main(["products"]) == 1
    shown = capsys.readouterr().err
    assert "This should not have happened: ZeroDivisionError: division by zero" in shown
    assert "SOILHOUSE_DEBUG=1" in shown
    monkeypatch.setenv("SOILHOUSE_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        main(["products"])


def test_the_parser_never_exits_by_itself():
    with pytest.raises(UserError) as caught:
        parse(["load"])
    assert caught.value.code == 2
