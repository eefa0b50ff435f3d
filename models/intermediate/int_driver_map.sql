-- A driver map is a target in a region over a period: its number stands for these where pixels are counted, and here are their names.
-- Maps of one series and region that have the same pixels share the strata of factors without dates: `shared_map_id` is the first of them. It is
-- known without comparing pixels for maps that have every pixel that the series ever has there; the others stand for themselves.
{{ config(enabled=needs('drivers')) }}
with targets as (
    select * from {{ ref('int_series') }}
    where variable in ({{ literals(study('drivers').targets) }})
),

periods as (
    select distinct period_id, period_kind, season, period_start, period_end
    from {{ ref('int_period_month') }}
    where is_of_drivers
),

pixels as (
    select
        targets.series_id,
        regions.region_id,
        months.period_id,
        months.pixel_id,
        sampled.pixel_id is not null as is_sampled,
        case when sampled.pixel_id is not null then months.value end as value
    from {{ ref('int_pixel_period') }} as months
    inner join targets on months.series_id = targets.series_id and months.grid_id = targets.grid_id
    inner join {{ ref('int_pixel_region') }} as regions
        on months.grid_id = regions.grid_id and months.pixel_id = regions.pixel_id
    left join {{ ref('int_sampled_pixel') }} as sampled
        on regions.grid_id = sampled.grid_id and regions.region_id = sampled.region_id and regions.pixel_id = sampled.pixel_id
),

pixels_of_region as (
    select series_id, region_id, count(*) as n_pixels
    from (select distinct series_id, region_id, pixel_id from pixels where is_sampled) as found
    group by series_id, region_id
),

maps as (
    select
        series_id,
        region_id,
        period_id,
        cast(count(value) as bigint) as n_pixels,
        cast(count(*) as bigint) as n_pixels_of_map,
        {{ mean('value') }} as mean
    from pixels
    group by series_id, region_id, period_id
    having count(value) > 0
),

numbered as (
    select
        cast(row_number() over (order by maps.series_id, maps.region_id, maps.period_id) as int) as driver_map_id,
        maps.series_id,
        maps.region_id,
        maps.period_id,
        maps.n_pixels,
        maps.n_pixels_of_map,
        maps.mean,
        maps.n_pixels = pixels_of_region.n_pixels as is_complete
    from maps
    inner join pixels_of_region
        on maps.series_id = pixels_of_region.series_id and maps.region_id = pixels_of_region.region_id
)

select
    numbered.driver_map_id,
    numbered.series_id,
    numbered.period_id,
    case when numbered.is_complete
        then min(numbered.driver_map_id) over (partition by numbered.series_id, numbered.region_id, numbered.is_complete)
        else numbered.driver_map_id
    end as shared_map_id,
    numbered.n_pixels,
    numbered.n_pixels_of_map,
    numbered.mean,
    targets.study,
    targets.variable,
    targets.product,
    targets.layer,
    numbered.region_id,
    targets.grid_id,
    periods.period_kind,
    periods.season,
    periods.period_start,
    periods.period_end,
    {{ sampling_label() }} as sampling,
    targets.unit
from numbered
inner join targets on numbered.series_id = targets.series_id
inner join periods on numbered.period_id = periods.period_id
