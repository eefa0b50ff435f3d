{{ config(enabled=needs('drivers')) }}
-- Welch's t test between the means of every two strata of a factor; p_adjusted controls the false discoveries among them.
with strata as (
    select
        strata.driver_map_id,
        strata.factor_id,
        strata.stratum,
        strata.n,
        maps.mean + strata.sum_deviation / nullif(strata.n, 0) as mean,
        strata.sum_deviation / nullif(strata.n, 0) as mean_deviation,
        -- The variance of the mean.
        case
            when strata.min_deviation = strata.max_deviation and strata.n > 1 then cast(0 as double)
            when strata.n > 1
                then greatest(strata.sum_squares - strata.sum_deviation * strata.sum_deviation / strata.n, 0) / (strata.n - 1) / strata.n
        end as error
    from {{ ref('int_factor_stratum') }} as strata
    inner join {{ ref('int_driver_map') }} as maps on strata.driver_map_id = maps.driver_map_id
),

pairs as (
    select
        a.driver_map_id,
        a.factor_id,
        a.stratum as stratum_1,
        b.stratum as stratum_2,
        a.mean as mean_1,
        b.mean as mean_2,
        case when a.error + b.error > 0 then (a.mean_deviation - b.mean_deviation) / sqrt(a.error + b.error) end as t_statistic,
        case when a.error + b.error > 0
            then (a.error + b.error) * (a.error + b.error)
                / (a.error * a.error / nullif(a.n - 1, 0) + b.error * b.error / nullif(b.n - 1, 0))
        end as df
    from strata as a
    inner join strata as b
        on a.driver_map_id = b.driver_map_id and a.factor_id = b.factor_id and a.stratum < b.stratum
),

tested as (
    select *, t_p(t_statistic, df) as p from pairs
),

ranked as (
    select *, {{ ranks_from_largest('p', 'driver_map_id, factor_id') }} from tested
),

adjusted as (
    select *, {{ adjusted_p('p', 'driver_map_id, factor_id') }} as p_adjusted from ranked
)

select
    {{ driver_map_names('maps') }},
    factors.factor,
    adjusted.stratum_1,
    adjusted.stratum_2,
    adjusted.mean_1,
    adjusted.mean_2,
    adjusted.t_statistic,
    adjusted.df,
    adjusted.p,
    adjusted.p_adjusted,
    adjusted.p_adjusted < {{ number(study('drivers').alpha) }} as is_significant,
    maps.sampling
from adjusted
inner join {{ ref('int_driver_map') }} as maps on adjusted.driver_map_id = maps.driver_map_id
inner join {{ ref('int_factor') }} as factors on adjusted.factor_id = factors.factor_id
