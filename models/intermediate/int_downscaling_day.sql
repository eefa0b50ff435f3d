-- The days that are downscaled: `downscaling.period`, or the study's.
{{ config(enabled=needs('downscaling')) }}
{% set period = downscaling_period() %}
with months as (
    {{ months_of_study() }}
),

days as (
    select
        -- Never 30 February, which the join would leave out: an engine may make the date before it joins.
        make_date(cast(months.year as int), cast(months.month_number as int), least(cast(numbers.day_number as int), cast({{ days_in_month('months.month') }} as int))) as obs_date,
        months.year,
        months.month_number as month
    from months
    inner join (
        {%- for day in range(1, 32) %}
        select {{ day }} as day_number {% if not loop.last %}union all{% endif %}
        {%- endfor %}
    ) as numbers on numbers.day_number <= {{ days_in_month('months.month') }}
)

select
    obs_date,
    year,
    month,
    {{ day_number('obs_date') }} as day_number,
    {{ day_number('obs_date') }} - {{ day_number(first_of_month('year', 1)) }} + 1 as day_of_year
from days
where obs_date >= cast('{{ period.start }}' as date)
    and obs_date < cast('{{ period.end }}' as date)
