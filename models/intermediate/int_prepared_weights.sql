-- What the series that are brought to another grid are made of there: for each pixel of the study its sources and their weights. Soil moisture has no
-- value on water. A series whose product is on that grid already is its own source.
{% set prepared = prepared_series() | selectattr('grid') | list %}
{% if prepared %}
with asked as (
    {%- for series in prepared %}
    select {{ series.series_id }} as series_id, {{ literal(series.method) }} as method
    {% if not loop.last %}union all{% endif %}
    {%- endfor %}
),

studied as (
    select distinct grid_id, pixel_id from {{ ref('int_pixel_region') }}
),

pairs as (
    select series.series_id, series.variable, series.grid_id, weights.source_pixel_id, weights.target_pixel_id, weights.weight
    from asked
    inner join {{ ref('int_series') }} as series on asked.series_id = series.series_id
    inner join {{ ref('int_weights') }} as weights
        on series.source_grid_id = weights.source_grid_id and series.grid_id = weights.target_grid_id and asked.method = weights.method
    union all
    select series.series_id, series.variable, series.grid_id, pixels.pixel_id as source_pixel_id, pixels.pixel_id as target_pixel_id, cast(1 as double) as weight
    from asked
    inner join {{ ref('int_series') }} as series on asked.series_id = series.series_id
    inner join studied as pixels on series.grid_id = pixels.grid_id
    where series.source_grid_id = series.grid_id
)

select pairs.series_id, pairs.source_pixel_id, pairs.target_pixel_id, pairs.weight
from pairs
inner join studied on pairs.grid_id = studied.grid_id and pairs.target_pixel_id = studied.pixel_id
{%- if study('masks').get('water') is not none %}
left join {{ ref('int_water') }} as water
    on pairs.variable = 'soil_moisture' and pairs.grid_id = water.grid_id and pairs.target_pixel_id = water.pixel_id and water.is_water
where water.pixel_id is null
{%- endif %}
{% else %}
select cast(null as int) as series_id, cast(null as bigint) as source_pixel_id, cast(null as bigint) as target_pixel_id, cast(null as double) as weight
where false
{% endif %}
