{{ config(enabled=needs('patterns')) }}
-- The months of zones: bands and classes of the study's factors, and its regions, so that both are asked for in one way.
with zones as (
    select
        monthly.series_id,
        pixels.factor as zone_kind,
        pixels.zone_number,
        monthly.month,
        monthly.value,
        pixels.area_km2
    from {{ ref('int_monthly') }} as monthly
    inner join {{ ref('int_zone_pixel') }} as pixels
        on monthly.series_id = pixels.series_id and monthly.pixel_id = pixels.pixel_id
),

zone_months as (
    select
        series_id,
        zone_kind,
        zone_number,
        month,
        cast(count(*) as bigint) as n_pixels,
        sum(area_km2) as area_km2,
        sum(value * area_km2) / nullif(sum(area_km2), 0) as mean,
        case when min(value) < max(value) then stddev_samp(value) when count(*) > 1 then cast(0 as double) end as sd
    from zones
    group by series_id, zone_kind, zone_number, month
),

region_months as (
    select
        series_id,
        region_id,
        month,
        cast(count(*) as bigint) as n_pixels,
        sum(weight_km2) as area_km2,
        sum(value * weight_km2) / nullif(sum(weight_km2), 0) as mean,
        case when min(value) < max(value) then stddev_samp(value) when count(*) > 1 then cast(0 as double) end as sd
    from {{ ref('int_monthly_region') }}
    group by series_id, region_id, month
),

months as (
    select
        zone_months.series_id,
        zone_months.zone_kind,
        zones.zone,
        zone_months.zone_number,
        zones.lower as zone_lower,
        zones.upper as zone_upper,
        zone_months.month,
        zone_months.n_pixels,
        zone_months.area_km2,
        zone_months.mean,
        zone_months.sd
    from zone_months
    inner join {{ ref('int_zone') }} as zones
        on zone_months.series_id = zones.series_id
        and zone_months.zone_kind = zones.factor
        and zone_months.zone_number = zones.zone_number
    union all
    select
        series_id,
        'region' as zone_kind,
        region_id as zone,
        cast(null as int) as zone_number,
        cast(null as double) as zone_lower,
        cast(null as double) as zone_upper,
        month,
        n_pixels,
        area_km2,
        mean,
        sd
    from region_months
)

select
    series.study,
    series.variable,
    series.product,
    series.layer,
    months.zone_kind,
    months.zone,
    months.zone_number,
    months.zone_lower,
    months.zone_upper,
    months.month,
    months.n_pixels,
    months.area_km2,
    months.mean,
    months.sd,
    series.unit
from months
inner join {{ ref('int_series') }} as series on months.series_id = series.series_id
