{{ config(enabled=needs('trends')) }}
-- Tests beside Mann-Kendall's own (fct_trends), for series with a season and for values that resemble their neighbours.
{% set period = var('study').period %}
with ranked as (
    select
        *,
        {{ ranks_from_largest('p', 'series_id, season, steps_per_year, test') }}
    from {{ ref('int_trend_test') }}
),

adjusted as (
    select
        *,
        {{ adjusted_p('p', 'series_id, season, steps_per_year, test') }} as p_adjusted
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
    adjusted.test,
    adjusted.n_values,
    adjusted.s,
    adjusted.var_s,
    adjusted.z,
    adjusted.p,
    adjusted.p_adjusted,
    adjusted.slope_per_year,
    adjusted.p < {{ number(study('trends').alpha) }} as is_significant,
    adjusted.n_values < 10 as is_small_sample,
    series.unit
from adjusted
inner join {{ ref('int_series') }} as series on adjusted.series_id = series.series_id
