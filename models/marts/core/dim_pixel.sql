select
    {{ literal(var('study').name) }} as study,
    pixels.grid_id,
    pixels.pixel_id,
    pixels.row_index,
    pixels.col_index,
    pixels.lon,
    pixels.lat,
    pixels.x_m,
    pixels.y_m,
    pixels.area_km2
from {{ read_lake('grids/pixels') }} as pixels
inner join (select distinct grid_id, pixel_id from {{ ref('int_pixel_region') }}) as studied
    on pixels.grid_id = studied.grid_id and pixels.pixel_id = studied.pixel_id
