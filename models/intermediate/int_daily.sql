-- Everything that patterns, trends, drivers and validation look at, as rows: the series of the study, then the products that it downscales.
{{ config(materialized='view') }}
select series_id, pixel_id, obs_date, year, month, value, is_filled, is_frozen
from {{ ref('int_prepared_daily') }}
{%- if study_downscaled() %}
union all
select series_id, pixel_id, obs_date, year, month, value, false as is_filled, cast(null as boolean) as is_frozen
from {{ ref('int_downscaled_daily') }}
{%- endif %}
