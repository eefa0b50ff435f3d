-- Estimate beside reference: a validated series at the pixel that holds a station, and the station, on the days that have both.
{{ config(enabled=needs('validation')) }}
select
    layers.series_id,
    layers.reference_product,
    layers.station_id,
    layers.grid_id,
    layers.pixel_id,
    layers.reference_layer,
    estimates.obs_date,
    estimates.value as estimate,
    reference.value as reference,
    estimates.anomaly as estimate_anomaly,
    reference.anomaly as reference_anomaly,
    layers.distance_m,
    layers.depth_gap_cm
from {{ ref('int_matchup_layer') }} as layers
inner join {{ ref('int_matchup_estimate') }} as estimates
    on layers.series_id = estimates.series_id and layers.pixel_id = estimates.pixel_id
inner join {{ ref('int_matchup_reference') }} as reference
    on layers.reference_product = reference.product and layers.station_id = reference.station_id
    and layers.reference_layer = reference.layer and estimates.obs_date = reference.obs_date
