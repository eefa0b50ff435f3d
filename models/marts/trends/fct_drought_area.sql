{{ config(enabled=needs('trends')) }}
-- The limits of the classes become one row, so that each index is compared with six numbers; a join with the classes over a range would
-- sort every index of the study. An index that is 0 but for rounding is in no class of either side.
with limits as (
    select
        max(case when class_order = -4 then ssmi_to end) as extreme,
        max(case when class_order = -3 then ssmi_to end) as severe,
        max(case when class_order = -2 then ssmi_to end) as moderate,
        max(case when class_order = 2 then ssmi_from end) as moderately_wet,
        max(case when class_order = 3 then ssmi_from end) as very_wet,
        max(case when class_order = 4 then ssmi_from end) as extremely_wet
    from {{ ref('drought_classes') }}
),

-- Both forms in one pass over the pixels: their classes cross in at most 81 ways.
classified as (
    select
        indexed.series_id,
        regions.region_id,
        indexed.month,
        indexed.scale_months,
        {{ drought_class_of('indexed.ssmi') }} as class_order,
        {{ drought_class_of('indexed.ssmi_empirical') }} as class_order_empirical,
        sum(regions.area_km2 * regions.fraction) as area_km2,
        min(indexed.n_reference) as n_reference
    from {{ ref('int_ssmi') }} as indexed
    inner join {{ ref('int_series') }} as series on indexed.series_id = series.series_id
    inner join {{ ref('int_pixel_region') }} as regions
        on series.grid_id = regions.grid_id and indexed.pixel_id = regions.pixel_id
    cross join limits
    where indexed.ssmi is not null
    group by
        indexed.series_id,
        regions.region_id,
        indexed.month,
        indexed.scale_months,
        {{ drought_class_of('indexed.ssmi') }},
        {{ drought_class_of('indexed.ssmi_empirical') }}
),

maps as (
    select series_id, region_id, month, scale_months, sum(area_km2) as area_km2, min(n_reference) as n_reference
    from classified
    group by series_id, region_id, month, scale_months
),

areas as (
    select series_id, region_id, month, scale_months, class_order, sum(area_km2) as area_km2
    from classified
    group by series_id, region_id, month, scale_months, class_order
),

areas_empirical as (
    select series_id, region_id, month, scale_months, class_order_empirical as class_order, sum(area_km2) as area_km2
    from classified
    group by series_id, region_id, month, scale_months, class_order_empirical
)

select
    series.study,
    series.product,
    series.layer,
    maps.region_id,
    maps.month,
    maps.scale_months,
    'pixel_month' as reference_kind,
    classes.class,
    cast(classes.class_order as int) as class_order,
    coalesce(areas.area_km2, 0) as area_km2,
    coalesce(areas.area_km2, 0) / nullif(maps.area_km2, 0) as area_fraction,
    coalesce(areas_empirical.area_km2, 0) / nullif(maps.area_km2, 0) as area_fraction_empirical,
    cast(maps.n_reference as bigint) as n_reference
from maps
cross join {{ ref('drought_classes') }} as classes
inner join {{ ref('int_series') }} as series on maps.series_id = series.series_id
left join areas
    on maps.series_id = areas.series_id
    and maps.region_id = areas.region_id
    and maps.month = areas.month
    and maps.scale_months = areas.scale_months
    and classes.class_order = areas.class_order
left join areas_empirical
    on maps.series_id = areas_empirical.series_id
    and maps.region_id = areas_empirical.region_id
    and maps.month = areas_empirical.month
    and maps.scale_months = areas_empirical.scale_months
    and classes.class_order = areas_empirical.class_order
