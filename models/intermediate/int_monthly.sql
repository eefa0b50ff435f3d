-- Covered months, narrow: what patterns and trends are computed from, under the number of the series instead of its four names.
-- A view: joining 36 million rows to a few series costs less than writing them a second time.
{{ config(materialized='view', enabled=needs('patterns') or needs('trends')) }}
select
    series.series_id,
    pixels.pixel_id,
    pixels.month,
    cast(year(pixels.month) as int) as year,
    cast(month(pixels.month) as int) as month_number,
    -- Not outside the month's days, see the macro mean(): equal days must give equal months.
    case when series.monthly_statistic = 'total' then pixels.value
        else greatest(pixels.min, least(pixels.max, pixels.value))
    end as value
from {{ ref('fct_pixel_monthly') }} as pixels
inner join {{ ref('int_series') }} as series
    on pixels.variable = series.variable and pixels.product = series.product and pixels.layer = series.layer
where pixels.is_covered
