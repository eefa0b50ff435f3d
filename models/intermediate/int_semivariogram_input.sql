-- The maps that are looked at by distance, and how far. The cut-off is one for a series and region, from all its pixels: taken from the pixels
-- of each month it would move with the gaps, and months could not be compared.
{{ config(enabled=needs('patterns')) }}
{% set variograms = study('variograms') %}
{%- if variograms.cutoff_m is defined %}
with cutoffs as (
    select distinct series_id, region_id, {{ number(variograms.cutoff_m) }} as cutoff_m
    from {{ ref('int_map') }}
),
{%- else %}
-- A region across 180 degrees is narrow where longitudes are counted from 0 to 360.
with boxes as (
    select
        pixels.grid_id,
        pixels.region_id,
        radians(least(
            max(places.lon) - min(places.lon),
            max(places.lon + case when places.lon < 0 then 360 else 0 end) - min(places.lon + case when places.lon < 0 then 360 else 0 end),
            180
        )) as width,
        radians(min(places.lat)) as south,
        radians(max(places.lat)) as north
    from {{ ref('int_pixel_region') }} as pixels
    inner join {{ read_lake('grids/pixels') }} as places
        on pixels.grid_id = places.grid_id and pixels.pixel_id = places.pixel_id
    group by pixels.grid_id, pixels.region_id
),

-- A third of the diagonal on a sphere of the earth's mean radius. A region of one pixel has none.
cutoffs as (
    select
        series.series_id,
        boxes.region_id,
        nullif(
            2 * 6371008.8 * asin(least(cast(1 as double), sqrt(greatest(
                0.0,
                power(sin((boxes.north - boxes.south) / 2), 2)
                + cos(boxes.north) * cos(boxes.south) * power(sin(boxes.width / 2), 2)
            )))) / 3,
            0
        ) as cutoff_m
    from boxes
    inner join {{ ref('int_series') }} as series on boxes.grid_id = series.grid_id
),
{%- endif %}

maps as (
    select maps.map_id, maps.series_id, maps.region_id, maps.month, maps.n_pixels
    from {{ ref('int_map') }} as maps
    inner join {{ ref('int_series') }} as series on maps.series_id = series.series_id
    {%- if variograms.variables is defined %}
    where series.variable in ({% for variable in variograms.variables %}{{ literal(variable) }}{{ ', ' if not loop.last }}{% endfor %})
    {%- endif %}
)

select
    maps.map_id,
    maps.series_id,
    maps.region_id,
    maps.month,
    maps.n_pixels,
    cutoffs.cutoff_m
from maps
inner join cutoffs on maps.series_id = cutoffs.series_id and maps.region_id = cutoffs.region_id
where maps.n_pixels > 1
