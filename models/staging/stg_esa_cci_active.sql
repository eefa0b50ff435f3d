{{ config(enabled=uses_product('esa_cci_active')) }}
-- Scatterometers see how full the pores are, in percent of saturation: m3 m-3 only with a porosity, which the file does not have.
-- A value is used where no flag is set but 64, the advisory for barren ground: every other flag comes with a fill value.
select
    cast(pixel_id as bigint) as pixel_id,
    obs_date,
    cast(year as int) as year,
    cast(month as int) as month,
    case when flag in (0, 64) and sm between 0 and 100 then {{ finite('sm') }} end as degree_of_saturation_0_5cm
from {{ read_lake('raw/esa_cci_active', partitioned=true) }}
