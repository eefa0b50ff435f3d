-- The features at the fine grid day by day, a column a feature, where all of them have a value. A feature that does not come every day counts
-- for `hold_days` days or until its next value; one on another grid is that of the cell under the pixel's centre.
-- A view: who reads it says which months, and the engine computes no other.
{{ config(materialized='view', enabled=needs('downscaling')) }}
{% set features = downscaling_features() %}
{% set daily, held = {}, {} %}
{% for feature in features if feature.source == 'series' -%}
    {%- do (held if study('downscaling').hold_days.get(feature.name, 1) > 1 else daily).update({'feature_' ~ feature.position: feature.series_id}) -%}
{%- endfor %}
with dated as (
    {%- if daily %}
    {{ fine_days(daily) }}
    {%- else %}
    select pixels.pixel_id, days.obs_date, days.year, days.month
    from {{ ref('int_downscaling_pixel') }} as pixels
    cross join {{ ref('int_downscaling_day') }} as days
    {%- endif %}
)

select
    dated.pixel_id,
    dated.obs_date,
    dated.year,
    dated.month,
    pixels.coarse_pixel_id,
    pixels.is_centre,
    pixels.area_km2,
    pixels.unit,
    pixels.is_water or frozen.pixel_id is not null as is_masked
    {%- for feature in features %},
    {%- set source, name = feature.source, 'feature_' ~ feature.position %}
    {{ 'cast(days.day_of_year as double)' if source == 'calendar' else ('held_' ~ name ~ '.value' if name in held else ('dated.' if name in daily else 'pixels.') ~ name) }} as {{ name }}
    {%- endfor %}
from dated
inner join {{ ref('int_downscaling_pixel') }} as pixels on dated.pixel_id = pixels.pixel_id
inner join {{ ref('int_downscaling_day') }} as days
    on dated.obs_date = days.obs_date and dated.year = days.year and dated.month = days.month
{%- for name, series_id in held.items() %}
{{ join_held('held_' ~ name, series_id, 'dated', 'days.day_number') }}
{%- endfor %}
left join {{ ref('int_downscaling_frozen') }} as frozen
    on dated.pixel_id = frozen.pixel_id
    and dated.obs_date = frozen.obs_date
    and dated.year = frozen.year
    and dated.month = frozen.month
where pixels.unit is not null
{%- for feature in features if feature.source != 'calendar' and 'feature_' ~ feature.position not in held %}
    {%- set name = 'feature_' ~ feature.position %}
    and {{ 'dated.' if name in daily else 'pixels.' }}{{ name }} is not null
{%- endfor %}
