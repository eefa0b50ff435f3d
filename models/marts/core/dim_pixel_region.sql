select
    {{ literal(var('study').name) }} as study,
    grid_id,
    pixel_id,
    region_id,
    fraction
from {{ ref('int_pixel_region') }}
