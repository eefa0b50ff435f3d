{{ config(enabled=uses_product('esa_cci_passive')) }}
-- A value is used where no flag is set but 64, the advisory for barren ground: every other flag comes with a fill value, and the
-- advisory does not say that the value is wrong. Flag bit 1: snow coverage or temperature below zero.
select
    cast(pixel_id as bigint) as pixel_id,
    obs_date,
    cast(year as int) as year,
    cast(month as int) as month,
    case when flag >= 0 then {{ has_bits('flag', 1) }} end as is_frozen_0_5cm,
    case when flag in (0, 64) and sm between 0 and 1 then {{ finite('sm') }} end as soil_moisture_0_5cm
from {{ read_lake('raw/esa_cci_passive', partitioned=true) }}
