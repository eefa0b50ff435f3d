-- Each pixel's months, under the number of the series. Here it is decided, once, by which statistic a variable is analysed and whether a
-- month has enough days; what has no use for the four names of a series reads this instead of fct_pixel_monthly.
{% set composites = study_composites() %}
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
),

months_of_series as (
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
)
{%- if composites %},

-- A composite is the mean of its layers, weighted by their thickness; it has a month where all of them have one, and the month counts where
-- it counts for all. Days are not put together: of monthly values alone the extremes and the spread of the days cannot be known.
members as (
    {%- for composite in composites %}
    {%- for member in composite.members %}
    select {{ composite.series_id }} as series_id, {{ member.series_id }} as member_id, {{ number(member.thickness_cm) }} as thickness_cm, {{ composite.members | length }} as n_members
    {% if not loop.last %}union all{% endif %}
    {%- endfor %}
    {% if not loop.last %}union all{% endif %}
    {%- endfor %}
),

composites as (
    select
        members.series_id,
        months.pixel_id,
        months.month,
        min(months.year) as year,
        min(months.month_number) as month_number,
        -- Never outside the layers, for the reason above.
        greatest(min(months.mean), least(max(months.mean), sum(months.mean * members.thickness_cm) / nullif(sum(members.thickness_cm), 0))) as mean,
        greatest(min(months.value), least(max(months.value), sum(months.value * members.thickness_cm) / nullif(sum(members.thickness_cm), 0))) as value,
        min(months.n_days) as n_days,
        min(months.coverage) as coverage,
        min(case when months.is_covered then 1 else 0 end) = 1 as is_covered
    from members
    inner join months_of_series as months on members.member_id = months.series_id
    group by members.series_id, months.pixel_id, months.month
    having count(*) = max(members.n_members)
)
{%- endif %}

select
    series_id,
    pixel_id,
    month,
    year,
    month_number,
    mean,
    min,
    max,
    sd,
    total,
    n_days,
    coverage,
    value,
    is_covered
from months_of_series
{%- if composites %}
union all
select
    series_id,
    pixel_id,
    month,
    year,
    month_number,
    mean,
    cast(null as double) as min,
    cast(null as double) as max,
    cast(null as double) as sd,
    cast(null as double) as total,
    n_days,
    coverage,
    value,
    is_covered
from composites
{%- endif %}
