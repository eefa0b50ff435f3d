-- The land cover of the cells that the thermal inertia framework is fitted on: the one that most of a cell's area has, where that is enough of
-- it for the cell to stand for that land cover.
{{ config(enabled=needs('downscaling')) }}
{% for product in study_downscaled('thermal_inertia') %}
{%- set entry = product.entry %}
select series_id, cell_id, land_cover, class_share
from (
    select
        {{ product.series_id }} as series_id,
        cells.source_pixel_id as cell_id,
        pixels.land_cover,
        sum(pixels.area_km2) / nullif(max(grid_cells.area_km2), 0) as class_share,
        row_number() over (partition by cells.source_pixel_id order by round(sum(pixels.area_km2), 9) desc nulls last, pixels.land_cover nulls last) as class_rank
    from {{ ref('int_thermal_pixel') }} as pixels
    inner join ({{ cells_of_fine_pixels(series_id_of(entry.fit.soil_moisture)) }}) as cells on pixels.pixel_id = cells.target_pixel_id
    inner join {{ read_lake('grids/pixels') }} as grid_cells on cells.source_grid_id = grid_cells.grid_id and cells.source_pixel_id = grid_cells.pixel_id
    where pixels.series_id = {{ product.series_id }}
    group by cells.source_pixel_id, pixels.land_cover
) as classes
where class_rank = 1
    and class_share >= {{ number(entry.min_class_share) }} - 1e-9
{% if not loop.last %}union all{% endif %}
{% else %}
select cast(null as int) as series_id, cast(null as bigint) as cell_id, cast(null as string) as land_cover, cast(null as double) as class_share
where false
{% endfor %}
