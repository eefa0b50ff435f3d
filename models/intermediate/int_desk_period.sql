-- Soil moisture of each pixel over the periods a desk works with, dekads (days 1-10, 11-20, 21 to the end) and months. A dekad counts with
-- `desk.min_days` days; a month where all else counts it.
{{ config(enabled=needs('desk')) }}
with dekads as (
    select
        daily.series_id,
        daily.pixel_id,
        daily.year,
        daily.month as month_number,
        case when day(daily.obs_date) <= 10 then 1 when day(daily.obs_date) <= 20 then 2 else 3 end as dekad,
        min(daily.value) as min,
        max(daily.value) as max,
        avg(daily.value) as mean,
        cast(count(daily.value) as bigint) as n_days,
        max(daily.obs_date) as newest_date
    from {{ ref('int_daily') }} as daily
    inner join {{ ref('int_series') }} as series on daily.series_id = series.series_id
    where series.variable = 'soil_moisture'
        and series.time_step in ('day', 'instant')
        {%- if study('exclude_frozen') %}
        and not coalesce(daily.is_frozen, false)
        {%- endif %}
    group by
        daily.series_id,
        daily.pixel_id,
        daily.year,
        daily.month,
        case when day(daily.obs_date) <= 10 then 1 when day(daily.obs_date) <= 20 then 2 else 3 end
),

newest as (
    select series_id, pixel_id, year, month_number, max(newest_date) as newest_date
    from dekads
    group by series_id, pixel_id, year, month_number
)

select
    series_id,
    pixel_id,
    'dekad' as period_kind,
    make_date(cast(year as int), cast(month_number as int), cast(10 * dekad - 9 as int)) as period_start,
    case
        when dekad < 3 then make_date(cast(year as int), cast(month_number as int), cast(10 * dekad + 1 as int))
        else {{ add_months_to(first_of_month('year', 'month_number'), 1) }}
    end as period_end,
    cast(3 * month_number - 3 + dekad as int) as period_number,
    -- Never outside the days, for the reason in int_pixel_monthly.
    greatest(min, least(max, mean)) as value,
    n_days,
    newest_date
from dekads
where n_days >= {{ study('desk').min_days | int }} and {{ desk_wants('dekad') }}
union all
select
    months.series_id,
    months.pixel_id,
    'month' as period_kind,
    months.month as period_start,
    {{ add_months_to('months.month', 1) }} as period_end,
    cast(months.month_number as int) as period_number,
    months.value,
    months.n_days,
    newest.newest_date
from {{ ref('int_pixel_monthly') }} as months
inner join {{ ref('int_series') }} as series on months.series_id = series.series_id
left join newest
    on months.series_id = newest.series_id
    and months.pixel_id = newest.pixel_id
    and months.year = newest.year
    and months.month_number = newest.month_number
where series.variable = 'soil_moisture' and months.is_covered and {{ desk_wants('month') }}
