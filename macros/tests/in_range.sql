{#- Every value is NULL or in [at_least, at_most], and neither NaN nor infinite: one NaN makes DuckDB's var_pop raise. -#}
{% test in_range(model, column_name, at_least=none, at_most=none) %}
select {{ column_name }}
from {{ model }}
where {{ column_name }} is not null
    and not (
        cast({{ column_name }} as double) between {{ at_least if at_least is not none else '-1.7976931348623157e308' }}
        and {{ at_most if at_most is not none else '1.7976931348623157e308' }}
    )
{% endtest %}
