-- What the thermal inertia framework knows of a fine pixel: its land cover in words, the largest moisture it can hold, and the cells of the
-- references it lies in, a column a reference.
{{ config(enabled=needs('downscaling')) }}
{% for product in study_downscaled('thermal_inertia') %}
{%- set entry = product.entry %}
{%- set land_cover = factor_named(entry.land_cover) %}
select
    {{ product.series_id }} as series_id,
    pixels.pixel_id,
    pixels.area_km2,
    {% if land_cover.get('scheme') or entry.land_cover_scheme %}classes.class_name{% else %}{{ number_as_text('land_cover.value') }}{% endif %} as land_cover,
    {% if entry.porosity %}least(porosity.value, {{ number(entry.largest) }}){% else %}{{ number(entry.largest) }}{% endif %} as largest
    {%- for reference in thermal_references(entry) %},
    cells_{{ loop.index }}.source_pixel_id as cell_{{ loop.index }}
    {%- endfor %}
    {%- for number in range(thermal_references(entry) | length + 1, n_thermal_references() + 1) %},
    cast(null as bigint) as cell_{{ number }}
    {%- endfor %}
from {{ ref('int_downscaling_pixel') }} as pixels
inner join {{ ref('int_factor_static') }} as land_cover
    on pixels.pixel_id = land_cover.pixel_id
    and land_cover.grid_id = {{ literal(study('downscaling').grid) }}
    and land_cover.factor_id = {{ land_cover.factor_id }}
{%- if land_cover.get('scheme') %}
-- The factor is the scheme's classes already.
inner join (
    select distinct class, class_name from {{ ref('land_cover_schemes') }} where scheme = {{ literal(land_cover.scheme) }} and not is_excluded
) as classes on land_cover.value = classes.class
{%- elif entry.land_cover_scheme %}
inner join {{ ref('land_cover_schemes') }} as classes
    on land_cover.value = classes.code and classes.scheme = {{ literal(entry.land_cover_scheme) }} and not classes.is_excluded
{%- endif %}
{%- if entry.porosity %}
inner join {{ ref('int_factor_static') }} as porosity
    on pixels.pixel_id = porosity.pixel_id
    and porosity.grid_id = {{ literal(study('downscaling').grid) }}
    and porosity.factor_id = {{ factor_named(entry.porosity).factor_id }}
{%- endif %}
{%- for reference in thermal_references(entry) %}
left join ({{ cells_of_fine_pixels(series_id_of(reference)) }}) as cells_{{ loop.index }} on pixels.pixel_id = cells_{{ loop.index }}.target_pixel_id
{%- endfor %}
where not pixels.is_water
{% if not loop.last %}union all{% endif %}
{% else %}
select
    cast(null as int) as series_id, cast(null as bigint) as pixel_id, cast(null as double) as area_km2,
    cast(null as string) as land_cover, cast(null as double) as largest
where false
{% endfor %}
