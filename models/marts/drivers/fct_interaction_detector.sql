{{ config(enabled=needs('drivers')) }}
{#- The classes of an interaction are limits of real numbers: equal means equal but for the rounding of sums. -#}
{% set tolerance = 'cast(1e-12 as double)' %}
with pairs as (
    select
        *,
        (n_used - n_strata_12) * q_12 / nullif((n_strata_12 - 1) * (1 - q_12), 0) as f_statistic
    from {{ ref('int_pair_q') }}
    where n_used >= {{ study('drivers').min_pixels | int }} and q_12 is not null
)

select
    {{ driver_map_names('maps') }},
    first_factor.factor as factor_1,
    second_factor.factor as factor_2,
    cast(pairs.n_used as bigint) as n_used,
    pairs.q_1,
    pairs.q_2,
    pairs.q_12,
    pairs.n_strata_12,
    (pairs.n_strata_12 - 1) / nullif(cast(pairs.n_used - 1 as double), 0) as q_12_expected,
    case
        when pairs.q_12 < least(pairs.q_1, pairs.q_2) - {{ tolerance }} then 'weaken nonlinear'
        when pairs.q_12 < greatest(pairs.q_1, pairs.q_2) - {{ tolerance }} then 'weaken univariate'
        when pairs.q_12 <= greatest(pairs.q_1, pairs.q_2) + {{ tolerance }} then 'no enhancement'
        when pairs.q_12 < pairs.q_1 + pairs.q_2 - {{ tolerance }} then 'enhance bivariate'
        when pairs.q_12 <= pairs.q_1 + pairs.q_2 + {{ tolerance }} then 'independent'
        else 'enhance nonlinear'
    end as interaction,
    {{ p_of_q('pairs.q_12', 'pairs.f_statistic', 'pairs.n_strata_12', 'pairs.n_used') }} as p_central,
    maps.sampling
from pairs
inner join {{ ref('int_driver_map') }} as maps on pairs.driver_map_id = maps.driver_map_id
inner join {{ ref('int_factor') }} as first_factor on pairs.factor_1 = first_factor.factor_id
inner join {{ ref('int_factor') }} as second_factor on pairs.factor_2 = second_factor.factor_id
