-- What the learned frameworks predict from: the features of a fine pixel and day as one list, in the order of `downscaling.features`.
{{ config(materialized='view', enabled=needs('downscaling')) }}
select
    pixel_id,
    obs_date,
    year,
    month,
    {{ floats(feature_columns()) }} as features,
    unit,
    coarse_pixel_id,
    is_masked
from {{ ref('int_downscaling_value_daily') }}
