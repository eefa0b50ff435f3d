{{ config(enabled=uses_product('mod11a2')) }}
-- Degrees Celsius where the quality byte says good, or produced with an error of at most 2 K (macro modis_lst). The mean of the clear days of 8 days, on the first of them.
with good as (
    select
        cast(pixel_id as bigint) as pixel_id,
        obs_date,
        cast(year as int) as year,
        cast(month as int) as month,
        {{ modis_lst('lst_day', 'qc_day') }} as land_surface_temperature_day,
        {{ modis_lst('lst_night', 'qc_night') }} as land_surface_temperature_night
    from {{ read_lake('raw/mod11a2', partitioned=true) }}
)

select
    pixel_id,
    obs_date,
    year,
    month,
    land_surface_temperature_day,
    land_surface_temperature_night,
    land_surface_temperature_day - land_surface_temperature_night as land_surface_temperature_difference
from good
