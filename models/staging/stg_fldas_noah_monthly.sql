{{ config(enabled=uses_product('fldas_noah_monthly')) }}
-- Unlike GLDAS, soil moisture is m3 m-3 already. kg m-2 s-1 x 86400 s x the days of the month are mm a month. A layer is frozen when its own
-- mean temperature is below 273.15 K.
select
    cast(pixel_id as bigint) as pixel_id,
    obs_date,
    cast(year as int) as year,
    cast(month as int) as month,
    case when SoilTemp00_10cm_tavg > 0 then SoilTemp00_10cm_tavg < 273.15 end as is_frozen_0_10cm,
    case when SoilTemp10_40cm_tavg > 0 then SoilTemp10_40cm_tavg < 273.15 end as is_frozen_10_40cm,
    case when SoilTemp40_100cm_tavg > 0 then SoilTemp40_100cm_tavg < 273.15 end as is_frozen_40_100cm,
    case when SoilTemp100_200cm_tavg > 0 then SoilTemp100_200cm_tavg < 273.15 end as is_frozen_100_200cm,
    case when SoilMoi00_10cm_tavg between 0 and 1 then {{ finite('SoilMoi00_10cm_tavg') }} end as soil_moisture_0_10cm,
    case when SoilMoi10_40cm_tavg between 0 and 1 then {{ finite('SoilMoi10_40cm_tavg') }} end as soil_moisture_10_40cm,
    case when SoilMoi40_100cm_tavg between 0 and 1 then {{ finite('SoilMoi40_100cm_tavg') }} end as soil_moisture_40_100cm,
    case when SoilMoi100_200cm_tavg between 0 and 1 then {{ finite('SoilMoi100_200cm_tavg') }} end as soil_moisture_100_200cm,
    case when SoilTemp00_10cm_tavg > 0 then {{ finite('SoilTemp00_10cm_tavg') }} end - 273.15 as soil_temperature_0_10cm,
    case when SoilTemp10_40cm_tavg > 0 then {{ finite('SoilTemp10_40cm_tavg') }} end - 273.15 as soil_temperature_10_40cm,
    case when SoilTemp40_100cm_tavg > 0 then {{ finite('SoilTemp40_100cm_tavg') }} end - 273.15 as soil_temperature_40_100cm,
    case when SoilTemp100_200cm_tavg > 0 then {{ finite('SoilTemp100_200cm_tavg') }} end - 273.15 as soil_temperature_100_200cm,
    case when Rainf_f_tavg >= 0 then {{ finite('Rainf_f_tavg') }} end * 86400 * {{ days_in_month('obs_date') }} as precipitation,
    case when Tair_f_tavg > 0 then {{ finite('Tair_f_tavg') }} end - 273.15 as air_temperature
from {{ read_lake('raw/fldas_noah_monthly', partitioned=true) }}
