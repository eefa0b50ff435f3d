-- Products that users bring themselves (`table`, `raster`): the study gives each series its column, scale, offset and range.
-- The fill values are those the product declares (catalog/columns); the range is that of the physical value, by default
-- all finite numbers, so that neither NaN nor infinity passes. Of a product with times of day a series says its `hours`: a day of the
-- study's time zone is the mean of the values in them.
{% set custom = study_series() | selectattr('column', 'defined') | list %}

{% for series in custom %}
select
    {{ series.series_id }} as series_id,
    cast(pixel_id as bigint) as pixel_id,
    obs_date,
    {%- if series.get('hours') is none %}
    cast(year as int) as year,
    cast(month as int) as month,
    value
    {%- else %}
    cast(year(obs_date) as int) as year,
    cast(month(obs_date) as int) as month,
    avg(value) as value
    {%- endif %}
from (
    select
        {% if series.get('hours') is none -%} pixel_id, obs_date, year, month,
        {%- else -%} pixel_id, {{ local_date('obs_time') }} as obs_date, {{ in_hours(series.hours, 'obs_time') }} as is_asked,
        {%- endif %}
        case
            when cast({{ series.column }} as double) in (
                select fill_value from {{ read_lake('catalog/columns') }}
                where product = {{ literal(series.product) }} and column_name = {{ literal(series.column) }} and fill_value is not null
            ) then cast(null as double)
            else cast({{ series.column }} as double) * {{ number(series.scale) }} + {{ number(series.offset) }}
        end as value
    from {{ read_lake('raw/' ~ series.product, partitioned=true) }}
) as delivered
where value between {{ number(series.get('valid_min', largest_double('-'))) }} and {{ number(series.get('valid_max', largest_double())) }}
{%- if series.get('hours') is not none %}
    and is_asked
group by pixel_id, obs_date
{%- endif %}
{% if not loop.last %}union all{% endif %}
{% else %}
select
    cast(null as int) as series_id,
    cast(null as bigint) as pixel_id,
    cast(null as date) as obs_date,
    cast(null as int) as year,
    cast(null as int) as month,
    cast(null as double) as value
where false
{% endfor %}
