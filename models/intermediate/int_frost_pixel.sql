-- Under which pixel of the series that knows the frost a pixel of soil moisture lies, on the grids that soil moisture is delivered on and brought to.
{% if study('masks').get('frozen') is not none %}
with grids as (
    select grid_id from {{ ref('int_series') }} where variable = 'soil_moisture'
    union
    select source_grid_id as grid_id from {{ ref('int_series') }} where variable = 'soil_moisture'
),

frost as (
    select source_grid_id as grid_id from {{ ref('int_series') }} where series_id = {{ frost_series().series_id }}
)

select pixels.grid_id, pixels.pixel_id, pixels.pixel_id as frost_pixel_id
from {{ read_lake('grids/pixels') }} as pixels
inner join frost on pixels.grid_id = frost.grid_id
where pixels.grid_id in (select grid_id from grids)
union all
select weights.target_grid_id as grid_id, weights.target_pixel_id as pixel_id, weights.source_pixel_id as frost_pixel_id
from {{ ref('int_weights') }} as weights
inner join frost on weights.source_grid_id = frost.grid_id
where weights.method = 'nearest' and weights.target_grid_id in (select grid_id from grids)
{% else %}
select cast(null as string) as grid_id, cast(null as bigint) as pixel_id, cast(null as bigint) as frost_pixel_id
where false
{% endif %}
