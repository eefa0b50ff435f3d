-- The permutation significance of every factor of every map (`drivers.permutations` draws; none: no rows). A draw shifts the whole map of the
-- target, which keeps its spatial autocorrelation, and takes the largest q over all candidates; it is held against the largest q of the map
-- itself, whatever candidate is published, because only like is comparable with like.
{{ config(materialized='by_period', enabled=needs('drivers')) }}
{% set drivers = study('drivers') %}
with pixels as (
    select * from {{ ref('int_pixel_cell') }}
    where {{ in_batch('driver_map_id', ref('int_driver_factor'), 'max(n_pixels_of_map) * count(distinct factor_id)') }}
        and {{ drivers.permutations | int }} > 0
),

maps as (
    {%- for factor in driver_factors() %}
    select
        driver_map_id,
        {{ factor.factor_id }} as factor_id,
        {{ struct_list({'row_index': 'row_index', 'col_index': 'col_index', 'deviation': 'deviation', 'cell': 'cell_' ~ factor.factor_id}) }} as cells
    from pixels
    group by driver_map_id
    {% if not loop.last %}union all{% endif %}
    {%- else %}
    select
        driver_map_id,
        cast(null as int) as factor_id,
        {{ struct_list({'row_index': 'row_index', 'col_index': 'col_index', 'deviation': 'deviation', 'cell': 'row_index'}) }} as cells
    from pixels
    where false
    group by driver_map_id
    {%- endfor %}
),

candidates as (
    select
        cells_map_id,
        factor_id,
        {{ struct_list({'candidate': 'candidate', 'upper_cell': 'upper_cell'}) }} as candidates
    from {{ ref('int_candidate_cell') }}
    group by cells_map_id, factor_id
),

largest as (
    select driver_map_id, factor_id, max(q) as q
    from {{ ref('int_factor_candidate') }}
    where n_strata > 1
    group by driver_map_id, factor_id
),

drawn as (
    select
        maps.driver_map_id,
        maps.factor_id,
        permuted_q(
            maps.cells, candidates.candidates, largest.q,
            cast({{ drivers.permutations | int }} as int), cast({{ drivers.seed | int }} as int)
        ) as draws
    from maps
    inner join {{ ref('int_factor_choice') }} as choices
        on maps.driver_map_id = choices.driver_map_id and maps.factor_id = choices.factor_id
    inner join largest
        on maps.driver_map_id = largest.driver_map_id and maps.factor_id = largest.factor_id
    inner join {{ ref('int_driver_factor') }} as factors
        on maps.driver_map_id = factors.driver_map_id and maps.factor_id = factors.factor_id
    inner join candidates
        on factors.cells_map_id = candidates.cells_map_id and factors.factor_id = candidates.factor_id
)

select
    driver_map_id,
    factor_id,
    draws.p as p,
    draws.q_mean as q_mean
from drawn
