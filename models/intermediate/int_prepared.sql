-- The series that the study prepares, some pixels at a time: brought to the grid, then frost out, averaged, filled and smoothed by one kernel. Decibels
-- are powers meanwhile.
{{ config(materialized='by_period', cells=16000000) }}
{% set prepared = prepared_series() %}
{% set period = var('study').period %}
{%- for series in prepared %}
{%- set value = 'case when value > 0 then 10 * log10(value) end' if series.in_power else 'value' %}
select
    {{ series.series_id }} as series_id,
    pixel_id,
    obs_date,
    cast(year(obs_date) as int) as year,
    cast(month(obs_date) as int) as month,
    {{ value }} as value,
    is_filled,
    is_frozen
from (
    {%- if series.has_steps %}
    select
        pixel_id,
        make_date(1970, 1, 1) + prepared_day.t as obs_date,
        prepared_day.v as value,
        prepared_day.is_filled as is_filled,
        prepared_day.is_frozen as is_frozen
    from (
        select
            pixel_id,
            {{ each_of('prepared') }} as prepared_day
        from (
            select
                pixel_id,
                prepare_series(
                    {{ struct_list({'t': day_number('obs_date'), 'v': 'cast(value as double)', 'is_frozen': 'cast(is_frozen as boolean)'}) }},
                    {{ 'true' if study('exclude_frozen') else 'false' }}, {{ series.mean_half_width }}, {{ series.composite_days }}, {{ 'true' if series.is_held else 'false' }}, {{ series.max_gap }}, {{ series.half_width }}, {{ series.order }}
                ) as prepared
            from (
                {{ days_on_grid(series) | indent(16) }}
                {%- if has_frost_mask(series) and study('exclude_frozen') %}
                union all
                -- Frost on days without a value, which must not be filled.
                select pixels.pixel_id, frost.obs_date, cast(null as double) as value, true as is_frozen
                from {{ ref('int_frost_daily') }} as frost
                inner join {{ ref('int_frost_pixel') }} as places on frost.pixel_id = places.frost_pixel_id
                inner join {{ ref('int_prepared_pixel') }} as pixels on places.pixel_id = pixels.pixel_id
                where frost.is_frozen
                    and pixels.series_id = {{ series.series_id }}
                    and places.grid_id = (select grid_id from {{ ref('int_series') }} where series_id = {{ series.series_id }})
                    and {{ in_batch('pixels.pixel_id', ref('int_prepared_pixel'), 'sum(n_cells)') }}
                {%- endif %}
            ) as on_grid
            group by pixel_id
        ) as series_of_pixels
    ) as days
    {%- else %}
    select pixel_id, obs_date, value, false as is_filled, is_frozen
    from (
        {{ days_on_grid(series) | indent(8) }}
    ) as on_grid
    {%- endif %}
) as days_of_series
where value is not null
    and obs_date >= cast('{{ period.start }}' as date)
    and obs_date < cast('{{ period.end }}' as date)
{% if not loop.last %}union all{% endif %}
{%- else %}
select cast(null as int) as series_id, pixel_id, cast(null as date) as obs_date, cast(null as int) as year, cast(null as int) as month,
    cast(null as double) as value, cast(null as boolean) as is_filled, cast(null as boolean) as is_frozen
from {{ ref('int_prepared_pixel') }}
where {{ in_batch('pixel_id', ref('int_prepared_pixel'), 'sum(n_cells)') }}
{%- endfor %}
