{#- The seasons of the study that are a rule and not a calendar (`season_rules`), as far as `trends.seasons` names them, each with the
    `series_id` whose months it looks at. -#}
{% macro ruled_seasons() -%}
    {%- set known = study_series() + study_composites() -%}
    {%- set found = [] -%}
    {%- for rule in study('season_rules') if rule.season in study('trends').seasons -%}
        {%- for series in known if series.variable == rule.variable and series.product == rule.product and series.layer == rule.get('layer', 'surface') -%}
            {%- set row = {'series_id': series.series_id} -%}
            {%- do row.update(rule) -%}
            {%- do found.append(row) -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ return(found) }}
{%- endmacro %}


{#- The months of calendar seasons as rows (season, month_number, year_shift, n_months_of_season): a month of year y belongs to the season of year
    y + year_shift. Usage: with calendar as ({{ months_of_seasons(study('trends').seasons) }}) -#}
{% macro months_of_seasons(seasons) -%}
    select
        season,
        cast(month_number as int) as month_number,
        cast(year_shift as int) as year_shift,
        cast(count(*) over (partition by season) as int) as n_months_of_season
    from {{ ref('season_calendars') }}
    where season in ({{ literals(seasons) }})
{%- endmacro %}
