-- Each region's value of each season of each year: the mean of its pixels' seasons, by their area inside the region.
{{ config(enabled=needs('patterns')) }}
select
    seasonal.series_id,
    pixels.region_id,
    seasonal.season,
    seasonal.year,
    cast(count(*) as bigint) as n_pixels,
    min(seasonal.value) as min,
    -- Of equal values the mean is that value, however the sum is rounded.
    greatest(min(seasonal.value), least(max(seasonal.value),
        sum(seasonal.value * pixels.area_km2 * pixels.fraction) / nullif(sum(pixels.area_km2 * pixels.fraction), 0))) as area_mean,
    max(seasonal.value) as max
from {{ ref('int_seasonal') }} as seasonal
inner join {{ ref('int_series') }} as series on seasonal.series_id = series.series_id
inner join {{ ref('int_pixel_region') }} as pixels
    on series.grid_id = pixels.grid_id and seasonal.pixel_id = pixels.pixel_id
where seasonal.value is not null
group by seasonal.series_id, pixels.region_id, seasonal.season, seasonal.year
