-- The zones of each series: bands of equal pixel count (R's type 7 quantiles; equal breaks are one), bands between the breaks that the study
-- gives, whose ends are open, or classes as they are. A band is (lower, upper], and the first has its lower end, too.
{{ config(enabled=needs('patterns')) }}
{% set zones = study('zones') %}
with units as (
    select factor, max(unit) as unit
    from {{ ref('int_factor') }}
    group by factor
),

{%- for zone in zones if zone.k is defined %}
{% set n = loop.index %}
quantiles_{{ n }} as (
    select
        series_id,
        {%- for i in range(zone.k + 1) %}
        percentile_cont(cast({{ i / zone.k }} as double)) within group (order by value) as break_{{ i }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ ref('int_zone_value') }}
    where factor = {{ literal(zone.factor) }}
    group by series_id
),
{%- endfor %}

breaks as (
    {%- for zone in zones if zone.k is defined %}
    {%- set n = loop.index %}
    {%- for i in range(zone.k + 1) %}
    select series_id, {{ literal(zone.factor) }} as factor, break_{{ i }} as upper from quantiles_{{ n }}
    union
    {%- endfor %}
    {%- endfor %}
    select series_id, factor, value as upper from {{ ref('int_zone_value') }} where false
),

-- Where all pixels are alike there is one break and one zone.
bands as (
    select
        series_id,
        factor,
        lag(upper) over (partition by series_id, factor order by upper nulls last) as lower,
        upper,
        row_number() over (partition by series_id, factor order by upper nulls last) - 1 as zone_number,
        count(*) over (partition by series_id, factor) as n_breaks
    from breaks
),

quantile_zones as (
    select
        series_id,
        factor,
        case when n_breaks = 1 then 1 else zone_number end as zone_number,
        coalesce(lower, upper) as lower,
        upper,
        min(case when zone_number > 0 then upper - lower end) over (partition by series_id, factor) as narrowest
    from bands
    where zone_number > 0 or n_breaks = 1
),

rounded_zones as (
    select
        *,
        {{ rounded_to_step('lower', 'narrowest') }} as lower_rounded,
        {{ rounded_to_step('upper', 'narrowest') }} as upper_rounded
    from quantile_zones
),

series as (
    select distinct series_id, factor from {{ ref('int_zone_value') }}
),

classes as (
    select distinct series_id, factor, value
    from {{ ref('int_zone_value') }}
    where factor in ({{ literals(zones | selectattr('k', 'undefined') | selectattr('breaks', 'undefined') | map(attribute='factor') | list) }})
),

named as (
    select
        series_id,
        factor,
        zone_number,
        lower,
        upper,
        cast(null as double) as class_value,
        case when lower = upper then {{ number_as_text('upper') }} else
            {{ number_as_text('lower_rounded') }} || case when lower < 0 then ' to ' else '-' end || {{ number_as_text('upper_rounded') }}
        end as label,
        true as has_unit
    from rounded_zones
    {%- for zone in zones if zone.breaks is defined %}
    {%- for i in range(zone.breaks | length + 1) %}
    {%- set lower = zone.breaks[i - 1] if i > 0 else none %}
    {%- set upper = zone.breaks[i] if i < zone.breaks | length else none %}
    union all
    select
        series_id,
        factor,
        {{ i + 1 }} as zone_number,
        {{ number(lower) }} as lower,
        {{ number(upper) }} as upper,
        cast(null as double) as class_value,
        {{ literal('up to %.15g' % upper if lower is none else ('above %.15g' % lower if upper is none else '%.15g%s%.15g' % (lower, ' to ' if lower < 0 else '-', upper))) }} as label,
        true as has_unit
    from series
    where factor = {{ literal(zone.factor) }}
    {%- endfor %}
    {%- endfor %}
    union all
    select
        series_id,
        factor,
        row_number() over (partition by series_id, factor order by value nulls last) as zone_number,
        cast(null as double) as lower,
        cast(null as double) as upper,
        value as class_value,
        {{ number_as_text('value') }} as label,
        false as has_unit
    from classes
)

select
    named.series_id,
    named.factor,
    cast(named.zone_number as int) as zone_number,
    named.label || case when named.has_unit then coalesce(' ' || nullif(units.unit, ''), '') else '' end as zone,
    named.lower,
    named.upper,
    named.class_value
from named
left join units on named.factor = units.factor
