{#- The cells of a batch of maps, gathered as the kernels of true distances take them: map_id, cutoff_m, cells. One list a map, of the pixels
    that the study's `sampling` keeps. -#}
{% macro gathered_maps() -%}
    select
        maps.map_id,
        maps.cutoff_m,
        {{ struct_list({
            'row_index': 'cast(places.row_index as int)',
            'col_index': 'cast(places.col_index as int)',
            'lon': 'cast(places.lon as double)',
            'lat': 'cast(places.lat as double)',
            'v': 'cast(pixels.value as double)',
        }) }} as cells
    from {{ ref('int_semivariogram_input') }} as maps
    inner join {{ ref('int_series') }} as series on maps.series_id = series.series_id
    inner join {{ ref('int_monthly_region') }} as pixels
        on maps.series_id = pixels.series_id and maps.region_id = pixels.region_id and maps.month = pixels.month
    {%- if study('sampling').kind != 'all' %}
    inner join {{ ref('int_sampled_pixel') }} as sampled
        on series.grid_id = sampled.grid_id and maps.region_id = sampled.region_id and pixels.pixel_id = sampled.pixel_id
    {%- endif %}
    inner join {{ read_lake('grids/pixels') }} as places
        on series.grid_id = places.grid_id and pixels.pixel_id = places.pixel_id
    where {{ in_batch('maps.map_id', ref('int_semivariogram_input'), 'sum(n_pixels)') }}
    group by maps.map_id, maps.cutoff_m
{%- endmacro %}


{#- The models and weightings that every semivariogram is fitted with, as rows (model, weighting, model_order): of equal fits the first counts. -#}
{% macro semivariogram_fits() -%}
    {%- for model in ['linear', 'spherical', 'exponential', 'gaussian'] -%}
        {%- set order = loop.index -%}
        {%- set is_last_model = loop.last -%}
        {%- for weighting in ['ols', 'n_over_h2'] %}
    select '{{ model }}' as model, '{{ weighting }}' as weighting, {{ order }} as model_order
            {%- if not (is_last_model and loop.last) %} union all {%- endif -%}
        {%- endfor -%}
    {%- endfor -%}
{%- endmacro %}
