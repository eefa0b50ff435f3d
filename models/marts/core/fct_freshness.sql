-- The newest day of each product, as its files say.
select
    {{ literal(var('study').name) }} as study,
    products.product,
    min(granules.first_date) as first_date,
    max(granules.last_date) as newest_date,
    cast(count(granules.granule) as bigint) as n_granules
from {{ ref('dim_product') }} as products
left join {{ ref('dim_granule') }} as granules on products.product = granules.product
group by products.product
