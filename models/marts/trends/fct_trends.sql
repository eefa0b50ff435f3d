{{ config(enabled=needs('trends')) }}
-- Every pixel's series is gathered once and handed to each kernel once. Time counts in steps (years, or months from year 0), and
-- `steps_per_year` turns slopes into a year's. Month 12 * year + number - 1 divided by 12 is the year with the month's beginning as its
-- fraction, so an intercept means the same for both steps: value = intercept + slope_per_year * year.
{% set trends = study('trends') %}
{% set period = var('study').period %}
{% set min_valid = trends.min_valid | int %}
{#- Least squares count time from the study's first year: about year 0 they would lose digits. -#}
{% set elapsed %}cast(t - steps_per_year * {{ (period.start | string)[:4] | int }} as double){% endset %}
with steps as (
    {%- for time_step in trends.time_steps %}
    {%- if time_step == 'year' %}
    select series_id, pixel_id, season, 1 as steps_per_year, year as t, value
    from {{ ref('int_seasonal') }}
    {%- else %}
    select
        monthly.series_id,
        monthly.pixel_id,
        calendar.season,
        12 as steps_per_year,
        monthly.year * 12 + monthly.month_number - 1 as t,
        monthly.value
    from {{ ref('int_monthly') }} as monthly
    inner join {{ ref('season_calendars') }} as calendar
        on monthly.month_number = calendar.month_number
        and calendar.season in ({% for season in trends.seasons %}{{ literal(season) }}{{ ', ' if not loop.last }}{% endfor %})
    {%- endif %}
    {% if not loop.last %}union all{% endif %}
    {%- endfor %}
),

gathered as (
    select
        series_id,
        pixel_id,
        season,
        steps_per_year,
        cast(count(value) as bigint) as n_values,
        min(value) = max(value) as is_constant,
        stddev_samp(value) / nullif(avg(value), 0) as cv,
        regr_slope(value, {{ elapsed }}) as slope,
        {{ correlation('value', elapsed) }} as r,
        {{ series('t', 'value') }} as series
    from steps
    group by series_id, pixel_id, season, steps_per_year
),

-- A kernel that gets NULL gives NULL: too short a series is not tested.
tested as (
    select
        series_id,
        pixel_id,
        season,
        steps_per_year,
        n_values,
        is_constant,
        cv,
        slope,
        r,
        mann_kendall(case when n_values >= {{ min_valid }} then series end) as mk,
        theil_sen(case when n_values >= {{ min_valid }} then series end) as sen,
        t_p(r * sqrt(greatest(n_values - 2, 0) / nullif(greatest((1 - r) * (1 + r), 0), 0)), n_values - 2) as slope_p
    from gathered
),

flat as (
    select
        series_id,
        pixel_id,
        season,
        steps_per_year,
        n_values,
        mk.s as mk_s,
        mk.var_s as mk_var_s,
        mk.z as mk_z,
        mk.p as mk_p,
        mk.tau_b as tau_b,
        sen.slope * steps_per_year as sen_slope_per_year,
        sen.intercept as sen_intercept,
        sen.slope_lower * steps_per_year as sen_slope_lower,
        sen.slope_upper * steps_per_year as sen_slope_upper,
        case when n_values >= {{ min_valid }} then
            case when is_constant then cast(0 as double) else slope * steps_per_year end
        end as ols_slope_per_year,
        -- A constant series has no trend and a perfect line no doubt; for neither is there a t.
        case when n_values >= {{ min_valid }} and n_values > 2 then
            case when is_constant then cast(1 as double) when abs(r) >= 1 then cast(0 as double) else slope_p end
        end as ols_p,
        case when n_values >= {{ min_valid }} then cv end as cv
    from tested
),

ranked as (
    select
        *,
        rank() over (partition by series_id, season, steps_per_year order by mk_p desc nulls last) as rank_from_largest,
        count(mk_p) over (partition by series_id, season, steps_per_year) as n_tests
    from flat
),

-- Benjamini-Hochberg: p m / i for the i-th smallest p, never above that of a larger p. Equal p share the largest i of their tie, which
-- is m + 1 less their rank from the other end, and the window's frame takes in the whole tie. The quotient comes first: p m / m is not
-- always p.
adjusted as (
    select
        *,
        case when mk_p is not null then
            least(cast(1 as double), min(mk_p * (n_tests / nullif(n_tests + 1 - rank_from_largest, 0))) over (
                partition by series_id, season, steps_per_year order by mk_p desc nulls last
                range between unbounded preceding and current row
            ))
        end as mk_p_adjusted
    from ranked
),

-- Epsilon is meant for a year's value. A total of fewer months is smaller in proportion, and so is what is slight of it.
calendar as (
    select season, count(*) as n_months
    from {{ ref('season_calendars') }}
    group by season
),

years as (
    select series_id, pixel_id, season, cast(count(*) as bigint) as n_years
    from {{ ref('int_seasonal') }}
    group by series_id, pixel_id, season
)

select
    series.study,
    series.variable,
    series.product,
    series.layer,
    series.grid_id,
    adjusted.pixel_id,
    case adjusted.steps_per_year when 1 then 'year' else 'month' end as time_step,
    adjusted.season,
    'all' as period_kind,
    cast('{{ period.start }}' as date) as period_start,
    cast('{{ period.end }}' as date) as period_end,
    adjusted.n_values,
    case adjusted.steps_per_year when 1 then adjusted.n_values else years.n_years end as n_years,
    adjusted.mk_s,
    adjusted.mk_var_s,
    adjusted.mk_z,
    adjusted.mk_p,
    adjusted.mk_p_adjusted,
    adjusted.tau_b,
    adjusted.sen_slope_per_year,
    adjusted.sen_intercept,
    adjusted.sen_slope_lower,
    adjusted.sen_slope_upper,
    adjusted.ols_slope_per_year,
    adjusted.ols_p,
    adjusted.cv,
    case
        when adjusted.mk_p is null then cast(null as string)
        when adjusted.mk_z = 0 or (adjusted.mk_p >= {{ number(trends.alpha) }} and abs(adjusted.sen_slope_per_year)
            < series.epsilon_per_year * case when series.monthly_statistic <> 'total' then 1 when adjusted.steps_per_year = 12 then 1 / cast(12 as double) else calendar.n_months / cast(12 as double) end) then 'stable'
        else case when adjusted.mk_p < {{ number(trends.alpha) }} then 'significant ' else 'slight ' end
            || case when adjusted.mk_z < 0 then series.falling else series.rising end
    end as trend_class,
    adjusted.n_values < 10 as is_small_sample,
    series.unit
from adjusted
inner join {{ ref('int_series') }} as series on adjusted.series_id = series.series_id
inner join years
    on adjusted.series_id = years.series_id and adjusted.pixel_id = years.pixel_id and adjusted.season = years.season
inner join calendar on adjusted.season = calendar.season
