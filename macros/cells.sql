{#- The cell of every sampled pixel for each factor of one source (`static`: without dates, `series`), a column a factor: the statement of
    int_pixel_cell_static and int_pixel_cell_series. A pixel's cell is one more than the cells that end below its value: values and ends are
    sorted together and the ends before each value counted, which no engine does without a join on ranges otherwise. NULL: no value. -#}
{% macro cells_of_pixels(source) -%}
{%- set factors = driver_factors(source) -%}
with given as (
    select cells_map_id, factor_id, pixel_id, value, 0 as is_end
    from {{ ref('int_driver_value') }}
    where source {{ '=' if source == 'series' else '<>' }} 'series'
        and {{ in_batch('cells_map_id', ref('int_driver_factor'), 'max(n_pixels_of_map) * count(distinct factor_id)') }}
),

ends as (
    select cells_map_id, factor_id, cast(null as bigint) as pixel_id, upper as value, 1 as is_end
    from {{ ref('int_factor_cuts') }}
    where method = 'cells'
        and factor_id in ({% for factor in factors %}{{ factor.factor_id }}{{ ', ' if not loop.last }}{% else %}cast(null as int){% endfor %})
        and {{ in_batch('cells_map_id', ref('int_driver_factor'), 'max(n_pixels_of_map) * count(distinct factor_id)') }}
),

counted as (
    select
        cells_map_id,
        factor_id,
        pixel_id,
        is_end,
        cast(1 + sum(is_end) over (
            partition by cells_map_id, factor_id
            order by value nulls last, is_end nulls last
            rows between unbounded preceding and current row
        ) as int) as cell
    from (select * from given union all select * from ends) as both_of_them
)

select
    cells_map_id,
    pixel_id
    {%- for factor in factors %},
    max(case when factor_id = {{ factor.factor_id }} then cell end) as cell_{{ factor.factor_id }}
    {%- endfor %}
from counted
where is_end = 0
group by cells_map_id, pixel_id
{%- endmacro %}


{#- The number of the factor whose column is in the grouping set of a row, of sets of one factor: grouping() is 0 for what is grouped by. -#}
{% macro grouped_factor(prefix) -%}
    case
    {%- for factor in driver_factors() %}
        when grouping({{ prefix }}_{{ factor.factor_id }}) = 0 then {{ factor.factor_id }}
    {%- endfor %}
    end
{%- endmacro %}


{#- The value of that factor's column. -#}
{% macro grouped_value(prefix) -%}
    case
    {%- for factor in driver_factors() %}
        when grouping({{ prefix }}_{{ factor.factor_id }}) = 0 then {{ prefix }}_{{ factor.factor_id }}
    {%- endfor %}
    end
{%- endmacro %}
