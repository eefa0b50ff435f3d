"""Reads the marts of one database: every number of the report comes through `ask`, with the text of its query kept."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Sequence
from functools import cached_property

import duckdb

from serving.report.model import Absent, Answer, Facts

# What group of a study brings a mart, for the line that stands where a figure is missing.
GROUPS = {
    "fct_monthly_statistics": "patterns",
    "fct_qq_points": "patterns",
    "fct_semivariogram_bins": "patterns",
    "fct_semivariogram_models": "patterns",
    "fct_temporal_stability": "patterns",
    "fct_trends": "trends",
    "fct_ssmi_monthly": "trends",
    "fct_drought_area": "trends",
    "fct_depth_profile": "trends",
    "fct_depth_pattern": "trends",
    "fct_factor_detector": "drivers",
    "fct_interaction_detector": "drivers",
    "fct_downscaling_windows": "downscaling",
    "fct_downscaling_models": "downscaling",
    "fct_feature_importance": "downscaling",
    "fct_soil_moisture_1km_daily": "downscaling",
    "fct_matchups": "validation",
    "fct_station_validation": "validation",
    "fct_product_comparison": "validation",
    "fct_validation_change": "validation",
}

# Cells of one map that a page still shows and searches without waiting.
MOST_PIXELS = 150_000


def text(value: object) -> str:
    """A value as an SQL literal: text, dates and numbers, NULL for None."""
    if value is None:
        return "NULL"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return repr(value)
    return "'" + str(value).replace("'", "''") + "'"


def where(**columns: object) -> str:
    """`a = 'x' and b is null` of columns and their values."""
    return " and ".join(f"{k} is null" if v is None else f"{k} = {text(v)}" for k, v in columns.items())


class Reader:
    """The marts of a connection, read only."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, facts: Facts):
        self.connection = connection
        self.facts = facts
        found = connection.execute(
            "select table_name, column_name from duckdb_columns()"
            " where database_name = current_database() and schema_name = 'marts' order by table_name, column_index"
        ).fetchall()
        # What several figures need and is slow to make.
        self.kept: dict[tuple, list] = {}
        self.columns: dict[str, list[str]] = {}
        for table, column in found:
            self.columns.setdefault(table, []).append(column)

    def has(self, mart: str, *columns: str) -> bool:
        """Whether a mart is in the database, with these columns."""
        return mart in self.columns and set(columns) <= set(self.columns[mart])

    def need(self, *marts: str) -> None:
        """Raises Absent, with the group of the study that would bring it, for the first mart that is missing."""
        for mart in marts:
            if mart not in self.columns:
                group = GROUPS.get(mart)
                advice = f": add {group} to the groups of the study and build it again" if group else ""
                raise Absent(f"{mart} is not in this database{advice}.")

    def ask(self, sql: str) -> Answer:
        """The answer of one query. Raises Absent where a view stands on files that are gone."""
        sql = textwrap.dedent(sql).strip()
        try:
            return Answer(sql, self.connection.execute(sql).to_arrow_table())
        except (duckdb.IOException, duckdb.BinderException) as error:
            raise Absent(f"A query could not be answered: {str(error).splitlines()[0]}") from None

    def some(self, sql: str, what: str) -> Answer:
        """The same; raises Absent, saying that `what` has no rows, for an empty answer."""
        answer = self.ask(sql)
        if not len(answer):
            raise Absent(f"{what} has no rows for it in this study.")
        return answer

    # -- what several figures ask ------------------------------------------------------------------------------------

    @cached_property
    def regions(self) -> list[dict]:
        """The regions, the largest of the lowest level first: region_id, name, level, area_km2."""
        if not self.has("dim_region"):
            return []
        return self.ask(
            "select region_id, name, level, area_km2 from marts.dim_region order by level, area_km2 desc, region_id"
        ).rows()

    @cached_property
    def main_region(self) -> str:
        """The region that stands for the study: the largest of the lowest level."""
        return self.regions[0]["region_id"] if self.regions else "all"

    def region_name(self, region_id: str) -> str:
        """The name of a region, or its id where it has none."""
        if region_id == "all":
            return "whole study"
        return next((r["name"] or region_id for r in self.regions if r["region_id"] == region_id), region_id)

    @cached_property
    def series(self) -> list[dict]:
        """The series, soil moisture first: variable, product, layer, layer_top_cm."""
        self.need("fct_pixel_monthly")
        return self.ask(
            """
            select distinct variable, product, layer, grid_id, layer_top_cm
            from marts.fct_pixel_monthly
            left join marts.dim_layer using (layer)
            order by variable <> 'soil_moisture', variable, product, layer_top_cm nulls first, layer
            """
        ).rows()

    @cached_property
    def _sizes(self) -> dict[str, int]:
        return dict(
            self.connection.execute("select grid_id, count(*) from marts.dim_pixel group by grid_id").fetchall()
        )

    def n_pixels(self, grid_id: str) -> int:
        """How many pixels of a grid the study has."""
        return self._sizes.get(grid_id, 0)

    def step(self, grid_id: str) -> int:
        """1, or k where only each k-th row and column of a grid is drawn, so that a map has at most MOST_PIXELS cells."""
        return max(1, math.ceil(math.sqrt(self._sizes.get(grid_id, 0) / MOST_PIXELS)))

    def thinning(self, grid_id: str) -> str:
        """The condition that goes with `step`: '' where all pixels are drawn."""
        step = self.step(grid_id)
        return "" if step == 1 else f" and row_index % {step} = 0 and col_index % {step} = 0"

    def order(self, columns: Iterable[str], wanted: Sequence[str]) -> list[str]:
        """`columns` with those of `wanted` first and in its order."""
        columns = list(columns)
        return [c for c in wanted if c in columns] + [c for c in columns if c not in wanted]
