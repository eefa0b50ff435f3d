{{ config(enabled=uses_product('mod15a2h')) }}
-- Values 249 to 255 are classes (254 water), not measurements: the valid range 0 to 100 is the mask. Used is what the main algorithm made (bit 0 is 0)
-- without significant cloud (bits 3-4 are not 1). On the first of the 8 days.
select
    cast(pixel_id as bigint) as pixel_id,
    obs_date,
    cast(year as int) as year,
    cast(month as int) as month,
    case when not {{ has_bits('fparlai_qc', 1) }} and (cast(fparlai_qc as int) & 24) <> 8 and lai between 0 and 100 then cast(lai as double) / 10 end as leaf_area_index,
    case when not {{ has_bits('fparlai_qc', 1) }} and (cast(fparlai_qc as int) & 24) <> 8 and fpar between 0 and 100 then cast(fpar as double) / 100 end as fapar
from {{ read_lake('raw/mod15a2h', partitioned=true) }}
