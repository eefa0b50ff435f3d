{{ config(enabled=uses_product('sentinel1_ascending')) }}
-- In dB as delivered, and as power, 10^(dB / 10): means over time or space are to be taken of power, a mean of dB is a geometric one.
with decibel as (
    select
        cast(pixel_id as bigint) as pixel_id,
        obs_date,
        cast(year as int) as year,
        cast(month as int) as month,
        case when vv_db between -90 and 50 then {{ finite('vv_db') }} end as backscatter_vv,
        case when vh_db between -90 and 50 then {{ finite('vh_db') }} end as backscatter_vh
    from {{ read_lake('raw/sentinel1_ascending', partitioned=true) }}
)

select
    pixel_id,
    obs_date,
    year,
    month,
    backscatter_vv,
    backscatter_vh,
    power(cast(10 as double), backscatter_vv / 10) as backscatter_vv_power,
    power(cast(10 as double), backscatter_vh / 10) as backscatter_vh_power
from decibel
