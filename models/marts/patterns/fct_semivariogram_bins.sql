{{ config(enabled=needs('patterns')) }}
select
    series.study,
    series.variable,
    series.product,
    series.layer,
    maps.region_id,
    maps.month,
    {{ sampling_label() }} as sampling,
    bins.direction,
    bins.bin,
    bins.lag_m,
    bins.lag_upper_m,
    bins.n_pairs,
    bins.semivariance,
    series.unit
from {{ ref('int_semivariogram') }} as bins
inner join {{ ref('int_semivariogram_input') }} as maps on bins.map_id = maps.map_id
inner join {{ ref('int_series') }} as series on maps.series_id = series.series_id
