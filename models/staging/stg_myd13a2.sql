{{ config(enabled=uses_product('myd13a2')) }}
-- Good and marginal values (pixel reliability 0 and 1; 2 is snow, 3 cloud) in the product's valid range, divided by 10,000; a value is on the day it was
-- observed (macro composite_date).
with dated as (
    select
        cast(pixel_id as bigint) as pixel_id,
        {{ composite_date('obs_date', 'composite_day_of_year', 16, starts=9) }} as obs_date,
        pixel_reliability in (0, 1) as is_good,
        cast(ndvi as double) as ndvi,
        cast(evi as double) as evi
    from {{ read_lake('raw/myd13a2', partitioned=true) }}
)

select
    pixel_id,
    obs_date,
    cast(year(obs_date) as int) as year,
    cast(month(obs_date) as int) as month,
    case when is_good and ndvi between -2000 and 10000 then ndvi / 10000 end as ndvi,
    case when is_good and evi between -2000 and 10000 then evi / 10000 end as evi
from dated
