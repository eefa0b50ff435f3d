-- The mean index of each region in each layer of the depth profiles, weighted by area, and the areas whose own mean says deficit or surplus.
-- A region is held against itself and against the whole study: against itself over the whole reference its mean is 0 by construction.
{{ config(enabled=needs('trends')) }}
select
    pixels.series_id,
    regions.region_id,
    pixels.reference_kind,
    pixels.reference_region_id,
    pixels.period_kind,
    pixels.period_start,
    pixels.period_end,
    cast(count(*) as bigint) as n_pixels,
    greatest(
        min(pixels.mean_ssmi),
        least(max(pixels.mean_ssmi), sum(pixels.mean_ssmi * regions.area_km2 * regions.fraction) / nullif(sum(regions.area_km2 * regions.fraction), 0))
    ) as mean_ssmi,
    coalesce(sum(case when {{ moisture_state('pixels.mean_ssmi') }} = 'deficit' then regions.area_km2 * regions.fraction end), 0)
        / nullif(sum(regions.area_km2 * regions.fraction), 0) as fraction_deficit,
    coalesce(sum(case when {{ moisture_state('pixels.mean_ssmi') }} = 'surplus' then regions.area_km2 * regions.fraction end), 0)
        / nullif(sum(regions.area_km2 * regions.fraction), 0) as fraction_surplus
from {{ ref('int_depth_pixel') }} as pixels
inner join {{ ref('int_series') }} as series on pixels.series_id = series.series_id
inner join {{ ref('int_pixel_region') }} as regions
    on series.grid_id = regions.grid_id and pixels.pixel_id = regions.pixel_id
where pixels.reference_kind = 'pixel_month' or pixels.is_whole or pixels.reference_region_id = regions.region_id
group by
    pixels.series_id,
    regions.region_id,
    pixels.reference_kind,
    pixels.reference_region_id,
    pixels.period_kind,
    pixels.period_start,
    pixels.period_end
