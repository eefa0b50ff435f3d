-- The products that the study downscales, as rows: what each framework wrote.
{{ config(materialized='view', enabled=needs('downscaling')) }}
select series_id, pixel_id, obs_date, year, month, value, lower, upper, correction, reference_product, model_id, is_extrapolated
from {{ ref('int_thermal_daily') }}
{%- if study_downscaled('windows') or study_downscaled('stacking') %}
union all
select
    series_id, pixel_id, obs_date, year, month, value, lower, upper, cast(null as double) as correction, cast(null as string) as reference_product,
    model_id, is_extrapolated
from {{ ref('int_learned_daily') }}
{%- endif %}
