{#- What the study validates, as rows, and the arithmetic that the marts of validation share. -#}


{#- Every soil moisture of the study that may be validated or compared: series_id, product, layer, is_daily (composites are made of months). -#}
{% macro soil_moistures() -%}
    {%- set found = [] -%}
    {%- for series in study_series() if series.variable == 'soil_moisture' -%}
        {%- do found.append({'series_id': series.series_id, 'product': series.product, 'layer': series.layer, 'is_daily': true}) -%}
    {%- endfor -%}
    {%- for series in study_composites() if series.variable == 'soil_moisture' -%}
        {%- do found.append({'series_id': series.series_id, 'product': series.product, 'layer': series.layer, 'is_daily': false}) -%}
    {%- endfor -%}
    {%- for series in study_downscaled() if series.variable == 'soil_moisture' -%}
        {%- do found.append({'series_id': series.series_id, 'product': series.product, 'layer': series.layer, 'is_daily': true}) -%}
    {%- endfor -%}
    {{ return(found) }}
{%- endmacro %}


{#- The series that a key names by product and layer. -#}
{% macro picked_soil_moisture(pick, key, daily=true) -%}
    {%- for series in soil_moistures() if series.product == pick.product and series.layer == pick.layer and (series.is_daily or not daily) -%}
        {{ return(series) }}
    {%- endfor -%}
    {{ exceptions.raise_compiler_error('validation.' ~ key ~ ' names ' ~ pick.product ~ ' at ' ~ pick.layer ~ ', which is no soil moisture of the study'
        ~ (' by day' if daily else '') ~ ': add it to `series`, or mend the name or the layer.') }}
{%- endmacro %}


{#- The series that are held against stations: those of `validation.products`, or every daily soil moisture. -#}
{% macro validated_series() -%}
    {%- set asked = study('validation').products -%}
    {%- if asked is none -%}{{ return(soil_moistures() | selectattr('is_daily') | list) }}{%- endif -%}
    {%- set found = [] -%}
    {%- for pick in asked if needs('validation') -%}{%- do found.append(picked_soil_moisture(pick, 'products')) -%}{%- endfor -%}
    {{ return(found) }}
{%- endmacro %}


{#- Their numbers as SQL, for `series_id in (...)`; never empty, so that the statement parses. -#}
{% macro series_ids(series) -%}
    {%- set found = [] -%}
    {%- for one in series if one.series_id not in found -%}{%- do found.append(one.series_id) -%}{%- endfor -%}
    {{ return((found or [0]) | join(', ')) }}
{%- endmacro %}


{#- The products of stations that are the reference: `validation.references`, or all of the study. -#}
{% macro validation_references() -%}
    {%- set asked = study('validation').references -%}
    {{ return(study('stations') if asked is none else asked) }}
{%- endmacro %}


{#- Every two products of every entry of `validation.comparisons`: comparison_id, series_1, series_2, time_step, grid (coarser, finer). -#}
{% macro product_pairings() -%}
    {%- set found = [] -%}
    {%- for entry in study('validation').comparisons if needs('validation') -%}
        {%- set step = entry.get('time_step', 'day') -%}
        {%- for first in entry.of -%}
            {%- for second in entry.of[loop.index:] -%}
                {%- do found.append({'comparison_id': found | length + 1, 'series_1': picked_soil_moisture(first, 'comparisons', step == 'day'),
                    'series_2': picked_soil_moisture(second, 'comparisons', step == 'day'), 'time_step': step, 'grid': entry.get('grid', 'coarser')}) -%}
            {%- endfor -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ return(found) }}
{%- endmacro %}


{#- The triples of `validation.triples`: triple_id, force, and three `members`, each with member_id, product, layer, is_station. The member_id of a
    series is its series_id; a product of stations at a layer has one below 0. -#}
{% macro collocated_triples() -%}
    {%- set found = [] -%}
    {%- set at_stations = [] -%}
    {%- for entry in study('validation').triples if needs('validation') -%}
        {%- set members = [] -%}
        {%- for pick in entry.of -%}
            {%- if pick.product in study('stations') -%}
                {%- set name = pick.product ~ ' ' ~ pick.layer -%}
                {%- if name not in at_stations -%}{%- do at_stations.append(name) -%}{%- endif -%}
                {%- do members.append({'member_id': -1 - at_stations.index(name), 'product': pick.product, 'layer': pick.layer, 'is_station': true}) -%}
            {%- else -%}
                {%- do members.append({'member_id': picked_soil_moisture(pick, 'triples').series_id, 'product': pick.product, 'layer': pick.layer, 'is_station': false}) -%}
            {%- endif -%}
        {%- endfor -%}
        {%- do found.append({'triple_id': loop.index, 'force': entry.get('force', false), 'members': members}) -%}
    {%- endfor -%}
    {{ return(found) }}
{%- endmacro %}


{#- The series of a rain product, or none: that of precipitation which `validation.rain_product` names. -#}
{% macro rain_series() -%}
    {%- set asked = study('validation').rain_product -%}
    {%- if asked is none or not needs('validation') -%}{{ return(none) }}{%- endif -%}
    {%- for series in study_series() if series.variable == 'precipitation' and series.product == asked -%}
        {{ return(series.series_id) }}
    {%- endfor -%}
    {{ exceptions.raise_compiler_error('validation.rain_product names ' ~ asked ~ ', of which the study has no series of precipitation: add it to `series`.') }}
{%- endmacro %}


{#- The two steps that cut pairs into what is scored: `periods` (validation_periods) and `seasons` (season, month_number of `validation.seasons`).
    Usage: with {{ validation_times() }}, ... -#}
{% macro validation_times() -%}
periods as (
    {{ validation_periods() }}
),

seasons as (
    select season, cast(month_number as int) as month_number
    from {{ ref('season_calendars') }}
    where season in ({{ literals(study('validation').seasons) }})
)
{%- endmacro %}


{#- The periods that scores are of, as rows (period_kind, period_start, period_end), period_end not included. A year that the study enters or leaves
    half-way is cut there. -#}
{% macro validation_periods() -%}
    {%- set start, end = var('study').period.start | string, var('study').period.end | string -%}
    {%- set rows = [] -%}
    {%- for kind in study('validation').periods -%}
        {%- if kind == 'all' -%}
            {%- do rows.append([kind, start, end]) -%}
        {%- else -%}
            {%- for year in range(start[:4] | int, end[:4] | int + 1) -%}
                {%- set first, after = [start, year ~ '-01-01'] | max, [end, (year + 1) ~ '-01-01'] | min -%}
                {%- if first < after -%}{%- do rows.append([kind, first, after]) -%}{%- endif -%}
            {%- endfor -%}
        {%- endif -%}
    {%- endfor -%}
    {%- for kind, first, after in rows %}
    select '{{ kind }}' as period_kind, cast('{{ first }}' as date) as period_start, cast('{{ after }}' as date) as period_end
    {%- if not loop.last %} union all {%- endif %}
    {%- endfor %}
{%- endmacro %}


{#- The day number of a date, counted from 1970-01-01, as kernels of days take it, and its date. -#}
{% macro epoch_day(date) -%}{{ return(adapter.dispatch('epoch_day')(date)) }}{%- endmacro %}
{% macro duckdb__epoch_day(date) -%} cast({{ date }} - date '1970-01-01' as integer) {%- endmacro %}
{% macro spark__epoch_day(date) -%} datediff({{ date }}, date '1970-01-01') {%- endmacro %}
{% macro date_of_epoch_day(number) -%}{{ return(adapter.dispatch('date_of_epoch_day')(number)) }}{%- endmacro %}
{% macro duckdb__date_of_epoch_day(number) -%} (date '1970-01-01' + cast({{ number }} as integer)) {%- endmacro %}
{% macro spark__date_of_epoch_day(number) -%} date_add(date '1970-01-01', cast({{ number }} as int)) {%- endmacro %}


{#- The date on which a product's value is compared: its own, moved by what `validation.day_offsets` says of the product. -#}
{% macro compared_date(date, series_id, series) -%}
    {%- set moved = [] -%}
    {%- for offset in study('validation').day_offsets -%}
        {%- for one in series if one.product == offset.product and offset.days != 0 -%}
            {%- do moved.append('when ' ~ one.series_id ~ ' then ' ~ date_of_epoch_day(epoch_day(date) ~ ' + ' ~ offset.days)) -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- if moved -%} case {{ series_id }} {{ moved | unique | join(' ') }} else {{ date }} end
    {%- else -%} {{ date }}
    {%- endif -%}
{%- endmacro %}


{#- The UTC instant, as text, at which a day of the study's time zone has got `hours` old: 2019-04-01 and 0 are 2019-03-31 16:00:00 in China. -#}
{% macro utc_of_local(date, hours) -%}{{ return(adapter.dispatch('utc_of_local')(date, hours)) }}{%- endmacro %}
{% macro duckdb__utc_of_local(date, hours) -%}
    strftime(timezone('UTC', timezone({{ literal(study('time_zone')) }}, cast({{ date }} as timestamp) + to_seconds(cast({{ (hours * 3600) | int }} as bigint)))), '%Y-%m-%d %H:%M:%S')
{%- endmacro %}
{% macro spark__utc_of_local(date, hours) -%}
    date_format(to_utc_timestamp(timestampadd(SECOND, {{ (hours * 3600) | int }}, cast({{ date }} as timestamp)), {{ literal(study('time_zone')) }}), 'yyyy-MM-dd HH:mm:ss')
{%- endmacro %}


{#- Top and bottom, cm, of a layer's name in SQL; NULL for `surface`. -#}
{% macro layer_top_of(layer) -%} try_cast(split_part(replace({{ layer }}, ' cm', ''), '-', 1) as double) {%- endmacro %}
{% macro layer_bottom_of(layer) -%} try_cast(split_part(replace({{ layer }}, ' cm', ''), '-', 2) as double) {%- endmacro %}
{% macro layer_middle_of(layer) -%} (({{ layer_top_of(layer) }} + {{ layer_bottom_of(layer) }}) / 2) {%- endmacro %}


{#- The anomalies of daily series as the study asks for them, from a series list of `epoch_day`s. -#}
{% macro daily_anomaly(series) -%}
    {%- set asked = study('validation') -%}
    {%- if asked.anomaly == 'climatology' -%} climatology_anomaly({{ series }}, {{ asked.anomaly_window_days | int }})
    {%- else -%} moving_anomaly({{ series }}, {{ asked.anomaly_window_days | int }}, {{ asked.anomaly_min_values | int }})
    {%- endif -%}
{%- endmacro %}


{#- Whether two products of dim_product are made one from the other: each says what it shares input with, comma separated. -#}
{% macro shares_input(product_1, shares_1, product_2, shares_2) -%}
    (
        {{ product_1 }} = {{ product_2 }}
        or replace(',' || coalesce({{ shares_1 }}, '') || ',', ' ', '') like '%,' || {{ product_2 }} || ',%'
        or replace(',' || coalesce({{ shares_2 }}, '') || ',', ' ', '') like '%,' || {{ product_1 }} || ',%'
    )
{%- endmacro %}


{#- tanh(x), which the engines do not share; of any size. -#}
{% macro hyperbolic_tangent(x) -%} (1 - 2 / (exp(2 * least({{ x }}, cast(300 as double))) + 1)) {%- endmacro %}


{#- One end of Fisher's interval of a correlation: `side` is '-' or '+', `n` the number of independent pairs, `spread` what the standard error 1 / sqrt(n - 3) is
    multiplied by (1 for Pearson's r). NULL for one that is perfect but for rounding, whose interval has no width, and for n of 3 and less. -#}
{% macro fisher_limit(r, n, side, spread='1') -%}
    case when abs({{ r }}) < 1 - 1e-12 and {{ n }} > 3 then
        {{ hyperbolic_tangent('(0.5 * ln((1 + ' ~ r ~ ') / nullif(1 - ' ~ r ~ ', 0)) ' ~ side
            ~ ' normal_quantile(' ~ number((1 + study('validation').confidence) / 2) ~ ') * ' ~ spread ~ ' / nullif(sqrt(greatest(' ~ n ~ ' - 3, 0)), 0))') }}
    end
{%- endmacro %}
