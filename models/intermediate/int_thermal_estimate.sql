-- Moisture of a fine pixel and day from the difference of its surface temperature between day and night, before the correction, within what the
-- pixel can hold; with the cell of the first reference that has a value there on the day. Water, frozen soil, and what no reference sees are left out.
{{ config(materialized='lake_parquet', partition_by=['year', 'month'], sort_by=['series_id', 'pixel_id', 'obs_date'], enabled=needs('downscaling')) }}
{% for product in study_downscaled('thermal_inertia') %}
{%- set entry = product.entry %}
{%- set references = thermal_references(entry) %}
select
    {{ product.series_id }} as series_id,
    days.pixel_id,
    days.obs_date,
    days.year,
    days.month,
    pixels.area_km2,
    pixels.largest,
    greatest(0, least(pixels.largest, coefficients.slope * days.temperature_difference + coefficients.intercept)) as estimate,
    coefficients.model_id,
    days.temperature_difference < coefficients.smallest_difference or days.temperature_difference > coefficients.largest_difference as is_extrapolated,
    {{ first_reference(references, 'number') }} as reference_number,
    {{ first_reference(references, 'cell') }} as cell_id,
    {{ first_reference(references, 'value') }} as reference_value
from (
    select pixel_id, obs_date, year, month, by_day - by_night as temperature_difference
    from ({{ fine_days({'by_day': series_id_of(entry.day), 'by_night': series_id_of(entry.night)}) }}) as temperatures
) as days
inner join {{ ref('int_downscaling_day') }} as asked
    on days.obs_date = asked.obs_date and days.year = asked.year and days.month = asked.month
inner join {{ ref('int_thermal_pixel') }} as pixels on days.pixel_id = pixels.pixel_id and pixels.series_id = {{ product.series_id }}
{{ join_held('ndvi', series_id_of(entry.ndvi), 'days', 'asked.day_number') }}
inner join {{ ref('ndvi_levels') }} as levels
    on levels.scheme = {{ literal(entry.ndvi_levels) }} and ndvi.value >= levels.ndvi_from and ndvi.value < levels.ndvi_to
inner join {{ ref('int_thermal_coefficient') }} as coefficients
    on coefficients.series_id = {{ product.series_id }}
    and pixels.land_cover = coefficients.land_cover
    and levels.ndvi_level = coefficients.ndvi_level
    and coefficients.window_number = {{ thermal_window(entry, 'days.year', 'days.month') }}
{%- for reference in references %}
left join (
    select pixel_id, obs_date, year, month, value
    from {{ ref('int_downscaling_coarse') }}
    where series_id = {{ series_id_of(reference) }} and not is_frozen
) as reference_{{ loop.index }}
    on pixels.cell_{{ loop.index }} = reference_{{ loop.index }}.pixel_id
    and days.obs_date = reference_{{ loop.index }}.obs_date
    and days.year = reference_{{ loop.index }}.year
    and days.month = reference_{{ loop.index }}.month
{%- endfor %}
left join {{ ref('int_downscaling_frozen') }} as frozen
    on days.pixel_id = frozen.pixel_id
    and days.obs_date = frozen.obs_date
    and days.year = frozen.year
    and days.month = frozen.month
where days.temperature_difference is not null
    and frozen.pixel_id is null
    and {{ first_reference(references, 'value') }} is not null
{% if not loop.last %}union all{% endif %}
{% else %}
select
    cast(null as int) as series_id, cast(null as bigint) as pixel_id, cast(null as date) as obs_date, cast(null as int) as year, cast(null as int) as month,
    cast(null as double) as area_km2, cast(null as double) as largest, cast(null as double) as estimate, cast(null as string) as model_id,
    false as is_extrapolated, cast(null as int) as reference_number, cast(null as bigint) as cell_id, cast(null as double) as reference_value
where false
{% endfor %}
