-- Each period of a pixel beside what is normal there at that time of the year, and beside the period before it. Normal is the mean of the same dekad or
-- month of the reference years (`ssmi.reference`, else the study), the period itself among them: for months this is the SSMI-1 of int_ssmi.
{{ config(enabled=needs('desk')) }}
{% set reference = ssmi_reference() %}
with normals as (
    select
        series_id,
        pixel_id,
        period_kind,
        period_number,
        count(value) as n_years,
        greatest(min(value), least(max(value), avg(value))) as normal,
        -- Equal values have no spread, whatever rounding makes of it.
        case when max(value) > min(value) then stddev_samp(value) end as sd
    from {{ ref('int_desk_period') }}
    where period_start >= cast('{{ reference.start }}' as date) and period_start < cast('{{ reference.end }}' as date)
    group by series_id, pixel_id, period_kind, period_number
),

compared as (
    select
        periods.series_id,
        periods.pixel_id,
        periods.period_kind,
        periods.period_start,
        periods.period_end,
        periods.value,
        periods.n_days,
        periods.newest_date,
        cast(coalesce(normals.n_years, 0) as bigint) as n_years,
        case when normals.n_years >= {{ study('desk').min_years | int }} then normals.normal end as normal,
        case when normals.n_years >= {{ study('desk').min_years | int }} then (periods.value - normals.normal) / nullif(normals.sd, 0) end as standardised,
        lag(periods.value) over (partition by periods.series_id, periods.pixel_id, periods.period_kind order by periods.period_start nulls last) as previous_value,
        lag(periods.period_end) over (partition by periods.series_id, periods.pixel_id, periods.period_kind order by periods.period_start nulls last) as previous_end
    from {{ ref('int_desk_period') }} as periods
    left join normals
        on periods.series_id = normals.series_id
        and periods.pixel_id = normals.pixel_id
        and periods.period_kind = normals.period_kind
        and periods.period_number = normals.period_number
),

limits as (
    {{ drought_limits() }}
)

select
    compared.series_id,
    compared.pixel_id,
    compared.period_kind,
    compared.period_start,
    compared.period_end,
    compared.value,
    compared.n_days,
    compared.newest_date,
    compared.n_years,
    compared.normal,
    compared.standardised,
    -- Of three years evenly spaced, two are one standard deviation off: on the limit of a class, whatever rounding makes of it.
    case when compared.standardised is not null then cast({{ drought_class_of('round(compared.standardised, 9)') }} as int) end as class_order,
    -- A change is from the period before; over a gap there is none.
    case when compared.previous_end = compared.period_start then compared.value - compared.previous_value end as change
from compared
cross join limits
