-- Which two series are compared, by day or by month, and on which grid: the one of the two with the larger cells (or the smaller, where the study says so).
{{ config(enabled=needs('validation')) }}
with asked_for as (
    {%- for pairing in product_pairings() %}
    select
        {{ pairing.comparison_id }} as comparison_id,
        {{ pairing.series_1.series_id }} as series_1,
        {{ pairing.series_2.series_id }} as series_2,
        {{ literal(pairing.time_step) }} as time_step,
        {{ literal(pairing.grid) }} as asked_grid
    {% if not loop.last %}union all{% endif %}
    {%- else %}
    select
        cast(null as int) as comparison_id, cast(null as int) as series_1, cast(null as int) as series_2, cast(null as string) as time_step,
        cast(null as string) as asked_grid
    where false
    {%- endfor %}
),

cells as (
    select grid_id, avg(area_km2) as cell_km2
    from {{ read_lake('grids/pixels') }}
    where grid_id in (select grid_id from {{ ref('int_series') }})
    group by grid_id
)

select
    asked_for.comparison_id,
    asked_for.series_1,
    asked_for.series_2,
    asked_for.time_step,
    case
        when series_1.grid_id = series_2.grid_id then series_1.grid_id
        when (cells_1.cell_km2 >= cells_2.cell_km2) = (asked_for.asked_grid = 'coarser') then series_1.grid_id
        else series_2.grid_id
    end as grid_id
from asked_for
inner join {{ ref('int_series') }} as series_1 on asked_for.series_1 = series_1.series_id
inner join {{ ref('int_series') }} as series_2 on asked_for.series_2 = series_2.series_id
inner join cells as cells_1 on series_1.grid_id = cells_1.grid_id
inner join cells as cells_2 on series_2.grid_id = cells_2.grid_id
