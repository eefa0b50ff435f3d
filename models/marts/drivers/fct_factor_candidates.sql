{{ config(enabled=needs('drivers')) }}
select
    {{ driver_map_names('maps') }},
    factors.factor,
    candidates.method,
    candidates.n_strata_asked,
    candidates.n_strata,
    cast(candidates.n_used as bigint) as n_used,
    case when candidates.n_used >= {{ study('drivers').min_pixels | int }} then candidates.q end as q,
    choices.method is not null as is_chosen,
    maps.sampling
from {{ ref('int_factor_candidate') }} as candidates
inner join {{ ref('int_driver_map') }} as maps on candidates.driver_map_id = maps.driver_map_id
inner join {{ ref('int_factor') }} as factors on candidates.factor_id = factors.factor_id
left join {{ ref('int_factor_choice') }} as choices
    on candidates.driver_map_id = choices.driver_map_id
    and candidates.factor_id = choices.factor_id
    and candidates.method = choices.method
    and candidates.n_strata_asked = choices.n_strata_asked
