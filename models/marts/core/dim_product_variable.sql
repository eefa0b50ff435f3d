-- What the products of the study deliver, and in which unit.
select
    {{ literal(var('study').name) }} as study,
    product,
    variable,
    layer,
    unit,
    description
from {{ read_lake('catalog/variables') }}
where product in (select product from {{ ref('dim_product') }})
