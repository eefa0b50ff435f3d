{{ config(enabled=uses_product('era5_land_daily')) }}
-- Daily means as the CDS computes them from hourly values, in UTC days.
select
    cast(pixel_id as bigint) as pixel_id,
    obs_date,
    cast(year as int) as year,
    cast(month as int) as month,
    cast(null as boolean) as is_frozen,
    {{ finite('t2m') }} - 273.15 as air_temperature
from {{ read_lake('raw/era5_land_daily', partitioned=true) }}
