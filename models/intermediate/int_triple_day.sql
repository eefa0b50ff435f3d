-- The members of triples on the triple's grid, day by day: series as they are compared, and the mean of the stations that a pixel holds.
{{ config(enabled=needs('validation')) }}
select members.member_id, members.grid_id, products.pixel_id, products.obs_date, products.value
from {{ ref('int_product_value') }} as products
inner join (select distinct member_id, grid_id from {{ ref('int_triple') }} where not is_station) as members
    on products.series_id = members.member_id and products.grid_id = members.grid_id
where products.time_step = 'day'
union all
select
    members.member_id,
    members.grid_id,
    places.pixel_id,
    reference.obs_date,
    avg(reference.value) as value
from (select distinct member_id, grid_id, product, layer from {{ ref('int_triple') }} where is_station) as members
inner join {{ ref('int_matchup_reference') }} as reference on members.product = reference.product and members.layer = reference.layer
inner join {{ ref('int_matchup_place') }} as places
    on members.product = places.product and reference.station_id = places.station_id and members.grid_id = places.grid_id
group by members.member_id, members.grid_id, places.pixel_id, reference.obs_date
