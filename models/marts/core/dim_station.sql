select
    {{ literal(var('study').name) }} as study,
    product,
    station_id,
    network,
    name,
    lon,
    lat,
    elevation_m,
    land_cover,
    method
from {{ read_lake('stations') }}
where product in (select product from {{ ref('dim_product') }})
