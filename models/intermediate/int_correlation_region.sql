-- Correlations of the regional means: area-weighted over the pixels that have the month, of targets and factors on the target's grid.
{{ config(enabled=needs('drivers')) }}
{% set numbers = correlation_series() %}
with means as (
    select
        pixels.grid_id,
        pixels.region_id,
        monthly.year,
        monthly.month_number,
        monthly.series_id,
        -- Never outside the pixels: a mean of equal values that differ by rounding would pass for a factor that varies.
        greatest(min(monthly.value), least(max(monthly.value),
            sum(monthly.value * pixels.area_km2 * pixels.fraction) / nullif(sum(pixels.area_km2 * pixels.fraction), 0))) as value
    from {{ ref('int_series_on_grid') }} as monthly
    inner join {{ ref('int_pixel_region') }} as pixels
        on monthly.grid_id = pixels.grid_id and monthly.pixel_id = pixels.pixel_id
    where monthly.series_id in ({{ numbers | join(', ') or 0 }})
        and {{ 'true' if 'region' in study('correlations').unit_kinds else 'false' }}
    group by pixels.grid_id, pixels.region_id, monthly.year, monthly.month_number, monthly.series_id
),

months as (
    select
        grid_id,
        region_id,
        year,
        month_number
        {{ side_by_side(numbers) }}
    from means
    group by grid_id, region_id, year, month_number
),

targets as (
    select series_id, grid_id from {{ ref('int_series') }}
    where series_id in ({{ correlation_targets() | map(attribute='series_id') | join(', ') or 0 }})
),

{{ correlation_observations(['grid_id', 'region_id'], numbers, correlation_targets() | map(attribute='series_id') | list, 'steps.grid_id = targets.grid_id') }}

{{ correlation_statistics(['grid_id', 'region_id']) }}
