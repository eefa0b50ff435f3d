-- The values of every factor at the sampled pixels of the map whose cells it has (int_driver_factor): a row a map, factor and pixel.
-- A view, read a batch of maps at a time.
{{ config(materialized='view', enabled=needs('drivers')) }}
with cells as (
    select distinct cells_map_id, factor_id, source from {{ ref('int_driver_factor') }}
),

pixels as (
    select
        pixels.driver_map_id as cells_map_id,
        maps.grid_id,
        maps.period_id,
        pixels.pixel_id
    from {{ ref('int_driver_pixel') }} as pixels
    inner join {{ ref('int_driver_map') }} as maps on pixels.driver_map_id = maps.driver_map_id
    where pixels.is_sampled
)

select
    pixels.cells_map_id,
    cells.factor_id,
    cells.source,
    pixels.pixel_id,
    static.value
from pixels
inner join cells on pixels.cells_map_id = cells.cells_map_id and cells.source <> 'series'
inner join {{ ref('int_factor_static') }} as static
    on cells.factor_id = static.factor_id and pixels.grid_id = static.grid_id and pixels.pixel_id = static.pixel_id
union all
select
    pixels.cells_map_id,
    cells.factor_id,
    cells.source,
    pixels.pixel_id,
    periods.value
from pixels
inner join cells on pixels.cells_map_id = cells.cells_map_id and cells.source = 'series'
inner join {{ ref('int_factor') }} as factors on cells.factor_id = factors.factor_id
inner join {{ ref('int_pixel_period') }} as periods
    on factors.series_id = periods.series_id
    and pixels.grid_id = periods.grid_id
    and pixels.period_id = periods.period_id
    and pixels.pixel_id = periods.pixel_id
