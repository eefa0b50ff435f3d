-- The standardised soil moisture index of each pixel against its own calendar months (`pixel_month`), at each time scale. A pixel's
-- series is gathered once and handed to the kernel once a scale; a batch is a range of pixels.
{{ config(materialized='by_period', enabled=needs('trends')) }}
{% set rules = study('ssmi') %}
{% set reference = ssmi_reference() %}
with gathered as (
    select
        monthly.series_id,
        monthly.pixel_id,
        {{ series('monthly.year * 12 + monthly.month_number - 1', 'monthly.value') }} as series
    from {{ ref('int_monthly') }} as monthly
    inner join {{ ref('int_series') }} as series on monthly.series_id = series.series_id
    where {{ in_batch('monthly.pixel_id', ref('int_monthly'), 'count(*)') }}
        and series.variable = 'soil_moisture'
        and {{ 'pixel_month' in rules.kinds }}
    group by monthly.series_id, monthly.pixel_id
),

indexed as (
    {%- for scale in rules.scales %}
    select
        series_id,
        pixel_id,
        {{ scale | int }} as scale_months,
        {{ each_of('ssmi(series, ' ~ month_number_of(reference.start) ~ ', ' ~ month_number_of(reference.end) ~ ', ' ~ (scale | int) ~ ')') }} as found
    from gathered
    {% if not loop.last %}union all{% endif %}
    {%- endfor %}
),

dated as (
    select
        series_id,
        pixel_id,
        scale_months,
        found.t - 12 * floor(found.t / cast(12 as double)) + 1 as month_number,
        floor(found.t / cast(12 as double)) as year,
        found.n as n,
        found.ssmi as ssmi,
        found.ssmi_empirical as ssmi_empirical
    from indexed
)

-- Of two or three years a standard deviation says little: below `ssmi.min_years` the row stays and says how many there were.
select
    series_id,
    pixel_id,
    {{ first_of_month('year', 'month_number') }} as month,
    scale_months,
    case when n >= {{ rules.min_years | int }} then ssmi end as ssmi,
    case when n >= {{ rules.min_years | int }} then ssmi_empirical end as ssmi_empirical,
    cast(n as bigint) as n_reference
from dated
