{#- The study's periods as rows (period_kind, period_start, period_end), period_end not included: `all` is the whole study, `year` each
    of its calendar years. A year that the study enters or leaves half-way is cut there, so that its dates say what was looked at.
    Usage: with periods as ({{ periods(study('stability').periods) }}) -#}
{% macro periods(kinds) -%}
    {%- set start, end = var('study').period.start | string, var('study').period.end | string -%}
    {%- set rows = [] -%}
    {%- for kind in kinds -%}
        {%- if kind == 'all' -%}
            {%- do rows.append([kind, start, end]) -%}
        {%- elif kind == 'year' -%}
            {%- for year in range(start[:4] | int, end[:4] | int + 1) -%}
                {%- set first, after = [start, year ~ '-01-01'] | max, [end, (year + 1) ~ '-01-01'] | min -%}
                {%- if first < after -%}{%- do rows.append([kind, first, after]) -%}{%- endif -%}
            {%- endfor -%}
        {%- else -%}
            {{ exceptions.raise_compiler_error("A period is `all` or `year`, not `" ~ kind ~ "` (`stability.periods` of the study).") }}
        {%- endif -%}
    {%- endfor -%}
    {%- for kind, first, after in rows %}
    select '{{ kind }}' as period_kind, cast('{{ first }}' as date) as period_start, cast('{{ after }}' as date) as period_end
    {%- if not loop.last %} union all {%- endif %}
    {%- endfor %}
{%- endmacro %}


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
