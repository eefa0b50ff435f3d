{{ config(enabled=needs('drivers')) }}
-- One row a factor of a map, also where there is no q: `reason` says why.
with cells as (
    select
        driver_map_id,
        factor_id,
        cast(sum(n) as bigint) as n_used,
        count(*) as n_cells,
        min(min_deviation) = max(max_deviation) as is_constant
    from {{ ref('int_cell_moments') }}
    group by driver_map_id, factor_id
),

-- What the noncentral F of the peers is shifted by, from the means of the strata themselves and not from deviations.
means as (
    select
        strata.driver_map_id,
        strata.factor_id,
        sum(power(maps.mean + strata.sum_deviation / nullif(strata.n, 0), 2)) as sum_mean_squares,
        sum(sqrt(greatest(cast(strata.n as double), 0)) * (maps.mean + strata.sum_deviation / nullif(strata.n, 0))) as sum_weighted_means
    from {{ ref('int_factor_stratum') }} as strata
    inner join {{ ref('int_driver_map') }} as maps on strata.driver_map_id = maps.driver_map_id
    group by strata.driver_map_id, strata.factor_id
),

found as (
    select
        asked.driver_map_id,
        asked.factor_id,
        choices.method,
        choices.n_strata_asked,
        choices.n_strata,
        coalesce(cells.n_used, 0) as n_used,
        choices.n_singletons,
        choices.q,
        -- Two numbers that differ by rounding where the chosen partition is the best one.
        case
            when asked.kind = 'categorical' then choices.q
            when choices.q is not null then greatest(choices.q, least(bounds.ssb / nullif(choices.sst, 0), 1))
        end as q_upper_bound,
        (choices.n_used - choices.n_strata) * choices.q
            / nullif((choices.n_strata - 1) * (1 - choices.q), 0) as f_statistic,
        (means.sum_mean_squares - means.sum_weighted_means * means.sum_weighted_means / nullif(choices.n_used, 0))
            / nullif(choices.sst / nullif(choices.n_used, 0), 0) as noncentrality,
        case
            when coalesce(cells.n_used, 0) < {{ study('drivers').min_pixels | int }} then 'too few pixels'
            when cells.is_constant then 'constant target'
            when cells.n_cells = 1 then 'constant factor'
            when choices.q is null then 'one stratum'
        end as reason
    from {{ ref('int_driver_factor') }} as asked
    left join cells on asked.driver_map_id = cells.driver_map_id and asked.factor_id = cells.factor_id
    left join {{ ref('int_factor_choice') }} as choices
        on asked.driver_map_id = choices.driver_map_id and asked.factor_id = choices.factor_id
    left join means on asked.driver_map_id = means.driver_map_id and asked.factor_id = means.factor_id
    left join {{ ref('int_factor_bound') }} as bounds
        on asked.driver_map_id = bounds.driver_map_id and asked.factor_id = bounds.factor_id
),

tested as (
    select
        *,
        {{ p_of_q('q', 'f_statistic', 'n_strata', 'n_used') }} as p_central,
        noncentral_f_p(f_statistic, cast(n_strata - 1 as double), cast(n_used - n_strata as double), greatest(noncentrality, 0)) as p_noncentral
    from found
)

select
    {{ driver_map_names('maps') }},
    factors.factor,
    tested.method,
    tested.n_strata_asked,
    tested.n_strata,
    tested.n_used,
    tested.n_singletons,
    tested.q,
    tested.f_statistic,
    tested.p_central,
    tested.p_noncentral,
    draws.p as p_permutation,
    draws.q_mean as q_mean_permuted,
    tested.q_upper_bound,
    case when tested.q is not null
        then cast(rank() over (partition by tested.driver_map_id order by tested.q desc nulls last) as int)
    end as q_rank,
    tested.reason,
    maps.sampling
from tested
inner join {{ ref('int_driver_map') }} as maps on tested.driver_map_id = maps.driver_map_id
inner join {{ ref('int_factor') }} as factors on tested.factor_id = factors.factor_id
left join {{ ref('int_factor_permutation') }} as draws
    on tested.driver_map_id = draws.driver_map_id and tested.factor_id = draws.factor_id
