{{ config(enabled=needs('validation')) }}
-- Covariance form (Stoffelen 1998, Gruber et al. 2016). Where the errors are not independent, or the days too few, the estimate of a variance can be below
-- 0: it is NULL then. A triple with products that are made one from the other is refused unless the study forces it.
{% set min_n = study('validation').triple_min_n | int %}
with triples as (
    select
        triple_id,
        max(case when position = 1 then product end) as product_1,
        max(case when position = 2 then product end) as product_2,
        max(case when position = 3 then product end) as product_3,
        max(case when position = 1 then layer end) as layer_1,
        max(case when position = 2 then layer end) as layer_2,
        max(case when position = 3 then layer end) as layer_3,
        max(case when is_forced then 1 else 0 end) = 1 as is_forced
    from {{ ref('int_triple') }}
    group by triple_id
),

judged as (
    select
        triples.*,
        (
            {{ shares_input('triples.product_1', 'products_1.shares_input_with', 'triples.product_2', 'products_2.shares_input_with') }}
            or {{ shares_input('triples.product_1', 'products_1.shares_input_with', 'triples.product_3', 'products_3.shares_input_with') }}
            or {{ shares_input('triples.product_2', 'products_2.shares_input_with', 'triples.product_3', 'products_3.shares_input_with') }}
        ) as shares_input
    from triples
    left join {{ ref('dim_product') }} as products_1 on triples.product_1 = products_1.product
    left join {{ ref('dim_product') }} as products_2 on triples.product_2 = products_2.product
    left join {{ ref('dim_product') }} as products_3 on triples.product_3 = products_3.product
),

reasons as (
    select
        judged.*,
        moments.grid_id,
        moments.pixel_id,
        moments.n,
        case
            when judged.shares_input and not judged.is_forced then 'dependent'
            when moments.n < {{ min_n }} then 'too few days'
            when least(
                coalesce(moments.covariance_12, 0), coalesce(moments.covariance_13, 0), coalesce(moments.covariance_23, 0)
            ) <= 0 then 'not correlated'
        end as reason,
        moments.variance_1,
        moments.variance_2,
        moments.variance_3,
        moments.covariance_12,
        moments.covariance_13,
        moments.covariance_23
    from judged
    inner join {{ ref('int_triple_moment') }} as moments on judged.triple_id = moments.triple_id
),

signals as (
    select
        *,
        case when reason is null then covariance_12 * covariance_13 / nullif(covariance_23, 0) end as signal_1,
        case when reason is null then covariance_12 * covariance_23 / nullif(covariance_13, 0) end as signal_2,
        case when reason is null then covariance_13 * covariance_23 / nullif(covariance_12, 0) end as signal_3
    from reasons
)

select
    {{ literal(var('study').name) }} as study,
    triple_id,
    product_1,
    layer_1,
    product_2,
    layer_2,
    product_3,
    layer_3,
    grid_id,
    pixel_id,
    n,
    {%- for k in [1, 2, 3] %}
    case when variance_{{ k }} - signal_{{ k }} >= 0 then sqrt(greatest(variance_{{ k }} - signal_{{ k }}, 0)) end as error_sd_{{ k }}_m3m3,
    {%- endfor %}
    {%- for k in [1, 2, 3] %}
    case when variance_{{ k }} - signal_{{ k }} > 0 then 10 * log10(greatest(signal_{{ k }} / nullif(variance_{{ k }} - signal_{{ k }}, 0), 1e-300)) end as snr_db_{{ k }},
    {%- endfor %}
    {%- for k in [1, 2, 3] %}
    case when variance_{{ k }} - signal_{{ k }} >= 0 then sqrt(greatest(signal_{{ k }} / nullif(variance_{{ k }}, 0), 0)) end as r_{{ k }},
    {%- endfor %}
    case when reason is null then covariance_13 / nullif(covariance_23, 0) end as scaling_2,
    case when reason is null then covariance_12 / nullif(covariance_23, 0) end as scaling_3,
    shares_input,
    coalesce(
        reason,
        case when least(variance_1 - signal_1, variance_2 - signal_2, variance_3 - signal_3) < 0 then 'negative variance' end
    ) as reason
from signals
