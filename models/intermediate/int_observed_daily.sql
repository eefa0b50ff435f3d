-- The series of the study as their products deliver them, on one calendar, as rows: series, pixel, day. Cut to the study's period and region.
-- Frost makes soil moisture meaningless, and nothing else: only its series carry is_frozen. A monthly product has its value on the first of the month. Days without a value are not rows.
{{ config(materialized='view') }}
{% set period = var('study').period %}
with observations as (
    {% for series in study_series() %}
    select
        {{ series.series_id }} as series_id,
        pixel_id,
        obs_date,
        year,
        month,
        {{ 'cast(null as boolean)' if is_custom(series) or series.variable != 'soil_moisture' else staged_column('is_frozen', series.layer) }} as is_frozen,
    {%- if is_custom(series) %}
        value
    from {{ ref('stg_custom') }}
    where series_id = {{ series.series_id }}
    {%- else %}
        {{ staged_column(series.variable, series.layer) }} as value
    from {{ ref('stg_' ~ series.product) }}
    {%- endif %}
    {% if not loop.last %}union all{% endif %}
    {% else %}
    select series_id, pixel_id, obs_date, year, month, cast(null as boolean) as is_frozen, value from {{ ref('stg_custom') }}
    {% endfor %}
)

select
    observations.series_id,
    observations.pixel_id,
    observations.obs_date,
    observations.year,
    observations.month,
    observations.value,
    false as is_filled,
    observations.is_frozen
from observations
{%- if study('region').bbox is defined or study('region').set is defined %}
inner join (
    select distinct series.series_id, pixels.pixel_id
    from {{ ref('int_series') }} as series
    inner join {{ ref('int_pixel_region') }} as pixels on series.grid_id = pixels.grid_id
) as studied on observations.series_id = studied.series_id and observations.pixel_id = studied.pixel_id
{%- endif %}
where observations.value is not null
    and observations.obs_date >= cast('{{ period.start }}' as date)
    and observations.obs_date < cast('{{ period.end }}' as date)
