{#- The values that trends are taken of, for the pixels of one batch, as rows (series_id, pixel_id, season, steps_per_year, t, value). Time
    counts in steps: years, or months from year 0, as `trends.time_steps` of the study says (`only`: of these).
    Usage: with steps as ({{ trend_steps() }}) -#}
{% macro trend_steps(only=['year', 'month']) -%}
    {%- for time_step in study('trends').time_steps if time_step in only %}
    {%- if time_step == 'year' %}
    select series_id, pixel_id, season, 1 as steps_per_year, year as t, value
    from {{ ref('int_seasonal') }}
    where {{ in_batch_of_pixels() }}
    {%- else %}
    select series_id, pixel_id, season, 12 as steps_per_year, month_count as t, value
    from {{ ref('int_season_month') }}
    where {{ in_batch_of_pixels() }}
    {%- endif %}
    {% if not loop.last %}union all{% endif %}
    {%- else %}
    select series_id, pixel_id, season, 1 as steps_per_year, year as t, value
    from {{ ref('int_seasonal') }}
    where {{ in_batch_of_pixels() }} and false
    {%- endfor %}
{%- endmacro %}


{#- The pixels of one batch, for models that gather series (`by_period`, the period a pixel): a pixel weighs the months it may have. -#}
{% macro in_batch_of_pixels() -%}
    {{ in_batch('pixel_id', ref('int_pixel_region'), 'count(distinct grid_id) * ' ~ n_months_of_study() * (study_series() | length + study_composites() | length + study_downscaled() | length)) }}
{%- endmacro %}
