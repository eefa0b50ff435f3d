-- The stations' days, cut to the study's period.
{{ config(materialized='view') }}
{% set period = var('study').period %}
select
    product,
    station_id,
    layer,
    obs_date,
    soil_moisture_m3m3,
    quality
from {{ ref('stg_stations') }}
where obs_date >= cast('{{ period.start }}' as date)
    and obs_date < cast('{{ period.end }}' as date)
