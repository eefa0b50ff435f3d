-- Least squares of moisture on the temperature difference: of a land cover at an NDVI level, of a land cover, of everything, in each window.
{{ config(enabled=needs('downscaling')) }}
with grouped as (
    select
        series_id,
        window_number,
        land_cover,
        ndvi_level,
        grouping(land_cover) as is_all_covers,
        grouping(ndvi_level) as is_all_levels,
        count(*) as n,
        avg(soil_moisture) as mean_soil_moisture,
        avg(temperature_difference) as mean_temperature_difference,
        covar_pop(soil_moisture, temperature_difference) as covariance,
        var_pop(temperature_difference) as variance,
        var_pop(soil_moisture) as variance_of_soil_moisture,
        min(temperature_difference) as smallest_difference,
        max(temperature_difference) as largest_difference
    from {{ ref('int_thermal_sample') }}
    group by grouping sets (
        (series_id, window_number, land_cover, ndvi_level),
        (series_id, window_number, land_cover),
        (series_id, window_number)
    )
)

select
    series_id,
    window_number,
    case when is_all_covers = 1 then 'all' when is_all_levels = 1 then 'class' else 'class_level' end as coefficient_source,
    land_cover,
    ndvi_level,
    cast(n as bigint) as n,
    covariance / variance as slope,
    mean_soil_moisture - covariance / variance * mean_temperature_difference as intercept,
    -- Moisture that never changes is explained by anything.
    least(covariance * covariance / (variance * nullif(variance_of_soil_moisture, 0)), 1) as r2,
    smallest_difference,
    largest_difference
from grouped
where variance > 0
