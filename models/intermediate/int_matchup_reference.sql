-- The days of the stations that are the reference: the mean of a sensor's good values in the study's hours of the local day, then of the station's sensors
-- at one depth; and the day's anomaly. A delivered day without a time of day is in every window.
{{ config(enabled=needs('validation')) }}
{% set asked = study('validation') %}
{% set period = var('study').period %}
with days as (
    {%- if asked.hours is none %}
    select product, station_id, layer, obs_date, soil_moisture_m3m3 as value
    from {{ ref('int_station_daily') }}
    where product in ({{ literals(validation_references()) }}) and soil_moisture_m3m3 is not null
    {%- else %}
    select product, station_id, layer, obs_date, avg(value) as value
    from (
        select product, station_id, sensor, layer, obs_date, avg(value) as value
        from {{ ref('stg_stations') }}
        where product in ({{ literals(validation_references()) }})
            and variable = 'soil_moisture'
            and value is not null
            and obs_date >= cast('{{ period.start }}' as date)
            and obs_date < cast('{{ period.end }}' as date)
            and year * 12 + month >= year(cast('{{ period.start }}' as date)) * 12 + month(cast('{{ period.start }}' as date)) - 1
            and year * 12 + month <= year(cast('{{ period.end }}' as date)) * 12 + month(cast('{{ period.end }}' as date)) + 1
            and (obs_time is null or ({{ in_hours(asked.hours, 'obs_time') }}))
        group by product, station_id, sensor, layer, obs_date
    ) as sensors
    group by product, station_id, layer, obs_date
    {%- endif %}
)
{%- if 'anomaly' in asked.forms or asked.triples %},

anomalies as (
    select product, station_id, layer, {{ date_of_epoch_day('found.t') }} as obs_date, found.v as anomaly
    from (
        select product, station_id, layer, {{ each_of(daily_anomaly(series(epoch_day('obs_date'), 'value'))) }} as found
        from days
        group by product, station_id, layer
    ) as computed
)
{%- endif %}

select
    days.product,
    days.station_id,
    days.layer,
    days.obs_date,
    days.value,
    {{ 'anomalies.anomaly' if 'anomaly' in asked.forms or asked.triples else 'cast(null as double)' }} as anomaly
from days
{%- if 'anomaly' in asked.forms or asked.triples %}
left join anomalies
    on days.product = anomalies.product and days.station_id = anomalies.station_id and days.layer = anomalies.layer and days.obs_date = anomalies.obs_date
{%- endif %}
