-- The discretisation that each factor of each map is published with. Candidates are ranked by q (`choose: once`: by their mean q over all
-- maps of a target, region and kind of period, so that q compares between them); ties go to the fewest strata, then to the method named first in
-- METHODS of the documentation. With `optimise: first_small_gain` the rank begins at the smallest k whose best q is less than `min_gain`
-- (a share) above that of k - 1, both of candidates that as many maps have as any. A map takes the first of that order that it has.
{{ config(enabled=needs('drivers')) }}
{% set drivers = study('drivers') %}
with maps as (
    select
        driver_map_id,
        {% if drivers.choose == 'once' -%}
        min(driver_map_id) over (partition by series_id, region_id, period_kind)
        {%- else -%}
        driver_map_id
        {%- endif %} as group_id
    from {{ ref('int_driver_map') }}
),

candidates as (
    select
        candidates.*,
        maps.group_id,
        case candidates.method
            when 'equal' then 1 when 'quantile' then 2 when 'natural' then 3 when 'geometric' then 4 when 'sd' then 5 else 6
        end as method_order
    from {{ ref('int_factor_candidate') }} as candidates
    inner join maps on candidates.driver_map_id = maps.driver_map_id
    where candidates.q is not null
        and candidates.n_strata > 1
        and candidates.n_used >= {{ drivers.min_pixels | int }}
),

-- Candidates that some map of the group lacks come after those that all have. q is compared to twelve digits: what differs less
-- is one partition summed in another order.
scored as (
    select
        group_id,
        factor_id,
        method,
        method_order,
        n_strata_asked,
        count(*) as n_maps,
        max(count(*)) over (partition by group_id, factor_id) as most_maps,
        round(avg(q), 12) as score,
        max(n_strata) as n_strata
    from candidates
    group by group_id, factor_id, method, method_order, n_strata_asked
),

best_of_k as (
    select
        group_id,
        factor_id,
        n_strata_asked,
        max(score) as score,
        lag(max(score)) over (partition by group_id, factor_id order by n_strata_asked) as score_before
    from scored
    -- A mean over other maps is no gain.
    where n_maps = most_maps
    group by group_id, factor_id, n_strata_asked
),

stops as (
    select group_id, factor_id, min(n_strata_asked) as k_stop
    from best_of_k
    where score - score_before < {{ number(drivers.min_gain) }} * score_before
    group by group_id, factor_id
),

ranked as (
    select
        scored.group_id,
        scored.factor_id,
        scored.method,
        scored.n_strata_asked,
        row_number() over (
            partition by scored.group_id, scored.factor_id
            order by
                scored.n_maps desc,
                {% if drivers.optimise == 'first_small_gain' -%}
                case when scored.n_strata_asked = stops.k_stop then 0 else 1 end nulls last,
                {% endif -%}
                scored.score desc,
                scored.n_strata nulls last,
                scored.method_order nulls last,
                scored.n_strata_asked nulls last
        ) as choice_rank
    from scored
    left join stops on scored.group_id = stops.group_id and scored.factor_id = stops.factor_id
),

chosen as (
    select
        candidates.*,
        row_number() over (
            partition by candidates.driver_map_id, candidates.factor_id order by ranked.choice_rank nulls last
        ) as of_map
    from candidates
    inner join ranked
        on candidates.group_id = ranked.group_id
        and candidates.factor_id = ranked.factor_id
        and candidates.method = ranked.method
        and candidates.n_strata_asked = ranked.n_strata_asked
)

select
    driver_map_id,
    factor_id,
    method,
    n_strata_asked,
    n_strata,
    n_singletons,
    n_used,
    ssb,
    sst,
    q
from chosen
where of_map = 1
