{#- The targets of the study's correlations: series and composites of the variables in `correlations.targets`, as rows with series_id. -#}
{% macro correlation_targets() -%}
    {%- set found = [] -%}
    {%- for series in study_series() + study_composites() + study_downscaled() if series.variable in study('correlations').targets -%}
        {%- do found.append(series) -%}
    {%- endfor -%}
    {{ return(found) }}
{%- endmacro %}


{#- Their factors: those of `correlations.factors`, or all, that are a series of the study, as rows with factor_id, series_id and their
    position, from 1, in the lists that partial_regression takes. -#}
{% macro correlation_factors() -%}
    {%- set asked = study('correlations').get('factors') -%}
    {%- set found = [] -%}
    {%- for factor in study_factors() if factor.source == 'series' and (asked is none or factor.factor in asked) -%}
        {%- for series in study_series() + study_composites()
            if series.variable == factor.variable and series.product == factor.product and series.layer == factor.layer -%}
            {%- do found.append({'factor_id': factor.factor_id, 'series_id': series.series_id, 'position': found | length + 1}) -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ return(found) }}
{%- endmacro %}


{#- Their factors as rows (factor_id, factor_series_id, position). -#}
{% macro correlation_factor_rows() -%}
    {%- for factor in correlation_factors() %}
    select {{ factor.factor_id }} as factor_id, {{ factor.series_id }} as factor_series_id, {{ factor.position }} as position
    {% if not loop.last %}union all{% endif %}
    {%- else %}
    select cast(null as int) as factor_id, cast(null as int) as factor_series_id, cast(null as int) as position
    where false
    {%- endfor %}
{%- endmacro %}


{#- The numbers of the series that correlations need, each once: those of the factors, and of the targets where these are series. -#}
{% macro correlation_series(with_targets=true) -%}
    {%- set found = [] -%}
    {%- for series in (correlation_targets() if with_targets else []) + correlation_factors() if series.series_id not in found -%}
        {%- do found.append(series.series_id) -%}
    {%- endfor -%}
    {{ return(found | sort) }}
{%- endmacro %}


{#- Series side by side: v_1, v_2, ... from rows with a series_id, in a group. NULL where the series has no value. -#}
{% macro side_by_side(numbers, value='value') -%}
    {%- for number in numbers %}
        , max(case when series_id = {{ number }} then {{ value }} end) as v_{{ number }}
    {%- endfor %}
{%- endmacro %}


{#- From months to what is correlated, as common table expressions after `months` and `targets` of the query around it, ending in
    `observations`: a row a target, unit, time step, season, form and month (or year), with the target's y and the factors' x_1, x_2, ...

    months: a row a unit and month, with `unit` (the columns that name it), year, month_number and the series side by side: v_<number>
    for each of `numbers`. targets: which unit has which target (series_id), joined to `steps` by the condition `target_on`.

    Anomalies are less the unit's mean of that calendar month, where that has two values or more: of one it would always be 0. Seasons have
    the value that int_seasonal gives them. A factor that is the target itself is a constant here, which costs no degree of freedom and
    gets no numbers.

    Usage: with months as (...), targets as (...), {{ correlation_observations(['pixel_id'], [1, 2], [1], 'steps.grid_id = targets.grid_id') }}
        select ... from observations -#}
{% macro correlation_observations(unit, numbers, target_numbers, target_on) -%}
{%- set asked = study('correlations') -%}
{%- set share = number(study('trends').min_months_share) -%}
{%- set steps = [] -%}
{%- if 'month' in asked.time_steps -%}
    {%- for form in asked.forms -%}{%- do steps.append(form) -%}{%- endfor -%}
{%- endif -%}
{%- if 'anomaly' in steps %}
anomalies as (
    {%- set window = 'over (partition by ' ~ unit | join(', ') ~ ', month_number)' %}
    select
        {{ unit | join(', ') }}
        {%- for number in numbers %},
        case when count(v_{{ number }}) {{ window }} >= 2 then
            v_{{ number }} - greatest(min(v_{{ number }}) {{ window }}, least(max(v_{{ number }}) {{ window }}, avg(v_{{ number }}) {{ window }}))
        end as v_{{ number }}
        {%- endfor %}
    from months
),
{%- endif %}
{%- if 'year' in asked.time_steps %}

calendar as (
    {{ months_of_seasons(asked.seasons) }}
),

totals as (
    select
        0 as is_total_0
        {%- for number in numbers if number > 0 %},
        max(case when series_id = {{ number }} and monthly_statistic = 'total' then 1 else 0 end) as is_total_{{ number }}
        {%- endfor %}
    from {{ ref('int_series') }}
),

seasons as (
    select
        {%- for name in unit %}
        months.{{ name }},
        {%- endfor %}
        calendar.season,
        months.year + calendar.year_shift as year,
        max(calendar.n_months_of_season) as n_months_of_season
        {%- for number in numbers %},
        count(months.v_{{ number }}) as n_{{ number }},
        sum(months.v_{{ number }}) as total_{{ number }},
        {{ mean('months.v_' ~ number) }} as mean_{{ number }}
        {%- endfor %}
    from months
    inner join calendar on months.month_number = calendar.month_number
    group by {% for name in unit %}months.{{ name }}, {% endfor %}calendar.season, months.year + calendar.year_shift
),
{%- endif %}

steps as (
    {%- for form in steps %}
    select {{ unit | join(', ') }}, 'month' as time_step, 'annual' as season, '{{ form }}' as on_values
        {%- for number in numbers %}, v_{{ number }}{% endfor %}
    from {{ 'months' if form == 'raw' else 'anomalies' }}
    {% if not loop.last or 'year' in asked.time_steps %}union all{% endif %}
    {%- endfor %}
    {%- if 'year' in asked.time_steps %}
    select {{ unit | join(', ') }}, 'year' as time_step, season, 'raw' as on_values
        {%- for number in numbers %},
        case when n_{{ number }} >= {{ share }} * n_months_of_season
            then case when totals.is_total_{{ number }} = 1 then total_{{ number }} else mean_{{ number }} end
        end as v_{{ number }}
        {%- endfor %}
    from seasons
    cross join totals
    {%- endif %}
),

observations as (
    select
        targets.series_id,
        {%- for name in unit %}
        steps.{{ name }},
        {%- endfor %}
        steps.time_step,
        steps.season,
        steps.on_values,
        case targets.series_id {%- for number in target_numbers %} when {{ number }} then steps.v_{{ number }} {%- else %} when 0 then cast(null as double) {%- endfor %} end as y
        {%- for factor in correlation_factors() %},
        case when targets.series_id = {{ factor.series_id }} then cast(0 as double) else steps.v_{{ factor.series_id }} end as x_{{ factor.position }}
        {%- endfor %}
    from steps
    inner join targets on {{ target_on }}
)
{%- endmacro %}


{#- The statistics of `observations`, a row a target, unit, time step, season and form: n_1, r_1, n_2, ... are the pairs of target and factor
    that have both and Pearson's correlation of them, `fit` is partial_regression on all factors, of the rows that have all.
    `correlations.min_valid` of the study, and for `fit` 3 degrees of freedom, or there is none. -#}
{% macro correlation_statistics(unit) -%}
    {%- set min_valid = study('correlations').min_valid | int -%}
    {%- set factors = correlation_factors() -%}
    select
        series_id,
        {{ unit | join(', ') }},
        time_step,
        season,
        on_values
        {%- for factor in factors %}
        {%- set x = 'x_' ~ factor.position %},
        cast(count({{ x }}) as bigint) as n_{{ factor.position }},
        case when count({{ x }}) >= {{ min_valid }} then
            {{ correlation(x, 'case when ' ~ x ~ ' is not null then y end') }}
        end as r_{{ factor.position }}
        {%- endfor %},
        {%- set xs, known = [], [] -%}
        {%- for factor in factors -%}{%- do xs.append('x_' ~ factor.position) -%}{%- do known.append('x_' ~ factor.position ~ ' is not null') -%}{%- endfor %}
        {%- set n_complete = 'count(case when ' ~ (known | join(' and ') or 'false') ~ ' then 1 end)' %}
        cast({{ n_complete }} as bigint) as n_complete,
        partial_regression(case when {{ n_complete }} >= {{ min_valid }} then {{ struct_list({'y': 'y', 'x': doubles(xs)}) }} end) as fit
    from observations
    where y is not null
    group by series_id, {{ unit | join(', ') }}, time_step, season, on_values
{%- endmacro %}


{#- The pairs of unit and factor of int_correlation, with what every mart of correlations says of them. `columns`: mapping of more columns,
    name to expression over `units` and `factors`.
    Usage: with pairs as ({{ correlation_pairs({'n': ...}) }}) -#}
{% macro correlation_pairs(columns) -%}
    {%- set period = var('study').period -%}
    select
        {{ literal(var('study').name) }} as study,
        units.variable,
        units.product,
        units.layer,
        units.unit_kind,
        units.unit_id,
        units.grid_id,
        units.pixel_id,
        names.factor,
        units.time_step,
        units.season,
        'all' as period_kind,
        cast('{{ period.start }}' as date) as period_start,
        cast('{{ period.end }}' as date) as period_end,
        units.on_values
        {%- for name, expression in columns.items() %},
        {{ expression }} as {{ name }}
        {%- endfor %}
    from {{ ref('int_correlation') }} as units
    inner join ({{ correlation_factor_rows() }}) as factors on units.series_id <> factors.factor_series_id
    inner join {{ ref('int_factor') }} as names on factors.factor_id = names.factor_id
{%- endmacro %}


{#- A column of int_correlation that has one of its kind for every factor: n_1, n_2, ... are `n_` of the row's factor. -#}
{% macro of_factor(prefix, type) -%}
    cast(case factors.position
        {%- for factor in correlation_factors() %} when {{ factor.position }} then units.{{ prefix }}{{ factor.position }}
        {%- else %} when 0 then null
        {%- endfor %} end as {{ type }})
{%- endmacro %}


{#- What a correlation is called at `correlations.alpha` of the study: significantly positive (SPC), significantly negative (SNC), or not
    significant (NS). -#}
{% macro significance_class(coefficient, p) -%}
    case
        when {{ p }} is null then cast(null as string)
        when {{ p }} >= {{ number(study('correlations').alpha) }} then 'NS'
        when {{ coefficient }} > 0 then 'SPC'
        else 'SNC'
    end
{%- endmacro %}
