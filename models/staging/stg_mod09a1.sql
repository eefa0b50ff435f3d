{{ config(enabled=uses_product('mod09a1')) }}
-- Reflectances in the product's valid range where the state says clear sky (bits 0-1: 0), no cloud shadow (4), no average or high cirrus (512), no snow
-- (4096) and no cloud beside it (8192): 12807 is all of them. A value is on the day it was observed (macro composite_date).
-- NDVI (b2, b1), EVI (b2, b1, b3), NDWI = (b4 - b2) / (b4 + b2), LSWI = (b2 - b6) / (b2 + b6), NSDSI = (b6 - b7) / b6. An index outside -1 to 1 comes of
-- reflectances about zero or below and is not used.
with clear as (
    select
        cast(pixel_id as bigint) as pixel_id,
        {{ composite_date('obs_date', 'sur_refl_day_of_year', 8) }} as obs_date,
        case when not {{ has_bits('sur_refl_state_500m', 12807) }} and sur_refl_b01 between -100 and 16000 then cast(sur_refl_b01 as double) / 10000 end as b1,
        case when not {{ has_bits('sur_refl_state_500m', 12807) }} and sur_refl_b02 between -100 and 16000 then cast(sur_refl_b02 as double) / 10000 end as b2,
        case when not {{ has_bits('sur_refl_state_500m', 12807) }} and sur_refl_b03 between -100 and 16000 then cast(sur_refl_b03 as double) / 10000 end as b3,
        case when not {{ has_bits('sur_refl_state_500m', 12807) }} and sur_refl_b04 between -100 and 16000 then cast(sur_refl_b04 as double) / 10000 end as b4,
        case when not {{ has_bits('sur_refl_state_500m', 12807) }} and sur_refl_b05 between -100 and 16000 then cast(sur_refl_b05 as double) / 10000 end as b5,
        case when not {{ has_bits('sur_refl_state_500m', 12807) }} and sur_refl_b06 between -100 and 16000 then cast(sur_refl_b06 as double) / 10000 end as b6,
        case when not {{ has_bits('sur_refl_state_500m', 12807) }} and sur_refl_b07 between -100 and 16000 then cast(sur_refl_b07 as double) / 10000 end as b7
    from {{ read_lake('raw/mod09a1', partitioned=true) }}
),

indices as (
    select
        pixel_id, obs_date, b1, b2, b3, b4, b5, b6, b7,
        (b2 - b1) / nullif(b2 + b1, 0) as ndvi,
        2.5 * (b2 - b1) / nullif(b2 + 6 * b1 - 7.5 * b3 + 1, 0) as evi,
        (b4 - b2) / nullif(b4 + b2, 0) as ndwi,
        (b2 - b6) / nullif(b2 + b6, 0) as lswi,
        (b6 - b7) / nullif(b6, 0) as nsdsi
    from clear
)

select
    pixel_id,
    obs_date,
    cast(year(obs_date) as int) as year,
    cast(month(obs_date) as int) as month,
    b1 as reflectance_b1,
    b2 as reflectance_b2,
    b3 as reflectance_b3,
    b4 as reflectance_b4,
    b5 as reflectance_b5,
    b6 as reflectance_b6,
    b7 as reflectance_b7,
    case when ndvi between -1 and 1 then ndvi end as ndvi,
    case when evi between -1 and 1 then evi end as evi,
    case when ndwi between -1 and 1 then ndwi end as ndwi,
    case when lswi between -1 and 1 then lswi end as lswi,
    case when nsdsi between -1 and 1 then nsdsi end as nsdsi
from indices
