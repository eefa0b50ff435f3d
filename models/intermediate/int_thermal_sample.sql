-- What the thermal inertia framework is fitted on: moisture and the difference of surface temperature between day and night of the cells of one
-- grid, with the land cover and the NDVI level that the cell has on the day.
{{ config(enabled=needs('downscaling')) }}
{% for product in study_downscaled('thermal_inertia') %}
{%- set entry = product.entry %}
{%- set fitted = {'soil_moisture': series_id_of(entry.fit.soil_moisture), 'day': series_id_of(entry.fit.day), 'night': series_id_of(entry.fit.night)} %}
select
    {{ product.series_id }} as series_id,
    fitted.pixel_id as cell_id,
    fitted.obs_date,
    {{ thermal_window(entry, 'fitted.year', 'fitted.month') }} as window_number,
    cells.land_cover,
    levels.ndvi_level,
    fitted.soil_moisture,
    fitted.day - fitted.night as temperature_difference
from (
    select
        pixel_id,
        obs_date,
        year,
        month,
        max(case when series_id = {{ fitted.soil_moisture }} and not is_frozen then value end) as soil_moisture,
        max(case when series_id = {{ fitted.day }} then value end) as day,
        max(case when series_id = {{ fitted.night }} then value end) as night
    from {{ ref('int_downscaling_coarse') }}
    where series_id in ({{ fitted.values() | join(', ') }})
    group by pixel_id, obs_date, year, month
) as fitted
inner join {{ ref('int_downscaling_day') }} as days on fitted.obs_date = days.obs_date
inner join {{ ref('int_thermal_cell_class') }} as cells on fitted.pixel_id = cells.cell_id and cells.series_id = {{ product.series_id }}
inner join (
    {{ thermal_cell_ndvi(entry) }}
) as ndvi
    on fitted.pixel_id = ndvi.cell_id
    and ndvi.first_day <= days.day_number
    and ndvi.next_day > days.day_number
inner join {{ ref('ndvi_levels') }} as levels
    on levels.scheme = {{ literal(entry.ndvi_levels) }} and ndvi.value >= levels.ndvi_from and ndvi.value < levels.ndvi_to
where fitted.soil_moisture is not null
    and fitted.day - fitted.night is not null
{% if not loop.last %}union all{% endif %}
{% else %}
select
    cast(null as int) as series_id, cast(null as bigint) as cell_id, cast(null as date) as obs_date, cast(null as int) as window_number,
    cast(null as string) as land_cover, cast(null as string) as ndvi_level, cast(null as double) as soil_moisture, cast(null as double) as temperature_difference
where false
{% endfor %}
