{{ config(enabled=needs('patterns')) }}
{% set n_points = 100 %}
with places as (
    {%- for place in range(1, n_points + 1) %}
    select {{ place }} as place {%- if not loop.last %} union all {%- endif -%}
    {%- endfor %}
),

-- A map of no more pixels has its values themselves as points, at the positions that qq_r has them at.
points as (
    select
        maps.map_id,
        places.place,
        case when maps.n_pixels <= {{ n_points }} then {{ plotting_position('places.place', 'greatest(maps.n_pixels, 1)') }}
            else (places.place - cast(0.5 as double)) / {{ n_points }}
        end as probability,
        maps.n_pixels
    from {{ ref('int_map') }} as maps
    inner join places on places.place <= least(maps.n_pixels, {{ n_points }})
),

-- Type 7: the value at rank (n - 1) p + 1, on the line between the two ranks around it.
neighbours as (
    select map_id, place, place as rank_in_map, cast(1 as double) as weight
    from points
    where n_pixels <= {{ n_points }}
    union all
    select map_id, place, cast(floor((n_pixels - 1) * probability) as int) + 1 as rank_in_map,
        1 - ((n_pixels - 1) * probability - floor((n_pixels - 1) * probability)) as weight
    from points
    where n_pixels > {{ n_points }}
    union all
    select map_id, place, cast(floor((n_pixels - 1) * probability) as int) + 2 as rank_in_map,
        (n_pixels - 1) * probability - floor((n_pixels - 1) * probability) as weight
    from points
    where n_pixels > {{ n_points }}
),

ranked as (
    select
        maps.map_id,
        pixels.value,
        row_number() over (partition by maps.map_id order by pixels.value nulls last) as rank_in_map
    from {{ ref('int_monthly_region') }} as pixels
    inner join {{ ref('int_map') }} as maps
        on pixels.series_id = maps.series_id and pixels.region_id = maps.region_id and pixels.month = maps.month
),

quantiles as (
    select
        neighbours.map_id,
        neighbours.place,
        sum(neighbours.weight * ranked.value) as sample_quantile
    from neighbours
    inner join ranked on neighbours.map_id = ranked.map_id and neighbours.rank_in_map = ranked.rank_in_map
    group by neighbours.map_id, neighbours.place
)

select
    series.study,
    series.variable,
    series.product,
    series.layer,
    maps.region_id,
    maps.month,
    points.probability,
    quantiles.sample_quantile,
    normal_quantile(points.probability) as normal_quantile,
    series.unit
from points
inner join quantiles on points.map_id = quantiles.map_id and points.place = quantiles.place
inner join {{ ref('int_map') }} as maps on points.map_id = maps.map_id
inner join {{ ref('int_series') }} as series on maps.series_id = series.series_id
