-- What may explain a target: the factors of the study.
select
    study,
    factor,
    kind,
    source,
    product,
    variable,
    layer,
    column_name,
    unit,
    method,
    n_strata_asked,
    is_driver
from {{ ref('int_factor') }}
