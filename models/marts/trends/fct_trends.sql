{{ config(enabled=needs('trends')) }}
-- What needs all pixels at once, and words for the numbers of int_trend.
{% set trends = study('trends') %}
{% set period = var('study').period %}
with ranked as (
    select
        *,
        {{ ranks_from_largest('mk_p', 'series_id, season, steps_per_year') }}
    from {{ ref('int_trend') }}
),

adjusted as (
    select
        *,
        {{ adjusted_p('mk_p', 'series_id, season, steps_per_year') }} as mk_p_adjusted
    from ranked
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
    adjusted.n_years,
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
    -- Epsilon is meant for a year's value. A total of fewer months is smaller in proportion, and so is what is slight of it.
    case
        when adjusted.mk_p is null then cast(null as string)
        when adjusted.mk_z = 0 or (adjusted.mk_p >= {{ number(trends.alpha) }} and abs(adjusted.sen_slope_per_year)
            < series.epsilon_per_year * case when series.monthly_statistic <> 'total' then 1 when adjusted.steps_per_year = 12 then 1 / cast(12 as double) else adjusted.n_months_of_season / cast(12 as double) end) then 'stable'
        else case when adjusted.mk_p < {{ number(trends.alpha) }} then 'significant ' else 'slight ' end
            || case when adjusted.mk_z < 0 then series.falling else series.rising end
    end as trend_class,
    adjusted.n_values < 10 as is_small_sample,
    series.unit
from adjusted
inner join {{ ref('int_series') }} as series on adjusted.series_id = series.series_id
