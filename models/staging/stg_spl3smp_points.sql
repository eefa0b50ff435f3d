{{ config(enabled=uses_product('spl3smp_points')) }}
-- A cell has a row an overpass; a day is their mean. Values outside the product's valid range 0.02-0.5 are not used; the files have no
-- flags, so nothing is known of frost.
select
    cast(pixel_id as bigint) as pixel_id,
    obs_date,
    cast(year as int) as year,
    cast(month as int) as month,
    cast(null as boolean) as is_frozen_0_5cm,
    avg(case when soil_moisture between 0.02 and 0.5 then {{ finite('soil_moisture') }} end) as soil_moisture_0_5cm
from {{ read_lake('raw/spl3smp_points', partitioned=true) }}
group by pixel_id, obs_date, year, month
