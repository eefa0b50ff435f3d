-- What the pairs of a unit, form, period, season and scaling say: moments, ranks and the lag-1 autocorrelations that say how many of the pairs are independent.
-- The autocorrelation is of successive pairs, whatever the gap between them. Ranks are of values to 1e-9: days with the same readings have the same mean but for
-- the order of adding, and must tie.
{{ config(enabled=needs('validation')) }}
{% set unit = ['series_id', 'reference_product', 'unit_kind', 'unit_id', 'on_values', 'period_kind', 'period_start', 'period_end', 'season', 'scaling'] %}
{% set window = 'partition by ' ~ unit | join(', ') %}
with pairs as (
    select *, estimate - reference as difference
    from {{ ref('int_validation_scaled') }}
    where estimate is not null
),

ranked as (
    select
        *,
        {{ doubled_rank(unit | join(', '), 'round(estimate, 9)') }} as estimate_rank,
        {{ doubled_rank(unit | join(', '), 'round(reference, 9)') }} as reference_rank,
        estimate - avg(estimate) over ({{ window }}) as estimate_deviation,
        reference - avg(reference) over ({{ window }}) as reference_deviation,
        difference - avg(difference) over ({{ window }}) as difference_deviation
    from pairs
),

lagged as (
    select
        *,
        lag(estimate_deviation) over ({{ window }} order by obs_date nulls last) as estimate_before,
        lag(reference_deviation) over ({{ window }} order by obs_date nulls last) as reference_before,
        lag(difference_deviation) over ({{ window }} order by obs_date nulls last) as difference_before
    from ranked
)

select
    {{ unit | join(', ') }},
    cast(count(*) as bigint) as n,
    avg(estimate) as mean_estimate,
    avg(reference) as mean_reference,
    stddev_samp(estimate) as sd_estimate,
    stddev_samp(reference) as sd_reference,
    {{ correlation('estimate', 'reference') }} as r,
    {{ correlation('estimate_rank', 'reference_rank') }} as rho,
    sqrt(avg(difference * difference)) as rmse,
    -- Scaled to the same mean there is no bias: what rounding leaves is none.
    case when abs(avg(difference)) < 1e-12 then cast(0 as double) else avg(difference) end as bias,
    stddev_pop(difference) as ubrmse,
    sum(estimate_deviation * estimate_before) / nullif(sum(estimate_deviation * estimate_deviation), 0) as autocorrelation_estimate,
    sum(reference_deviation * reference_before) / nullif(sum(reference_deviation * reference_deviation), 0) as autocorrelation_reference,
    sum(difference_deviation * difference_before) / nullif(sum(difference_deviation * difference_deviation), 0) as autocorrelation_difference
from lagged
group by {{ unit | join(', ') }}
