{{ config(enabled=uses_product('chirps_monthly')) }}
-- mm a month, -9999 where there is none (sea, outside 50 S to 50 N).
select
    cast(pixel_id as bigint) as pixel_id,
    obs_date,
    cast(year as int) as year,
    cast(month as int) as month,
    case when precipitation >= 0 then {{ finite('precipitation') }} end as precipitation
from {{ read_lake('raw/chirps_monthly', partitioned=true) }}
