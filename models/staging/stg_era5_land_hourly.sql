{{ config(enabled=uses_product('era5_land_hourly')) }}
-- skin_temperature_day and _night are the same temperature under names of their own, so that a study can have it at two solar times.
-- tp accumulates from 00 UTC: the total of a UTC day is the value at 00:00 of the next. In another time zone it is the sum of the 24 hours'
-- increments; one that is missing leaves the day without a total. A layer is frozen when its own mean temperature is below 0 degC.
with means as (
    {{ days_of_instants('era5_land_hourly', 24, [
        {'variable': 'air_temperature', 'layer': 'surface', 'value': finite('t2m') ~ ' - 273.15'},
        {'variable': 'skin_temperature', 'layer': 'surface', 'value': finite('skt') ~ ' - 273.15'},
        {'variable': 'skin_temperature_day', 'layer': 'surface', 'value': finite('skt') ~ ' - 273.15'},
        {'variable': 'skin_temperature_night', 'layer': 'surface', 'value': finite('skt') ~ ' - 273.15'},
        {'variable': 'soil_moisture', 'layer': '0-7 cm', 'value': 'case when swvl1 between 0 and 1 then ' ~ finite('swvl1') ~ ' end'},
        {'variable': 'soil_moisture', 'layer': '7-28 cm', 'value': 'case when swvl2 between 0 and 1 then ' ~ finite('swvl2') ~ ' end'},
        {'variable': 'soil_moisture', 'layer': '28-100 cm', 'value': 'case when swvl3 between 0 and 1 then ' ~ finite('swvl3') ~ ' end'},
        {'variable': 'soil_moisture', 'layer': '100-289 cm', 'value': 'case when swvl4 between 0 and 1 then ' ~ finite('swvl4') ~ ' end'},
        {'variable': 'soil_temperature', 'layer': '0-7 cm', 'value': finite('stl1') ~ ' - 273.15'},
        {'variable': 'soil_temperature', 'layer': '7-28 cm', 'value': finite('stl2') ~ ' - 273.15'},
        {'variable': 'soil_temperature', 'layer': '28-100 cm', 'value': finite('stl3') ~ ' - 273.15'},
        {'variable': 'soil_temperature', 'layer': '100-289 cm', 'value': finite('stl4') ~ ' - 273.15'},
    ]) }}
),

rain as (
    {%- if study('time_zone') == 'UTC' %}
    select
        cast(pixel_id as bigint) as pixel_id,
        cast({{ seconds_later('obs_time', '-3600') }} as date) as obs_date,
        case when tp >= -0.001 then greatest({{ finite('tp') }}, cast(0 as double)) end * 1000 as precipitation
    from {{ read_lake('raw/era5_land_hourly', partitioned=true) }}
    where tp is not null and hour(obs_time) = 0
    {%- else %}
    select
        pixel_id,
        obs_date,
        case when count(increment) = 24 then greatest(sum(increment), cast(0 as double)) * 1000 end as precipitation
    from (
        select
            pixel_id,
            {{ local_date(seconds_later('obs_time', '-1800')) }} as obs_date,
            case
                when hour(obs_time) = 1 then tp
                when {{ seconds_later('lag(obs_time) over (partition by pixel_id order by obs_time nulls last)', '3600') }} = obs_time
                    then tp - lag(tp) over (partition by pixel_id order by obs_time nulls last)
            end as increment
        from (
            select cast(pixel_id as bigint) as pixel_id, obs_time, max({{ finite('tp') }}) as tp
            from {{ read_lake('raw/era5_land_hourly', partitioned=true) }}
            where tp is not null
            group by pixel_id, obs_time
        ) as accumulated
    ) as hours
    group by pixel_id, obs_date
    {%- endif %}
),

both_kinds as (
    select
        pixel_id, obs_date,
        air_temperature, cast(null as double) as precipitation, skin_temperature, skin_temperature_day, skin_temperature_night, soil_moisture_0_7cm, soil_moisture_7_28cm, soil_moisture_28_100cm, soil_moisture_100_289cm, soil_temperature_0_7cm, soil_temperature_7_28cm, soil_temperature_28_100cm, soil_temperature_100_289cm
    from means
    union all
    select
        pixel_id, obs_date,
        cast(null as double) as air_temperature, precipitation, cast(null as double) as skin_temperature, cast(null as double) as skin_temperature_day, cast(null as double) as skin_temperature_night, cast(null as double) as soil_moisture_0_7cm, cast(null as double) as soil_moisture_7_28cm, cast(null as double) as soil_moisture_28_100cm, cast(null as double) as soil_moisture_100_289cm, cast(null as double) as soil_temperature_0_7cm, cast(null as double) as soil_temperature_7_28cm, cast(null as double) as soil_temperature_28_100cm, cast(null as double) as soil_temperature_100_289cm
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
    max(skin_temperature_day) as skin_temperature_day,
    max(skin_temperature_night) as skin_temperature_night,
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
