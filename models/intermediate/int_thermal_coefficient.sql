-- The coefficients that a land cover at an NDVI level is estimated with: its own where it has enough samples, else those of its land cover, else
-- those of all.
{{ config(enabled=needs('downscaling')) }}
with asked as (
    {% for product in study_downscaled('thermal_inertia') %}
    {%- set entry = product.entry %}
    select
        covers.series_id,
        covers.land_cover,
        levels.ndvi_level,
        windows.window_number,
        windows.window_start,
        windows.window_end,
        {{ literal(product.product ~ '/') }} || cast(windows.window_start as string) as model_id,
        {{ entry.min_samples }} as min_samples
    from (select distinct series_id, land_cover from {{ ref('int_thermal_pixel') }} where series_id = {{ product.series_id }}) as covers
    cross join (select ndvi_level from {{ ref('ndvi_levels') }} where scheme = {{ literal(entry.ndvi_levels) }}) as levels
    cross join ({{ thermal_windows(entry) }}) as windows
    {% if not loop.last %}union all{% endif %}
    {% else %}
    select
        cast(null as int) as series_id, cast(null as string) as land_cover, cast(null as string) as ndvi_level, cast(null as int) as window_number,
        cast(null as date) as window_start, cast(null as date) as window_end, cast(null as string) as model_id, cast(null as int) as min_samples
    where false
    {% endfor %}
),

candidates as (
    select
        asked.*,
        fits.coefficient_source,
        fits.slope,
        fits.intercept,
        fits.n,
        fits.r2,
        fits.smallest_difference,
        fits.largest_difference,
        case fits.coefficient_source when 'class_level' then 1 when 'class' then 2 else 3 end as preference
    from asked
    inner join {{ ref('int_thermal_fit') }} as fits
        on asked.series_id = fits.series_id
        and asked.window_number = fits.window_number
        and (fits.land_cover is null or asked.land_cover = fits.land_cover)
        and (fits.ndvi_level is null or asked.ndvi_level = fits.ndvi_level)
    where fits.n >= asked.min_samples
)

select
    series_id,
    model_id,
    land_cover,
    ndvi_level,
    window_number,
    window_start,
    window_end,
    slope,
    intercept,
    n,
    r2,
    coefficient_source,
    smallest_difference,
    largest_difference
from candidates
qualify row_number() over (partition by series_id, window_number, land_cover, ndvi_level order by preference nulls last) = 1
