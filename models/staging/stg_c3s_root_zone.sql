{{ config(enabled=uses_product('c3s_root_zone')) }}
-- The surface product, carried down by an exponential filter; it has no flags, and nothing says whether the soil was frozen.
select
    cast(pixel_id as bigint) as pixel_id,
    obs_date,
    cast(year as int) as year,
    cast(month as int) as month,
    cast(null as boolean) as is_frozen_0_10cm,
    cast(null as boolean) as is_frozen_10_40cm,
    cast(null as boolean) as is_frozen_40_100cm,
    cast(null as boolean) as is_frozen_0_100cm,
    case when rzsm_1 between 0 and 1 then {{ finite('rzsm_1') }} end as soil_moisture_0_10cm,
    case when rzsm_2 between 0 and 1 then {{ finite('rzsm_2') }} end as soil_moisture_10_40cm,
    case when rzsm_3 between 0 and 1 then {{ finite('rzsm_3') }} end as soil_moisture_40_100cm,
    case when rzsm_1m between 0 and 1 then {{ finite('rzsm_1m') }} end as soil_moisture_0_100cm
from {{ read_lake('raw/c3s_root_zone', partitioned=true) }}
