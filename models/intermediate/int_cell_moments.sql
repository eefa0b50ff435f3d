-- Count, sum and sum of squares of the deviations in every cell of every factor: one pass over the pixels, whatever the number of factors.
-- All that the detectors say of single factors is read off these few rows; cells of several parts of a map add up.
{{ config(enabled=needs('drivers')) }}
{% set factors = driver_factors() %}
{% if factors %}
with grouped as (
    select
        driver_map_id,
        {{ grouped_factor('cell') }} as factor_id,
        {{ grouped_value('cell') }} as cell,
        cast(count(*) as bigint) as n,
        sum(deviation) as sum_deviation,
        sum(deviation * deviation) as sum_squares,
        min(deviation) as min_deviation,
        max(deviation) as max_deviation
    from {{ ref('int_pixel_cell') }}
    where is_sampled
    group by grouping sets (
        {%- for factor in factors %}
        (driver_map_id, cell_{{ factor.factor_id }}){{ ',' if not loop.last }}
        {%- endfor %}
    )
)

select driver_map_id, factor_id, cell, n, sum_deviation, sum_squares, min_deviation, max_deviation
from grouped
where cell is not null
{% else %}
select
    driver_map_id,
    cast(null as int) as factor_id,
    cast(null as int) as cell,
    cast(null as bigint) as n,
    deviation as sum_deviation,
    deviation as sum_squares,
    deviation as min_deviation,
    deviation as max_deviation
from {{ ref('int_pixel_cell') }}
where false
{% endif %}
