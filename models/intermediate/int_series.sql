-- What the study analyses, one row a variable, product and layer: its series, its composites, what it downscales. `series_id` stands for the three (and for the grid and the unit)
-- in the intermediate models, so that billions of rows are grouped by a number and labelled at the end.
with asked as (
    {% for series in study_series() %}
    select
        {{ series.series_id }} as series_id,
        {{ literal(series.variable) }} as variable,
        {{ literal(series.product) }} as product,
        {{ literal(series.layer) }} as layer,
        {{ literal((series.get('prepare') or {}).get('grid')) }} as given_grid_id,
        {{ literal(series.get('unit')) }} as given_unit,
        {{ literal(series.get('monthly_statistic')) }} as given_statistic,
        {{ number(study('trends').epsilon.get(series.variable)) }} as given_epsilon,
        {{ series.get('coverage', {}).get('min_days', study('coverage').min_days) }} as min_days,
        {{ series.get('coverage', {}).get('min_dekads', study('coverage').min_dekads) }} as min_dekads
    {% if not loop.last %}union all{% endif %}
    {% else %}
    select
        cast(null as int) as series_id, cast(null as string) as variable, cast(null as string) as product, cast(null as string) as layer,
        cast(null as string) as given_grid_id, cast(null as string) as given_unit, cast(null as string) as given_statistic, cast(null as double) as given_epsilon, cast(null as int) as min_days, cast(null as int) as min_dekads
    where false
    {% endfor %}
    {%- for composite in study_composites() %}
    union all
    -- Which days a month needs was asked of the layers that it is made of.
    select
        {{ composite.series_id }} as series_id,
        {{ literal(composite.variable) }} as variable,
        {{ literal(composite.product) }} as product,
        {{ literal(composite.layer) }} as layer,
        {{ literal((composite.series.get('prepare') or {}).get('grid')) }} as given_grid_id,
        {{ literal(composite.series.get('unit')) }} as given_unit,
        {{ literal(composite.series.get('monthly_statistic')) }} as given_statistic,
        {{ number(study('trends').epsilon.get(composite.variable)) }} as given_epsilon,
        cast(null as int) as min_days,
        cast(null as int) as min_dekads
    {%- endfor %}
    {%- for downscaled in study_downscaled() %}
    union all
    select
        {{ downscaled.series_id }} as series_id,
        {{ literal(downscaled.variable) }} as variable,
        {{ literal(downscaled.product) }} as product,
        {{ literal(downscaled.layer) }} as layer,
        {{ literal(study('downscaling').grid) }} as given_grid_id,
        cast(null as string) as given_unit,
        cast(null as string) as given_statistic,
        {{ number(study('trends').epsilon.get(downscaled.variable)) }} as given_epsilon,
        {{ study('coverage').min_days }} as min_days,
        {{ study('coverage').min_dekads }} as min_dekads
    {%- endfor %}
),

products as (
    select product, grid_id, time_step from {{ read_lake('catalog/products') }}
),

variables as (
    select * from {{ ref('variables') }}
)

select
    asked.series_id,
    {{ literal(var('study').name) }} as study,
    asked.variable,
    asked.product,
    asked.layer,
    coalesce(asked.given_grid_id, products.grid_id) as grid_id,
    products.grid_id as source_grid_id,
    {% if study_downscaled() %}case when asked.series_id in ({{ study_downscaled() | map(attribute='series_id') | join(', ') }}) then 'day' else products.time_step end as time_step{% else %}products.time_step{% endif %},
    coalesce(asked.given_unit, variables.unit) as unit,
    coalesce(asked.given_statistic, variables.monthly_statistic, 'mean') as monthly_statistic,
    asked.min_days,
    asked.min_dekads,
    coalesce(asked.given_epsilon, cast(variables.epsilon_per_year as double), cast(0 as double)) as epsilon_per_year,
    coalesce(variables.falling, 'decrease') as falling,
    coalesce(variables.rising, 'increase') as rising
from asked
left join products on asked.product = products.product
left join variables on asked.variable = variables.variable
