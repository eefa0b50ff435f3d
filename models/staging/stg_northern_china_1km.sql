{{ config(enabled=uses_product('northern_china_1km')) }}
-- Divided by 10,000; 0 and what is outside 0 to 1 is no soil moisture. The files do not say whether the soil was frozen.
select
    cast(pixel_id as bigint) as pixel_id,
    obs_date,
    cast(year as int) as year,
    cast(month as int) as month,
    cast(null as boolean) as is_frozen_0_5cm,
    case when sm > 0 and sm <= 10000 then cast(sm as double) / 10000 end as soil_moisture_0_5cm
from {{ read_lake('raw/northern_china_1km', partitioned=true) }}
