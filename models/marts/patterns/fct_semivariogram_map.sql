{{ config(enabled=needs('patterns') and study('variograms').map) }}
select
    series.study,
    series.variable,
    series.product,
    series.layer,
    maps.region_id,
    maps.month,
    {{ sampling_label() }} as sampling,
    squares.lag_east_m,
    squares.lag_north_m,
    squares.n_pairs,
    squares.semivariance,
    series.unit
from {{ ref('int_semivariogram_map') }} as squares
inner join {{ ref('int_semivariogram_input') }} as maps on squares.map_id = maps.map_id
inner join {{ ref('int_series') }} as series on maps.series_id = series.series_id
