-- The trend of every pixel's series, some pixels at a time: the series of a large study do not fit into memory all at once. Each is gathered
-- once and handed to each kernel once; `steps_per_year` turns slopes into a year's. Month 12 * year + number - 1 divided by 12 is the year
-- with the month's beginning as its fraction, so an intercept means the same for both steps: value = intercept + slope_per_year * year.
{{ config(materialized='by_period', cells=16000000, enabled=needs('trends')) }}
{% set min_valid = study('trends').min_valid | int %}
{#- Least squares count time from the study's first year: about year 0 they would lose digits. -#}
{% set elapsed %}cast(t - steps_per_year * {{ (var('study').period.start | string)[:4] | int }} as double){% endset %}
with steps as (
    {{ trend_steps() }}
),

years as (
    select
        series_id,
        pixel_id,
        season,
        cast(count(*) as bigint) as n_years,
        avg(n_months_of_season) as n_months_of_season
    from {{ ref('int_seasonal') }}
    where {{ in_batch_of_pixels() }}
    group by series_id, pixel_id, season
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
)

select
    tested.series_id,
    tested.pixel_id,
    tested.season,
    tested.steps_per_year,
    tested.n_values,
    case tested.steps_per_year when 1 then tested.n_values else years.n_years end as n_years,
    years.n_months_of_season,
    mk.s as mk_s,
    mk.var_s as mk_var_s,
    mk.z as mk_z,
    mk.p as mk_p,
    mk.tau_b as tau_b,
    sen.slope * tested.steps_per_year as sen_slope_per_year,
    sen.intercept as sen_intercept,
    sen.slope_lower * tested.steps_per_year as sen_slope_lower,
    sen.slope_upper * tested.steps_per_year as sen_slope_upper,
    case when tested.n_values >= {{ min_valid }} then
        case when tested.is_constant then cast(0 as double) else tested.slope * tested.steps_per_year end
    end as ols_slope_per_year,
    -- A constant series has no trend and a perfect line no doubt; for neither is there a t. What 1 - r2 leaves below 1e-14 is the rounding
    -- of the values: three means of months on one line would have a p of 3e-8 on one engine and 0 on the other.
    case when tested.n_values >= {{ min_valid }} and tested.n_values > 2 then
        case when tested.is_constant then cast(1 as double) when (1 - tested.r) * (1 + tested.r) < 1e-14 then cast(0 as double) else tested.slope_p end
    end as ols_p,
    case when tested.n_values >= {{ min_valid }} then tested.cv end as cv
from tested
inner join years
    on tested.series_id = years.series_id and tested.pixel_id = years.pixel_id and tested.season = years.season
