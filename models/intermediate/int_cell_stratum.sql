-- The stratum of every cell in the chosen discretisations.
{{ config(enabled=needs('drivers')) }}
select
    moments.driver_map_id,
    moments.factor_id,
    moments.cell,
    strata.stratum
from {{ ref('int_cell_moments') }} as moments
inner join {{ ref('int_factor_stratum') }} as strata
    on moments.driver_map_id = strata.driver_map_id
    and moments.factor_id = strata.factor_id
    and moments.cell between strata.first_cell and strata.last_cell
