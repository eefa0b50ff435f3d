-- Every pixel of every driver map with its deviation and its cell of each factor, a column a factor (NULL: the factor has no value there, or
-- the pixel is not in the sample).
{{ config(materialized='view', enabled=needs('drivers')) }}
select
    pixels.driver_map_id,
    pixels.pixel_id,
    pixels.row_index,
    pixels.col_index,
    pixels.deviation,
    pixels.is_sampled
    {%- for factor in driver_factors() %},
    {{ 'dated' if factor.source == 'series' else 'static' }}.cell_{{ factor.factor_id }}
    {%- endfor %}
from {{ ref('int_driver_pixel') }} as pixels
left join {{ ref('int_pixel_cell_static') }} as static
    on pixels.shared_map_id = static.cells_map_id and pixels.pixel_id = static.pixel_id
left join {{ ref('int_pixel_cell_series') }} as dated
    on pixels.driver_map_id = dated.cells_map_id and pixels.pixel_id = dated.pixel_id
