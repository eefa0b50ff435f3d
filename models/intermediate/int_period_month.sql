-- The periods that anything is taken over, with their months: an equality on `month` joins them to millions of rows, where a range would
-- have to be searched. Only months of the study; a period that the study enters or leaves half-way is cut there, and its dates say so.
{{ config(enabled=needs('patterns') or needs('trends') or needs('drivers')) }}
{% set stability = study('stability').periods if needs('patterns') else [] %}
{% set drivers = study('drivers').periods if needs('drivers') else [] %}
{% set depth = ['all', 'year'] if needs('trends') else [] %}
with months as (
    {{ months_of_study() }}
),

periods as (
    select 'all' as period_kind, cast(null as string) as season, 0 as period_year, month, {{ n_months_of_study() }} as n_months
    from months
    union all
    select 'year' as period_kind, cast(null as string) as season, year as period_year, month, 12 as n_months
    from months
    union all
    select
        'season' as period_kind,
        calendar.season,
        months.year + calendar.year_shift as period_year,
        months.month,
        calendar.n_months_of_season as n_months
    from months
    inner join ({{ months_of_seasons(study('drivers').seasons) }}) as calendar
        on months.month_number = calendar.month_number
    union all
    select 'month' as period_kind, cast(null as string) as season, year * 12 + month_number as period_year, month, 1 as n_months
    from months
),

dated as (
    select
        period_kind,
        season,
        month,
        n_months,
        min(month) over (partition by period_kind, season, period_year) as period_start,
        max(month) over (partition by period_kind, season, period_year) as last_month
    from periods
    where period_kind in ({{ literals(stability + drivers + depth) }})
)

select
    cast(dense_rank() over (order by period_kind, coalesce(season, ''), period_start) as int) as period_id,
    period_kind,
    season,
    period_start,
    {{ add_months_to('last_month', 1) }} as period_end,
    month,
    cast(n_months as int) as n_months_of_period,
    period_kind in ({{ literals(stability) }}) as is_of_stability,
    period_kind in ({{ literals(drivers) }}) as is_of_drivers,
    period_kind in ({{ literals(depth) }}) as is_of_depth
from dated
