{{ config(enabled=needs('downscaling')) }}
with members as (
    select model_id, {{ each_of('shap') }} as member
    from {{ ref('int_downscaling_training') }}
    where status = 'trained'
),

shap_values as (
    select
        model_id,
        member.sample_id as sample_id,
        member.pixel_id as pixel_id,
        member.obs_day as obs_day,
        member.feature as feature,
        member.feature_value as feature_value,
        member.shap as shap,
        member.expected as expected
    from members
)

select
    {{ literal(var('study').name) }} as study,
    models.product,
    models.estimator,
    models.unit as region_id,
    models.window_start,
    models.window_end,
    shap_values.model_id,
    shap_values.sample_id,
    shap_values.pixel_id,
    {{ number_as_day('shap_values.obs_day') }} as obs_date,
    shap_values.feature,
    shap_values.feature_value,
    shap_values.shap,
    shap_values.expected as expected_m3m3
from shap_values
inner join {{ ref('int_downscaling_model') }} as models on shap_values.model_id = models.model_id
