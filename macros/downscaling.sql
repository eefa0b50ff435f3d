{#- What the study downscales. Without frameworks all of these are empty, so that every model parses. -#}


{#- The study's frameworks, each over the defaults of its kind (`framework_defaults` of dbt_project.yml), numbered from 1. -#}
{% macro study_frameworks(framework=none) -%}
    {%- set found = [] -%}
    {%- for entry in study('downscaling').frameworks if needs('downscaling') -%}
        {%- set row = {'number': loop.index} -%}
        {%- do row.update(var('framework_defaults').get(entry.framework, {})) -%}
        {%- do row.update(entry) -%}
        {%- if framework is none or row.framework == framework -%}{%- do found.append(row) -%}{%- endif -%}
    {%- endfor -%}
    {{ return(found) }}
{%- endmacro %}


{#- The products that a framework gives, as {'product', 'estimator', 'partition'}; `partition` is none where there is only one model of a day. -#}
{% macro products_of_framework(entry) -%}
    {%- set found = [] -%}
    {%- if entry.framework == 'thermal_inertia' -%}
        {%- do found.append({'product': entry.product, 'estimator': 'thermal_inertia', 'partition': none}) -%}
    {%- else -%}
        {%- for partition in entry.partitions -%}
            {%- for estimator in entry.publish -%}
                {%- do found.append({'product': learned_product(entry, estimator, partition), 'estimator': estimator, 'partition': partition}) -%}
            {%- endfor -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(found) }}
{%- endmacro %}


{#- The downscaled products, numbered after the study's series and composites: series_id, product, framework, estimator, partition, and
    `entry`, the framework they come from. They are soil moisture at the target's layer on `downscaling.grid`, day by day. -#}
{% macro study_downscaled(framework=none) -%}
    {%- set offset = study_series() | length + study_composites() | length -%}
    {%- set found = [] -%}
    {%- for entry in study_frameworks() -%}
        {%- for product in products_of_framework(entry) -%}
            {%- do found.append({'series_id': offset + found | length + 1, 'product': product.product, 'estimator': product.estimator, 'partition': product.partition,
                'framework': entry.framework, 'entry': entry, 'variable': study('downscaling').target.variable, 'layer': study('downscaling').target.get('layer', 'surface')}) -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- if framework is none -%}{{ return(found) }}{%- endif -%}
    {{ return(found | selectattr('framework', 'equalto', framework) | list) }}
{%- endmacro %}


{#- The products that a downscaled one was made of, and the other downscaled ones, which were made of the same. -#}
{% macro inputs_of_downscaled(downscaled) -%}
    {%- set found = [study('downscaling').target.product] -%}
    {%- set entry = downscaled.entry -%}
    {%- if downscaled.framework == 'thermal_inertia' -%}
        {%- for named in [entry.fit.soil_moisture, entry.fit.day, entry.fit.night, entry.day, entry.night, entry.ndvi] + thermal_references(entry) -%}
            {%- do found.append(named.product) -%}
        {%- endfor -%}
        {%- do found.append(factor_named(entry.land_cover).product) -%}
    {%- else -%}
        {%- for feature in downscaling_features() if feature.get('product') is not none -%}{%- do found.append(feature.product) -%}{%- endfor -%}
    {%- endif -%}
    {%- for other in study_downscaled() if other.product != downscaled.product -%}{%- do found.append(other.product) -%}{%- endfor -%}
    {{ return(found | unique | list) }}
{%- endmacro %}


{#- The number of a series of the study that a key names by variable, product and layer. -#}
{% macro series_id_of(named) -%}
    {%- for series in study_series() if series.variable == named.variable and series.product == named.product and series.layer == named.get('layer', 'surface') -%}
        {{ return(series.series_id) }}
    {%- endfor -%}
    {{ exceptions.raise_compiler_error('downscaling names ' ~ named.variable ~ ' of ' ~ named.product ~ ' at ' ~ named.get('layer', 'surface') ~ ', which is not a series of the study: add it to `series`.') }}
{%- endmacro %}


{#- The features in the order of `downscaling.features`, numbered from 1: name, position, and the factor each one is (`source` static, series or
    coordinate), or `source` calendar for day_of_year. -#}
{% macro downscaling_features() -%}
    {%- set factors = study_factors() -%}
    {%- set found = [] -%}
    {%- for name in study('downscaling').features if needs('downscaling') -%}
        {%- set matching = factors | selectattr('factor', 'equalto', name) | list -%}
        {%- if name == 'day_of_year' -%}
            {%- do found.append({'position': loop.index, 'name': name, 'kind': 'continuous', 'source': 'calendar'}) -%}
        {%- elif matching -%}
            {%- set row = {'position': loop.index, 'name': name} -%}
            {%- do row.update(matching[0]) -%}
            {%- if row.source == 'series' -%}{%- do row.update({'series_id': series_id_of(row)}) -%}{%- endif -%}
            {%- do found.append(row) -%}
        {%- else -%}
            {{ exceptions.raise_compiler_error('downscaling.features: ' ~ name ~ ' is not a factor of the study: add it to `factors`.') }}
        {%- endif -%}
    {%- endfor -%}
    {{ return(found) }}
{%- endmacro %}


{#- The number of the target among the study's series; 0, which no series has, where nothing is downscaled. -#}
{% macro downscaling_target() -%}
    {%- set target = study('downscaling').target -%}
    {{ return(series_id_of(target) if target and needs('downscaling') else 0) }}
{%- endmacro %}


{#- The factor of the study of that name, with its number; none where no name is given. -#}
{% macro factor_named(name) -%}
    {%- for factor in study_factors() if factor.factor == name -%}{{ return(factor) }}{%- endfor -%}
    {%- if name is not none and needs('downscaling') -%}
        {{ exceptions.raise_compiler_error('downscaling names ' ~ name ~ ', which is not a factor of the study: add it to `factors`.') }}
    {%- endif -%}
    {{ return(none) }}
{%- endmacro %}


{#- The columns that features stand in, feature_1 and so on, of all features or of these. -#}
{% macro feature_columns(features=none) -%}
    {%- set columns = [] -%}
    {%- for feature in (downscaling_features() if features is none else features) -%}{%- do columns.append('feature_' ~ feature.position) -%}{%- endfor -%}
    {{ return(columns) }}
{%- endmacro %}


{#- Days of series at the pixels of the fine grid, a column a series: a subquery with pixel_id, obs_date, year, month and the columns that
    `columns`, a mapping of name to series_id, names. A series on another grid gives a pixel the value of the cell that its centre lies in. -#}
{% macro fine_days(columns) -%}
    select
        members.pixel_id,
        daily.obs_date,
        daily.year,
        daily.month
        {%- for name, series_id in columns.items() %},
        max(case when daily.series_id = {{ series_id }} then daily.value end) as {{ name }}
        {%- endfor %}
    from {{ ref('int_prepared_daily') }} as daily
    inner join {{ ref('int_series') }} as series on daily.series_id = series.series_id
    inner join {{ ref('int_downscaling_member') }} as members
        on series.grid_id = members.source_grid_id and daily.pixel_id = members.source_pixel_id
    where daily.series_id in ({{ columns.values() | unique | join(', ') }})
    group by members.pixel_id, daily.obs_date, daily.year, daily.month
{%- endmacro %}


{#- The join of a value that counts for days: of int_downscaling_held, at the pixel of `left`, on the day whose number `day_number` gives. -#}
{% macro join_held(name, series_id, left, day_number) -%}
    inner join {{ ref('int_downscaling_held') }} as {{ name }}
        on {{ name }}.series_id = {{ series_id }}
        and {{ left }}.pixel_id = {{ name }}.pixel_id
        and {{ name }}.first_day <= {{ day_number }}
        and {{ name }}.next_day > {{ day_number }}
{%- endmacro %}


{#- The series whose values count for more than a day: series_id to days. One that is used twice counts for the longer of the two. -#}
{% macro held_series() -%}
    {%- set found = {} -%}
    {%- for feature in downscaling_features() if feature.source == 'series' -%}
        {%- set days = study('downscaling').hold_days.get(feature.name, 1) -%}
        {%- if days > 1 -%}{%- do found.update({feature.series_id: [days, found.get(feature.series_id, 0)] | max}) -%}{%- endif -%}
    {%- endfor -%}
    {%- for entry in study_frameworks('thermal_inertia') -%}
        {%- set series_id = series_id_of(entry.ndvi) -%}
        {%- do found.update({series_id: [entry.ndvi_hold_days, found.get(series_id, 0)] | max}) -%}
    {%- endfor -%}
    {{ return(found) }}
{%- endmacro %}


{#- The series that are read on their own grids: the target, the references, what is fitted on, what says that soil is frozen. -#}
{% macro coarse_series() -%}
    {%- set found = [downscaling_target()] -%}
    {%- if study('downscaling').frozen -%}{%- do found.append(series_id_of(study('downscaling').frozen)) -%}{%- endif -%}
    {%- for entry in study_frameworks('thermal_inertia') -%}
        {%- for named in thermal_references(entry) + [entry.fit.soil_moisture, entry.fit.day, entry.fit.night] -%}
            {%- do found.append(series_id_of(named)) -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ return(found | unique | list) }}
{%- endmacro %}


{#- [start, end) of the days that are downscaled: `downscaling.period`, or the study's. -#}
{% macro downscaling_period() -%}
    {{ return(study('downscaling').period or var('study').period) }}
{%- endmacro %}


{#- A list of expressions as a list of FLOAT, in this order: what the models of the learned frameworks take. -#}
{% macro floats(expressions) -%}{{ return(adapter.dispatch('floats')(expressions)) }}{%- endmacro %}
{% macro duckdb__floats(expressions) -%} cast([{{ expressions | join(', ') }}] as float[]) {%- endmacro %}
{% macro spark__floats(expressions) -%} cast(array({{ expressions | join(', ') }}) as array<float>) {%- endmacro %}
