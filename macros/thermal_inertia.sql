{#- What the thermal inertia framework needs beside macros/downscaling.sql. `entry` is one of study_frameworks('thermal_inertia'). -#}


{#- The references of a framework, best first: `reference`, or the target. -#}
{% macro thermal_references(entry) -%}
    {{ return(entry.reference or [study('downscaling').target]) }}
{%- endmacro %}


{#- The most references that any framework of the study has. -#}
{% macro n_thermal_references() -%}
    {%- set counts = [0] -%}
    {%- for entry in study_frameworks('thermal_inertia') -%}{%- do counts.append(thermal_references(entry) | length) -%}{%- endfor -%}
    {{ return(counts | max) }}
{%- endmacro %}


{#- Of the references that have a value, the first one's number, cell (of `pixels`) or value (`reference_1` and so on). -#}
{% macro first_reference(references, what) -%}
    case
        {%- for reference in references %}
        when reference_{{ loop.index }}.value is not null then
            {{- ' ' ~ loop.index if what == 'number' else (' pixels.cell_' ~ loop.index if what == 'cell' else ' reference_' ~ loop.index ~ '.value') }}
        {%- endfor %}
    end
{%- endmacro %}


{#- The product of a reference, from the number of the downscaled series and that of the reference. -#}
{% macro thermal_reference_product(series_id, reference_number) -%}
    case
        {%- for product in study_downscaled('thermal_inertia') %}
        {%- for reference in thermal_references(product.entry) %}
        when {{ series_id }} = {{ product.series_id }} and {{ reference_number }} = {{ loop.index }} then {{ literal(reference.product) }}
        {%- endfor %}
        {%- else %}
        when false then ''
        {%- endfor %}
    end
{%- endmacro %}


{#- Which cell of a series' grid each fine pixel's centre lies in: source_grid_id, source_pixel_id, target_pixel_id. -#}
{% macro cells_of_fine_pixels(series_id) -%}
    select members.source_grid_id, members.source_pixel_id, members.pixel_id as target_pixel_id
    from {{ ref('int_downscaling_member') }} as members
    inner join {{ ref('int_series') }} as series on members.source_grid_id = series.grid_id
    where series.series_id = {{ series_id }}
{%- endmacro %}


{#- The NDVI of the cells that are fitted on: the mean, by area, over the land of the cell of the values that begin on one day, until the next of
    them (cell_id, first_day, next_day, value). -#}
{% macro thermal_cell_ndvi(entry) -%}
    select
        cell_id,
        first_day,
        least(coalesce(lead(first_day) over (partition by cell_id order by first_day nulls last), last_day), last_day) as next_day,
        value
    from (
        select
            cells.source_pixel_id as cell_id,
            ndvi.first_day,
            ndvi.first_day + {{ held_series()[series_id_of(entry.ndvi)] }} as last_day,
            sum(ndvi.value * pixels.area_km2) / nullif(sum(pixels.area_km2), 0) as value
        from {{ ref('int_downscaling_held') }} as ndvi
        inner join {{ ref('int_downscaling_pixel') }} as pixels on ndvi.pixel_id = pixels.pixel_id
        inner join ({{ cells_of_fine_pixels(series_id_of(entry.fit.soil_moisture)) }}) as cells on ndvi.pixel_id = cells.target_pixel_id
        where ndvi.series_id = {{ series_id_of(entry.ndvi) }}
            and not pixels.is_water
        group by cells.source_pixel_id, ndvi.first_day
    ) as of_cells
{%- endmacro %}


{#- The number, from 0, of the window that a month is in; 0 where the whole period is one. -#}
{% macro thermal_window(entry, year, month) -%}
    {%- set start = downscaling_period().start | string -%}
    {%- if entry.window_months -%}
    cast(floor(({{ year }} * 12 + {{ month }} - {{ start[:4] | int * 12 + start[5:7] | int }}) / cast({{ entry.window_months }} as double)) as int)
    {%- else -%}
    0
    {%- endif -%}
{%- endmacro %}


{#- The windows: window_number, window_start, window_end (the first day after). -#}
{% macro thermal_windows(entry) -%}
    {%- set period = downscaling_period() -%}
    {%- set start, end = period.start | string, period.end | string -%}
    {%- set n_months = (end[:4] | int - start[:4] | int) * 12 + end[5:7] | int - start[5:7] | int -%}
    {%- set length = entry.window_months or n_months -%}
    {%- for first in range(0, n_months, length) %}
    select
        {{ loop.index0 }} as window_number,
        {{ add_months_to("cast('" ~ start[:10] ~ "' as date)", first) }} as window_start,
        {{ add_months_to("cast('" ~ start[:10] ~ "' as date)", [first + length, n_months] | min) }} as window_end
    {% if not loop.last %}union all{% endif %}
    {%- endfor -%}
{%- endmacro %}
