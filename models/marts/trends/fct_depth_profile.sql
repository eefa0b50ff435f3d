{{ config(enabled=needs('trends')) }}
-- Sen's slope and Mann-Kendall's test are of the region's yearly means, and stand in the rows of the whole study.
{% set rules = study('ssmi') %}
{% set trends = study('trends') %}
with gathered as (
    select
        series_id,
        region_id,
        reference_kind,
        reference_region_id,
        cast(count(*) as bigint) as n_years,
        {{ series('year(period_start)', 'mean_ssmi') }} as series
    from {{ ref('int_depth_region') }}
    where period_kind = 'year'
    group by series_id, region_id, reference_kind, reference_region_id
),

tested as (
    select
        series_id,
        region_id,
        reference_kind,
        reference_region_id,
        n_years,
        mann_kendall(case when n_years >= {{ trends.min_valid | int }} then series end) as mk,
        theil_sen(case when n_years >= {{ trends.min_valid | int }} then series end) as sen
    from gathered
),

trend as (
    select
        series_id,
        region_id,
        reference_kind,
        reference_region_id,
        n_years,
        mk.z as mk_z,
        mk.p as mk_p,
        sen.slope as sen_slope_per_year
    from tested
)

select
    series.study,
    series.product,
    series.layer,
    layers.layer_top_cm,
    layers.layer_bottom_cm,
    layers.depth_order,
    regions.region_id,
    regions.reference_kind,
    regions.reference_region_id,
    regions.period_kind,
    regions.period_start,
    regions.period_end,
    regions.n_pixels,
    regions.mean_ssmi,
    {{ moisture_state('regions.mean_ssmi') }} as state,
    regions.fraction_deficit,
    regions.fraction_surplus,
    trend.n_years,
    trend.sen_slope_per_year,
    trend.mk_p,
    case
        when trend.mk_p is null then cast(null as string)
        when trend.mk_z = 0 or (trend.mk_p >= {{ number(trends.alpha) }} and abs(trend.sen_slope_per_year) < {{ number(rules.epsilon_per_year) }}) then 'stable'
        else case when trend.mk_p < {{ number(trends.alpha) }} then 'significant ' else 'slight ' end
            || case when trend.mk_z < 0 then series.falling else series.rising end
    end as trend_class
from {{ ref('int_depth_region') }} as regions
inner join {{ ref('int_depth_layer') }} as layers on regions.series_id = layers.series_id
inner join {{ ref('int_series') }} as series on regions.series_id = series.series_id
left join trend
    on regions.period_kind = 'all'
    and regions.series_id = trend.series_id
    and regions.region_id = trend.region_id
    and regions.reference_kind = trend.reference_kind
    and regions.reference_region_id = trend.reference_region_id
where regions.period_kind in ({{ literals(rules.depth_periods) }})
