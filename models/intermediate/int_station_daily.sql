-- The stations' days of soil moisture.
{{ config(materialized='view') }}
select
    product,
    station_id,
    layer,
    obs_date,
    value as soil_moisture_m3m3,
    n_values,
    n_sensors,
    quality
from {{ ref('int_station_variable_daily') }}
where variable = 'soil_moisture'
