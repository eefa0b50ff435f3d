{{ config(enabled=uses_product('trims_lst')) }}
-- The files' scale is 0.01 or 0.02 K by version, and no file says which. Land surface temperatures of 200 to 350 K are 20,000 to 35,000 with the one, 10,000 to
-- 17,500 with the other: the two ranges do not meet, so the number tells. Everything else is fill.
with kelvin as (
    select
        cast(pixel_id as bigint) as pixel_id,
        obs_date,
        cast(year as int) as year,
        cast(month as int) as month,
        case
            when lst_day between 10000 and 17500 then cast(lst_day as double) * 0.02
            when lst_day between 20000 and 35000 then cast(lst_day as double) * 0.01
        end as lst_day,
        case
            when lst_night between 10000 and 17500 then cast(lst_night as double) * 0.02
            when lst_night between 20000 and 35000 then cast(lst_night as double) * 0.01
        end as lst_night
    from {{ read_lake('raw/trims_lst', partitioned=true) }}
)

select
    pixel_id,
    obs_date,
    year,
    month,
    lst_day - 273.15 as land_surface_temperature_day,
    lst_night - 273.15 as land_surface_temperature_night,
    lst_day - lst_night as land_surface_temperature_difference
from kelvin
