-- The share of water in each pixel of the grids that soil moisture is delivered on and brought to, by area, from the land cover that the study names
-- in `masks.water`; where that is not known there is no row.
{% if study('masks').get('water') is not none %}
{% set mask = study('masks').water %}
with grids as (
    select grid_id from {{ ref('int_series') }} where variable = 'soil_moisture'
    union
    select source_grid_id as grid_id from {{ ref('int_series') }} where variable = 'soil_moisture'
),

land as (
    select
        products.grid_id,
        cast(delivered.pixel_id as bigint) as pixel_id,
        case when cast(delivered.{{ mask.column }} as double) in ({% for code in mask.codes %}{{ number(code) }}{{ ', ' if not loop.last }}{% endfor %}) then cast(1 as double) else cast(0 as double) end as water
    from {{ read_lake('raw/' ~ mask.product ~ '/static') }} as delivered
    cross join (select grid_id from {{ read_lake('catalog/products') }} where product = {{ literal(mask.product) }}) as products
    where delivered.{{ mask.column }} is not null
        and cast(delivered.{{ mask.column }} as double) not in (
            select fill_value from {{ read_lake('catalog/columns') }}
            where product = {{ literal(mask.product) }} and column_name = {{ literal(mask.column) }} and fill_value is not null
        )
),

shares as (
    select grid_id, pixel_id, water as water_fraction
    from land
    where grid_id in (select grid_id from grids)
    union all
    select
        weights.target_grid_id as grid_id,
        weights.target_pixel_id as pixel_id,
        sum(weights.weight * land.water) / nullif(sum(weights.weight), 0) as water_fraction
    from land
    inner join {{ ref('int_weights') }} as weights on land.grid_id = weights.source_grid_id and land.pixel_id = weights.source_pixel_id
    where weights.method = 'area_mean' and weights.target_grid_id in (select grid_id from grids)
    group by weights.target_grid_id, weights.target_pixel_id
)

select grid_id, pixel_id, water_fraction, water_fraction > {{ number(mask.max_share) }} + 1e-9 as is_water
from shares
{% else %}
select cast(null as string) as grid_id, cast(null as bigint) as pixel_id, cast(null as double) as water_fraction, cast(null as boolean) as is_water
where false
{% endif %}
