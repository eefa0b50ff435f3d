-- Which pixels the study looks at, and in which regions. Without registered regions there is one, `all`: the study's box, or everything.
-- A pixel belongs to a region when at least `min_fraction` of its area does; regions may nest and overlap.
{% set region = study('region') %}
with pixels as (
    select grid_id, pixel_id, lon, lat, area_km2
    from {{ read_lake('grids/pixels') }}
    where grid_id in (select grid_id from {{ ref('int_series') }})
    {%- if region.bbox is defined %}
        and lon between {{ number(region.bbox[0]) }} and {{ number(region.bbox[2]) }}
        and lat between {{ number(region.bbox[1]) }} and {{ number(region.bbox[3]) }}
    {%- endif %}
)

{% if region.set is defined %}
select
    pixels.grid_id,
    pixels.pixel_id,
    membership.region_id,
    membership.fraction,
    pixels.area_km2
from pixels
inner join {{ read_lake('regions/pixel_region') }} as membership
    on pixels.grid_id = membership.grid_id and pixels.pixel_id = membership.pixel_id
where membership.region_set = {{ literal(region.set) }}
    and membership.fraction >= {{ number(region.min_fraction) }}
    {%- if region.ids is defined %}
    and membership.region_id in ({% for id in region.ids %}{{ literal(id) }}{{ ', ' if not loop.last }}{% endfor %})
    {%- endif %}
{% else %}
select
    grid_id,
    pixel_id,
    'all' as region_id,
    cast(1 as double) as fraction,
    area_km2
from pixels
{% endif %}
