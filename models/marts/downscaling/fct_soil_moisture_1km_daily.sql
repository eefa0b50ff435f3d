{{ config(materialized='lake_parquet', partition_by=['year', 'month'], sort_by=['product', 'pixel_id', 'obs_date'], enabled=needs('downscaling')) }}
select
    series.study,
    series.product,
    series.layer,
    series.grid_id,
    daily.pixel_id,
    daily.obs_date,
    daily.value as soil_moisture_m3m3,
    daily.lower as lower_m3m3,
    daily.upper as upper_m3m3,
    daily.correction as correction_m3m3,
    daily.reference_product,
    daily.model_id,
    daily.is_extrapolated,
    daily.year,
    daily.month
from {{ ref('int_downscaled_daily') }} as daily
inner join {{ ref('int_series') }} as series on daily.series_id = series.series_id
