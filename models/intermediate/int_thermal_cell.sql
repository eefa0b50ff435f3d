-- The cells of the reference day by day: what the estimates of their pixels have in the mean, and how far they are from the reference. A cell
-- of which too little was estimated is left out: the mean of the rest of it is not the reference's.
{{ config(enabled=needs('downscaling')) }}
with studied as (
    {% for product in study_downscaled('thermal_inertia') %}
    {%- set series_id = product.series_id %}
    {%- set min_valid_fraction = product.entry.min_valid_fraction %}
    {%- for reference in thermal_references(product.entry) %}
    select
        {{ series_id }} as series_id,
        {{ loop.index }} as reference_number,
        cell_{{ loop.index }} as cell_id,
        sum(area_km2) as area_km2,
        {{ number(min_valid_fraction) }} as min_valid_fraction
    from {{ ref('int_thermal_pixel') }}
    where series_id = {{ series_id }}
    group by cell_{{ loop.index }}
    {% if not loop.last %}union all{% endif %}
    {%- endfor %}
    {% if not loop.last %}union all{% endif %}
    {% else %}
    select
        cast(null as int) as series_id, cast(null as int) as reference_number, cast(null as bigint) as cell_id, cast(null as double) as area_km2,
        cast(null as double) as min_valid_fraction
    where false
    {% endfor %}
),

cells as (
    select
        series_id,
        reference_number,
        cell_id,
        obs_date,
        year,
        month,
        sum(area_km2) as area_km2,
        max(reference_value) as reference_value,
        sum(area_km2 * estimate) / nullif(sum(area_km2), 0) as mean_estimate,
        -- The reference cannot be met below nothing, or above what the pixels can hold.
        greatest(0, least(max(reference_value), sum(area_km2 * largest) / nullif(sum(area_km2), 0))) as attainable_value,
        min(estimate) as smallest,
        min(largest - estimate) as smallest_room
    from {{ ref('int_thermal_estimate') }}
    group by series_id, reference_number, cell_id, obs_date, year, month
)

select
    cells.series_id,
    cells.reference_number,
    cells.cell_id,
    cells.obs_date,
    cells.year,
    cells.month,
    cells.area_km2,
    cells.area_km2 / nullif(studied.area_km2, 0) as valid_fraction,
    cells.reference_value,
    cells.attainable_value,
    cells.mean_estimate,
    cells.attainable_value - cells.mean_estimate as delta,
    cells.smallest + cells.attainable_value - cells.mean_estimate < -1e-12
    or cells.smallest_room - cells.attainable_value + cells.mean_estimate < -1e-12 as is_clipped
from cells
inner join studied
    on cells.series_id = studied.series_id
    and cells.reference_number = studied.reference_number
    and cells.cell_id = studied.cell_id
-- Sums of areas differ in their last digits with the order of adding: what is equal but for these is enough.
where cells.area_km2 >= (studied.min_valid_fraction - 1e-9) * studied.area_km2
