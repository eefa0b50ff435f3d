{#- In every group exactly one row has the flag, and no row of the group has a smaller measure than it. -#}
{% test one_best(model, group_by, flag, measure) %}
select {{ group_by | join(', ') }}
from {{ model }}
group by {{ group_by | join(', ') }}
having sum(case when {{ flag }} then 1 else 0 end) <> 1
    or min({{ measure }}) < min(case when {{ flag }} then {{ measure }} end)
{% endtest %}
