-- Factors without dates on every grid of the study's series, at the pixels that the study looks at: as delivered on their own grid, by the factor's way of
-- regridding on every other. What a factor is made into (a land-cover scheme, octants) is made before, so that classes and directions are never averaged.
-- A value is the weighted mean of the source pixels that have one (by class: the value with the most weight), where these have at least `min_covered`
-- of the weight; nearest: the one under the pixel's centre.
{{ config(enabled=needs('patterns') or needs('drivers') or needs('downscaling') or needs('validation')) }}
{% set asked = study_factors() | selectattr('source', 'equalto', 'static') | list %}
with pixels as (
    select distinct grid_id, pixel_id from {{ ref('int_pixel_region') }}
),

made as (
    {%- for factor in asked %}
    select staged.factor_id, staged.pixel_id, {{ factor_value(factor, 'staged.value') | trim }} as value
    from {{ ref('stg_factor') }} as staged
    {%- if factor.get('scheme') is not none %}
    inner join {{ ref('land_cover_schemes') }} as classes on classes.scheme = {{ literal(factor.scheme) }} and staged.value = classes.code
    {%- endif %}
    where staged.factor_id = {{ factor.factor_id }}
    {% if not loop.last %}union all{% endif %}
    {%- else %}
    select factor_id, pixel_id, value from {{ ref('stg_factor') }}
    {%- endfor %}
),

methods as (
    {%- for factor in asked %}
    {%- set how = {} %}
    {%- do how.update(study('preparation')) %}
    {%- do how.update({'regrid': study('preparation').factor_regrid}) %}
    {%- do how.update(factor) %}
    select {{ factor.factor_id }} as factor_id, {{ literal(weights_method(how)) }} as method, {{ 'true' if how.regrid == 'mode' else 'false' }} as is_by_class, {{ number(how.min_covered) }} as min_covered
    {% if not loop.last %}union all{% endif %}
    {%- else %}
    select cast(null as int) as factor_id, cast(null as string) as method, cast(null as boolean) as is_by_class, cast(null as double) as min_covered
    where false
    {%- endfor %}
),

delivered as (
    select
        factors.factor_id,
        factors.grid_id,
        made.pixel_id,
        made.value
    from made
    inner join {{ ref('int_factor') }} as factors on made.factor_id = factors.factor_id
    where made.value is not null
),

weighted as (
    select
        delivered.factor_id,
        weights.target_grid_id as grid_id,
        weights.target_pixel_id as pixel_id,
        delivered.value,
        weights.weight,
        methods.is_by_class,
        methods.min_covered
    from delivered
    inner join methods on delivered.factor_id = methods.factor_id
    inner join {{ ref('int_weights') }} as weights
        on delivered.grid_id = weights.source_grid_id and delivered.pixel_id = weights.source_pixel_id and methods.method = weights.method
    where weights.target_grid_id in (select grid_id from {{ ref('int_series') }})
),

means as (
    select factor_id, grid_id, pixel_id, sum(weight * value) / nullif(sum(weight), 0) as value
    from weighted
    where not is_by_class
    group by factor_id, grid_id, pixel_id
    having sum(weight) >= max(min_covered) - 1e-9
),

classes_of_pixels as (
    select
        factor_id,
        grid_id,
        pixel_id,
        value,
        min_covered,
        sum(share) over (partition by factor_id, grid_id, pixel_id) as covered,
        row_number() over (partition by factor_id, grid_id, pixel_id order by share desc nulls last, value nulls last) as place
    from (
        select factor_id, grid_id, pixel_id, value, max(min_covered) as min_covered, round(sum(weight), 12) as share
        from weighted
        where is_by_class
        group by factor_id, grid_id, pixel_id, value
    ) as shares
),

static as (
    select factor_id, grid_id, pixel_id, value from delivered
    union all
    select factor_id, grid_id, pixel_id, value from means
    union all
    select factor_id, grid_id, pixel_id, value from classes_of_pixels where place = 1 and covered >= min_covered - 1e-9
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
