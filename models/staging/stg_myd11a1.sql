{{ config(enabled=uses_product('myd11a1')) }}
-- Degrees Celsius where the quality byte says good, or produced with an error of at most 2 K (macro modis_lst). A value a day.
with good as (
    select
        cast(pixel_id as bigint) as pixel_id,
        obs_date,
        cast(year as int) as year,
        cast(month as int) as month,
        {{ modis_lst('lst_day', 'qc_day') }} as land_surface_temperature_day,
        {{ modis_lst('lst_night', 'qc_night') }} as land_surface_temperature_night
    from {{ read_lake('raw/myd11a1', partitioned=true) }}
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
