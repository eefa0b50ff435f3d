-- Products that users bring themselves (`table`, `raster`): the study gives each series its column, scale, offset and range (macro physical_value), or
-- the columns of the bands that an index is made of. Of a product with times of day a series says its `hours`: a day of the study's time zone is
-- the mean of the values in them.
{% set custom = [] %}
{% for series in study_series() if is_custom(series) %}{% do custom.append(series) %}{% endfor %}

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
        {%- if series.get('column') is not none %}
        {{ physical_value(series, series.column) }} as value
        {%- else %}
        {%- set bands = {} -%}
        {%- for band in series.columns %}{% do bands.update({band: band ~ '_band'}) %}{% endfor %}
        {{ index_of(series.variable, bands) }} as value
        {%- endif %}
    from {% if series.get('column') is not none -%} {{ read_lake('raw/' ~ series.product, partitioned=true) }}
    {%- else -%} (
        select
            *
            {%- for band, column in series.columns.items() %},
            {{ physical_value(series, column) }} as {{ band }}_band
            {%- endfor %}
        from {{ read_lake('raw/' ~ series.product, partitioned=true) }} as raw_bands
    )
    {%- endif %} as measured
) as delivered
where value is not null
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
