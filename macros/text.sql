{#- A number as text for people: whole numbers without a decimal point, others with at most six decimals, small ones with twelve, none of them a
    trailing 0. (A plain cast writes whole doubles and very small ones in each engine's own way.)
    Usage: {{ number_as_text('upper') }} -#}
{% macro number_as_text(value) -%}
    case
        when abs({{ value }}) < 1e9 and {{ value }} = floor({{ value }}) then cast(cast(floor({{ value }}) as bigint) as string)
        when abs({{ value }}) >= 0.01 and abs({{ value }}) < 1e20
            then trim(trailing '.' from trim(trailing '0' from cast(cast({{ value }} as decimal(38, 6)) as string)))
        when abs({{ value }}) < 0.01 then trim(trailing '.' from trim(trailing '0' from cast(cast({{ value }} as decimal(38, 12)) as string)))
        else cast({{ value }} as string)
    end
{%- endmacro %}


{#- A number with as many decimals as tell apart numbers that differ by `step`, none where that is 1 or more. By hand: the engines round halves that
    have no exact double each in its way.
    Usage: {{ number_as_text(rounded_to_step('upper', 'upper - lower')) }} -#}
{% macro rounded_to_step(value, step) -%}
    case
        when {{ step }} >= 1 then cast(floor({{ value }} + 0.5) as double)
        when {{ step }} >= 0.01 then cast(floor({{ value }} * 100 + 0.5) as double) / 100
        else cast(floor({{ value }} * 1000000 + 0.5) as double) / 1000000
    end
{%- endmacro %}


{#- The name of a depth interval from its limits in cm: 0 and 5 are `0-5 cm`, 2.5 and 7.5 `2.5-7.5 cm`. -#}
{% macro layer_name(top, bottom) -%}
    {{ number_as_text(top) }} || '-' || {{ number_as_text(bottom) }} || ' cm'
{%- endmacro %}
