{#- From times of day to days: what the staging views of products with several values a day share. -#}


{#- A UTC timestamp as the clock of the study's time zone shows it. -#}
{% macro local_time(utc) -%}{{ return(adapter.dispatch('local_time')(utc)) }}{%- endmacro %}
{% macro duckdb__local_time(utc) -%} timezone({{ literal(study('time_zone')) }}, timezone('UTC', {{ utc }})) {%- endmacro %}
{% macro spark__local_time(utc) -%} from_utc_timestamp(cast({{ utc }} as timestamp), {{ literal(study('time_zone')) }}) {%- endmacro %}


{#- A timestamp moved by seconds, rounded to whole ones. -#}
{% macro seconds_later(timestamp, seconds) -%}{{ return(adapter.dispatch('seconds_later')(timestamp, seconds)) }}{%- endmacro %}
{% macro duckdb__seconds_later(timestamp, seconds) -%} ({{ timestamp }} + to_seconds(cast(round({{ seconds }}) as bigint))) {%- endmacro %}
{% macro spark__seconds_later(timestamp, seconds) -%} timestampadd(SECOND, cast(round({{ seconds }}) as int), cast({{ timestamp }} as timestamp)) {%- endmacro %}


{#- The hour of the day of a timestamp with its fraction, 0 to 24. -#}
{% macro hour_of(timestamp) -%}
    (cast(hour({{ timestamp }}) as double) + cast(minute({{ timestamp }}) as double) / 60 + cast(second({{ timestamp }}) as double) / 3600)
{%- endmacro %}


{#- What a series of the study says of times of day: {'hours': [from, to], 'solar_time': hour}, each none where it does not say. A product,
    variable and layer is one series at most, so that the staging view of the product can take it into account. -#}
{% macro times_of_day(product, variable, layer) -%}
    {%- set said = {'hours': none, 'solar_time': none} -%}
    {%- for series in study_series() if series.product == product and series.variable == variable and series.layer == layer -%}
        {%- do said.update({'hours': series.get('hours'), 'solar_time': series.get('solar_time')}) -%}
    {%- endfor -%}
    {{ return(said) }}
{%- endmacro %}


{#- Whether a UTC timestamp is in the hours of the study's time zone that a series is about: from the first, up to but without the second. -#}
{% macro in_hours(hours, utc) -%}
    {%- if hours is none -%} true
    {%- else -%} {{ hour_of(local_time(utc)) }} >= {{ number(hours[0]) }} and {{ hour_of(local_time(utc)) }} < {{ number(hours[1]) }}
    {%- endif -%}
{%- endmacro %}


{#- Values with times of day as days of the study's time zone: pixel_id, obs_date and a DOUBLE column a variable and layer, named as in the
    staging view. For a common table expression.

    product    its rows in the lake have pixel_id and obs_time (UTC)
    n_a_day    how many values a whole day has: a day with fewer than half of them has no mean
    columns    a list of {'variable', 'layer', 'value'}, `value` the SQL of the physical value of a row

    A column is the mean of the day; with `hours` in the study the mean of those hours, however few; with `solar_time` the value at
    that local solar time (UTC + longitude / 15 hours), linear between the two values around it, of the solar day it falls in. -#}
{% macro days_of_instants(product, n_a_day, columns) -%}
    {%- set by_clock, by_sun = [], {} -%}
    {%- for column in columns -%}
        {%- set said = times_of_day(product, column.variable, column.layer) -%}
        {%- set named = {'name': staged_column(column.variable, column.layer) | trim, 'value': column.value, 'hours': said.hours} -%}
        {%- if said.solar_time is none -%}
            {%- do by_clock.append(named) -%}
        {%- else -%}
            {%- do by_sun.setdefault(said.solar_time, []).append(named) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- set groups = [{'solar_time': none, 'columns': by_clock}] if by_clock else [] -%}
    {%- for hour, sampled in by_sun.items() -%}
        {%- do groups.append({'solar_time': hour, 'columns': sampled}) -%}
    {%- endfor %}
    select
        pixel_id,
        obs_date
        {%- for column in columns %},
        max({{ staged_column(column.variable, column.layer) | trim }}) as {{ staged_column(column.variable, column.layer) | trim }}
        {%- endfor %}
    from (
        {%- for group in groups %}
        {%- set here = group.columns | map(attribute='name') | list %}
        select
            pixel_id,
            obs_date
            {%- for column in columns %}
            {%- set name = staged_column(column.variable, column.layer) | trim %},
            {% if name not in here -%} cast(null as double)
            {%- elif group.solar_time is not none -%}
            case
                when sum(case when {{ name }} is not null then nearness end) > 0.999
                then sum({{ name }} * nearness) / nullif(sum(case when {{ name }} is not null then nearness end), 0)
            end
            {%- elif (group.columns | selectattr('name', 'equalto', name) | first).hours is none -%}
            case when count({{ name }}) * 2 >= {{ n_a_day }} then avg({{ name }}) end
            {%- else -%} avg({{ name }})
            {%- endif %} as {{ name }}
            {%- endfor %}
        from (
            {% if group.solar_time is none -%}
            select
                cast(pixel_id as bigint) as pixel_id,
                {{ local_date('obs_time') }} as obs_date
                {%- for column in group.columns %},
                {% if column.hours is none -%} {{ column.value }}
                {%- else -%} case when {{ in_hours(column.hours, 'obs_time') }} then {{ column.value }} end
                {%- endif %} as {{ column.name }}
                {%- endfor %}
            from {{ read_lake('raw/' ~ product, partitioned=true) }}
            {%- else -%}
            select
                pixel_id,
                cast(centred as date) as obs_date,
                greatest(cast(0 as double), 1 - abs({{ hour_of('centred') }} - 12) * {{ n_a_day }} / 24) as nearness
                {%- for column in group.columns %},
                {{ column.name }}
                {%- endfor %}
            from (
                -- the asked time is noon here, so that no day ends between the two values around it
                select
                    cast(delivered.pixel_id as bigint) as pixel_id,
                    {{ seconds_later('delivered.obs_time', 'places.lon * 240 + ' ~ ((12 - group.solar_time) * 3600)) }} as centred
                    {%- for column in group.columns %},
                    {{ column.value }} as {{ column.name }}
                    {%- endfor %}
                from {{ read_lake('raw/' ~ product, partitioned=true) }} as delivered
                inner join (
                    select pixels.pixel_id, pixels.lon
                    from {{ read_lake('grids/pixels') }} as pixels
                    inner join {{ read_lake('catalog/products') }} as products on pixels.grid_id = products.grid_id
                    where products.product = {{ literal(product) }}
                ) as places on delivered.pixel_id = places.pixel_id
            ) as moments
            {%- endif %}
        ) as instants
        group by pixel_id, obs_date
        {% if not loop.last %}union all{% endif %}
        {%- endfor %}
    ) as days
    group by pixel_id, obs_date
{%- endmacro %}
