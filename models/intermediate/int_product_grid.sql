-- Which series are needed on which grid, and how they get there: as they are (`own`), as area-weighted means of the pixels whose centre lies in the
-- target's cell (`mean`, onto larger cells), or each target pixel from the cell that holds its centre (`nearest`, onto smaller ones).
{{ config(enabled=needs('validation')) }}
{% set triples = collocated_triples() %}
with cells as (
    select grid_id, avg(area_km2) as cell_km2
    from {{ read_lake('grids/pixels') }}
    where grid_id in (select grid_id from {{ ref('int_series') }})
    group by grid_id
),

needed as (
    select series_1 as series_id, grid_id, time_step from {{ ref('int_product_pairing') }}
    union
    select series_2 as series_id, grid_id, time_step from {{ ref('int_product_pairing') }}
    union
    select member_id as series_id, grid_id, 'day' as time_step
    from {{ ref('int_triple') }}
    where not is_station
)

select
    needed.series_id,
    needed.grid_id,
    needed.time_step,
    series.grid_id as source_grid_id,
    case
        when series.grid_id = needed.grid_id then 'own'
        when targets.cell_km2 >= sources.cell_km2 then 'mean'
        else 'nearest'
    end as regridding
from needed
inner join {{ ref('int_series') }} as series on needed.series_id = series.series_id
inner join cells as targets on needed.grid_id = targets.grid_id
inner join cells as sources on series.grid_id = sources.grid_id
