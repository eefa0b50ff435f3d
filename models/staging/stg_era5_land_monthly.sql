{{ config(enabled=uses_product('era5_land_monthly')) }}
-- Monthly means. Total precipitation of a monthly file is the mean of the daily totals in m: x 1000 x days gives mm a month.
select
    cast(pixel_id as bigint) as pixel_id,
    obs_date,
    cast(year as int) as year,
    cast(month as int) as month,
    cast(null as boolean) as is_frozen,
    {{ finite('t2m') }} - 273.15 as air_temperature,
    {{ finite('tp') }} * 1000 * {{ days_in_month('obs_date') }} as precipitation,
    {{ finite('swvl1') }} as soil_moisture_0_7cm,
    {{ finite('swvl2') }} as soil_moisture_7_28cm,
    {{ finite('swvl3') }} as soil_moisture_28_100cm,
    {{ finite('swvl4') }} as soil_moisture_100_289cm
from {{ read_lake('raw/era5_land_monthly', partitioned=true) }}
