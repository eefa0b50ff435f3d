-- The pixels of every driver map: where they are, and their value less the mean of the map's sample, so that sums of squares lose no digits.
-- Pixels that the study's sampling leaves out are there too: the draws of the permutation test move the whole map.
{{ config(enabled=needs('drivers')) }}
with regions as (
    select
        pixels.grid_id,
        pixels.region_id,
        pixels.pixel_id,
        sampled.pixel_id is not null as is_sampled
    from {{ ref('int_pixel_region') }} as pixels
    left join {{ ref('int_sampled_pixel') }} as sampled
        on pixels.grid_id = sampled.grid_id and pixels.region_id = sampled.region_id and pixels.pixel_id = sampled.pixel_id
)

select
    maps.driver_map_id,
    maps.shared_map_id,
    months.pixel_id,
    places.row_index,
    places.col_index,
    months.value - maps.mean as deviation,
    regions.is_sampled
from {{ ref('int_driver_map') }} as maps
inner join {{ ref('int_pixel_period') }} as months
    on maps.series_id = months.series_id and maps.grid_id = months.grid_id and maps.period_id = months.period_id
inner join regions
    on maps.grid_id = regions.grid_id and maps.region_id = regions.region_id and months.pixel_id = regions.pixel_id
inner join {{ read_lake('grids/pixels') }} as places
    on maps.grid_id = places.grid_id and months.pixel_id = places.pixel_id
