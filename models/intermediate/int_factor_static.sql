-- Factors without dates on every grid of the study's series, at the pixels that the study looks at: as delivered on their own grid, through
-- the lake's weights on every other (a weighted mean of the source pixels that have a value; nearest: the one under the pixel's centre).
with pixels as (
    select distinct grid_id, pixel_id from {{ ref('int_pixel_region') }}
),

delivered as (
    select
        factors.factor_id,
        factors.grid_id,
        staged.pixel_id,
        staged.value
    from {{ ref('stg_factor') }} as staged
    inner join {{ ref('int_factor') }} as factors on staged.factor_id = factors.factor_id
),

regridded as (
    select
        delivered.factor_id,
        weights.target_grid_id as grid_id,
        weights.target_pixel_id as pixel_id,
        sum(weights.weight * delivered.value) / nullif(sum(weights.weight), 0) as value
    from delivered
    inner join {{ read_lake('weights') }} as weights
        on delivered.grid_id = weights.source_grid_id and delivered.pixel_id = weights.source_pixel_id
    where weights.method = 'nearest'
        and weights.target_grid_id in (select grid_id from {{ ref('int_series') }})
    group by delivered.factor_id, weights.target_grid_id, weights.target_pixel_id
),

static as (
    select factor_id, grid_id, pixel_id, value from delivered
    union all
    select factor_id, grid_id, pixel_id, value from regridded
    {%- for factor in study_factors() if factor.source == 'coordinate' %}
    union all
    select {{ factor.factor_id }} as factor_id, grid_id, pixel_id, {{ factor.coordinate }} as value
    from {{ read_lake('grids/pixels') }}
    {%- endfor %}
)

select
    static.factor_id,
    static.grid_id,
    static.pixel_id,
    static.value
from static
inner join pixels on static.grid_id = pixels.grid_id and static.pixel_id = pixels.pixel_id
where static.value is not null
