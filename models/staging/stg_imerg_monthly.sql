{{ config(enabled=uses_product('imerg_monthly')) }}
-- A mean rate in mm h-1 x 24 h x the days of the month is mm a month. Whole files have the rate in a group, subsets at the root.
select
    cast(pixel_id as bigint) as pixel_id,
    obs_date,
    cast(year as int) as year,
    cast(month as int) as month,
    case
        when coalesce(grid_precipitation, precipitation) >= 0 then {{ finite('coalesce(grid_precipitation, precipitation)') }}
    end * 24 * {{ days_in_month('obs_date') }} as precipitation
from {{ read_lake('raw/imerg_monthly', partitioned=true) }}
