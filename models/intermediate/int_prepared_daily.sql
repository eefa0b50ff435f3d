-- The series of the study as they are analysed: on the grid, without the gaps and with the smoothing that the study asks for. What a series is
-- not prepared in is read through.
{{ config(materialized='view') }}
{% set prepared = prepared_series() %}
select series_id, pixel_id, obs_date, year, month, value, is_filled, is_frozen
from {{ ref('int_observed_daily') }}
{%- if prepared %}
where series_id not in ({{ prepared | map(attribute='series_id') | join(', ') }})
union all
select series_id, pixel_id, obs_date, year, month, value, is_filled, is_frozen
from {{ ref('int_prepared') }}
{%- endif %}
