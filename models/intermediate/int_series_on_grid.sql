-- The covered months of every series on every grid of the study: as they are on its own, through the lake's weights on the others.
-- A view: who reads it says which series on which grid, and the engine computes no other.
{{ config(materialized='view', enabled=needs('patterns') or needs('trends') or needs('drivers')) }}
select
    monthly.series_id,
    series.grid_id,
    monthly.pixel_id,
    monthly.month,
    monthly.year,
    monthly.month_number,
    monthly.value
from {{ ref('int_monthly') }} as monthly
inner join {{ ref('int_series') }} as series on monthly.series_id = series.series_id
union all
select
    monthly.series_id,
    weights.target_grid_id as grid_id,
    weights.target_pixel_id as pixel_id,
    monthly.month,
    monthly.year,
    monthly.month_number,
    sum(weights.weight * monthly.value) / nullif(sum(weights.weight), 0) as value
from {{ ref('int_monthly') }} as monthly
inner join {{ ref('int_series') }} as series on monthly.series_id = series.series_id
inner join {{ ref('int_weights') }} as weights
    on series.grid_id = weights.source_grid_id and monthly.pixel_id = weights.source_pixel_id
where weights.method = 'nearest'
    and weights.target_grid_id in (select grid_id from {{ ref('int_series') }})
group by monthly.series_id, weights.target_grid_id, weights.target_pixel_id, monthly.month, monthly.year, monthly.month_number
