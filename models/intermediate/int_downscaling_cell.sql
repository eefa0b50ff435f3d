-- The coarse cells of the target that fine pixels of the study lie in: how much of a cell they cover, how much of it is water, the terrain unit
-- and the categories that most of it has, and the block that it is left out with when scores leave cells out.
{{ config(enabled=needs('downscaling')) }}
{% set downscaling = study('downscaling') %}
{% set categorical = downscaling_features() | selectattr('kind', 'equalto', 'categorical') | list %}
with cells as (
    select
        pixels.coarse_pixel_id,
        count(*) as n_pixels,
        sum(pixels.area_km2) as area_km2,
        sum(case when pixels.is_water then pixels.area_km2 else 0 end) / nullif(sum(pixels.area_km2), 0) as water_share
    from {{ ref('int_downscaling_pixel') }} as pixels
    group by pixels.coarse_pixel_id
),

grid_cells as (
    select pixels.pixel_id, pixels.row_index, pixels.col_index, pixels.area_km2
    from {{ read_lake('grids/pixels') }} as pixels
    inner join {{ ref('int_series') }} as series on pixels.grid_id = series.grid_id
    where series.series_id = {{ downscaling_target() }}
)

{%- for name in ['unit'] + feature_columns(categorical) %},

{{ name }}_areas as (
    select coarse_pixel_id, {{ name }}, sum(area_km2) as area_km2
    from {{ ref('int_downscaling_pixel') }}
    where {{ name }} is not null and not is_water
    {%- if downscaling.upscale == 'nearest' %} and is_centre {%- endif %}
    group by coarse_pixel_id, {{ name }}
),

{{ name }}_commonest as (
    select coarse_pixel_id, {{ name }}
    from {{ name }}_areas
    qualify row_number() over (partition by coarse_pixel_id order by round(area_km2, 9) desc nulls last, {{ name }} nulls last) = 1
)
{%- endfor %}

select
    cells.coarse_pixel_id,
    cast(cells.n_pixels as bigint) as n_pixels,
    cells.area_km2,
    grid_cells.area_km2 as cell_area_km2,
    cells.water_share,
    unit_commonest.unit,
    cast(dense_rank() over (
        order by
            floor(grid_cells.row_index / cast({{ downscaling.block_cells }} as double)) nulls last,
            floor(grid_cells.col_index / cast({{ downscaling.block_cells }} as double)) nulls last
    ) as int) as block_id
    {%- for name in feature_columns(categorical) %},
    {{ name }}_commonest.{{ name }}
    {%- endfor %}
from cells
inner join grid_cells on cells.coarse_pixel_id = grid_cells.pixel_id
{%- for name in ['unit'] + feature_columns(categorical) %}
left join {{ name }}_commonest on cells.coarse_pixel_id = {{ name }}_commonest.coarse_pixel_id
{%- endfor %}
