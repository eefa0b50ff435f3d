-- The one table in which it is decided whether a month has enough days: patterns and trends read covered months of it.
{% set coverage = study('coverage') %}
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

labelled as (
    select
        series.*,
        months.pixel_id,
        {{ first_of_month('months.year', 'months.month_number') }} as month,
        months.total / nullif(months.n_days, 0) as mean,
        months.min,
        months.max,
        months.sd,
        months.total,
        months.n_days,
        months.n_dekads
    from months
    inner join {{ ref('int_series') }} as series on months.series_id = series.series_id
)

select
    study,
    variable,
    product,
    layer,
    grid_id,
    pixel_id,
    month,
    mean,
    min,
    max,
    sd,
    total,
    n_days,
    case when time_step = 'month' then cast(1 as double) else cast(n_days as double) / {{ days_in_month('month') }} end as coverage,
    case monthly_statistic when 'total' then total when 'maximum' then max else mean end as value,
    time_step = 'month' or (n_days >= {{ coverage.min_days }} and n_dekads >= {{ coverage.min_dekads }}) as is_covered,
    unit
from labelled
