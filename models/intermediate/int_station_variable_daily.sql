-- The stations' days in the study's period: the mean of a sensor's good values, or the total of its precipitation, then the mean of the
-- station's sensors at one depth. A day's precipitation is known only when none of its measurements is missing or flagged.
{{ config(materialized='table') }}
{% set period = var('study').period %}
with sensor_days as (
    select
        product,
        station_id,
        sensor,
        variable,
        layer,
        layer_top_cm,
        layer_bottom_cm,
        obs_date,
        unit,
        case
            when variable <> 'precipitation' then avg(value)
            when count(value) = count(*) then sum(value)
        end as value,
        count(value) as n_values,
        min(case when value is not null then quality end) as quality
    from {{ ref('stg_stations') }}
    where obs_date >= cast('{{ period.start }}' as date)
        and obs_date < cast('{{ period.end }}' as date)
        -- the files of the months around: a day of the study may begin in another month of UTC
        and year * 12 + month >= year(cast('{{ period.start }}' as date)) * 12 + month(cast('{{ period.start }}' as date)) - 1
        and year * 12 + month <= year(cast('{{ period.end }}' as date)) * 12 + month(cast('{{ period.end }}' as date)) + 1
    group by product, station_id, sensor, variable, layer, layer_top_cm, layer_bottom_cm, obs_date, unit
)

select
    product,
    station_id,
    variable,
    layer,
    obs_date,
    avg(value) as value,
    unit,
    cast(sum(n_values) as bigint) as n_values,
    count(*) as n_sensors,
    min(quality) as quality
from sensor_days
where value is not null
group by product, station_id, variable, layer, obs_date, unit
