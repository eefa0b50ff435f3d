{#- The study's sampling in words, for the column `sampling` of what was computed from a sample of pixels: `all`, `systematic 8000 m`,
    `random 2000, seed 1`. A text literal. -#}
{% macro sampling_label() -%}
    {%- set sampling = study('sampling') -%}
    {%- if sampling.kind == 'systematic' -%} {{ return(literal('systematic ' ~ '%g' | format(sampling.spacing_m | float) ~ ' m')) }}
    {%- elif sampling.kind == 'random' -%} {{ return(literal('random ' ~ sampling.n ~ ', seed ' ~ sampling.seed)) }}
    {%- else -%} {{ return(literal('all')) }}
    {%- endif -%}
{%- endmacro %}
