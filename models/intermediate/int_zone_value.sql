-- The factors that zones are made of, at the pixels that each series has in the study.
{{ config(enabled=needs('patterns')) }}
{% set factors = study('zones') | map(attribute='factor') | list %}
with pixels as (
    select distinct series_id, pixel_id
    from {{ ref('int_monthly') }}
    {%- if not factors %}
    where false
    {%- endif %}
),

areas as (
    select distinct grid_id, pixel_id, area_km2
    from {{ ref('int_pixel_region') }}
)

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
