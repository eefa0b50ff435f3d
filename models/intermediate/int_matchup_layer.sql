-- Which of a station's layers each validated series is held against: the first of `station_layers` of the study, else the one whose middle is nearest in
-- depth; between equally near ones the shallower. What has no depth is taken for the ground's surface.
{{ config(enabled=needs('validation')) }}
{% set asked = study('validation') %}
with layers as (
    select distinct product, station_id, layer
    from {{ ref('int_matchup_reference') }}
    {%- if asked.station_layers is not none %}
    where layer in ({{ literals(asked.station_layers) }})
    {%- endif %}
),

gaps as (
    select
        series.series_id,
        layers.product as reference_product,
        layers.station_id,
        places.grid_id,
        places.pixel_id,
        layers.layer as reference_layer,
        places.distance_m,
        coalesce({{ layer_middle_of('layers.layer') }}, 0) - coalesce({{ layer_middle_of('series.layer') }}, 0) as depth_gap_cm,
        coalesce({{ layer_top_of('layers.layer') }}, 0) as top_cm,
        {%- if asked.station_layers %}
        case layers.layer {% for layer in asked.station_layers %} when {{ literal(layer) }} then {{ loop.index }} {%- endfor %} end as preference
        {%- else %}
        1 as preference
        {%- endif %}
    from {{ ref('int_series') }} as series
    inner join {{ ref('int_matchup_place') }} as places on series.grid_id = places.grid_id
    inner join layers on places.product = layers.product and places.station_id = layers.station_id
    where series.series_id in ({{ series_ids(validated_series()) }})
        and series.time_step in ('day', 'instant')
)

select
    series_id,
    reference_product,
    station_id,
    grid_id,
    pixel_id,
    reference_layer,
    distance_m,
    depth_gap_cm
from gaps
where abs(depth_gap_cm) <= {{ number(asked.max_depth_gap_cm) }}
qualify row_number() over (
    partition by series_id, reference_product, station_id
    order by preference nulls last, abs(depth_gap_cm) nulls last, top_cm nulls last, reference_layer nulls last
) = 1
