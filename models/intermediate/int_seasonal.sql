-- The value of each season of each year: the mean of its months, or their sum where months are totals. Seasons without enough months
-- (`trends.min_months_share` of the study), or that are not known, are rows with n_months and no value, so that nobody takes a part of a
-- year for a year.
{{ config(enabled=needs('patterns') or needs('trends')) }}
with seasons as (
    select
        series_id,
        pixel_id,
        season,
        year,
        {{ mean('value') }} as mean,
        sum(value) as total,
        cast(count(*) as bigint) as n_months,
        cast(max(n_months_of_season) as bigint) as n_months_of_season,
        min(case when is_known then 1 else 0 end) as is_known
    from {{ ref('int_season_month') }}
    group by series_id, pixel_id, season, year
)

select
    seasons.series_id,
    seasons.pixel_id,
    seasons.season,
    seasons.year,
    case when seasons.is_known = 1 and seasons.n_months >= {{ number(study('trends').min_months_share) }} * seasons.n_months_of_season
        then case when series.monthly_statistic = 'total' then seasons.total else seasons.mean end
    end as value,
    seasons.n_months,
    seasons.n_months_of_season
from seasons
inner join {{ ref('int_series') }} as series on seasons.series_id = series.series_id
