{{ config(enabled=uses_product('lprm_amsr2_ascending')) }}
-- Percent by volume from C band at 6.9 GHz, which sees deepest; the retrieval gives up to 100, which no soil holds: above 60 it is not used.
select
    cast(pixel_id as bigint) as pixel_id,
    obs_date,
    cast(year as int) as year,
    cast(month as int) as month,
    cast(null as boolean) as is_frozen_0_2cm,
    case when soil_moisture_c1 between 0 and 60 then {{ finite('soil_moisture_c1') }} * 0.01 end as soil_moisture_0_2cm
from {{ read_lake('raw/lprm_amsr2_ascending', partitioned=true) }}
