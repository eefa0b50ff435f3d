-- The pixels of every series that is prepared, and how many values they take to prepare.
{% set prepared = prepared_series() %}
{%- for series in prepared %}
select
    {{ series.series_id }} as series_id,
    {% if series.grid is none -%} pixels.pixel_id {%- else -%} pixels.target_pixel_id {%- endif %} as pixel_id,
    cast({{ 31 * n_months_of_study() }} * count(*) as bigint) as n_cells
{%- if series.grid is none %}
from (
    select distinct regions.pixel_id
    from {{ ref('int_pixel_region') }} as regions
    inner join {{ ref('int_series') }} as series on regions.grid_id = series.grid_id
    where series.series_id = {{ series.series_id }}
) as pixels
group by pixels.pixel_id
{%- else %}
from {{ ref('int_prepared_weights') }} as pixels
where pixels.series_id = {{ series.series_id }}
group by pixels.target_pixel_id
{%- endif %}
{% if not loop.last %}union all{% endif %}
{%- else %}
select cast(null as int) as series_id, cast(null as bigint) as pixel_id, cast(null as bigint) as n_cells
where false
{%- endfor %}
