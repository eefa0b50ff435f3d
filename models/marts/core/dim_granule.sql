-- Provenance: the files that the products of the study were made of.
select
    {{ literal(var('study').name) }} as study,
    product,
    granule,
    granule_key,
    version,
    sha256,
    first_date,
    last_date,
    n_months
from {{ read_lake('catalog/granules') }}
where product in (select product from {{ ref('dim_product') }})
