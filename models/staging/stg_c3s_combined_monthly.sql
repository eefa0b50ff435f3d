{{ config(enabled=uses_product('c3s_combined_monthly')) }}
-- Means of the days that have a value; flagged days are not in them.
select
    cast(pixel_id as bigint) as pixel_id,
    obs_date,
    cast(year as int) as year,
    cast(month as int) as month,
    cast(null as boolean) as is_frozen_0_5cm,
    case when sm between 0 and 1 then {{ finite('sm') }} end as soil_moisture_0_5cm
from {{ read_lake('raw/c3s_combined_monthly', partitioned=true) }}
