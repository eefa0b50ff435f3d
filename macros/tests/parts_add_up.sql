{#- In every group the rows of all other parts add up to the row of the whole: where `part` is `whole`, `value` is the sum of `value` over the
    group's other rows. A group without other rows does not count. -#}
{% test parts_add_up(model, group_by, part, whole, value) %}
select {{ group_by | join(', ') }}
from {{ model }}
group by {{ group_by | join(', ') }}
having count(case when {{ part }} <> '{{ whole }}' then 1 end) > 0
    and sum(case when {{ part }} = '{{ whole }}' then {{ value }} else 0 end) <> sum(case when {{ part }} = '{{ whole }}' then 0 else {{ value }} end)
{% endtest %}
