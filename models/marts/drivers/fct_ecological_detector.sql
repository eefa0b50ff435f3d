{{ config(enabled=needs('drivers')) }}
-- What two factors leave unexplained on the same pixels, as a ratio of variances. Both share one target, so that they are not independent
-- as the F test asks: p is indicative.
with pairs as (
    select
        *,
        greatest(sst - ssb_1, 0) as ssw_1,
        greatest(sst - ssb_2, 0) as ssw_2
    from {{ ref('int_pair_q') }}
    where n_used >= {{ study('drivers').min_pixels | int }} and q_12 is not null
),

tested as (
    select
        *,
        ssw_1 / nullif(ssw_2, 0) as f_statistic,
        f_p(greatest(ssw_1, ssw_2) / nullif(least(ssw_1, ssw_2), 0), cast(n_used - 1 as double), cast(n_used - 1 as double)) as p
    from pairs
)

select
    {{ driver_map_names('maps') }},
    first_factor.factor as factor_1,
    second_factor.factor as factor_2,
    cast(tested.n_used as bigint) as n_used,
    tested.f_statistic,
    tested.p,
    tested.q_1 - tested.q_2 as delta_q,
    tested.p < {{ number(study('drivers').alpha) }} as is_significant,
    maps.sampling
from tested
inner join {{ ref('int_driver_map') }} as maps on tested.driver_map_id = maps.driver_map_id
inner join {{ ref('int_factor') }} as first_factor on tested.factor_1 = first_factor.factor_id
inner join {{ ref('int_factor') }} as second_factor on tested.factor_2 = second_factor.factor_id
