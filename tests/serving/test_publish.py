"""Publishing to a real PostgreSQL with PostGIS: what arrives, what is sent again, what of other people's survives, and who may do what."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import duckdb
import psycopg2
import pytest

from serving import publish as publishing
from serving.errors import ServingError
from serving.publish import publish
from serving.publish_address import connect, is_address, without_password
from serving.publish_source import Marts
from serving.snapshot import write_snapshot
from soilhouse.cli import main
from tests.serving.generations import DESCRIBED, N_MONTHS, N_PIXELS, build
from tests.serving.postgres import PASSWORD, Server


def snapshot(folder: Path, generation: int = 1, study: str = "small", change: str = "") -> Path:
    """The snapshot of a build, after `change` in its database."""
    folder.mkdir(exist_ok=True)
    database = build(folder / "soilhouse.duckdb", generation, study)
    if change:
        with duckdb.connect(str(database)) as connection:
            connection.execute(change)
    return write_snapshot(database, folder / "snapshot.duckdb", DESCRIBED).path


def send(server: Server, database: str, path: Path, **options) -> publishing.Published:
    return publish(path, server.address(database), DESCRIBED, **{"large": 100, **options})


def generations(server: Server, database: str) -> set[int]:
    """The generations of the tables as a reader sees them; the first month of fct_pixel_monthly is of none."""
    return {
        g
        for (g,) in server.query(
            database,
            "select generation from soilhouse.dim_pixel union select generation from soilhouse.fct_note"
            " union select generation from soilhouse.fct_pixel_monthly where month > '2020-01-01'",
        )
    }


def test_every_table_arrives_as_it_was(server, database, tmp_path):
    path = snapshot(tmp_path)
    done = send(server, database, path)
    assert set(done.tables.values()) == {"new"} and len(done.tables) == 6
    with duckdb.connect(str(path), read_only=True) as connection:
        for name in done.tables:
            columns = ", ".join(c for (c,) in connection.execute(f"select column_name from duckdb_columns() where table_name = '{name}'").fetchall())  # fmt: skip
            rows = connection.execute(f"select {columns} from marts.{name}").fetchall()
            found = server.query(database, f"select {columns} from soilhouse.{name}")
            assert sorted(found, key=repr) == sorted(rows, key=repr), name
    assert done.n_rows == sum(n for (n,) in server.query(database, "select n_rows from soilhouse.published_part"))


def test_geometry_has_its_srid_and_lies_where_it_should(server, database, tmp_path):
    send(server, database, snapshot(tmp_path))
    found = server.query(
        database, "select f_table_name, type, srid from geometry_columns where f_table_schema = 'soilhouse'"
    )
    assert sorted(found) == [
        ("dim_pixel", "POINT", 4326),
        ("dim_region_geometry", "MULTIPOLYGON", 4326),
        ("dim_station", "POINT", 4326),
    ]
    assert server.query(database, "select bool_and(st_x(geometry) = lon and st_y(geometry) = lat) from soilhouse.dim_pixel") == [(True,)]  # fmt: skip
    assert server.query(database, "select station_id from soilhouse.dim_station where geometry is null") == [("s2",)]
    assert server.query(database, "select st_area(geometry), st_srid(geometry) from soilhouse.dim_region_geometry") == [
        (1.0, 4326)
    ]


def test_indexes_and_comments(server, database, tmp_path):
    send(server, database, snapshot(tmp_path))
    indexes = dict(server.query(database, "select indexname, indexdef from pg_indexes where schemaname = 'soilhouse'"))
    assert indexes["fct_pixel_monthly_grain"].startswith("CREATE UNIQUE INDEX")
    assert indexes["fct_pixel_monthly_grain"].endswith("(pixel_id, month, grid_id)")
    assert {"fct_pixel_monthly_month", "dim_pixel_geometry", "dim_region_geometry_geometry"} <= set(indexes)
    (comment,) = server.query(database, "select obj_description('soilhouse.fct_note'::regclass)")[0]
    assert comment == 'Remarks; what\'s "quoted".'
    (comment,) = server.query(
        database,
        "select col_description('soilhouse.fct_pixel_monthly'::regclass, attnum) from pg_attribute"
        " where attrelid = 'soilhouse.fct_pixel_monthly'::regclass and attname = 'value'",
    )[0]
    assert comment == "The pixel's value, m3 m-3."


def test_only_what_changed_is_sent(server, database, tmp_path):
    path = snapshot(tmp_path)
    send(server, database, path)
    again = send(server, database, path)
    assert set(again.tables.values()) == {"unchanged"} and again.n_rows == 0
    # Written anew in another order of rows: the content is the same.
    assert send(server, database, snapshot(tmp_path / "again")).n_rows == 0

    month = "update marts.fct_pixel_monthly set value = value + 1 where month = '2020-03-01'"
    changed = send(server, database, snapshot(tmp_path, change=month))
    assert {t: how for t, how in changed.tables.items() if how != "unchanged"} == {"fct_pixel_monthly": "1 of 6 months"}
    assert changed.n_rows == N_PIXELS
    assert server.query(database, "select count(*), sum(value) from soilhouse.fct_pixel_monthly where month = '2020-03-01'")[0] == (
        N_PIXELS, pytest.approx(2 * N_PIXELS + 0.19)
    )  # fmt: skip

    gone = "delete from marts.fct_pixel_monthly where month = '2020-03-01'"
    done = send(server, database, snapshot(tmp_path, change=gone))
    assert done.tables["fct_pixel_monthly"] == "1 of 5 months" and done.n_rows == 0
    assert server.query(database, "select count(*) from soilhouse.fct_pixel_monthly") == [(N_PIXELS * (N_MONTHS - 1),)]

    # Most of it is other: a new table, which the old month's rows are in as well.
    done = send(server, database, snapshot(tmp_path, 2))
    assert done.tables["fct_pixel_monthly"] == "replaced" and done.n_rows > N_PIXELS * N_MONTHS
    assert generations(server, database) == {2}
    path = snapshot(tmp_path, 2)
    assert send(server, database, path).n_rows == 0
    assert send(server, database, path, everything=True).tables["dim_pixel"] == "replaced"


def test_what_somebody_deleted_comes_back(server, database, tmp_path):
    path = snapshot(tmp_path)
    send(server, database, path)
    server.query(database, "delete from soilhouse.fct_pixel_monthly where month = '2020-02-01' and pixel_id = 3")
    assert send(server, database, path).tables["fct_pixel_monthly"] == "1 of 6 months"
    server.query(database, "drop table soilhouse.dim_pixel")
    assert send(server, database, path).tables["dim_pixel"] == "new"
    assert send(server, database, path).n_rows == 0


def test_peoples_views_survive(server, database, tmp_path):
    send(server, database, snapshot(tmp_path))
    server.query(database, "create schema theirs; create view theirs.wet as select pixel_id, max(value) as value, max(generation) as generation"
                 " from soilhouse.fct_pixel_monthly group by pixel_id; create materialized view theirs.still as select * from soilhouse.dim_pixel")  # fmt: skip
    done = send(server, database, snapshot(tmp_path, 2))
    assert done.tables["fct_pixel_monthly"] == "5 of 6 months"
    assert done.tables["dim_pixel"] == "replaced in place" and done.tables["fct_note"] == "replaced"
    assert server.query(database, "select distinct generation from theirs.wet") == [(2,)]
    assert generations(server, database) == {2}

    # A column more does not hinder a view.
    more = "alter table marts.fct_pixel_monthly add column sd double; update marts.fct_pixel_monthly set sd = 0.5"
    assert send(server, database, snapshot(tmp_path, 3, change=more)).tables["fct_pixel_monthly"] == "replaced in place"
    assert server.query(database, "select distinct sd from soilhouse.fct_pixel_monthly") == [(0.5,)]
    assert server.query(database, "select distinct generation from theirs.wet") == [(3,)]


def test_a_changed_column_names_the_views_that_hinder(server, database, tmp_path):
    send(server, database, snapshot(tmp_path))
    server.query(database, 'create schema theirs; create view theirs."Wet days" as select value from soilhouse.fct_pixel_monthly;'
                 " create table theirs.mine (grid_id text, pixel_id bigint, month date, foreign key (pixel_id, month, grid_id)"
                 " references soilhouse.fct_pixel_monthly (pixel_id, month, grid_id))")  # fmt: skip
    other = "alter table marts.fct_pixel_monthly alter value type varchar"
    with pytest.raises(ServingError) as refused:
        send(server, database, snapshot(tmp_path, 2, change=other))
    for said in (
        'theirs."Wet days"',
        "theirs.mine (foreign key)",
        "fct_pixel_monthly",
        "value was double precision and is text",
    ):
        assert said in refused.value.problem
    assert "pg_get_viewdef" in refused.value.next_step
    assert generations(server, database) == {1}, "nothing at all was published"
    server.query(database, "drop schema theirs cascade")
    assert send(server, database, snapshot(tmp_path, 2, change=other)).tables["fct_pixel_monthly"] == "replaced"

    server.query(database, "create view public.remarks as select * from soilhouse.fct_note")
    with pytest.raises(ServingError, match=r"public\.remarks on fct_note"):
        send(server, database, snapshot(tmp_path, 3, change="drop table marts.fct_note"))
    server.query(database, "drop view public.remarks")
    assert send(server, database, snapshot(tmp_path, 3, change="drop table marts.fct_note")).dropped == ["fct_note"]


def test_other_peoples_tables_and_other_studies_are_left_alone(server, database, tmp_path):
    server.query(database, "create schema soilhouse; create table soilhouse.fct_note (a int)")
    with pytest.raises(ServingError, match=r"soilhouse\.fct_note is there already"):
        send(server, database, snapshot(tmp_path))
    send(server, database, snapshot(tmp_path), schema='strange "name"')
    named = server.query(database, 'select count(*) from "strange ""name""".dim_pixel')
    assert named == [(N_PIXELS,)]
    server.query(database, "drop table soilhouse.fct_note; create table soilhouse.mine (a int)")
    send(server, database, snapshot(tmp_path))
    with pytest.raises(ServingError) as refused:
        send(server, database, snapshot(tmp_path, 2, "java"))
    assert "holds the study small" in refused.value.problem and "--schema java" in refused.value.next_step
    assert generations(server, database) == {1}
    send(server, database, snapshot(tmp_path, 2, "java"), replace=True)
    assert generations(server, database) == {2}
    assert server.query(database, "select count(*) from soilhouse.mine") == [(0,)]


def test_the_reader_reads_and_nothing_else(server, database, tmp_path):
    done = send(server, database, snapshot(tmp_path), reader="readers")
    assert any("grant" in note for note in done.notes)
    server.query(database, f"create role anna login password '{PASSWORD}' in role readers")
    try:
        assert server.query(database, "select count(*) from soilhouse.dim_pixel", user="anna") == [(N_PIXELS,)]
        for statement in (
            "delete from soilhouse.dim_pixel",
            "create table soilhouse.x (a int)",
            "drop table soilhouse.fct_note",
        ):
            with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                server.query(database, statement, user="anna")
        assert send(server, database, snapshot(tmp_path, 2), reader="readers").notes == []
        assert server.query(database, "select max(generation) from soilhouse.dim_pixel", user="anna") == [(2,)]
        # Who may only read is told what is missing, and by whom it can be given.
        with pytest.raises(ServingError) as refused:
            publish(snapshot(tmp_path), server.address(database, "anna"), DESCRIBED, schema="annas")
        assert "may not make one" in refused.value.problem and "create schema" in refused.value.next_step
    finally:
        server.query(database, "drop owned by readers; drop role anna; drop role readers")


def test_a_reader_sees_one_whole_build_at_any_time(server, database, tmp_path):
    """A process that reads all the time while ten publications go by, some in place and some swapped."""
    send(server, database, snapshot(tmp_path))
    server.query(database, "create view public.theirs as select * from soilhouse.dim_pixel")
    code = """
        import sys, time, psycopg2
        connection = psycopg2.connect(sys.argv[1]); connection.autocommit = True
        cursor, seen, last = connection.cursor(), set(), time.time() + 60
        print("ready", flush=True)
        while time.time() < last and 11 not in seen:
            cursor.execute("select max(generation), count(*) from soilhouse.fct_pixel_monthly"
                " union all select generation, count(*) from soilhouse.dim_pixel group by 1"
                " union all select generation, count(*) * 10 from soilhouse.fct_note group by 1")
            rows = cursor.fetchall()
            assert len({g for g, _ in rows}) == 1 and [n for _, n in rows] == [120, 20, 30], rows
            seen.add(rows[0][0])
        print(len(seen), max(seen))
    """
    command = [sys.executable, "-c", textwrap.dedent(code), server.address(database)]
    reader = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert reader.stdout.readline() == "ready\n"
        for generation in range(2, 12):
            send(server, database, snapshot(tmp_path, generation))
        printed, errors = reader.communicate(timeout=90)
        assert reader.returncode == 0, errors
        n_seen, last = map(int, printed.split())
        assert last == 11 and n_seen > 1
    finally:
        reader.kill()
        reader.wait()


def test_killed_in_the_middle_leaves_the_old_state(server, database, tmp_path):
    send(server, database, snapshot(tmp_path))
    before = server.query(database, "select * from soilhouse.published_part order by 1, 2")
    new = snapshot(tmp_path, 2)
    # It stops before the last table, with the others written, and is killed there.
    code = f"""
        import time
        from pathlib import Path
        from serving.publish import publish
        from tests.serving.generations import DESCRIBED
        def progress(name, done, total):
            if done == total - 1:
                print("nearly", flush=True)
                time.sleep(60)
        publish(Path({str(new)!r}), {server.address(database)!r}, DESCRIBED, large=100, progress=progress)
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "nearly\n"
    with pytest.raises(ServingError, match="Another publication"):
        send(server, database, new)
    process.send_signal(signal.SIGKILL)
    process.wait()
    for _ in range(100):
        if not server.query(database, "select 1 from pg_stat_activity where application_name = 'soilhouse publish'"):
            break
        time.sleep(0.1)
    assert generations(server, database) == {1}
    assert server.query(database, "select * from soilhouse.published_part order by 1, 2") == before
    assert not server.query(database, "select 1 from pg_class where relname like '%%next%%' and relname !~ '^pg_'")
    send(server, database, new)
    assert generations(server, database) == {2}


def test_a_table_that_is_read_for_long_is_not_waited_for_for_ever(server, database, tmp_path, monkeypatch):
    send(server, database, snapshot(tmp_path))
    monkeypatch.setattr(publishing, "LOCK_SECONDS", 0.3)
    reading = psycopg2.connect(server.address(database))
    try:
        reading.cursor().execute("select * from soilhouse.dim_pixel")
        with pytest.raises(ServingError, match="being read for longer"):
            send(server, database, snapshot(tmp_path, 2))
    finally:
        reading.close()
    assert generations(server, database) == {1}


def test_tls_with_a_checked_certificate(server, database, tmp_path):
    path = snapshot(tmp_path)
    authority, other = server.folder / "ca.crt", server.folder / "other.crt"
    address = server.address(database, host="localhost", sslmode="verify-full", sslrootcert=authority)
    publish(path, address, DESCRIBED)
    with connect(address) as connection:
        assert connection.info.ssl_in_use
    # The certificate is of `localhost`, and not of 127.0.0.1; and another authority did not sign it.
    with pytest.raises(ServingError) as refused:
        connect(server.address(database, sslmode="verify-full", sslrootcert=authority))
    assert "as the certificate has it" in refused.value.next_step
    with pytest.raises(ServingError, match="certificate verify failed"):
        connect(server.address(database, host="localhost", sslmode="verify-full", sslrootcert=other))


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://me:hunter2@db/soil",
        "postgres://me:@db/soil",
        "postgresql://db/soil?user=me&password=hunter2",
        "postgresql://db/soil?sslpassword=hunter2",
        "postgresql://me:hunter2/x@db/soil",
        "postgresql://me:hunter2#x@db/soil",
    ],
)
def test_a_password_in_the_address_is_refused_and_not_repeated(address, capsys, tmp_path):
    with pytest.raises(ServingError) as refused:
        without_password(address)
    assert "hunter2" not in str(refused.value)
    assert "PGPASSWORD" in refused.value.next_step and "~/.pgpass" in refused.value.next_step
    assert main(["publish", address, "--db", str(tmp_path / "soilhouse.duckdb")]) == 1
    said = capsys.readouterr()
    assert "hunter2" not in said.out + said.err and "history" in said.err


def test_addresses():
    assert is_address("postgresql://db/soil") and is_address("postgres://me@[::1]:5433/soil?sslmode=verify-full")
    assert not is_address("marts.duckdb") and not is_address("mysql://db/soil")
    assert without_password("postgresql://me@[::1]:5433/a%20b") == "postgresql://me@[::1]:5433/a%20b"
    with pytest.raises(ServingError, match="cannot be read"):
        without_password("postgresql:db")


def test_a_wrong_password_and_no_server(server, database, tmp_path, monkeypatch):
    monkeypatch.setenv("PGPASSWORD", "wrong")
    with pytest.raises(ServingError) as refused:
        send(server, database, snapshot(tmp_path))
    assert "password authentication failed" in refused.value.problem and "PGPASSWORD" in refused.value.next_step
    with pytest.raises(ServingError, match="refused"):
        publish(tmp_path / "snapshot.duckdb", "postgresql://me@127.0.0.1:9/soil", DESCRIBED)


def test_what_postgresql_has_no_type_for_is_named(tmp_path):
    path = snapshot(tmp_path, change="alter table marts.fct_note add column parts int[]")
    with pytest.raises(ServingError, match=r"Column parts of fct_note is of the type INTEGER\[\]"):
        Marts(path).source("fct_note", 100)


def test_without_psycopg2_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg2", None)
    with pytest.raises(ServingError) as refused:
        connect("postgresql://db/soil")
    assert "psycopg2-binary" in refused.value.problem and "make environment-dev" in refused.value.next_step


def test_without_geometry_no_postgis_is_needed(server, database, tmp_path):
    database += "_plain"
    server.create_database(database, template="template1")
    send(server, database, snapshot(tmp_path), geometry=False)
    assert not server.query(database, "select 1 from pg_extension where extname = 'postgis'")
    # Later with it: the tables get a column more.
    done = send(server, database, snapshot(tmp_path))
    assert done.tables["dim_pixel"] == "replaced" and done.tables["fct_note"] == "unchanged"
    assert server.query(database, "select count(geometry) from soilhouse.dim_pixel") == [(N_PIXELS,)]


def test_the_command(server, database, tmp_path, capsys):
    path = snapshot(tmp_path)
    arguments = [
        "publish",
        server.address(database),
        "--db",
        str(path.with_name("soilhouse.duckdb")),
        "--schema",
        "study_1",
    ]
    assert main(arguments) == 0
    said = capsys.readouterr().out
    assert "study_1.fct_pixel_monthly: new" in said and "6 tables are in schema study_1, 0 of them unchanged" in said
    assert main([*arguments, "--daily"]) == 0
    assert "study_1.fct_daily: new" in capsys.readouterr().out
    path.unlink()
    assert main(arguments) == 1
    assert "`soilhouse build` writes it" in capsys.readouterr().err


def test_the_server_is_not_one_of_root(server):
    assert (server.folder / "data").stat().st_uid != 0
