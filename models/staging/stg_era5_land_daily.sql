{{ config(enabled=uses_product('era5_land_daily')) }}
-- Daily means as the CDS computes them from hourly values, in UTC days; precipitation is the day's sum, m to mm.
-- A layer is frozen when its own mean temperature is below 273.15 K; unknown where the files have no soil temperature.
select
    cast(pixel_id as bigint) as pixel_id,
    obs_date,
    cast(year as int) as year,
    cast(month as int) as month,
    {{ finite('t2m') }} - 273.15 as air_temperature,
    {{ finite('tp') }} * 1000 as precipitation,
    {{ finite('skt') }} - 273.15 as skin_temperature,
    case when swvl1 between 0 and 1 then {{ finite('swvl1') }} end as soil_moisture_0_7cm,
    case when swvl2 between 0 and 1 then {{ finite('swvl2') }} end as soil_moisture_7_28cm,
    case when swvl3 between 0 and 1 then {{ finite('swvl3') }} end as soil_moisture_28_100cm,
    case when swvl4 between 0 and 1 then {{ finite('swvl4') }} end as soil_moisture_100_289cm,
    {{ finite('stl1') }} - 273.15 as soil_temperature_0_7cm,
    {{ finite('stl2') }} - 273.15 as soil_temperature_7_28cm,
    {{ finite('stl3') }} - 273.15 as soil_temperature_28_100cm,
    {{ finite('stl4') }} - 273.15 as soil_temperature_100_289cm,
    stl1 < 273.15 as is_frozen_0_7cm,
    stl2 < 273.15 as is_frozen_7_28cm,
    stl3 < 273.15 as is_frozen_28_100cm,
    stl4 < 273.15 as is_frozen_100_289cm
from {{ read_lake('raw/era5_land_daily', partitioned=true) }}
