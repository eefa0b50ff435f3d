-- How much of each region is in which class in each dekad and month, and how that changed. Every class has a row.
{{ config(enabled=needs('desk')) }}
with areas as (
    select
        states.series_id,
        regions.region_id,
        states.period_kind,
        states.period_start,
        states.period_end,
        states.class_order,
        sum(regions.area_km2 * regions.fraction) as area_km2
    from {{ ref('int_desk_state') }} as states
    inner join {{ ref('int_series') }} as series on states.series_id = series.series_id
    inner join {{ ref('int_pixel_region') }} as regions
        on series.grid_id = regions.grid_id and states.pixel_id = regions.pixel_id
    where states.class_order is not null
    group by
        states.series_id,
        regions.region_id,
        states.period_kind,
        states.period_start,
        states.period_end,
        states.class_order
),

maps as (
    select series_id, region_id, period_kind, period_start, period_end, sum(area_km2) as area_km2
    from areas
    group by series_id, region_id, period_kind, period_start, period_end
),

fractions as (
    select
        maps.series_id,
        maps.region_id,
        maps.period_kind,
        maps.period_start,
        maps.period_end,
        classes.class,
        cast(classes.class_order as int) as class_order,
        coalesce(areas.area_km2, 0) as area_km2,
        coalesce(areas.area_km2, 0) / nullif(maps.area_km2, 0) as area_fraction
    from maps
    cross join {{ ref('drought_classes') }} as classes
    left join areas
        on maps.series_id = areas.series_id
        and maps.region_id = areas.region_id
        and maps.period_kind = areas.period_kind
        and maps.period_start = areas.period_start
        and classes.class_order = areas.class_order
),

followed as (
    select
        *,
        lag(area_fraction) over (partition by series_id, region_id, period_kind, class_order order by period_start nulls last) as previous_fraction,
        lag(period_end) over (partition by series_id, region_id, period_kind, class_order order by period_start nulls last) as previous_end
    from fractions
)

select
    series.study,
    series.product,
    series.layer,
    followed.region_id,
    followed.period_kind,
    followed.period_start,
    followed.period_end,
    followed.class,
    followed.class_order,
    followed.area_km2,
    followed.area_fraction,
    case when followed.previous_end = followed.period_start then followed.area_fraction - followed.previous_fraction end as change_fraction
from followed
inner join {{ ref('int_series') }} as series on followed.series_id = series.series_id
