-- The value of each season of each year: the mean of its months, or their sum where months are totals. Seasons without enough months
-- (`trends.min_months_share` of the study) are rows with n_months and no value, so that nobody takes a part of a year for a year.
{{ config(enabled=needs('trends')) }}
{% set trends = study('trends') %}
with calendar as (
    select
        season,
        cast(month_number as int) as month_number,
        cast(year_shift as int) as year_shift,
        count(*) over (partition by season) as n_months_of_season
    from {{ ref('season_calendars') }}
    where season in ({% for season in trends.seasons %}{{ literal(season) }}{{ ', ' if not loop.last }}{% endfor %})
),

seasons as (
    select
        monthly.series_id,
        monthly.pixel_id,
        calendar.season,
        monthly.year + calendar.year_shift as year,
        {{ mean('monthly.value') }} as mean,
        sum(monthly.value) as total,
        cast(count(*) as bigint) as n_months,
        max(calendar.n_months_of_season) as n_months_of_season
    from {{ ref('int_monthly') }} as monthly
    inner join calendar on monthly.month_number = calendar.month_number
    group by monthly.series_id, monthly.pixel_id, calendar.season, monthly.year + calendar.year_shift
)

select
    seasons.series_id,
    seasons.pixel_id,
    seasons.season,
    seasons.year,
    case when seasons.n_months >= {{ number(trends.min_months_share) }} * seasons.n_months_of_season
        then case when series.monthly_statistic = 'total' then seasons.total else seasons.mean end
    end as value,
    seasons.n_months
from seasons
inner join {{ ref('int_series') }} as series on seasons.series_id = series.series_id
