{{ config(enabled=uses_product('spl3smp_e_pm')) }}
-- Bit 1 of retrieval_qual_flag says "not recommended"; the other bits alone do not forbid a value. Values outside the product's valid
-- range 0.02-0.5 are not used. surface_flag: 32 snow or ice, 64 permanent snow or ice, 128 frozen by the radiometer, 256 frozen by the
-- model's temperature; 480 is all four.
select
    cast(pixel_id as bigint) as pixel_id,
    obs_date,
    cast(year as int) as year,
    cast(month as int) as month,
    case when surface_flag < 65534 then {{ has_bits('surface_flag', 480) }} end as is_frozen_0_5cm,
    case
        when {{ has_bits('retrieval_qual_flag', 1) }} then cast(null as double)
        when soil_moisture between 0.02 and 0.5 then {{ finite('soil_moisture') }}
    end as soil_moisture_0_5cm
from {{ read_lake('raw/spl3smp_e_pm', partitioned=true) }}
