-- Soil moisture where the response to rain is looked at: the stations' own, the validated series at the pixel of a station, over a region by area, and at
-- sampled pixels. A view, read on the days around events only.
{{ config(materialized='view', enabled=needs('validation')) }}
{% set asked = study('validation') %}
{% set series = validated_series() %}
{% set share = number(asked.min_share_of_pixels) %}
with delivered as (
    select
        daily.series_id,
        series.product,
        series.layer,
        series.grid_id,
        daily.pixel_id,
        {{ compared_date('daily.obs_date', 'daily.series_id', series) }} as obs_date,
        daily.value
    from {{ ref('int_daily') }} as daily
    inner join {{ ref('int_series') }} as series on daily.series_id = series.series_id
    where daily.series_id in ({{ series_ids(series) }}) and series.time_step in ('day', 'instant')
    {%- if study('exclude_frozen') %}
        and not coalesce(daily.is_frozen, false)
    {%- endif %}
),

region_size as (
    select grid_id, region_id, sum(area_km2 * fraction) as region_km2
    from {{ ref('int_pixel_region') }}
    group by grid_id, region_id
)

{% for kind in asked.rain_unit_kinds %}
{%- if kind == 'station' %}
select
    product,
    layer,
    'station' as unit_kind,
    station_id as unit_id,
    product as reference_product,
    cast(null as string) as grid_id,
    cast(null as bigint) as pixel_id,
    obs_date,
    value
from {{ ref('int_matchup_reference') }}
union all
select
    series.product,
    series.layer,
    'station' as unit_kind,
    layers.station_id as unit_id,
    layers.reference_product,
    cast(null as string) as grid_id,
    cast(null as bigint) as pixel_id,
    estimates.obs_date,
    estimates.value
from {{ ref('int_matchup_estimate') }} as estimates
inner join {{ ref('int_matchup_layer') }} as layers on estimates.series_id = layers.series_id and estimates.pixel_id = layers.pixel_id
inner join {{ ref('int_series') }} as series on estimates.series_id = series.series_id
{%- elif kind == 'region' %}
select
    delivered.product,
    delivered.layer,
    'region' as unit_kind,
    regions.region_id as unit_id,
    cast(null as string) as reference_product,
    cast(null as string) as grid_id,
    cast(null as bigint) as pixel_id,
    delivered.obs_date,
    sum(delivered.value * regions.area_km2 * regions.fraction) / nullif(sum(regions.area_km2 * regions.fraction), 0) as value
from delivered
inner join {{ ref('int_pixel_region') }} as regions on delivered.grid_id = regions.grid_id and delivered.pixel_id = regions.pixel_id
inner join region_size on regions.grid_id = region_size.grid_id and regions.region_id = region_size.region_id
group by delivered.product, delivered.layer, regions.region_id, delivered.obs_date
having sum(regions.area_km2 * regions.fraction) >= ({{ share }} - 1e-9) * max(region_size.region_km2)
{%- else %}
select
    delivered.product,
    delivered.layer,
    'pixel' as unit_kind,
    cast(delivered.pixel_id as string) as unit_id,
    cast(null as string) as reference_product,
    delivered.grid_id,
    delivered.pixel_id,
    delivered.obs_date,
    delivered.value
from delivered
inner join (select distinct grid_id, pixel_id from {{ ref('int_sampled_pixel') }}) as sampled
    on delivered.grid_id = sampled.grid_id and delivered.pixel_id = sampled.pixel_id
{%- endif %}
{% if not loop.last %}union all{% endif %}
{%- endfor %}
