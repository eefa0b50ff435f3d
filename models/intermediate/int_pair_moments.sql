-- Count, sum and sum of squares of the deviations in every combination of the strata of two factors, at the pixels where both have one. The
-- pixels are grouped by sets of three factors in which every two meet (driver_factor_sets), and the third is added up: a third of the groupings, and no
-- row a pixel and factor is joined with itself. Each set is a scan of its own: an engine groups by a few narrow columns faster than it takes
-- every set off one scan (GROUPING SETS), which carries all columns through.
{{ config(materialized='by_period', cells=50000000, enabled=needs('drivers')) }}
{% set factors = driver_factors() %}
{% set sets = driver_factor_sets() %}
{% set batch = in_batch('driver_map_id', ref('int_driver_factor'), 'max(n_pixels_of_map) * count(distinct factor_id)') %}
{% if sets %}
with grouped as (
    {%- for set in sets %}
    select
        driver_map_id,
        {{ set.number }} as set_id,
        {%- for factor in set.factors %}
        stratum_{{ factor }} as stratum_at_{{ loop.index0 }},
        {%- endfor %}
        {%- if set.factors | length < 3 %}
        cast(null as smallint) as stratum_at_2,
        {%- endif %}
        count(*) as n,
        sum(deviation) as sum_deviation,
        sum(deviation * deviation) as sum_squares
    from {{ ref('int_pixel_strata') }}
    where {{ batch }}
    group by driver_map_id{% for factor in set.factors %}, stratum_{{ factor }}{% endfor %}
    {% if not loop.last %}union all{% endif %}
    {%- endfor %}
),

pairs as (
    {%- for places in [[0, 1], [0, 2], [1, 2]] %}
    select
        driver_map_id,
        {%- for name in ['factor_1', 'factor_2'] %}
        {%- set place = places[loop.index0] %}
        case set_id
        {%- for set in sets if set.factors | length > place %}
            when {{ set.number }} then {{ set.factors[place] }}
        {%- else %}
            when 0 then cast(null as int)
        {%- endfor %}
        end as {{ name }},
        {%- endfor %}
        stratum_at_{{ places[0] }} as stratum_1,
        stratum_at_{{ places[1] }} as stratum_2,
        n,
        sum_deviation,
        sum_squares
    from grouped
    where set_id in (0
        {%- for set in sets if set.factors | length > places[1] and [set.factors[places[0]], set.factors[places[1]]] in set.pairs %}, {{ set.number }}{% endfor %})
    {% if not loop.last %}union all{% endif %}
    {%- endfor %}
)

select
    driver_map_id,
    cast(factor_1 as int) as factor_1,
    cast(factor_2 as int) as factor_2,
    cast(stratum_1 as int) as stratum_1,
    cast(stratum_2 as int) as stratum_2,
    cast(sum(n) as bigint) as n,
    sum(sum_deviation) as sum_deviation,
    sum(sum_squares) as sum_squares
from pairs
where stratum_1 is not null and stratum_2 is not null
group by driver_map_id, factor_1, factor_2, stratum_1, stratum_2
{% else %}
select
    driver_map_id,
    cast(null as int) as factor_1,
    cast(null as int) as factor_2,
    cast(null as int) as stratum_1,
    cast(null as int) as stratum_2,
    cast(null as bigint) as n,
    deviation as sum_deviation,
    deviation as sum_squares
from {{ ref('int_pixel_strata') }}
where {{ batch }} and false
{% endif %}
