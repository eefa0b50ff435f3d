-- The index of each pixel's months against all pixels and months of its layer in a region (`layer_pooled`). A view: it is one subtraction
-- and one division, and a row a region would be stored otherwise.
{{ config(materialized='view', enabled=needs('trends')) }}
select
    monthly.series_id,
    pools.region_id,
    pools.is_whole,
    monthly.pixel_id,
    monthly.month,
    case when pools.n_years >= {{ study('ssmi').min_years | int }} then (monthly.value - pools.mean) / nullif(pools.sd, 0) end as ssmi,
    pools.n_values as n_reference
from {{ ref('int_monthly') }} as monthly
inner join {{ ref('int_series') }} as series on monthly.series_id = series.series_id
inner join {{ ref('int_ssmi_pool_pixel') }} as pixels
    on series.grid_id = pixels.grid_id and monthly.pixel_id = pixels.pixel_id
inner join {{ ref('int_ssmi_pool') }} as pools
    on monthly.series_id = pools.series_id and pixels.region_id = pools.region_id
