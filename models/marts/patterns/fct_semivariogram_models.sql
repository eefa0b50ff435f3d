{{ config(enabled=needs('patterns')) }}
{% set bound = study('variograms').get('range_bound_m') %}
with gathered as (
    select
        map_id,
        direction,
        {{ struct_list({'lag_m': 'lag_m', 'n_pairs': 'n_pairs', 'semivariance': 'semivariance'}) }} as bins
    from {{ ref('int_semivariogram') }}
    group by map_id, direction
),

asked as (
    {{ semivariogram_fits() }}
),

fits as (
    select
        gathered.map_id,
        gathered.direction,
        asked.model,
        asked.weighting,
        asked.model_order,
        fit_semivariogram(gathered.bins, asked.model, asked.weighting, {{ number(bound or 0) }}) as fitted
    from gathered
    cross join asked
),

-- Of each direction and weighting one is the best; a semivariogram with fewer bins than a fit needs has none.
ranked as (
    select
        *,
        row_number() over (
            partition by map_id, direction, weighting order by fitted.rss nulls last, model_order nulls last
        ) as place
    from fits
    where fitted.rss is not null
)

select
    series.study,
    series.variable,
    series.product,
    series.layer,
    maps.region_id,
    maps.month,
    {{ sampling_label() }} as sampling,
    ranked.direction,
    ranked.model,
    ranked.weighting,
    ranked.fitted.n_bins as n_bins,
    ranked.fitted.nugget as nugget,
    ranked.fitted.partial_sill as partial_sill,
    ranked.fitted.sill as sill,
    ranked.fitted.slope as slope,
    ranked.fitted.range_parameter_m as range_parameter_m,
    ranked.fitted.range_effective_m as range_effective_m,
    {{ number(bound) }} as range_bound_m,
    ranked.fitted.is_range_at_bound as is_range_at_bound,
    ranked.fitted.is_bounded as is_bounded,
    ranked.fitted.max_lag_m as max_lag_m,
    ranked.fitted.fraction_of_sill_reached as fraction_of_sill_reached,
    ranked.fitted.nugget_ratio as nugget_ratio,
    ranked.fitted.structural_ratio as structural_ratio,
    ranked.fitted.rss as rss,
    ranked.fitted.r2 as r2,
    ranked.fitted.weighted_rss as weighted_rss,
    ranked.place = 1 as is_best,
    series.unit
from ranked
inner join {{ ref('int_semivariogram_input') }} as maps on ranked.map_id = maps.map_id
inner join {{ ref('int_series') }} as series on maps.series_id = series.series_id
