-- The months that patterns and trends are computed from: covered ones, narrow.
{{ config(materialized='view', enabled=needs('patterns') or needs('trends') or needs('drivers') or needs('validation')) }}
select
    series_id,
    pixel_id,
    month,
    year,
    month_number,
    value
from {{ ref('int_pixel_monthly') }}
where is_covered
