{#- A model's schema is its room (staging, intermediate, marts, seeds), without dbt's target prefix: people write `marts.fct_trends`. -#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ custom_schema_name | trim if custom_schema_name else target.schema }}
{%- endmacro %}
