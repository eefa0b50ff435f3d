{{ config(enabled=uses_product('era5_hourly')) }}
-- ERA5 gives the sea a soil moisture of about 0, and packing makes some of it negative: soil is where half of the cell is land, and not below
-- 0. tp is of the hour before its time: a day is 24 of them. A layer is frozen when its own mean temperature is below 0 degC.
with means as (
    {{ days_of_instants('era5_hourly', 24, [
        {'variable': 'air_temperature', 'layer': 'surface', 'value': finite('t2m') ~ ' - 273.15'},
        {'variable': 'skin_temperature', 'layer': 'surface', 'value': finite('skt') ~ ' - 273.15'},
        {'variable': 'soil_moisture', 'layer': '0-7 cm', 'value': 'case when lsm >= 0.5 and swvl1 <= 1 then greatest(' ~ finite('swvl1') ~ ', cast(0 as double)) end'},
        {'variable': 'soil_moisture', 'layer': '7-28 cm', 'value': 'case when lsm >= 0.5 and swvl2 <= 1 then greatest(' ~ finite('swvl2') ~ ', cast(0 as double)) end'},
        {'variable': 'soil_moisture', 'layer': '28-100 cm', 'value': 'case when lsm >= 0.5 and swvl3 <= 1 then greatest(' ~ finite('swvl3') ~ ', cast(0 as double)) end'},
        {'variable': 'soil_moisture', 'layer': '100-289 cm', 'value': 'case when lsm >= 0.5 and swvl4 <= 1 then greatest(' ~ finite('swvl4') ~ ', cast(0 as double)) end'},
        {'variable': 'soil_temperature', 'layer': '0-7 cm', 'value': 'case when lsm >= 0.5 then ' ~ finite('stl1') ~ ' end - 273.15'},
        {'variable': 'soil_temperature', 'layer': '7-28 cm', 'value': 'case when lsm >= 0.5 then ' ~ finite('stl2') ~ ' end - 273.15'},
        {'variable': 'soil_temperature', 'layer': '28-100 cm', 'value': 'case when lsm >= 0.5 then ' ~ finite('stl3') ~ ' end - 273.15'},
        {'variable': 'soil_temperature', 'layer': '100-289 cm', 'value': 'case when lsm >= 0.5 then ' ~ finite('stl4') ~ ' end - 273.15'},
    ]) }}
),

rain as (
    select
        pixel_id,
        obs_date,
        case when count(tp) = 24 then sum(tp) * 1000 end as precipitation
    from (
        select
            cast(pixel_id as bigint) as pixel_id,
            {{ local_date(seconds_later('obs_time', '-1800')) }} as obs_date,
            case when tp >= -0.001 then greatest({{ finite('tp') }}, cast(0 as double)) end as tp
        from {{ read_lake('raw/era5_hourly', partitioned=true) }}
        where tp is not null
    ) as hours
    group by pixel_id, obs_date
),

both_kinds as (
    select
        pixel_id, obs_date,
        air_temperature, cast(null as double) as precipitation, skin_temperature, soil_moisture_0_7cm, soil_moisture_7_28cm, soil_moisture_28_100cm, soil_moisture_100_289cm, soil_temperature_0_7cm, soil_temperature_7_28cm, soil_temperature_28_100cm, soil_temperature_100_289cm
    from means
    union all
    select
        pixel_id, obs_date,
        cast(null as double) as air_temperature, precipitation, cast(null as double) as skin_temperature, cast(null as double) as soil_moisture_0_7cm, cast(null as double) as soil_moisture_7_28cm, cast(null as double) as soil_moisture_28_100cm, cast(null as double) as soil_moisture_100_289cm, cast(null as double) as soil_temperature_0_7cm, cast(null as double) as soil_temperature_7_28cm, cast(null as double) as soil_temperature_28_100cm, cast(null as double) as soil_temperature_100_289cm
    from rain
)

select
    pixel_id,
    obs_date,
    cast(year(obs_date) as int) as year,
    cast(month(obs_date) as int) as month,
    max(air_temperature) as air_temperature,
    max(precipitation) as precipitation,
    max(skin_temperature) as skin_temperature,
    max(soil_moisture_0_7cm) as soil_moisture_0_7cm,
    max(soil_moisture_7_28cm) as soil_moisture_7_28cm,
    max(soil_moisture_28_100cm) as soil_moisture_28_100cm,
    max(soil_moisture_100_289cm) as soil_moisture_100_289cm,
    max(soil_temperature_0_7cm) as soil_temperature_0_7cm,
    max(soil_temperature_7_28cm) as soil_temperature_7_28cm,
    max(soil_temperature_28_100cm) as soil_temperature_28_100cm,
    max(soil_temperature_100_289cm) as soil_temperature_100_289cm,
    max(soil_temperature_0_7cm) < 0 as is_frozen_0_7cm,
    max(soil_temperature_7_28cm) < 0 as is_frozen_7_28cm,
    max(soil_temperature_28_100cm) < 0 as is_frozen_28_100cm,
    max(soil_temperature_100_289cm) < 0 as is_frozen_100_289cm
from both_kinds
group by pixel_id, obs_date
