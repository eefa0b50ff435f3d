{#- What the study says, with the defaults of dbt_project.yml for what it leaves out. Nested mappings are merged one level deep.
    Usage: study('trends').alpha -#}
{% macro study(key) -%}
    {%- set given = var('study').get(key) -%}
    {%- set default = var('study_defaults').get(key) -%}
    {%- if given is none -%}
        {{ return(default) }}
    {%- elif given is mapping and default is mapping -%}
        {%- set merged = {} -%}
        {%- do merged.update(default) -%}
        {%- do merged.update(given) -%}
        {{ return(merged) }}
    {%- else -%}
        {{ return(given) }}
    {%- endif -%}
{%- endmacro %}


{#- Whether the study asks for a group of marts; used as config(enabled=needs('trends')) inside the model, because `+enabled` in
    dbt_project.yml does not see the project's own vars. -#}
{% macro needs(group) -%}
    {{ return(group in study('groups')) }}
{%- endmacro %}


{#- Whether the study analyses a product: its staging view exists only then, because DuckDB cannot make a view over files that are not there. -#}
{% macro uses_product(product) -%}
    {{ return(product in study('series') | map(attribute='product') | list + study('stations')) }}
{%- endmacro %}


{#- A study's text as an SQL string literal. The only way in which study text enters SQL. -#}
{% macro literal(value) -%}
    {%- if value is none -%} cast(null as string)
    {%- else -%} {{ text_literal(value | string) }}
    {%- endif -%}
{%- endmacro %}


{#- A study's number as a DOUBLE literal, NULL where it is not given. -#}
{% macro number(value) -%}
    {%- if value is none -%} cast(null as double)
    {%- else -%} cast({{ value | float }} as double)
    {%- endif -%}
{%- endmacro %}


{#- The study's series with their number from 1, which is `series_id` in every intermediate model. -#}
{% macro study_series() -%}
    {%- set numbered = [] -%}
    {%- for entry in study('series') -%}
        {%- set row = {'series_id': loop.index, 'layer': 'surface', 'scale': 1, 'offset': 0} -%}
        {%- do row.update(entry) -%}
        {%- do numbered.append(row) -%}
    {%- endfor -%}
    {{ return(numbered) }}
{%- endmacro %}


{#- Top and bottom, cm, of a layer such as `0-5 cm` as [0.0, 5.0]; [none, none] for `surface`. -#}
{% macro layer_limits(layer) -%}
    {%- set limits = layer.replace(' cm', '').split('-') -%}
    {{ return([limits[0] | float, limits[1] | float] if limits | length == 2 else [none, none]) }}
{%- endmacro %}


{#- The study's composites, numbered after its series: series_id, variable, product, layer, the `series` of their first layer, and
    `members`, a list of series_id and thickness_cm. They are made of months (int_pixel_monthly), so study_series(), which is what is read
    day by day, does not have them. -#}
{% macro study_composites() -%}
    {%- set delivered = study_series() -%}
    {%- set numbered = [] -%}
    {%- for entry in study('composites') -%}
        {%- set members = [] -%}
        {%- set parts = [] -%}
        {%- for series in delivered if series.variable == entry.variable and series.product == entry.product and series.layer in entry.of -%}
            {%- set limits = layer_limits(series.layer) -%}
            {%- do members.append({'series_id': series.series_id, 'thickness_cm': limits[1] - limits[0]}) -%}
            {%- do parts.append(series) -%}
        {%- endfor -%}
        {%- if members | length != entry.of | length -%}
            {{ exceptions.raise_compiler_error('The composite ' ~ entry.layer ~ ' of ' ~ entry.variable ~ ' in ' ~ entry.product ~ ' names layers that are not series of the study: add them to `series`.') }}
        {%- endif -%}
        {%- do numbered.append({'series_id': delivered | length + loop.index, 'variable': entry.variable, 'product': entry.product, 'layer': entry.layer, 'series': parts[0], 'members': members}) -%}
    {%- endfor -%}
    {{ return(numbered) }}
{%- endmacro %}


{#- The column of a staging view that carries a variable at a layer: soil_moisture at `0-5 cm` is soil_moisture_0_5cm. -#}
{% macro staged_column(variable, layer) -%}
    {%- if layer == 'surface' -%} {{ variable }}
    {%- else -%} {{ variable }}_{{ layer | replace(' ', '') | replace('-', '_') | replace('.', 'p') }}
    {%- endif -%}
{%- endmacro %}


{#- Whether a series comes from a product that users bring themselves (`table`, `raster`): then the study names its column (or the columns that an
    index is made of), and stg_custom stages it; every other product has a staging view of its own. -#}
{% macro is_custom(series) -%}
    {{ return(series.get('column') is not none or series.get('columns') is not none) }}
{%- endmacro %}
