"""A build that is killed half-way and repeated ends in the tables of one that was not."""

from __future__ import annotations

import os
import re
import signal
import threading
from datetime import date
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl

from tests.warehouse import Warehouse, run_dbt, small_grid

MARTS = (
    *("fct_soil_moisture_daily", "fct_pixel_monthly", "fct_monthly_statistics"),
    *("fct_temporal_stability", "fct_rank_stability", "fct_trends"),
)


def kill_when_made(database: str, table: str) -> None:
    """Kill this process as soon as dbt says that `table` is made (a thread watches the log that dbt writes)."""
    log = Path(database).parent / "logs" / "dbt.log"

    def watch() -> None:
        made = re.compile(rf"OK created .*\b{table} ")
        while not (log.exists() and made.search(log.read_text(errors="replace"))):
            threading.Event().wait(0.005)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


def house_in(root: Path) -> Warehouse:
    house = Warehouse(root)
    house.grid("g", small_grid(3, 4))
    days = pl.date_range(date(2018, 1, 1), date(2020, 1, 1), closed="left", eager=True)
    rows = pl.DataFrame({"pixel_id": range(12)}).join(pl.DataFrame({"obs_date": days}), how="cross")
    values = 0.25 + np.random.default_rng(3).normal(0, 0.03, len(rows))
    house.product("field", "g", rows.with_columns(sm=pl.Series(np.round(values * 1024) / 1024)))
    house.study = {
        "name": "killed",
        "groups": ["patterns", "trends"],
        "period": {"start": "2018-01-01", "end": "2020-01-01"},
        "series": [{"variable": "soil_moisture", "product": "field", "layer": "0-5 cm", "column": "sm"}],
        "trends": {"time_steps": ["month"]},
    }
    return house


def test_a_killed_build_is_finished_by_the_next(tmp_path: Path) -> None:
    clean, killed = house_in(tmp_path / "clean"), house_in(tmp_path / "killed")
    clean.dbt("build")
    for table in ("int_series", "fct_soil_moisture_daily", "int_map"):
        (killed.root / "logs" / "dbt.log").unlink(missing_ok=True)
        done = run_dbt(
            killed.dbt_arguments("build"),
            killed.environment(),
            partial(kill_when_made, str(killed.database), table),
        )
        assert done.returncode == -signal.SIGKILL, done.stdout[-2000:]
    killed.dbt("build")
    for mart in MARTS:
        numbers = [house.query(f"select * from marts.{mart} order by all") for house in (clean, killed)]
        assert numbers[0].height > 0
        assert numbers[0].columns == numbers[1].columns
        for name in numbers[0].columns:
            one, other = numbers[0][name], numbers[1][name]
            if one.dtype == pl.Float64:
                # the order of a parallel sum is not that of the other build
                assert one.is_null().equals(other.is_null())
                np.testing.assert_allclose(
                    one.drop_nulls(), other.drop_nulls(), rtol=1e-9, atol=1e-12, err_msg=f"{mart}.{name}"
                )
            else:
                assert one.equals(other), f"{mart}.{name}"
