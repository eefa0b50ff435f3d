{#- A break between zones as text, with as many decimals as tell the narrowest zone from the next. Rounded by hand: the engines round halves
    that have no exact double each in its way. -#}
{% macro break_text(value, narrowest) -%}
    case when {{ narrowest }} >= 1 then cast(cast(floor({{ value }} + 0.5) as bigint) as string)
        when {{ narrowest }} >= 0.01 then cast(cast(cast(floor({{ value }} * 100 + 0.5) as double) / 100 as decimal(18, 2)) as string)
        else cast(cast(cast(floor({{ value }} * 1000000 + 0.5) as double) / 1000000 as decimal(18, 6)) as string)
    end
{%- endmacro %}
