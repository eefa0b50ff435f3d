{{ config(enabled=uses_product('mcd43a3')) }}
-- Full (0) and magnitude (1) inversions, times 0.001. `albedo` is the mean of black-sky and white-sky, where both are there.
with inverted as (
    select
        cast(pixel_id as bigint) as pixel_id,
        obs_date,
        cast(year as int) as year,
        cast(month as int) as month,
        case when quality_shortwave <= 1 and albedo_bsa_shortwave between 0 and 1000 then cast(albedo_bsa_shortwave as double) / 1000 end as albedo_black_sky,
        case when quality_shortwave <= 1 and albedo_wsa_shortwave between 0 and 1000 then cast(albedo_wsa_shortwave as double) / 1000 end as albedo_white_sky
    from {{ read_lake('raw/mcd43a3', partitioned=true) }}
)

select
    pixel_id,
    obs_date,
    year,
    month,
    (albedo_black_sky + albedo_white_sky) / 2 as albedo,
    albedo_black_sky,
    albedo_white_sky
from inverted
