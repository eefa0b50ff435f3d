-- Each pixel's months, under the number of the series. Here it is decided, once, by which statistic a variable is analysed and whether a
-- month has enough days; what has no use for the four names of a series reads this instead of fct_pixel_monthly.
with months as (
    select
        series_id,
        pixel_id,
        year,
        month as month_number,
        min(value) as min,
        max(value) as max,
        stddev_samp(value) as sd,
        sum(value) as total,
        cast(count(value) as bigint) as n_days,
        bit_count(bit_or(case when day(obs_date) <= 10 then 1 when day(obs_date) <= 20 then 2 else 4 end)) as n_dekads
    from {{ ref('int_daily') }}
    {%- if study('exclude_frozen') %}
    where not coalesce(is_frozen, false)
    {%- endif %}
    group by series_id, pixel_id, year, month
),

-- The mean is never outside the days: days that are all 0.02 would have a mean of 0.02 in one month and of 0.020000000000000004 in the
-- next, and a test that asks which is larger would count a rise.
means as (
    select
        *,
        {{ first_of_month('year', 'month_number') }} as month,
        greatest(min, least(max, total / nullif(n_days, 0))) as mean
    from months
)

select
    means.series_id,
    means.pixel_id,
    means.month,
    means.year,
    means.month_number,
    means.mean,
    means.min,
    means.max,
    means.sd,
    means.total,
    means.n_days,
    case when series.time_step = 'month' then cast(1 as double) else cast(means.n_days as double) / {{ days_in_month('means.month') }} end as coverage,
    case series.monthly_statistic when 'total' then means.total when 'maximum' then means.max else means.mean end as value,
    -- The sum of a part of the days is no total, however well the days are spread.
    series.time_step = 'month'
    or (
        means.n_days >= series.min_days
        and means.n_dekads >= series.min_dekads
        and (series.monthly_statistic <> 'total' or means.n_days >= {{ number(study('coverage').min_share_of_total) }} * {{ days_in_month('means.month') }})
    ) as is_covered
from means
inner join {{ ref('int_series') }} as series on means.series_id = series.series_id
