{{ config(materialized='lake_parquet', partition_by=['year', 'month'], sort_by=['product', 'layer', 'pixel_id', 'obs_date']) }}
select
    series.study,
    series.product,
    series.layer,
    series.grid_id,
    daily.pixel_id,
    daily.obs_date,
    daily.value as soil_moisture_m3m3,
    daily.is_filled,
    daily.is_frozen,
    daily.year,
    daily.month
from {{ ref('int_daily') }} as daily
inner join {{ ref('int_series') }} as series on daily.series_id = series.series_id
where series.variable = 'soil_moisture' and series.time_step in ('day', 'instant')
