{{ config(enabled=uses_product('spl2smp')) }}
-- One half orbit gives one value a cell; a day has up to one descending (06:00) and one ascending (18:00) overpass.
-- Bit 1 of retrieval_qual_flag says "not recommended"; the other bits alone do not forbid a value (in Hawaii version 9 every
-- recommended value carries bit 8). Values outside the product's valid range 0.02-0.5 are not used.
-- `hours` in the study picks an overpass, such as [3, 9] the descending one.
-- surface_flag: 32 snow or ice, 64 permanent snow or ice, 128 frozen by the radiometer, 256 frozen by the model's temperature; 480 is all four.
{% set said = times_of_day('spl2smp', 'soil_moisture', '0-5 cm') %}
with overpasses as (
    select
        cast(pixel_id as bigint) as pixel_id,
        {{ local_date('obs_time') }} as obs_date,
        case when surface_flag < 65534 then {{ has_bits('surface_flag', 480) }} end as is_frozen,
        case
            when {{ has_bits('retrieval_qual_flag', 1) }} then cast(null as double)
            when soil_moisture between 0.02 and 0.5 then {{ finite('soil_moisture') }}
        end as soil_moisture
    from {{ read_lake('raw/spl2smp', partitioned=true) }}
    where {{ in_hours(said.hours, 'obs_time') }}
)

select
    pixel_id,
    obs_date,
    cast(year(obs_date) as int) as year,
    cast(month(obs_date) as int) as month,
    max(is_frozen) as is_frozen_0_5cm,
    avg(soil_moisture) as soil_moisture_0_5cm
from overpasses
group by pixel_id, obs_date
