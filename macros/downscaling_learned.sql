{#- What the frameworks that learn from samples (`windows`, `stacking`) need beside macros/downscaling.sql. -#}


{#- The name of the product of an estimator, or of `best` or `stack`: rf_16day, best_16day, stack_by_unit, stack_whole. -#}
{% macro learned_product(entry, estimator, partition) -%}
    {%- set name = estimator ~ ('_' ~ entry.window_days ~ 'day' if entry.framework == 'windows' else '') -%}
    {%- if partition == 'unit' -%}{%- set name = name ~ '_by_unit' -%}
    {%- elif entry.framework == 'stacking' -%}{%- set name = name ~ '_whole' -%}
    {%- endif -%}
    {{ return(name ~ ('_' ~ entry.suffix if entry.suffix else '')) }}
{%- endmacro %}


{#- The study's frameworks that learn from samples. -#}
{% macro learned_frameworks() -%}
    {{ return(study_frameworks('windows') + study_frameworks('stacking')) }}
{%- endmacro %}


{#- Every product that they train: framework_number, framework, partition, estimator, position (of the estimator in the study), product, and the
    series_id of those that are published, else none. -#}
{% macro learned_products() -%}
    {%- set published = {} -%}
    {%- for downscaled in study_downscaled('windows') + study_downscaled('stacking') -%}{%- do published.update({downscaled.product: downscaled.series_id}) -%}{%- endfor -%}
    {%- set found = [] -%}
    {%- for entry in learned_frameworks() -%}
        {%- for partition in entry.partitions -%}
            {%- for estimator in entry.estimators + ['best' if entry.framework == 'windows' else 'stack'] -%}
                {%- set product = learned_product(entry, estimator, partition) -%}
                {%- do found.append({'framework_number': entry.number, 'framework': entry.framework, 'partition': partition, 'estimator': estimator, 'position': loop.index,
                    'product': product, 'series_id': published.get(product)}) -%}
            {%- endfor -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ return(found) }}
{%- endmacro %}


{#- The windows of a framework as {start, end} (the day after), dates as text. Windows of `window_days` begin anew with each year, as the
    16-day composites of MODIS do, so that a year's last one is short. Without windows: the whole period. -#}
{% macro learned_windows(entry) -%}
    {%- set period = downscaling_period() -%}
    {%- set dates = modules.datetime.date -%}
    {%- set first, after = dates.fromisoformat(period.start | string), dates.fromisoformat(period.end | string) -%}
    {%- if entry.framework == 'stacking' -%}{{ return([{'start': first | string, 'end': after | string}]) }}{%- endif -%}
    {%- set found = [] -%}
    {%- for year in range(first.year, after.year + 1) -%}
        {%- for offset in range(0, 366, entry.window_days) -%}
            {%- set start = dates(year, 1, 1) + modules.datetime.timedelta(days=offset) -%}
            {%- set end = [start + modules.datetime.timedelta(days=entry.window_days), dates(year + 1, 1, 1)] | min -%}
            {%- if start.year == year and end > first and start < after -%}{%- do found.append({'start': start | string, 'end': end | string}) -%}{%- endif -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ return(found) }}
{%- endmacro %}


{#- What the kernel train_downscaler is told: the framework's keys and the features, as JSON. -#}
{% macro learned_settings(entry) -%}
    {%- set told = {'combine': 'best' if entry.framework == 'windows' else 'stack', 'features': [], 'is_categorical': []} -%}
    {%- for feature in downscaling_features() -%}
        {%- do told.features.append(feature.name) -%}
        {%- do told.is_categorical.append(feature.kind == 'categorical') -%}
    {%- endfor -%}
    {%- for key in ('estimators', 'hyperparameters', 'min_samples', 'outer_share', 'train_share', 'min_ks_p', 'max_draws', 'folds', 'folds_of', 'max_fit_samples',
        'max_search_samples', 'max_score_samples', 'refit', 'interval_level', 'interval_from', 'permutations', 'shap_samples', 'seed') -%}
        {%- do told.update({key: entry[key]}) -%}
    {%- endfor -%}
    {{ return(tojson(told, sort_keys=true)) }}
{%- endmacro %}


{#- A day as the number YYYYMMDD, which both engines write and read alike, and back. -#}
{% macro day_as_number(date) -%} cast(year({{ date }}) * 10000 + month({{ date }}) * 100 + day({{ date }}) as int) {%- endmacro %}
{% macro number_as_day(number) -%}
    make_date(cast(floor({{ number }} / 10000) as int), cast(floor({{ number }} / 100) - 100 * floor({{ number }} / 10000) as int), cast({{ number }} - 100 * floor({{ number }} / 100) as int))
{%- endmacro %}
