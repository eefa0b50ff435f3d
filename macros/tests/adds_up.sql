{#- A column adds up in every group, within a relative tolerance: to `total` (a number or an aggregate), or, where `part` and `whole` are given, over the
    rows of all other parts to the row in which the column `part` is `whole`; a group without other parts does not count then. -#}
{% test adds_up(model, column_name, group_by, total=1, part=none, whole=none, tolerance=1e-9) %}
{%- set value = 'cast(' ~ column_name ~ ' as double)' -%}
{%- set summed = value if part is none else 'case when ' ~ part ~ " <> '" ~ whole ~ "' then " ~ value ~ ' end' -%}
{%- set total = total if part is none else 'sum(case when ' ~ part ~ " = '" ~ whole ~ "' then " ~ value ~ ' else 0 end)' %}
select {{ group_by | join(', ') }}, sum({{ summed }}) as found, {{ total }} as wanted
from {{ model }}
group by {{ group_by | join(', ') }}
having abs(sum({{ summed }}) - {{ total }}) > {{ tolerance }} * greatest(abs({{ total }}), 1)
{% endtest %}
