{{ config(enabled=uses_product('spl2smap_s_1km')) }}
-- Several scenes may hold a cell on one day; the day is their mean. Bit 1 of retrieval_qual_flag says "not recommended"; the valid range is
-- 0.02-0.5. surface_flag: 480 is snow or ice, permanent ice, frozen by the radiometer or by the model.
{% set said = times_of_day('spl2smap_s_1km', 'soil_moisture', '0-5 cm') %}
with scenes as (
    select
        cast(pixel_id as bigint) as pixel_id,
        {{ local_date('obs_time') }} as obs_date,
        case when surface_flag < 65534 then {{ has_bits('surface_flag', 480) }} end as is_frozen,
        case
            when {{ has_bits('retrieval_qual_flag', 1) }} then cast(null as double)
            when soil_moisture between 0.02 and 0.5 then {{ finite('soil_moisture') }}
        end as soil_moisture
    from {{ read_lake('raw/spl2smap_s_1km', partitioned=true) }}
    where {{ in_hours(said.hours, 'obs_time') }}
)

select
    pixel_id,
    obs_date,
    cast(year(obs_date) as int) as year,
    cast(month(obs_date) as int) as month,
    max(is_frozen) as is_frozen_0_5cm,
    avg(soil_moisture) as soil_moisture_0_5cm
from scenes
group by pixel_id, obs_date
