{{ config(enabled=uses_product('smops')) }}
-- One blended value a day, in m3 m-3; what is outside 0-1 is no soil moisture, whatever mark the file uses for it.
select
    cast(pixel_id as bigint) as pixel_id,
    obs_date,
    cast(year as int) as year,
    cast(month as int) as month,
    cast(null as boolean) as is_frozen_0_5cm,
    case when blended_sm between 0 and 1 then {{ finite('blended_sm') }} end as soil_moisture_0_5cm
from {{ read_lake('raw/smops', partitioned=true) }}
