{#- No two rows share the columns of the grain, and none of them is NULL but those that may be (`nullable`, such as the season of a year). -#}
{% test grain(model, columns, nullable=[]) %}
select {{ columns | join(', ') }}, count(*) as n_rows
from {{ model }}
group by {{ columns | join(', ') }}
having count(*) > 1 {%- for column in columns if column not in nullable %} or {{ column }} is null {%- endfor %}
{% endtest %}
