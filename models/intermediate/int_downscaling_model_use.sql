-- Which model each published product takes in each window and unit: its own, the last one before it (`fallback`), or none (`no_model`).
{{ config(enabled=needs('downscaling')) }}
with products as (
    {%- for product in learned_products() if product.series_id is not none %}
    select
        {{ product.series_id }} as series_id,
        {{ product.framework_number }} as framework_number,
        {{ literal(product.partition) }} as partition_kind,
        {{ literal(product.estimator) }} as estimator,
        {{ literal(product.product) }} as product
    {% if not loop.last %}union all{% endif %}
    {%- else %}
    select
        cast(null as int) as series_id, cast(null as int) as framework_number, cast(null as string) as partition_kind, cast(null as string) as estimator,
        cast(null as string) as product
    where false
    {%- endfor %}
),

own_models as (
    select task_id, estimator, model_id from {{ ref('int_downscaling_model') }}
    where status = 'trained'
    union all
    select task_id, 'best' as estimator, model_id from {{ ref('int_downscaling_model') }}
    where status = 'trained' and framework = 'windows' and is_selected
),

-- All estimators of a task have the same samples, so the same reason not to be trained.
outcomes as (
    select task_id, max(n_valid) as n_valid, max(case when status <> 'trained' then status end) as reason
    from {{ ref('int_downscaling_model') }}
    group by task_id
),

asked as (
    select
        products.series_id,
        products.product,
        products.partition_kind,
        tasks.task_id,
        tasks.unit,
        tasks.window_start,
        tasks.window_end,
        outcomes.n_valid,
        outcomes.reason,
        own_models.model_id,
        max(case when own_models.model_id is not null then tasks.window_start end) over (
            partition by products.product, tasks.unit order by tasks.window_start rows between unbounded preceding and current row
        ) as last_trained_start
    from products
    inner join {{ ref('int_downscaling_model_task') }} as tasks
        on products.framework_number = tasks.framework_number and products.partition_kind = tasks.partition_kind
    inner join outcomes on tasks.task_id = outcomes.task_id
    left join own_models on tasks.task_id = own_models.task_id and products.estimator = own_models.estimator
)

select
    asked.series_id,
    asked.product,
    asked.partition_kind,
    asked.unit,
    asked.window_start,
    asked.window_end,
    asked.n_valid,
    case when asked.model_id is not null then 'trained' when earlier.model_id is not null then 'fallback' else 'no_model' end as status,
    asked.reason,
    coalesce(asked.model_id, earlier.model_id) as model_id
from asked
left join asked as earlier
    on asked.model_id is null
    and asked.product = earlier.product
    and asked.unit = earlier.unit
    and asked.last_trained_start = earlier.window_start
