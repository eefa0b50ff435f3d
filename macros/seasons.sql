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
