{{ config(enabled=uses_product('mcd43d61')) }}
-- Times 0.001. The file has no quality of its own (that is in MCD43D31 to D41).
select
    cast(pixel_id as bigint) as pixel_id,
    obs_date,
    cast(year as int) as year,
    cast(month as int) as month,
    case when albedo between 0 and 1000 then cast(albedo as double) / 1000 end as albedo_white_sky
from {{ read_lake('raw/mcd43d61', partitioned=true) }}
