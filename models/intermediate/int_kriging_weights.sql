-- The weights of ordinary kriging from the pixels of one grid at those of another that the study looks at, some of these at a time. They depend on
-- places alone: the nearest `n_neighbours` pixels of the source within `radius_m`, in metres about the target. Where some have no value on a
-- day, the weights of the others are brought to 1 again.
{{ config(materialized='by_period', cells=60000) }}
{% set earth = 6371007.181 %}
{% set kriged = kriged_targets() %}
with pixels as (
    select grid_id, pixel_id, lon, lat
    from {{ read_lake('grids/pixels') }}
    where lon is not null and lat is not null
),

targets as (
    select distinct pixels.grid_id, pixels.pixel_id, pixels.lon, pixels.lat
    from pixels
    inner join {{ ref('int_pixel_region') }} as studied on pixels.grid_id = studied.grid_id and pixels.pixel_id = studied.pixel_id
    where {{ in_batch('studied.pixel_id', ref('int_pixel_region'), 'count(*)') }}
),

steps as (
    select -1 as step union all select 0 as step union all select 1 as step
)
{%- for target in kriged %},

{%- set height = target.kriging.radius_m / (earth * 3.141592653589793 / 180) %}

-- Boxes as high as the radius and as wide as it is farthest from the equator: what is within the radius is in the same box or beside it.
width_{{ loop.index }} as (
    select {{ height }} / nullif(cos(radians(least(max(abs(lat)), cast(89 as double)))), 0) as width from targets
),

sources_{{ loop.index }} as (
    select
        pixels.grid_id,
        pixels.pixel_id,
        pixels.lon,
        pixels.lat,
        floor(pixels.lat / {{ height }}) + up.step as box_row,
        floor(pixels.lon / nullif(boxes.width, 0)) + along.step as box_column
    from pixels
    cross join width_{{ loop.index }} as boxes
    cross join steps as up
    cross join steps as along
    where pixels.grid_id = (select grid_id from {{ read_lake('catalog/products') }} where product = {{ literal(target.product) }})
),

near_{{ loop.index }} as (
    select
        sources.grid_id as source_grid_id,
        targets.grid_id as target_grid_id,
        targets.pixel_id as target_pixel_id,
        sources.pixel_id as source_pixel_id,
        radians(sources.lon - targets.lon) * cos(radians(targets.lat)) * {{ earth }} as x_m,
        radians(sources.lat - targets.lat) * {{ earth }} as y_m
    from targets
    cross join width_{{ loop.index }} as boxes
    inner join sources_{{ loop.index }} as sources
        on floor(targets.lat / {{ height }}) = sources.box_row and floor(targets.lon / nullif(boxes.width, 0)) = sources.box_column
    where targets.grid_id <> sources.grid_id
        and {% if target.grid is none -%} targets.grid_id in (select grid_id from {{ ref('int_series') }}) {%- else -%} targets.grid_id = {{ literal(target.grid) }} {%- endif %}
),

solved_{{ loop.index }} as (
    select
        source_grid_id,
        target_grid_id,
        target_pixel_id,
        krige_weights(
            {{ struct_list({'id': 'source_pixel_id', 'x_m': 'x_m', 'y_m': 'y_m'}) }}, cast(0 as double), cast(0 as double), {{ literal(target.kriging.model) }},
            {{ number(target.kriging.nugget) }}, {{ number(target.kriging.partial_sill) }}, {{ number(target.kriging.range_parameter_m) }}
        ) as weights
    from (
        select
            *,
            row_number() over (
                partition by target_grid_id, target_pixel_id order by x_m * x_m + y_m * y_m nulls last, source_pixel_id nulls last
            ) as place
        from near_{{ loop.index }}
        where x_m * x_m + y_m * y_m <= {{ number(target.kriging.radius_m * target.kriging.radius_m) }}
    ) as ranked
    where place <= {{ target.kriging.n_neighbours }}
    group by source_grid_id, target_grid_id, target_pixel_id
)
{%- endfor %}
{% for target in kriged %}
select source_grid_id, target_grid_id, {{ literal(target.method) }} as method, solved_weight.id as source_pixel_id, target_pixel_id, solved_weight.weight as weight
from (
    select source_grid_id, target_grid_id, target_pixel_id, {{ each_of('weights') }} as solved_weight
    from solved_{{ loop.index }}
) as each_weight
{% if not loop.last %}union{% endif %}
{% else %}
select grid_id as source_grid_id, grid_id as target_grid_id, 'kriging' as method, pixel_id as source_pixel_id, pixel_id as target_pixel_id, cast(null as double) as weight
from targets
where false
{% endfor %}
