select
    series.study,
    series.variable,
    series.product,
    series.layer,
    series.grid_id,
    months.pixel_id,
    months.month,
    months.mean,
    months.min,
    months.max,
    months.sd,
    months.total,
    months.n_days,
    months.coverage,
    months.value,
    months.is_covered,
    series.unit
from {{ ref('int_pixel_monthly') }} as months
inner join {{ ref('int_series') }} as series on months.series_id = series.series_id
