-- The variogram map of every map: semivariance by lag to the east and to the north.
{{ config(materialized='by_period', enabled=needs('patterns') and study('variograms').map) }}
with maps as (
    {{ gathered_maps() }}
),

found as (
    select map_id, semivariogram_map(cells, cutoff_m, cast({{ study('variograms').n_bins | int }} as int)) as squares
    from maps
),

members as (
    select map_id, {{ each_of('squares') }} as member
    from found
)

select
    map_id,
    member.lag_east_m as lag_east_m,
    member.lag_north_m as lag_north_m,
    member.n_pairs as n_pairs,
    member.semivariance as semivariance
from members
