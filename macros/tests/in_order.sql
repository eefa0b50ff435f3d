{#- In every row the columns (or expressions) do not fall from left to right, within a relative tolerance; rows where one is NULL do
    not count. -#}
{% test in_order(model, columns, tolerance=0) %}
select *
from {{ model }}
where false
{%- for column in columns[1:] %}
    or ({{ columns[loop.index0] }}) - ({{ column }}) > {{ tolerance }} * greatest(abs({{ columns[loop.index0] }}), abs({{ column }}))
{%- endfor %}
{% endtest %}
