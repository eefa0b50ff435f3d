{#- A column adds up to `total` (a number or an aggregate) in every group, within a tolerance. -#}
{% test adds_up(model, column_name, group_by, total=1, tolerance=1e-9) %}
select {{ group_by | join(', ') }}, sum({{ column_name }}) as found, {{ total }} as wanted
from {{ model }}
group by {{ group_by | join(', ') }}
having abs(sum({{ column_name }}) - {{ total }}) > {{ tolerance }} * greatest(abs({{ total }}), 1)
{% endtest %}
