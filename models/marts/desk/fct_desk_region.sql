-- The water of each region and layer: area-weighted mean, storage in mm, beside what is normal at that time of the year and beside the period before.
{{ config(enabled=needs('desk')) }}
{% set reference = ssmi_reference() %}
with members as (
    select
        series.series_id,
        regions.region_id,
        sum(regions.area_km2 * regions.fraction) as area_km2
    from {{ ref('int_series') }} as series
    inner join {{ ref('int_pixel_region') }} as regions on series.grid_id = regions.grid_id
    group by series.series_id, regions.region_id
),

means as (
    select
        states.series_id,
        regions.region_id,
        states.period_kind,
        states.period_start,
        min(states.period_end) as period_end,
        count(*) as n_pixels,
        sum(regions.area_km2 * regions.fraction) as area_km2,
        greatest(
            min(states.value),
            least(max(states.value), sum(states.value * regions.area_km2 * regions.fraction) / nullif(sum(regions.area_km2 * regions.fraction), 0))
        ) as value,
        max(states.newest_date) as newest_date
    from {{ ref('int_desk_state') }} as states
    inner join {{ ref('int_series') }} as series on states.series_id = series.series_id
    inner join {{ ref('int_pixel_region') }} as regions
        on series.grid_id = regions.grid_id and states.pixel_id = regions.pixel_id
    group by states.series_id, regions.region_id, states.period_kind, states.period_start
),

normals as (
    select
        series_id,
        region_id,
        period_kind,
        month(period_start) as month_number,
        day(period_start) as first_day,
        count(value) as n_years,
        greatest(min(value), least(max(value), avg(value))) as normal,
        case when max(value) > min(value) then stddev_samp(value) end as sd
    from means
    where period_start >= cast('{{ reference.start }}' as date) and period_start < cast('{{ reference.end }}' as date)
    group by series_id, region_id, period_kind, month(period_start), day(period_start)
),

compared as (
    select
        means.*,
        cast(coalesce(normals.n_years, 0) as bigint) as n_years,
        case when normals.n_years >= {{ study('desk').min_years | int }} then normals.normal end as normal,
        case when normals.n_years >= {{ study('desk').min_years | int }} then (means.value - normals.normal) / nullif(normals.sd, 0) end as standardised,
        lag(means.value) over (partition by means.series_id, means.region_id, means.period_kind order by means.period_start nulls last) as previous_value,
        lag(means.period_end) over (partition by means.series_id, means.region_id, means.period_kind order by means.period_start nulls last) as previous_end
    from means
    left join normals
        on means.series_id = normals.series_id
        and means.region_id = normals.region_id
        and means.period_kind = normals.period_kind
        and month(means.period_start) = normals.month_number
        and day(means.period_start) = normals.first_day
)

select
    series.study,
    series.product,
    series.layer,
    compared.region_id,
    compared.period_kind,
    compared.period_start,
    compared.period_end,
    cast(compared.n_pixels as bigint) as n_pixels,
    compared.area_km2,
    compared.area_km2 / nullif(members.area_km2, 0) as area_fraction,
    compared.value as soil_moisture_m3m3,
    compared.normal as normal_m3m3,
    compared.value - compared.normal as anomaly_m3m3,
    100 * (compared.value - compared.normal) / nullif(compared.normal, 0) as anomaly_percent,
    compared.standardised as standardised_anomaly,
    (layers.layer_bottom_cm - layers.layer_top_cm) * 10 as thickness_mm,
    compared.value * (layers.layer_bottom_cm - layers.layer_top_cm) * 10 as storage_mm,
    compared.normal * (layers.layer_bottom_cm - layers.layer_top_cm) * 10 as normal_storage_mm,
    (compared.value - compared.normal) * (layers.layer_bottom_cm - layers.layer_top_cm) * 10 as anomaly_mm,
    case when compared.previous_end = compared.period_start then (compared.value - compared.previous_value) * (layers.layer_bottom_cm - layers.layer_top_cm) * 10 end as change_mm,
    compared.n_years,
    compared.newest_date,
    {{ days_between('compared.newest_date', 'compared.period_end') }} - 1 as age_days
from compared
inner join {{ ref('int_series') }} as series on compared.series_id = series.series_id
inner join members on compared.series_id = members.series_id and compared.region_id = members.region_id
left join {{ ref('dim_layer') }} as layers on series.layer = layers.layer
