-- Trains every task: the kernel gets the samples of a window or unit and keeps the models in the lake; what it knows from an earlier build
-- it reads from there. Beyond `max_samples` the rows whose hash is smallest are taken: a random choice that every build makes alike.
{{ config(materialized='by_period', cells=500000, enabled=needs('downscaling')) }}
with tasks as (
    select * from {{ ref('int_downscaling_model_task') }}
    where {{ in_batch('task_id', ref('int_downscaling_model_task'), 'sum(n_samples + 1)') }}
),

samples as (
    select
        tasks.task_id,
        tasks.settings,
        tasks.part,
        cast(samples.pixel_id as bigint) as pixel_id,
        {{ day_as_number('samples.obs_date') }} as obs_day,
        cast(samples.target as double) as target,
        cast(samples.block_id as int) as block_id,
        samples.features,
        tasks.max_samples,
        row_number() over (
            partition by tasks.task_id
            order by md5(cast(samples.pixel_id as string) || ' ' || cast(samples.obs_date as string)) nulls last
        ) as place
    from tasks
    left join {{ ref('int_downscaling_sample') }} as samples
        on samples.obs_date >= tasks.window_start
        and samples.obs_date < tasks.window_end
        and (tasks.partition_kind = 'whole' or samples.unit = tasks.unit)
),

trained as (
    select
        task_id,
        {{ each_of("train_downscaler(" ~ struct_list({'pixel_id': 'pixel_id', 'obs_day': 'obs_day', 'target': 'target', 'block_id': 'block_id', 'features': 'features'})
            ~ ", max(settings), max(part), " ~ text_literal(lake_path('models')) ~ ")") }} as trained
    from samples
    where place <= max_samples
    group by task_id
)

select
    task_id,
    trained.estimator as estimator,
    trained.model_id as model_id,
    trained.status as status,
    {%- for name in ('n_valid', 'n_train', 'n_test', 'n_outer', 'n_fitted', 'n_draws', 'ks_p', 'train_r', 'train_rmse', 'test_r', 'test_rmse', 'outer_r', 'outer_rmse',
        'spatial_cv_rmse', 'temporal_cv_rmse', 'interval_half_width', 'outer_coverage', 'spatial_coverage', 'hyperparameters', 'artifact', 'artifact_sha256',
        'importance', 'shap') %}
    trained.{{ name }} as {{ name }}{{ ',' if not loop.last }}
    {%- endfor %}
from trained
