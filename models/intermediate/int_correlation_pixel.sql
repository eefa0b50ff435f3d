-- Correlations of every pixel of every target's grid, some pixels at a time: the months of a large study do not fit into memory all at once.
{{ config(materialized='by_period', cells=16000000, enabled=needs('drivers')) }}
{% set numbers = correlation_series() %}
with months as (
    select
        grid_id,
        pixel_id,
        year,
        month_number
        {{ side_by_side(numbers) }}
    from {{ ref('int_series_on_grid') }}
    where {{ in_batch('pixel_id', ref('int_pixel_region'), 'count(distinct grid_id) * ' ~ n_months_of_study() * (numbers | length + 1)) }}
        and series_id in ({{ numbers | join(', ') or 0 }})
    group by grid_id, pixel_id, year, month_number
),

targets as (
    select series_id, grid_id from {{ ref('int_series') }}
    where series_id in ({{ correlation_targets() | map(attribute='series_id') | join(', ') or 0 }})
        and {{ 'true' if 'pixel' in study('correlations').unit_kinds else 'false' }}
),

{{ correlation_observations(['grid_id', 'pixel_id'], numbers, correlation_targets() | map(attribute='series_id') | list, 'steps.grid_id = targets.grid_id') }}

{{ correlation_statistics(['grid_id', 'pixel_id']) }}
