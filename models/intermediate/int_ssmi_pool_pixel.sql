-- Whose months make up the references of `layer_pooled`: the pixels of each region, and of the whole study. Where one region holds every
-- pixel of a grid it is the whole; else the whole is a pool of its own, `all`, against which regions that lie beside one another compare.
{{ config(enabled=needs('trends')) }}
with regions as (
    select grid_id, region_id, count(*) as n_pixels
    from {{ ref('int_pixel_region') }}
    group by grid_id, region_id
),

pixels as (
    select distinct grid_id, pixel_id from {{ ref('int_pixel_region') }}
),

grids as (
    select grid_id, count(*) as n_pixels from pixels group by grid_id
),

whole as (
    select regions.grid_id, min(regions.region_id) as region_id
    from regions
    inner join grids on regions.grid_id = grids.grid_id and regions.n_pixels = grids.n_pixels
    group by regions.grid_id
)

select
    members.grid_id,
    members.region_id,
    members.pixel_id,
    whole.region_id is not null as is_whole
from {{ ref('int_pixel_region') }} as members
left join whole on members.grid_id = whole.grid_id and members.region_id = whole.region_id
union all
select
    pixels.grid_id,
    'all' as region_id,
    pixels.pixel_id,
    true as is_whole
from pixels
left join whole on pixels.grid_id = whole.grid_id
where whole.grid_id is null
