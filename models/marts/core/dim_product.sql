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
