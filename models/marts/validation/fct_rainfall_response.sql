{{ config(enabled=needs('validation')) }}
select
    {{ literal(var('study').name) }} as study,
    product,
    layer,
    unit_kind,
    unit_id,
    reference_product,
    case when unit_kind = 'station' then unit_id end as station_id,
    grid_id,
    pixel_id,
    case when unit_kind = 'region' then unit_id end as region_id,
    {{ literal(study('validation').rain_product) }} as rain_product,
    event_date,
    rain_mm,
    rain_before_mm,
    before_mean as soil_moisture_before_m3m3,
    after_mean as soil_moisture_after_m3m3,
    after_mean - before_mean as rise_m3m3,
    cast(days_to_return as int) as days_to_return,
    days_to_return is null and after_mean > before_mean and next_rain_day is not null as is_interrupted
from {{ ref('int_rain_response') }}
