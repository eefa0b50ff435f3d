-- The pixels of the fine grid that the study looks at: the coarse cell of the target that each lies in, its terrain unit, whether it is
-- water, and its features without dates, a column a feature.
{{ config(enabled=needs('downscaling')) }}
{% set downscaling = study('downscaling') %}
{% set static = downscaling_features() | selectattr('source', 'in', ['static', 'coordinate']) | list %}
{% set unit = factor_named(downscaling.unit) %}
{% set water = factor_named(downscaling.water) %}
with pixels as (
    select distinct grid_id, pixel_id, area_km2
    from {{ ref('int_pixel_region') }}
    where grid_id = {{ literal(downscaling.grid) }}
),

factors as (
    select
        pixel_id,
        {%- for feature in static %}
        max(case when factor_id = {{ feature.factor_id }} then value end) as feature_{{ feature.position }},
        {%- endfor %}
        {%- if unit %}
        max(case when factor_id = {{ unit.factor_id }} then {{ number_as_text('value') }} end) as unit,
        {%- endif %}
        {%- if water %}
        max(case when factor_id = {{ water.factor_id }} then value end) as water,
        {%- endif %}
        count(*) as n_factors
    from {{ ref('int_factor_static') }}
    where grid_id = {{ literal(downscaling.grid) }}
    group by pixel_id
),

cells as (
    select members.pixel_id, members.source_pixel_id as coarse_pixel_id
    from {{ ref('int_downscaling_member') }} as members
    inner join {{ ref('int_series') }} as series on members.source_grid_id = series.grid_id
    where series.series_id = {{ downscaling_target() }}
),

-- The pixel under a cell's centre: what nearest neighbour takes for the whole of it.
centres as (
    select weights.target_pixel_id as coarse_pixel_id, weights.source_pixel_id as pixel_id
    from {{ read_lake('weights') }} as weights
    inner join {{ ref('int_series') }} as series on weights.target_grid_id = series.grid_id
    where series.series_id = {{ downscaling_target() }}
        and weights.source_grid_id = {{ literal(downscaling.grid) }}
        and weights.method = 'nearest'
)

select
    pixels.pixel_id,
    cells.coarse_pixel_id,
    centres.pixel_id is not null as is_centre,
    pixels.area_km2,
    {{ 'factors.unit' if unit else "'all'" }} as unit,
    {%- if water and downscaling.water_classes %}
    coalesce(factors.water in ({% for code in downscaling.water_classes %}{{ number(code) }}{{ ', ' if not loop.last }}{% endfor %}), false) as is_water
    {%- elif water %}
    coalesce(factors.water > {{ number(downscaling.max_water_share) }} + 1e-9, false) as is_water
    {%- else %}
    false as is_water
    {%- endif %}
    {%- for feature in static %},
    factors.feature_{{ feature.position }}
    {%- endfor %}
from pixels
inner join cells on pixels.pixel_id = cells.pixel_id
left join factors on pixels.pixel_id = factors.pixel_id
left join centres on pixels.pixel_id = centres.pixel_id and cells.coarse_pixel_id = centres.coarse_pixel_id
