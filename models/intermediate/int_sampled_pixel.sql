-- The pixels that the study's `sampling` keeps: every one; every so many rows and columns, the same ones in all regions of a grid; or a fixed
-- number in each region, drawn by the digest of seed and pixel, which is the same on both engines.
{{ config(enabled=needs('patterns') or needs('drivers') or needs('validation')) }}
{% set sampling = study('sampling') %}
{%- if sampling.kind == 'systematic' %}
-- Cells of a grid have one area or nearly so; the side of a square of that area is what `spacing_m` is counted in.
with steps as (
    select
        grid_id,
        greatest(1, cast(round({{ number(sampling.spacing_m) }} / (1000 * sqrt(greatest(avg(area_km2), 1e-12)))) as int)) as step
    from {{ ref('int_pixel_region') }}
    group by grid_id
)

select
    pixels.grid_id,
    pixels.region_id,
    pixels.pixel_id
from {{ ref('int_pixel_region') }} as pixels
inner join steps on pixels.grid_id = steps.grid_id
inner join {{ read_lake('grids/pixels') }} as places
    on pixels.grid_id = places.grid_id and pixels.pixel_id = places.pixel_id
where places.row_index % steps.step = cast(floor(steps.step / 2) as int)
    and places.col_index % steps.step = cast(floor(steps.step / 2) as int)
{%- elif sampling.kind == 'random' %}
select grid_id, region_id, pixel_id
from {{ ref('int_pixel_region') }}
qualify row_number() over (
    partition by grid_id, region_id
    order by md5({{ literal(sampling.seed) }} || ' ' || cast(pixel_id as string)) nulls last, pixel_id nulls last
) <= {{ sampling.n | int }}
{%- else %}
select grid_id, region_id, pixel_id
from {{ ref('int_pixel_region') }}
{%- endif %}
