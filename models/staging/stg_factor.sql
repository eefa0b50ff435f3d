-- The study's factors that are columns of products without dates, in physical units: the study gives each its scale, offset, range and the
-- codes that are no data. Fill values are those the product declares (catalog/columns), of the column as it was delivered; `exclude` names
-- codes of it, too. The range is that of the physical value, by default all finite numbers, so that neither NaN nor infinity passes.
{{ config(enabled=needs('patterns') or needs('drivers') or needs('downscaling') or needs('validation')) }}
{% set static = study_factors() | selectattr('source', 'equalto', 'static') | list %}

{% for factor in static %}
select
    {{ factor.factor_id }} as factor_id,
    cast(pixel_id as bigint) as pixel_id,
    value
from (
    select
        pixel_id,
        case
            when cast({{ factor.column }} as double) in (
                select fill_value from {{ read_lake('catalog/columns') }}
                where product = {{ literal(factor.product) }} and column_name = {{ literal(factor.column) }} and fill_value is not null
            ) then cast(null as double)
            {%- if factor.exclude is defined %}
            when cast({{ factor.column }} as double) in ({% for code in factor.exclude %}{{ number(code) }}{{ ', ' if not loop.last }}{% endfor %}) then cast(null as double)
            {%- endif %}
            else cast({{ factor.column }} as double) * {{ number(factor.scale) }} + {{ number(factor.offset) }}
        end as value
    from {{ read_lake('raw/' ~ factor.product ~ '/static') }}
) as delivered
where value between {{ number(factor.get('valid_min', largest_double('-'))) }} and {{ number(factor.get('valid_max', largest_double())) }}
{% if not loop.last %}union all{% endif %}
{% else %}
select
    cast(null as int) as factor_id,
    cast(null as bigint) as pixel_id,
    cast(null as double) as value
where false
{% endfor %}
