{{ config(enabled=uses_product('amsr2_0p25_ascending')) }}
-- Tenths of a percent by volume: x 0.001 gives m3 m-3. Negative numbers say why there is none.
select
    cast(pixel_id as bigint) as pixel_id,
    obs_date,
    cast(year as int) as year,
    cast(month as int) as month,
    cast(null as boolean) as is_frozen_0_1cm,
    case when geophysical_data between 0 and 1000 then cast(geophysical_data as double) * 0.001 end as soil_moisture_0_1cm
from {{ read_lake('raw/amsr2_0p25_ascending', partitioned=true) }}
