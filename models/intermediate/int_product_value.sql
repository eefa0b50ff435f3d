-- The series of comparisons and triples on the grids they are compared on, day by day or month by month. A mean over pixels needs `min_share_of_pixels` of
-- the area of those that the study looks at. A view: who reads it says which series on which grid.
{{ config(materialized='view', enabled=needs('validation')) }}
{% set share = number(study('validation').min_share_of_pixels) %}
{% set compared, monthly = [], [] %}
{%- for pairing in product_pairings() -%}
    {%- for one in [pairing.series_1, pairing.series_2] -%}
        {%- do (compared if pairing.time_step == 'day' else monthly).append(one) -%}
    {%- endfor -%}
{%- endfor -%}
{%- for triple in collocated_triples() -%}
    {%- for member in triple.members if not member.is_station -%}
        {%- do compared.append({'series_id': member.member_id, 'product': member.product}) -%}
    {%- endfor -%}
{%- endfor %}
with delivered as (
    select
        series_id,
        'day' as time_step,
        pixel_id,
        {{ compared_date('obs_date', 'series_id', compared) }} as obs_date,
        value
    from {{ ref('int_daily') }}
    where series_id in ({{ series_ids(compared) }})
    {%- if study('exclude_frozen') %}
        and not coalesce(is_frozen, false)
    {%- endif %}
    {%- if monthly %}
    union all
    select series_id, 'month' as time_step, pixel_id, month as obs_date, value
    from {{ ref('int_monthly') }}
    where series_id in ({{ series_ids(monthly) }})
    {%- endif %}
),

-- The pixels of a finer grid in each cell of a coarser one: the nearest weights, read from the other side.
inside as (
    select
        weights.source_grid_id as target_grid_id,
        weights.source_pixel_id as target_pixel_id,
        weights.target_grid_id as member_grid_id,
        weights.target_pixel_id as member_pixel_id,
        pixels.area_km2,
        sum(pixels.area_km2) over (partition by weights.source_grid_id, weights.source_pixel_id, weights.target_grid_id) as looked_at_km2
    from {{ read_lake('weights') }} as weights
    inner join (select distinct grid_id, pixel_id, area_km2 from {{ ref('int_pixel_region') }}) as pixels
        on weights.target_grid_id = pixels.grid_id and weights.target_pixel_id = pixels.pixel_id
    where weights.method = 'nearest'
)

select delivered.series_id, needed.grid_id, delivered.time_step, delivered.pixel_id, delivered.obs_date, delivered.value
from delivered
inner join {{ ref('int_product_grid') }} as needed
    on delivered.series_id = needed.series_id and delivered.time_step = needed.time_step
where needed.regridding = 'own'
union all
select
    delivered.series_id,
    needed.grid_id,
    delivered.time_step,
    inside.target_pixel_id as pixel_id,
    delivered.obs_date,
    sum(delivered.value * inside.area_km2) / nullif(sum(inside.area_km2), 0) as value
from delivered
inner join {{ ref('int_product_grid') }} as needed
    on delivered.series_id = needed.series_id and delivered.time_step = needed.time_step
inner join inside
    on needed.grid_id = inside.target_grid_id and needed.source_grid_id = inside.member_grid_id and delivered.pixel_id = inside.member_pixel_id
where needed.regridding = 'mean'
group by delivered.series_id, needed.grid_id, delivered.time_step, inside.target_pixel_id, delivered.obs_date
having sum(inside.area_km2) >= ({{ share }} - 1e-9) * max(inside.looked_at_km2)
union all
select delivered.series_id, needed.grid_id, delivered.time_step, weights.target_pixel_id as pixel_id, delivered.obs_date, delivered.value
from delivered
inner join {{ ref('int_product_grid') }} as needed
    on delivered.series_id = needed.series_id and delivered.time_step = needed.time_step
inner join {{ read_lake('weights') }} as weights
    on needed.source_grid_id = weights.source_grid_id and needed.grid_id = weights.target_grid_id and delivered.pixel_id = weights.source_pixel_id
where needed.regridding = 'nearest' and weights.method = 'nearest'
