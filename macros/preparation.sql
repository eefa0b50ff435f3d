{#- What the study says of preparation: the grid a series is brought to, and what is done to its days there. -#}


{#- The study's series that are prepared, each with every setting decided: `prepare` of the series, then `preparation` of the study, then its
    mode. series_id, variable, product, layer; grid (none: its own), method (of int_weights), is_by_class; min_covered; has_steps, and the
    settings of the kernel prepare_series; in_power, whether decibels are made powers first. -#}
{% macro prepared_series() -%}
    {%- set found = [] -%}
    {%- for series in study_series() if series.get('prepare') is not none -%}
        {%- set asked = {} -%}
        {%- do asked.update(study('preparation')) -%}
        {%- do asked.update(series.prepare) -%}
        {%- set smoothing = asked.get('smoothing') or {'half_width': 0, 'order': 0} -%}
        {%- set row = {
            'series_id': series.series_id, 'variable': series.variable, 'product': series.product, 'layer': series.layer,
            'grid': asked.get('grid'), 'method': weights_method(asked), 'is_by_class': asked.regrid == 'mode', 'min_covered': asked.min_covered,
            'mean_half_width': asked.get('centred_mean_days') or 0, 'composite_days': asked.get('composite_days') or 0,
            'is_held': (asked.get('to_daily') or ('hold' if study('mode') == 'paper' else 'linear')) == 'hold',
            'max_gap': asked.get('max_gap_days') or 0, 'half_width': smoothing.half_width, 'order': smoothing.order,
            'in_power': series.variable in ('backscatter_vv', 'backscatter_vh') and study('mode') != 'paper'} -%}
        {%- do row.update({'has_steps': row.mean_half_width + row.composite_days + row.max_gap + row.half_width > 0}) -%}
        {%- do found.append(row) -%}
    {%- endfor -%}
    {{ return(found) }}
{%- endmacro %}


{#- The method of int_weights that serves what is asked. A mode is made of overlaps, as an area mean is; kriging has weights of its own for
    every model that the study krige with, numbered as krigings() has them. -#}
{% macro weights_method(asked) -%}
    {%- if asked.regrid == 'mode' -%}{{ return('area_mean') }}
    {%- elif asked.regrid == 'kriging' -%}{{ return(asked.kriging.model ~ '_kriging_' ~ (krigings().index(asked.kriging) + 1)) }}
    {%- else -%}{{ return(asked.regrid) }}
    {%- endif -%}
{%- endmacro %}


{#- The models that the study kriges with, each once. -#}
{% macro krigings() -%}
    {%- set found = [] -%}
    {%- for entry in study('series') | map(attribute='prepare') | select('mapping') | list + study('factors') -%}
        {%- if entry.get('kriging') is not none and entry.kriging not in found -%}{%- do found.append(entry.kriging) -%}{%- endif -%}
    {%- endfor -%}
    {{ return(found) }}
{%- endmacro %}


{#- Where the study's kriging weights lead: {'kriging': the model, 'method', 'product' of the source, 'grid': the target, none for every grid of
    the study's series}. -#}
{% macro kriged_targets() -%}
    {%- set found = [] -%}
    {%- for series in study_series() if (series.get('prepare') or {}).get('regrid') == 'kriging' -%}
        {%- do found.append({'kriging': series.prepare.kriging, 'method': weights_method(series.prepare), 'product': series.product, 'grid': series.prepare.grid}) -%}
    {%- endfor -%}
    {%- for factor in study_factors() if factor.get('regrid') == 'kriging' -%}
        {%- do found.append({'kriging': factor.kriging, 'method': weights_method(factor), 'product': factor.product, 'grid': none}) -%}
    {%- endfor -%}
    {{ return(found) }}
{%- endmacro %}


{#- The days of a series as its product delivers them, from staging: pixel_id, obs_date, year, month, is_frozen, value (NULLs among them). -#}
{% macro staged_days(series) -%}
    {%- if is_custom(series) -%}
    select pixel_id, obs_date, year, month, cast(null as boolean) as is_frozen, value
    from {{ ref('stg_custom') }}
    where series_id = {{ series.series_id }}
    {%- else -%}
    {%- set own = ref('stg_' ~ series.product) -%}
    {%- set members = series.get('mean_of') or [series.variable] -%}
    {%- set columns, others = [], [] -%}
    {%- for member in members -%}
        {%- if '.' in member -%}
            {%- do others.append(member.split('.')[0]) -%}
            {%- do columns.append('other_' ~ (others | length) ~ '.' ~ staged_column(member.split('.')[1], series.layer) | trim) -%}
        {%- else -%}
            {%- do columns.append('own.' ~ staged_column(member, series.layer) | trim) -%}
        {%- endif -%}
    {%- endfor -%}
    select
        own.pixel_id,
        own.obs_date,
        own.year,
        own.month,
        {{ 'own.' ~ staged_column('is_frozen', series.layer) | trim if series.variable == 'soil_moisture' else 'cast(null as boolean)' }} as is_frozen,
        {% if columns | length == 1 %}{{ columns[0] }}{% else %}({{ columns | join(' + ') }}) / {{ columns | length }}{% endif %} as value
    from {{ own }} as own
    {%- for other in others %}
    inner join {{ ref('stg_' ~ other) }} as other_{{ loop.index }}
        on own.pixel_id = other_{{ loop.index }}.pixel_id and own.obs_date = other_{{ loop.index }}.obs_date
    {%- endfor %}
    {%- endif -%}
{%- endmacro %}


{#- An index of reflectances (SQL of each band by its name), NULL outside -1 to 1, which comes of reflectances about zero or below.
    Sources: NDVI, EVI: MOD13; NDWI: McFeeters 1996; LSWI: Xiao et al. 2002; NSDSI: Yue et al. 2019. -#}
{% macro index_of(index, band) -%}
    {%- if index == 'ndvi' -%}{%- set value = '(' ~ band.nir ~ ' - ' ~ band.red ~ ') / nullif(' ~ band.nir ~ ' + ' ~ band.red ~ ', 0)' -%}
    {%- elif index == 'evi' -%}{%- set value = '2.5 * (' ~ band.nir ~ ' - ' ~ band.red ~ ') / nullif(' ~ band.nir ~ ' + 6 * ' ~ band.red ~ ' - 7.5 * ' ~ band.blue ~ ' + 1, 0)' -%}
    {%- elif index == 'ndwi' -%}{%- set value = '(' ~ band.green ~ ' - ' ~ band.nir ~ ') / nullif(' ~ band.green ~ ' + ' ~ band.nir ~ ', 0)' -%}
    {%- elif index == 'lswi' -%}{%- set value = '(' ~ band.nir ~ ' - ' ~ band.swir1 ~ ') / nullif(' ~ band.nir ~ ' + ' ~ band.swir1 ~ ', 0)' -%}
    {%- elif index == 'nsdsi' -%}{%- set value = '(' ~ band.swir1 ~ ' - ' ~ band.swir2 ~ ') / nullif(' ~ band.swir1 ~ ', 0)' -%}
    {%- else -%}{{ exceptions.raise_compiler_error(index ~ ' is not an index that is made of bands: ndvi, evi, ndwi, lswi, nsdsi.') }}
    {%- endif -%}
    case when {{ value }} between -1 and 1 then {{ value }} end
{%- endmacro %}


{#- A column of a product of the user's own in physical units: the fills that its catalogue declares are NULL, then scale, offset and range as the
    study gives them, by default all finite numbers, so that neither NaN nor infinity passes. -#}
{% macro physical_value(entry, column) -%}
    {%- set value = 'cast(' ~ column ~ ' as double) * ' ~ number(entry.scale) ~ ' + ' ~ number(entry.offset) -%}
    case
        when cast({{ column }} as double) in (
            select fill_value from {{ read_lake('catalog/columns') }}
            where product = {{ literal(entry.product) }} and column_name = {{ literal(column) }} and fill_value is not null
        ) then cast(null as double)
        when {{ value }} between {{ number(entry.get('valid_min', largest_double('-'))) }} and {{ number(entry.get('valid_max', largest_double())) }} then {{ value }}
    end
{%- endmacro %}


{#- Days since the first of January 1970, as INTEGER: what a kernel takes for t. make_date(1970, 1, 1) + t is the way back, on both engines. -#}
{% macro day_number(date) -%}{{ return(adapter.dispatch('day_number')(date)) }}{%- endmacro %}
{% macro duckdb__day_number(date) -%} cast(datediff('day', date '1970-01-01', {{ date }}) as integer) {%- endmacro %}
{% macro spark__day_number(date) -%} unix_date({{ date }}) {%- endmacro %}


{#- The days of a series on the grid that it is brought to, one batch of pixels: pixel_id, obs_date, value, is_frozen. A value is the weighted
    mean of the sources that have one (by class: the value with the most weight, the smallest of equals), where these have at least
    `min_covered` of the weight; a day is frozen where more than half of the weight that says is. Without a grid: the series as it is. -#}
{% macro days_on_grid(series) -%}
    {%- set value = 'power(cast(10 as double), observed.value / 10)' if series.in_power else 'observed.value' -%}
    {%- if series.grid is none -%}
    select observed.pixel_id, observed.obs_date, {{ value }} as value, observed.is_frozen
    from {{ ref('int_observed_daily') }} as observed
    where observed.series_id = {{ series.series_id }} and {{ in_batch('observed.pixel_id', ref('int_prepared_pixel'), 'sum(n_cells)') }}
    {%- else -%}
    {%- set weights = '(select source_pixel_id, target_pixel_id as pixel_id, weight from ' ~ ref('int_prepared_weights') ~ ' where series_id = ' ~ series.series_id ~ ')' -%}
    {#- Frost on which the study does not look takes a source out before the mean, not after. -#}
    {%- set counts = 'not coalesce(observed.is_frozen, false)' if study('exclude_frozen') else 'true' -%}
    {%- if series.is_by_class -%}
    select pixel_id, obs_date, case when covered >= {{ number(series.min_covered) }} - 1e-9 then value end as value, cast(null as boolean) as is_frozen
    from (
        select
            weighted.pixel_id,
            weighted.obs_date,
            weighted.value,
            sum(weighted.weight) over (partition by weighted.pixel_id, weighted.obs_date) as covered,
            row_number() over (partition by weighted.pixel_id, weighted.obs_date order by weighted.weight desc nulls last, weighted.value nulls last) as place
        from (
            select weights.pixel_id, observed.obs_date, observed.value, round(sum(weights.weight), 12) as weight
            from {{ ref('int_observed_daily') }} as observed
            inner join {{ weights }} as weights on observed.pixel_id = weights.source_pixel_id
            where observed.series_id = {{ series.series_id }} and {{ in_batch('weights.pixel_id', ref('int_prepared_pixel'), 'sum(n_cells)') }}
            group by weights.pixel_id, observed.obs_date, observed.value
        ) as weighted
    ) as ranked
    where place = 1
    {%- else -%}
    select
        weights.pixel_id,
        observed.obs_date,
        case
            when sum(case when {{ counts }} then weights.weight end) >= {{ number(series.min_covered) }} - 1e-9
            then sum(case when {{ counts }} then weights.weight * {{ value }} end) / nullif(sum(case when {{ counts }} then weights.weight end), 0)
        end as value,
        sum(case when observed.is_frozen then weights.weight when not observed.is_frozen then cast(0 as double) end)
            > 0.5 * sum(case when observed.is_frozen is not null then weights.weight end) + 1e-9 as is_frozen
    from {{ ref('int_observed_daily') }} as observed
    inner join {{ weights }} as weights on observed.pixel_id = weights.source_pixel_id
    where observed.series_id = {{ series.series_id }} and {{ in_batch('weights.pixel_id', ref('int_prepared_pixel'), 'sum(n_cells)') }}
    group by weights.pixel_id, observed.obs_date
    {%- endif -%}
    {%- endif -%}
{%- endmacro %}


{#- Whether frost of another series is looked up for a series: its soil moisture, where the study says `masks.frozen`. -#}
{% macro has_frost_mask(series) -%}
    {{ return(series.variable == 'soil_moisture' and study('masks').get('frozen') is not none) }}
{%- endmacro %}


{#- The series of the study that says where the soil is frozen. -#}
{% macro frost_series() -%}
    {%- set named = study('masks').frozen -%}
    {%- for series in study_series() if series.variable == named.variable and series.product == named.product and series.layer == named.get('layer', 'surface') -%}
        {{ return(series) }}
    {%- endfor -%}
    {{ exceptions.raise_compiler_error('masks.frozen names ' ~ named.variable ~ ' of ' ~ named.product ~ ', which is not a series of the study: add it to `series`.') }}
{%- endmacro %}


{#- A factor's value as its strata have it, from the value as staged: the class of a land-cover `scheme` (joined as `classes`), the octant of an aspect
    (1 north, then clockwise; 0 flat, which is below 0 or above 360 degrees), its northness or eastness; flat ground has neither. -#}
{% macro factor_value(factor, value) -%}
    {%- if factor.get('scheme') is not none -%} case when not classes.is_excluded then cast(classes.class as double) end
    {%- elif factor.get('as') == 'octant' -%}
    case
        when {{ value }} is null then cast(null as double)
        when {{ value }} < 0 or {{ value }} > 360 then cast(0 as double)
        else floor(({{ value }} + 22.5 - 360 * floor(({{ value }} + 22.5) / 360)) / 45) + 1
    end
    {%- elif factor.get('as') in ('northness', 'eastness') -%}
    case when {{ value }} between 0 and 360 then {{ 'cos' if factor.as == 'northness' else 'sin' }}(radians({{ value }})) when {{ value }} is not null then cast(0 as double) end
    {%- else -%} {{ value }}
    {%- endif -%}
{%- endmacro %}
