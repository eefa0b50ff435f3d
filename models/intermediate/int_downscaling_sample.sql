-- What the learned frameworks learn from: the target and the features at the coarse grid. A feature of a cell is the mean over its land, by
-- area (`area_mean`), or that of the pixel under its centre (`nearest`); a category is the one that most of the cell has.
-- Cells with too much water, too few pixels with features, and frozen soil are left out.
{{ config(enabled=needs('downscaling')) }}
{% set downscaling = study('downscaling') %}
{% set features = downscaling_features() %}
with upscaled as (
    select
        coarse_pixel_id,
        obs_date,
        sum(area_km2) as area_km2
        {%- for feature in features if feature.kind != 'categorical' %},
        sum(area_km2 * feature_{{ feature.position }}) / nullif(sum(area_km2), 0) as feature_{{ feature.position }}
        {%- endfor %}
    from {{ ref('int_downscaling_value_daily') }}
    where not is_masked
    {%- if downscaling.upscale == 'nearest' %} and is_centre {%- endif %}
    group by coarse_pixel_id, obs_date
),

targets as (
    select pixel_id, obs_date, year, month, value
    from {{ ref('int_downscaling_coarse') }}
    where series_id = {{ downscaling_target() }}
        and not is_frozen
)

select
    targets.pixel_id,
    targets.obs_date,
    targets.year,
    targets.month,
    targets.value as target,
    {% set columns = [] %}
    {%- for feature in features -%}
        {%- do columns.append(('cells.' if feature.kind == 'categorical' else 'upscaled.') ~ 'feature_' ~ feature.position) -%}
    {%- endfor -%}
    {{ floats(columns) }} as features,
    cells.unit,
    cells.block_id
from targets
inner join upscaled on targets.pixel_id = upscaled.coarse_pixel_id and targets.obs_date = upscaled.obs_date
inner join {{ ref('int_downscaling_cell') }} as cells on targets.pixel_id = cells.coarse_pixel_id
where cells.water_share <= {{ number(downscaling.max_water_share) }} + 1e-9
    and cells.unit is not null
    {%- for feature in features if feature.kind == 'categorical' %}
    and cells.feature_{{ feature.position }} is not null
    {%- endfor %}
    {%- if downscaling.upscale == 'area_mean' %}
    and upscaled.area_km2 >= ({{ number(downscaling.min_valid_share) }} - 1e-9) * cells.cell_area_km2
    {%- endif %}
