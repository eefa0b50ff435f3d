{{ config(enabled=uses_product('spl4smgp')) }}
-- Eight values a day, without flags; the product's valid range of soil moisture is 0-0.9. The surface is frozen where the land surface is
-- below 0 degC on the mean of the day (or of the hours that the study asks of skin_temperature); of the root zone nothing is known.
with days as (
    {{ days_of_instants('spl4smgp', 8, [
        {'variable': 'soil_moisture', 'layer': '0-5 cm', 'value': 'case when sm_surface between 0 and 0.9 then ' ~ finite('sm_surface') ~ ' end'},
        {'variable': 'soil_moisture', 'layer': '0-100 cm', 'value': 'case when sm_rootzone between 0 and 0.9 then ' ~ finite('sm_rootzone') ~ ' end'},
        {'variable': 'skin_temperature', 'layer': 'surface', 'value': 'case when surface_temp between 150 and 400 then ' ~ finite('surface_temp') ~ ' end - 273.15'},
    ]) }}
)

select
    pixel_id,
    obs_date,
    cast(year(obs_date) as int) as year,
    cast(month(obs_date) as int) as month,
    skin_temperature < 0 as is_frozen_0_5cm,
    cast(null as boolean) as is_frozen_0_100cm,
    soil_moisture_0_5cm,
    soil_moisture_0_100cm,
    skin_temperature
from days
