-- Which stations make up what is scored: each by itself, the stations of a network, and those whose pixel is in a region.
{{ config(enabled=needs('validation')) }}
select series_id, reference_product, station_id, 'station' as unit_kind, station_id as unit_id
from {{ ref('int_matchup_layer') }}
union all
select layers.series_id, layers.reference_product, layers.station_id, 'network' as unit_kind, stations.network as unit_id
from {{ ref('int_matchup_layer') }} as layers
inner join {{ read_lake('stations') }} as stations
    on layers.reference_product = stations.product and layers.station_id = stations.station_id
where stations.network is not null
union all
select layers.series_id, layers.reference_product, layers.station_id, 'region' as unit_kind, regions.region_id as unit_id
from {{ ref('int_matchup_layer') }} as layers
inner join {{ ref('int_pixel_region') }} as regions
    on layers.grid_id = regions.grid_id and layers.pixel_id = regions.pixel_id
