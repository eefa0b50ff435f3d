{{ config(enabled=uses_product('gldas_noah_3h')) }}
-- kg m-2 of a layer / (1000 kg m-3 x its thickness in m) is m3 m-3: 100, 300, 600 and 1000 kg m-2 would be nothing but water.
-- A layer is frozen when its own mean temperature is below 0 degC; unknown where the files have no soil temperature.
with days as (
    {{ days_of_instants('gldas_noah_3h', 8, [
        {'variable': 'soil_moisture', 'layer': '0-10 cm', 'value': 'case when SoilMoi0_10cm_inst between 0 and 100 then ' ~ finite('SoilMoi0_10cm_inst') ~ ' end / 100'},
        {'variable': 'soil_moisture', 'layer': '10-40 cm', 'value': 'case when SoilMoi10_40cm_inst between 0 and 300 then ' ~ finite('SoilMoi10_40cm_inst') ~ ' end / 300'},
        {'variable': 'soil_moisture', 'layer': '40-100 cm', 'value': 'case when SoilMoi40_100cm_inst between 0 and 600 then ' ~ finite('SoilMoi40_100cm_inst') ~ ' end / 600'},
        {'variable': 'soil_moisture', 'layer': '100-200 cm', 'value': 'case when SoilMoi100_200cm_inst between 0 and 1000 then ' ~ finite('SoilMoi100_200cm_inst') ~ ' end / 1000'},
        {'variable': 'soil_temperature', 'layer': '0-10 cm', 'value': 'case when SoilTMP0_10cm_inst > 0 then ' ~ finite('SoilTMP0_10cm_inst') ~ ' end - 273.15'},
        {'variable': 'soil_temperature', 'layer': '10-40 cm', 'value': 'case when SoilTMP10_40cm_inst > 0 then ' ~ finite('SoilTMP10_40cm_inst') ~ ' end - 273.15'},
        {'variable': 'soil_temperature', 'layer': '40-100 cm', 'value': 'case when SoilTMP40_100cm_inst > 0 then ' ~ finite('SoilTMP40_100cm_inst') ~ ' end - 273.15'},
        {'variable': 'soil_temperature', 'layer': '100-200 cm', 'value': 'case when SoilTMP100_200cm_inst > 0 then ' ~ finite('SoilTMP100_200cm_inst') ~ ' end - 273.15'},
        {'variable': 'air_temperature', 'layer': 'surface', 'value': 'case when Tair_f_inst > 0 then ' ~ finite('Tair_f_inst') ~ ' end - 273.15'},
        {'variable': 'skin_temperature', 'layer': 'surface', 'value': 'case when AvgSurfT_inst > 0 then ' ~ finite('AvgSurfT_inst') ~ ' end - 273.15'},
    ]) }}
)

select
    pixel_id,
    obs_date,
    cast(year(obs_date) as int) as year,
    cast(month(obs_date) as int) as month,
    soil_temperature_0_10cm < 0 as is_frozen_0_10cm,
    soil_temperature_10_40cm < 0 as is_frozen_10_40cm,
    soil_temperature_40_100cm < 0 as is_frozen_40_100cm,
    soil_temperature_100_200cm < 0 as is_frozen_100_200cm,
    soil_moisture_0_10cm,
    soil_moisture_10_40cm,
    soil_moisture_40_100cm,
    soil_moisture_100_200cm,
    soil_temperature_0_10cm,
    soil_temperature_10_40cm,
    soil_temperature_40_100cm,
    soil_temperature_100_200cm,
    air_temperature,
    skin_temperature
from days
