{{ config(enabled=uses_product('smci_1km')) }}
-- Thousandths of m3 m-3, as the data paper says; nothing says whether the soil was frozen.
select
    cast(pixel_id as bigint) as pixel_id,
    obs_date,
    cast(year as int) as year,
    cast(month as int) as month,
    cast(null as boolean) as is_frozen_0_10cm,
    cast(null as boolean) as is_frozen_10_20cm,
    cast(null as boolean) as is_frozen_20_30cm,
    cast(null as boolean) as is_frozen_30_40cm,
    cast(null as boolean) as is_frozen_40_50cm,
    cast(null as boolean) as is_frozen_50_60cm,
    cast(null as boolean) as is_frozen_60_70cm,
    cast(null as boolean) as is_frozen_70_80cm,
    cast(null as boolean) as is_frozen_80_90cm,
    cast(null as boolean) as is_frozen_90_100cm,
    case when smci_10cm between 0 and 1000 then cast(smci_10cm as double) * 0.001 end as soil_moisture_0_10cm,
    case when smci_20cm between 0 and 1000 then cast(smci_20cm as double) * 0.001 end as soil_moisture_10_20cm,
    case when smci_30cm between 0 and 1000 then cast(smci_30cm as double) * 0.001 end as soil_moisture_20_30cm,
    case when smci_40cm between 0 and 1000 then cast(smci_40cm as double) * 0.001 end as soil_moisture_30_40cm,
    case when smci_50cm between 0 and 1000 then cast(smci_50cm as double) * 0.001 end as soil_moisture_40_50cm,
    case when smci_60cm between 0 and 1000 then cast(smci_60cm as double) * 0.001 end as soil_moisture_50_60cm,
    case when smci_70cm between 0 and 1000 then cast(smci_70cm as double) * 0.001 end as soil_moisture_60_70cm,
    case when smci_80cm between 0 and 1000 then cast(smci_80cm as double) * 0.001 end as soil_moisture_70_80cm,
    case when smci_90cm between 0 and 1000 then cast(smci_90cm as double) * 0.001 end as soil_moisture_80_90cm,
    case when smci_100cm between 0 and 1000 then cast(smci_100cm as double) * 0.001 end as soil_moisture_90_100cm
from {{ read_lake('raw/smci_1km', partitioned=true) }}
