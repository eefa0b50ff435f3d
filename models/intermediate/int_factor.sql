-- What may explain a target: the study's factors, one row each. `factor_id` stands for the name in the intermediate models.
with asked as (
    {% for factor in study_factors() %}
    select
        {{ factor.factor_id }} as factor_id,
        {{ literal(factor.factor) }} as factor,
        {{ literal(factor.kind) }} as kind,
        {{ literal(factor.source) }} as source,
        {{ literal(factor.get('product')) }} as product,
        {{ literal(factor.variable if factor.source == 'series' else factor.get('coordinate')) }} as variable,
        {{ literal(factor.layer) }} as layer,
        {{ literal(factor.get('column')) }} as column_name,
        {{ literal(factor.get('unit', 'degrees' if factor.source == 'coordinate' else none)) }} as given_unit,
        {{ literal(factor.get('method')) }} as method,
        {{ factor.k if factor.get('k') is not none else 'cast(null as int)' }} as n_strata_asked,
        {{ 'true' if factor.factor_id in driver_factors() | map(attribute='factor_id') else 'false' }} as is_driver
    {% if not loop.last %}union all{% endif %}
    {% else %}
    select
        cast(null as int) as factor_id, cast(null as string) as factor, cast(null as string) as kind, cast(null as string) as source,
        cast(null as string) as product, cast(null as string) as variable, cast(null as string) as layer, cast(null as string) as column_name,
        cast(null as string) as given_unit, cast(null as string) as method, cast(null as int) as n_strata_asked, false as is_driver
    where false
    {% endfor %}
),

-- A declared fill value is a row of the catalogue: one unit a column.
units as (
    select product, column_name, max(unit) as unit
    from {{ read_lake('catalog/columns') }}
    group by product, column_name
),

series as (
    select * from {{ ref('int_series') }}
),

products as (
    select product, grid_id from {{ read_lake('catalog/products') }}
)

select
    asked.factor_id,
    {{ literal(var('study').name) }} as study,
    asked.factor,
    asked.kind,
    asked.source,
    asked.product,
    asked.variable,
    asked.layer,
    asked.column_name,
    series.series_id,
    products.grid_id,
    coalesce(asked.given_unit, series.unit, units.unit) as unit,
    asked.method,
    asked.n_strata_asked,
    asked.is_driver
from asked
left join series
    on asked.source = 'series'
    and asked.variable = series.variable
    and asked.product = series.product
    and asked.layer = series.layer
left join units on asked.product = units.product and asked.column_name = units.column_name
left join products on asked.product = products.product
