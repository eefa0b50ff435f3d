"""The by_period materialisation, in a project of its own with one model: batches, an empty model, rebuilds, contracts, failing batches."""

from __future__ import annotations

import os
import textwrap
from pathlib import Path

import duckdb
import pytest

from tests.warehouse import REPOSITORY, Finished, run_dbt

N_MAPS = 7
SIZES = (
    "select cast(m as int) as map_id, cast(10 * m as int) as n_pixels, 0.5 * m as level from range(1, {end}) as r(m)"
)
MODEL = """
{{{{ config(materialized='by_period', cells={cells}) }}}}
select maps.map_id, cast(count(*) as bigint) as n, sum(maps.level * p) as total, {extra}
from {{{{ ref('sizes') }}}} as maps
cross join range(100) as pixels(p)
where p < maps.n_pixels and {{{{ in_batch('maps.map_id', ref('sizes'), 'sum(n_pixels)') }}}}
group by maps.map_id
"""
COLUMNS = "{name: map_id, data_type: int}, {name: n, data_type: bigint}, {name: total, data_type: double}"


class Project:
    """A dbt project in a folder that borrows the repository's macros and plugins."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.database = root / "x.duckdb"
        (root / "models").mkdir()
        (root / "macros").mkdir()
        (root / "macros" / "by_period.sql").write_text(
            (REPOSITORY / "macros" / "materializations" / "by_period.sql").read_text()
        )
        (root / "dbt_project.yml").write_text(
            "{name: small, config-version: 2, profile: small, flags: {send_anonymous_usage_stats: false}}"
        )
        (root / "profiles.yml").write_text(
            f"small: {{target: dev, outputs: {{dev: {{type: duckdb, path: {self.database}, threads: 2}}}}}}"
        )
        self.sizes()
        self.model()

    def sizes(self, end: int = N_MAPS + 1) -> None:
        (self.root / "models" / "sizes.sql").write_text(SIZES.format(end=end))

    def model(self, cells: int = 50, extra: str = "cast(1 as int) as version", columns: str | None = None) -> None:
        """`columns`: those of an enforced contract."""
        (self.root / "models" / "maps.sql").write_text(MODEL.format(cells=cells, extra=extra))
        contract = self.root / "models" / "maps.yml"
        contract.unlink(missing_ok=True)
        if columns is not None:
            contract.write_text(
                textwrap.dedent(
                    f"""
                    models:
                      - {{name: maps, config: {{contract: {{enforced: true}}}}, columns: [{columns}]}}
                    """
                )
            )

    def build(self, check: bool = True) -> Finished:
        arguments = ["--no-use-colors", "--debug", "run", "--no-partial-parse", "--project-dir", str(self.root)]
        arguments += ["--profiles-dir", str(self.root), "--target-path", str(self.root / "target")]
        arguments += ["--log-path", str(self.root / "logs")]
        done = run_dbt(arguments, dict(os.environ))
        assert not check or done.returncode == 0, done.stdout[-4000:]
        return done

    def rows(self) -> list[tuple]:
        with duckdb.connect(str(self.database), read_only=True) as connection:
            return connection.execute("select * from maps order by map_id").fetchall()

    def tables(self) -> set[str]:
        with duckdb.connect(str(self.database), read_only=True) as connection:
            return {row[0] for row in connection.execute("select table_name from duckdb_tables()").fetchall()}


def expected(version: int = 1, n_maps: int = N_MAPS) -> list[tuple]:
    return [(m, min(10 * m, 100), 0.5 * m * sum(range(min(10 * m, 100))), version) for m in range(1, n_maps + 1)]


def batches(done: Finished) -> list[str]:
    """The conditions of the statements that filled the table."""
    lines = [line for line in done.stdout.splitlines() if "maps.map_id between " in line]
    found = [line.split("maps.map_id between ")[1].split(" /*")[0] for line in lines]
    return list(dict.fromkeys(found))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_several_batches_are_one(project: Project) -> None:
    done = project.build()
    several = project.rows()
    assert several == expected()
    # Batches of about 50 cells end with the map that goes past it: 10 + 20 + 30, 40 + 50 ...
    assert batches(done) == ["1 and 3", "4 and 4", "5 and 5", "6 and 6", "7 and 7"]
    project.model(cells=10**9)
    done = project.build()
    assert batches(done) == ["1 and 7"]
    assert project.rows() == several


def test_it_is_rebuilt_over_what_was_there(project: Project) -> None:
    project.build()
    project.model(extra="'new' as version")
    project.sizes(end=4)
    project.build()
    assert project.rows() == [(*row[:3], "new") for row in expected(n_maps=3)]
    assert project.tables() == {"maps"}, "neither a half-filled table nor the old one is left behind"


def test_without_periods_it_is_an_empty_table_with_its_columns(project: Project) -> None:
    project.sizes(end=1)
    project.build()
    assert project.rows() == []
    with duckdb.connect(str(project.database), read_only=True) as connection:
        described = connection.execute("describe maps").fetchall()
    assert [(row[0], row[1]) for row in described] == [
        ("map_id", "INTEGER"), ("n", "BIGINT"), ("total", "DECIMAL(38,1)"), ("version", "INTEGER")
    ] or [row[0] for row in described] == ["map_id", "n", "total", "version"]  # fmt: skip


def test_a_view_of_the_same_name_gives_way(project: Project) -> None:
    (project.root / "models" / "maps.sql").write_text("{{ config(materialized='view') }} select 1 as map_id")
    project.build()
    assert project.rows() == [(1,)]
    project.model()
    project.build()
    assert project.rows() == expected()


def test_a_contract_is_enforced(project: Project) -> None:
    project.model(extra="cast(1 as int) as version", columns=COLUMNS + ", {name: version, data_type: int}")
    text = (
        (project.root / "models" / "maps.sql")
        .read_text()
        .replace("sum(maps.level * p)", "cast(sum(maps.level * p) as double)")
    )
    (project.root / "models" / "maps.sql").write_text(text)
    project.build()
    assert project.rows() == expected()
    # A column of another type is refused before anything is touched.
    (project.root / "models" / "maps.sql").write_text(text.replace("cast(1 as int) as version", "'x' as version"))
    done = project.build(check=False)
    assert done.returncode != 0
    assert "contract" in done.stdout
    assert project.rows() == expected()


@pytest.mark.parametrize("level", [1, 5, 7])
def test_a_failing_batch_leaves_the_old_table(project: Project, level: int) -> None:
    project.build()
    project.model(extra=f"sum(case when maps.map_id = {level} then cast('no number' as int) else 2 end) as version")
    done = project.build(check=False)
    assert done.returncode != 0
    assert "no number" in done.stdout
    assert project.rows() == expected()
    assert project.tables() == {"maps"}
    project.model(extra="cast(3 as int) as version")
    project.build()
    assert project.rows() == expected(version=3)


def test_a_killed_build_leaves_the_old_table(project: Project) -> None:
    project.build()
    # The third batch ends the process as a kill does: no clean-up, no rollback.
    project.model(extra="max(die_at(maps.map_id)) as version")
    arguments = ["run", "--no-partial-parse", "--project-dir", str(project.root), "--profiles-dir", str(project.root)]
    arguments += ["--target-path", str(project.root / "target"), "--log-path", str(project.root / "logs")]
    done = run_dbt(arguments, dict(os.environ), before=die_at_map_5)
    assert done.returncode == 9
    assert project.rows() == expected()
    project.model(extra="cast(4 as int) as version")
    project.build()
    assert project.rows() == expected(version=4)
    assert project.tables() == {"maps"}


def die_at_map_5() -> None:
    """Give every connection that dbt opens a function that ends the process when it meets map 5."""
    connect = duckdb.connect

    def die_at(map_id: int) -> int:
        if map_id == 5:
            os._exit(9)
        return map_id

    def connected(*arguments, **options):
        connection = connect(*arguments, **options)
        connection.create_function("die_at", die_at, ["INTEGER"], "INTEGER", side_effects=True)
        return connection

    duckdb.connect = connected


def test_a_model_without_batches_is_refused(project: Project) -> None:
    (project.root / "models" / "maps.sql").write_text("{{ config(materialized='by_period') }} select 1 as map_id")
    done = project.build(check=False)
    assert done.returncode != 0
    assert "in_batch" in done.stdout
