{{ config(enabled=needs('downscaling')) }}
with members as (
    select model_id, {{ each_of('importance') }} as member
    from {{ ref('int_downscaling_training') }}
    where status = 'trained'
),

importances as (
    select model_id, member.feature as feature, member.importance_kind as importance_kind, member.importance as importance
    from members
)

select
    {{ literal(var('study').name) }} as study,
    models.product,
    models.framework,
    models.estimator,
    models.unit as region_id,
    models.window_start,
    models.window_end,
    importances.model_id,
    importances.feature,
    importances.importance_kind,
    importances.importance,
    cast(rank() over (
        partition by importances.model_id, importances.importance_kind order by importances.importance desc nulls last
    ) as int) as importance_rank,
    case when importances.importance_kind in ('permutation', 'mean_absolute_shap') then 'm3 m-3' else '1' end as unit
from importances
inner join {{ ref('int_downscaling_model') }} as models on importances.model_id = models.model_id
