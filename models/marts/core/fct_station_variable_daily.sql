select
    {{ literal(var('study').name) }} as study,
    product,
    station_id,
    variable,
    layer,
    obs_date,
    value,
    unit,
    n_values,
    n_sensors,
    quality
from {{ ref('int_station_variable_daily') }}
where variable <> 'soil_moisture'
