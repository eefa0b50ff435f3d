-- The map of the last `desk.map_periods` dekads and months.
{{ config(enabled=needs('desk')) }}
with periods as (
    select distinct period_kind, period_start from {{ ref('int_desk_state') }}
),

latest as (
    select
        period_kind,
        period_start,
        row_number() over (partition by period_kind order by period_start desc) as periods_ago
    from periods
)

select
    series.study,
    series.product,
    series.layer,
    series.grid_id,
    states.pixel_id,
    states.period_kind,
    states.period_start,
    states.period_end,
    cast(latest.periods_ago - 1 as int) as periods_ago,
    pixels.lon,
    pixels.lat,
    states.value as soil_moisture_m3m3,
    states.normal as normal_m3m3,
    states.value - states.normal as anomaly_m3m3,
    states.standardised as standardised_anomaly,
    classes.class,
    states.class_order,
    states.change as change_m3m3,
    states.n_days,
    states.n_years,
    states.newest_date,
    {{ days_between('states.newest_date', 'states.period_end') }} - 1 as age_days
from {{ ref('int_desk_state') }} as states
inner join latest on states.period_kind = latest.period_kind and states.period_start = latest.period_start
inner join {{ ref('int_series') }} as series on states.series_id = series.series_id
inner join {{ ref('dim_pixel') }} as pixels on series.grid_id = pixels.grid_id and states.pixel_id = pixels.pixel_id
left join {{ ref('drought_classes') }} as classes on states.class_order = classes.class_order
where latest.periods_ago <= {{ study('desk').map_periods | int }}
