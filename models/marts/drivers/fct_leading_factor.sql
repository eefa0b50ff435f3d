{{ config(enabled=needs('drivers')) }}
-- Which factor leads when: of every map the factor with the largest q, the second, and what lies between them.
with ranked as (
    select
        *,
        row_number() over (
            partition by study, variable, product, layer, region_id, grid_id, period_kind, season, period_start
            order by q desc nulls last, factor nulls last
        ) as place
    from {{ ref('fct_factor_detector') }}
    where q is not null
)

select
    {{ driver_map_names("first_one") }},
    first_one.factor,
    first_one.q,
    first_one.p_permutation,
    second_one.factor as second_factor,
    second_one.q as second_q,
    first_one.q - second_one.q as margin,
    first_one.sampling
from ranked as first_one
left join ranked as second_one
    on first_one.variable = second_one.variable
    and first_one.product = second_one.product
    and first_one.layer = second_one.layer
    and first_one.region_id = second_one.region_id
    and first_one.grid_id = second_one.grid_id
    and first_one.period_kind = second_one.period_kind
    and coalesce(first_one.season, '') = coalesce(second_one.season, '')
    and first_one.period_start = second_one.period_start
    and second_one.place = 2
where first_one.place = 1
