-- The rank of every pixel in its map, once for all pairs the map is in. A table for the reason given in fct_rank_stability.
{{ config(enabled=needs('patterns')) }}
select
    maps.map_id,
    pixels.pixel_id,
    {{ doubled_rank('maps.map_id', 'pixels.value') }} as doubled_rank
from {{ ref('int_monthly_region') }} as pixels
inner join {{ ref('int_map') }} as maps
    on pixels.series_id = maps.series_id and pixels.region_id = maps.region_id and pixels.month = maps.month
