{{ config(enabled=needs('drivers')) }}
-- Which factor leads when: of every map the factor with the largest q, the second, and what lies between them.
with ranked as (
    select
        choices.driver_map_id,
        choices.factor_id,
        factors.factor,
        choices.q,
        row_number() over (partition by choices.driver_map_id order by choices.q desc nulls last, factors.factor nulls last) as place
    from {{ ref('int_factor_choice') }} as choices
    inner join {{ ref('int_factor') }} as factors on choices.factor_id = factors.factor_id
)

select
    {{ driver_map_names('maps') }},
    first_one.factor,
    first_one.q,
    draws.p as p_permutation,
    second_one.factor as second_factor,
    second_one.q as second_q,
    first_one.q - second_one.q as margin,
    maps.sampling
from ranked as first_one
inner join {{ ref('int_driver_map') }} as maps on first_one.driver_map_id = maps.driver_map_id
left join ranked as second_one on first_one.driver_map_id = second_one.driver_map_id and second_one.place = 2
left join {{ ref('int_factor_permutation') }} as draws
    on first_one.driver_map_id = draws.driver_map_id and first_one.factor_id = draws.factor_id
where first_one.place = 1
