-- The empirical semivariogram of every map, a batch of maps at a time: a kernel gets a map in one list.
{{ config(materialized='by_period', enabled=needs('patterns')) }}
{% set variograms = study('variograms') %}
with maps as (
    {{ gathered_maps() }}
),

found as (
    select map_id, semivariogram_geodesic(cells, cutoff_m, cast({{ variograms.n_bins | int }} as int)) as bins
    from maps
),

members as (
    select map_id, {{ each_of('bins') }} as member
    from found
)

select
    map_id,
    member.direction as direction,
    member.bin as bin,
    member.lag_m as lag_m,
    member.lag_upper_m as lag_upper_m,
    member.n_pairs as n_pairs,
    member.semivariance as semivariance
from members
{%- if not variograms.directions %}
where member.direction = 'all'
{%- endif %}
