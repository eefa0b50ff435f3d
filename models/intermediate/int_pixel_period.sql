-- The detectors' targets and series factors over each period: the mean of the covered months that a pixel has in it. Pixels with too few of
-- them (`drivers.min_months_share`) are not rows. Also of what is a total in its months, the mean is taken: a map in which
-- some pixels lack a month would otherwise show where months are missing. A target is on its own grid, a factor on the grid of every target.
{{ config(enabled=needs('drivers')) }}
with targets as (
    select series_id, grid_id
    from {{ ref('int_series') }}
    where variable in ({{ literals(study('drivers').targets) }})
),

asked as (
    select series_id, grid_id from targets
    union
    select factors.series_id, grids.grid_id
    from {{ ref('int_factor') }} as factors
    cross join (select distinct grid_id from targets) as grids
    where factors.is_driver and factors.series_id is not null
),

periods as (
    select * from {{ ref('int_period_month') }} where is_of_drivers
)

select
    months.series_id,
    months.grid_id,
    months.pixel_id,
    periods.period_id,
    {{ mean('months.value') }} as value,
    cast(count(*) as int) as n_months
from {{ ref('int_series_on_grid') }} as months
inner join asked on months.series_id = asked.series_id and months.grid_id = asked.grid_id
inner join periods on months.month = periods.month
group by months.series_id, months.grid_id, months.pixel_id, periods.period_id
having count(*) >= {{ number(study('drivers').min_months_share) }} * max(periods.n_months_of_period)
