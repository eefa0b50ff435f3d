-- The strata of the chosen discretisations, as runs of cells: stratum, its ends, and its first and last cell. Strata without pixels are not rows.
{{ config(enabled=needs('drivers')) }}
with chosen as (
    select
        choices.driver_map_id,
        choices.factor_id,
        choices.method,
        factors.cells_map_id,
        cuts.stratum,
        cuts.lower,
        cuts.upper
    from {{ ref('int_factor_choice') }} as choices
    inner join {{ ref('int_driver_factor') }} as factors
        on choices.driver_map_id = factors.driver_map_id and choices.factor_id = factors.factor_id
    inner join {{ ref('int_factor_cuts') }} as cuts
        on factors.cells_map_id = cuts.cells_map_id
        and choices.factor_id = cuts.factor_id
        and choices.method = cuts.method
        and choices.n_strata_asked = cuts.n_strata_asked
),

ends as (
    select
        chosen.driver_map_id,
        chosen.factor_id,
        chosen.method,
        chosen.stratum,
        chosen.lower,
        chosen.upper,
        cells.stratum as last_cell
    from chosen
    inner join {{ ref('int_factor_cuts') }} as cells
        on chosen.cells_map_id = cells.cells_map_id
        and chosen.factor_id = cells.factor_id
        and cells.method = 'cells'
        and chosen.upper = cells.upper
),

runs as (
    select
        *,
        coalesce(lag(last_cell) over (partition by driver_map_id, factor_id order by stratum nulls last), 0) as cell_before
    from ends
)

select
    runs.driver_map_id,
    runs.factor_id,
    runs.method,
    runs.stratum,
    runs.lower,
    runs.upper,
    cast(runs.cell_before + 1 as int) as first_cell,
    runs.last_cell,
    cast(sum(moments.n) as bigint) as n,
    sum(moments.sum_deviation) as sum_deviation,
    sum(moments.sum_squares) as sum_squares,
    min(moments.min_deviation) as min_deviation,
    max(moments.max_deviation) as max_deviation
from runs
inner join {{ ref('int_cell_moments') }} as moments
    on runs.driver_map_id = moments.driver_map_id
    and runs.factor_id = moments.factor_id
    and moments.cell > runs.cell_before
    and moments.cell <= runs.last_cell
group by
    runs.driver_map_id, runs.factor_id, runs.method, runs.stratum, runs.lower, runs.upper, runs.cell_before, runs.last_cell
