-- Values of fine pixels that count for more than their day (`hold_days`): from their day to the pixel's next value, or for so many days.
{{ config(enabled=needs('downscaling')) }}
{% set held = held_series() %}
{% if held %}
select
    series_id,
    pixel_id,
    day_number as first_day,
    least(coalesce(lead(day_number) over (partition by series_id, pixel_id order by day_number nulls last), day_number + hold_days), day_number + hold_days) as next_day,
    value
from (
    select
        daily.series_id,
        members.pixel_id,
        {{ day_number('daily.obs_date') }} as day_number,
        case daily.series_id {%- for series_id, days in held.items() %} when {{ series_id }} then {{ days }}{%- endfor %} end as hold_days,
        daily.value
    from {{ ref('int_prepared_daily') }} as daily
    inner join {{ ref('int_series') }} as series on daily.series_id = series.series_id
    inner join {{ ref('int_downscaling_member') }} as members
        on series.grid_id = members.source_grid_id and daily.pixel_id = members.source_pixel_id
    where daily.series_id in ({{ held.keys() | join(', ') }})
) as numbered
{% else %}
select
    cast(null as int) as series_id, cast(null as bigint) as pixel_id, cast(null as int) as first_day, cast(null as int) as next_day,
    cast(null as double) as value
where false
{% endif %}
