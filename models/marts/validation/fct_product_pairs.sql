{{ config(enabled=needs('validation')) }}
{% set asked = study('validation').random_pairs %}
select
    series_1.study,
    series_1.product as product_1,
    series_1.layer as layer_1,
    series_2.product as product_2,
    series_2.layer as layer_2,
    sampled.region_id,
    {{ literal('random ' ~ asked.n ~ ', seed ' ~ asked.seed if asked is not none else 'random') }} as sampling,
    sampled.grid_id,
    sampled.pixel_id,
    sampled.obs_date,
    sampled.value_1 as value_1_m3m3,
    sampled.value_2 as value_2_m3m3
from {{ ref('int_product_sample') }} as sampled
inner join {{ ref('int_product_pairing') }} as pairings on sampled.comparison_id = pairings.comparison_id
inner join {{ ref('int_series') }} as series_1 on pairings.series_1 = series_1.series_id
inner join {{ ref('int_series') }} as series_2 on pairings.series_2 = series_2.series_id
