-- The shapes of the study's regions, as text that every database and GIS reads: a snapshot carries no type of an extension.
{% set region = study('region') %}
select
    {{ literal(var('study').name) }} as study,
    region_id,
    name,
    level,
    hex(geometry_wkb) as geometry_wkb_hex
from {{ read_lake('regions/region') }}
where length(hex(geometry_wkb)) > 0
    {%- if region.set is defined %}
    and region_set = {{ literal(region.set) }}
    {%- if region.ids is defined %}
    and region_id in ({% for id in region.ids %}{{ literal(id) }}{{ ', ' if not loop.last }}{% endfor %})
    {%- endif %}
    {%- else %}
    and false
    {%- endif %}
