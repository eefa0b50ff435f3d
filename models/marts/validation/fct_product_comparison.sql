{{ config(enabled=needs('validation')) }}
select
    series_1.study,
    series_1.product as product_1,
    series_1.layer as layer_1,
    series_2.product as product_2,
    series_2.layer as layer_2,
    pairings.time_step,
    pairings.grid_id,
    scores.region_id,
    scores.period_kind,
    scores.period_start,
    scores.period_end,
    scores.season,
    scores.sampling,
    scores.n,
    scores.mean_1 as mean_1_m3m3,
    scores.mean_2 as mean_2_m3m3,
    case when scores.n >= 3 then scores.r end as r,
    case when scores.n >= 3 then scores.r * scores.r end as r2,
    scores.rmse as rmse_m3m3,
    scores.bias as bias_m3m3,
    scores.ubrmse as ubrmse_m3m3,
    {{ shares_input('series_1.product', 'products_1.shares_input_with', 'series_2.product', 'products_2.shares_input_with') }} as shares_input
from {{ ref('int_product_score') }} as scores
inner join {{ ref('int_product_pairing') }} as pairings on scores.comparison_id = pairings.comparison_id
inner join {{ ref('int_series') }} as series_1 on pairings.series_1 = series_1.series_id
inner join {{ ref('int_series') }} as series_2 on pairings.series_2 = series_2.series_id
left join {{ ref('dim_product') }} as products_1 on series_1.product = products_1.product
left join {{ ref('dim_product') }} as products_2 on series_2.product = products_2.product
