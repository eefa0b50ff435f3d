-- The weights between grids: those of the lake, and those of kriging. Say which grids and which method.
{{ config(materialized='view') }}
select source_grid_id, target_grid_id, method, source_pixel_id, target_pixel_id, weight
from {{ read_lake('weights') }}
{%- if kriged_targets() %}
union all
select source_grid_id, target_grid_id, method, source_pixel_id, target_pixel_id, weight
from {{ ref('int_kriging_weights') }}
{%- endif %}
