-- Two products on their common days (or months) and pixels. A view: it is summed up, or read on a few days.
{{ config(materialized='view', enabled=needs('validation')) }}
select
    pairings.comparison_id,
    pairings.time_step,
    pairings.grid_id,
    values_1.pixel_id,
    values_1.obs_date,
    values_1.value as value_1,
    values_2.value as value_2
from {{ ref('int_product_pairing') }} as pairings
inner join {{ ref('int_product_value') }} as values_1
    on pairings.series_1 = values_1.series_id and pairings.grid_id = values_1.grid_id and pairings.time_step = values_1.time_step
inner join {{ ref('int_product_value') }} as values_2
    on pairings.series_2 = values_2.series_id and pairings.grid_id = values_2.grid_id and pairings.time_step = values_2.time_step
    and values_1.pixel_id = values_2.pixel_id and values_1.obs_date = values_2.obs_date
