-- Covered months with the regions their pixels lie in: a pixel is a row in each of its regions. weight_km2 is the area by which it
-- counts there in regional means: its own, times the fraction of it inside.
{{ config(materialized='view', enabled=needs('patterns')) }}
select
    monthly.series_id,
    pixels.region_id,
    monthly.pixel_id,
    monthly.month,
    monthly.value,
    pixels.area_km2 * pixels.fraction as weight_km2
from {{ ref('int_monthly') }} as monthly
inner join {{ ref('int_series') }} as series on monthly.series_id = series.series_id
inner join {{ ref('int_pixel_region') }} as pixels
    on series.grid_id = pixels.grid_id and monthly.pixel_id = pixels.pixel_id
