-- The products that the study uses.
select
    {{ literal(var('study').name) }} as study,
    products.product,
    products.title,
    products.format,
    products.kind,
    products.grid_id,
    products.time_step,
    products.source,
    products.citation,
    products.verified,
    products.shares_input_with
from {{ read_lake('catalog/products') }} as products
where products.product in (select product from {{ ref('int_series') }})
    or products.product in (select product from {{ ref('int_factor') }} where product is not null)
    {%- for product in study('stations') %}
    or products.product = {{ literal(product) }}
    {%- endfor %}
{%- for downscaled in study_downscaled() %}
union all
-- Downscaled by this study, from a coarse product and features: a comparison with any of them is not independent.
select
    {{ literal(var('study').name) }} as study,
    {{ literal(downscaled.product) }} as product,
    {{ literal('Soil moisture downscaled to ' ~ study('downscaling').grid ~ ': ' ~ downscaled.estimator ~ (', by ' ~ downscaled.partition if downscaled.partition else '')) }} as title,
    'parquet' as format,
    'downscaled' as kind,
    {{ literal(study('downscaling').grid) }} as grid_id,
    'day' as time_step,
    {{ literal('made by this study, framework ' ~ downscaled.framework) }} as source,
    '' as citation,
    false as verified,
    {{ literal(inputs_of_downscaled(downscaled) | join(', ')) }} as shares_input_with
{%- endfor %}
