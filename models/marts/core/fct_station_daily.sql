select
    {{ literal(var('study').name) }} as study,
    product,
    station_id,
    layer,
    obs_date,
    soil_moisture_m3m3,
    n_values,
    n_sensors,
    quality
from {{ ref('int_station_daily') }}
