-- Fine pixels and days with frozen soil: where the target's product says so of the cell, and where the series of `downscaling.frozen` is below
-- its value.
{{ config(materialized='view', enabled=needs('downscaling')) }}
{% set frozen = study('downscaling').frozen %}
select distinct
    members.pixel_id,
    daily.obs_date,
    daily.year,
    daily.month
from {{ ref('int_downscaling_coarse') }} as daily
inner join {{ ref('int_series') }} as series on daily.series_id = series.series_id
inner join {{ ref('int_downscaling_member') }} as members
    on series.grid_id = members.source_grid_id and daily.pixel_id = members.source_pixel_id
where (daily.series_id = {{ downscaling_target() }} and daily.is_frozen)
{%- if frozen %}
    or (daily.series_id = {{ series_id_of(frozen) }} and daily.value < {{ number(frozen.below) }})
{%- endif %}
