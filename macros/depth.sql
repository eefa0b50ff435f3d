{#- The layers of soil moisture that make up the depth profile of each product, from the surface down, as a list of mappings: series_id,
    product, layer, top_cm, bottom_cm, depth_order (from 1), n_layers. No two of a product overlap: its composites come first, and layers
    fill what they leave. Of those that overlap among themselves the one that begins nearer the surface is taken, the thinner of two that
    begin together. -#}
{% macro depth_layers() -%}
    {%- set candidates = [] -%}
    {%- for rank, entries in [(0, study_composites()), (1, study_series())] -%}
        {%- for entry in entries if entry.variable == 'soil_moisture' and entry.layer != 'surface' -%}
            {%- set limits = layer_limits(entry.layer) -%}
            {%- do candidates.append([rank, limits[0], limits[1], entry]) -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- set layers = [] -%}
    {%- for product in candidates | map(attribute=3) | map(attribute='product') | unique -%}
        {%- set taken = [] -%}
        {%- for rank, top, bottom, entry in candidates | sort(attribute='0,1,2') if entry.product == product -%}
            {%- set overlapping = [] -%}
            {%- for other in taken if top < other.bottom_cm and other.top_cm < bottom -%}{%- do overlapping.append(other) -%}{%- endfor -%}
            {%- if not overlapping -%}
                {%- do taken.append({'series_id': entry.series_id, 'product': product, 'layer': entry.layer, 'top_cm': top, 'bottom_cm': bottom}) -%}
            {%- endif -%}
        {%- endfor -%}
        {%- for layer in taken | sort(attribute='top_cm') -%}
            {%- do layer.update({'depth_order': loop.index, 'n_layers': taken | length}) -%}
            {%- do layers.append(layer) -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ return(layers) }}
{%- endmacro %}


{#- What an index says: `deficit` below 0, `surplus` above, and nothing where it is 0 but for rounding, as means over an index's own
    reference are. -#}
{% macro moisture_state(index) -%}
    case when {{ index }} <= -{{ smallest_index() }} then 'deficit' when {{ index }} >= {{ smallest_index() }} then 'surplus' end
{%- endmacro %}
{% macro smallest_index() -%} cast(0.000001 as double) {%- endmacro %}


{#- The reference of the study's SSMI, [start, end): that of `ssmi`, or the whole study. -#}
{% macro ssmi_reference() -%}
    {{ return(study('ssmi').get('reference') or var('study').period) }}
{%- endmacro %}


{#- A date such as 2000-01-01, the first of a month, as the number of the month: 12 x year + month - 1. -#}
{% macro month_number_of(day) -%}
    {{ return((day | string)[:4] | int * 12 + (day | string)[5:7] | int - 1) }}
{%- endmacro %}


{#- The class_order of an index in the seed `drought_classes`, whose limits stand in a row `limits` (fct_drought_area). A limit belongs to the
    class farther from 0. -#}
{% macro drought_class_of(index) -%}
    case
        when {{ moisture_state(index) }} = 'deficit' then
            case when {{ index }} <= limits.extreme then -4 when {{ index }} <= limits.severe then -3 when {{ index }} <= limits.moderate then -2 else -1 end
        when {{ moisture_state(index) }} = 'surplus' then
            case when {{ index }} >= limits.extremely_wet then 4 when {{ index }} >= limits.very_wet then 3 when {{ index }} >= limits.moderately_wet then 2 else 1 end
        else 0
    end
{%- endmacro %}
