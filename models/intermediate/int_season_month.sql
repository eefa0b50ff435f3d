-- Covered months in the seasons they belong to: a month is a row in each season of `trends.seasons` that has it, by the calendar or, at its
-- pixel, by the season's rule.
{{ config(materialized='view', enabled=needs('patterns') or needs('trends')) }}
-- depends_on: {{ ref('int_season_rule') }}, {{ ref('int_series') }} also where no season is a rule, so that the unit test finds their columns
with calendar as (
    {{ months_of_seasons(study('trends').seasons) }}
)

select
    monthly.series_id,
    monthly.pixel_id,
    calendar.season,
    monthly.year + calendar.year_shift as year,
    monthly.month,
    monthly.year * 12 + monthly.month_number - 1 as month_count,
    monthly.value,
    calendar.n_months_of_season,
    true as is_known
from {{ ref('int_monthly') }} as monthly
inner join calendar on monthly.month_number = calendar.month_number
{%- if ruled_seasons() %}
union all
select
    monthly.series_id,
    monthly.pixel_id,
    rules.season,
    monthly.year,
    monthly.month,
    monthly.year * 12 + monthly.month_number - 1 as month_count,
    monthly.value,
    rules.n_months_of_season,
    rules.is_known
from {{ ref('int_monthly') }} as monthly
inner join {{ ref('int_series') }} as series on monthly.series_id = series.series_id
inner join {{ ref('int_season_rule') }} as rules
    on series.grid_id = rules.grid_id
    and monthly.pixel_id = rules.pixel_id
    and monthly.year = rules.year
    and monthly.month_number = rules.month_number
{%- endif %}
