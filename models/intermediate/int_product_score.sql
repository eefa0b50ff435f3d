-- What the common pairs of two products say in a region and period: of all the sampled pixels, and of the random ones of single days.
{{ config(enabled=needs('validation')) }}
{% set asked = study('validation') %}
{% set period = var('study').period %}
with {{ validation_times() }},

all_pairs as (
    select
        pairs.comparison_id,
        sampled.region_id,
        periods.period_kind,
        periods.period_start,
        periods.period_end,
        seasons.season,
        {{ sampling_label() }} as sampling,
        pairs.value_1,
        pairs.value_2
    from {{ ref('int_product_pair') }} as pairs
    inner join {{ ref('int_sampled_pixel') }} as sampled on pairs.grid_id = sampled.grid_id and pairs.pixel_id = sampled.pixel_id
    inner join periods on pairs.obs_date >= periods.period_start and pairs.obs_date < periods.period_end
    inner join seasons on cast(month(pairs.obs_date) as int) = seasons.month_number
    union all
    select
        comparison_id,
        region_id,
        'day' as period_kind,
        obs_date as period_start,
        {{ date_of_epoch_day(epoch_day('obs_date') ~ ' + 1') }} as period_end,
        'annual' as season,
        {{ literal('random ' ~ asked.random_pairs.n ~ ', seed ' ~ asked.random_pairs.seed if asked.random_pairs is not none else 'random') }} as sampling,
        value_1,
        value_2
    from {{ ref('int_product_sample') }}
)

select
    comparison_id,
    region_id,
    period_kind,
    period_start,
    period_end,
    season,
    sampling,
    cast(count(*) as bigint) as n,
    avg(value_1) as mean_1,
    avg(value_2) as mean_2,
    {{ correlation('value_1', 'value_2') }} as r,
    sqrt(avg((value_1 - value_2) * (value_1 - value_2))) as rmse,
    avg(value_1 - value_2) as bias,
    stddev_pop(value_1 - value_2) as ubrmse
from all_pairs
group by comparison_id, region_id, period_kind, period_start, period_end, season, sampling
