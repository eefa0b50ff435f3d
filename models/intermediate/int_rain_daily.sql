-- Daily rain where its response is looked at: at the pixel that holds a station, over a region by area, and at the sampled pixels of the validated series.
{{ config(enabled=needs('validation')) }}
{% set asked = study('validation') %}
{% set rain = rain_series() %}
with rain as (
    select daily.pixel_id, series.grid_id, daily.obs_date, daily.value as rain_mm
    from {{ ref('int_daily') }} as daily
    inner join {{ ref('int_series') }} as series on daily.series_id = series.series_id
    where daily.series_id = {{ rain or 0 }} and series.time_step in ('day', 'instant')
),

region_size as (
    select grid_id, region_id, sum(area_km2 * fraction) as region_km2
    from {{ ref('int_pixel_region') }}
    group by grid_id, region_id
)

{% for kind in asked.rain_unit_kinds %}
{%- if kind == 'station' %}
select
    'station' as unit_kind,
    places.station_id as unit_id,
    places.product as reference_product,
    cast(null as string) as grid_id,
    cast(null as bigint) as pixel_id,
    rain.obs_date,
    rain.rain_mm
from rain
inner join {{ ref('int_matchup_place') }} as places on rain.grid_id = places.grid_id and rain.pixel_id = places.pixel_id
{%- elif kind == 'region' %}
select
    'region' as unit_kind,
    regions.region_id as unit_id,
    cast(null as string) as reference_product,
    cast(null as string) as grid_id,
    cast(null as bigint) as pixel_id,
    rain.obs_date,
    sum(rain.rain_mm * regions.area_km2 * regions.fraction) / nullif(sum(regions.area_km2 * regions.fraction), 0) as rain_mm
from rain
inner join {{ ref('int_pixel_region') }} as regions on rain.grid_id = regions.grid_id and rain.pixel_id = regions.pixel_id
inner join region_size on regions.grid_id = region_size.grid_id and regions.region_id = region_size.region_id
group by regions.region_id, rain.obs_date
having sum(regions.area_km2 * regions.fraction) >= ({{ number(asked.min_share_of_pixels) }} - 1e-9) * max(region_size.region_km2)
{%- else %}
select
    'pixel' as unit_kind,
    cast(pixels.pixel_id as string) as unit_id,
    cast(null as string) as reference_product,
    pixels.grid_id,
    pixels.pixel_id,
    rain.obs_date,
    rain.rain_mm
from (select distinct grid_id, pixel_id from {{ ref('int_sampled_pixel') }}) as pixels
inner join (
    select source_grid_id, target_grid_id, source_pixel_id, target_pixel_id
    from {{ read_lake('weights') }}
    where method = 'nearest'
    union all
    select distinct grid_id as source_grid_id, grid_id as target_grid_id, pixel_id as source_pixel_id, pixel_id as target_pixel_id
    from {{ ref('int_pixel_region') }}
) as weights
    on pixels.grid_id = weights.target_grid_id and pixels.pixel_id = weights.target_pixel_id
inner join rain on weights.source_grid_id = rain.grid_id and weights.source_pixel_id = rain.pixel_id
where pixels.grid_id in (select grid_id from {{ ref('int_series') }} where series_id in ({{ series_ids(validated_series()) }}))
{%- endif %}
{% if not loop.last %}union all{% endif %}
{%- endfor %}
