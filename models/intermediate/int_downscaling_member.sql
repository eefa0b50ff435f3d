-- Which cell of each grid of the study's series the centre of a fine pixel lies in; on the fine grid itself the pixel.
{{ config(enabled=needs('downscaling')) }}
with pixels as (
    select distinct pixel_id from {{ ref('int_pixel_region') }} where grid_id = {{ literal(study('downscaling').grid) }}
)

select {{ literal(study('downscaling').grid) }} as source_grid_id, pixel_id as source_pixel_id, pixel_id
from pixels
union all
select weights.source_grid_id, weights.source_pixel_id, pixels.pixel_id
from {{ read_lake('weights') }} as weights
inner join pixels on weights.target_pixel_id = pixels.pixel_id
where weights.target_grid_id = {{ literal(study('downscaling').grid) }}
    and weights.source_grid_id in (select grid_id from {{ ref('int_series') }})
    and weights.method = 'nearest'
