-- The largest sum of squares between strata that any partition of a continuous factor's cells into as many strata as were chosen can reach. (The
-- categories of a categorical factor are its cells: nothing explains more than they do.)
{{ config(enabled=needs('drivers')) }}
with cells as (
    select
        moments.driver_map_id,
        moments.factor_id,
        choices.n_strata,
        {{ struct_list({'cell': 'moments.cell', 'n': 'moments.n', 'sum_deviation': 'moments.sum_deviation'}) }} as cells
    from {{ ref('int_cell_moments') }} as moments
    inner join {{ ref('int_factor_choice') }} as choices
        on moments.driver_map_id = choices.driver_map_id and moments.factor_id = choices.factor_id
    where choices.method <> 'categories'
    group by moments.driver_map_id, moments.factor_id, choices.n_strata
),

partitions as (
    select
        driver_map_id,
        factor_id,
        n_strata,
        {{ each_of('best_partition(cells, cast(n_strata as int))') }} as best
    from cells
)

select
    driver_map_id,
    factor_id,
    best.ssb as ssb
from partitions
where best.k = n_strata
