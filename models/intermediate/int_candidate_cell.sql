-- Every candidate discretisation as the last cell of each of its strata, and its number within the factor: what the draws of the permutation
-- test are given, so that each of them chooses anew.
{{ config(enabled=needs('drivers')) }}
select
    candidates.cells_map_id,
    candidates.factor_id,
    cast(dense_rank() over (
        partition by candidates.cells_map_id, candidates.factor_id
        order by candidates.method nulls last, candidates.n_strata_asked nulls last
    ) as int) as candidate,
    cells.stratum as upper_cell
from {{ ref('int_factor_cuts') }} as candidates
inner join {{ ref('int_factor_cuts') }} as cells
    on candidates.cells_map_id = cells.cells_map_id
    and candidates.factor_id = cells.factor_id
    and candidates.upper = cells.upper
where candidates.method <> 'cells' and cells.method = 'cells'
