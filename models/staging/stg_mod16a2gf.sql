{{ config(enabled=uses_product('mod16a2gf')) }}
-- Values above 32700 are classes, not measurements. The quality byte speaks of the leaf area that went in; where that was poor it was filled, which is the
-- point of this product: nothing else is masked.
-- mm a period, on its first day: 8 days, but 5 or 6 from day 361 of the year on.
select
    cast(pixel_id as bigint) as pixel_id,
    obs_date,
    cast(year as int) as year,
    cast(month as int) as month,
    case when et between -32767 and 32700 then cast(et as double) / 10 end as evapotranspiration,
    case when pet between -32767 and 32700 then cast(pet as double) / 10 end as potential_evapotranspiration
from {{ read_lake('raw/mod16a2gf', partitioned=true) }}
