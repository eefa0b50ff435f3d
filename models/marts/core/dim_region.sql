-- The registered regions of the study, or `all` where it names none; then the area is that of the pixels of its largest grid.
{% set region = study('region') %}
{% if region.set is defined %}
select
    {{ literal(var('study').name) }} as study,
    region_id,
    name,
    level,
    area_km2
from {{ read_lake('regions/region') }}
where region_set = {{ literal(region.set) }}
    {%- if region.ids is defined %}
    and region_id in ({% for id in region.ids %}{{ literal(id) }}{{ ', ' if not loop.last }}{% endfor %})
    {%- endif %}
{% else %}
with grids as (
    select grid_id, sum(area_km2) as area_km2
    from {{ ref('int_pixel_region') }}
    group by grid_id
)

select
    {{ literal(var('study').name) }} as study,
    'all' as region_id,
    {{ literal(var('study').get('title', var('study').name)) }} as name,
    cast(0 as int) as level,
    max(area_km2) as area_km2
from grids
{% endif %}
