-- A map is one series in one region in one month. Its number stands for the three where maps are sorted and paired (an integer sorts
-- three times as fast as the three), and its moments about zero are here once for all marts that need them.
{{ config(enabled=needs('patterns')) }}
with maps as (
    select
        series_id,
        region_id,
        month,
        cast(count(*) as bigint) as n_pixels,
        min(value) as min,
        {{ mean('value') }} as mean,
        sum(value * weight_km2) / nullif(sum(weight_km2), 0) as area_mean,
        max(value) as max,
        stddev_samp(value) as sd
    from {{ ref('int_monthly_region') }}
    group by series_id, region_id, month
)

select
    cast(row_number() over (order by series_id, region_id, month) as int) as map_id,
    series_id,
    region_id,
    month,
    n_pixels,
    min,
    mean,
    area_mean,
    max,
    -- A constant map has no spread; rounding in a mean of many equal values could leave it one.
    case when min < max then sd when n_pixels > 1 then cast(0 as double) end as sd
from maps
