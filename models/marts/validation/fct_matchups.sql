{{ config(enabled=needs('validation')) }}
select
    series.study,
    series.product,
    series.layer,
    matchups.reference_product,
    matchups.station_id,
    stations.network,
    stations.method,
    matchups.reference_layer,
    matchups.grid_id,
    matchups.pixel_id,
    matchups.obs_date,
    {{ utc_of_local('matchups.obs_date', (study('validation').hours or [0])[0]) }} as time_utc,
    matchups.estimate as estimate_m3m3,
    matchups.reference as reference_m3m3,
    matchups.estimate_anomaly as estimate_anomaly_m3m3,
    matchups.reference_anomaly as reference_anomaly_m3m3,
    matchups.distance_m,
    matchups.depth_gap_cm
from {{ ref('int_matchup') }} as matchups
inner join {{ ref('int_series') }} as series on matchups.series_id = series.series_id
left join {{ read_lake('stations') }} as stations
    on matchups.reference_product = stations.product and matchups.station_id = stations.station_id
