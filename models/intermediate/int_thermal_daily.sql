-- The thermal inertia framework's daily moisture on the fine grid, with the mean of its reference. It says nothing of its error at the fine grid,
-- because nothing is known there: no limits.
{{ config(materialized='view', enabled=needs('downscaling')) }}
select
    estimates.series_id,
    estimates.pixel_id,
    estimates.obs_date,
    estimates.year,
    estimates.month,
    greatest(0, least(estimates.largest, estimates.estimate + shifts.shift)) as value,
    cast(null as double) as lower,
    cast(null as double) as upper,
    greatest(0, least(estimates.largest, estimates.estimate + shifts.shift)) - estimates.estimate as correction,
    {{ thermal_reference_product('estimates.series_id', 'estimates.reference_number') }} as reference_product,
    estimates.model_id,
    estimates.is_extrapolated
from {{ ref('int_thermal_estimate') }} as estimates
inner join {{ ref('int_thermal_shift') }} as shifts
    on estimates.series_id = shifts.series_id
    and estimates.reference_number = shifts.reference_number
    and estimates.cell_id = shifts.cell_id
    and estimates.obs_date = shifts.obs_date
    and estimates.year = shifts.year
    and estimates.month = shifts.month
