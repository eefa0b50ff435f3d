"""The tables at the end of the demo: each with the SQL that made it and the planted truth beside it."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
from rich.table import Table

from loaders.simulate import Truth
from soilhouse.console import out

Row = dict[str, Any]


@dataclass(frozen=True)
class Result:
    """One table of the demo.

    sql     the query, read-only, over `marts`
    beside  from (a row, the truth) to what was planted or must come out, by column heading
    remark  from (all rows, the truth) to the sentence below the table
    """

    title: str
    sql: str
    beside: Callable[[Row, Truth], Mapping[str, Any]] = lambda row, truth: {}
    remark: Callable[[Sequence[Row], Truth], str] = lambda rows, truth: ""


def _planted_trend(row: Row, truth: Truth) -> Row:
    known = truth.trends[row["region_id"]]
    planted = known["planted_slope_per_year"]
    return {
        "planted slope": "mixed" if planted is None else planted,
        "expected slope": known["expected_median_pixel_slope_per_year"],
        "expected share": known["expected_significant_fraction"],
    }


def _stable_remark(rows: Sequence[Row], truth: Truth) -> str:
    planted = truth.temporal_stability
    return (
        f"Planted: {len(planted['cells'])} springs that hardly change, sd at most {planted['expected_highest_stable_sd']:.4f}; "
        f"every other pixel at least {planted['expected_lowest_other_sd']:.4f}."
    )


def _planted_depth(row: Row, truth: Truth) -> Row:
    known = truth.depth
    region, year = row["region_id"], str(row["year"])
    planted = known["planted_pattern"].get(region, {})
    expected = known["expected_pattern"]
    return {
        "planted pattern": planted.get(year, "mixed"),
        "expected pattern": "" if expected is None else expected[region][year],
    }


def _planted_drought(row: Row, truth: Truth) -> Row:
    known = truth.depth
    place = known["profile"].index(row["layer"])
    expected = known["expected_mean_ssmi"]
    return {"expected mean": None if expected is None else expected[row["region_id"]][str(row["year"])][place]}


def _planted_share(row: Row, truth: Truth) -> Row:
    return {"planted share": truth.drivers["variance_shares"].get(row["factor"], 0.0)}


# The classes of the Heihe scheme that the simulated land covers are read as, and what they were planted as.
_PLANTED_COVER = {
    "forest": "evergreen needleleaf forest",
    "grassland": "grassland",
    "cropland": "cropland",
    "barren": "barren",
}


def _planted_inertia(row: Row, truth: Truth) -> Row:
    planted = truth.thermal_inertia["land_cover"][_PLANTED_COVER[row["land_cover"]]]
    return {
        "planted slope": -1 / planted["slope_k"],
        "planted intercept": planted["intercept_k"] / planted["slope_k"],
    }


def _planted_rain(row: Row, truth: Truth) -> Row:
    known = {event["date"]: event for event in truth.rain_events}.get(str(row["event_date"]))
    return {"planted rise": None if known is None else known["expected_rise"]}


RESULTS = (
    Result(
        "Trend of soil moisture at 1 km by reach of the river, m3 m-3 a year",
        """
        select region_id, count(*) as pixels,
            median(sen_slope_per_year) as slope_per_year,
            avg(case when mk_p < 0.05 then 1.0 else 0.0 end) as share_significant
        from marts.fct_trends
        inner join marts.dim_pixel_region using (grid_id, pixel_id)
        where product = 'basin_soil_moisture_1km'
        group by region_id
        order by slope_per_year
        """,
        beside=_planted_trend,
        remark=lambda rows, truth: (
            "Planted is the line that was drawn; expected is what an exact analysis of the noisy months finds (SciPy, before any file)."
        ),
    ),
    Result(
        "Soil moisture of the basin in each month of 2019, m3 m-3",
        """
        select month, n_pixels, mean, sd, cv, q25, median, q75, skewness, is_near_normal
        from marts.fct_monthly_statistics
        where product = 'basin_soil_moisture_1km' and region_id = 'basin' and year(month) = 2019
        order by month
        """,
        remark=lambda rows, truth: (
            "Planted: a season that is wettest at the beginning of July, and the rain of each month."
        ),
    ),
    Result(
        "Temporal stability over the three years: the pixels that hardly change",
        """
        select stability_class, count(*) as pixels, min(sd) as smallest_sd, max(sd) as largest_sd
        from marts.fct_temporal_stability
        where product = 'basin_soil_moisture_1km' and region_id = 'basin' and period_kind = 'all'
        group by stability_class
        order by smallest_sd
        """,
        remark=_stable_remark,
    ),
    Result(
        "1 km and 36 km beside each other in four months of 2020, m3 m-3",
        """
        with cells as (
            select product, month, mean,
                row_index // case when product = 'spl2smp' then 1 else 36 end as coarse_row,
                col_index // case when product = 'spl2smp' then 1 else 36 end as coarse_column
            from marts.fct_pixel_monthly
            inner join marts.dim_pixel using (grid_id, pixel_id)
            where product in ('basin_soil_moisture_1km', 'spl2smp') and variable = 'soil_moisture' and month in ('2020-01-01', '2020-04-01', '2020-07-01', '2020-10-01')
        )
        select month, coarse_row, coarse_column,
            avg(mean) filter (where product = 'basin_soil_moisture_1km') as mean_of_1km,
            avg(mean) filter (where product = 'spl2smp') as at_36km
        from cells
        group by month, coarse_row, coarse_column
        having count(distinct product) = 2
        order by month, coarse_row, coarse_column
        """,
        beside=lambda row, truth: {"difference": row["at_36km"] - row["mean_of_1km"]},
        remark=lambda rows, truth: (
            f"Planted: the 36 km value is the mean of all 1,296 pixels of its cell, with an error of {truth.coarse['noise_sd']} on each of the\n"
            "days of overpass; the 1 km mean is that of the cell's pixels inside the basin, on every day."
        ),
    ),
    Result(
        "Depth pattern: deficit and surplus of soil moisture from the surface down to 50 cm, by reach and year",
        """
        select region_id, year(period_start) as year, pattern, fraction_of_area, previous_pattern, is_changed
        from marts.fct_depth_pattern
        where product = 'basin_soil_moisture_layers' and reference_kind = 'pixel_month' and period_kind = 'year'
        order by region_id, year
        """,
        beside=_planted_depth,
        remark=lambda rows, truth: (
            f"Planted: a deficit or a surplus in each of the layers {', '.join(truth.depth['profile'])} of a reach and year; 10-30 cm is a composite\n"
            "of two layers of the files. Runs of one sign are written once; fraction_of_area is the share of the reach whose own pixels show all of it."
        ),
    ),
    Result(
        "Index of soil moisture at each depth of the upper reach, and its share in moderate drought or worse in July",
        """
        with droughts as (
            select layer, year(month) as year, sum(area_fraction) as drought_in_july
            from marts.fct_drought_area
            where product = 'basin_soil_moisture_layers' and region_id = 'upper' and scale_months = 1 and class_order <= -2 and month(month) = 7
            group by layer, year(month)
        )
        select region_id, year, layer, mean_ssmi, state, fraction_deficit, drought_in_july
        from marts.fct_depth_profile
        inner join droughts using (layer)
        where product = 'basin_soil_moisture_layers' and region_id = 'upper' and reference_kind = 'pixel_month'
            and period_kind = 'year' and year(period_start) = year
        order by year, depth_order
        """,
        beside=_planted_drought,
        remark=lambda rows, truth: (
            "Three years are the fewest that the index is given for: the odd one of three is at 1.15 standard deviations, the others at 0.58."
        ),
    ),
    Result(
        "What explains the map of mean soil moisture of the basin: the geographical detector's q",
        """
        select q_rank, factor, method, n_strata, q, p_permutation, q_upper_bound
        from marts.fct_factor_detector
        where product = 'basin_soil_moisture_1km' and region_id = 'basin' and period_kind = 'all'
        order by q_rank
        """,
        beside=_planted_share,
        remark=lambda rows, truth: (
            f"Planted: shares of the variance. What a factor with strata can show of its share is less; land cover, whose strata are its classes,\n"
            f"has a q of {truth.drivers['expected_q_land_cover']:.3f} in an exact analysis of the map. Sand and rain have no share: p_permutation says so."
        ),
    ),
    Result(
        "Downscaled to 1 km: each product against the planted truth of 2019, beside the 9 km product on the same pixels and days",
        """
        with truth as (
            select pixel_id, obs_date, soil_moisture_m3m3 as truth
            from marts.fct_soil_moisture_daily
            where product = 'basin_soil_moisture_1km' and year = 2019
        ),
        cells as (
            select fine.pixel_id, coarse.pixel_id as coarse_pixel_id
            from marts.dim_pixel as fine
            inner join marts.dim_pixel as coarse on fine.row_index // 9 = coarse.row_index and fine.col_index // 9 = coarse.col_index
            where fine.grid_id = 'ease2_m01' and coarse.grid_id = 'ease2_m09'
        ),
        coarse as (
            select cells.pixel_id, obs_date, soil_moisture_m3m3 as coarse
            from marts.fct_soil_moisture_daily as daily
            inner join cells on daily.pixel_id = cells.coarse_pixel_id
            where product = 'basin_soil_moisture_9km'
        ),
        days as (
            select product, obs_date, count(*) as n,
                sum((soil_moisture_m3m3 - truth) ** 2) as squares, sum((coarse - truth) ** 2) as coarse_squares,
                corr(soil_moisture_m3m3, truth) as r, corr(coarse, truth) as coarse_r
            from marts.fct_soil_moisture_1km_daily
            inner join truth using (pixel_id, obs_date)
            inner join coarse using (pixel_id, obs_date)
            group by product, obs_date
        )
        select product, cast(sum(n) as bigint) as pixel_days,
            sqrt(sum(squares) / sum(n)) as rmse, sqrt(sum(coarse_squares) / sum(n)) as rmse_9km,
            avg(r) as spatial_r, avg(coarse_r) as spatial_r_9km
        from days
        group by product
        order by rmse
        """,
        remark=lambda rows, truth: (
            "spatial_r is the correlation over the pixels of a day, in the mean of the days: what a coarse product cannot have within its cells."
        ),
    ),
    Result(
        "Thermal inertia: soil moisture by the difference of surface temperature between day and night",
        """
        select land_cover, ndvi_level, coefficient_source, n, r2, slope_m3m3_per_k, intercept_m3m3
        from marts.fct_downscaling_coefficients
        order by land_cover, ndvi_level
        """,
        beside=_planted_inertia,
        remark=lambda rows, truth: (
            "Planted: day - night = intercept - slope x soil moisture, by land cover alone; solved here for soil moisture. Noise in the temperatures\n"
            "flattens what is fitted, most where moisture varies little."
        ),
    ),
    Result(
        "Stations against products: medians over the stations, raw values, m3 m-3",
        """
        select product, layer, n_stations, median_r, median_bias_m3m3, median_ubrmse_m3m3
        from marts.fct_validation_summary
        where group_kind = 'all' and on_values = 'raw' and scaling = 'none'
        order by median_ubrmse_m3m3, product
        """,
        remark=lambda rows, truth: (
            f"Planted: the stations' noise is {truth.stations['noise_sd']:g}, and the 1 km product has none. What others have more is their own error, and that a\n"
            "pixel is not the point."
        ),
    ),
    Result(
        "Three at a time: random error of the 36 km product, by triple collocation with the 1 km product and the stations, m3 m-3",
        """
        select pixel_id, n, error_sd_1_m3m3 as error_36km, error_sd_2_m3m3 as error_1km, error_sd_3_m3m3 as error_stations, reason
        from marts.fct_triple_collocation
        order by pixel_id
        """,
        remark=lambda rows, truth: (
            f"Planted: {truth.coarse['noise_sd']:g} at 36 km, none at 1 km, where an estimate below 0 is left out; the stations of a pixel together less than one\n"
            "alone."
        ),
    ),
    Result(
        "Rain after dry days, and how much the soil of the basin rose, m3 m-3",
        """
        select event_date, rain_mm, rise_m3m3, days_to_return
        from marts.fct_rainfall_response
        where unit_kind = 'region' and unit_id = 'basin' and product = 'basin_soil_moisture_1km' and year(event_date) = 2020
        order by event_date
        """,
        beside=_planted_rain,
        remark=lambda rows, truth: (
            f"Planted: {truth.rain_response['gain_per_mm']:g} m3 m-3 a mm, of which {truth.rain_response['memory_per_day']:.0%} are left from day to day."
        ),
    ),
    Result(
        "How new the products are",
        "select product, first_date, newest_date, n_granules from marts.fct_freshness where newest_date is not null order by product",
        remark=lambda rows, truth: f"Planted: files from {truth.first_day} to {truth.last_day}.",
    ),
)


def rows_of(connection: duckdb.DuckDBPyConnection, result: Result) -> list[Row]:
    """The rows of one result as dictionaries."""
    answer = connection.execute(result.sql)
    columns = [c[0] for c in answer.description]
    return [dict(zip(columns, values, strict=True)) for values in answer.fetchall()]


def show(database: Path, truth: Truth) -> None:
    """Print every result of a built database, which is opened read-only."""
    with duckdb.connect(str(database), read_only=True) as connection:
        for result in RESULTS:
            rows = rows_of(connection, result)
            table = Table(title=f"\n{result.title}", title_justify="left", title_style="bold", header_style="bold")
            beside = [result.beside(row, truth) for row in rows]
            for column in rows[0] if rows else ():
                table.add_column(column, justify="right" if isinstance(rows[0][column], (int, float)) else "left")
            for column in beside[0] if beside else ():
                table.add_column(column, justify="right", style="green")
            for row, known in zip(rows, beside, strict=True):
                table.add_row(*(_shown(v) for v in (*row.values(), *known.values())))
            out.print(table)
            if result.remark(rows, truth):
                out.print(result.remark(rows, truth), style="green" if out.is_terminal else None, markup=False)
            out.print(textwrap.indent(textwrap.dedent(result.sql).strip(), "    "), style="dim", markup=False)


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4f}"
    return "" if value is None else str(value)
