{{ config(enabled=needs('validation')) }}
-- Two products against the same stations on the same days: what downscaling gained or lost.
{% set asked = study('validation') %}
with asked_for as (
    {%- for entry in asked.before_after if needs('validation') %}
    select {{ picked_soil_moisture(entry.before, 'before_after').series_id }} as series_before, {{ picked_soil_moisture(entry.after, 'before_after').series_id }} as series_after
    {% if not loop.last %}union all{% endif %}
    {%- else %}
    select cast(null as int) as series_before, cast(null as int) as series_after
    where false
    {%- endfor %}
),

{{ validation_times() }},

common as (
    select
        asked_for.series_before,
        asked_for.series_after,
        before_pairs.reference_product,
        before_pairs.unit_kind,
        before_pairs.unit_id,
        before_pairs.on_values,
        before_pairs.obs_date,
        before_pairs.estimate - before_pairs.reference as difference_before,
        after_pairs.estimate - after_pairs.reference as difference_after,
        before_pairs.estimate as estimate_before,
        before_pairs.reference as reference_before,
        after_pairs.estimate as estimate_after,
        after_pairs.reference as reference_after
    from asked_for
    inner join {{ ref('int_validation_pair') }} as before_pairs on asked_for.series_before = before_pairs.series_id
    inner join {{ ref('int_validation_pair') }} as after_pairs
        on asked_for.series_after = after_pairs.series_id
        and before_pairs.reference_product = after_pairs.reference_product
        and before_pairs.unit_kind = after_pairs.unit_kind
        and before_pairs.unit_id = after_pairs.unit_id
        and before_pairs.on_values = after_pairs.on_values
        and before_pairs.obs_date = after_pairs.obs_date
),

scores as (
    select
        common.series_before,
        common.series_after,
        common.reference_product,
        common.unit_kind,
        common.unit_id,
        common.on_values,
        periods.period_kind,
        periods.period_start,
        periods.period_end,
        seasons.season,
        cast(count(*) as bigint) as n,
        {{ correlation('common.estimate_before', 'common.reference_before') }} as r_before,
        {{ correlation('common.estimate_after', 'common.reference_after') }} as r_after,
        sqrt(avg(common.difference_before * common.difference_before)) as rmse_before_m3m3,
        sqrt(avg(common.difference_after * common.difference_after)) as rmse_after_m3m3,
        avg(common.difference_before) as bias_before_m3m3,
        avg(common.difference_after) as bias_after_m3m3,
        stddev_pop(common.difference_before) as ubrmse_before_m3m3,
        stddev_pop(common.difference_after) as ubrmse_after_m3m3
    from common
    inner join periods on common.obs_date >= periods.period_start and common.obs_date < periods.period_end
    inner join seasons on cast(month(common.obs_date) as int) = seasons.month_number
    group by
        common.series_before, common.series_after, common.reference_product, common.unit_kind, common.unit_id, common.on_values, periods.period_kind,
        periods.period_start, periods.period_end, seasons.season
)

select
    series_before.study,
    series_before.product as product_before,
    series_before.layer as layer_before,
    series_after.product as product_after,
    series_after.layer as layer_after,
    scores.reference_product,
    scores.unit_kind,
    scores.unit_id,
    scores.period_kind,
    scores.period_start,
    scores.period_end,
    scores.season,
    scores.on_values,
    scores.n,
    scores.r_before,
    scores.r_after,
    scores.rmse_before_m3m3,
    scores.rmse_after_m3m3,
    scores.bias_before_m3m3,
    scores.bias_after_m3m3,
    scores.ubrmse_before_m3m3,
    scores.ubrmse_after_m3m3,
    scores.ubrmse_after_m3m3 - scores.ubrmse_before_m3m3 as ubrmse_change_m3m3
from scores
inner join {{ ref('int_series') }} as series_before on scores.series_before = series_before.series_id
inner join {{ ref('int_series') }} as series_after on scores.series_after = series_after.series_id
where scores.n >= {{ asked.min_n | int }}
