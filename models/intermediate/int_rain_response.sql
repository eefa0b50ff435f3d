-- What each soil moisture did around each event: its mean before and after, and the first day after on which at most half of the rise is left.
{{ config(enabled=needs('validation')) }}
{% set asked = study('validation') %}
{% set before, after, longest = asked.rain_before_days | int, asked.rain_after_days | int, asked.rain_max_days | int %}
with around as (
    select
        moisture.product,
        moisture.layer,
        events.unit_kind,
        events.unit_id,
        events.reference_product,
        events.grid_id,
        events.pixel_id,
        events.event_date,
        events.event_day,
        events.rain_mm,
        events.rain_before_mm,
        events.next_rain_day,
        {{ epoch_day('moisture.obs_date') }} as day,
        moisture.value
    from {{ ref('int_rain_event') }} as events
    inner join {{ ref('int_rain_moisture') }} as moisture
        on events.unit_kind = moisture.unit_kind
        and events.unit_id = moisture.unit_id
        and coalesce(events.reference_product, '') = coalesce(moisture.reference_product, '')
        and coalesce(events.grid_id, '') = coalesce(moisture.grid_id, '')
    where {{ epoch_day('moisture.obs_date') }} between events.event_day - {{ before }} and events.event_day + {{ longest }}
),

windows as (
    select
        *,
        {% set unit = 'partition by product, layer, unit_kind, unit_id, reference_product, grid_id, event_date' %}
        avg(case when day < event_day then value end) over ({{ unit }}) as before_mean,
        avg(case when day between event_day and event_day + {{ after - 1 }} then value end) over ({{ unit }}) as after_mean
    from around
)

select
    product,
    layer,
    unit_kind,
    unit_id,
    reference_product,
    grid_id,
    pixel_id,
    event_date,
    event_day,
    rain_mm,
    rain_before_mm,
    next_rain_day,
    before_mean,
    after_mean,
    min(case
        when after_mean > before_mean
            and day >= event_day + {{ after }}
            and (next_rain_day is null or day < next_rain_day)
            and value - before_mean <= (after_mean - before_mean) / 2
            then day
    end) - event_day as days_to_return
from windows
where before_mean is not null and after_mean is not null
group by
    product, layer, unit_kind, unit_id, reference_product, grid_id, pixel_id, event_date, event_day, rain_mm, rain_before_mm, next_rain_day, before_mean,
    after_mean
