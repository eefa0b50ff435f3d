{#- A condition that no row breaks; a row for which it is NULL does not count. -#}
{% test holds(model, expression) %}
select *
from {{ model }}
where not ({{ expression }})
{% endtest %}
