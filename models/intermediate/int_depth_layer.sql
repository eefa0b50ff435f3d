-- Which layers of soil moisture make up the depth profile of a product, from the surface down (the rule is in macros/depth.sql).
{{ config(enabled=needs('trends')) }}
{% for layer in depth_layers() %}
select
    cast({{ layer.series_id }} as int) as series_id,
    {{ literal(layer.product) }} as product,
    {{ literal(layer.layer) }} as layer,
    {{ number(layer.top_cm) }} as layer_top_cm,
    {{ number(layer.bottom_cm) }} as layer_bottom_cm,
    cast({{ layer.depth_order }} as int) as depth_order,
    cast({{ layer.n_layers }} as int) as n_layers
{% if not loop.last %}union all{% endif %}
{% else %}
select
    cast(null as int) as series_id,
    cast(null as string) as product,
    cast(null as string) as layer,
    cast(null as double) as layer_top_cm,
    cast(null as double) as layer_bottom_cm,
    cast(null as int) as depth_order,
    cast(null as int) as n_layers
where false
{% endfor %}
