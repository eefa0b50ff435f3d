-- Each pixel's mean index in each layer of the depth profiles, over each calendar year and over the whole study. Means are never
-- outside what they are means of: years that are all alike must not seem to differ in the last digit.
{{ config(enabled=needs('trends')) }}
with months as (
    select series_id, 'pixel_month' as reference_kind, 'all' as reference_region_id, false as is_whole, pixel_id, year(month) as year, ssmi
    from {{ ref('int_ssmi') }}
    where scale_months = 1
    union all
    select series_id, 'layer_pooled' as reference_kind, region_id as reference_region_id, is_whole, pixel_id, year(month) as year, ssmi
    from {{ ref('int_ssmi_pooled') }}
),

years as (
    select
        months.series_id,
        months.reference_kind,
        months.reference_region_id,
        months.is_whole,
        months.pixel_id,
        months.year,
        sum(months.ssmi) as total,
        min(months.ssmi) as least,
        max(months.ssmi) as most,
        count(*) as n_months
    from months
    inner join {{ ref('int_depth_layer') }} as layers on months.series_id = layers.series_id
    where months.ssmi is not null
    group by months.series_id, months.reference_kind, months.reference_region_id, months.is_whole, months.pixel_id, months.year
),

periods as (
    select distinct period_kind, period_start, period_end
    from {{ ref('int_period_month') }}
    where is_of_depth
)

select
    years.series_id,
    years.reference_kind,
    years.reference_region_id,
    years.is_whole,
    years.pixel_id,
    periods.period_kind,
    periods.period_start,
    periods.period_end,
    greatest(years.least, least(years.most, years.total / nullif(years.n_months, 0))) as mean_ssmi,
    cast(years.n_months as bigint) as n_months
from years
inner join periods on periods.period_kind = 'year' and years.year = year(periods.period_start)
-- A part of a year is no year: against the whole layer it would carry its season.
where years.n_months >= 12 * {{ number(study('trends').min_months_share) }}
union all
select
    years.series_id,
    years.reference_kind,
    years.reference_region_id,
    years.is_whole,
    years.pixel_id,
    periods.period_kind,
    periods.period_start,
    periods.period_end,
    greatest(min(years.least), least(max(years.most), sum(years.total) / nullif(sum(years.n_months), 0))) as mean_ssmi,
    cast(sum(years.n_months) as bigint) as n_months
from years
inner join periods on periods.period_kind = 'all'
group by years.series_id, years.reference_kind, years.reference_region_id, years.is_whole, years.pixel_id, periods.period_kind, periods.period_start, periods.period_end
