-- Days of rain after a dry gap: at least `rain_threshold_mm` on the day, and on the `rain_dry_days` days before, all of them known, less than `rain_dry_mm`
-- together. `next_rain_day` is the next day with as much rain: what the soil does from then on is no answer to this one.
{{ config(enabled=needs('validation')) }}
{% set asked = study('validation') %}
{% set unit = ['unit_kind', 'unit_id', 'reference_product', 'grid_id', 'pixel_id'] %}
{% set window = 'over (partition by ' ~ unit | join(', ') ~ ' order by day nulls last range between' %}
with days as (
    select *, {{ epoch_day('obs_date') }} as day
    from {{ ref('int_rain_daily') }}
    where rain_mm is not null
),

surroundings as (
    select
        *,
        sum(rain_mm) {{ window }} {{ asked.rain_dry_days | int }} preceding and 1 preceding) as rain_before_mm,
        count(rain_mm) {{ window }} {{ asked.rain_dry_days | int }} preceding and 1 preceding) as n_days_before,
        min(case when rain_mm >= {{ number(asked.rain_threshold_mm) }} then day end) {{ window }} 1 following and {{ asked.rain_max_days | int }} following) as next_rain_day
    from days
)

select
    {{ unit | join(', ') }},
    obs_date as event_date,
    cast(day as int) as event_day,
    rain_mm,
    rain_before_mm,
    cast(next_rain_day as int) as next_rain_day
from surroundings
where rain_mm >= {{ number(asked.rain_threshold_mm) }}
    and n_days_before = {{ asked.rain_dry_days | int }}
    and rain_before_mm < {{ number(asked.rain_dry_mm) }} - 1e-9
