-- The products of the frameworks that learn from samples, day by day at the fine grid: masked pixels and those without a model are left out.
-- Values and intervals are cut to what soil can hold. A product is a part of its own, so that the kernel gets full batches.
{{ config(materialized='lake_parquet', partition_by=['year', 'month'], sort_by=['series_id', 'pixel_id', 'obs_date'], enabled=needs('downscaling')) }}
with uses as (
    select
        uses.series_id,
        uses.partition_kind,
        uses.unit,
        days.obs_date,
        uses.model_id
    from {{ ref('int_downscaling_model_use') }} as uses
    inner join {{ ref('int_downscaling_day') }} as days on days.obs_date >= uses.window_start and days.obs_date < uses.window_end
    where uses.model_id is not null
),

predicted as (
    {%- for downscaled in study_downscaled('windows') + study_downscaled('stacking') %}
    select
        {{ downscaled.series_id }} as series_id,
        {{ number(downscaled.entry.largest) }} as largest,
        features.pixel_id,
        features.obs_date,
        features.year,
        features.month,
        uses.model_id,
        predict_soil_moisture({{ text_literal(lake_path('models') ~ '/') }} || uses.model_id, features.features) as predicted
    from {{ ref('int_downscaling_feature_daily') }} as features
    inner join uses
        on uses.series_id = {{ downscaled.series_id }}
        and features.obs_date = uses.obs_date
        {%- if downscaled.partition == 'unit' %}
        and features.unit = uses.unit
        {%- endif %}
    where not features.is_masked
    {% if not loop.last %}union all{% endif %}
    {%- else %}
    select
        cast(uses.series_id as int) as series_id,
        cast(null as double) as largest,
        features.pixel_id,
        features.obs_date,
        features.year,
        features.month,
        uses.model_id,
        predict_soil_moisture(uses.model_id, features.features) as predicted
    from {{ ref('int_downscaling_feature_daily') }} as features
    inner join uses on features.obs_date = uses.obs_date
    where false
    {%- endfor %}
)

select
    series_id,
    pixel_id,
    obs_date,
    year,
    month,
    case when predicted.value is not null then least(greatest(predicted.value, 0), largest) end as value,
    case when predicted.lower is not null then least(greatest(predicted.lower, 0), largest) end as lower,
    case when predicted.upper is not null then least(greatest(predicted.upper, 0), largest) end as upper,
    model_id,
    predicted.is_extrapolated as is_extrapolated
from predicted
