-- The tests of `trends.tests`, some pixels at a time, as int_trend. A kernel that gets NULL gives NULL: too short a series is not tested.
{{ config(materialized='by_period', cells=16000000, enabled=needs('trends')) }}
{% set trends = study('trends') %}
with steps as (
    {{ trend_steps(['year', 'month'] if trends.tests else []) }}
),

gathered as (
    select
        series_id,
        pixel_id,
        season,
        steps_per_year,
        cast(count(value) as bigint) as n_values,
        {{ series('t', 'value') }} as series
    from steps
    group by series_id, pixel_id, season, steps_per_year
),

long_enough as (
    select
        series_id,
        pixel_id,
        season,
        steps_per_year,
        n_values,
        case when n_values >= {{ trends.min_valid | int }} then series end as series
    from gathered
),

tested as (
    {%- for test in trends.tests or ['hamed_rao'] %}
    {%- set call = 'seasonal_kendall(series, cast(12 as int))' if test == 'seasonal_kendall' else test ~ '(series)' %}
    select
        series_id,
        pixel_id,
        season,
        steps_per_year,
        '{{ test }}' as test,
        n_values,
        found.s,
        found.var_s,
        found.z,
        found.p,
        found.slope * {{ 1 if test == 'seasonal_kendall' else 'steps_per_year' }} as slope_per_year
    from (
        select series_id, pixel_id, season, steps_per_year, n_values, {{ call }} as found
        from long_enough
        {%- if test == 'seasonal_kendall' %}
        where steps_per_year = 12
        {%- endif %}
    ) as tests
    {% if not loop.last %}union all{% endif %}
    {%- endfor %}
)

select * from tested
