-- Where the factors may be cut into strata: every method x k, and the finest partition, of which each of them is a union (method `cells`). A
-- continuous factor's come from the kernel; a categorical one has its categories, which are cells and strata alike, in the order of their codes.
{{ config(materialized='by_period', enabled=needs('drivers')) }}
{#- Quantiles among the cells' breaks, for the upper bound of q: more change it in the third digit and cost their square in time. -#}
{% set n_cells = 512 %}
with asked as (
    select distinct cells_map_id, factor_id, kind, methods, k_min, k_max from {{ ref('int_driver_factor') }}
),

given as (
    select cells_map_id, factor_id, value
    from {{ ref('int_driver_value') }}
    where {{ in_batch('cells_map_id', ref('int_driver_factor'), 'max(n_pixels_of_map) * count(distinct factor_id)') }}
),

continuous as (
    select
        given.cells_map_id,
        given.factor_id,
        asked.methods,
        asked.k_min,
        asked.k_max,
        {{ list_of('given.value') }} as x
    from given
    inner join asked
        on given.cells_map_id = asked.cells_map_id and given.factor_id = asked.factor_id and asked.kind = 'continuous'
    group by given.cells_map_id, given.factor_id, asked.methods, asked.k_min, asked.k_max
),

cut as (
    select
        cells_map_id,
        factor_id,
        {{ each_of('candidate_breaks(x, methods, k_min, k_max, cast(' ~ n_cells ~ ' as int))') }} as strata
    from continuous
),

categories as (
    select
        given.cells_map_id,
        given.factor_id,
        given.value,
        cast(row_number() over (partition by given.cells_map_id, given.factor_id order by given.value nulls last) as int) as stratum,
        cast(count(*) over (partition by given.cells_map_id, given.factor_id) as int) as n_strata
    from given
    inner join asked
        on given.cells_map_id = asked.cells_map_id and given.factor_id = asked.factor_id and asked.kind = 'categorical'
    group by given.cells_map_id, given.factor_id, given.value
)

select
    cells_map_id,
    factor_id,
    strata.method as method,
    strata.n_strata_asked as n_strata_asked,
    strata.stratum as stratum,
    strata.lower as lower,
    strata.upper as upper
from cut
union all
select
    categories.cells_map_id,
    categories.factor_id,
    methods.method,
    categories.n_strata as n_strata_asked,
    categories.stratum,
    categories.value as lower,
    categories.value as upper
from categories
cross join (select 'cells' as method union all select 'categories' as method) as methods
