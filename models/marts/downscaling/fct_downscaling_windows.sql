{{ config(enabled=needs('downscaling')) }}
select
    {{ literal(var('study').name) }} as study,
    product,
    unit as region_id,
    window_start,
    window_end,
    n_valid,
    status,
    reason,
    model_id
from {{ ref('int_downscaling_model_use') }}
