-- The series of the study as their products deliver them, on one calendar, as rows: series, pixel, day. Cut to the study's period and region: of series that
-- are brought to another grid, the pixels that this region is made of. Water has no soil moisture. Frost makes soil moisture meaningless, and
-- nothing else: only its series carry is_frozen, from the product or from the mask of the study.
-- A monthly product has its value on the first of the month. Days without a value are not rows.
{{ config(materialized='view') }}
{% set period = var('study').period %}
{% set prepared = prepared_series() | selectattr('grid') | list %}
{% set is_cut = study('region').bbox is defined or study('region').set is defined %}
{#- Series that are read as they are from stg_custom are one branch: a branch a series would open every file of it as often as there are series. -#}
{% set read_as_they_are, others = [], [] %}
{% for series in study_series() -%}
    {%- set is_masked = has_frost_mask(series) or (series.variable == 'soil_moisture' and study('masks').get('water') is not none) -%}
    {%- if is_custom(series) and not is_masked -%}{%- do read_as_they_are.append(series.series_id) -%}{%- else -%}{%- do others.append(series) -%}{%- endif -%}
{%- endfor %}
with observations as (
    {%- if read_as_they_are or not others %}
    select series_id, pixel_id, obs_date, year, month, cast(null as boolean) as is_frozen, value
    from {{ ref('stg_custom') }}
    where series_id in ({{ (read_as_they_are or [0]) | join(', ') }})
    {%- endif %}
    {%- for series in others %}
    {{ 'union all' if read_as_they_are or not loop.first }}
    {%- set own_grid = 'grid_id = (select source_grid_id from ' ~ ref('int_series') ~ ' where series_id = ' ~ series.series_id ~ ')' %}
    select
        {{ series.series_id }} as series_id,
        staged.pixel_id,
        staged.obs_date,
        staged.year,
        staged.month,
        {% if has_frost_mask(series) -%} coalesce(case when staged.is_frozen then true end, frost.is_frozen, staged.is_frozen)
        {%- else -%} staged.is_frozen
        {%- endif %} as is_frozen,
        staged.value
    from (
        {{ staged_days(series) | indent(8) }}
    ) as staged
    {%- if has_frost_mask(series) %}
    left join (select pixel_id, frost_pixel_id from {{ ref('int_frost_pixel') }} where {{ own_grid }}) as frost_pixels
        on staged.pixel_id = frost_pixels.pixel_id
    left join {{ ref('int_frost_daily') }} as frost
        on frost_pixels.frost_pixel_id = frost.pixel_id and staged.obs_date = frost.obs_date
    {%- endif %}
    {%- if series.variable == 'soil_moisture' and study('masks').get('water') is not none %}
    left join (select pixel_id from {{ ref('int_water') }} where is_water and {{ own_grid }}) as water on staged.pixel_id = water.pixel_id
    where water.pixel_id is null
    {%- endif %}
    {%- endfor %}
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
{%- if is_cut or prepared %}
inner join (
    select distinct series.series_id, pixels.pixel_id
    from {{ ref('int_series') }} as series
    inner join {{ ref('int_pixel_region') }} as pixels on series.grid_id = pixels.grid_id
    {%- if prepared %}
    where series.series_id not in ({{ prepared | map(attribute='series_id') | join(', ') }})
    union all
    select distinct series_id, source_pixel_id as pixel_id
    from {{ ref('int_prepared_weights') }}
    {%- endif %}
) as studied on observations.series_id = studied.series_id and observations.pixel_id = studied.pixel_id
{%- endif %}
where observations.value is not null
    and observations.obs_date >= cast('{{ period.start }}' as date)
    and observations.obs_date < cast('{{ period.end }}' as date)
