{{ config(enabled=uses_product('mcd12q1')) }}
-- Classes of the year, on its first of January; IGBP 1 to 17, plant functional types 0 (water) to 11.
select
    cast(pixel_id as bigint) as pixel_id,
    obs_date,
    cast(year as int) as year,
    cast(month as int) as month,
    case when lc_type1 between 1 and 17 then cast(lc_type1 as double) end as land_cover_igbp,
    case when lc_type5 between 0 and 11 then cast(lc_type5 as double) end as land_cover_pft
from {{ read_lake('raw/mcd12q1', partitioned=true) }}
