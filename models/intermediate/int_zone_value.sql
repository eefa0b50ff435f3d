-- The factors that zones are made of, at the pixels that each series has in the study. area_km2 is the part of a pixel that lies inside the study's
-- regions: those of one level lie beside one another and add up, levels hold each other.
{{ config(enabled=needs('patterns')) }}
{% set factors = study('zones') | map(attribute='factor') | list %}
with pixels as (
    select distinct series_id, pixel_id
    from {{ ref('int_monthly') }}
    {%- if not factors %}
    where false
    {%- endif %}
),

{% if study('region').set is defined %}
levels as (
    select
        pixels.grid_id,
        pixels.pixel_id,
        regions.level,
        max(pixels.area_km2) as area_km2,
        least(sum(pixels.fraction), 1) as fraction
    from {{ ref('int_pixel_region') }} as pixels
    inner join {{ read_lake('regions/region') }} as regions on pixels.region_id = regions.region_id
    where regions.region_set = {{ literal(study('region').set) }}
    group by pixels.grid_id, pixels.pixel_id, regions.level
),

areas as (
    select grid_id, pixel_id, max(area_km2 * fraction) as area_km2
    from levels
    group by grid_id, pixel_id
)
{% else %}
areas as (
    select grid_id, pixel_id, area_km2 from {{ ref('int_pixel_region') }}
)
{% endif %}

select
    pixels.series_id,
    factors.factor,
    pixels.pixel_id,
    static.value,
    areas.area_km2
from pixels
inner join {{ ref('int_series') }} as series on pixels.series_id = series.series_id
inner join {{ ref('int_factor_static') }} as static
    on series.grid_id = static.grid_id and pixels.pixel_id = static.pixel_id
inner join {{ ref('int_factor') }} as factors on static.factor_id = factors.factor_id
inner join areas on series.grid_id = areas.grid_id and pixels.pixel_id = areas.pixel_id
where factors.factor in ({{ literals(factors) }})
