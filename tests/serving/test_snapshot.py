"""The snapshot: a plain copy of the marts, replaced as a whole, which readers are never shut out of."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from dataclasses import replace

import duckdb
import pytest

from serving.dictionary import dictionary
from serving.errors import ServingError
from serving.snapshot import snapshot_of, write_snapshot
from soilhouse import doctor, publishing
from soilhouse.cli import main
from soilhouse.settings import project_root, settings
from tests.serving.generations import DESCRIBED, N_MONTHS, N_PIXELS, build

# What a reader does who knows nothing of this project: opens the file, looks, closes it.
READER = """
    import sys, time, duckdb
    assert not any(name.split(".")[0] in ("serving", "udfs", "soilhouse") for name in sys.modules)
    seen, count, last = [], 0, time.time() + 60
    print("ready", flush=True)
    while time.time() < last and not (seen and seen[-1] >= 11):
        with duckdb.connect(sys.argv[1], read_only=True) as connection:
            generations = connection.execute(
                "select max(generation) from marts.fct_pixel_monthly union select generation from marts.dim_pixel"
                " union select generation from marts.fct_note").fetchall()
            n, total = connection.execute("select count(*), sum(value) from marts.fct_pixel_monthly").fetchone()
        assert len(generations) == 1, f"parts of several builds: {generations}"
        (generation,) = generations[0]
        assert n == 120 and abs(total - (100 * generation + 1.14)) < 1e-9, (n, total, generation)
        assert not seen or generation >= seen[-1], "an older build came back"
        count += 1
        if not seen or seen[-1] != generation:
            seen.append(generation)
    print(count, *seen)
"""


def test_readers_see_whole_builds_only_and_are_never_shut_out(tmp_path):
    database = build(tmp_path / "soilhouse.duckdb", 1)
    snapshot = snapshot_of(database)
    write_snapshot(database, snapshot, DESCRIBED)
    command = [sys.executable, "-I", "-c", textwrap.dedent(READER), str(snapshot)]
    readers = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    try:
        for reader in readers:
            assert reader.stdout.readline() == "ready\n"
        for generation in range(2, 12):
            build(database, generation)
            write_snapshot(database, snapshot, DESCRIBED)
            time.sleep(0.1)
        for reader in readers:
            printed, errors = reader.communicate(timeout=90)
            assert reader.returncode == 0, errors
            count, *seen = map(int, printed.split())
            assert seen[-1] == 11 and len(seen) > 1 and count >= len(seen)
    finally:
        for reader in readers:
            reader.kill()
            reader.wait()


def test_an_open_reader_keeps_its_build(tmp_path):
    database = build(tmp_path / "soilhouse.duckdb", 1)
    snapshot = snapshot_of(database)
    write_snapshot(database, snapshot, DESCRIBED)
    question = "select max(generation), count(*) from marts.fct_pixel_monthly"
    with duckdb.connect(str(snapshot), read_only=True) as connection:
        build(database, 2)
        write_snapshot(database, snapshot, DESCRIBED)
        assert connection.execute(question).fetchone() == (1, N_PIXELS * N_MONTHS)
    with duckdb.connect(str(snapshot), read_only=True) as connection:
        assert connection.execute(question).fetchone() == (2, N_PIXELS * N_MONTHS)


def test_what_is_in_it(tmp_path):
    database = build(tmp_path / "soilhouse.duckdb")
    written = write_snapshot(database, tmp_path / "snapshot.duckdb", DESCRIBED)
    assert written.rows["fct_pixel_monthly"] == N_PIXELS * N_MONTHS and written.rows["fct_empty"] == 0
    assert written.left_out == ("fct_daily",)
    assert written.n_bytes == written.path.stat().st_size > 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["daily.parquet", "snapshot.duckdb", "soilhouse.duckdb"]
    with (
        duckdb.connect(str(written.path), read_only=True) as copy,
        duckdb.connect(str(database), read_only=True) as whole,
    ):
        schemas = copy.execute("select distinct schema_name from duckdb_tables()").fetchall()
        assert schemas == [("marts",)]
        assert copy.execute("select count(*) from duckdb_views() where not internal").fetchone() == (0,)
        for name in written.rows:
            rows = f"select * from marts.{name} order by all"
            assert copy.execute(rows).fetchall() == whole.execute(rows).fetchall()
            types = (
                f"select column_name, data_type from duckdb_columns() where table_name = '{name}' order by column_index"
            )
            assert copy.execute(types).fetchall() == whole.execute(types).fetchall()
        comments = dict(copy.execute("select table_name, comment from duckdb_tables()").fetchall())
        assert comments["fct_note"] == 'Remarks; what\'s "quoted".'
        assert comments["fct_empty"] is None
        assert copy.execute("select comment from duckdb_columns() where column_name = 'value' and table_name = 'fct_pixel_monthly'").fetchone() == ("The pixel's value, m3 m-3.",)  # fmt: skip
        # A map lies together: months first, pixels last.
        order = copy.execute("select month, pixel_id from marts.fct_pixel_monthly").fetchall()
        assert order == sorted(order)


def test_daily_tables_on_request(tmp_path):
    database = build(tmp_path / "soilhouse.duckdb", 7)
    written = write_snapshot(database, tmp_path / "snapshot.duckdb", DESCRIBED, daily=True)
    (tmp_path / "daily.parquet").unlink()
    with duckdb.connect(str(written.path), read_only=True) as copy:
        assert copy.execute("select value from marts.fct_daily").fetchall() == [(7,)]


def test_a_failure_leaves_the_old_one_and_nothing_beside_it(tmp_path, monkeypatch):
    database = build(tmp_path / "soilhouse.duckdb", 1)
    snapshot = snapshot_of(database)
    write_snapshot(database, snapshot, DESCRIBED)
    before = snapshot.read_bytes()
    build(database, 2)
    (tmp_path / "daily.parquet").unlink()
    with pytest.raises(ServingError, match="was not written"):
        write_snapshot(database, snapshot, DESCRIBED, daily=True)
    assert snapshot.read_bytes() == before
    assert not list(tmp_path.glob("*.next*"))


def test_what_a_killed_copy_left_is_taken_away(tmp_path):
    database = build(tmp_path / "soilhouse.duckdb", 1)
    snapshot = snapshot_of(database)
    (tmp_path / "snapshot.duckdb.next").write_bytes(b"half")
    (tmp_path / "snapshot.duckdb.next.wal").write_bytes(b"half")
    (tmp_path / "snapshot.duckdb.wal").write_bytes(b"somebody wrote to the old file")
    write_snapshot(database, snapshot, DESCRIBED)
    assert not list(tmp_path.glob("*.next*")) and not list(tmp_path.glob("*.wal"))
    with duckdb.connect(str(snapshot), read_only=True) as connection:
        assert connection.execute("select max(generation) from marts.dim_pixel").fetchone() == (1,)


def test_nobody_opens_it_for_writing_by_mistake(tmp_path):
    database = build(tmp_path / "soilhouse.duckdb", 1)
    written = write_snapshot(database, snapshot_of(database), DESCRIBED)
    assert written.path.stat().st_mode & 0o777 == 0o444
    if os.geteuid() != 0:
        with pytest.raises(duckdb.IOException, match="Permission denied"):
            duckdb.connect(str(written.path))


@pytest.mark.parametrize(
    ("name", "said"), [("nothing.duckdb", "no database"), ("empty.duckdb", "no marts"), ("own.duckdb", "itself")]
)
def test_no_marts_no_snapshot(tmp_path, name, said):
    duckdb.connect(str(tmp_path / "empty.duckdb")).close()
    duckdb.connect(str(tmp_path / "own.duckdb")).close()
    target = tmp_path / (name if name == "own.duckdb" else "snapshot.duckdb")
    with pytest.raises(ServingError, match=said):
        write_snapshot(tmp_path / name, target, {})
    assert not (tmp_path / "snapshot.duckdb").exists()


def test_a_name_that_would_be_ambiguous_is_refused(tmp_path):
    with pytest.raises(ServingError, match="two things"):
        write_snapshot(build(tmp_path / "soilhouse.duckdb"), tmp_path / "marts.duckdb", DESCRIBED)


def test_each_database_has_a_snapshot_of_its_own(tmp_path):
    assert snapshot_of(tmp_path / "soilhouse.duckdb") == tmp_path / "snapshot.duckdb"
    assert snapshot_of(tmp_path / "java.duckdb") == tmp_path / "java_snapshot.duckdb"


def test_every_mart_is_described_with_its_grain():
    described = dictionary(project_root())
    sql = {path.stem for path in (project_root() / "models" / "marts").rglob("*.sql")}
    assert sql <= set(described)
    for name in sql:
        what = described[name]
        assert what.description and what.grain and all(what.columns.values()), name
        assert "{{" not in what.description + "".join(what.columns.values()), name
        assert set(what.grain) <= set(what.columns), name


def test_publish_without_a_target_writes_it(tmp_path, capsys):
    database = build(tmp_path / "soilhouse.duckdb", 1)
    assert main(["publish", "--db", str(database)]) == 0
    said = capsys.readouterr().out
    assert "snapshot.duckdb (6 tables, " in said and "fct_daily (soilhouse publish --daily)" in said
    other = tmp_path / "for others" / "soil.duckdb"
    assert main(["publish", str(other), "--daily", "--db", str(database)]) == 0
    assert "(7 tables, " in capsys.readouterr().out
    assert other.exists()


def test_publish_says_what_is_wrong(tmp_path, capsys):
    assert main(["publish", "--db", str(tmp_path / "none.duckdb")]) == 1
    assert "`soilhouse build` makes it" in capsys.readouterr().err
    assert main(["publish", "somewhere", "--db", str(tmp_path / "none.duckdb")]) == 2
    assert "postgresql://user@host/database" in capsys.readouterr().err
    database = build(tmp_path / "soilhouse.duckdb", 1)
    with duckdb.connect(str(database)) as connection:
        connection.execute("create table intermediate.int_series as select 'another' as study")
    assert main(["publish", "--db", str(database)]) == 1
    assert "more than one study (another, small)" in capsys.readouterr().err
    assert not snapshot_of(database).exists()


def test_the_end_of_a_build(tmp_path, capsys):
    chosen = replace(settings(), database=tmp_path / "soilhouse.duckdb", target="duckdb")
    assert publishing.refresh(chosen), "a build of no marts has nothing to copy"
    build(chosen.database)
    assert publishing.refresh(chosen)
    assert "Snapshot for readers: " in capsys.readouterr().err
    (tmp_path / "snapshot.duckdb.next").mkdir()
    assert not publishing.refresh(chosen)
    assert "Nothing changed for its readers" in capsys.readouterr().err


def test_doctor_knows_it(tmp_path):
    chosen = replace(settings(), lake=tmp_path / "lake", database=tmp_path / "soilhouse.duckdb", target="duckdb")

    def found() -> doctor.Finding | None:
        return next(doctor._snapshot(chosen), None)

    assert found() is None
    build(chosen.database)
    assert found().status == "warning" and "soilhouse publish" in found().next_step
    publishing.refresh(chosen)
    assert found().status == "ok" and "study small" in found().found
    snapshot = snapshot_of(chosen.database)
    os.utime(snapshot, (0, 0))
    assert found().status == "warning" and "older than the database" in found().found
    snapshot.unlink()
    snapshot.write_bytes(b"no database at all, but longer than its header" * 200)
    assert found().status == "problem"
