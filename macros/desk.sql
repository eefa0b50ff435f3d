{#- Whole days from one date to a later one. -#}
{% macro days_between(first, last) -%}{{ return(adapter.dispatch('days_between')(first, last)) }}{%- endmacro %}
{% macro duckdb__days_between(first, last) -%} cast(date_diff('day', {{ first }}, {{ last }}) as int) {%- endmacro %}
{% macro spark__days_between(first, last) -%} cast(datediff({{ last }}, {{ first }}) as int) {%- endmacro %}


{#- Whether a desk's period is wanted, as SQL: `desk.periods` of the study. -#}
{% macro desk_wants(kind) -%} {{ 'true' if kind in study('desk').periods else 'false' }} {%- endmacro %}


{#- The limits of the classes of drought as one row, for drought_class_of(): each index is compared with six numbers. -#}
{% macro drought_limits() -%}
    select
        max(case when class_order = -4 then ssmi_to end) as extreme,
        max(case when class_order = -3 then ssmi_to end) as severe,
        max(case when class_order = -2 then ssmi_to end) as moderate,
        max(case when class_order = 2 then ssmi_from end) as moderately_wet,
        max(case when class_order = 3 then ssmi_from end) as very_wet,
        max(case when class_order = 4 then ssmi_from end) as extremely_wet
    from {{ ref('drought_classes') }}
{%- endmacro %}
