{{ config(enabled=uses_product('terraclimate_vpd')) }}
-- Hundredths of a kPa.
select
    cast(pixel_id as bigint) as pixel_id,
    obs_date,
    cast(year as int) as year,
    cast(month as int) as month,
    case when vpd between 0 and 1000 then cast(vpd as double) * 0.01 end as vapour_pressure_deficit
from {{ read_lake('raw/terraclimate_vpd', partitioned=true) }}
