{{ config(enabled=needs('patterns')) }}
-- How a region differs from year to year (`time_step` year: one value a year, the season's), and within the year (month: one value a month of
-- the calendar, its mean over the years).
{% set first_year = (var('study').period.start | string)[:4] | int %}
with years as (
    select
        series_id,
        region_id,
        season,
        'year' as time_step,
        year as step,
        1 as n_years,
        area_mean as value
    from {{ ref('int_season_region') }}
),

months as (
    select
        series_id,
        region_id,
        month(month) as month_number,
        cast(count(*) as int) as n_years,
        {{ mean('area_mean') }} as value
    from {{ ref('int_map') }}
    group by series_id, region_id, month(month)
),

steps as (
    select * from years
    union all
    select
        months.series_id,
        months.region_id,
        calendar.season,
        'month' as time_step,
        months.month_number as step,
        months.n_years,
        months.value
    from months
    inner join {{ ref('season_calendars') }} as calendar on months.month_number = calendar.month_number
    where calendar.season in ({{ literals(study('trends').seasons) }})
),

-- Of equal extremes the first counts.
placed as (
    select
        *,
        row_number() over (partition by series_id, region_id, season, time_step order by value nulls last, step nulls last) as place_from_lowest,
        row_number() over (partition by series_id, region_id, season, time_step order by value desc, step nulls last) as place_from_highest
    from steps
),

described as (
    select
        series_id,
        region_id,
        season,
        time_step,
        cast(count(*) as bigint) as n_values,
        cast(case time_step when 'year' then sum(n_years) else max(n_years) end as bigint) as n_years,
        {{ mean('value') }} as mean,
        case when min(value) < max(value) then stddev_samp(value) when count(*) > 1 then cast(0 as double) end as sd_sample,
        case when min(value) < max(value) then stddev_pop(value) else cast(0 as double) end as sd_population,
        case when time_step = 'year' and count(*) > 1 then
            case when min(value) < max(value) then regr_slope(value, cast(step - {{ first_year }} as double)) else cast(0 as double) end
        end as ols_slope_per_year,
        min(value) as minimum,
        max(value) as maximum,
        max(case when place_from_lowest = 1 then step end) as step_of_minimum,
        max(case when place_from_highest = 1 then step end) as step_of_maximum
    from placed
    group by series_id, region_id, season, time_step
)

select
    series.study,
    series.variable,
    series.product,
    series.layer,
    described.region_id,
    described.time_step,
    described.season,
    described.n_values,
    described.n_years,
    described.n_years < 10 as is_small_sample,
    described.mean,
    described.sd_sample / nullif(described.mean, 0) as cv_sample,
    described.sd_population / nullif(described.mean, 0) as cv_population,
    described.ols_slope_per_year,
    described.minimum,
    cast(case when described.time_step = 'year' then described.step_of_minimum end as int) as minimum_year,
    cast(case when described.time_step = 'month' then described.step_of_minimum end as int) as minimum_month,
    described.maximum,
    cast(case when described.time_step = 'year' then described.step_of_maximum end as int) as maximum_year,
    cast(case when described.time_step = 'month' then described.step_of_maximum end as int) as maximum_month,
    series.unit
from described
inner join {{ ref('int_series') }} as series on described.series_id = series.series_id
