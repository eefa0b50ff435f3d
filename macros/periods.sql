{#- The study's months as rows: month (its first day), year, month_number.
    Usage: with months as ({{ months_of_study() }}) -#}
{% macro months_of_study() -%}
    {%- set start, end = var('study').period.start | string, var('study').period.end | string -%}
    select
        {{ first_of_month('years.year', 'calendar.month_number') }} as month,
        years.year,
        cast(calendar.month_number as int) as month_number
    from (
        {%- for year in range(start[:4] | int, end[:4] | int + 1) %}
        select cast({{ year }} as int) as year {% if not loop.last %}union all{% endif %}
        {%- endfor %}
    ) as years
    cross join (select month_number from {{ ref('season_calendars') }} where season = 'annual') as calendar
    where {{ first_of_month('years.year', 'calendar.month_number') }} >= cast('{{ start }}' as date)
        and {{ first_of_month('years.year', 'calendar.month_number') }} < cast('{{ end }}' as date)
{%- endmacro %}


{#- How many months the study has. -#}
{% macro n_months_of_study() -%}
    {%- set start, end = var('study').period.start | string, var('study').period.end | string -%}
    {{ return((end[:4] | int - start[:4] | int) * 12 + end[5:7] | int - start[5:7] | int) }}
{%- endmacro %}
