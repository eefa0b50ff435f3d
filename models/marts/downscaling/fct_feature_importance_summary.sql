{{ config(enabled=needs('downscaling')) }}
-- What the importance of a feature is over all windows of a product: its mean and how much it changes from window to window.
with summarised as (
    select
        study,
        product,
        estimator,
        region_id,
        feature,
        importance_kind,
        unit,
        cast(count(*) as bigint) as n_models,
        avg(importance) as mean,
        stddev_samp(importance) as sd,
        min(importance) as min,
        max(importance) as max
    from {{ ref('fct_feature_importance') }}
    group by study, product, estimator, region_id, feature, importance_kind, unit
)

select
    study,
    product,
    estimator,
    region_id,
    feature,
    importance_kind,
    n_models,
    mean,
    sd,
    min,
    max,
    cast(rank() over (partition by product, region_id, importance_kind order by mean desc nulls last) as int) as importance_rank,
    unit
from summarised
