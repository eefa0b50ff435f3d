{{ config(enabled=uses_product('mod16a2')) }}
-- Values above 32700 are classes, not measurements. Used is what leaf area of the main algorithm went into (bit 0 is 0).
-- mm a period, on its first day: 8 days, but 5 or 6 from day 361 of the year on.
select
    cast(pixel_id as bigint) as pixel_id,
    obs_date,
    cast(year as int) as year,
    cast(month as int) as month,
    case when not {{ has_bits('et_qc', 1) }} and et between -32767 and 32700 then cast(et as double) / 10 end as evapotranspiration,
    case when not {{ has_bits('et_qc', 1) }} and pet between -32767 and 32700 then cast(pet as double) / 10 end as potential_evapotranspiration
from {{ read_lake('raw/mod16a2', partitioned=true) }}
