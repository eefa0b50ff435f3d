-- The members of each triple, a row a member, and the grid that it is collocated on: the one with the largest cells among its gridded members.
{{ config(enabled=needs('validation')) }}
with members as (
    {%- for triple in collocated_triples() %}
    {%- set outer = loop %}
    {%- for member in triple.members %}
    select
        {{ triple.triple_id }} as triple_id,
        {{ loop.index }} as position,
        {{ member.member_id }} as member_id,
        {{ literal(member.product) }} as product,
        {{ literal(member.layer) }} as layer,
        {{ 'true' if member.is_station else 'false' }} as is_station,
        {{ 'true' if triple.force else 'false' }} as is_forced
    {% if not (loop.last and outer.last) %}union all{% endif %}
    {%- endfor %}
    {%- else %}
    select
        cast(null as int) as triple_id, cast(null as int) as position, cast(null as int) as member_id, cast(null as string) as product,
        cast(null as string) as layer, cast(null as boolean) as is_station, cast(null as boolean) as is_forced
    where false
    {%- endfor %}
),

cells as (
    select grid_id, avg(area_km2) as cell_km2
    from {{ read_lake('grids/pixels') }}
    where grid_id in (select grid_id from {{ ref('int_series') }})
    group by grid_id
),

grids as (
    select members.triple_id, series.grid_id
    from members
    inner join {{ ref('int_series') }} as series on members.member_id = series.series_id
    inner join cells on series.grid_id = cells.grid_id
    qualify row_number() over (partition by members.triple_id order by cells.cell_km2 desc, members.position nulls last) = 1
)

select
    members.triple_id,
    members.position,
    members.member_id,
    members.product,
    members.layer,
    members.is_station,
    members.is_forced,
    grids.grid_id
from members
inner join grids on members.triple_id = grids.triple_id
