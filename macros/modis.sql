{#- What the staging views of several MODIS products share. -#}


{#- Degrees Celsius from a MODIS land surface temperature (0.02 K, valid from 7500; above 19000, 380 K, are fires) and its quality byte: NULL unless bits 0-1
    say good (0), or produced (1) with an error of at most 2 K (bits 6-7 are 0 or 1). Source: MOD11 collection 6 user's guide, table of the QC layers. -#}
{% macro modis_lst(value, quality) -%}
    case
        when {{ value }} between 7500 and 19000
            and ((cast({{ quality }} as int) & 3) = 0 or ((cast({{ quality }} as int) & 3) = 1 and (cast({{ quality }} as int) & 192) <= 64))
            then cast({{ value }} as double) * 0.02 - 273.15
    end
{%- endmacro %}


{#- The day on which a value of a composite was observed: `day_of_year` where it lies in the `days` days from `first_day` on, else `first_day`. The last
    composite of a year runs on beyond the beginning of the next year's first one, which is on day `starts` (1: Terra, 9: Aqua): what was observed after that
    beginning is put on the day before it, so that no pixel has two values a day. -#}
{% macro composite_date(first_day, day_of_year, days, starts=1) -%}
    {%- set last = '(make_date(cast(year(' ~ first_day ~ ') as int) + 1, 1, 1) + ' ~ (starts - 2) ~ ')' -%}
    case
        when {{ day_of_year }} not between 1 and 366 then {{ first_day }}
        {%- for years in (0, 1) %}
        {%- set day = '(make_date(cast(year(' ~ first_day ~ ') as int) + ' ~ years ~ ', 1, 1) + (cast(' ~ day_of_year ~ ' as int) - 1))' %}
        when {{ day }} between {{ first_day }} and {{ first_day }} + {{ days - 1 }} then least({{ day }}, {{ last }})
        {%- endfor %}
        else {{ first_day }}
    end
{%- endmacro %}
