{#- An identity that holds in every row: `{left} = {right}` within a relative tolerance; rows where a side is NULL do not count. -#}
{% test identity(model, left, right, tolerance=1e-9) %}
select *
from {{ model }}
where abs(({{ left }}) - ({{ right }})) > {{ tolerance }} * greatest(abs({{ left }}), abs({{ right }}), 1e-300)
{% endtest %}
