-- Every depth interval of the study's series and stations; `surface` is for what has no depth.
with layers as (
    select layer from {{ ref('int_series') }}
    union
    select layer from {{ ref('int_station_variable_daily') }}
)

select
    {{ literal(var('study').name) }} as study,
    layer,
    try_cast(split_part(replace(layer, ' cm', ''), '-', 1) as double) as layer_top_cm,
    try_cast(split_part(replace(layer, ' cm', ''), '-', 2) as double) as layer_bottom_cm
from layers
