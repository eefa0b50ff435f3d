-- By how much the estimates of a cell and day are shifted so that their mean is the reference's: the difference itself, and more where some pixels
-- meet a limit and the others have to make up for them.
--
-- Spreading the rest evenly over the pixels that are free, again and again until nothing is left, ends where all pixels are shifted by one amount
-- and then cut at their limits. That amount is found at once: sort pixels by how far they are from the limit; if those before a pixel are
-- cut and the rest free, conservation gives one shift; the largest of these shifts, over all pixels, is it.
{{ config(enabled=needs('downscaling')) }}
with pixels as (
    select
        cells.series_id,
        cells.reference_number,
        cells.cell_id,
        cells.obs_date,
        estimates.pixel_id,
        estimates.area_km2,
        cells.area_km2 as total_area_km2,
        cells.attainable_value,
        cells.mean_estimate,
        sign(cells.delta) as direction,
        estimates.estimate,
        case when cells.delta > 0 then estimates.largest else 0 end as boundary,
        case when cells.delta > 0 then estimates.largest - estimates.estimate else estimates.estimate end as room
    from {{ ref('int_thermal_cell') }} as cells
    inner join {{ ref('int_thermal_estimate') }} as estimates
        on cells.series_id = estimates.series_id
        and cells.reference_number = estimates.reference_number
        and cells.cell_id = estimates.cell_id
        and cells.obs_date = estimates.obs_date
        and cells.year = estimates.year
        and cells.month = estimates.month
    where cells.is_clipped
),

before_pixels as (
    select
        *,
        coalesce(sum(area_km2 * (boundary - estimate)) over nearer, 0) as moved_of_cut,
        coalesce(sum(area_km2) over nearer, 0) as area_of_cut
    from pixels
    window nearer as (
        partition by series_id, reference_number, cell_id, obs_date
        order by room nulls last, pixel_id nulls last
        rows between unbounded preceding and 1 preceding
    )
),

shifts as (
    select
        series_id,
        reference_number,
        cell_id,
        obs_date,
        max(direction) * max(
            direction * ((attainable_value - mean_estimate) * total_area_km2 - moved_of_cut) / nullif(total_area_km2 - area_of_cut, 0)
        ) as shift
    from before_pixels
    group by series_id, reference_number, cell_id, obs_date
)

select
    cells.series_id,
    cells.reference_number,
    cells.cell_id,
    cells.obs_date,
    cells.year,
    cells.month,
    cells.valid_fraction,
    cells.reference_value,
    cells.attainable_value,
    cells.delta,
    cells.is_clipped,
    coalesce(shifts.shift, cells.delta) as shift
from {{ ref('int_thermal_cell') }} as cells
left join shifts
    on cells.series_id = shifts.series_id
    and cells.reference_number = shifts.reference_number
    and cells.cell_id = shifts.cell_id
    and cells.obs_date = shifts.obs_date
