-- Correlations of all kinds of units under the names that people give them.
{{ config(materialized='view', enabled=needs('drivers')) }}
{% set statistics %}
    {%- for factor in correlation_factors() %}
    units.n_{{ factor.position }},
    units.r_{{ factor.position }},
    {%- endfor %}
    units.n_complete,
    units.fit
{%- endset %}
select
    series.variable,
    series.product,
    series.layer,
    units.series_id,
    'pixel' as unit_kind,
    cast(units.pixel_id as string) as unit_id,
    units.grid_id,
    units.pixel_id,
    units.time_step,
    units.season,
    units.on_values,
    {{- statistics }}
from {{ ref('int_correlation_pixel') }} as units
inner join {{ ref('int_series') }} as series on units.series_id = series.series_id
union all
select
    series.variable,
    series.product,
    series.layer,
    units.series_id,
    'region' as unit_kind,
    units.region_id as unit_id,
    units.grid_id,
    cast(null as bigint) as pixel_id,
    units.time_step,
    units.season,
    units.on_values,
    {{- statistics }}
from {{ ref('int_correlation_region') }} as units
inner join {{ ref('int_series') }} as series on units.series_id = series.series_id
union all
select
    'soil_moisture' as variable,
    units.product,
    units.layer,
    units.series_id,
    'station' as unit_kind,
    units.station_id as unit_id,
    cast(null as string) as grid_id,
    cast(null as bigint) as pixel_id,
    units.time_step,
    units.season,
    units.on_values,
    {{- statistics }}
from {{ ref('int_correlation_station') }} as units
