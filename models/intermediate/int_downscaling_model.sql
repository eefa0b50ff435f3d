-- Every model, a row an estimator of a task: its product, its scores, whether it is the one that the framework's own product takes, and, where
-- its window or unit gave none, the last model before it that is used in its place.
{{ config(enabled=needs('downscaling')) }}
with products as (
    {%- for product in learned_products() %}
    select
        {{ product.framework_number }} as framework_number,
        {{ literal(product.partition) }} as partition_kind,
        {{ literal(product.estimator) }} as estimator,
        {{ product.position }} as estimator_position,
        {{ literal(product.product) }} as product
    {% if not loop.last %}union all{% endif %}
    {%- else %}
    select
        cast(null as int) as framework_number, cast(null as string) as partition_kind, cast(null as string) as estimator, cast(null as int) as estimator_position,
        cast(null as string) as product
    where false
    {%- endfor %}
),

models as (
    select
        training.task_id,
        tasks.framework_number,
        tasks.framework,
        tasks.partition_kind,
        tasks.unit,
        tasks.window_start,
        tasks.window_end,
        products.product,
        products.estimator_position,
        training.model_id,
        training.estimator,
        training.status,
        training.n_valid,
        training.n_train,
        training.n_test,
        training.n_outer,
        training.n_fitted,
        training.n_draws,
        training.ks_p,
        training.train_r,
        training.train_rmse,
        training.test_r,
        training.test_rmse,
        training.outer_r,
        training.outer_rmse,
        training.spatial_cv_rmse,
        training.temporal_cv_rmse,
        training.interval_half_width,
        training.outer_coverage,
        training.spatial_coverage,
        training.hyperparameters,
        training.artifact,
        training.artifact_sha256,
        case
            {%- for entry in study_frameworks('windows') %}
            when tasks.framework_number = {{ entry.number }} then
                {{ {'train_and_test': '(training.train_rmse + training.test_rmse) / 2', 'test': 'training.test_rmse', 'blocks': 'coalesce(training.spatial_cv_rmse, training.test_rmse)'}[entry.select_by] }}
            {%- endfor %}
            when training.estimator = 'stack' then cast(0 as double)
        end as selection_score
    from {{ ref('int_downscaling_training') }} as training
    inner join {{ ref('int_downscaling_model_task') }} as tasks on training.task_id = tasks.task_id
    inner join products
        on tasks.framework_number = products.framework_number
        and tasks.partition_kind = products.partition_kind
        and training.estimator = products.estimator
),

ranked as (
    select
        *,
        status = 'trained' and selection_score is not null
            and row_number() over (partition by task_id order by case when status = 'trained' then selection_score end nulls last, estimator_position nulls last) = 1 as is_best,
        max(case when status = 'trained' then window_start end) over (
            partition by product, unit order by window_start rows between unbounded preceding and current row
        ) as last_trained_start
    from models
),

-- Of the framework's own product: the last window that has a best model.
placed as (
    select
        *,
        max(case when is_best then window_start end) over (
            partition by framework_number, partition_kind, unit order by window_start range between unbounded preceding and current row
        ) as last_best_start
    from ranked
)

select
    placed.task_id,
    placed.framework_number,
    placed.framework,
    placed.partition_kind,
    placed.unit,
    placed.window_start,
    placed.window_end,
    placed.product,
    placed.model_id,
    placed.estimator,
    placed.status,
    placed.n_valid,
    placed.n_train,
    placed.n_test,
    placed.n_outer,
    placed.n_fitted,
    placed.n_draws,
    placed.ks_p,
    placed.train_r,
    placed.train_rmse,
    placed.test_r,
    placed.test_rmse,
    placed.outer_r,
    placed.outer_rmse,
    placed.spatial_cv_rmse,
    placed.temporal_cv_rmse,
    placed.interval_half_width,
    placed.outer_coverage,
    placed.spatial_coverage,
    placed.hyperparameters,
    placed.selection_score,
    coalesce(placed.artifact, earlier.artifact) as artifact,
    coalesce(placed.artifact_sha256, earlier.artifact_sha256) as artifact_sha256,
    placed.is_best or coalesce(earlier.is_best and earlier.window_start = placed.last_best_start, false) as is_selected,
    case when placed.status <> 'trained' then earlier.model_id end as fallback_of
from placed
left join ranked as earlier
    on placed.status <> 'trained'
    and placed.product = earlier.product
    and placed.unit = earlier.unit
    and placed.last_trained_start = earlier.window_start
