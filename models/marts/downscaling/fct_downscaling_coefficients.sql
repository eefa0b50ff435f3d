{{ config(enabled=needs('downscaling')) }}
select
    series.study,
    series.product,
    coefficients.model_id,
    coefficients.window_start,
    coefficients.window_end,
    coefficients.land_cover,
    coefficients.ndvi_level,
    coefficients.slope as slope_m3m3_per_k,
    coefficients.intercept as intercept_m3m3,
    coefficients.n,
    coefficients.r2,
    coefficients.coefficient_source,
    coefficients.slope < 0 as is_sign_expected,
    coefficients.smallest_difference as smallest_difference_k,
    coefficients.largest_difference as largest_difference_k
from {{ ref('int_thermal_coefficient') }} as coefficients
inner join {{ ref('int_series') }} as series on coefficients.series_id = series.series_id
